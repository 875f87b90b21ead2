"Reformer against full attention and against autograd."
import pytest
import torch
import torch.nn.functional as F

from kata_blog.attention import attend, causal_mask
from kata_blog.core import KataError, ShapeError
from kata_blog.reformer import LSHAttention, Reformer, ReversibleBlock, ReversibleStack, find_buckets, lsh_attend

def draw(*shape, seed=0): return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)

def full(qk, v, allowed):
    "Attention with shared queries and keys, written out; itself only where there is nobody else."
    t = qk.shape[2]
    scores = qk @ F.normalize(qk, dim=-1).mT/qk.shape[-1]**0.5
    scores = scores.masked_fill(torch.eye(t, dtype=torch.bool), -1e5).masked_fill(~allowed, -torch.inf)
    return scores.softmax(-1) @ v

def allowed_by(buckets, chunk, causal):
    "Who may look at whom by any of the rounds: same bucket, and own or last chunk of the sorted positions."
    b, h, r, t = buckets.shape
    found = torch.zeros(b, h, t, t, dtype=torch.bool)
    for i in range(r):
        place = (buckets[:, :, i]*t + torch.arange(t)).argsort(-1).argsort(-1)//chunk
        near = (place[..., None] - place[..., None, :]) % (t//chunk)
        found |= (buckets[:, :, i, :, None] == buckets[:, :, i, None]) & (near <= 1)
    return found & causal_mask(t, t) if causal else found

@pytest.mark.parametrize('causal', [True, False])
@pytest.mark.parametrize('n_rounds', [1, 3])
def test_one_bucket_is_full_attention(causal, n_rounds):
    qk, v = draw(2, 3, 24, 8), draw(2, 3, 24, 8, seed=1)
    allowed = causal_mask(24, 24) if causal else torch.ones(24, 24, dtype=torch.bool)
    torch.testing.assert_close(lsh_attend(qk, v, 1, n_rounds, chunk=24, causal=causal), full(qk, v, allowed))
    torch.testing.assert_close(lsh_attend(qk, v, 1, n_rounds, chunk=12, causal=causal), full(qk, v, allowed))  # two chunks see each other

@pytest.mark.parametrize('causal', [True, False])
@pytest.mark.parametrize('n_rounds', [1, 2, 4])
@pytest.mark.parametrize('chunk', [4, 8, 16])
def test_some_buckets_are_full_attention_to_those_that_meet(causal, n_rounds, chunk):
    qk, v = draw(2, 2, 48, 8), draw(2, 2, 48, 8, seed=1)
    allowed = allowed_by(find_buckets(qk, 4, n_rounds, seed=5), chunk, causal)
    assert not allowed.all()
    torch.testing.assert_close(lsh_attend(qk, v, 4, n_rounds, chunk, causal, seed=5), full(qk, v, allowed))

def test_gradients_are_those_of_full_attention():
    qk, v = (draw(1, 2, 32, 8, seed=s).requires_grad_() for s in (0, 1))
    allowed = allowed_by(find_buckets(qk, 4, 2), 8, True)
    found = [torch.autograd.grad(y.square().sum(), (qk, v)) for y in (lsh_attend(qk, v, 4, 2, 8), full(qk, v, allowed))]
    for a, b in zip(*found): torch.testing.assert_close(a, b)

def test_like_vectors_share_a_bucket_and_opposite_ones_do_not():
    x = draw(1, 1, 200, 16)
    near, far = x + 0.05*draw(1, 1, 200, 16, seed=1), -x
    a, b, c = (find_buckets(v, 16, 4) for v in (x, near, far))
    assert (a == b).double().mean() > 0.8 and not (a == c).any()
    assert torch.equal(find_buckets(3*x, 16, 4), a) and not torch.equal(find_buckets(x, 16, 4, seed=1), a)

def test_many_buckets_are_the_product_of_two_hashes():
    from kata_blog.reformer import _factors
    assert [_factors(n) for n in (2, 64, 128, 2048, 70)] == [(2,), (64,), (8, 16), (32, 64), (70,)]
    x = draw(1, 1, 3000, 32)
    buckets = find_buckets(x, 128)
    assert buckets.min() >= 0 and buckets.max() < 128 and buckets.unique().numel() > 120 and not (buckets == find_buckets(-x, 128)).any()
    torch.testing.assert_close(find_buckets(x + 1e-6*x.flip(3), 128), buckets)

@pytest.mark.parametrize('t', [1, 5, 16, 37])
def test_padding_at_the_end_changes_nothing(t):
    torch.manual_seed(0)
    net = LSHAttention(16, 2, n_buckets=1, chunk=16).double()
    x = draw(2, t, 16)
    torch.testing.assert_close(net(x)[:, :t - 1], net(torch.cat([x[:, :t - 1], draw(2, 9, 16, seed=3)], 1))[:, :t - 1])
    many = LSHAttention(16, 2, n_buckets=4, n_rounds=2, chunk=16, causal=False).double()
    assert many(x).shape == x.shape and many(x).isfinite().all()

@pytest.mark.parametrize('n_buckets', [1, 4])
def test_nobody_sees_the_future(n_buckets):
    torch.manual_seed(0)
    net = LSHAttention(16, 2, n_buckets, chunk=8).double()
    x = draw(2, 40, 16).requires_grad_()
    net(x)[:, :25].sum().backward()
    assert (x.grad[:, 25:] == 0).all() and (x.grad[:, :25].abs().amax(2) > 0).all()

def test_which_of_the_past_is_seen_may_depend_on_the_future():
    "A property of the method: a later token can move the borders of the chunks. With one bucket it cannot."
    def moved(n_buckets):
        torch.manual_seed(0)
        net, x = LSHAttention(16, 2, n_buckets, chunk=8).double(), draw(4, 64, 16)
        other = torch.cat([x[:, :40], draw(4, 24, 16, seed=9)], 1)
        return (net(x) - net(other))[:, :40].abs().max().item()
    assert moved(1) < 1e-12 < 1e-3 < moved(8)

def stack(depth=4, feed_chunk=7):
    torch.manual_seed(0)
    return ReversibleStack([ReversibleBlock(16, LSHAttention(16, 2, 4, 2, 8), feed_chunk) for _ in range(depth)], 16).double()

@pytest.mark.parametrize('feed_chunk', [7, 1000])
def test_the_reversible_gradient_is_autograds(feed_chunk):
    net, found = stack(feed_chunk=feed_chunk), []
    for net.reverse in (True, False):
        x = draw(2, 30, 16).requires_grad_()
        y = net(x, seed=3)
        found.append([y, *torch.autograd.grad(y.square().sum(), [x, *net.parameters()])])
    for a, b in zip(*found): torch.testing.assert_close(a, b)

def test_frozen_parts_and_no_grad():
    net = stack()
    for p in net.blocks[1].parameters(): p.requires_grad_(False)
    net(draw(1, 10, 16)).sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in net.parameters())
    with torch.no_grad(): torch.testing.assert_close(net(draw(1, 10, 16)), stack()(draw(1, 10, 16)))

def test_bfloat16_goes_back_as_it_came():
    net, found = stack().float(), []
    for net.reverse in (True, False):
        x = draw(2, 32, 16).float().requires_grad_()
        with torch.autocast('cpu', torch.bfloat16): y = net(x, seed=3)
        found.append(torch.autograd.grad(y.float().square().sum(), [x, *net.parameters()]))
    for a, b in zip(*found): assert (a - b).norm() <= 0.02*b.norm()

def test_the_end_of_the_stack_is_all_that_is_kept():
    held = []
    def pack(t):
        held.append(t.numel())
        return t
    sizes = []
    for depth in (2, 6):
        held.clear()
        net = stack(depth)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t): net(draw(2, 30, 16).requires_grad_())
        sizes.append(sum(held))
    assert sizes[0] == sizes[1]

def test_a_training_draws_new_hashes_and_an_evaluation_does_not():
    torch.manual_seed(0)
    net = Reformer(11, 16, 2, 1, 64, n_buckets=8, n_rounds=1, chunk=4)
    x = torch.randint(11, (1, 64))
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))

def test_bad_input_is_named():
    net = Reformer(11, 16, 2, 1, 32, chunk=8)
    with pytest.raises(ShapeError, match='40 positions, and the model knows 32'): net(torch.zeros(1, 40, dtype=torch.long))
    with pytest.raises(KataError, match='token 11 is outside'): net(torch.tensor([[11]]))
    with pytest.raises(ShapeError, match='no token at all'): net(torch.zeros(1, 0, dtype=torch.long))
    with pytest.raises(KataError, match='n_buckets=3'): find_buckets(draw(1, 1, 4, 8), 3)
    with pytest.raises(ShapeError, match='pad to 16'): lsh_attend(draw(1, 1, 10, 8), draw(1, 1, 10, 8), 2, chunk=8)
    with pytest.raises(ShapeError, match=r'needs \(batch, positions, 16\)'): LSHAttention(16, 2)(draw(2, 3, 8))
    with pytest.raises(ShapeError, match='heads=3 does not divide width=16'): LSHAttention(16, 3)
