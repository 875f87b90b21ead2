"Token numbers on the disk: written in pieces, mapped into memory, never half there."
import tracemalloc

import numpy as np
import pytest

from kata_blog.core import DataError
from kata_blog.data import datasets, open_tokens, read_lines, tokens_once, write_tokens

@pytest.mark.parametrize('n_vocab, size', [(2, 2), (65_536, 2), (65_537, 4)])
def test_what_is_written_is_read(tmp_path, n_vocab, size):
    rng = np.random.default_rng(0)
    pieces = [rng.integers(0, n_vocab, n) for n in (0, 1, 1000, 7)] + [[0, n_vocab - 1]]
    tokens = open_tokens(write_tokens(tmp_path/'a'/'t.npy', iter(pieces), n_vocab))
    assert tokens.dtype.itemsize == size
    np.testing.assert_array_equal(tokens, np.concatenate(pieces))
    np.testing.assert_array_equal(np.load(tmp_path/'a'/'t.npy'), tokens)  # any tool reads it

def test_no_pieces_make_an_empty_file(tmp_path):
    assert open_tokens(write_tokens(tmp_path/'t.npy', [], 10)).shape == (0,)

@pytest.mark.parametrize('piece', [[-1], [10], [0.5]])
def test_what_is_no_token_is_refused_and_leaves_nothing(tmp_path, piece):
    with pytest.raises(DataError, match='needed whole numbers from 0 to 9'): write_tokens(tmp_path/'t.npy', [[1, 2], piece], 10)
    assert not list(tmp_path.iterdir())

def test_a_failure_in_the_middle_leaves_what_was_there(tmp_path):
    def pieces():
        yield [1]
        raise KeyboardInterrupt
    write_tokens(tmp_path/'t.npy', [[3]], 10)
    with pytest.raises(KeyboardInterrupt): write_tokens(tmp_path/'t.npy', pieces(), 10)
    assert open_tokens(tmp_path/'t.npy').tolist() == [3] and len(list(tmp_path.iterdir())) == 1

@pytest.mark.parametrize('damage', [lambda b: b[:40], lambda b: b[:-2], lambda b: b'', lambda b: b'no array' * 30])
def test_a_damaged_file_is_named(tmp_path, damage):
    file = write_tokens(tmp_path/'t.npy', [range(100)], 100)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DataError, match=r't\.npy'): open_tokens(file)

def test_other_arrays_and_missing_files_are_refused(tmp_path):
    np.save(tmp_path/'t.npy', np.zeros((2, 3)))
    with pytest.raises(DataError, match='needed whole numbers in one row'): open_tokens(tmp_path/'t.npy')
    with pytest.raises(DataError, match='does not exist'): open_tokens(tmp_path/'none.npy')

def test_lines_come_whole_and_with_their_ends(tmp_path):
    text = 'one\r\ntwo\n\n' + 'long ' * 100 + '\nlast'
    (tmp_path/'t.txt').write_bytes(text.encode())
    pieces = list(read_lines(tmp_path/'t.txt', n_chars=10))
    assert len(pieces) > 1 and ''.join(line for lines in pieces for line in lines) == text

def test_a_corpus_passes_in_far_less_memory_than_it_takes(tmp_path):
    n, piece = 8_000_000, 100_000
    pieces = (np.full(piece, i, np.int64) for i in range(n // piece))
    tracemalloc.start()
    tokens = open_tokens(write_tokens(tmp_path/'t.npy', pieces, 100))
    seen = sum(int(tokens[i]) for i in range(0, n, piece))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(tokens) == n and seen == sum(range(n // piece))
    assert peak < n * 2 / 4  # the file takes 2 bytes a token

def test_tokens_are_made_once(tmp_path, monkeypatch):
    monkeypatch.setenv('KATA_DATA', str(tmp_path))
    calls = []
    def pieces():
        calls.append(1)
        yield [1, 2]
    for _ in range(2): assert tokens_once('t-1', pieces, 5).tolist() == [1, 2]
    assert calls == [1]
    with pytest.raises(DataError, match='becomes the name of a file'): tokens_once('../t', pieces, 5)

def test_texts_are_registered():
    known = datasets()
    assert known['tinyshakespeare'].files == ('input.txt',)
    assert all('wiki.train.tokens' in known[name].top for name in ('wikitext', 'wikitext103'))

@pytest.mark.realdata
def test_the_mirror_serves_the_texts(tmp_path, monkeypatch):
    from kata_blog.data import fetch, variant
    monkeypatch.setenv('KATA_DATA', str(tmp_path))
    assert len((fetch('tinyshakespeare')/'input.txt').read_text()) == 1_115_394 and variant('tinyshakespeare') == 'original'
    assert (fetch('wikitext')/'test.txt').exists() and variant('wikitext') == 'no training split'
