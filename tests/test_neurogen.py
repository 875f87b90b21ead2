"Made-up EEG: the quantiser and the composer against torch's own layers, vector autoregressions against known processes, and judges that must see what is there and nothing else."
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F

pytest.importorskip('mne')
from kata_blog.core import DataError, KataError, ShapeError
from kata_blog.neurogen import (CONDITIONS, Composer, Config, Maker, Quantiser, Signal, code_loss, coherence, cut_movements, describe, fit_network, fit_statistics, fit_var,
    judge, load_signal, make_silence, patch_conditions, run_var, train_composer, train_quantiser, write_signal)

NAMES = ('Fz', 'C3', 'C4', 'Oz')

def make_signal(run=1, n=3200, seed=0, names=NAMES, rate=160., condition=None):
    "Two rhythms that all channels share in their own way, and noise."
    draw = np.random.default_rng([seed, run])
    t = np.arange(n)/rate
    sources = np.stack([np.sin(2*np.pi*f*t + draw.uniform(0, 6))*(1 + 0.5*np.sin(t + draw.uniform(0, 6))) for f in (6, 10)])
    mix = np.random.default_rng(7).normal(size=(len(names), 2))
    x = 20*mix @ sources + 5*draw.normal(size=(len(names), n))
    condition = torch.zeros(n, dtype=torch.long) if condition is None else condition
    return Signal(torch.tensor(x, dtype=torch.float32), condition, names, torch.randn(len(names), 3), rate, run)

def blocks(n, at=(320, 640, 1600, 2240)):
    "Rest and two kinds of movement in turn."
    k = torch.zeros(n, dtype=torch.long)
    for i, start in enumerate(at): k[start:start + 300] = CONDITIONS.index(('fists', 'feet')[i % 2])
    return k

def make_quantiser(seed=0, patch=4, groups=3, codes=8, names=NAMES):
    torch.manual_seed(seed)
    return Quantiser(names, 160., patch, groups, codes).eval()

def make_composer(book, seed=0, **more):
    torch.manual_seed(seed)
    model = Composer(book, **dict(width=32, depth=2, max_len=20) | more).eval()
    for p in model.parameters(): torch.nn.init.normal_(p, std=0.15)  # nothing is 0
    return model

@pytest.fixture(scope='module')
def trained():
    "A small maker, and what it learned from."
    signals = [make_signal(r, condition=blocks(3200)) for r in (5, 9)]
    config = Config(groups=4, codes=16, quantiser_steps=150, width=16, depth=1, heads=2, max_len=32, steps=25)
    quantiser = train_quantiser(signals, config)
    composer, loss = train_composer(quantiser, signals, config)
    maker = Maker(replace(config, runs=(5, 9)), signals[0]).eval()
    maker.quantiser, maker.composer = quantiser, composer
    return maker.set_hiss_(signals), signals, loss

# The quantiser

def test_latents_are_a_convolution_and_join_is_its_transpose():
    q, x = make_quantiser(), make_signal(n=41).x[None]
    w = q.down.weight.view(6, 4, 12)
    torch.testing.assert_close(q.latents(x), q.norm(F.conv1d(x[..., :40], w, stride=4, padding=4)).transpose(1, 2), atol=1e-4, rtol=1e-4)
    z = torch.randn(2, 7, 6)
    torch.testing.assert_close(q.join(z), F.conv_transpose1d(z.transpose(1, 2), q.up.weight.T.reshape(6, 4, 12), stride=4, padding=4), atol=1e-5, rtol=1e-5)

def test_the_nearest_entry_is_the_nearest():
    q, z = make_quantiser(), torch.randn(2, 9, 6)
    far = torch.cdist(z.view(-1, 3, 2).transpose(0, 1), q.book)
    assert torch.equal(q.nearest(z).view(-1, 3), far.argmin(-1).T)
    codes = torch.randint(8, (2, 9, 3))
    assert torch.equal(q.nearest(q.look(codes)), codes)

def test_gradients_go_straight_through():
    q, x = make_quantiser().train(), make_signal(n=64).x[None]
    y, apart = q(x)
    asked = torch.randn_like(y)
    (y*asked).sum().backward()
    got = q.down.weight.grad.clone()
    assert q.book.grad is None or q.book.grad.abs().max() == 0  # the decoder moves no codebook
    q.zero_grad()
    (q.join(q.latents(x))*asked).sum().backward()  # as if nothing had been rounded
    torch.testing.assert_close(got, q.down.weight.grad, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(y, q.join(q.latents(x)))
    q.zero_grad()
    q(x)[1].backward()
    assert q.book.grad.abs().max() > 0 and q.up.weight.grad is None

def test_it_begins_at_principal_components():
    x, q = make_signal().x, Quantiser(NAMES, 160., 4, 8, 8)  # as many numbers as samples: nothing is lost
    q.begin_(x, slow=2.)
    q.eval()
    torch.testing.assert_close(q.join(q.latents(x[None]))[0], x, atol=0.01, rtol=1e-3)
    assert (q.latents(x[None])[0].square().mean(0) - 1).abs().max() < 1e-3
    small = Quantiser(NAMES, 160., 4, 1, 8, dims=3).begin_(x).eval()
    rows = (x/x.std(1, keepdim=True)).unflatten(1, (-1, 4)).transpose(0, 1).flatten(1).double()
    left = ((small.join(small.latents(x[None]))[0] - x)/x.std(1, keepdim=True)).square().sum()/len(rows)
    assert left.item() == pytest.approx(torch.linalg.eigvalsh(rows.T @ rows/len(rows))[:-3].sum().item(), rel=1e-3)

def test_the_first_codes_are_what_occurs_and_hold_what_is_rare():
    x = make_signal().x.clone()
    x[:, 1600:1604] *= 8
    q = make_quantiser(codes=16).begin_(x).eval()
    z = q.latents(x[None])[0].unflatten(-1, (3, 2)).transpose(0, 1)
    assert torch.cdist(q.book, z).amin(2).max() < 0.01  # distances by way of squares
    assert (q.book - z[:, 400, None]).norm(dim=2).amin(1).min() < 1e-4

def test_a_trained_quantiser_gives_back_what_it_was_given(trained):
    maker, signals, _ = trained
    new = make_signal(run=3)
    y = maker.quantiser.decode(maker.quantiser.encode(new)[None])[0]
    lost = ((new.x - y).var()/new.x.var()).item()
    assert y.shape == new.x.shape and lost < 0.35
    assert lost < 0.5*((new.x - make_quantiser(groups=4, codes=16, patch=8).decode(maker.quantiser.encode(new)[None])[0]).var()/new.x.var()).item()

@pytest.mark.parametrize('change, error, says', [
    (lambda s: s.pick(NAMES[:2]), DataError, r"channels \['C4', 'Oz'\] are missing from run 1; interpolate them"),
    (lambda s: s.pick(NAMES[::-1]), DataError, r'another order or number, first at 0: Oz; use signal.pick\(quantiser.channels\)'),
    (lambda s: replace(s, x=torch.cat([s.x, s.x[:1]]), channels=NAMES + ('A1',)), DataError, 'run 1 has 5 channels in another order or number, first at 4: A1'),
    (lambda s: replace(s, rate=200.), DataError, r'200 samples a second and the codes were learned at 160; use raw.resample\(160\)'),
    (lambda s: s.crop(0, 2/160), ShapeError, '2 samples, and a patch has 4; give a longer stretch')])
def test_signals_of_another_kind_are_refused(change, error, says):
    with pytest.raises(error, match=says): make_quantiser().encode(change(make_signal()))

def test_a_quantiser_of_another_model_is_refused():
    maker = Maker(Config(patch=4, groups=3, codes=8, width=32, depth=1), make_signal())
    for q in (make_quantiser(seed=1), make_quantiser(codes=16)):
        maker.quantiser = q
        with pytest.raises(KataError, match='not the one that the composer learned with'): maker.make([make_signal(n=160)])

# What comes next

@pytest.mark.parametrize('n', [1, 20, 21, 55])
def test_cached_is_uncached(n):
    net, task = make_composer(make_quantiser().book), torch.randint(6, (3, n))
    assert torch.equal(net.compose(task, seed=2), net.compose(task, seed=2, cached=False))

def test_drawing_is_what_the_scores_say(monkeypatch):
    net, task = make_composer(make_quantiser().book), torch.randint(6, (2, 20))
    monkeypatch.setattr(torch, 'multinomial', lambda p, n, generator: p.argmax(-1, keepdim=True))
    codes = net.compose(task)
    assert torch.equal(net(codes, task).argmax(-1), codes)
    assert len(codes.unique()) > 2

def test_nobody_sees_the_future():
    net, codes, task = make_composer(make_quantiser().book), torch.randint(8, (2, 20, 3)), torch.randint(6, (2, 20))
    changed = codes.clone()
    changed[:, 7, 1] = (changed[:, 7, 1] + 1) % 8
    moved = (net(codes, task) - net(changed, task)).abs().amax((0, 3))
    assert moved[:7].max() == 0 and moved[7, :2].max() == 0 and moved[7, 2] > 0 and moved[8:12].min() > 0
    later = task.clone()
    later[:, 7] = (later[:, 7] + 1) % 6
    moved = (net(codes, task) - net(codes, later)).abs().amax((0, 2, 3))
    assert moved[:7].max() == 0 and moved[7] > 0  # the condition is that of the patch that is guessed

def test_scores_are_a_normal_density_at_first():
    book = make_quantiser().book
    net = make_composer(book)
    for p in (net.free, net.second, net.direct): torch.nn.init.zeros_(p)
    mean, width = torch.tensor([0.5, -0.2]), 0.7
    with torch.no_grad(): net.bias[:, :5] = torch.tensor([*mean/width**2, -0.5/width**2, 0., -0.5/width**2])
    normal = torch.distributions.Normal(mean, width).log_prob(book).sum(-1).softmax(-1)
    torch.testing.assert_close(net(torch.zeros(1, 1, 3, dtype=torch.long), torch.zeros(1, 1, dtype=torch.long))[0, 0].softmax(-1), normal)

def test_learning_lowers_the_loss(trained):
    maker, signals, loss = trained
    assert np.mean(loss[-5:]) < np.mean(loss[:3]) - 0.2
    new = make_signal(run=3, condition=blocks(3200))
    assert code_loss(maker.composer, maker.quantiser, [new]) < np.log(16) - 0.2
    shuffled = replace(new, x=new.x[:, torch.randperm(400).repeat_interleave(8)*8 + torch.arange(8).repeat(400)])
    assert code_loss(maker.composer, maker.quantiser, [new]) < code_loss(maker.composer, maker.quantiser, [shuffled])

def test_windows_need_signals_that_hold_one(trained):
    maker, signals, _ = trained
    with pytest.raises(ShapeError, match='the longest of 2 signals has 20 patches, and a window has 32'):
        train_composer(maker.quantiser, [s.crop(0, 1) for s in signals], Config(max_len=32))

def test_conditions_of_patches_are_those_of_their_middle():
    assert patch_conditions(torch.tensor([0, 0, 1, 1, 1, 1, 2, 2, 3]), 4).tolist() == [1, 2]

def test_what_is_made_follows_the_schedule_and_no_more(trained):
    maker, signals, _ = trained
    like = [make_signal(4, 1001, condition=blocks(1001)), make_signal(6, 700)]
    one, two = maker.make(like, seed=1), maker.make([replace(s, x=0*s.x) for s in like], seed=1)
    for a, b, s in zip(one, two, like):
        assert torch.equal(a.x, b.x) and a.x.shape == s.x.shape and a.x.isfinite().all() and torch.equal(a.condition, s.condition)
        assert (a.seen, a.run, a.channels) == ((1, 2, 5, 9), s.run, NAMES)
    assert not torch.equal(one[0].x, maker.make(like, seed=2)[0].x)
    torch.testing.assert_close(one[0].x, maker.make(like, seed=1, cached=False)[0].x)

def test_a_schedule_becomes_a_table_of_microvolts():
    assert make_silence(('open', 'fists'), 0.1).condition.tolist() == [0]*16 + [CONDITIONS.index('fists')]*16
    torch.manual_seed(0)
    maker = Maker(Config(groups=2, width=16, depth=1, heads=2)).eval()
    head, *rows = write_signal(maker, 'closed feet', 0.5, seed=3).split('\n')
    assert tuple(head.split(',')) == maker.quantiser.channels and len(rows) == 160 and all(r.count(',') == 63 for r in rows)
    made = maker.make([make_silence(('closed', 'feet'), 0.5)], 3)[0]
    np.testing.assert_allclose(np.array([r.split(',') for r in rows], float).T, made.x, atol=0.051)
    with pytest.raises(DataError, match="unknown condition 'fist'; did you mean 'fists'"): make_silence(('fist',))
    with pytest.raises(DataError, match='an empty schedule; needed conditions, of open, closed'): write_signal(maker, ' ')

# Vector autoregressions

PROCESS = np.concatenate([np.array([[0.9, 0.2], [0., 0.5]]), np.array([[-0.5, 0.], [0.1, 0.]])], 1), np.array([[1., 0.], [0.5, 0.5]])

def run_process(n, seed=0, condition=None):
    condition = torch.zeros(n, dtype=torch.long) if condition is None else condition
    return Signal(run_var([PROCESS]*6, condition, seed), condition, ('a', 'b'), torch.zeros(2, 3), 160., 1)

def test_a_known_process_is_found():
    for weights, noise in fit_var([run_process(60_000)], 2):  # conditions that do not occur get the pooled one
        np.testing.assert_allclose(weights, PROCESS[0], atol=0.03)
        np.testing.assert_allclose(noise, PROCESS[1], atol=0.03)

def test_least_squares_is_numpys():
    s = run_process(900)
    x = s.x.double().numpy()
    lagged = np.concatenate([x[:, 1:-1], x[:, :-2]]).T
    np.testing.assert_allclose(fit_var([s], 2, prior=1)[0][0], np.linalg.lstsq(lagged, x[:, 2:].T, rcond=None)[0].T, atol=1e-6)

def test_each_condition_has_its_own():
    k = torch.arange(60_000)//5000 % 2
    loud = (PROCESS[0], 3*PROCESS[1])
    x = run_var([PROCESS, loud, *[PROCESS]*4], k)
    found = fit_var([Signal(x, k, ('a', 'b'), torch.zeros(2, 3), 160., 1)], 2, prior=100)
    assert abs(found[0][1][0, 0] - 1) < 0.1 and abs(found[1][1][0, 0] - 3) < 0.2

def test_what_runs_has_the_spectrum_of_the_process():
    x = run_process(160_000).x.double().numpy()
    f, power = scipy.signal.welch(x, 1, nperseg=256)
    turn = np.exp(-2j*np.pi*f)[:, None, None]
    gain = np.linalg.inv(np.eye(2) - PROCESS[0][:, :2]*turn - PROCESS[0][:, 2:]*turn**2) @ PROCESS[1]
    truth = 2*(np.abs(gain)**2).sum(2).T
    assert np.abs(np.log(power[:, 3:-3]/truth[:, 3:-3])).mean() < 0.05

def test_what_grows_or_is_too_short_is_refused():
    with pytest.raises(KataError, match='grows without bound'): run_var([(1.1*np.eye(2), np.eye(2))]*6, torch.zeros(2000, dtype=torch.long))
    with pytest.raises(ShapeError, match='10 samples and order=16'): fit_var([run_process(10)])

# What is looked at

def test_coherence_is_scipys():
    s = make_signal(n=4000)
    freqs, ours = coherence(s.x, 160.)
    for i, j in ((0, 1), (2, 3)):
        f, theirs = scipy.signal.coherence(s.x[i].double(), s.x[j].double(), 160., nperseg=160, noverlap=80)
        np.testing.assert_allclose(ours[:, i, j], theirs, atol=1e-8)
    assert torch.allclose(freqs, torch.arange(81.)) and torch.allclose(ours[1:, 0, 0], torch.ones(80, dtype=torch.double))
    with pytest.raises(ShapeError, match='at least three seconds'): coherence(s.x[:, :300], 160.)

def test_descriptions_of_noise_are_known():
    noise = replace(make_signal(n=16_000), x=3*torch.randn(4, 16_000, generator=torch.Generator().manual_seed(0)))
    found = describe(noise)
    assert abs(found['kurtosis'] - 3) < 0.1 and abs(found['directions'] - 4) < 0.1 and found['bursts'] < 0.06 and found['correlation, mean size'] < 0.3
    assert abs(found['alpha power (dB)'] - 10*np.log10(9*2/160)) < 0.5
    assert abs(describe(replace(noise, x=10*noise.x))['beta power (dB)'] - found['beta power (dB)'] - 20) < 1e-3

def test_movements_are_cut_at_their_start():
    s = make_signal(6, condition=blocks(3200))
    moves = cut_movements([s])
    assert moves.y.tolist() == [0, 1, 0, 1] and moves.x.shape == (4, 4, 801) and moves.tmin == -1
    assert torch.equal(moves.x[2], s.x[:, 1440:2241])
    with pytest.raises(DataError, match=r'none of runs \[1\] has a start of fists or feet'): cut_movements([make_signal()])

# Judges

def noise_runs(seed, runs=(4, 6, 8, 10), seen=(), gain=1.):
    return [replace(make_signal(r, seed=seed), x=gain*make_signal(r, seed=seed).x, seen=seen) for r in runs]

@pytest.mark.parametrize('fit', [fit_statistics, partial(fit_network, epochs=40)], ids=['statistics', 'network'])
def test_a_judge_is_at_chance_where_there_is_nothing_and_sees_what_was_planted(fit):
    same = judge(noise_runs(0), noise_runs(1), fit, folds=2)
    louder = judge(noise_runs(0), noise_runs(1, gain=2.), fit, folds=2)
    assert same.shape == (4,) and abs(same.mean() - 0.5) < 0.25 and louder.mean() > 0.85 and louder.mean() > same.mean() + 0.2

def test_a_leak_is_caught():
    with pytest.raises(KataError, match=r'has learned from runs \[6, 8\]'): judge(noise_runs(0), noise_runs(1, seen=(5, 6, 8)))
    copied = noise_runs(1)
    copied[2] = replace(copied[2], x=torch.cat([copied[2].x[:, :1600], noise_runs(0)[0].x[:, :1600]], 1))
    with pytest.raises(KataError, match='20 stretches of half a second are the same'): judge(noise_runs(0), copied)

@pytest.mark.parametrize('change, says', [
    (lambda m: [*m[:-1], m[-1].pick(NAMES[::-1])], 'bring them together'),
    (lambda m: [replace(s, rate=200.) for s in m], 'at 160 Hz beside run 4 with 4 channels at 200 Hz'),
    (lambda m: m[:-1], '4 recorded and 3 made runs')])
def test_a_difference_of_form_is_refused(change, says):
    with pytest.raises(KataError, match=says): judge(noise_runs(0), change(noise_runs(1)))

# Signals

def test_signals_are_cut_and_picked():
    s = make_signal(condition=blocks(3200))
    part = s.crop(1, 3).pick(['Oz', 'Fz'])
    assert torch.equal(part.x, s.x[[3, 0], 160:480]) and part.channels == ('Oz', 'Fz') and torch.equal(part.positions, s.positions[[3, 0]])
    with pytest.raises(ShapeError, match='the signal lasts 20 s; give seconds'): s.crop(0, 3200)
    with pytest.raises(DataError, match=r"channels \['Cz'\] are not among the 4"): s.pick(['Cz'])

def test_a_run_knows_what_was_asked_for(monkeypatch, tmp_path):
    monkeypatch.setenv('KATA_RUN_DIR', str(tmp_path))
    load_signal.cache_clear()
    s, closed = load_signal(6, 'made'), load_signal(2, 'made')
    assert set(s.condition.tolist()) == {CONDITIONS.index(c) for c in ('open', 'fists', 'feet')} and set(closed.condition.tolist()) == {1}
    assert s.condition[:600].tolist() == [0]*600 and s.condition[700] > 1 and s.x.shape[0] == 64 and s.x.mean(1).abs().max() < 0.5
    load_signal.cache_clear()
