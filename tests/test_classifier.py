"What the first post exports: shapes, errors, gradients, augmentation, calibration, and the weights that are shipped."
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import kata_blog
from kata_blog.classifier import Config, ResNet, SmallNet, augment, calibration, load_images, softmax_grads, train_net
from kata_blog.core import DataError, KataError, ShapeError

WEIGHTS = Path(kata_blog.__file__).parent/'weights'/'classifier.safetensors'
tiny = Config(data='digits', widths=(4, 6, 8), epochs=1, bs=64, lr=0.1, flip=False, n_valid=1300)

# --- networks

@pytest.mark.parametrize('side', [16, 20, 32, 33, 96])
def test_resnet_takes_any_side_from_16(side): assert ResNet((4, 6, 8))(torch.rand(2, 3, side, side)).shape == (2, 10)

@pytest.mark.parametrize('n', [2, 10, 100])
def test_number_of_classes(n):
    x = torch.rand(3, 3, 32, 32)
    assert SmallNet(n)(x).shape == ResNet((4, 4, 4), n_classes=n)(x).shape == (3, n)

@pytest.mark.parametrize('net', [SmallNet, ResNet])
@pytest.mark.parametrize('shape', [(3, 32, 32), (2, 1, 32, 32), (2, 32, 32, 3), (2, 3, 32, 8), (8, 64, 640)])
def test_a_bad_shape_is_named(net, shape):
    with pytest.raises(ShapeError) as e: net()(torch.zeros(shape))
    assert str(shape) in str(e.value) and net.__name__ in str(e.value) and '(batch, 3, high, wide)' in str(e.value)

def test_small_net_takes_one_size_only():
    with pytest.raises(ShapeError, match=r'\(1, 3, 40, 40\).* 32 pixels a side'): SmallNet()(torch.zeros(1, 3, 40, 40))

@pytest.mark.parametrize('net', [SmallNet, ResNet])
def test_bytes_are_refused(net):
    with pytest.raises(ShapeError, match='divide bytes by 255'): net()(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))

def test_without_its_branches_a_stage_passes_on_what_it_holds():
    net, x = ResNet((4, 6, 8)).eval(), torch.rand(2, 3, 32, 32)
    for branch in net.refine: torch.nn.init.zeros_(branch[-1][2].weight)  # batch norm's scale: the branch is GELU(0) = 0
    h = net.whiten(x)
    h = F.gelu(torch.cat([h, -h], 1))
    for halve in net.halve: h = halve(h)
    torch.testing.assert_close(net(x), net.head(h.amax((2, 3)))/8)

def test_whitened_patches_are_uncorrelated_with_equal_variance():
    torch.manual_seed(0)
    x = (torch.rand(200, 3, 8, 8).cumsum(3)/8).clamp(0, 1)  # neighbours alike
    white = ResNet((4, 4, 4)).whiten_(x, eps=0).whiten(x).transpose(0, 1).flatten(1)
    torch.testing.assert_close(white.cov(), torch.eye(12), atol=1e-2, rtol=0)
    torch.testing.assert_close(white.mean(1), torch.zeros(12), atol=1e-2, rtol=0)

def test_the_whitening_layer_is_not_trained():
    assert not any(p.requires_grad for p in ResNet().whiten.parameters())

# --- backpropagation by hand

@pytest.mark.parametrize('b, n_in, n_out', [(1, 1, 2), (5, 7, 3), (32, 84, 10)])
def test_hand_gradients_equal_autograd(b, n_in, n_out):
    torch.manual_seed(b)
    x, w, bias = (torch.randn(*s, dtype=torch.double, requires_grad=True) for s in ((b, n_in), (n_out, n_in), (n_out,)))
    y = torch.randint(n_out, (b,))
    F.cross_entropy(x @ w.T + bias, y).backward()
    for ours, t in zip(softmax_grads(x.detach(), w.detach(), bias.detach(), y), (x, w, bias)): torch.testing.assert_close(ours, t.grad, atol=1e-12, rtol=0)

def test_hand_gradients_name_a_bad_shape():
    with pytest.raises(ShapeError, match=r'\(5, 6\).*\(batch, 7\)'): softmax_grads(torch.zeros(5, 6), torch.zeros(3, 7), torch.zeros(3), torch.zeros(5).long())

# --- augmentation

def _seen(x, mirrored, epoch=0, **config):
    return augment(x, torch.arange(len(x)), torch.full((len(x),), mirrored), epoch, replace(tiny, **{'epochs': 4, 'flip': True, **config}))

def test_augmented_pictures_are_shifted_copies():
    torch.manual_seed(0)
    x = torch.randint(256, (64, 3, 32, 32), dtype=torch.uint8)
    seen, y = _seen(x, False)
    assert torch.equal(y, torch.arange(64)) and seen.dtype == torch.float32 and 0 <= seen.min() and seen.max() <= 1
    padded = F.pad(x/255, (2, 2, 2, 2), mode='reflect')
    shifts = [[(i, j) for i in range(5) for j in range(5) if torch.equal(p[:, i:i + 32, j:j + 32], s)] for p, s in zip(padded, seen)]
    assert all(len(found) == 1 for found in shifts)
    assert len({found[0] for found in shifts}) > 10  # each picture has a shift of its own

def test_a_picture_is_mirrored_in_every_second_epoch():
    columns = torch.arange(32, dtype=torch.uint8).expand(8, 3, 32, 32)
    falls = lambda mirrored, epoch, **c: bool((_seen(columns, mirrored, epoch, **c)[0][:, 0, 0, 16] < _seen(columns, mirrored, epoch, **c)[0][:, 0, 0, 8]).all())
    assert [falls(True, e) for e in range(4)] == [True, False, True, False]
    assert [falls(False, e) for e in range(4)] == [False, True, False, True]
    assert not any(falls(True, e, flip=False) for e in range(4))

def test_sizes_come_in_equal_parts_and_end_with_the_last():
    x = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    sides = [_seen(x, False, e, sizes=(20, 26, 32), epochs=7)[0].shape[-1] for e in range(7)]
    assert sides == [20, 20, 20, 26, 26, 32, 32]

# --- calibration

def test_calibration_of_a_case_done_by_hand():
    probs = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    confidence, right, share, ece = calibration(probs, torch.tensor([0, 1, 0, 1]), n_bins=5)
    torch.testing.assert_close(confidence[[2, 4]], torch.tensor([0.6, 0.9]))
    assert right[[2, 4]].tolist() == [1, 0.5] and share.tolist() == [0, 0, 0.5, 0, 0.5]
    assert confidence.isnan().tolist() == [True, True, False, True, False]
    assert ece == pytest.approx(0.4)

def test_confidence_that_is_deserved_has_no_error():
    probs = torch.tensor([[0.75, 0.25]]*4)
    assert calibration(probs, torch.tensor([0, 0, 0, 1]))[-1] == pytest.approx(0)
    assert calibration(torch.eye(3), torch.tensor([0, 1, 2]))[-1] == 0
    assert calibration(torch.eye(3), torch.tensor([1, 2, 0]))[-1] == 1

@pytest.mark.parametrize('probs, n', [(torch.ones(4)/4, 4), (torch.ones(4, 2)/2, 3), (torch.ones(0, 2), 0)])
def test_calibration_names_bad_shapes(probs, n):
    with pytest.raises(ShapeError) as e: calibration(probs, torch.zeros(n, dtype=torch.long))
    assert str(tuple(probs.shape)) in str(e.value)

def test_calibration_wants_probabilities():
    with pytest.raises(KataError, match='softmax'): calibration(torch.tensor([[3., -1.]]), torch.tensor([0]))

# --- data and recipe

def test_digits_are_pictures():
    (x, y, names), (xt, yt, _) = load_images('digits', 'train'), load_images('digits', 'test')
    assert x.shape == (1437, 3, 32, 32) and xt.shape == (360, 3, 32, 32) and x.dtype == torch.uint8
    assert names == tuple('0123456789') and set(y.tolist()) == set(yt.tolist()) == set(range(10))
    assert torch.equal(x[:, :, ::4, ::4], x[:, :, 3::4, 3::4])  # enlarged, not interpolated

def test_unknown_names_are_met_with_the_nearest():
    with pytest.raises(DataError, match="did you mean 'cifar10'"): load_images('cifar')
    with pytest.raises(DataError, match="did you mean 'test'"): load_images('digits', 'tests')
    with pytest.raises(KataError, match="did you mean 'resnet'"): train_net(replace(tiny, net='resnets'))

def test_a_config_is_frozen_and_one_of_a_kind():
    with pytest.raises(FrozenInstanceError): tiny.lr = 1
    assert hash(tiny) == hash(replace(tiny)) != hash(replace(tiny, seed=1))

def test_the_same_seed_trains_the_same_network():
    a, b, c = train_net(tiny), train_net(tiny), train_net(replace(tiny, seed=1))
    assert torch.equal(a['logits'], b['logits']) and not torch.equal(a['logits'], c['logits'])
    assert a['logits'].shape == (360, 10) and 0 <= a['valid'] <= 1 and len(a['curve']['valid_loss']) == 1

def test_training_learns():
    found = train_net(replace(tiny, widths=(8, 12, 16), bs=32, epochs=4, n_valid=200, sizes=(20, 32)))
    assert found['curve']['valid_loss'][-1] < found['curve']['valid_loss'][0]
    assert found['valid'] > 0.6  # guessing is 0.1

# --- what is shipped

def _shipped_net():
    from kata_blog.train import load_weights
    return load_weights(ResNet(), 'classifier').eval()

def test_shipped_weights_are_small_and_sound():
    assert WEIGHTS.stat().st_size <= 2_000_000
    with torch.no_grad(): logits = _shipped_net()(torch.rand(4, 3, 32, 32))
    assert logits.shape == (4, 10) and logits.isfinite().all()

@pytest.mark.realdata
def test_shipped_weights_know_cifar10():
    x, y, names = load_images('cifar10', 'test')
    assert x.shape == (10_000, 3, 32, 32) and len(names) == 10
    with torch.no_grad(): logits = torch.cat([_shipped_net()(b/255) for b in x[::5].split(500)])
    assert (logits.argmax(1) == y[::5]).float().mean() > 0.85
