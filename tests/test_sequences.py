"What the post on sequences exports: codes of place, the network and its door, masked filling, trials, paired intervals."
import subprocess, sys
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from kata_blog.attention import sinusoids
from kata_blog.core import DataError, ShapeError
from kata_blog.eeg import Trials, decode, find_positions, laplacian, make_recording
from kata_blog import sequences
from kata_blog.sequences import (BRAIN, SITES, Config, Filler, SequenceNet, fit_brain, load_stretches, make_local, mirror_sites, paired_interval, place_codes, pretrain,
    train_brain, train_digits)

small = Config('executed fists or feet', 'made', BRAIN, width=16, depth=1, epochs=1, bs=6, fill_epochs=1)

@pytest.fixture(autouse=True)
def own_runs(monkeypatch, tmp_path): monkeypatch.setenv('KATA_RUN_DIR', str(tmp_path/'run'))

@pytest.fixture(scope='module')
def places():
    info = make_recording(1, 3, seconds=1).info
    return info['ch_names'], find_positions(info)

@pytest.fixture(scope='module')
def trials(places):
    "Thirty trials of noise in two runs, with a rhythm at 11 Hz over C3 in one of the classes."
    names, at = places
    g = torch.Generator().manual_seed(0)
    x, y = 5*torch.randn(30, 64, 801, generator=g), torch.arange(30) % 2
    x[:, names.index('C3')] += 12*y[:, None]*torch.sin(2*torch.pi*11*torch.arange(801)/160 + 6*torch.rand(30, 1, generator=g))
    return Trials(x, y, torch.arange(30)//15, torch.ones(30).long(), ('fists', 'feet'), tuple(names), at, 160., -1.)

@pytest.fixture
def net(trials):
    torch.manual_seed(0)
    local = make_local(trials)
    return SequenceNet(SITES, local.positions, BRAIN, 2, small).eval()

def frames(n=2, t=12, seed=0): return torch.randn(n, 11, 8, t, generator=torch.Generator().manual_seed(seed))

# --- places

def test_codes_are_sines_and_cosines_of_the_coordinates():
    at = torch.tensor([[0.1, 0., -0.05]])
    a = torch.tensor([1., 0., -0.5, 2., 0., -1., 4., 0., -2.])
    assert torch.allclose(place_codes(at), torch.cat([a.sin(), a.cos()])[None], atol=1e-6)
    assert torch.equal(place_codes(torch.zeros(1, 3))[0], torch.tensor([0.]*9 + [1.]*9))

@pytest.mark.parametrize('shape', [(3,), (2, 2), (1, 2, 3)])
def test_positions_of_another_shape_are_refused(shape):
    with pytest.raises(ShapeError, match=r'place_codes: got shape .*needs \(channels, 3\)'): place_codes(torch.zeros(shape))

def test_channels_without_a_position_are_named():
    at = torch.zeros(3, 3); at[1] = torch.nan
    with pytest.raises(DataError, match=r'channels \[1\] have no position.*set_montage'): place_codes(at)

def test_local_is_the_laplacian_of_the_EEG_post(trials):
    assert torch.equal(make_local(trials).x, laplacian(trials, SITES).x)
    assert torch.equal(make_local(trials, replace(small, neighbours=0)).x, trials.pick(SITES).x)

def test_the_opposite_of_the_opposite_is_itself():
    opposite = mirror_sites(SITES)
    assert torch.equal(opposite[opposite], torch.arange(11))
    assert [SITES[opposite[SITES.index(s)]] for s in ('C3', 'FC4', 'Cz', 'CP3')] == ['C4', 'FC3', 'Cz', 'CP4']

# --- the network

def test_patches_are_made_one_by_one(net):
    "By a loop over channels and patches, with the sums written out."
    f = frames()
    net.standardise_(frames(20, seed=1)*3 + 5)
    with torch.no_grad():
        got = net.patches(f).unflatten(1, (11, 3))
        conv1, _, conv2 = net.stem
        for c in (0, 6, 10):
            x = F.pad((f[:, c] - net.mean[c])/net.sd[c], (1, 1))
            x = F.gelu(torch.stack([torch.einsum('bnk,onk->bo', x[..., i:i + 3], conv1.weight) + conv1.bias for i in range(12)], 2))
            for p in range(3):
                want = torch.einsum('bnk,onk->bo', x[..., 4*p:4*p + 4], conv2.weight) + conv2.bias
                want = want + sinusoids(3, 16)[p] + net.where(net.codes[c])
                assert torch.allclose(got[:, c, p], want, atol=1e-5)

def test_standardised_frames_have_mean_0_and_spread_1(net):
    f = frames(50)*torch.rand(11, 8, 1)*4 + 7
    net.standardise_(f)
    x = (f - net.mean)/net.sd
    assert x.mean((0, 3)).abs().max() < 1e-4 and (x.std((0, 3)) - 1).abs().max() < 1e-4

def test_a_silent_band_gives_no_infinity(net):
    f = frames(4); f[:, 3, 2] = -11.5
    assert net.standardise_(f)(f).isfinite().all()

def test_shuffled_channels_change_nothing_when_their_places_are_told(net):
    order = torch.randperm(11, generator=torch.Generator().manual_seed(2))
    at = torch.rand(11, 3)/10
    one, two = SequenceNet(SITES, at, BRAIN, 2, small).eval(), SequenceNet([SITES[i] for i in order], at[order], BRAIN, 2, small).eval()
    two.load_state_dict({**one.state_dict(), 'codes': two.codes})
    with torch.no_grad():
        assert torch.allclose(one(frames()), two(frames()[:, order]), atol=1e-5)
        assert not torch.allclose(one(frames()), one(frames()[:, order]), atol=1e-5)

def test_without_space_every_place_is_the_same(trials):
    flat = SequenceNet(SITES, make_local(trials).positions, BRAIN, 2, replace(small, space=False)).eval()
    with torch.no_grad(): assert torch.allclose(flat(frames()), flat(frames().flip(1)), atol=1e-5)

def test_patches_that_are_left_out_are_left_out(net):
    x = torch.arange(33.)[None, :, None].expand(2, 33, 16)
    kept = net.leave_out(x)[..., 0]
    assert kept.shape == (2, 23) and all(len(row.unique()) == 23 for row in kept)  # 33 less three tenths
    assert not torch.equal(kept[0].sort()[0], kept[1].sort()[0])

def test_noise_moves_whole_bands_and_only_in_training(net):
    net.noise = 0.5
    with torch.no_grad():
        quiet = net.patches(frames())
        assert torch.equal(quiet, net.patches(frames()))
        torch.manual_seed(1); moved = net.train().patches(frames())
        torch.manual_seed(1); want = net.eval().patches(frames() + 0.5*torch.randn(2, 11, 8, 1))
    assert torch.allclose(moved, want, atol=1e-5) and not torch.allclose(moved, quiet, atol=0.01)

def test_evaluation_leaves_nothing_out(net):
    with torch.no_grad(): assert torch.equal(net(frames()), net(frames()))
    net.train()
    with torch.no_grad(): assert not torch.equal(net(frames()), net(frames()))

@pytest.mark.parametrize('shape', [(11, 8, 12), (2, 10, 8, 12), (2, 11, 7, 12), (2, 11, 8, 3)])
def test_frames_of_another_shape_are_refused(net, shape):
    with pytest.raises(ShapeError, match='11 channels, 8 bands, 4 frames or more.*listen makes them'): net(torch.zeros(shape))

def test_a_position_for_each_channel():
    with pytest.raises(ShapeError, match='2 channels and 3 positions'): SequenceNet(['a', 'b'], torch.zeros(3, 3))

# --- the door

waves = torch.randn(2, 11, 640)

@pytest.mark.parametrize('x, channels, rate, error, says', [
    (waves[:, 1:], SITES[1:], 160, DataError, r"channels \['FC3'\] are missing of the 11.*interpolate_bads"),
    (torch.randn(2, 12, 640), (*SITES, 'Oz'), 160, DataError, r"channels \['Oz'\] are not among.*Trials.pick\(net.channels\)"),
    (waves, (*SITES[:9], SITES[10], SITES[9]), 160, DataError, 'another order than in training, number 9 is CP4 and was CPz.*pick'),
    (waves, SITES, 250, DataError, r'250 samples a second, and it was trained at 160.*raw.resample\(160\)'),
    (waves[0], SITES, 160, ShapeError, r'got waves \(11, 640\).*x\[None\]'),
    (waves[:, :10], SITES, 160, ShapeError, r'\(2, 10, 640\).*11 channels'),
    (waves.long(), SITES, 160, ShapeError, 'needs floats'),
    (waves[..., :120], SITES, 160, ShapeError, r'120 samples \(0.75 s\) are shorter than one patch, which takes 121'),
    (torch.full((1, 11, 640), torch.nan), SITES, 160, DataError, 'not finite.*find_faults')])
def test_what_is_not_of_the_kind_is_named(net, x, channels, rate, error, says):
    with pytest.raises(error, match=says) as e: net.listen(x, channels, rate)
    assert str(e.value).startswith('SequenceNet: ')

def test_the_shortest_wave_makes_one_patch(net):
    f = net.listen(waves[..., :121], SITES, 160)
    assert f.shape == (2, 11, 8, 4) and net(f).shape == (2, 2)

def test_a_microphone_is_a_channel_without_a_name():
    ear = SequenceNet([''], torch.zeros(1, 3)).eval()
    assert ear(ear.listen(torch.randn(3, 1, 8000))).shape == (3, 10)
    with pytest.raises(DataError, match='16000 samples a second'): ear.listen(torch.randn(3, 1, 8000), rate=16000)

# --- filling in

def test_what_is_hidden_cannot_be_seen(net):
    "Neither by the patch itself nor through the stem of its neighbours."
    hidden = torch.zeros(2, 33, dtype=torch.bool); hidden[:, [1, 19, 20, 32]] = True
    f, other = frames(), frames()
    for n in (1, 19, 20, 32): other[:, n//3, :, n % 3*4:n % 3*4 + 4] += 10
    with torch.no_grad():
        assert torch.equal(net.patches(f, hidden), net.patches(other, hidden))
        assert not torch.equal(net.patches(f), net.patches(other))

def test_a_guess_of_the_mean_is_wrong_by_one(net):
    f = frames(40, 13)*3 + 2
    net.standardise_(f[..., :12])
    torch.nn.init.zeros_(net.fill.weight); torch.nn.init.zeros_(net.fill.bias)
    assert abs(Filler(net)(f).mean().item() - 1) < 0.02

def test_a_perfect_guess_is_not_wrong(net, monkeypatch):
    "The target in the order of the patches: channel, then time, each band after band."
    f = frames(3)
    want = torch.stack([f[:, c, :, 4*p:4*p + 4].flatten(1) for c in range(11) for p in range(3)], 1)
    net.fill = torch.nn.Identity()
    monkeypatch.setattr(net.stack, 'forward', lambda x: want)
    assert Filler(net)(f).abs().max() < 1e-9

def test_pretraining_learns_what_channels_share(net):
    f = torch.randn(60, 1, 1, 1, generator=torch.Generator().manual_seed(3)) + 0.1*frames(60)
    pretrain(net, f, replace(small, fill_epochs=30, bs=20, lr=1e-2))
    with torch.no_grad(): assert Filler(net.eval())(f).mean() < 0.5

def test_runs_of_the_task_are_not_among_the_stretches():
    f = load_stretches(replace(small, task='executed left or right', unlabelled=(1, 2, 3, 7)))
    assert f.shape == (2*20, 11, 8, 12)  # a minute of rest, twice: 240 frames each

# --- trials

def test_trials_begin_anywhere_in_the_first_second():
    f = torch.arange(21.).expand(400, 11, 8, 21)
    x, y = sequences._vary(f, torch.zeros(400).long(), 0, small, None, False)
    assert set(x[:, 0, 0, 0].tolist()) == {4., 5., 6., 7., 8.} and torch.equal(x[:, 0, 0, -1] - x[:, 0, 0, 0], torch.full((400,), 11.))

@pytest.mark.parametrize('swaps', [True, False])
def test_another_side_is_another_hand_and_the_same_feet(swaps):
    f = torch.arange(11.)[:, None, None].expand(200, 11, 8, 21)
    x, y = sequences._vary(f, torch.zeros(200).long(), 0, replace(small, mirror=True), mirror_sites(SITES), swaps)
    turned = x[:, SITES.index('C3'), 0, 0] == SITES.index('C4')
    assert 60 < turned.sum() < 140 and torch.equal(y, turned.long()*swaps)

def test_a_rhythm_that_tells_the_classes_is_learned(trials):
    def fit(train): return fit_brain(train, replace(small, epochs=25, lr=5e-3))
    logits = decode(fit, make_local(trials))
    assert logits.shape == (30, 2) and torch.allclose(logits.sum(1), torch.ones(30), atol=1e-4)
    assert (logits.argmax(1) == trials.y).float().mean() > 0.9

def test_a_pretrained_start_is_used_and_not_changed(trials):
    local = make_local(trials)
    start = SequenceNet(SITES, local.positions, BRAIN, 2, small)
    before = {k: v.clone() for k, v in start.state_dict().items()}
    torch.manual_seed(0); one = fit_brain(local, small, start)(local.x)
    assert all(torch.equal(v, before[k]) for k, v in start.state_dict().items())
    torch.manual_seed(0); two = fit_brain(local, small)(local.x)
    assert not torch.equal(one, two)

def test_other_channels_are_refused_at_the_test_too(trials):
    predict = fit_brain(make_local(trials), small)
    with pytest.raises(ShapeError, match='11 channels'): predict(trials.x)

def test_a_seed_decides_everything(trials, monkeypatch):
    monkeypatch.setattr(sequences, 'load_trials', lambda *a: trials)
    monkeypatch.setattr(sequences, 'load_stretches', lambda config: frames(40))
    config = replace(small, unlabelled=(1,))
    one, two, other = (train_brain(c)['logits'] for c in (config, config, replace(config, seed=1)))
    assert torch.equal(one, two) and not torch.equal(one, other)

def test_digits_made_by_rule_are_learned():
    found = train_digits(Config(data='made', width=16, epochs=5, bs=25, lr=5e-3))
    assert found['logits'].shape == (150, 10) and (found['logits'].argmax(1) == found['y']).float().mean() > 0.25  # chance: 0.1
    assert len(found['curve']['accuracy']) == 5 and found['valid'] == found['curve']['accuracy'][-1]

# --- intervals

def test_an_interval_is_that_of_the_differences():
    "With many trials and one seed each, the mean and 1.96 standard errors of the paired differences."
    g = torch.Generator().manual_seed(0)
    ours, theirs = (torch.rand(1, 2000, generator=g) < 0.8), (torch.rand(1, 2000, generator=g) < 0.7)
    gap = (ours.float() - theirs.float())[0]
    mean, low, high = paired_interval(ours, theirs)
    half = 1.96*gap.std().item()/2000**0.5
    assert abs(mean - gap.mean()) < 1e-6 and abs(low - (mean - half)) < 2e-3 and abs(high - (mean + half)) < 2e-3

def test_pairing_counts():
    ours = torch.tensor([[1, 0]*20]); worse = ours.clone(); worse[0, :4:2] = 0
    _, low, high = paired_interval(ours, worse)
    assert low >= 0 and high < 0.13  # unpaired it would reach from -0.2 to 0.3

def test_seeds_widen_an_interval():
    theirs = torch.zeros(1, 30)
    steady, shaky = torch.ones(4, 30)*torch.tensor([1, 0]*15), torch.tensor([[1.], [0.], [1.], [0.]]).expand(4, 30)
    width = lambda ours: (lambda m, low, high: high - low)(*paired_interval(ours, theirs))
    assert width(shaky) > 2*width(steady)

@pytest.mark.parametrize('a, b', [((3, 5), (3, 6)), ((5,), (1, 5)), ((1, 5), (5,))])
def test_answers_that_cannot_be_paired_are_refused(a, b):
    with pytest.raises(ShapeError, match=r'for the same trials; .*x\[None\]'): paired_interval(torch.zeros(a), torch.zeros(b))

# --- the peers

def test_braindecode_comes_without_torchaudio():
    code = 'import sys; from braindecode.models import EEGNetv4, ShallowFBCSPNet; assert not {"torchaudio", "torchvision"} & set(sys.modules)'
    assert subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True).returncode == 0
