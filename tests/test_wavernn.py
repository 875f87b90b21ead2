"WaveRNN: the one pass against the equations, the compiled loop against both, pruning, subscale, statistics, broken input."
import math
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import kata_blog.wavernn as wavernn
from kata_blog.core import DataError, KataError, ShapeError
from kata_blog.sound import Frames, say
from kata_blog.wavernn import (Config, Mel, PrunedAdam, Sampler, WaveRNN, check_wave, cut_pieces, from_codes, keep_largest, load_voice, mel_of,
    nats_of, pack_blocks, score, to_codes, train_wavernn)

WAVE = say('seven')
MEL = mel_of(WAVE)

def network(factor=1, units=32, seed=0):
    "A network whose guesses are far from even, so that a slip shows."
    torch.manual_seed(seed)
    model = WaveRNN(units, factor).eval()
    with torch.no_grad():
        for p in model.parameters(): p.mul_(2)
        model.gru.bias_hh_l0.normal_()
        for head in (model.coarse, model.fine): head[2].bias.normal_(0, 2)
    return model

def pick(logits, u): return int((logits.softmax(0).double().cumsum(0) <= u).sum().clamp(max=255))

@torch.no_grad()
def step_by_step(model, mel, n, u=None, codes=None):
    "The paper's equations, one sample after another, coarse half first; draws with `u`, or scores `codes`."
    gru, half, u3 = model.gru, model.units//2, model.units
    R, b_R, b_I, I = gru.weight_hh_l0, gru.bias_hh_l0, gru.bias_ih_l0, gru.weight_ih_l0
    guide = model.guide(mel.values[None])[0]
    h, c, f, made, nats = torch.zeros(u3), 128, 0, [], []
    def state(x, units):
        r, z, e = (slice(k*u3 + units.start, k*u3 + units.stop) for k in range(3))
        reset, update = torch.sigmoid(R[r] @ h + b_R[r] + I[r] @ x + b_I[r]), torch.sigmoid(R[z] @ h + b_R[z] + I[z] @ x + b_I[z])
        new = torch.tanh(reset*(R[e] @ h + b_R[e]) + I[e] @ x + b_I[e])
        return update*h[units] + (1 - update)*new
    for t in range(n):
        before = torch.tensor([c/127.5 - 1, f/127.5 - 1])
        first = state(torch.cat([before, torch.zeros(1), guide[t//80]]), slice(0, half))
        logits = model.coarse(first)
        c = pick(logits, u[t, 0]) if codes is None else int(codes[t])//256
        second = state(torch.cat([before, torch.tensor([c/127.5 - 1]), guide[t//80]]), slice(half, u3))
        logits = logits, model.fine(second)
        f = pick(logits[1], u[t, 1]) if codes is None else int(codes[t]) % 256
        h = torch.cat([first, second])
        made.append(256*c + f)
        nats.append([-logits[0].log_softmax(0)[c].item(), -logits[1].log_softmax(0)[f].item()])
    return torch.tensor(made), torch.tensor(nats)

def test_one_pass_is_the_equations_step_by_step():
    model, codes = network(), to_codes(WAVE[:240])
    with torch.no_grad(): found = nats_of(model(codes[None], MEL.values[None]), codes[None])[0]
    torch.testing.assert_close(found, step_by_step(model, MEL, 240, codes=codes)[1], atol=2e-5, rtol=1e-5)

def test_the_coarse_half_does_not_see_itself_and_the_fine_one_does():
    model, codes = network(), to_codes(WAVE[:80])
    other = codes.clone()
    other[40] = 256*(codes[40]//256 ^ 1) + codes[40] % 256
    with torch.no_grad(): a, b = (model(c[None], MEL.values[None])[0] for c in (codes, other))
    assert torch.equal(a[:40], b[:40]) and torch.equal(a[40, 0], b[40, 0])
    assert not torch.equal(a[40, 1], b[40, 1]) and not torch.equal(a[41, 0], b[41, 0])

@pytest.mark.parametrize('factor', [2, 4, 16])
def test_subscale_sees_only_what_is_drawn_before(factor):
    "A changed sample may change only its own fine half and what the fold draws later."
    model, codes, at = network(factor), to_codes(WAVE[:160]), 81
    other = codes.clone()
    other[at] ^= 256
    with torch.no_grad(): a, b = (model(c[None], MEL.values[None])[0] for c in (codes, other))
    changed = ((a != b).flatten(1).any(1)).nonzero()[:, 0].tolist()
    i, s, lag = at//factor, at % factor, model.reach//factor + 1
    when = lambda t: t//factor + (t % factor)*lag
    assert changed and all(when(t) > when(at) or t == at for t in changed)
    assert torch.equal(a[at, 0], b[at, 0]) and any(t < at for t in changed) == (s < factor - 1)

@pytest.mark.parametrize('factor', [1, 4, 16])
def test_the_compiled_loop_draws_from_what_the_one_pass_says(factor):
    model = network(factor)
    codes, nats = Sampler(model).draw(MEL, 480, np.random.default_rng(0).random((480, 2)))
    with torch.no_grad(): found = nats_of(model(codes[None], MEL.values[None]), codes[None])[0]
    torch.testing.assert_close(found.double(), nats, atol=1e-4, rtol=1e-4)

def test_factor_1_is_plain_sampling():
    model, u = network(factor=1), np.random.default_rng(1).random((300, 2))
    assert torch.equal(Sampler(model).draw(MEL, 300, u)[0], step_by_step(model, MEL, 300, u=u)[0])

@pytest.mark.parametrize('sparsity', [0., 0.5, 0.95, 1.])
@pytest.mark.parametrize('rows', [1, 5])
def test_sparse_product_is_the_dense_one_with_zeros(sparsity, rows):
    g = torch.Generator().manual_seed(0)
    weight, x = torch.randn(96, 70, generator=g), torch.randn(rows, 70, generator=g)
    weight = weight*keep_largest(weight, sparsity)
    y = np.zeros((rows, 6, 16), np.float32)
    for zeros in (False, True):
        blocks = pack_blocks(weight, zeros)
        assert len(blocks[1]) == (6*70 if zeros else round((1 - sparsity)*6*70))
        y[:] = 1
        wavernn._call('multiply', blocks, x.numpy(), y)
        torch.testing.assert_close(torch.from_numpy(y.reshape(rows, 96)), 1 + x @ weight.T, atol=1e-5, rtol=1e-5)

def test_a_pruned_network_draws_the_same_with_and_without_its_zeros():
    model, u = network(units=64), np.random.default_rng(0).random((400, 2))
    with torch.no_grad(): model.gru.weight_hh_l0.mul_(keep_largest(model.gru.weight_hh_l0, 0.9))
    assert torch.equal(*(Sampler(model, zeros).draw(MEL, 400, u)[0] for zeros in (False, True)))

def test_exp_is_the_exponential():
    x = np.concatenate([np.linspace(-79, 79, 4001), [-1e9, 1e9]]).astype(np.float32)
    y = x.copy()
    wavernn._call('exp', y, len(y))
    np.testing.assert_allclose(y, np.exp(x.clip(-80, 80).astype(np.float64)), rtol=1e-5)

def test_draws_have_the_frequencies_of_the_softmax():
    "A goodness of fit over the first coarse half: 20,000 first samples."
    model = network()
    with torch.no_grad(): p = model(to_codes(WAVE[:1])[None], MEL.values[None])[0, 0, 0].softmax(0).double()
    n, sampler = 4000, Sampler(model)
    u = np.random.default_rng(0).random((n, 1, 2))
    counts = torch.bincount(torch.stack([sampler.draw(MEL, 1, one)[0] for one in u])[:, 0]//256, minlength=256).double()
    likely = p*n >= 5
    seen, due = torch.cat([counts[likely], counts[~likely].sum()[None]]), torch.cat([p[likely], p[~likely].sum()[None]])*n
    chi = ((seen - due)**2/due).sum()
    free = len(due) - 1
    assert abs(chi - free) < 4*math.sqrt(2*free)

def test_pruning_keeps_the_largest_blocks_and_follows_the_schedule():
    weight = torch.ones(32, 4)
    weight[16:, 2] = 3
    weight[0, 1] = 20  # one large weight in a block of small ones: mean 2.2
    assert keep_largest(weight, 0.75).nonzero().tolist() == [[r, 1] for r in range(16)] + [[r, 2] for r in range(16, 32)]
    opt = PrunedAdam(WaveRNN(32), 1e-3, 0.9, 100)
    assert [round(opt.target(s), 4) for s in (1, 10, 40, 70, 100)] == [0, 0, 0.9*(1 - 0.5**3), 0.9, 0.9]

def test_training_learns():
    made = train_wavernn(Config('made', 'low', units=32, steps=60))
    assert np.mean(made['loss'][-10:]) < np.mean(made['loss'][:10]) - 0.1
    model = WaveRNN(32)
    model.load_state_dict(made['weights'])
    voice = load_voice('made', 'low')
    assert score(model.eval(), voice['test']) == pytest.approx(made['test'], abs=1e-4)
    assert score(model, voice['test'][:7], bs=1) == pytest.approx(score(model, voice['test'][:7], bs=7), abs=1e-4)

def test_training_prunes_each_gate():
    made = train_wavernn(Config('made', 'low', units=32, sparsity=0.9, steps=20, bs=4))
    kept = [len(pack_blocks(gate)[1])/(2*32) for gate in made['weights']['gru.weight_hh_l0'].chunk(3)]
    assert kept == [6/64]*3

def test_pruning_is_taken_up_after_a_stop():
    def run(stop):
        torch.manual_seed(0)
        model = WaveRNN(32)
        opt, codes = PrunedAdam(model, 1e-3, 0.9, 20), to_codes(WAVE[:160])[None]
        for step in range(20):
            if step == stop:
                kept, states = model.state_dict(), opt.state_dict()
                model = WaveRNN(32)
                model.load_state_dict(kept)
                opt = PrunedAdam(model, 1e-3, 0.9, 20)
                opt.load_state_dict(states)
            opt.zero_grad()
            nats_of(model(codes, MEL.values[None]), codes).mean().backward()
            opt.step()
        return model.gru.weight_hh_l0
    assert torch.equal(run(None), run(13))

@pytest.mark.parametrize('x, rate, error, words', [
    (WAVE, 16000, DataError, '16000 samples a second, and these frames are made at 8000; resample'),
    (torch.stack([WAVE, WAVE]), 8000, ShapeError, 'needs one channel'),
    (WAVE[:0], 8000, ShapeError, 'at least one sample'),
    (0*WAVE, 8000, DataError, 'silence at 16 bits; leave it out'),
    ((20*WAVE).clamp(-1, 1), 8000, DataError, 'the recording is clipped; leave it out, or record it softer'),
    (3*WAVE, 8000, ShapeError, 'divide by the largest'),
    ((WAVE*32767).short(), 8000, ShapeError, 'divide 16-bit samples by 32768'),
])
def test_waves_that_are_refused(x, rate, error, words):
    with pytest.raises(error, match=words): check_wave(x, rate)

@pytest.mark.parametrize('mel, n, words', [
    (MEL, 0, 'n=0 samples; needs 1 to'),
    (MEL, -80, 'n=-80 samples'),
    (MEL, 10**6, 'leave n out for all of them'),
    (mel_of(WAVE, frames=Frames(n_mels=20)), 80, 'n_mels=20, and the vocoder was trained with n_mels=40; make them with mel_of'),
    (mel_of(WAVE, frames=Frames(step=40)), 80, 'step=40, and the vocoder was trained with step=80'),
    (MEL.values, 80, 'needs a Mel, which knows its settings'),
])
def test_requests_that_are_refused(mel, n, words):
    with pytest.raises(KataError, match=words): Sampler(network())(mel, n)

@pytest.mark.parametrize('call, words', [
    (lambda: WaveRNN(50), 'units=50; needs a multiple of 32.*take 64'),
    (lambda: WaveRNN(32, factor=3), 'factor=3 does not divide'),
    (lambda: keep_largest(torch.ones(20, 4), 0.5), '20 outputs do not divide into blocks of 16'),
    (lambda: pack_blocks(torch.ones(20, 4)), '20 outputs do not divide'),
    (lambda: load_voice('made', 'lo'), "did you mean 'low'"),
    (lambda: cut_pieces([(to_codes(WAVE), MEL.values)], 100), 'window=100 is no multiple of step=80; take 80'),
    (lambda: cut_pieces([(to_codes(WAVE), MEL.values)], 80_000), 'no recording has window=80000 samples'),
])
def test_other_mistakes_are_named(call, words):
    with pytest.raises(KataError, match=words): call()

def test_without_numba_the_word_is_clear(monkeypatch):
    wavernn._kernels.cache_clear()
    monkeypatch.setitem(sys.modules, 'numba', None)
    with pytest.raises(KataError, match='numba is missing.*pip install'): Sampler(network())(MEL, 80)
    wavernn._kernels.cache_clear()

def test_codes_and_back():
    x = torch.tensor([-1., -0.5, 0., 2**-15, 1.])
    assert to_codes(x).tolist() == [0, 16384, 32768, 32769, 65535]
    assert torch.equal(to_codes(from_codes(torch.arange(65536))), torch.arange(65536))
