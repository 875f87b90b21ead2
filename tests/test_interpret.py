"Looking inside: objectives rise, planted things are found, maps speak of what was learned, and a model stays as it was."
import json, re, sys
from copy import deepcopy

import numpy as np
import pytest, torch
import torch.nn.functional as F
from torch import nn

from kata_blog.classifier import ResNet, SmallNet
from kata_blog.core import KataError, ShapeError
from kata_blog.attention import MultiHead
from kata_blog.gpt import GPT
from kata_blog.interpret import (METHODS, Clear, Cppn, Entered, Fourier, Objective, Pixels, Shared, Signals, Words, alignment, arrangement, attribute, channel, colour_axes,
    deep_dream, dictionary, direction, diversity, effects, erase, factorise, heads_of, in_front, jitter, lens, listen, look_back, neuron, opacity,
    rank_likeness, render, rhythm_map, rollout, roughness, scramble, show_blocks, show_dictionary, show_heads, side_by_side, signal_axes, silence,
    split_bands, still, texture, watch, wobble)
from kata_blog.train import load_weights

@pytest.fixture(scope='module')
def net(): return load_weights(ResNet(), 'classifier')

@pytest.fixture
def pictures(): return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))

def whole_state(model):
    "All that a caller could see changed: weights, flags, modes, gradients, hooks."
    return ({k: v.clone() for k, v in model.state_dict().items()}, [p.requires_grad for p in model.parameters()], [m.training for m in model.modules()],
        [p.grad for p in model.parameters()], [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()])

def same(a, b): return all(torch.equal(a[0][k], b[0][k]) for k in a[0]) and a[1:] == b[1:]

objectives = {
    'neuron': neuron('halve.1', 3), 'channel': channel('halve.2', 5), 'class': channel('output', 2), 'direction': direction('halve.1', torch.ones(96)),
    'deep dream': deep_dream('refine.1'), 'diversity': diversity('halve.1'), 'alignment': alignment('halve.1'), 'smoothness': -roughness(), 'mixture': channel('output', 1) - channel('output', 2)/2 + 3,
    'directions': direction('halve.1', torch.eye(96)[:2]), 'texture': texture('halve.1', torch.rand(1, 96, 7, 7, generator=torch.Generator().manual_seed(2))),
    'arrangement': arrangement('halve.0', torch.rand(1, 48, 11, 11, generator=torch.Generator().manual_seed(2)))}

def noisy_cppn(n, side):
    image = Cppn(n, side)
    image.last.data = torch.randn(image.last.shape)/5  # from grey there is no way to more smoothness
    return image

images = {'pixels': lambda: Pixels(2, 24, sd=0.3), 'fourier': lambda: Fourier(2, 24, sd=0.3), 'cppn': lambda: noisy_cppn(2, 24), 'shared': lambda: Shared(2, 24, sd=0.3),
    'clear': lambda: Clear(2, 24, sd=0.3)}

@pytest.mark.parametrize('name', objectives)
@pytest.mark.parametrize('image', images)
def test_every_objective_rises(net, name, image):
    torch.manual_seed(1)
    made = images[image]()
    scores = render(net, objectives[name], made, steps=12, lr=0.01 if image == 'cppn' else 0.05, transforms=(over_grey,) if image == 'clear' else ()).scores.mean(1)
    assert scores[-1] > scores[0]

@pytest.mark.parametrize('name', objectives)
@pytest.mark.parametrize('form', [torch.contiguous_format, torch.channels_last])
def test_the_gradient_of_an_objective_is_its_slope(net, name, form):
    net_ = deepcopy(net).double().to(memory_format=form)
    wish = texture('halve.1', torch.rand(1, 96, 7, 7).double()) if name == 'texture' else arrangement('halve.0', torch.rand(1, 48, 11, 11).double()) if name == 'arrangement' else \
        direction('halve.1', torch.eye(96)[:2].double()) if name == 'directions' else direction('halve.1', torch.ones(96).double()) if name == 'direction' else objectives[name]
    x = torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(3)).double().requires_grad_()
    def value(x):
        with still(net_), watch(net_, wish.layers) as seen: net_(x)
        return wish(seen).sum()
    slope, = torch.autograd.grad(value(x), x)
    step = 1e-5*slope/slope.norm()
    with torch.no_grad(): assert ((value(x + step) - value(x - step))/2e-5).item() == pytest.approx(slope.norm().item(), rel=1e-3, abs=1e-8)

@pytest.mark.parametrize('image', images)
def test_a_gradient_reaches_all_that_a_canvas_is_made_of(net, image):
    torch.manual_seed(1)
    made = images[image]()
    with still(net): (net(made()[:, :3])[:, 2].sum() + made().square().mean()).backward()
    assert all(p.grad.isfinite().all() and (p.grad.flatten(1).abs().sum(1) > 0).all() for p in made.parameters())  # of each picture
    z = next(made.parameters())
    at, step = tuple(int(i) for i in np.unravel_index(z.grad.abs().argmax().item(), z.shape)), 1e-3
    made.double(); net_ = deepcopy(net).double()
    def value():
        with still(net_), torch.no_grad(): return (net_(made()[:, :3])[:, 2].sum() + made().square().mean()).item()
    slope = z.grad[at].item()
    with torch.no_grad():
        z[at] += step; above = value()
        z[at] -= 2*step; below = value()
    assert (above - below)/(2*step) == pytest.approx(slope, rel=0.02)

def over_grey(x): return x[:, 3:]*x[:, :3] + (1 - x[:, 3:])/2

@pytest.mark.parametrize('rows', [True, False])
def test_a_planted_bar_is_recovered_in_its_direction(rows):
    bar = -torch.ones(1, 3, 7, 7); bar[..., 2:5] = 1
    bar = bar.transpose(2, 3) if rows else bar
    planted = nn.Conv2d(3, 1, 7, bias=False); planted.weight.data = bar.contiguous()
    patch = render(planted, neuron('output', 0), Fourier(1, 13), steps=48).x[0, :, 3:10, 3:10] - 0.5
    assert F.cosine_similarity(patch.flatten(), bar.flatten(), dim=0) > 0.95
    assert F.cosine_similarity(patch.flatten(), bar.transpose(2, 3).flatten(), dim=0) < 0.3

def test_diversity_makes_pictures_less_alike(net):
    def alike(x):
        with still(net), watch(net, ['halve.1']) as seen, torch.no_grad(): net(x)
        return -diversity('halve.1')(seen).mean()
    made = []
    for wish in (channel('halve.2', 3), channel('halve.2', 3) + 3*diversity('halve.1')):
        torch.manual_seed(0)
        made.append(render(net, wish, Fourier(3, 32), steps=40).x)
    assert alike(made[1]) < alike(made[0]) - 0.02

def test_alignment_counts_every_pair_of_near_frames_by_its_distance():
    acts = torch.rand(7, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    pairs = sum((acts[i] - acts[j]).square().mean()/2**(j - i) for i in range(7) for j in range(i + 1, min(i + 5, 7)))
    assert alignment('a')({'a': acts}).sum().item() == pytest.approx(-2*pairs.item(), rel=1e-5)  # each pair at both its ends
    assert alignment('a')({'a': acts[:1].expand(3, -1, -1, -1)}).tolist() == [0]*3

def test_alignment_makes_frames_change_less(net):
    frames = channel('output', [4, 4, 7, 7])
    def change(wish):
        torch.manual_seed(0)
        return render(net, wish, Fourier(4, 24, sd=0.1), steps=24).x.diff(dim=0).abs().mean()
    assert change(frames + 20*alignment('halve.1')) < 0.9*change(frames)

def test_a_batch_of_channels_is_the_channels_one_by_one(net):
    net = deepcopy(net).double()  # Adam's first steps have one size whatever the gradient, so rounding would show
    def start(z):
        image = Fourier(len(z), 24).double(); image.z.data = z.clone(); return image
    z = 0.1*torch.randn(3, *Fourier(1, 24).z.shape[1:], generator=torch.Generator().manual_seed(0)).double()
    together = render(net, channel('halve.1', [4, 9, 2]), start(z), steps=8).x
    alone = torch.cat([render(net, channel('halve.1', k), start(z[i:i+1]), steps=8).x for i, k in enumerate([4, 9, 2])])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
    assert (together - start(z)().detach()).abs().max() > 0.1

def test_fourier_and_pixels_reach_the_same_pictures():
    axes = colour_axes(torch.rand(50, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    image, wanted = Fourier(1, 16, axes), torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)).clamp(0.1, 0.9)
    x = torch.einsum('ij,njhw->nihw', axes.inverse(), wanted.logit())
    image.z.data = torch.view_as_real(torch.fft.rfft2(x, norm='ortho')/image.scale)
    torch.testing.assert_close(image(), wanted, atol=1e-4, rtol=0)

def test_colour_axes_rebuild_the_covariance():
    x = torch.rand(200, 3, 4, 4, generator=torch.Generator().manual_seed(0)); x[:, 1] = 0.7*x[:, 0] + 0.3*x[:, 1]
    axes = colour_axes(x)
    cov = x.clamp(0.02, 0.98).logit().transpose(0, 1).flatten(1).cov()
    rebuilt = axes @ axes.T
    torch.testing.assert_close(rebuilt/rebuilt.trace(), cov/cov.trace(), atol=1e-5, rtol=0)

@pytest.mark.parametrize('training', [True, False])
def test_a_model_stays_as_it_was(pictures, training):
    model = ResNet().train(training); model.head.weight.requires_grad_(False)
    y, before = torch.tensor([0, 1, 2, 3]), whole_state(model)
    random = torch.get_rng_state()
    render(model, channel('halve.1', 0), Pixels(2, 20), steps=2, transforms=(jitter(1), wobble()))
    for method in METHODS: attribute(model, pictures, y, method, 'halve.2', n_steps=4)
    erase(model, pictures, y, pictures[:, 0], parts=2); dictionary(model, pictures, y, 'halve.2'); scramble(model)
    assert same(before, whole_state(model))
    with pytest.raises(ZeroDivisionError), still(model), watch(model, ['halve.0', 'input']): 1/0
    assert same(before, whole_state(model)) and len(random)

def test_render_leaves_the_random_numbers_of_its_caller_alone(net):
    image = Pixels(1, 20)
    torch.manual_seed(5); want = torch.rand(3)
    torch.manual_seed(5); render(net, channel('output', 0), image, steps=2, transforms=(jitter(2),)); assert torch.equal(torch.rand(3), want)

@pytest.mark.parametrize('model', [ResNet().eval(), SmallNet().eval()], ids=['resnet', 'smallnet'])
def test_integrated_gradients_add_up(model, pictures):
    y = torch.tensor([3, 1, 4, 1])
    maps = attribute(model, pictures, y, n_steps=300)
    with torch.no_grad(): gained = (model(pictures) - model(torch.full_like(pictures, 0.5))).gather(1, y[:, None])[:, 0]
    assert ((maps.sum((1, 2)) - gained).abs() <= 0.01*gained.abs().max()).all()

@pytest.mark.parametrize('method', METHODS)
def test_scrambled_weights_change_every_map(net, pictures, method):
    y = torch.tensor([0, 1, 2, 3])
    true, dull = (attribute(model, pictures, y, method, 'halve.2', n_steps=16) for model in (net, scramble(net)))
    assert true.shape == (4, 32, 32)
    assert rank_likeness(true, true).min() > 0.999 and rank_likeness(true, dull).max() < 0.9

@pytest.mark.parametrize('method, found', [(m, m != 'grad-cam') for m in METHODS])
def test_a_planted_cause_is_found_but_by_grad_cam(method, found):
    "Grad-CAM takes the mean of the gradient over all places, so it cannot see that only one corner is read."
    class Corner(nn.Module):
        "Answers to light in one corner, and to nothing else."
        def __init__(self): super().__init__(); self.conv = nn.Conv2d(3, 2, 1)
        def forward(self, x): return self.conv(x)[:, :, :8, :8].relu().mean((2, 3))
    model = Corner(); nn.init.constant_(model.conv.weight, 1.); nn.init.zeros_(model.conv.bias)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))*0.4 + 0.6
    maps = attribute(model, x, torch.tensor([0, 1]), method, 'conv').clamp(min=0)
    share = maps[:, :9, :9].sum((1, 2))/maps.sum((1, 2))  # 9: occlusion's squares and the interpolation reach a little over
    assert (share > 0.9).all() if found else (share < 0.2).all()

def test_erasing_what_counts_costs_belief_and_the_reverse_order_does_not():
    class Corner(nn.Module):
        def __init__(self): super().__init__(); self.k = nn.Parameter(torch.tensor(40.))
        def forward(self, x): return torch.stack([self.k*x[:, :, :8, :8].var((1, 2, 3)), torch.ones(len(x))], 1)
    x, y = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 0])
    true = torch.zeros(2, 32, 32); true[:, :8, :8] = 1
    first, last = erase(Corner(), x, y, true), erase(Corner(), x, y, -true)
    torch.testing.assert_close(first[:, 0], last[:, 0]); torch.testing.assert_close(first[:, -1], last[:, -1])
    assert (first[:, 1] < first[:, 0] - 0.2).all() and (last[:, 8] > last[:, 0] - 0.01).all()
    back = erase(Corner(), x, y, true, keep=True)
    torch.testing.assert_close(back[:, 0], first[:, -1]); torch.testing.assert_close(back[:, -1], first[:, 0])
    assert (back[:, 1] > back[:, 0] + 0.2).all()

def test_a_dictionary_names_the_units_that_answer_and_their_effect(net, pictures):
    y = torch.tensor([0, 1, 2, 3])
    entry = dictionary(net, pictures, y, 'halve.2', n=3)[1]
    with still(net), watch(net, ['halve.2']) as seen, torch.no_grad(): net(pictures)
    acts = seen['halve.2'][1].flatten(1)
    assert entry['side'] == 3 and len(entry['units']) == 9
    for place, units in enumerate(entry['units']):
        assert [k for k, _, _ in units] == acts[:, place].topk(3).indices.tolist()
        assert [a for _, a, _ in units] == pytest.approx(acts[:, place].topk(3).values.tolist(), abs=0.006)

def test_the_page_of_a_dictionary_needs_nothing_from_outside(net, pictures):
    html = show_dictionary(pictures[:1], ['</script><b>'], dictionary(net, pictures[:1], torch.tensor([0]), 'halve.2'), torch.rand(192, 3, 8, 8))
    assert 'http' not in html and html.count('</script>') == 1 and html.count('data:image') == 2

# --- other canvases

def test_a_cppn_is_the_same_picture_at_any_size():
    torch.manual_seed(0)
    image = noisy_cppn(2, 9)
    assert image().std() > 0.05 and image(17).shape == (2, 3, 17, 17)
    torch.testing.assert_close(image(17)[:, :, ::2, ::2], image())

def test_shared_frames_learn_what_is_common_from_all_of_them():
    torch.manual_seed(0)
    image = Shared(3, 16, sd=0.)
    goals = torch.rand(1, 3, 16, 16).expand(3, -1, -1, -1).clone(); goals[0, :, :8] = 0.2
    opt = torch.optim.SGD(image.parameters(), 1.)
    for _ in range(30): opt.zero_grad(); ((image() - goals)**2).sum().backward(); opt.step()
    torch.testing.assert_close(image.common.detach(), image.z.detach().sum(0, keepdim=True), atol=1e-4, rtol=1e-3)  # its gradient is that of all frames together
    assert (image()[1] - image()[2]).abs().max() < 1e-5 < 0.05 < (image()[0] - image()[1]).abs().max()

def test_a_clear_picture_keeps_what_is_seen_and_loses_the_rest():
    "A detector that sees the left half alone; to be there costs."
    planted = nn.Conv2d(3, 1, 16, bias=False); planted.weight.data = torch.zeros(1, 3, 16, 16); planted.weight.data[..., :8] = 0.05
    torch.manual_seed(0)
    made = render(planted, channel('output', 0) - 2*opacity(), Clear(1, 16), steps=80, transforms=(in_front(),)).x[0, 3]
    assert made[:, :6].mean() > 0.8 and made[:, 10:].mean() < 0.3

def test_what_lies_behind_is_another_each_time_and_never_shows_through():
    x = torch.rand(2, 4, 12, 12, generator=torch.Generator().manual_seed(0)); x[0, 3], x[1, 3] = 1, 0
    lay = in_front()
    one, two = lay(x), lay(x)
    assert torch.equal(one[0], x[0, :3]) and (one[1] - two[1]).abs().max() > 0.05 and 0 <= one.min() <= one.max() <= 1

def test_texture_counts_what_stands_together_and_arrangement_what_stands_where():
    acts = torch.rand(1, 5, 6, 6, generator=torch.Generator().manual_seed(0))
    moved, other = acts.roll((2, 3), (2, 3)), acts.roll(1, 1)
    for wish, same, worse in ((texture, moved, other), (arrangement, acts, moved)):
        wish = wish('layer', acts)
        assert wish({'layer': same}).abs().max() < 1e-5 and wish({'layer': worse}).max() < -0.05

# --- signals and words

def test_signals_can_be_any_signal_and_begin_like_those_they_were_measured_on():
    torch.manual_seed(0)
    x = torch.tensor([[1., 0, 0], [0.5, 1, 0], [0, 0.2, 0.3]]) @ (torch.randn(200, 3, 65).cumsum(-1)/8)
    axes, size = signal_axes(x)
    torch.testing.assert_close(axes @ axes.T, x.transpose(0, 1).flatten(1).cov(), atol=1e-3, rtol=1e-3)
    made = Signals(200, 3, 65, axes, size, sd=1.)().detach()
    measured, begun = (torch.fft.rfft(t, norm='ortho').abs().square().mean((0, 1)) for t in (x, made))
    assert torch.corrcoef(torch.stack([measured.log(), begun.log()]))[0, 1] > 0.95
    image = Signals(1, 3, 65, axes, size)
    image.z.data = torch.view_as_real(torch.fft.rfft(axes.inverse() @ x[:1], norm='ortho')/size)
    torch.testing.assert_close(image(), x[:1], atol=1e-3, rtol=0)

@pytest.mark.parametrize('samples', [64, 65])
def test_the_way_up_through_patterns_is_covariance_times_filter(samples):
    "A filter that cancels channel 1 to hear channel 0 alone: what is made is the source's pattern, in both channels as it arrives there (Haufe et al. 2014)."
    t = torch.arange(samples)/samples
    filter_ = torch.tensor([1., -0.5])[:, None]*torch.sin(2*torch.pi*8*t)
    x = torch.tensor([[1., 1], [0, 2]]) @ torch.randn(500, 2, samples, generator=torch.Generator().manual_seed(0))  # channel 1 has the second source twice, channel 0 once
    made = {}
    for name, axes in (('free', None), ('patterns', signal_axes(x)[0])):
        image = Signals(1, 2, samples, axes, torch.ones(samples//2 + 1), sd=0.)
        (image()*filter_).sum().backward()
        image.z.data = image.z.grad
        made[name] = image().detach()[0]
        assert torch.fft.rfft(made[name]).abs().sum(0).argmax() == 8
    size = {name: (m*torch.sin(2*torch.pi*8*t)).sum(1) for name, m in made.items()}
    assert size['free'][1]/size['free'][0] == pytest.approx(-0.5, abs=1e-3)
    assert abs(size['patterns'][1]/size['patterns'][0]) < 0.05  # the first source does not reach channel 1

def test_words_end_on_the_word_that_says_it_loudest():
    torch.manual_seed(0)
    table, model = torch.randn(9, 4), nn.Linear(4, 2)
    text = Words(3, 5, table)
    said = Objective('first', ['output'], lambda seen: seen['output'][..., 0].mean(1))
    made = render(model, said, text, steps=80, lr=0.2)
    assert set(text.read().flatten().tolist()) == {int((table @ model.weight[0]).argmax())} and made.x.shape == (3, 5, 4)
    assert made.scores[-1].min() > made.scores[0].max()

@pytest.mark.parametrize('layer', ['halve.1', 'halve.2', 'halve.2.0'])
def test_a_model_entered_in_its_middle_says_the_same(net, pictures, layer):
    before = whole_state(net)
    inside = Entered(net, layer, lambda x: torch.zeros(len(x), 3, 32, 32))
    with still(net), watch(net, [layer]) as seen, torch.no_grad():
        whole = net(pictures)
        torch.testing.assert_close(inside(seen[layer].clone()), whole)
        assert (inside(0*seen[layer]) - whole).abs().max() > 0.1
    assert same(before, whole_state(net))
    with pytest.raises(KataError, match="unknown layer 'halve.7'"): Entered(net, 'halve.7', None)

# --- groups and effects

def test_factorised_groups_rebuild_what_they_were_made_of():
    draw = torch.Generator().manual_seed(0)
    directions = F.normalize(torch.eye(3, 12) + 0.3*torch.eye(3, 12).roll(6, 1), dim=1)
    maps = torch.rand(4, 3, 5, 5, generator=draw)*(torch.rand(4, 3, 5, 5, generator=draw) > 0.5)*torch.tensor([1., 3, 2])[:, None, None]
    acts = torch.einsum('bghw,gc->bchw', maps, directions)
    found = factorise(acts, 3)
    assert found.left < 1e-3 and found.maps.min() >= 0 and found.directions.min() >= 0
    torch.testing.assert_close(torch.einsum('bghw,gc->bchw', found.maps, found.directions), acts, atol=0.1, rtol=0)
    torch.testing.assert_close(found.directions, directions[[1, 2, 0]], atol=0.05, rtol=0)  # the largest first
    torch.testing.assert_close(found.maps, maps[:, [1, 2, 0]], atol=0.15, rtol=0)

def test_more_groups_leave_less_over_and_negative_activity_counts_as_none():
    acts = torch.rand(2, 8, 4, 4, generator=torch.Generator().manual_seed(0)) - 0.2
    left = [factorise(acts, n).left for n in (1, 3, 8)]
    assert left[0] > left[1] > left[2] and left[2] < 0.05
    assert factorise(acts.clamp(min=0), 3).left == pytest.approx(left[1])

def test_effects_are_the_whole_score_where_what_follows_is_linear(pictures):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4*900, 3, bias=False))
    before = whole_state(model)
    acts, slopes = effects(model, pictures, '0')
    assert acts.shape == (4, 4, 30, 30) and slopes.shape == (4, 3, 4, 30, 30) and same(before, whole_state(model))
    torch.testing.assert_close((acts[:, None]*slopes).flatten(2).sum(2), model(pictures).detach(), atol=1e-4, rtol=1e-4)

def test_the_page_of_a_decision_needs_nothing_from_outside_and_adds_up(net, pictures):
    found = effects(net, pictures[:2], 'halve.1')
    groups = factorise(found.acts, 3)
    html = show_blocks(pictures[:2], ['</script>', 'b'], list('abcdefghij'), [3, 4], found, groups, torch.rand(96, 3, 4, 4), torch.rand(98, 3, 4, 4), torch.rand(3, 3, 4, 4))
    data = json.loads(re.search('const data = (.*?), find =', html)[1])
    assert 'http' not in html and html.count('</script>') == 1 and data['side'] == 7 and [p['asked'] for p in data['pictures']] == [3, 4]
    brought = (found.acts[:, None]*found.slopes).sum((2, 3, 4))
    for picture, whole in zip(data['pictures'], brought):
        for kind, total in zip(picture['classes'], whole.tolist()):
            assert sum(kind['places']) == pytest.approx(total, abs=0.03) == pytest.approx(sum(kind['channels']), abs=0.06)
        assert len(picture['maps']) == 3 and max(picture['maps'][0]) <= 1 and len(picture['top']) == 49
    with pytest.raises(ShapeError, match='needs 98 for the places, 3 for the groups and 96'): show_blocks(pictures[:2], ['a', 'b'], list('abcdefghij'), [0, 0], found, groups, torch.rand(96, 3, 4, 4), torch.rand(97, 3, 4, 4), torch.rand(3, 3, 4, 4))

# --- only what is needed is computed

@pytest.mark.parametrize('wish', [channel('halve.1', 3), channel('halve.0', 1) + channel('halve.1', 3), channel('refine.0.0', 2) - roughness()], ids=str)
def test_a_call_that_ends_early_makes_the_same_picture(net, wish):
    made, late = [], []
    hook = net.head.register_forward_hook(lambda *_: late.append(1))
    try:
        for more in (0, 0*channel('output', 0)):
            torch.manual_seed(0)
            made.append(render(net, wish + more, Fourier(2, 24), steps=6)); late.append('|')
    finally: hook.remove()
    torch.testing.assert_close(made[0].x, made[1].x, atol=1e-5, rtol=0)
    assert late == [1, '|', *[1]*6, '|']  # whole but once

def test_a_layer_that_is_called_twice_counts_as_it_stands_at_the_end():
    class Twice(nn.Module):
        def __init__(self): super().__init__(); self.conv, self.end = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)
        def forward(self, x): return self.end(self.conv(self.conv(x).tanh()))
    torch.manual_seed(0)
    model = Twice()
    made = []
    for wish in (channel('conv', 1), channel('conv', 1) + 0*channel('output', 0)):
        torch.manual_seed(0)
        made.append(render(model, wish, Pixels(1, 8), steps=5).scores)
    torch.testing.assert_close(*made)

# --- attention: where heads look, what is lost without them

@pytest.fixture
def writer(): torch.manual_seed(0); return GPT(20, width=16, heads=2, depth=3, max_len=16, rotary=True).eval()

def tokens(b=2, t=10, n=20): return torch.randint(n, (b, t), generator=torch.Generator().manual_seed(0))

def test_heads_are_heard_as_they_are_and_the_model_stays_as_it_was(writer):
    before, x = whole_state(writer), tokens()
    with torch.no_grad(), listen(writer) as weights: heard = writer(x)
    with torch.no_grad(): assert torch.equal(heard, writer(x))
    assert list(weights) == [f'stack.blocks.{i}.attn' for i in range(3)] == list(heads_of(writer))
    for w in weights.values():
        assert w.shape == (2, 2, 10, 10) and torch.equal(w, w.tril())
        torch.testing.assert_close(w.sum(-1), torch.ones(2, 2, 10))
    with torch.no_grad(), watch(writer, ['stack.blocks.1.attn_norm', 'stack.blocks.1.attn']) as seen, listen(writer) as weights: writer(x)
    attn = writer.stack.blocks[1].attn
    _, _, v = attn.project(seen['stack.blocks.1.attn_norm'])
    torch.testing.assert_close(attn.out((weights['stack.blocks.1.attn'] @ v).transpose(1, 2).flatten(2)), seen['stack.blocks.1.attn'])
    with pytest.raises(ZeroDivisionError), listen(writer), silence(writer, 'stack.blocks.0.attn', [0]): 1/0
    assert same(before, whole_state(writer)) and not any(len(m.out._forward_pre_hooks) for m in heads_of(writer).values())

def test_masked_attention_is_heard_with_its_mask():
    attn, keep = MultiHead(8, 2), torch.tensor([[True, True, False]])
    with torch.no_grad(), listen(attn) as weights: attn(torch.randn(1, 3, 8), mask=keep[:, None, None])
    assert weights[''][..., 2].max() == 0

def test_a_silenced_head_says_nothing_and_the_others_go_on():
    torch.manual_seed(0)
    attn, x = MultiHead(8, 2), torch.randn(2, 5, 8)
    attn.out.weight.data, attn.out.bias.data = torch.eye(8), torch.zeros(8)  # what heads say comes out as it is
    with torch.no_grad():
        whole = attn(x)
        with silence(attn, '', [1]): cut = attn(x)
    assert torch.equal(cut[..., :4], whole[..., :4])
    torch.testing.assert_close(cut[..., 4:], whole[..., 4:].mean((0, 1)).expand(2, 5, 4))

def test_a_planted_head_is_the_one_that_is_needed(writer):
    "The second head of a layer is made to say something large, the first to say nothing."
    attn, x = writer.stack.blocks[2].attn, tokens()
    attn.out.weight.data[:, :8], attn.out.weight.data[:, 8:] = 0, 3*torch.eye(16)[:, :8]
    with torch.no_grad():
        whole, moved = writer(x), []
        for h in (0, 1):
            with silence(writer, 'stack.blocks.2.attn', [h]): moved.append((writer(x) - whole).abs().max())
    assert moved[0] < 1e-5 < 1e-2 < moved[1]

def test_rollout_follows_a_token_through_layers():
    back = torch.eye(4).roll(1, 0)[None, None]; back[..., 0, :] = torch.tensor([1., 0, 0, 0])  # each place looks one back
    total = rollout([back, back])[0]
    torch.testing.assert_close(total[3], torch.tensor([0, 1/4, 2/4, 1/4]))
    torch.testing.assert_close(total.sum(-1), torch.ones(4))
    early, late = torch.eye(4)[None, None].clone(), torch.eye(4)[None, None].clone()  # the order of layers counts: 2 takes from 0, and only then 3 from 2
    early[..., 2, :], late[..., 3, :] = torch.eye(4)[0], torch.eye(4)[2]
    torch.testing.assert_close(rollout([early, late])[0][3], torch.tensor([1/4, 0, 1/4, 1/2]))
    torch.testing.assert_close(rollout([late, early])[0][3], torch.tensor([0, 0, 1/2, 1/2]))

@pytest.mark.parametrize('steps', [1, 3])
def test_a_planted_habit_is_measured(steps):
    w = torch.full((2, 1, 8, 8), 0.05)
    for t in range(steps, 8): w[:, :, t, t - steps] = 0.9
    assert look_back(w, steps).item() == pytest.approx(0.9) and look_back(w, steps + 1).item() == pytest.approx(0.05)
    w[:, :, :6] = 0
    assert look_back(w, steps, 6).item() == pytest.approx(0.9)  # earlier places are not asked

def test_the_last_layer_of_the_lens_is_what_is_said(writer):
    x = tokens()
    found = lens(writer, x)
    with torch.no_grad():
        torch.testing.assert_close(found[-1], writer(x))
        torch.testing.assert_close(found[0], writer.stack.norm(writer.embed(x)) @ writer.embed.token.weight.T)
    assert found.shape == (4, 2, 10, 20) and (found[1] - found[2]).abs().max() > 1e-3

def test_the_page_of_heads_needs_nothing_from_outside_and_tells_the_weights():
    w = torch.tensor([[[1., 0], [0.25, 0.75]], [[1., 0], [0.99, 0.01]]])
    html = show_heads(['</script>', 'b'], [w, w], [[['x', 'y']]*2]*3)
    data = json.loads(re.search('const data = (.*?), text =', html)[1])
    assert 'http' not in html and html.count('</script>') == 1 and len(data['guesses']) == 3
    assert "'aria-label', token === '\\n' ? 'line break' : 'space'" in html  # a blank has no letters that a screen reader could say
    assert data['looks'][0] == [[[0, 100], [0, 25, 1, 75]], [[0, 100], [0, 99]]]
    with pytest.raises(ShapeError, match='3 tokens; needs weights'): show_heads(['a', 'b', 'c'], [w], [])

def test_pictures_side_by_side_lie_row_by_row():
    x = torch.arange(3.)[:, None, None, None].expand(3, 3, 2, 2)
    assert side_by_side(x, 2)[0].tolist() == [[0, 0, 1, 1]]*2 + [[2, 2, 0, 0]]*2

# --- recordings: electrode, rhythm, moment

class Power(nn.Module):
    "Listens to the power of one channel after a filter, in one half of the time."
    def __init__(self, channel, hz, rate=100):
        super().__init__()
        self.channel, t = channel, torch.arange(50)/rate
        self.filter = nn.Parameter(torch.stack([torch.sin(6.2832*hz*t), torch.cos(6.2832*hz*t)])[:, None]/50)
    def forward(self, x):
        power = F.conv1d(x[:, self.channel:self.channel + 1, x.shape[2]//2:], self.filter).square().mean((1, 2))
        return torch.stack([0*power, power], 1)

@pytest.mark.parametrize('channel_, hz, band', [(0, 10, 2), (2, 20, 3), (1, 6, 1)])
def test_a_planted_electrode_rhythm_and_moment_are_found(channel_, hz, band):
    x = torch.randn(4, 3, 400, generator=torch.Generator().manual_seed(0))
    model = Power(channel_, hz)
    before = whole_state(model)
    maps = rhythm_map(model, x, torch.ones(4, dtype=torch.long), 100, windows=4, n_steps=32)
    assert maps.shape == (4, 5, 3, 4) and same(before, whole_state(model))
    size = maps.sum(0)
    assert size[:, [c for c in range(3) if c != channel_]].abs().max() == 0 and size[..., :1].abs().max() < 1e-6
    assert size[band].sum() > 0.6*size.sum() > 0
    torch.testing.assert_close(maps.sum((1, 2, 3)), (model(x) - model(0*x))[:, 1].detach(), atol=1e-3, rtol=0.01)

@pytest.mark.parametrize('n', [100, 101])  # of 100 samples some frequencies lie on an edge
def test_rhythms_add_up_and_keep_apart(n):
    x = torch.randn(2, 3, n, generator=torch.Generator().manual_seed(0))
    parts = split_bands(x, 50., (0, 5, 10, 30))
    torch.testing.assert_close(parts.sum(0), x)
    assert (parts[0]*parts[1]).sum().abs() < 1e-3 and split_bands(x, 50., (5, 10)).shape == (1, 2, 3, n)

# --- bad input: what was got, what is needed, what to do

def test_a_layer_that_is_not_there_is_named_with_its_nearest(net):
    with pytest.raises(KataError, match="'halve.9'.*halve"), watch(net, ['halve.9']): pass
    with pytest.raises(KataError, match='halve.2'): attribute(net, torch.rand(1, 3, 32, 32), torch.tensor([0]), 'grad-cam', 'halve.22')

def test_a_model_without_gradients_is_named():
    class Deaf(nn.Module):
        def __init__(self): super().__init__(); self.conv = nn.Conv2d(3, 2, 3)
        def forward(self, x): return self.conv(x.detach()).mean((2, 3))
    with pytest.raises(KataError, match='no gradient comes back from output:0'): render(Deaf(), channel('output', 0), Pixels(1, 8), steps=2)
    with pytest.raises(KataError, match='no parameters'): render(nn.Identity(), channel('output', 0), Pixels(1, 8), steps=2)

def test_activations_that_overflow_are_named():
    class Wild(nn.Module):
        def __init__(self): super().__init__(); self.k = nn.Parameter(torch.tensor(float('inf')))
        def forward(self, x): return (x*self.k).mean((2, 3))
    with pytest.raises(KataError, match='output:0 is inf at step 0'): render(Wild(), channel('output', 0), Pixels(1, 8), steps=2)

def test_half_precision_on_the_cpu_is_refused_with_the_way_out():
    with pytest.raises(KataError, match=r'model.float\(\)'): render(ResNet().half(), channel('output', 0), Pixels(1, 32), steps=1)

@pytest.mark.parametrize('call, text', [
    (lambda net, x, y: channel('output', [1, 2])({'output': torch.rand(3, 5)}), '2 channels for 3 pictures'),
    (lambda net, x, y: channel('output', 5)({'output': torch.rand(3, 5)}), '0 to 4, got 5'),
    (lambda net, x, y: alignment('input')({'input': torch.rand(1, 3, 4, 4)}), 'alignment: got one picture, needs two or more'),
    (lambda net, x, y: diversity('input')({'input': torch.rand(1, 3, 4, 4)}), 'needs two or more'),
    (lambda net, x, y: attribute(net, x, y, 'gradients'), "did you mean 'gradient'"),
    (lambda net, x, y: erase(net, x, y, torch.rand(4, 8, 8)), r'got maps \(4, 8, 8\), needs \(4, 32, 32\)'),
    (lambda net, x, y: rank_likeness(torch.rand(2, 4, 4), torch.rand(2, 5, 5)), 'maps of the same pictures'),
    (lambda net, x, y: render(net, channel('output', 0), Pixels(1, 8), steps=1), '16 pixels'),
    (lambda net, x, y: split_bands(x, 100., (8, 4)), r'edges \(8, 4\)'),
    (lambda net, x, y: rhythm_map(net, x, y, 100.), r'needs \(b, channels, samples\)'),
    (lambda net, x, y: heads_of(net), 'ResNet has no attention.MultiHead'),
    (lambda net, x, y: silence(MultiHead(8, 2), 'attn', [0]).__enter__(), "unknown attention 'attn'"),
    (lambda net, x, y: silence(MultiHead(8, 2), '', [2]).__enter__(), r'heads 0 to 1, got \[2\]'),
    (lambda net, x, y: direction('output', torch.ones(3))({'output': torch.rand(2, 5)}), r'got \(3,\) for activations \(2, 5\)'),
    (lambda net, x, y: factorise(torch.rand(1, 4, 2, 2), 5), 'n=5 groups of 4 channels at 4 places; needs 1 to 4'),
    (lambda net, x, y: Signals(1, 2, 64, torch.eye(3)), r'got axes \(3, 3\) and 33 sizes, needs \(2, patterns\) and 33 for 64 samples'),
], ids=['channels', 'channel', 'one frame', 'one picture', 'method', 'maps', 'likeness', 'size', 'edges', 'recordings', 'no heads', 'attention', 'head', 'direction', 'groups', 'axes'])
def test_bad_input_is_named(net, pictures, call, text):
    with pytest.raises((KataError, ShapeError), match=text): call(net, pictures, torch.tensor([0, 1, 2, 3]))

def test_without_captum_the_way_out_is_named(net, pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, 'captum', None)
    with pytest.raises(KataError, match=r'pip install "kata_blog\[interpret\]"'): attribute(net, pictures, torch.tensor([0, 1, 2, 3]))
