"stale: which edits make a post's results stale, which do not, and how the reason is named."
import json, shutil, subprocess, sys
from importlib.metadata import version
from pathlib import Path
import pytest
import kata_blog
from kata_blog.core import NoteError
from kata_blog.press.note import read_note
from kata_blog.press.record import record_id, record_path
from kata_blog.press.reach import Library
from kata_blog.press.stale import behind, differs, post_key, status
from making import run_and_keep, snapshot, write_post

MODULES = {
    '__init__': '__version__ = "1"\n',
    'core': 'ONE = 1\n',
    'deep': 'from . import core\nLIMIT = 3\n\ndef half(x): return x/2\n',
    'halves': 'from .deep import half\n\ndef quarter(x):\n    from kata_blog.late import nothing\n    return half(half(x)) + nothing()\n',
    'late': 'def nothing(): return 0\n',
    'starred': 'from kata_blog.stars import *\n',
    'stars': 'def twice(x): return 2 * x\n',
    'named': 'import importlib\ndef three(): return importlib.import_module("kata_blog.far").three\n',
    'far': 'three = 3\n',
    'loop': 'from . import pool\nx = 1\n',
    'pool': 'from . import loop\ny = 2\ndef z(): return y\n',
    'sub/__init__': 'from .inner import inner\n',
    'sub/inner': 'from ..core import ONE\ndef inner(): return ONE\n',
    'data': 'def register(name, *, version): pass\nregister("tones", version="1")\ndef used(): return [dict(name="tones", version="1", variant="original")]\n',
    'other': 'x = 1\n',
    'press/__init__': '', 'press/run': 'x = 1\n',
}
CODES = ['#| default_exp adding', '#| parameters\nn = 100\nways = ["a", "b"]', 'from kata_blog.halves import quarter\nfrom kata_blog import starred, named as far_away, loop\nimport kata_blog.data',
         'from kata_blog.sub import inner\nimport kata_blog.press.run\ninner() + loop.pool.z()', '# words only', '#| eval: false\n1/0', 'quarter(n)']
POST = 'nbs/posts/01_adding.ipynb'

@pytest.fixture(scope='module')
def original(tmp_path_factory):
    "A project with one post and its record."
    root = tmp_path_factory.mktemp('project')
    for name, text in MODULES.items():
        path = root/'kata_blog'/f'{name}.py'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    record = run_and_keep(root, write_post(root, CODES), 'cpu')
    assert record['ended'] == 'passed', record['error']
    return root

@pytest.fixture
def kept(original, tmp_path): return shutil.copytree(original, tmp_path/'project')

def edit(root, file, old, new):
    path = root/file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))

def only(root):
    (found,) = status(root)
    return found.word, found.why

EDITS = [
    ('kata_blog/halves.py', 'half(half(x))', 'half(x)', 'halves.quarter changed'),
    ('kata_blog/deep.py', 'x/2', 'x/3', 'deep.half changed'),
    ('kata_blog/core.py', 'ONE = 1', 'ONE = True', 'core.ONE changed'),
    ('kata_blog/late.py', 'return 0', 'return 1', 'late.nothing changed'),
    ('kata_blog/pool.py', '2', '3', 'pool.y changed'),
    ('kata_blog/pool.py', 'import loop', 'import loop\nprint(1)', 'pool.<module> added'),
    ('kata_blog/sub/inner.py', 'return ONE', 'return -ONE', 'sub.inner.inner changed'),
    (POST, 'quarter(n)', 'quarter(n+1)', 'cell 8 changed'),
    (POST, 'import quarter', 'import quarter as quarter', 'cell 4 changed'),
    (POST, '#| eval: false', '#| eval: true', 'cell 7 added'),
    (POST, '# words only', 'words = 1', 'cell 6 added'),
    (POST, 'quarter(n)', '# quarter(n)', 'a cell removed, deep.half removed, halves.quarter removed, late.nothing removed'),
    (POST, 'quarter(n)', '%time quarter(n)', 'cell 8 changed'),
    (POST, 'cpu: {n: 10}', 'cpu: {n: 11}', 'parameter n 10 -> 11'),
    (POST, 'cpu: {n: 10}', 'cpu: {}', 'parameter n 10 -> 100'),
    (POST, 'cpu: {n: 10}', 'two: {n: 10}', 'profile cpu removed'),
    (POST, r'[\"a\", \"b\"]', r'[\"a\"]', "parameter ways ['a', 'b'] -> ['a']"),
    (POST, 'ways = [', 'more = None; ways = [', 'parameter more added'),
    ('kata_blog/data.py', 'register("tones", version="1")', 'register("tones", version="2")', 'data tones 1 -> 2'),
]

@pytest.mark.parametrize('file, old, new, why', EDITS, ids=[f'{f} {n}' for f, _, n, _ in EDITS])
def test_what_matters_makes_it_stale(kept, file, old, new, why):
    assert only(kept) == ('fresh', '')
    text = (kept/file).read_text()
    edit(kept, file, old, new)
    assert only(kept) == ('stale', why)
    (kept/file).write_text(text)
    assert only(kept) == ('fresh', '')

SAFE = [
    ('kata_blog/deep.py', 'def half(x): return x/2', 'def half(x):  # halves\n    "Half."\n    return x / 2'),
    ('kata_blog/deep.py', 'LIMIT = 3', '\n\n"Words."\n\nLIMIT  =  3'),
    ('kata_blog/deep.py', 'LIMIT = 3', 'LIMIT = 4'),
    ('kata_blog/other.py', 'x = 1', 'x = 2'),
    ('kata_blog/stars.py', '2 * x', 'x * 2'),
    ('kata_blog/__init__.py', '"1"', '"2"'),
    ('kata_blog/press/run.py', 'x = 1', 'x = 2'),
    (POST, 'title: Adding', 'title: Sums'),
    (POST, 'smoke: {n: 2}', 'smoke: {n: 3}'),
    (POST, 'n = 100', 'n = 200'),
    (POST, 'n = 100', 'n = 100  # many'),
    (POST, '1/0', '2/0'),
    (POST, '# words only', '# other words'),
    (POST, 'quarter(n)', 'quarter( n )  # a comment'),
    (POST, '"quarter(n)"', '"#| echo: false\\n",\n"quarter(n)"'),
]

@pytest.mark.parametrize('file, old, new', SAFE, ids=[f'{f} {n}' for f, _, n in SAFE])
def test_what_does_not_matter_leaves_it_fresh(kept, file, old, new):
    edit(kept, file, old, new)
    assert only(kept) == ('fresh', '')

def _cells(root, change):
    raw = json.loads((root/POST).read_text())
    change(raw['cells'])
    (root/POST).write_text(json.dumps(raw))

MARKDOWN = dict(cell_type='markdown', metadata={}, id='m', source=['# Adding\n', '\n', '> Words.'])
MOVES = [
    (lambda cells: cells.insert(1, MARKDOWN), 'fresh', ''),
    (lambda cells: [c.update(id=f'new{n}') for n, c in enumerate(cells)], 'fresh', ''),
    (lambda cells: [c.update(id='same') for c in cells], 'fresh', ''),
    (lambda cells: [c.update(metadata={'tags': ['x']}) for c in cells], 'fresh', ''),
    (lambda cells: cells.insert(3, dict(cell_type='code', metadata={}, id='z', source='z = 1', outputs=[], execution_count=None)), 'stale', 'cell 4 added'),
    (lambda cells: cells.insert(4, cells.pop(3)), 'stale', 'cell 4 added, a cell removed'),
    (lambda cells: cells[7].update(outputs=[]), 'stale', 'outputs'),
]

@pytest.mark.parametrize('change, word, why', MOVES)
def test_cells_that_move(kept, change, word, why):
    _cells(kept, change)
    assert only(kept)[0] == word and only(kept)[1].startswith(why)

def test_status_reads_and_never_writes(kept):
    before = snapshot(kept)
    status(kept)
    assert snapshot(kept) == before

def test_press_imports_neither_post_nor_torch(kept):
    script = 'import sys\nfrom kata_blog.press.stale import status\nprint(status(sys.argv[1])[0].word, [m for m in sys.modules if m in ("torch", "fastai", "execnb", "IPython", "kata_blog.halves")])'
    home = str(Path(kata_blog.__file__).parents[1])
    assert subprocess.run([sys.executable, '-c', script, str(kept)], env={'PYTHONPATH': home}, capture_output=True, text=True).stdout == 'fresh []\n'

# why, and what differs

def git(root, *words): subprocess.run(['git', '-c', 'user.name=a', '-c', 'user.email=a@b', *words], cwd=root, check=True, capture_output=True)

def chains(root): return status(root, why=True)[0].chains

def test_why_is_the_way_to_what_changed(kept):
    edit(kept, 'kata_blog/late.py', 'return 0', 'return 1')
    edit(kept, 'kata_blog/pool.py', 'return y', 'return y + two()\ndef two(): return 2')
    edit(kept, POST, 'cpu: {n: 10}', 'cpu: {n: 11}')
    assert chains(kept) == ['01_adding -> halves.quarter -> late.nothing (changed)', '01_adding -> pool.z -> pool.two (added)', '01_adding -> pool.z (changed)']

def test_why_names_the_commit_that_changed_it(kept):
    git(kept, 'init')
    commits = [('first', 'return 0', 'return 0'), ('sums: nothing is one', 'return 0', 'return 1'), ('words', 'def', '# well\ndef'), ('another', '1', '1\ndef other(): return 1')]
    for subject, old, new in commits:
        edit(kept, 'kata_blog/late.py', old, new)
        git(kept, 'add', '-A')
        git(kept, 'commit', '--allow-empty', '-m', subject)
    assert len(chains(kept)) == 1 and chains(kept)[0].endswith(' sums: nothing is one)') and '(changed by ' in chains(kept)[0]
    edit(kept, 'kata_blog/late.py', 'nothing(): return 1', 'nothing(): return 2')
    assert chains(kept) == ['01_adding -> halves.quarter -> late.nothing (changed, not committed)']

def test_why_of_what_the_first_commit_holds(kept):
    edit(kept, 'kata_blog/late.py', 'return 0', 'return 1')
    git(kept, 'init')
    git(kept, 'add', '-A')
    git(kept, 'commit', '-m', 'all')
    assert chains(kept)[0].endswith(' all)')

def test_there_is_no_why_without_a_way(kept):
    assert chains(kept) == []
    edit(kept, POST, 'cpu: {n: 10}', 'two: {n: 10}')
    assert status(kept, why=True)[0].reasons == ['profile cpu removed'] and chains(kept) == []

def test_what_differs_is_no_cause_of_stale(kept):
    record = dict(device={'kind': 'cuda', 'name': 'NVIDIA H100'}, versions={'python': '3.11.0', 'PyYAML': version('PyYAML'), 'gone_away': '1.0'},
                  data=[{'name': 'cifar10', 'version': '1', 'variant': 'recompressed'}, {'name': 'unheard', 'version': '1', 'variant': 'original'}])
    found = differs(record)
    assert [d.partition(' -> ')[0] for d in found][:3] == ['device NVIDIA H100', 'python 3.11.0', 'gone_away 1.0'] and 'gone_away 1.0 -> none' in found
    assert not any(word in ' '.join(found) for word in ('PyYAML', 'unheard'))
    path = record_path(kept/POST)
    (kept_record,) = json.loads(path.read_text())
    kept_record['versions']['python'] = '3.10.0'
    path.write_text(json.dumps([kept_record | {'id': record_id(kept_record)}]))
    (found,) = status(kept, env=True)
    assert found.word == 'fresh' and any(d.startswith('python 3.10.0 -> ') for d in found.differs) and status(kept)[0].differs == []

def test_a_variant_that_is_here_is_held_against_the_record(monkeypatch):
    monkeypatch.setattr('kata_blog.data.variant', lambda name: 'original')
    assert differs(dict(data=[dict(name='cifar10', version='1', variant='recompressed')])) == ['data cifar10 recompressed -> original']

def test_behind_gives_every_reason(kept):
    note, record = read_note(kept/POST), json.loads(record_path(kept/POST).read_text())[0]
    assert behind(note, kept, record) == []
    edit(kept, 'kata_blog/late.py', 'return 0', 'return 1')
    edit(kept, POST, 'quarter(n)', 'quarter(n+1)')
    assert behind(read_note(kept/POST), kept, record) == ['cell 8 changed', 'late.nothing changed']
    assert behind(note, kept, record, Library(kept)) == ['late.nothing changed']
    assert behind(note, kept, record | {'profile': 'gone'}) == ['profile gone removed']

def test_a_profile_that_is_wrong_hides_no_other(kept):
    edit(kept, POST, 'smoke: {n: 2}', 'smoke: {m: 2}')
    assert only(kept) == ('fresh', '')
    with pytest.raises(NoteError, match="unknown parameter 'm'"): post_key(read_note(kept/POST), kept, 'smoke')
    with pytest.raises(NoteError, match="unknown profile 'best'"): post_key(read_note(kept/POST), kept, 'best')

def test_a_used_data_set_counts_under_whatever_name_it_was_asked_for(kept):
    "The post never says `tones`; its run did."
    record = json.loads(record_path(kept/POST).read_text())[0]
    assert record['key']['data'] == {} and [d['name'] for d in record['data']] == ['tones']

# the four words

def test_posts_that_never_ran_or_cannot_be_read(tmp_path):
    write_post(tmp_path, ['1'])
    (tmp_path/'nbs'/'posts'/'02_torn.ipynb').write_text('{"cells": [')
    (tmp_path/'nbs'/'posts'/'03_words.md').write_text('# Words\n\nNothing to run.')
    assert [(s.word, s.name) for s in status(tmp_path)] == [('missing', '01_adding'), ('failed', '02_torn')]
    assert 'no JSON' in status(tmp_path)[1].why

def test_a_failure_of_the_code_as_it_stands(kept):
    run_and_keep(kept, read_note(kept/POST), 'cpu', ended='failed', error='cell 8: out of memory')
    assert only(kept) == ('failed', 'cell 8: out of memory')
    edit(kept, POST, 'quarter(n)', 'quarter(n+1)')
    assert only(kept) == ('stale', 'cell 8 changed')
    edit(kept, POST, 'quarter(n+1)', 'quarter(n)')
    run_and_keep(kept, read_note(kept/POST), 'cpu')
    assert only(kept) == ('fresh', '')

def test_a_failure_mended_by_going_back(kept):
    edit(kept, POST, 'quarter(n)', 'quarter(m)')
    run_and_keep(kept, read_note(kept/POST), 'cpu')
    assert only(kept)[0] == 'failed'
    edit(kept, POST, 'quarter(m)', 'quarter(n)')
    assert only(kept) == ('fresh', '')

def test_only_failures(tmp_path):
    note = write_post(tmp_path, ['1/0'])
    run_and_keep(tmp_path, note)
    assert status(tmp_path)[0].word == 'failed' and 'cell 2, line 1: ZeroDivisionError' in status(tmp_path)[0].why
    edit(tmp_path, POST, '1/0', '1/1')
    assert status(tmp_path)[0].word == 'failed'

def test_a_damaged_record_hides_no_other_post(kept):
    write_post(kept, ['1'], name='02_more')
    record_path(kept/POST).write_text('[{')
    assert [s.word for s in status(kept)] == ['failed', 'missing'] and 'restore it from git' in status(kept)[0].why

def test_a_record_of_another_form_is_stale(kept):
    path = record_path(kept/POST)
    (record,) = json.loads(path.read_text())
    record['key'] = {'form': 0}
    path.write_text(json.dumps([record | {'id': record_id(record)}]))
    assert only(kept) == ('stale', 'recorded with a key of another form')

def test_many_reasons_are_cut_short(tmp_path):
    values = lambda v: '#| parameters\n' + '\n'.join(f'n{i} = {v}' for i in range(9))
    run_and_keep(tmp_path, write_post(tmp_path, [values(1)], front='title: x'))
    write_post(tmp_path, [values(2)], front='title: x')
    assert only(tmp_path)[1] == 'parameter n0 1 -> 2, parameter n1 1 -> 2, parameter n2 1 -> 2, parameter n3 1 -> 2, 5 more'

def test_a_notebook_without_ids(tmp_path):
    run_and_keep(tmp_path, write_post(tmp_path, ['x = 1', 'x'], ids=False))
    assert only(tmp_path) == ('fresh', '')

# parts

# fixed: every supported Python must come to these
KEY = ['a95672fc12b3c685', 'ebb4162c16da9c04', 'b0ab8eb213a2fd49'], {
    'core.ONE': '223cd4f93c8916ac',
    'deep.half': '442c9d94befab333',
    'halves.quarter': '0f82b2944cc99711',
    'late.nothing': '1f7caea69bc7556c',
    'pool.y': 'fdfca02756fcfc30',
    'pool.z': '80023f6f8a7f8d91',
    'sub.inner.inner': 'a7fd185ef7c2a801',
}

def test_the_key_is_the_same_wherever_it_is_made(kept):
    cells, code = KEY
    assert post_key(read_note(kept/POST), kept, 'cpu') == dict(form=2, cells=cells, code=code, parameters={'n': 10, 'ways': ['a', 'b']}, data={}, weights={})

@pytest.mark.parametrize('value', ['{"b", "a"}', '(1, 2)', 'b"x"', '{1: "a"}', '1j', 'None', 'float', '-1', '[{"a": (1,)}]'])
def test_any_parameter_has_a_place_in_the_key(tmp_path, value):
    if value == 'float': value = '1e-3'
    key = post_key(write_post(tmp_path, [f'#| parameters\nn = {value}']), tmp_path, 'full')
    assert json.loads(json.dumps(key)) == key

# --- trained models of other posts

def write_model(root, name, numbers=b'1234', run='first', tensor='a'):
    head = json.dumps({'__metadata__': {'record': run}, tensor: {'dtype': 'U8', 'shape': [len(numbers)], 'data_offsets': [0, len(numbers)]}}).encode()
    (root/'kata_blog'/'weights').mkdir(exist_ok=True)
    (root/'kata_blog'/'weights'/f'{name}.safetensors').write_bytes(len(head).to_bytes(8, 'little') + head + numbers)

LOADS = ['#| default_exp hearing', '#| parameters\nn = 1', 'from kata_blog.train import load_weights\nnet = [load_weights(None, name) for name in ("ear", "hearing")]']

@pytest.fixture
def loading(tmp_path):
    "A project whose post loads a model of another post, and one that it leaves itself."
    (tmp_path/'kata_blog').mkdir()
    for name, text in {'__init__': '', 'train': 'def load_weights(model, name): return name\ndef save_weights(model, name): pass\n', 'hearing': ''}.items(): (tmp_path/'kata_blog'/f'{name}.py').write_text(text)
    for name in ('ear', 'hearing', 'eye'): write_model(tmp_path, name)
    record = run_and_keep(tmp_path, write_post(tmp_path, LOADS, '02_hearing'), 'cpu')
    assert record['ended'] == 'passed' and [*record['key']['weights']] == ['ear'] and only(tmp_path) == ('fresh', '')
    return tmp_path

@pytest.mark.parametrize('change, why', [
    (dict(name='ear', numbers=b'1235'), 'weights ear changed'), (dict(name='ear', tensor='b'), 'weights ear changed'), (dict(name='ear', run='second'), ''),
    (dict(name='eye', numbers=b'5'), ''), (dict(name='hearing', numbers=b'5'), '')], ids=['other numbers', 'another name', 'the same by another run', 'not loaded', 'its own'])
def test_a_model_that_a_post_loads_belongs_to_its_key(loading, change, why):
    write_model(loading, **change)
    assert only(loading) == ('stale' if why else 'fresh', why)

def test_a_model_that_is_gone_or_damaged_is_a_reason(loading):
    path = loading/'kata_blog/weights/ear.safetensors'
    for damaged in (b'no model', b'', (2).to_bytes(8, 'little') + b'[]'):
        path.write_bytes(damaged)
        assert only(loading) == ('stale', 'weights ear changed')
    path.unlink()
    assert only(loading) == ('stale', 'weights ear removed')

def test_a_record_from_before_models_were_kept_is_not_blamed(loading):
    path = record_path(loading/'nbs/posts/02_hearing.ipynb')
    (record,) = json.loads(path.read_text())
    del record['key']['weights'], record['id']
    path.write_text(json.dumps([record]))
    write_model(loading, 'ear', b'1235')
    assert only(loading) == ('fresh', '')

def test_what_loads_no_model_does_not_depend_on_one_that_it_names(loading):
    note = write_post(loading, ['#| parameters\nn = 1', '"ear"', 'from kata_blog.train import save_weights\nsave_weights(None, "ear")'], '03_naming')
    assert post_key(note, loading, 'cpu')['weights'] == {}
