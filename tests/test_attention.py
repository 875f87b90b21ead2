"What the post on attention exports: equal to torch and to transformers with weights copied, caches, masks, bad input, beam search."
import random
from dataclasses import replace

import pytest
import torch
from torch import nn

from kata_blog.attention import (CHARS, END, PAD, START, Block, Cache, Config, Embed, FeedForward, MultiHead, Stack, Transformer, attend, beam_search,
    build, causal_mask, check_tokens, decode, encode, key_mask, make_pairs, read_dates, rotate, sinusoids, smooth_loss, train_reader, warmup, write_date)
from kata_blog.core import KataError, ShapeError

def close(a, b, atol=1e-5): torch.testing.assert_close(a, b, atol=atol, rtol=0)

def padding(n, *lengths): return torch.arange(n) < torch.tensor(lengths)[:, None]

@pytest.fixture(autouse=True)
def seed(): torch.manual_seed(0)

# --- one attention

@pytest.mark.parametrize('t, s', [(1, 1), (5, 5), (3, 8), (17, 17)])
@pytest.mark.parametrize('causal', [False, True])
def test_the_slow_twin_equals_the_kernel(t, s, causal):
    if causal and t != s: pytest.skip('one sequence')
    m = MultiHead(24, 3, causal=causal)
    x, memory = torch.randn(2, t, 24), None if t == s else torch.randn(2, s, 24)
    for mask in (None, key_mask(padding(s, s, 1))): close(m(x, memory, mask), m.look(x, memory, mask)[0], 1e-6)

def test_weights_sum_to_one_and_padding_gets_none():
    x, keep = torch.randn(2, 6, 8), padding(6, 6, 2)
    weights = MultiHead(8, 2).look(x, mask=key_mask(keep))[1]
    close(weights.sum(-1), torch.ones(2, 2, 6), 1e-6)
    assert weights[1, :, :, 2:].abs().max() == 0

def test_attend_gives_the_same_as_torch():
    q, k, v = torch.randn(2, 3, 5, 8), torch.randn(2, 3, 7, 8), torch.randn(2, 3, 7, 4)
    mask = torch.rand(5, 7) < 0.5; mask[:, 0] = True
    close(attend(q, k, v, mask)[0], torch.nn.functional.scaled_dot_product_attention(q, k, v, mask), 1e-6)

@pytest.mark.parametrize('rotary', [False, True])
@pytest.mark.parametrize('pieces', [[7], [1]*7, [3, 1, 3], [2, 5]])
def test_a_cache_changes_nothing(rotary, pieces):
    m, x, cache = MultiHead(16, 2, causal=True, rotary=rotary), torch.randn(3, 7, 16), Cache()
    close(torch.cat([m(part, cache=cache) for part in x.split(pieces, 1)], 1), m(x), 1e-6)
    assert cache.length == 7

def test_a_cache_grows_beyond_its_first_room():
    m, x, cache = MultiHead(8, 1, causal=True), torch.randn(1, 150, 8), Cache()
    close(torch.cat([m(part, cache=cache) for part in x.split(1, 1)], 1), m(x), 1e-6)

def test_a_cache_keeps_the_rows_that_were_picked():
    m, x, cache = MultiHead(8, 1, causal=True), torch.randn(3, 4, 8), Cache()
    m(x[:, :3], cache=cache); cache.pick(torch.tensor([2, 0]))
    close(m(x[[2, 0], 3:], cache=cache), m(x[[2, 0]])[:, 3:], 1e-6)

def test_causal_with_padding_on_the_left_is_finite():
    m, x = MultiHead(8, 2, causal=True), torch.randn(2, 5, 8, requires_grad=True)
    y = m(x, mask=key_mask(padding(5, 5, 2).flip(1)))  # the first queries of row 1 may look nowhere
    y.sum().backward()
    assert y.isfinite().all() and x.grad.isfinite().all()

# --- positions

def test_sinusoids_are_those_of_the_paper():
    s = sinusoids(50, 8)
    for p, i in ((0, 0), (7, 1), (49, 3)):
        angle = torch.tensor(p/10_000**(2*i/8))
        close(s[p, 2*i:2*i + 2], torch.stack([angle.sin(), angle.cos()]), 1e-5)

def test_turned_products_depend_on_the_distance_alone():
    q, k = torch.randn(2, 1, 1, 1, 16)
    products = [(rotate(q, a) @ rotate(k, b).transpose(-1, -2)).item() for a, b in ((0, 3), (5, 8), (100, 103))]
    assert max(products) - min(products) < 1e-4 and abs(products[0] - (q @ k.transpose(-1, -2)).item()) > 1e-3

def test_rotary_is_that_of_transformers():
    llama = pytest.importorskip('transformers.models.llama.modeling_llama')
    x = torch.randn(2, 3, 9, 16)
    angle = torch.outer(torch.arange(9.), 10_000**(-torch.arange(0, 16, 2)/16)).repeat(1, 2)[None]
    close(rotate(x), llama.apply_rotary_pos_emb(x, x, angle.cos(), angle.sin())[0], 1e-5)

# --- against torch

def copy_attention(ours, theirs):
    ours.qkv.load_state_dict({'weight': theirs.in_proj_weight, 'bias': theirs.in_proj_bias})
    ours.out.load_state_dict(theirs.out_proj.state_dict())

def copy_block(ours, theirs):
    copy_attention(ours.attn, theirs.self_attn)
    norms = [ours.attn_norm, ours.feed_norm]
    if hasattr(ours, 'cross'):
        copy_attention(ours.cross, theirs.multihead_attn)
        norms = [ours.attn_norm, ours.cross_norm, ours.feed_norm]
    for i, norm in enumerate(norms, 1): norm.load_state_dict(getattr(theirs, f'norm{i}').state_dict())
    ours.feed.up.load_state_dict(theirs.linear1.state_dict()); ours.feed.down.load_state_dict(theirs.linear2.state_dict())

@pytest.mark.parametrize('norm', ['pre', 'post'])
@pytest.mark.parametrize('s, t', [(9, 6), (1, 1), (13, 17)])
def test_stacks_equal_nn_transformer(norm, s, t):
    theirs = nn.Transformer(32, 4, 2, 2, 48, 0., 'gelu', batch_first=True, norm_first=norm == 'pre')
    for p in theirs.parameters(): nn.init.normal_(p, std=0.2)
    if norm == 'post': theirs.encoder.norm = theirs.decoder.norm = None
    encoder, decoder = (Stack(2, 32, 4, inner=48, norm=norm, causal=c, cross=c) for c in (False, True))
    for ours, other in ((encoder, theirs.encoder), (decoder, theirs.decoder)):
        for a, b in zip(ours.blocks, other.layers): copy_block(a, b)
        if norm == 'pre': ours.norm.load_state_dict(other.norm.state_dict())
    x, y, keep = torch.randn(3, s, 32, requires_grad=True), torch.randn(3, t, 32), padding(s, s, 1, max(1, s//2))
    wanted = theirs(x, y, tgt_mask=~causal_mask(t, t), src_key_padding_mask=~keep, memory_key_padding_mask=~keep)
    found = decoder(y, memory=encoder(x, key_mask(keep)), memory_mask=key_mask(keep))
    close(found, wanted)
    g = torch.randn_like(found)
    grads = [torch.autograd.grad((out*g).mean(), [x, *w], retain_graph=True) for out, w in
        ((found, [encoder.blocks[0].attn.qkv.weight, decoder.blocks[1].feed.down.weight]), (wanted, [theirs.encoder.layers[0].self_attn.in_proj_weight, theirs.decoder.layers[1].linear2.weight]))]
    for a, b in zip(*grads): close(a, b)

# --- against transformers

def marian():
    hf = pytest.importorskip('transformers')
    config = hf.MarianConfig(vocab_size=40, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=48, decoder_ffn_dim=48, activation_function='relu', scale_embedding=True, max_position_embeddings=64, dropout=0., pad_token_id=0,
        decoder_start_token_id=1, eos_token_id=2, bos_token_id=1, forced_eos_token_id=None, share_encoder_decoder_embeddings=True)
    model = hf.MarianMTModel(config).eval()
    for n, p in model.named_parameters():
        if 'positions' not in n: nn.init.normal_(p, std=0.3 if p.ndim > 1 else 0.5)  # far from where training begins
    return model

def like_marian(theirs):
    "Our encoder-decoder with the weights of theirs; also which of our parameters is which of theirs."
    ours = Transformer(40, 40, 32, 4, 2, 64, dropout=0., inner=48, norm='post', act='relu').eval()
    table, same = theirs.model.encoder.embed_positions.weight.data, {}
    for embed in (ours.source, ours.target): embed.token.weight, embed.position = ours.target.token.weight, table[:64]
    for stack, other in ((ours.encoder, theirs.model.encoder), (ours.decoder, theirs.model.decoder)):
        for block, layer in zip(stack.blocks, other.layers):
            for part, attn in ((block.attn, layer.self_attn), *([(block.cross, layer.encoder_attn)] if hasattr(block, 'cross') else [])):
                for kind in ('weight', 'bias'): same[getattr(part.qkv, kind)] = [getattr(getattr(attn, f'{n}_proj'), kind) for n in 'qkv']
                same[part.out.weight], same[part.out.bias] = [attn.out_proj.weight], [attn.out_proj.bias]
            pairs = [(block.attn_norm, layer.self_attn_layer_norm), (block.feed.up, layer.fc1), (block.feed.down, layer.fc2), (block.feed_norm, layer.final_layer_norm)]
            if hasattr(block, 'cross'): pairs.append((block.cross_norm, layer.encoder_attn_layer_norm))
            for a, b in pairs: same[a.weight], same[a.bias] = [b.weight], [b.bias]
    same[ours.target.token.weight] = [theirs.model.shared.weight]
    for a, b in same.items(): a.data = torch.cat([p.data for p in b])
    return ours, same

def test_an_encoder_decoder_equals_that_of_transformers():
    theirs = marian()
    ours, same = like_marian(theirs)
    assert len(same) == len(list(ours.parameters()))  # nothing is left out
    source, target = torch.randint(3, 40, (3, 9)), torch.randint(3, 40, (3, 7))
    keep = padding(9, 9, 5, 1)
    wanted = theirs(input_ids=source, attention_mask=keep.long(), decoder_input_ids=target).logits
    found = ours(source, target, keep)
    close(found, wanted)
    labels = torch.randint(40, (3, 7))
    for logits in (found, wanted): nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten()).backward()
    for a, b in same.items(): close(a.grad, torch.cat([p.grad for p in b]))

@torch.no_grad()
def test_cached_decoding_equals_that_of_transformers():
    theirs = marian()
    ours, _ = like_marian(theirs)
    source, target, keep = torch.randint(3, 40, (2, 11)), torch.randint(3, 40, (2, 5)), padding(11, 11, 4)
    read, cache, past = ours.encode(source, keep), ours.decoder.new_cache(), None
    encoded = theirs.get_encoder()(source, attention_mask=keep.long())
    for i in range(5):
        out = theirs(encoder_outputs=encoded, attention_mask=keep.long(), decoder_input_ids=target[:, i:i + 1], past_key_values=past, use_cache=True)
        past = out.past_key_values
        close(ours.decode(target[:, i:i + 1], *read, cache), out.logits)

@torch.no_grad()
@pytest.mark.parametrize('beams', [1, 3])
def test_searching_finds_what_generate_finds(beams):
    theirs = marian()
    ours, _ = like_marian(theirs)
    source, keep = torch.randint(3, 40, (4, 6)), padding(6, 6, 5, 3, 1)
    theirs.final_logits_bias.fill_(0)
    wanted = theirs.generate(source, attention_mask=keep.long(), num_beams=beams, max_new_tokens=5, min_new_tokens=5, do_sample=False, **({'length_penalty': 0.} if beams > 1 else {}))
    found, _ = beam_search(_NeverEnding(ours), source, keep, beams=beams, most=5, alpha=0.)
    assert torch.equal(found, wanted[:, 1:6])

class _NeverEnding:
    "The end mark is never likely, as with `min_new_tokens`."
    def __init__(self, model): self.model, self.encode, self.decoder = model, model.encode, model.decoder

    def decode(self, *args):
        logits = self.model.decode(*args)
        logits[..., END] = -torch.inf
        return logits

# --- blocks, stacks, models

def test_checkpointing_changes_no_gradient():
    stack, x = Stack(3, 16, 2, causal=True), torch.randn(2, 5, 16)
    grads = []
    for on in (False, True):
        stack.checkpoint = on
        stack.zero_grad(); stack(x).square().mean().backward()
        grads.append([p.grad.clone() for p in stack.parameters()])
    for a, b in zip(*grads): close(a, b, 1e-7)

def test_a_training_step_has_no_graph_break():
    model = build(Config(width=16, heads=2, depth=1))
    source, target = torch.randint(3, 30, (2, 7)), torch.randint(3, 30, (2, 5))
    step = lambda s, t: smooth_loss(model(s, t[:, :-1], s != PAD), t[:, 1:])
    torch._dynamo.reset()
    found = torch._dynamo.explain(step)(source, target)
    assert found.graph_break_count == 0 and found.graph_count == 1

@pytest.mark.parametrize('positions', ['sinusoidal', 'learned', None])
def test_the_future_is_hidden_and_padding_is_not_seen(positions):
    model = Transformer(20, 20, 16, 2, 2, positions=positions).eval()
    source, target, keep = torch.randint(1, 20, (2, 6)), torch.randint(1, 20, (2, 5)), padding(6, 6, 3)
    y = model(source, target, keep)
    changed, other = target.clone(), source.clone()
    changed[:, 3:], other[1, 3:] = 0, 0
    close(model(source, changed, keep)[:, :3], y[:, :3], 1e-6)
    close(model(other, target, keep), y, 1e-6)
    assert not torch.allclose(model(source, changed, keep)[:, 3:], y[:, 3:])

def test_half_precision_is_near():
    model, (s, t) = build(Config(width=32)).eval(), torch.randint(3, 30, (2, 3, 8))
    with torch.autocast('cpu', torch.bfloat16): half = model(s, t, s != 0)
    assert (half.float() - model(s, t, s != 0)).abs().max() < 0.2

# --- bad input

@pytest.mark.parametrize('call, says', [
    (lambda: MultiHead(10, 4), 'heads=4 does not divide width=10; take a width of 8 or 12'),
    (lambda: MultiHead(8, 2)(torch.zeros(2, 3, 9)), r'x has shape \(2, 3, 9\), needs \(batch, positions, 8\)'),
    (lambda: MultiHead(8, 2)(torch.zeros(3, 8)), r'\(3, 8\)'),
    (lambda: MultiHead(8, 2)(torch.zeros(2, 0, 8)), 'at least one position'),
    (lambda: MultiHead(8, 2)(torch.zeros(2, 3, 8), torch.zeros(1, 3, 8)), 'memory has shape .* needs 2 rows'),
    (lambda: MultiHead(8, 2, causal=True)(torch.zeros(2, 3, 8), torch.zeros(2, 3, 8)), 'build it without either'),
    (lambda: MultiHead(8, 2)(torch.zeros(2, 3, 8), mask=torch.ones(2, 3, dtype=torch.bool)), r'mask has shape \(2, 3\).* = \(2, 2, 3, 3\)'),
    (lambda: MultiHead(8, 2)(torch.zeros(2, 3, 8), mask=torch.ones(2, 1, 1, 4, dtype=torch.bool)), r'\(2, 1, 1, 4\)'),
    (lambda: MultiHead(8, 2)(torch.zeros(2, 3, 8), mask=torch.ones(2, 1, 1, 3)), 'torch.float32, needs torch.bool'),
    (lambda: MultiHead(8, 2)(torch.zeros(2, 3, 8), mask=torch.ones(1, 2, 1, 1, 3, dtype=torch.bool)), 'mask has shape'),
    (lambda: key_mask(torch.ones(2, 3, 1, dtype=torch.bool)), r'key_mask: got shape \(2, 3, 1\)'),
    (lambda: key_mask(torch.ones(2, 3).long()), r'of torch.int64.*tokens != 0'),
    (lambda: key_mask(padding(3, 2, 0)), 'row 1 keeps none of its 3 positions'),
    (lambda: sinusoids(4, 7), 'width=7'),
    (lambda: rotate(torch.zeros(1, 1, 2, 3)), 'heads of width 3'),
    (lambda: FeedForward(8, 8, 'gelo'), "did you mean 'gelu'"),
    (lambda: Block(8, 2, norm='prae'), "did you mean 'pre'"),
    (lambda: Embed(9, 8, positions='sinus'), "did you mean 'sinusoidal'"),
    (lambda: Embed(9, 8)(torch.zeros(3).long()), r'tokens\[None\]'),
    (lambda: Embed(9, 8)(torch.zeros(1, 3)), 'torch.float32, needs'),
    (lambda: Embed(9, 8)(torch.zeros(1, 3, dtype=torch.bool)), 'torch.bool, needs'),
    (lambda: Embed(9, 8)(torch.zeros(1, 0).long()), 'no token at all'),
    (lambda: Embed(9, 8)(torch.full((1, 3), 9)), 'token 9 is outside the vocabulary, which holds 0 to 8'),
    (lambda: Embed(9, 8)(torch.full((1, 3), -1)), 'token -1'),
    (lambda: Embed(9, 8, max_len=4)(torch.zeros(1, 5).long()), '5 positions, and the model knows 4'),
    (lambda: Embed(9, 8, max_len=4)(torch.zeros(1, 2).long(), start=3), '5 positions'),
    (lambda: Transformer(9, 9)(torch.ones(2, 3).long(), torch.ones(2, 3).long(), padding(4, 4, 4)), r'keep has shape \(2, 4\)'),
    (lambda: beam_search(None, None, beams=0), 'beams=0'),
    (lambda: encode(['']), 'an empty text'),
    (lambda: encode(['1 März']), "'ä' in '1 März'"),
    (lambda: make_pairs(Config('xyz'), 'test'), "known: copy, dates"),
    (lambda: make_pairs(Config(), 'tests'), "did you mean 'test'"),
])
def test_bad_input_is_named(call, says):
    with pytest.raises(KataError, match=says): call()

def test_shapes_are_shape_errors():
    for bad in (torch.zeros(1, 3), torch.zeros(1, 99).long()):
        with pytest.raises(ShapeError): check_tokens('here', bad, 9, 9)

# --- training and writing

def test_warm_up_rises_and_falls():
    rate = warmup(2., 0.2)
    assert rate(0.1) == pytest.approx(1) and rate(0.2) == pytest.approx(2) and rate(0.8) == pytest.approx(1) and 0 < rate(0) < 0.01

def test_padding_counts_nothing_in_the_loss():
    logits, target = torch.randn(2, 4, 9), torch.tensor([[3, 4, 0, 0], [5, 0, 0, 0]])
    loss = smooth_loss(logits, target)
    logits[0, 2:], logits[1, 1:] = 99, -99
    close(smooth_loss(logits, target), loss, 1e-6)

class _Table:
    "A stand-in for a model: the next token depends on the last one, by a table of probabilities."
    def __init__(self, table): self.table, self.decoder = table, Stack(1, 8, 1, causal=True, cross=True)
    def encode(self, source, keep): return torch.zeros(len(source), 1, 8), None
    def decode(self, target, memory, mask, cache): return self.table[target].log()

def test_a_beam_finds_what_greed_misses():
    table = torch.full((5, 5), 1e-9)
    table[1, 3], table[1, 4] = 0.6, 0.4        # greed takes 3,
    table[3, 2], table[3, 3] = 0.4, 0.6        # from which every end is unlikely
    table[4, 2] = 1.
    source = torch.ones(2, 1).long()
    assert beam_search(_Table(table), source, beams=2, most=6, alpha=0.)[0][:, 0].tolist() == [4, 4]
    assert beam_search(_Table(table), source, beams=1, most=6, alpha=0.)[0][:, 0].tolist() == [3, 3]

def test_a_wide_beam_equals_trying_everything():
    import itertools
    table = torch.rand(5, 5); table[:, :2] = 1e-12; table /= table.sum(1, keepdim=True)
    texts = [(*w, 2) for n in range(4) for w in itertools.product((3, 4), repeat=n)] + list(itertools.product((3, 4), repeat=4))
    best = max((sum(table[a, b].log().item() for a, b in zip((1, *w), w)), w) for w in texts)
    texts, score = beam_search(_Table(table), torch.ones(1, 1).long(), beams=5, most=4, alpha=0.)
    assert score.item() == pytest.approx(best[0], abs=1e-4) and tuple(texts[0].tolist())[:len(best[1])] == best[1]

def test_dates_are_written_in_many_forms_and_can_be_encoded():
    rng, day = random.Random(0), __import__('datetime').date(1998, 3, 21)
    forms = {write_date(day, rng) for _ in range(500)}
    assert len(forms) > 30 and {'21 March 1998', "the 21st of March, 1998", '21/3/1998'} <= forms
    assert decode(encode(sorted(forms))) == sorted(forms) and all(set(f) <= set(CHARS) for f in forms)
    assert encode(['1', '123'], mark=True).tolist()[0][-2:] == [PAD, PAD] and encode(['1'], mark=True)[0, 0] == START

def test_no_day_of_the_test_is_learned_from():
    sets = {split: set(make_pairs(Config(n_train=5000, n_test=500), split)[1]) for split in ('train', 'valid', 'test')}
    assert not sets['train'] & sets['test'] and not sets['train'] & sets['valid'] and not sets['valid'] & sets['test'] and len(sets['test']) == 500

tiny = Config(n_train=128, n_test=20, width=8, heads=2, depth=1, epochs=1, bs=64)

def test_the_same_seed_trains_the_same_network():
    a, b, c = train_reader(tiny), train_reader(tiny), train_reader(replace(tiny, seed=1))
    assert a['curve'] == b['curve'] != c['curve'] and a['greedy'] == b['greedy'] and len(a['beam']) == 20

def test_training_learns_to_copy():
    few = replace(tiny, task='copy', n_train=2560, epochs=3, width=32, bs=64, lr=5e-3)
    losses = train_reader(few)['curve']['valid_loss']
    assert losses[-1] < losses[0] - 0.2

def test_shipped_weights_read_dates():
    from kata_blog.train import load_weights
    model = load_weights(build(Config(depth=1)), 'attention')
    texts, truth = make_pairs(Config(n_test=200), 'test')
    assert sum(a == b for a, b in zip(read_dates(model, texts), truth)) > 180
