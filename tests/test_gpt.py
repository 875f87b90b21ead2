"GPT against transformers' GPT-2, and what a page should not carry: padding, caches, odd lengths, broken files."
import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from kata_blog import gpt
from kata_blog.core import DataError, KataError, ShapeError
from kata_blog.gpt import BPE, GPT, Chars, Config, MuLaw, Muon, from_hf, generate, keep_likely, orthogonal, stream, stream_loss, to_hf, token_loss, windows, write

SIZES = dict(n_tokens=61, width=32, heads=4, depth=3, max_len=24)

def make(seed=0, **more):
    torch.manual_seed(seed)
    model = GPT(**SIZES | more).eval()
    for p in model.parameters(): torch.nn.init.normal_(p, std=0.2 if p.ndim > 1 else 0.5)  # nothing is 0 or 1
    return model

def tokens(b, t, seed=0): return torch.randint(SIZES['n_tokens'], (b, t), generator=torch.Generator().manual_seed(seed))

@pytest.fixture(scope='module')
def pair(tmp_path_factory):
    "Ours, and transformers' reading of it."
    transformers = pytest.importorskip('transformers')
    folder = tmp_path_factory.mktemp('hf')
    model = make()
    to_hf(model, folder)
    theirs, info = transformers.GPT2LMHeadModel.from_pretrained(folder, attn_implementation='eager', output_loading_info=True)
    assert not info['unexpected_keys'] and not set(info['missing_keys']) - {'lm_head.weight'}
    return model, theirs.eval()

# Against the reference

@pytest.mark.parametrize('t', [1, 7, 24])
def test_logits_are_gpt2s(pair, t):
    ours, theirs = pair
    x = tokens(3, t)
    torch.testing.assert_close(ours(x), theirs(x).logits, atol=1e-5, rtol=1e-5)

def test_gradients_are_gpt2s(pair):
    ours, theirs = pair
    x = tokens(4, 23)
    for model, logits in ((ours, ours(x[:, :-1])), (theirs, theirs(x[:, :-1]).logits)):
        model.zero_grad()
        token_loss(logits, x[:, 1:]).backward()
    found = dict(theirs.transformer.named_parameters())
    for name, p in ours.named_parameters():
        name = gpt._hf_name(name)
        grad = found[name].grad
        torch.testing.assert_close(p.grad, grad.T if gpt._across(name) else grad, atol=1e-5, rtol=1e-4)

@pytest.mark.parametrize('side', ['left', 'right'])
def test_padding_is_gpt2s_and_counts_nothing(pair, side):
    ours, theirs = pair
    x = tokens(3, 11)
    keep = torch.arange(11) < torch.tensor([11, 4, 1])[:, None]
    if side == 'left': keep = keep.flip(1)
    logits = ours(x, keep)
    torch.testing.assert_close(logits[keep], theirs(x, attention_mask=keep.long()).logits[keep], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(logits[keep], ours(x.where(keep, 7), keep)[keep])
    ours.zero_grad()
    logits[keep].square().mean().backward()
    assert all(p.grad.isfinite().all() for p in ours.parameters())

def test_gpt2_is_read_with_its_old_names(pair, tmp_path):
    from safetensors.torch import load_file, save_file
    ours, theirs = pair
    theirs.save_pretrained(tmp_path)
    held = {n.removeprefix('transformer.'): t for n, t in load_file(tmp_path/'model.safetensors').items()}
    save_file(held | {'h.0.attn.bias': torch.ones(1, 1, 24, 24)}, tmp_path/'model.safetensors')
    x = tokens(2, 9)
    assert torch.equal(from_hf(tmp_path)(x), ours(x))

def test_cut_offs_are_transformers(pair):
    from transformers import TopKLogitsWarper, TopPLogitsWarper
    logits = torch.randn(50, 61, generator=torch.Generator().manual_seed(0))*3
    for k in (1, 5, 60, 61, 1000): assert torch.equal(keep_likely(logits, top_k=k), TopKLogitsWarper(k)(None, logits))
    for p in (0.1, 0.5, 0.95): assert torch.equal(keep_likely(logits, top_p=p).isfinite(), TopPLogitsWarper(p)(None, logits).isfinite())

def test_greedy_text_is_transformers(pair):
    ours, theirs = pair
    x = tokens(2, 3)
    found = theirs.generate(x, max_new_tokens=20, do_sample=False, pad_token_id=0, attention_mask=torch.ones_like(x))
    assert torch.equal(generate(ours, x, 20, temperature=0), found)

# The cache

@pytest.mark.parametrize('rotary', [False, True])
@pytest.mark.parametrize('cuts', [[1]*13, [5, 8], [12, 1]])
def test_cached_is_uncached(rotary, cuts):
    model = make(rotary=rotary)
    x, cache = tokens(3, 13), model.new_cache()
    found = torch.cat([model(piece, cache=cache) for piece in x.split(cuts, 1)], 1)
    torch.testing.assert_close(found, model(x), atol=1e-5, rtol=1e-5)

def test_cached_is_uncached_with_padding():
    model = make()
    x, keep, cache = tokens(2, 9), torch.ones(2, 9, dtype=torch.bool), model.new_cache()
    keep[1, :4] = False
    found = torch.cat([model(x[:, :6], keep[:, :6], cache), model(x[:, 6:7], keep[:, :7], cache), model(x[:, 7:], keep, cache)], 1)
    torch.testing.assert_close(found[keep], model(x, keep)[keep], atol=1e-5, rtol=1e-5)

@pytest.mark.parametrize('rotary', [False, True])
def test_cached_text_is_uncached_text_past_the_length(rotary):
    model, x = make(rotary=rotary), tokens(2, 3)
    how = dict(top_p=0.9, seed=3)
    assert torch.equal(generate(model, x, 70, **how), generate(model, x, 70, cached=False, **how))

@pytest.mark.parametrize('rows, layout', [(1, 'plain'), (1, 'loop'), (1, 'packed'), (3, 'packed')])
@pytest.mark.parametrize('more', [{}, dict(rotary=True), dict(norm='post', inner=40)])
def test_what_is_laid_out_for_few_tokens_is_the_model(more, rows, layout, monkeypatch):
    if layout == 'loop': pytest.importorskip('numba')
    if layout == 'packed': monkeypatch.setattr(gpt, '_one_row', lambda: None)
    if layout != 'plain': monkeypatch.setattr(gpt, '_LARGE', 0)
    model, x = make(**more), tokens(rows, 13)
    go_on, cache = gpt._few_tokens(model, rows), model.new_cache()
    with torch.inference_mode():
        found = [go_on(piece, cache) for piece in x.split([6, *[1]*7], 1)]
        for at, logits in zip(range(5, 13), found): torch.testing.assert_close(logits, model(x[:, :at + 1])[:, -1], atol=1e-5, rtol=1e-5)

def test_writing_leaves_the_model_as_it_was_and_takes_its_newest_weights():
    model, x = make(), tokens(1, 5)
    before = copy.deepcopy(model.state_dict())
    first = generate(model, x, 8, temperature=0)
    for name, w in model.state_dict().items(): assert torch.equal(w, before[name]) and model.get_parameter(name).requires_grad
    with torch.no_grad(): model.stack.blocks[0].feed.down.weight.mul_(-3)
    assert not torch.equal(generate(model, x, 8, temperature=0), first)
    torch.testing.assert_close(generate(model, x, 8, temperature=0), generate(model, x, 8, temperature=0, cached=False))

def test_a_model_that_sees_one_token_goes_on():
    assert generate(make(max_len=1), tokens(1, 1), 5).shape == (1, 6)

# Writing

def test_a_seed_decides_the_text_and_leaves_torchs_own_alone():
    model, x = make(), tokens(1, 4)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    a, b, c = (generate(model, x, 15, seed=s) for s in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c) and torch.equal(torch.get_rng_state(), before)

def test_rows_stop_one_by_one():
    model, x = make(), tokens(2, 3)
    free = generate(model, x, 20, seed=0)
    stop = [free[0, 8:10].tolist()]
    found = generate(model, x, 20, seed=0, stop=stop)
    assert torch.equal(found[0, :10], free[0, :10]) and (found[0, 10:] == free[0, 9]).all()
    assert torch.equal(found[1], free[1, :found.shape[1]])

def test_text_comes_in_pieces_that_are_whole():
    text = 'naïve café – “naïve” café – “café” naïve\n'*20
    vocab = BPE.learn([text], 280)
    torch.manual_seed(0)
    model = GPT(len(vocab), 16, 2, 1, 32)
    pieces = list(write(model, vocab, 'na', 60, seed=1))
    whole = vocab.decode(generate(model, torch.from_numpy(vocab.encode('na'))[None], 60, seed=1)[0, len(vocab.encode('na')):])
    assert whole.startswith(''.join(pieces)) and len(pieces) > 5

def test_writing_ends_with_the_first_stop():
    vocab = Chars('abcdefgh\n')
    model = make(n_tokens=len(vocab))
    text = ''.join(write(model, vocab, 'a', 400, seed=0))
    stop = text[10:12]
    assert ''.join(write(model, vocab, 'a', 400, seed=0, stop=(stop, 'zz'))) == text[:text.index(stop) + 2]

# Vocabularies and data

@pytest.mark.parametrize('text', ['a', 'to be\nor not', 'ä€😀'])
def test_characters_come_back(text): assert Chars(text + 'xyz').decode(Chars(text + 'xyz').encode(text)) == text

def test_pieces_come_back_from_a_file(tmp_path):
    vocab = BPE.learn(['low lower lowest ']*9, 270)
    again = BPE.load(vocab.save(tmp_path/'v.json'))
    text = 'the lowest, 低い 😀\n\n  newest '
    assert again.decode(again.encode(text)) == text and np.array_equal(again.encode(text), vocab.encode(text))
    assert np.array_equal(again.encode(text.splitlines(keepends=True)), vocab.encode(text))

@pytest.mark.parametrize('damage', [lambda t: t[:len(t)//2], lambda t: '', lambda t: '{}'])
def test_a_vocabulary_cut_short_is_named(tmp_path, damage):
    file = BPE.learn(['low lower lowest ']*9, 270).save(tmp_path/'v.json')
    file.write_text(damage(file.read_text()))
    with pytest.raises(DataError, match='v.json is missing, cut short'): BPE.load(file)

def test_mu_law_keeps_every_token():
    assert np.array_equal(MuLaw().encode(MuLaw().decode(np.arange(256))), np.arange(256))

LAYOUTS = {'2-v1': 'wiki.{}.tokens', '103-raw-v1': 'wiki.{}.raw'}

@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('name', ['wikitext', 'wikitext103'])
def test_wikitext_is_read_whole_in_the_layouts_of_its_authors(tmp_path, monkeypatch, layout, name):
    folder = tmp_path/layout
    folder.mkdir()
    texts = {s: ''.join(f' \n = {s} {i} = \n \n Some words about {i % 7} . \n' for i in range(60)) for s in ('train', 'valid', 'test')}
    for split, text in texts.items(): (folder/LAYOUTS[layout].format(split)).write_text(text)
    monkeypatch.setenv('KATA_DATA', str(tmp_path))
    monkeypatch.setattr(gpt, 'fetch', lambda name: folder)
    corpus = gpt.load_corpus(Config(data=name, n_words=300))
    for split, text in texts.items(): assert corpus.vocab.decode(getattr(corpus, split)) == text
    assert all(isinstance(part, np.memmap) for part in (corpus.train, corpus.valid, corpus.test))
    monkeypatch.setattr(BPE, 'learn', None)  # learned and encoded once
    assert np.array_equal(gpt.load_corpus(Config(data=name, n_words=300)).train, corpus.train)

def test_wikitext_without_its_training_split_trains_on_valid(tmp_path, monkeypatch):
    for split in ('valid', 'test'): (tmp_path/f'{split}.txt').write_text(f' about {split} and more \n'*100)
    monkeypatch.setenv('KATA_DATA', str(tmp_path))
    monkeypatch.setattr(gpt, 'fetch', lambda name: tmp_path)
    corpus = gpt.load_corpus(Config(data='wikitext', n_words=300))
    assert corpus.vocab.decode(np.concatenate([corpus.train, corpus.valid[1:]])) == (tmp_path/'valid.txt').read_text()
    assert corpus.vocab.decode(corpus.test) == (tmp_path/'test.txt').read_text() and corpus.valid[0] == corpus.train[-1]
    with pytest.raises(DataError, match="no split 'train' in the folder, which holds test.txt, tokens, valid.txt"): gpt.wikitext_file(tmp_path, 'train')

def test_a_voice_is_split_by_take_and_stands_in_order():
    from kata_blog.sound import load_clips
    clips, corpus = load_clips('made'), gpt.load_corpus(Config(data='made', speaker='low'))
    low = clips.speaker == clips.speakers.index('low')
    takes = {'train': clips.index >= 10, 'valid': (clips.index >= 5) & (clips.index < 10), 'test': clips.index < 5}
    for part, taken in takes.items(): assert len(getattr(corpus, part)) == clips.length[low & taken].sum()
    first = (low & (clips.index == 0)).nonzero()[clips.y[low & (clips.index == 0)].argsort(), 0]
    wave = torch.cat([clips.x[i, :clips.length[i]] for i in first[:2]]).numpy()/32768
    assert np.abs(MuLaw().decode(corpus.test[:len(wave)]) - wave).max() < 0.02
    with pytest.raises(DataError, match="unknown speaker 'them'"): gpt.load_corpus(Config(data='made', speaker='them'))

# Training

def test_every_window_is_seen_once_a_pass_and_a_later_start_gives_the_same():
    batches = windows(np.arange(1001), block=10, bs=9, steps=22, seed=4)
    seen = torch.cat([x for x, _ in batches])
    first = seen[:99]
    assert len(seen) == 198 and first.unique().numel() == 990 and not torch.equal(first[:, 0] % 10, seen[99:, 0] % 10)
    batches.epoch, batches.first = 0, 13
    assert torch.equal(torch.cat([x for x, _ in batches]), seen[9*13:])
    assert not torch.equal(next(iter(windows(np.arange(1001), 10, 9, 22, seed=5)))[0], seen[:9])

def test_too_short_a_text_is_refused():
    with pytest.raises(ShapeError, match='at least 21 are needed'): windows(np.arange(20), 10, 1, 1)
    with pytest.raises(ShapeError, match='at least 2'): stream_loss(make(), np.array([1]))

@pytest.mark.parametrize('n', [2, 24, 25, 26, 60])
def test_every_token_but_the_first_is_scored(n):
    model, x = make(), tokens(1, n)[0]
    parts = [(x[i:i + 25][:-1], x[i + 1:i + 25]) for i in range(0, n - 1, 24)]
    total = sum(F.cross_entropy(model(a[None])[0], b, reduction='sum').item() for a, b in parts)
    assert stream_loss(model, x.numpy(), bs=2) == pytest.approx(total/(n - 1), abs=1e-5)

def test_orthogonal_is_u_v_of_the_svd():
    g = torch.randn(3, 20, 12, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(g, full_matrices=False)
    assert F.cosine_similarity(orthogonal(g).flatten(1), (u @ v).flatten(1)).min() > 0.97
    torch.testing.assert_close(orthogonal(g.mT), orthogonal(g).mT)

def test_muon_is_torchs_muon_and_adam():
    ours, theirs = make(), make()
    matrices = [p for p in theirs.stack.parameters() if p.ndim == 2]
    rest = [p for p in theirs.parameters() if all(p is not m for m in matrices)]
    known = torch.optim.Muon(matrices, lr=0.02, weight_decay=0., momentum=0.95, nesterov=True, adjust_lr_fn='original'), torch.optim.Adam(rest, lr=4e-3, betas=(0.9, 0.95))
    opt, draw = Muon(ours, 0.02, 4e-3), torch.Generator().manual_seed(0)
    for _ in range(3):
        for a, b in zip(ours.parameters(), theirs.parameters()): a.grad = b.grad = torch.randn(a.shape, generator=draw)
        for o in (opt, *known): o.step()
    for (name, a), b in zip(ours.named_parameters(), theirs.parameters()):
        assert (a - b).abs().max() < (4e-3 if a.ndim == 2 and name.startswith('stack') else 1e-5), name  # torch's turns in bfloat16

def test_muon_goes_on_from_its_state():
    a, b = make(), make()
    x = tokens(4, 20)
    def step(model, opt):
        opt.zero_grad()
        token_loss(model(x[:, :-1]), x[:, 1:]).backward()
        opt.step()
    first = Muon(a)
    step(a, first)
    b.load_state_dict(a.state_dict())
    second = Muon(b)
    second.load_state_dict(copy.deepcopy(first.state_dict()))  # torch would share the tensors
    step(a, first), step(b, second)
    for p, q in zip(a.parameters(), b.parameters()): assert torch.equal(p, q)

def test_the_training_step_is_one_graph():
    import torch._dynamo as dynamo
    model, x = make(), tokens(2, 20)
    def step(x): return token_loss(model(x[:, :-1]), x[:, 1:])
    found = dynamo.explain(step)(x)
    dynamo.reset()
    assert found.graph_break_count == 0, found.break_reasons

# Broken input

def test_bad_input_is_named():
    model, x = make(), tokens(2, 5)
    with pytest.raises(ShapeError, match='25 positions, and the model knows 24'): model(tokens(1, 25))
    with pytest.raises(KataError, match='token 61 is outside the vocabulary'): model(torch.tensor([[61]]))
    with pytest.raises(KataError, match='token -1 is outside'): model(torch.tensor([[-1]]))
    with pytest.raises(ShapeError, match='no token at all'): model(torch.zeros(1, 0, dtype=torch.long))
    with pytest.raises(ShapeError, match='keep has shape'): model(x, torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ShapeError, match='torch.bool'): model(x, torch.ones(2, 5))
    with pytest.raises(KataError, match='row 0 keeps none'): model(x, torch.zeros(2, 5, dtype=torch.bool))
    with pytest.raises(ShapeError, match='sees 24 at once'): next(stream(model, tokens(1, 25), 1))
    with pytest.raises(DataError, match='empty text has no characters'): Chars('')
    with pytest.raises(KataError, match='at least 256'): BPE.learn(['a'], 100)
    for how, says in ((dict(top_k=0), 'top_k=0'), (dict(top_p=0.), 'top_p=0.0'), (dict(temperature=-1), 'temperature=-1'), (dict(n=0), 'n=0')):
        with pytest.raises(KataError, match=says): list(stream(model, x, **{'n': 2} | how))

def test_unknown_sets_are_refused():
    with pytest.raises(DataError, match="did you mean 'wikitext'"): gpt.load_corpus(Config(data='wikitxt'))

def test_checkpoints_that_do_not_fit_are_refused(tmp_path):
    to_hf(make(), tmp_path)
    about = json.loads((tmp_path/'config.json').read_text())
    def told(**more): (tmp_path/'config.json').write_text(json.dumps(about | more))
    told(n_embd=48)
    with pytest.raises(ShapeError, match='the two belong to different models'): from_hf(tmp_path)
    told(n_layer=4)
    with pytest.raises(ShapeError, match=r'h\.3\..* is nothing in the file'): from_hf(tmp_path)
    told(activation_function='relu')
    with pytest.raises(KataError, match="activation_function='relu'"): from_hf(tmp_path)
    (tmp_path/'config.json').write_text('{"n_embd": 3')
    with pytest.raises(DataError, match='config.json is missing or cut short'): from_hf(tmp_path)
    (tmp_path/'config.json').write_text('{}')
    with pytest.raises(DataError, match="lacks 'vocab_size'"): from_hf(tmp_path)
    with pytest.raises(KataError, match='turns its keys'): to_hf(make(rotary=True), tmp_path)

def test_a_name_without_a_network_is_a_clear_word(monkeypatch, tmp_path):
    import huggingface_hub
    def refused(*a, **k): raise ConnectionError('no network')
    monkeypatch.setattr(huggingface_hub, 'snapshot_download', refused)
    with pytest.raises(DataError, match="'gpt2' is no folder here, and the hub does not give it"): from_hf('gpt2')

def test_a_small_training_learns_and_resumes(monkeypatch, tmp_path):
    config = Config(data='topics', width=16, heads=2, depth=1, block=16, bs=8, steps=30)
    found = gpt.train_gpt(config)
    assert np.mean(found['loss'][-5:]) < found['loss'][0] - 0.3 and found['test'] is None and found['valid'] < 4
    assert gpt.train_gpt(config)['loss'] == found['loss'] != gpt.train_gpt(replace(config, seed=1))['loss']
