"run, record, stale: what a run says of itself, what is kept of it, and when it no longer holds."
import json, shutil, subprocess, threading, time
from pathlib import Path
import pytest
import kata_blog
from kata_blog.core import KataError, NoteError
from kata_blog.press.note import read_note
from kata_blog.press.record import keep, published, read_records, record_path
from kata_blog.press.run import collapse_returns, run_note
from kata_blog.press.stale import post_key, reached_modules, status

PROFILES = 'title: Adding\nkata: {week: 1, profiles: {cpu: {n: 10}, smoke: {n: 2}}}'

def write_post(root, codes, name='01_adding', front=PROFILES):
    path = root/'nbs'/'posts'/f'{name}.ipynb'
    path.parent.mkdir(parents=True, exist_ok=True)
    (root/'_quarto.yml').write_text('')
    cells = [dict(cell_type='raw', metadata={}, id='front', source=f'---\n{front}\n---')]
    cells += [dict(cell_type='code', metadata={}, id=f'c{i}', source=s, outputs=[], execution_count=None) for i, s in enumerate(codes, 2)]
    path.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)))
    return read_note(path)

@pytest.fixture
def ran(tmp_path):
    "Run a post of some cells; the run."
    def go(*codes, profile='full', **kw): return run_note(write_post(tmp_path, codes), profile, root=tmp_path, **kw)
    return go

def texts(run, cell): return [''.join(o.get('text') or o['data']['text/plain']) for o in run.notebook['cells'][cell]['outputs']]

# run

def test_a_run_tells_what_happened(ran):
    run = ran('#| parameters\nn = 100', 'import numpy\nfrom kata_blog.core import report\nreport(total=numpy.arange(n).sum())\nprint("a")\nn')
    assert (run.ended, run.metrics) == ('passed', {'total': {'value': 4950}})
    assert [c['index'] for c in run.cells] == [2, 3] and all(c['seconds'] >= 0 for c in run.cells)
    assert run.peak_memory_mb > 10 and run.device['cores'] >= 1 and run.device['name']
    assert run.versions['numpy'] == __import__('numpy').__version__ and 'matplotlib' not in run.versions
    assert texts(run, 2) == ['a\n', 'total 4950', '100']

def test_pictures_are_counted(ran):
    run = ran('import matplotlib.pyplot as plt', 'plt.plot([1, 2]);', 'plt.plot([1]); plt.show(); plt.plot([2]); plt.show()')
    assert run.ended == 'passed' and run.figures == 3

def test_a_run_leaves_the_project_as_it_was(tmp_path, ran):
    note = write_post(tmp_path, ['1'])
    before = {p: p.read_bytes() for p in tmp_path.rglob('*') if p.is_file()}
    run_note(note, root=tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.rglob('*') if p.is_file()} == before

FAULTS = [
    (['x = 1', 'y = 2\n\n1/0'], 3, 'cell 3, line 3: ZeroDivisionError: division by zero'),
    (['def f():\n    return [][1]', 'x = 0\nf()'], 3, 'cell 3, line 2: IndexError: list index out of range'),
    (['x ='], 2, 'cell 2, line 1: SyntaxError'),
    (['import os\nos._exit(3)'], 2, 'cell 2: the process ended by itself with exit code 3'),
    (['import os, signal\nos.kill(os.getpid(), signal.SIGKILL)'], 2, 'cell 2: the process ended by itself with signal 9'),
    (['from kata_blog.core import report\nreport(a=1)', 'report(a=2)'], None, "cell 3: metric 'a' is reported again (first in cell 2)"),
    (['from kata_blog.core import report\nreport(a=float("nan"))'], 2, 'KataError: report: a is nan'),
    (['input("name")'], 2, 'StdinNotImplementedError'),
]

@pytest.mark.parametrize('codes, cell, text', FAULTS)
def test_what_stops_a_run_is_named(ran, codes, cell, text):
    run = ran(*codes)
    assert run.ended == 'failed' and run.cell == cell and text in run.error and '01_adding.ipynb' in run.error

def test_the_line_is_of_the_failing_cell_not_of_the_helper_above(ran):
    assert 'cell 3, line 1' in ran('def f():\n    x = 1\n    y = 2\n    return 1/0', 'f()').error

@pytest.mark.parametrize('code', ['while True: pass', 'import time\ntime.sleep(60)', 'import subprocess\nsubprocess.run(["sleep", "77.125"])'])
def test_a_cell_that_never_ends_is_ended(ran, code):
    start = time.monotonic()
    run = ran('x = 1', code, cell_timeout_s=1)
    assert run.ended == 'failed' and run.cell == 3 and 'did not end within its time' in run.error and time.monotonic() - start < 30
    assert 'sleep 77.125' not in subprocess.run(['ps', '-eo', 'args'], capture_output=True, text=True).stdout

def test_a_post_that_takes_too_long_is_ended(ran): assert 'did not end within its time' in ran(*['import time\ntime.sleep(.4)'] * 20, timeout_s=2).error

def test_cells_marked_eval_false_are_not_run(ran): assert ran('#| eval: false\n1/0', '2').ended == 'passed'

def test_profiles_differ_in_parameters_only(ran):
    codes = '#| parameters\nn = 100', 'from kata_blog.core import report\nreport(n_used=n)'
    assert [ran(*codes, profile=p).metrics['n_used']['value'] for p in ('full', 'cpu', 'smoke')] == [100, 10, 2]
    with pytest.raises(NoteError, match="did you mean 'smoke'"): ran(*codes, profile='smok')

def test_progress_is_told(ran):
    lines = []
    ran('1', '2', log=lines.append)
    assert [l.split(':')[0] for l in lines] == ['cell 2', 'cell 3']

@pytest.mark.parametrize('said, shown', [('10 %\r50 %\r100 %\nend', '100 %\nend'), ('a\r\nb\r\n', 'a\nb\n'), ('plain', 'plain'), ('', '')])
def test_progress_bars_collapse(said, shown): assert collapse_returns(said) == shown

def test_threads_left_behind_do_not_hold_the_run(ran):
    assert ran('import threading, time\nthreading.Thread(target=lambda: time.sleep(60)).start()').ended == 'passed'

# record

@pytest.fixture
def post(tmp_path):
    note = write_post(tmp_path, ['#| parameters\nn = 100  # many', 'from kata_blog.core import report\nreport(total=sum(range(n)))\nobject()'])
    return tmp_path, note

def ran_and_kept(root, note, profile='cpu', **kw):
    run = run_note(note, profile, root=root)
    return run, keep(note, run, post_key(note, root, profile), root, **kw)

def test_records_grow_and_are_never_rewritten(post):
    root, note = post
    _, first = ran_and_kept(root, note)
    _, second = ran_and_kept(root, read_note(note.path), 'full')
    assert read_records(note.path) == [second, first] and second['id'] != first['id']
    assert published([first]) == first and published([first, second]) == second

def test_the_notebook_keeps_its_parameters_and_is_clean(post):
    root, note = post
    ran_and_kept(root, note)
    text = note.path.read_text()
    assert 'n = 100  # many' in text and 'object object at' not in text
    (root/'pyproject.toml').write_text('[project]\nname="x"\n[tool.nbdev]\n')
    subprocess.run(['nbdev-clean', '--fname', str(note.path)], check=True, cwd=root)
    assert note.path.read_text() == text

def test_a_failed_run_leaves_a_record_and_no_outputs(tmp_path):
    note = write_post(tmp_path, ['#| parameters\nn = 1', '1', '1/0'])
    before = note.path.read_text()
    _, record = ran_and_kept(tmp_path, note)
    assert note.path.read_text() == before and record['ended'] == 'failed' and record['cell'] == 4 and published(read_records(note.path)) is None

def test_an_edit_made_meanwhile_wins(post):
    root, note = post
    run = run_note(note, 'cpu', root=root)
    note.path.write_text(note.path.read_text().replace('# many', '# few'))
    edited = note.path.read_text()
    with pytest.raises(KataError, match='the edit stays'): keep(note, run, {}, root)
    assert note.path.read_text() == edited and not record_path(note.path).exists()

def test_weights_are_published_only_by_a_passed_run(post, tmp_path_factory):
    root, note = post
    folder = tmp_path_factory.mktemp('weights')
    (folder/'adding.safetensors').write_bytes(b'abc')
    _, record = ran_and_kept(root, note, weights_dir=folder)
    assert (root/'kata_blog'/'weights'/'adding.safetensors').read_bytes() == b'abc' and list(record['weights']) == ['adding.safetensors']

def test_two_that_keep_at_once_both_stay(post):
    root, note = post
    runs = [run_note(write_post(root, ['1/0'], name=f'0{i}_x', front='title: x'), root=root) for i in (1, 2)]
    note = read_note(root/'nbs'/'posts'/'01_x.ipynb')
    threads = [threading.Thread(target=keep, args=(note, run, {'whole': str(i)}, root)) for i, run in enumerate(runs * 4)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert len(read_records(note.path)) == 8

@pytest.mark.parametrize('text', ['{', '{}', '[1]', '[{}]', '[' * 100_000])
def test_a_damaged_record_is_an_error_not_a_loss(post, text):
    root, note = post
    record_path(note.path).parent.mkdir()
    record_path(note.path).write_text(text)
    with pytest.raises(KataError, match='restore it from git'): ran_and_kept(root, note)
    assert record_path(note.path).read_text() == text

# stale

HELPER = 'LIMIT = 3\n\ndef half(x): return x/2\n'

@pytest.fixture
def kept(tmp_path):
    "A project whose one post has a fresh record; it uses kata_blog.halves, which uses kata_blog.deep."
    shutil.copytree(Path(kata_blog.__file__).parent, tmp_path/'kata_blog', ignore=shutil.ignore_patterns('weights', '__pycache__', 'theme'))
    (tmp_path/'kata_blog'/'deep.py').write_text(HELPER)
    (tmp_path/'kata_blog'/'halves.py').write_text('from .deep import half\n\ndef quarter(x): return half(half(x))\n')
    (tmp_path/'kata_blog'/'other.py').write_text('x = 1\n')
    note = write_post(tmp_path, ['#| default_exp adding', '#| parameters\nn = 100', 'from kata_blog.halves import quarter', 'quarter(n)'])
    ran_and_kept(tmp_path, note)
    assert status(tmp_path)[0].word == 'fresh'
    return tmp_path

def edit(root, file, old, new):
    path = root/file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))

POST = 'nbs/posts/01_adding.ipynb'
EDITS = [
    ('kata_blog/deep.py', 'x/2', 'x/3', 'deep changed'),
    ('kata_blog/halves.py', 'half(half(x))', 'half(x)', 'halves changed'),
    ('kata_blog/deep.py', 'LIMIT = 3', 'LIMIT = 4', 'deep changed'),
    (POST, 'quarter(n)', 'quarter(n+1)', 'cell 5 changed'),
    (POST, 'cpu: {n: 10}', 'cpu: {n: 11}', 'parameter n 10 -> 11'),
    (POST, 'import quarter', 'import quarter as q', 'cell 4 changed'),
]

def test_what_matters_makes_it_stale(kept):
    for file, old, new, why in EDITS:
        edit(kept, file, old, new)
        assert (status(kept)[0].word, status(kept)[0].why) == ('stale', why)
        edit(kept, file, new, old)
        assert status(kept)[0].word == 'fresh'

SAFE = [
    ('kata_blog/deep.py', 'def half(x): return x/2', 'def half(x):  # halves\n    "Half."\n    return x / 2'),
    ('kata_blog/other.py', 'x = 1', 'x = 2'),
    ('kata_blog/press/cli.py', '"kata"', '"Kata"'),
    (POST, 'title: Adding', 'title: Sums'),
    (POST, 'smoke: {n: 2}', 'smoke: {n: 3}'),
    (POST, 'quarter(n)', 'quarter( n )  # a comment'),
]

def test_what_does_not_matter_leaves_it_fresh(kept):
    (kept/'kata_blog'/'press'/'cli.py').write_text('x = "kata"')
    for file, old, new in SAFE:
        edit(kept, file, old, new)
        assert status(kept)[0].word == 'fresh', (file, new)

def test_outputs_of_another_run_are_noticed(kept):
    edit(kept, POST, '2.5', '2.6')
    assert status(kept)[0].why == 'the outputs in the notebook are not those of the record'

def test_a_newer_failure_of_the_same_code_counts(kept):
    note = read_note(kept/POST)
    run = run_note(note, 'cpu', root=kept)
    run.ended, run.error = 'failed', 'cell 5: out of memory'
    keep(note, run, post_key(note, kept, 'cpu'), kept)
    assert status(kept)[0].word == 'failed' and 'out of memory' in status(kept)[0].why

def test_posts_that_never_ran_or_cannot_be_read(tmp_path):
    write_post(tmp_path, ['1'])
    (tmp_path/'nbs'/'posts'/'02_torn.ipynb').write_text('{"cells": [')
    assert [s.word for s in status(tmp_path)] == ['missing', 'failed']
    assert 'no JSON' in status(tmp_path)[1].why

def test_modules_are_found_through_relative_imports(kept):
    assert set(reached_modules(['import kata_blog.halves'], kept)) >= {'kata_blog.halves', 'kata_blog.deep'}
