"core: hashes that every supported Python reproduces, writes that never tear, metrics that mean something."
import os, signal, subprocess, sys, time
import numpy as np
import pytest
from kata_blog.core import KataError, Report, code_hash, file_hash, report, text_hash, unknown, write_atomic

# source, and the first digits of its hash: the same under Python 3.11, 3.12, 3.13 and 3.14
FIXED = [
    ('def f(a, /, b:int=2, *c, d=3.5, **e)->float: return a + b', '1be030265607f6c0'),
    ('''class A(B, metaclass=M):
    "Docstring."
    x: int = 0
    @property
    def y(self): return f'{self.x!r:>{w}} {self.x=} end'
''', 'b38e55824d7f1a00'),
    ('async def g(): return [i async for i in h() if i] or (yield)', 'e8ebfcccab31a4c6'),
    ('''match p:
    case {"k": [1, *rest], **kw} if rest: pass
    case A(x=0) | None: pass
''', 'ccf099199f1a91a5'),
    ('try: pass\nexcept* (E, F) as e: raise G from e', '5f889cb1520c19a3'),
    ('''with a as b, c: x = lambda *y, z=1: {**y, 'a': {1, 2}, -1: b"\\x00", 1j: ..., 0x10: 1e400}''', 'a0df6cd73ba35684'),
    ('''f"{x:{'a' if y else 'b'}}{'lit'}" 'tail' f'{z:}\'''', 'bdd91bf9ae6319bb'),  # 3.12 adds an empty piece here
    ('await main()', 'c815b7b90c415ced'),
]

@pytest.mark.parametrize('source, digits', FIXED)
def test_hash_is_the_same_on_every_python(source, digits): assert code_hash(source)[:16] == digits

SAME = [
    ('x=1', 'x = 1  # why'), ('f(a,b)', 'f(a,\n  b,\n)'), ('x = "a"', "x = 'a'"), ('x = 10', 'x = 0xa'),
    ('def f():\n    "doc"\n    return 1', 'def f(): return 1'), ('class A:\n    "doc"', 'class A: pass'), ('"module doc"\nx = 1', 'x = 1'),
]
OTHER = [('x = 1', 'x = 1.0'), ('x = 1', 'x = True'), ('x = "1"', 'x = b"1"'), ('f(a)', 'f(a=a)'), ('x = -0.0', 'x = 0.0'), ('%time x', '%time y'),
         ('def f(a=1): pass', 'def f(a=2): pass'), ('x = None', 'x = ...'), ('f(*a)', 'f(a)'), ('f"{x}"', 'f"{x!r}"'), ('f"{x} "', 'f"{x}"')]

@pytest.mark.parametrize('a, b', SAME)
def test_prose_and_layout_do_not_count(a, b): assert code_hash(a) == code_hash(b)

@pytest.mark.parametrize('a, b', OTHER)
def test_what_the_code_does_counts(a, b): assert code_hash(a) != code_hash(b)

def test_file_hash_is_that_of_its_bytes(tmp_path):
    (tmp_path/'a').write_bytes(b'abc' * 10**6)
    assert file_hash(tmp_path/'a') == text_hash(b'abc' * 10**6)

def test_a_killed_write_leaves_the_old_file(tmp_path):
    "Killed at moments spread over a run of writes, the file always holds one whole version."
    path = tmp_path/'a.txt'
    write_atomic(path, '0' * 10**6)
    code = 'import sys; from kata_blog.core import write_atomic\nwhile True:\n    for d in "0123456789": write_atomic(sys.argv[1], d * 10**6)\n'
    for i in range(8):
        p = subprocess.Popen([sys.executable, '-c', code, str(path)])
        time.sleep(.15 + .013 * i)
        p.send_signal(signal.SIGKILL); p.wait()
        text = path.read_text()
        assert len(text) == 10**6 and len(set(text)) == 1

def test_a_refused_write_leaves_nothing(tmp_path):
    with pytest.raises(TypeError): write_atomic(tmp_path/'a', 3)
    assert list(tmp_path.iterdir()) == []

def test_write_keeps_the_mode(tmp_path):
    path = write_atomic(tmp_path/'a', 'x')
    path.chmod(0o600)
    write_atomic(path, 'y')
    assert path.stat().st_mode & 0o777 == 0o600

def test_report_takes_scalars_of_arrays(capsys):
    report(accuracy=np.float32(.5), n=np.int64(3), sd=np.float64(.01))
    assert capsys.readouterr().out == 'accuracy 0.5 (sd=0.01, n=3)\n'

@pytest.mark.parametrize('kw, text', [(dict(a=float('inf')), 'finite'), (dict(a=True), 'bool'), (dict(a=np.zeros(2)), 'several values'),
                                      (dict(A=1), 'lower-case'), (dict(a=1, b=2, sd=1), 'each in a call'), (dict(a=1, sd='x'), 'str'), ({}, 'no metric')])
def test_report_refuses(kw, text):
    with pytest.raises(KataError, match=text): report(**kw)

def test_unknown_without_a_near_name_lists_all():
    assert unknown('x', 'option', 'zzz', ['b', 'a']) == "x: unknown option 'zzz'; known: a, b"
    assert unknown('x', 'option', 'zzz', []).endswith('known: none')
