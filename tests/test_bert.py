"What the post on BERT exports: equal to transformers with weights copied, the exercises, the splits, bad input."
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kata_blog.bert import (CLS, MASK, PAD, SEP, SPECIAL, Bert, Body, ByLength, Classifier, Corpus, Pretraining, Task, _beside, begin, both_losses, build, classify, count_words, encode, finetune,
    from_hf, held_out, hf_names, hide, judge, labelled, learn_vocab, load_manual, load_phrases, load_reviews, make_tokenizer, masked_loss, named, optimiser, pair_up, paired, pieces,
    pretrain, read_vocab, spell, take_counts, texts_of, to_hf, tokenise, trim, windows)
from kata_blog.core import DataError, KataError, ShapeError

def close(a, b, atol=1e-5): torch.testing.assert_close(a, b, atol=atol, rtol=0)

def padding(n, *lengths): return torch.arange(n) < torch.tensor(lengths)[:, None]

@pytest.fixture(autouse=True)
def seed(): torch.manual_seed(0)

@pytest.fixture(autouse=True)
def own_runs(tmp_path, monkeypatch): monkeypatch.setenv('KATA_RUN_DIR', str(tmp_path/'runs'))

# --- against transformers

def reference(**more):
    "A BERT of transformers with weights far from where training begins."
    hf = pytest.importorskip('transformers')
    sizes = dict(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=20, hidden_dropout_prob=0., attention_probs_dropout_prob=0.)
    theirs = hf.BertForPreTraining(hf.BertConfig(**sizes | more)).eval()
    for p in theirs.parameters(): nn.init.normal_(p, std=0.3)
    return theirs

def same(theirs, folder):
    theirs.save_pretrained(folder)
    return from_hf(folder)

@pytest.mark.parametrize('t, lengths', [(20, (20, 7, 1)), (1, (1, 1, 1)), (13, (13, 13, 5))])
@pytest.mark.parametrize('act', ['gelu', 'relu'])
def test_equals_bert_of_transformers(tmp_path, t, lengths, act):
    theirs = reference(hidden_act=act)
    ours = same(theirs, tmp_path)
    tokens, segments, keep = torch.randint(50, (3, t)), torch.randint(2, (3, t)), padding(t, *lengths)
    wanted = theirs(tokens, token_type_ids=segments, attention_mask=keep.long())
    words, follows = ours(tokens, segments, keep=keep)
    close(words, wanted.prediction_logits); close(follows, wanted.seq_relationship_logits)
    h = ours.bert(tokens, segments, keep)
    body = theirs.bert(tokens, token_type_ids=segments, attention_mask=keep.long())
    close(h, body.last_hidden_state); close(ours.bert.pooled(h), body.pooler_output)

def test_gradients_equal_those_of_transformers(tmp_path):
    theirs = reference()
    ours = same(theirs, tmp_path)
    tokens = torch.randint(1, 50, (3, 11))  # theirs learns no vector for the padding token
    segments, keep, y = torch.randint(2, (3, 11)), padding(11, 11, 6, 3), torch.randint(50, (3, 11))
    out = theirs(tokens, token_type_ids=segments, attention_mask=keep.long())
    for words, follows in ((out.prediction_logits, out.seq_relationship_logits), ours(tokens, segments, keep=keep)):
        (F.cross_entropy(words.flatten(0, 1), y.flatten()) + F.cross_entropy(follows, torch.tensor([0, 1, 1]))).backward()
    found, wanted = (dict(m.named_parameters()) for m in (ours, theirs))
    names = hf_names(2)
    assert set(names) == set(found)  # every weight has its place
    for a, b in names.items():
        close(found[a].grad, torch.cat([wanted[n].grad for n in ([b] if isinstance(b, str) else b)]))

def test_what_is_written_can_be_read_by_transformers_and_by_us(tmp_path):
    hf = pytest.importorskip('transformers')
    ours = Pretraining(Bert(40, 16, 2, 3, 24)).eval()
    vocab = SPECIAL + [f'w{i}' for i in range(35)]
    to_hf(ours, tmp_path/'a', vocab)
    theirs, again = hf.BertForPreTraining.from_pretrained(tmp_path/'a').eval(), from_hf(tmp_path/'a')
    tokens, keep = torch.randint(40, (2, 9)), padding(9, 9, 4)
    words, follows = ours(tokens, keep=keep)
    out = theirs(tokens, attention_mask=keep.long())
    close(words, out.prediction_logits); close(follows, out.seq_relationship_logits)
    close(again(tokens, keep=keep)[0], words, 0)
    assert read_vocab(tmp_path/'a'/'vocab.txt', 40) == vocab

def test_the_tokeniser_cuts_as_that_of_transformers(tmp_path):
    hf = pytest.importorskip('transformers')
    vocab = learn_vocab(load_manual('train')[0], 600)
    (tmp_path/'vocab.txt').write_text(''.join(f'{v}\n' for v in vocab))
    theirs = hf.BertTokenizer(str(tmp_path/'vocab.txt')) if not hasattr(hf, 'BertTokenizerFast') else hf.BertTokenizerFast(vocab={v: i for i, v in enumerate(vocab)})
    for text in load_manual('test')[0][:50] + ['It\'s "unexplicitly" Märchen-like, naïve; 3.14!']:
        assert make_tokenizer(vocab).encode(text, add_special_tokens=False).ids == theirs(text, add_special_tokens=False)['input_ids']

def test_a_body_without_heads_is_read(tmp_path):
    theirs = reference()
    theirs.bert.save_pretrained(tmp_path)
    tokens = torch.randint(50, (2, 5))
    close(from_hf(tmp_path).bert(tokens), theirs.bert(tokens).last_hidden_state)

def test_what_is_no_bert_is_named(tmp_path, monkeypatch):
    with pytest.raises(KataError, match='holds no config.json'): from_hf(tmp_path)
    (tmp_path/'config.json').write_text('{"model_type": "gpt2", "hidden_act": "gelu"}')
    with pytest.raises(KataError, match='is a gpt2 with gelu; needed a bert'): from_hf(tmp_path)
    to_hf(Pretraining(Bert(40, 16, 2, 1, 24)), tmp_path/'b')
    about = json.loads((tmp_path/'b'/'config.json').read_text())
    for change, says in ((dict(hidden_size=32), 'config.json asks for'), (dict(num_hidden_layers=2), 'lacks')):
        (tmp_path/'b'/'config.json').write_text(json.dumps(about | change))
        with pytest.raises(KataError, match=says): from_hf(tmp_path/'b')
    (tmp_path/'b'/'model.safetensors').write_bytes(b'x'*100)
    (tmp_path/'b'/'config.json').write_text(json.dumps(about))
    with pytest.raises(KataError, match='is damaged'): from_hf(tmp_path/'b')

def test_a_name_on_the_hub_says_when_there_is_no_network(monkeypatch):
    hub = pytest.importorskip('huggingface_hub')
    def offline(*args, **kw): raise OSError('no network')
    monkeypatch.setattr(hub, 'hf_hub_download', offline)
    with pytest.raises(KataError, match=r"'google-bert/bert-base-uncased' is no folder here.*OSError.*connect to the network"): from_hf('google-bert/bert-base-uncased')

# --- the exercises

def test_hiding_keeps_the_proportions_of_the_paper():
    tokens = torch.randint(10, 1000, (400, 100))
    tokens[:, 0], tokens[:, 50], tokens[:, 99] = CLS, SEP, PAD
    shown, places, answers = hide(tokens, 1000)
    assert places.shape == (400, 15) and torch.equal(tokens.gather(1, places), answers) and answers.min() >= 10
    assert all(len(set(row)) == 15 for row in places.tolist())
    at = shown.gather(1, places)
    assert (at == MASK).float().mean() == pytest.approx(0.8, abs=0.02) and (at == answers).float().mean() == pytest.approx(0.1, abs=0.02)
    assert torch.equal(shown.scatter(1, places, answers), tokens)  # nothing else was touched

def test_pairs_follow_or_come_from_another_row():
    x = torch.arange(64*10).view(64, 10) + 5
    tokens, segments, follows = pair_up(x)
    assert tokens.shape == segments.shape == (64, 13) and 16 < follows.sum() < 48
    assert torch.equal(tokens[:, 1:6], x[:, :5]) and (tokens[:, [0, 6, 12]] == torch.tensor([CLS, SEP, SEP])).all()
    assert segments[0].tolist() == [0]*7 + [1]*6
    assert torch.equal((tokens[:, 7:12] == x[:, 5:]).all(1).long(), follows)

def test_without_pairs_there_is_one_text():
    x = torch.arange(40).view(4, 10) + 5
    tokens, segments, follows = pair_up(x, False)
    assert tokens.shape == (4, 12) and torch.equal(tokens[:, 1:11], x) and segments.max() == 0 and follows.min() == 1

def test_losses_and_metrics_read_the_right_columns():
    words, follows = torch.randn(2, 3, 9), torch.randn(2, 2)
    y = torch.cat([words.argmax(-1), follows.argmin(-1, keepdim=True)], 1)
    assert named((words, follows), y) == 1 and paired((words, follows), y) == 0
    close(both_losses((words, follows), y), masked_loss((words, follows), y) + F.cross_entropy(follows, y[:, -1]), 1e-6)

def test_places_name_some_positions_only():
    model, tokens = Pretraining(Bert(30, 16, 2, 1, 12)).eval(), torch.randint(30, (2, 9))
    places = torch.tensor([[3, 0], [8, 5]])
    close(model(tokens, places=places)[0], model(tokens)[0].gather(1, places[..., None].expand(-1, -1, 30)), 1e-6)

def test_a_pretraining_step_has_no_graph_break():
    model = Pretraining(Bert(30, 16, 2, 1, 12))
    tokens, places, y = torch.randint(30, (2, 9)), torch.randint(9, (2, 2)), torch.randint(2, (2, 3))
    torch._dynamo.reset()
    found = torch._dynamo.explain(lambda t, p, y: both_losses(model(t, torch.zeros_like(t), p), y))(tokens, places, y)
    assert found.graph_break_count == 0 and found.graph_count == 1

# --- texts

def test_held_out_sentences_share_no_phrase_with_the_rest():
    texts = ['a good film', 'good', 'a good', 'a bad film', 'bad film', 'film', 'so it goes', 'it goes', 'never again']
    chosen, spans = held_out(texts, 2)
    assert len(chosen) == 2 and chosen <= {'a good film', 'a bad film', 'so it goes', 'never again'} and chosen <= spans
    rest = [t for t in texts if t not in spans]
    assert rest and not any(f' {r} ' in f' {c} ' for r in rest for c in chosen)
    assert held_out(texts, 2)[0] == chosen
    with pytest.raises(DataError, match='4 phrases .* n=4'): held_out(texts, 4)

def test_the_vocabulary_is_the_same_each_time():
    texts = load_manual('train')[0]
    found = learn_vocab(texts, 700)
    assert found == learn_vocab(list(texts), 700) and len(found) == 700 and found[:5] == SPECIAL

def test_pieces_hold_every_token_and_windows_cross_no_text():
    tokens, lengths = torch.arange(10, 10 + 30, dtype=torch.int16), torch.tensor([3, 20, 7])
    x, owner = pieces(tokens, lengths, 10)
    assert owner.tolist() == [0, 1, 1, 1, 2] and x.shape == (5, 10) and x[0].tolist() == [CLS, 10, 11, 12, SEP] + [PAD]*5
    assert (x[:, 0] == CLS).all() and set(x.flatten().tolist()) - {PAD, CLS, SEP} == set(range(10, 40))
    assert x[3].tolist() == [CLS, *range(25, 33), SEP]  # the last piece of the second text reaches back
    assert windows(tokens, lengths, 7).tolist() == [list(range(13, 20)), list(range(20, 27)), list(range(33, 40))]

def test_batches_by_length_hold_every_row_once():
    x = torch.zeros(1000, 30, dtype=torch.int16)
    for i, n in enumerate(torch.randint(1, 30, (1000,)).tolist()): x[i, :n] = 7
    batches = ByLength(x, torch.arange(1000), bs=20, shuffle=True, transform=trim)
    seen = [(b.shape[1], y) for b, y in batches]
    assert sorted(torch.cat([y for _, y in seen]).tolist()) == list(range(1000))
    assert sum(n for n, _ in seen)/len(seen) < 18 and seen[0][0] != seen[1][0] or seen[1][0] != seen[2][0]  # 29 when unsorted
    assert torch.equal(ByLength(x, torch.arange(1000), bs=20).order(0), torch.arange(1000))

def test_a_text_is_judged_by_the_mean_of_its_pieces():
    model = Classifier(Bert(30, 16, 2, 1, 12)).eval()
    x = torch.tensor([[CLS, 9, SEP, PAD], [CLS, 8, 7, SEP], [CLS, 9, SEP, PAD]])
    with torch.no_grad(): each = model(x)
    close(classify(model, x, torch.tensor([0, 0, 1])), torch.stack([each[:2].mean(0), each[2]]), 1e-2)
    close(each[0], model(x[:1, :3])[0], 1e-5)  # padding changes nothing
    close(model.head(model.bert(x[:1, :3]).mean(1)), each[:1], 1e-5)
    model.pool = 'first'
    close(model(x[:1, :3]), model.head(model.bert.pooled(model.bert(x[:1, :3]))), 1e-6)

def test_a_classifier_brings_its_own_tokeniser():
    vocab = learn_vocab(load_manual('train')[0], 300)
    model, other = Classifier(Bert(300, 16, 2, 1, 12), vocab=vocab), Classifier(Bert(300, 16, 2, 1, 12))
    other.load_state_dict(model.state_dict())
    text = load_manual('test')[0][3]
    assert other.tokenizer().encode(text).ids == make_tokenizer(vocab).encode(text).ids
    probs = judge(other, [text, 'short'])
    assert probs.shape == (2, 2) and torch.allclose(probs.sum(1), torch.ones(2))
    with pytest.raises(KataError, match='holds no vocabulary'): judge(Classifier(Bert(300, 16, 2, 1, 12)), [text])
    with pytest.raises(ShapeError, match='2 pieces take 7 bytes, and there is room for 6'): spell(['abc', 'def'], 6)

tiny = Body(Corpus('manual', 400), 16, 2, 1, 32, 400, bs=32)

def test_pretraining_learns_and_a_classifier_is_built_on_it():
    curve = pretrain(replace(tiny, width=32, lr=3e-3, epochs=4))['curve']
    assert curve['valid_loss'][-1] < curve['valid_loss'][0] - 0.2
    a, b = finetune(Task('manual', tiny, epochs=1)), finetune(Task('manual', tiny, epochs=1))
    assert torch.equal(a['logits'], b['logits']) and len(a['logits']) == len(load_manual('test')[0])
    after = finetune(Task('manual', tiny, epochs=1, cover=0.3, first=Task('manual', tiny, epochs=1), n_texts=100))
    assert len(after['curve']['loss']) < len(a['curve']['loss']) and not torch.equal(after['logits'], a['logits'])
    frozen = finetune(Task('manual', tiny, epochs=1, frozen=True))['weights']
    start = pretrain(tiny)['weights']
    assert all(torch.equal(w, start[n]) for n, w in frozen.items() if n.startswith('bert.'))

def test_counts_are_made_by_hand():
    tokens, lengths = torch.tensor([1, 2, 1, 3, 2]), torch.tensor([3, 2])  # 1 2 1, and 3 2
    wanted = torch.zeros(4, 4)
    for a, b, n in ((1, 2, 2), (1, 1, 1), (2, 3, 1)): wanted[a, b] = wanted[b, a] = n  # 1 stands beside itself at a distance of two, seen from both
    assert torch.equal(_beside(tokens, lengths, 4), wanted)
    assert _beside(tokens, lengths, 4, reach=1)[1, 1] == 0

def test_counted_vectors_factor_the_information_and_place_like_words_together(monkeypatch):
    import kata_blog.bert as module
    texts = [f'the {animal} {verb} here' for animal in ('cat', 'dog') for verb in ('eats', 'sleeps')]*30 + [f'we count {n} now' for n in ('two', 'three')]*30
    monkeypatch.setitem(module._SETS, 'manual', lambda split: (texts, None))
    monkeypatch.setenv('KATA_ONCE', 'off')
    corpus = Corpus('manual', 200)
    before = torch.get_rng_state()
    counts, vocab = count_words(corpus), tokenise(corpus)['vocab']
    assert torch.equal(torch.get_rng_state(), before)
    assert counts['frequency'].sum() == pytest.approx(1) and counts['frequency'][vocab.index('the')] == pytest.approx(120*2/1440)
    beside = _beside(tokenise(corpus)['tokens'].long(), tokenise(corpus)['lengths'], len(vocab)).double().numpy()
    rare = beside.sum(0)**0.75/(beside.sum(0)**0.75).sum()
    information = torch.tensor([[max(0, np.log(beside[i, j]/beside[i].sum()/rare[j])) if beside[i, j] else 0 for j in range(len(vocab))] for i in range(len(vocab))])
    v = counts['vectors'].double()
    torch.testing.assert_close(v @ v.T @ v @ v.T, information @ information.T, atol=1e-3, rtol=1e-3)
    v = F.normalize(counts['vectors'])
    near = lambda a, b: (v[vocab.index(a)] @ v[vocab.index(b)]).item()
    assert near('cat', 'dog') > 0.9 > 0.3 > near('cat', 'two') and near('two', 'three') > 0.9
    torch.manual_seed(1)
    assert torch.allclose(count_words(corpus)['vectors'], counts['vectors'])  # whatever was drawn before

def test_a_network_can_begin_with_counts():
    model = Pretraining(build(tiny, 400))
    before = model.bert.embed.token.weight.detach().clone()
    take_counts(model, tiny.corpus)
    counts, words = count_words(tiny.corpus), model.bert.embed.token.weight.detach()
    known = counts['frequency'] > 0
    assert 0 < (~known).sum() and torch.equal(words[~known], before[~known])  # what never came up stays as it was
    assert words[known].square().mean(1).sqrt().allclose(torch.tensor(0.1)) and words.requires_grad is False and model.bert.embed.token.weight.requires_grad
    assert model.bias[known].exp().sum().item() == pytest.approx(1)
    first = lambda body: pretrain(replace(body, n_windows=64))['curve']['loss'][0]
    assert first(tiny) < first(replace(tiny, counted=False)) - 0.5  # it begins at the frequency of words
    fresh = lambda body: begin(Task('manual', replace(body, n_windows=0)), tokenise(body.corpus)['vocab']).bert.embed.token.weight
    assert torch.equal(fresh(tiny)[known].cpu(), words[known]) and not torch.equal(fresh(replace(tiny, counted=False)).cpu(), words)

def test_what_is_frozen_is_not_moved():
    model = Classifier(Bert(30, 16, 2, 1, 12))
    model.bert.requires_grad_(False)
    opt, schedule = optimiser(model, 1e-3)
    assert [len(g['params']) for g in opt.param_groups] == [2] and schedule['lr'](0.1) == pytest.approx(1e-3)

def test_the_loss_of_naming_is_a_mean_over_the_words():
    logits, y = torch.randn(3, 4, 9), torch.randint(9, (3, 5))
    assert torch.allclose(masked_loss((logits, None), y), F.cross_entropy(logits.flatten(0, 1), y[:, :4].flatten()))

def test_pretraining_reads_no_test(monkeypatch):
    import kata_blog.bert as module
    asked = []
    monkeypatch.setitem(module._SETS, 'manual', lambda split: asked.append(split) or load_manual(split))
    tokenise(tiny.corpus)
    assert set(asked) == {'train', 'unsup'}

@pytest.mark.realdata
def test_sst2_is_cut_by_sentence():
    (train, y), (valid, yv), (test, yt) = (load_phrases(s) for s in ('train', 'valid', 'test'))
    assert len(valid) == 400 and len(test) == 872 and len(train) > 55_000 and len(y) == len(train) and set(yt.tolist()) == {0, 1}
    words = [f' {v} ' for v in valid]
    assert not any(f' {t} ' in w for t in train[::97] for w in words)
    assert yt.sum() == 444  # as published

@pytest.mark.realdata
def test_imdb_is_whole():
    for split, n in (('train', 25_000), ('test', 25_000)):
        texts, y = load_reviews(split)
        assert len(texts) == n and y.sum() == n//2 and not any('<br />' in t for t in texts[::50])

@pytest.mark.realdata
def test_reviews_that_are_held_out_are_not_learned_from():
    task = Task('imdb')
    (train, y), (valid, yv), (test, yt) = (texts_of(task, s) for s in ('train', 'valid', 'test'))
    assert (len(train), len(valid), len(test)) == (24_000, 1000, 25_000) and yv.sum() == 500 and y.sum() == 12_000
    assert len(texts_of(replace(task, n_texts=70), 'train')[0]) == 70

# --- bad input

@pytest.mark.parametrize('call, says', [
    (lambda: make_tokenizer(['a', 'b']), r"begins with \['a', 'b'\]"),
    (lambda: make_tokenizer(SPECIAL + ['a', 'a']), 'holds 1 pieces twice'),
    (lambda: encode(make_tokenizer(SPECIAL + ['a']), ['a', ' ']), "text 1, ' ', is empty"),
    (lambda: load_reviews('tests'), "did you mean 'test'"),
    (lambda: load_phrases('dev'), 'known: test, train, valid'),
    (lambda: Bert(9, 8, 2)(torch.ones(2, 3).long(), torch.ones(2, 4).long()), r'segments has shape \(2, 4\)'),
    (lambda: Bert(9, 8, 2)(torch.ones(2, 3).long(), keep=torch.ones(3, 2, dtype=torch.bool)), r'keep has shape \(3, 2\)'),
    (lambda: Bert(9, 8, 2)(torch.ones(2, 3).long(), keep=torch.ones(2, 3)), 'torch.float32, needs'),
    (lambda: Bert(9, 8, 2)(torch.ones(2, 3).long(), keep=torch.zeros(2, 3, dtype=torch.bool)), 'row 0 keeps none'),
    (lambda: Classifier(Bert(9, 8, 2))(torch.zeros(1, 3).long()), 'row 0 keeps none'),
    (lambda: Classifier(Bert(9, 8, 2), pool='last'), "unknown pool 'last'.*first, mean"),
    (lambda: Bert(9, 8, 2, max_len=4)(torch.ones(2, 5).long()), '5 positions, and the model knows 4'),
    (lambda: Bert(9, 8, 2)(torch.full((1, 2), 9)), 'token 9 is outside'),
    (lambda: Bert(9, 8, 2)(torch.ones(2, 0).long()), 'no token at all'),
])
def test_bad_input_is_named(call, says):
    with pytest.raises(KataError, match=says): call()

def test_a_vocabulary_that_was_cut_short_is_noticed(tmp_path):
    file = tmp_path/'vocab.txt'
    file.write_text('[PAD]\n[UNK]\nfil')
    with pytest.raises(DataError, match='2 whole lines and part of one'): read_vocab(file)
    file.write_text('[PAD]\n[UNK]\n')
    with pytest.raises(DataError, match='2 whole lines, needs 3'): read_vocab(file, 3)
    assert read_vocab(file) == ['[PAD]', '[UNK]']

@pytest.mark.realdata
def test_shipped_weights_judge_sentences():
    from kata_blog.train import load_weights
    model = load_weights(Classifier(Bert(10_000, 64, max_len=256)), 'bert')
    texts, y = load_phrases('test')
    assert (judge(model, texts).argmax(1) == y).float().mean() > 0.75
    assert judge(model, ['a wonderful , moving film', 'a dull and awful mess']).argmax(1).tolist() == [1, 0]
