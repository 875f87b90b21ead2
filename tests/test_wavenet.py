"What the post on WaveNet exports: sampling with a cache against the whole network, the receptive field, the codebook, bad recordings."
import math
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence

import kata_blog
from kata_blog import wavenet
from kata_blog.core import DataError, KataError, ShapeError
from kata_blog.sound import load_clips, mu_law_encode, say, split_by_index
from kata_blog.train import load_weights, save_weights
from kata_blog.wavenet import Autoencoder, Codes, Config, Quantiser, Sampler, WaveNet, describe, generate, make_loud, perplexity, pool, score, shake, train_wavenet

WEIGHTS = Path(kata_blog.__file__).parent/'weights'/'wavenet.safetensors'
tiny = Config(data='made', dilations=(1, 2), width=4, skip=4, n_codes=8, dim=4, bs=16, window=2)

def make(dilations=(1, 2, 4, 8), seed=0, **more):
    torch.manual_seed(seed)
    model = WaveNet(dilations, **dict(width=6, skip=10, levels=32) | more).eval()
    for p in model.parameters(): torch.nn.init.normal_(p, std=0.4)  # nothing is 0
    return model

def levels(b, t, n=32, seed=0): return torch.randint(n, (b, t), generator=torch.Generator().manual_seed(seed))

def auto(kind='vq', seed=0, **more):
    torch.manual_seed(seed)
    return Autoencoder(replace(tiny, kind=kind, **more), n_speakers=3).eval()

@pytest.fixture(autouse=True, scope='module')
def clips():
    "Two of the made words by each of three voices, which is what a training sees here."
    whole = load_clips('made')
    few = whole.y < 2
    few = replace(whole, **{name: getattr(whole, name)[few] for name in ('x', 'length', 'y', 'speaker', 'index')})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wavenet, 'load_clips', lambda name: few)
        yield few

# --- the network

@pytest.mark.parametrize('dilations', [(1,), (3,), (1, 2, 4), (5, 1, 3)])
def test_the_network_is_convolutions_of_two_taps(dilations):
    model, x = make(dilations), levels(2, 40)
    h, found = F.embedding(F.pad(x[:, :-1], (1, 0), value=16), model.embed.weight).transpose(1, 2), []
    for i, d in enumerate(dilations):
        w = model.gates[i].weight
        taps = torch.stack([w[:, :6], w[:, 6:]], 2)
        z = F.conv1d(F.pad(h, (d, 0)), taps, model.gates[i].bias, dilation=d)
        found.append(z[:, :6].tanh()*z[:, 6:].sigmoid())
        if i + 1 < len(dilations): h = h + F.conv1d(found[-1], model.mixes[i].weight[..., None])
    out = torch.cat(found, 1).transpose(1, 2)
    for layer in (model.skip, model.hidden): out = layer(out).relu()
    torch.testing.assert_close(model(x), model.head(out), atol=1e-5, rtol=1e-5)

@pytest.mark.parametrize('dilations', [(1,), (1, 2, 4, 8), (1, 2, 4)*2, (7, 2)])
def test_the_receptive_field_is_what_gradients_reach(dilations):
    model, n, kept = make(dilations), 60, {}
    model.embed.register_forward_hook(lambda m, i, out: kept.update(x=out) or out.retain_grad())
    at = 45
    model(levels(1, n))[0, at].square().sum().backward()
    sway = kept['x'].grad[0].norm(dim=1)  # row i is sample i - 1
    reached = {at - sum(c) for c in subsets(dilations)}
    assert {i for i, s in enumerate(sway.tolist()) if s} == reached
    assert model.field == at - min(reached) + 1

def subsets(items): return [()] if not items else [s + t for s in subsets(items[1:]) for t in ((), items[:1])]

def test_no_guess_depends_on_its_sample_or_a_later_one():
    model, x = make(), levels(1, 50)
    y = x.clone()
    y[:, 30:] = (y[:, 30:] + 7) % 32
    a, b = model(x), model(y)
    assert torch.equal(a[:, :31], b[:, :31]) and not torch.allclose(a[:, 31], b[:, 31])

def test_what_is_told_sways_its_own_frame_first():
    model, x, told = make(told=3, hop=10), levels(1, 40), torch.randn(1, 4, 3)
    other = told.clone()
    other[:, 2] += 1
    a, b = model(x, told), model(x, other)
    assert torch.equal(a[:, :20], b[:, :20]) and not torch.allclose(a[:, 20], b[:, 20])

# --- sampling

@pytest.mark.parametrize('bs', [1, 3])
@pytest.mark.parametrize('dilations', [(1,), (1, 2, 4, 8, 16), (1, 2, 4)*2, (5, 1, 3)])
@pytest.mark.parametrize('told', [0, 3])
def test_cached_logits_are_the_whole_networks(dilations, bs, told):
    model, x = make(dilations, told=told, hop=10), levels(bs, 90)
    frames = torch.randn(bs, 9, 3) if told else None
    sampler = Sampler(model).start(bs, frames)
    cached = np.stack([sampler.step(c) for c in F.pad(x[:, :-1], (1, 0), value=16).T.numpy()])
    assert np.abs(cached.transpose(2, 0, 1) - model(x, frames).detach().numpy()).max() < 1e-5

def test_a_large_network_is_sampled_within_the_tolerance():
    torch.manual_seed(0)
    model, x = WaveNet(tuple(2**i for i in range(9)), 64, 128).eval(), levels(1, 700, 256)
    sampler = Sampler(model).start()
    cached = np.stack([sampler.step(c) for c in F.pad(x[:, :-1], (1, 0), value=128).T.numpy()])
    assert np.abs(cached[..., 0] - model(x)[0].detach().numpy()).max() < 1e-5

def test_the_likeliest_is_what_the_whole_network_says():
    model, told = make(told=3, hop=10), torch.randn(2, 5, 3)
    made = generate(model, 50, told, temperature=0)
    assert torch.equal(model(made, told).argmax(2), made)

def test_a_start_forgets_what_was_before():
    sampler = Sampler(make()).start()
    first = [sampler.step(np.array([c])).copy() for c in (3, 9, 20)]
    sampler.start()
    assert all((sampler.step(np.array([c])) == f).all() for c, f in zip((3, 9, 20), first))

@pytest.mark.parametrize('temperature', [1, 0.5])
def test_draws_are_as_frequent_as_the_logits_say(temperature):
    model = make((1,), levels=8)
    torch.nn.init.zeros_(model.skip.weight)  # the same logits at every step
    p = (model(torch.zeros(1, 1, dtype=torch.long))[0, 0]/temperature).softmax(0).detach().numpy()
    n = 20_000
    seen = np.bincount(generate(model, n, temperature=temperature, seed=1)[0].numpy(), minlength=8)
    assert (np.abs(seen/n - p) < 4*np.sqrt(p*(1 - p)/n) + 1e-4).all() and p.max() < 0.999

def test_the_same_seed_draws_the_same():
    model = make()
    assert torch.equal(generate(model, 30, seed=3), generate(model, 30, seed=3)) and not torch.equal(generate(model, 30, seed=3), generate(model, 30, seed=4))

# --- the codebook

def test_the_gradient_goes_straight_through():
    torch.manual_seed(0)
    vq = Quantiser(16, 5).eval()
    h, upstream = torch.randn(2, 7, 5, requires_grad=True), torch.randn(2, 7, 5)
    q, loss, index = vq(h)
    got, = torch.autograd.grad((q*upstream).sum(), h, retain_graph=True)
    torch.testing.assert_close(got, upstream/math.sqrt(1 + 1e-5))  # only the scale of the norm
    pull, = torch.autograd.grad(loss, h)
    torch.testing.assert_close(pull, 2*0.25*(h.detach() - vq.rows[index])/14, atol=1e-5, rtol=1e-4)
    assert torch.equal(q.detach(), (h + (vq.rows[index] - h)).detach()) or torch.allclose(q.detach(), vq.rows[index])

def test_the_nearest_row_is_taken():
    vq, h = Quantiser(16, 5).eval(), torch.randn(2, 7, 5)
    index = vq(h)[2]
    for i in range(2):
        for j in range(7): assert index[i, j] == ((vq.norm(h[i, j:j + 1]) - vq.rows)**2).sum(1).argmin()

def test_rows_follow_the_mean_of_what_chose_them():
    torch.manual_seed(0)
    vq, h = Quantiser(4, 3, decay=0.5, revive=False), torch.randn(1, 200, 3)
    rows = vq.rows.clone()
    index = vq(h)[2][0]
    seen = vq.norm.eval()(h[0])
    seen = (h[0] - h[0].mean(0))/(h[0].var(0, unbiased=False) + 1e-5).sqrt()
    for k in range(4):
        chosen = seen[index == k]
        assert len(chosen) > 0
        torch.testing.assert_close(vq.rows[k], (rows[k] + chosen.sum(0))/(1 + len(chosen)), atol=1e-4, rtol=1e-4)

def test_idle_rows_are_moved_or_stay():
    kept = {}
    for revive in (True, False):
        torch.manual_seed(0)
        vq = Quantiser(32, 2, revive=revive)
        vq.rows[16:] += 50; vq.total[16:] += 50
        before = vq.rows.clone()
        for _ in range(200): index = vq(torch.randn(1, 400, 2))[2]
        kept[revive] = (vq.rows[16:] - before[16:]).norm(dim=1), perplexity(index, 32)
    assert (kept[True][0] > 10).all() and (kept[False][0] < 1e-3).all() and kept[True][1] > 1.5*kept[False][1]

@pytest.mark.parametrize('index, n, expected', [([0, 1, 2, 3], 4, 4), ([5, 5, 5], 8, 1), ([0, 1], 64, 2), ([0, 0, 0, 1], 2, 1.7547653506)])
def test_perplexity(index, n, expected): assert perplexity(torch.tensor(index), n) == pytest.approx(expected)

def test_a_codebook_that_collapses_is_named():
    with pytest.warns(UserWarning, match=r'train_wavenet: the codebook has collapsed: of 512 rows it uses as many as \d+\.\d.*revive=True, or lower n_codes'): train_wavenet(replace(tiny, n_codes=512, revive=False))
    with warnings.catch_warnings():
        warnings.simplefilter('error', UserWarning)
        train_wavenet(replace(tiny, n_codes=4))

def test_jitter_takes_neighbours_and_no_others():
    torch.manual_seed(0)
    z = torch.arange(1000.)[None, :, None].expand(4, -1, 2)
    moved = (shake(z, 0.12) - z)[..., 0]
    assert set(moved.unique().tolist()) == {-1, 0, 1} and 0.1 < (moved != 0).float().mean() < 0.14
    assert torch.equal(shake(z, 0.), z)

# --- the autoencoder

def test_a_word_becomes_codes_and_sound_again():
    model, word = auto(), say('two')
    codes = model.encode(word)
    assert codes.n == len(word) and len(codes.index) == math.ceil(len(word)/160)
    made = model.decode(codes, 1)
    assert made.shape == word.shape and made.abs().max() <= 1 and torch.equal(made, model.decode(codes, 1))
    assert not torch.equal(made, model.decode(codes, 1, seed=1)) and not torch.equal(made, model.decode(codes, 2))
    for loudness in (0.01, 1.9): assert torch.equal(model.encode(word*loudness).index, codes.index)

def test_codes_belong_to_their_codebook(tmp_path, monkeypatch):
    model, word = auto(), say('two')
    codes = model.encode(word)
    with pytest.raises(KataError, match=f'the codes belong to the codebook {codes.book}, and this model has [0-9a-f]{{8}}; encode the recording anew'): auto(seed=1).decode(codes, 0)
    with pytest.raises(KataError, match=f'codebook {codes.book}, and this model has none'): auto('plain').decode(codes, 0)
    monkeypatch.setenv('KATA_WEIGHTS', str(tmp_path))
    save_weights(model, 'tiny')
    same = load_weights(auto(seed=1), 'tiny', tmp_path)  # in half precision
    assert same.vq.stamp() == codes.book and same.decode(codes, 0).shape == word.shape

def test_only_a_codebook_gives_codes():
    with pytest.raises(KataError, match="bottleneck 'plain', which has no codebook.*kind='vq'"): auto('plain').encode(say('two'))
    with pytest.raises(KataError, match="did you mean 'variational'"): auto('variationel')

@pytest.mark.parametrize('x, rate, error, says', [
    (torch.ones(800), 16000, DataError, r'16000 samples a second, needs 8000; resample it.*resample_poly\(x, 8000, 16000\)'),
    (torch.zeros(800), 8000, DataError, 'the recording is silent.*leave it out'), (torch.full((800,), 1e-6), 8000, DataError, 'silent'),
    (torch.ones(800), 8000, DataError, 'clipped, 100.0 % of its samples.*record it softer, or leave it out'), ((4*say('six')).clamp(-1, 1), 8000, DataError, r'clipped, \d+\.\d %'),
    (torch.ones(2, 800), 8000, ShapeError, r'\(2, 800\), needs one channel.*mean of the channels'), (torch.ones(800, 2), 8000, ShapeError, r'\(800, 2\)'),
    (torch.zeros(0), 8000, ShapeError, r'\(0,\)'), (torch.full((800,), 9, dtype=torch.int16), 8000, ShapeError, 'int16.*divide 16-bit samples by 32768'),
    (torch.full((800,), 2.), 8000, ShapeError, 'up to 2'), (torch.full((800,), torch.nan), 8000, ShapeError, 'up to nan')])
def test_recordings_that_are_refused(x, rate, error, says):
    with pytest.raises(error, match=says) as e: auto().encode(x, rate)
    assert str(e.value).startswith('check_recording: ')

@pytest.mark.parametrize('call, error, says', [
    (lambda: generate(make(), 0), KataError, 'n=0 samples; needs at least 1'), (lambda: generate(make(), -5), KataError, 'n=-5'),
    (lambda: generate(make(), 5, temperature=-1), KataError, 'temperature=-1; needs 0 or more'),
    (lambda: generate(make(told=3, hop=10), 51, torch.zeros(1, 5, 3)), ShapeError, 'n=51 samples, and it is told about 50; tell it more frames'),
    (lambda: generate(make(told=3), 5), KataError, 'told nothing, and the model was built to be told 3 numbers'),
    (lambda: Sampler(make()).start(1, torch.zeros(1, 5, 3)), KataError, 'built to be told nothing'),
    (lambda: make(())(levels(1, 5)), KataError, r'dilations=\(\), needs at least one'), (lambda: make((1, 0)), KataError, 'each 1 or more'),
    (lambda: make()(torch.zeros(1, 5)), ShapeError, 'float32.*mu_law_encode'), (lambda: make()(levels(1, 5)[0]), ShapeError, r'\(5,\)'),
    (lambda: make()(levels(1, 0)), ShapeError, 'at least one'), (lambda: make()(torch.tensor([[32]])), ShapeError, 'levels from 32 to 32, needs 0 to 31'),
    (lambda: make(told=3)(levels(1, 5)), KataError, 'told=nothing, and it was built with told=3'),
    (lambda: make()(levels(1, 160), torch.zeros(1, 1, 3)), KataError, 'built with told=0'),
    (lambda: make(told=3)(levels(1, 161), torch.zeros(1, 1, 3)), ShapeError, r'needs \(1, samples/160, 3\); pad the wave'),
    (lambda: auto().decode(auto().encode(say('two')), 3), KataError, r'speaker \[3\], and it knows the voices 0 to 2'),
    (lambda: auto().decode(auto().encode(say('two')), -1), KataError, 'voices 0 to 2')])
def test_what_cannot_be_is_named(call, error, says):
    with pytest.raises(error, match=says): call()

def test_noise_and_nats_of_the_variational_bottleneck():
    model = auto('variational')
    x = make_loud(torch.randn(2, 640, generator=torch.Generator().manual_seed(0)))
    sent = {}
    model.send.register_forward_hook(lambda m, i, out: sent.update(h=out))
    z, nats, index = model.latent(x)
    mean, log_var = sent['h'].chunk(2, 2)
    assert torch.equal(z, mean) and index is None
    torch.testing.assert_close(nats, kl_divergence(Normal(mean, (log_var/2).exp()), Normal(0., 1.)).sum(2).mean())
    model.train()
    assert not torch.equal(model.latent(x)[0], model.latent(x)[0])

def test_none_tells_nothing_of_the_recording():
    model = auto('none')
    assert not model.latent(make_loud(torch.randn(2, 640)))[0].any()

@pytest.mark.parametrize('parts', [1, 4])
def test_parts_are_means_of_their_frames(parts):
    z, n = torch.randn(6, 12, 3), torch.tensor([12, 8, 5, 4, 2, 1])
    for row, frames, k in zip(pool(z, n, parts), z, n.tolist()):
        for i, part in enumerate(row.view(parts, 3)):
            low = int(k*i/parts)
            torch.testing.assert_close(part, frames[low:max(int(k*(i + 1)/parts), low + 1)].mean(0))

# --- training

@pytest.fixture(scope='module')
def trained(): return {kind: train_wavenet(replace(tiny, kind=kind)) for kind in ('none', 'plain', 'variational', 'vq')}

def test_all_bottlenecks_train_and_are_scored(trained):
    for kind, run in trained.items():
        assert len(run['loss']) == 60//16 and run['features'].shape == (120, 16) and 0 < run['bits'] < 9
        assert (run['used'] is None) == (kind != 'vq') and (run['rate'] is None) == (kind == 'plain')
    assert trained['none']['rate'] == 0 and trained['vq']['rate'] == pytest.approx(50*math.log2(trained['vq']['used']))
    assert not trained['none']['features'].any() and trained['vq']['features'].any()

def test_the_same_seed_trains_the_same_network(trained):
    again, other = train_wavenet(replace(tiny, kind='plain')), train_wavenet(replace(tiny, kind='plain', seed=1))
    assert again['loss'] == trained['plain']['loss'] != other['loss'] and torch.equal(again['features'], trained['plain']['features'])

def test_bits_are_counted_over_the_recording_alone(trained, clips):
    model = Autoencoder(replace(tiny, kind='plain'), 3)
    model.load_state_dict(trained['plain']['weights'])
    row = split_by_index(clips).test[:1]
    n = clips.length[row].item()
    x = make_loud(clips.x[row, :n].float()/32768)
    x = F.pad(x, (0, -n % 160))
    logits = model.eval()(x, clips.speaker[row])[0][0, :n]
    nats = F.cross_entropy(logits, mu_law_encode(x)[0, :n])
    assert score(model, clips, row)['bits'] == pytest.approx(nats.item()/math.log(2), rel=1e-4)

def test_rows_are_described_in_their_order(trained, clips):
    model = Autoencoder(replace(tiny, kind='vq'), 3)
    model.load_state_dict(trained['vq']['weights'])
    found = describe(model.eval(), clips)
    for row in (0, 63, 119):
        n = clips.length[row].item()
        x = F.pad(make_loud(clips.x[row, :n].float()/32768), (0, -n % 160))
        z = model.latent(x[None])[0]
        alone = pool(z, torch.tensor([z.shape[1]]))[0]
        assert (found[row] - alone).norm() < 0.5*alone.norm()  # but for the silence that was added, which the last code may see

@pytest.mark.skipif(not WEIGHTS.exists(), reason='no run has been published')
def test_the_shipped_model_encodes_and_speaks():
    model = load_weights(Autoencoder(), 'wavenet')
    codes = model.encode(say('seven'))
    assert len(codes.index.unique()) > 5
    made = model.decode(Codes(codes.index[:5], 800, codes.book), 2)
    assert made.shape == (800,) and made.abs().max() > 0.01
