"record: what is kept of a run, and that nothing is ever lost, torn or overwritten."
import json, os, subprocess, sys, threading
from pathlib import Path
import pytest
from kata_blog.core import KataError, text_hash
from kata_blog.press.note import read_note
from kata_blog.press.record import RecordError, keep, outputs_hash, published, read_records, record_id, record_path, records_of, stamped
from kata_blog.press.run import Run, run_note
from making import run_and_keep, snapshot, write_post

CODES = ['#| parameters\nn = 100  # many', 'from kata_blog.core import report\nreport(total=sum(range(n)))\nobject()']

@pytest.fixture
def post(tmp_path): return tmp_path, write_post(tmp_path, CODES)

def passed(note, **changes): return Run('full', '2026-11-23T10:00:00Z', ended='passed', notebook=note.raw, **changes)
def failed(note): return Run('full', '2026-11-23T10:00:00Z', ended='failed', cell=2, error='cell 2: too big')

def test_a_record_says_everything(post):
    record = run_and_keep(*post, 'cpu')
    assert (record['profile'], record['ended'], record['parameters'], record['metrics']) == ('cpu', 'passed', {'n': 10}, {'total': {'value': 45}})
    assert {'started', 'seconds', 'peak_memory_mb', 'device', 'versions', 'data', 'commit', 'cells', 'figures', 'key', 'outputs'} <= set(record)
    assert 'cell' not in record and 'error' not in record and record['id'] == record_id(record)

def test_a_record_names_the_commit(post):
    root, note = post
    git = lambda *words: subprocess.run(['git', '-c', 'user.name=a', '-c', 'user.email=a@b.c', *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()
    assert run_and_keep(root, note)['commit'] is None
    git('init', '-q'); git('add', '-A'); git('commit', '-qm', 'x')
    clean = git('rev-parse', '--short=12', 'HEAD')
    assert run_and_keep(root, note)['commit'] == clean
    assert run_and_keep(root, note)['commit'] == f'{clean}-dirty'

def test_records_grow_and_are_never_rewritten(post):
    first = run_and_keep(*post, 'cpu')
    text = record_path(post[1].path).read_text()
    second = run_and_keep(*post, 'full')
    assert read_records(post[1].path) == [second, first] and second['id'] != first['id']
    assert record_path(post[1].path).read_text().endswith(text.removeprefix('['))
    assert records_of(post[0]) == {'adding': [second, first]}

def test_the_notebook_keeps_its_parameters_and_is_clean(post):
    root, note = post
    run_and_keep(root, note, 'cpu')
    text = note.path.read_text()
    assert 'n = 100  # many' in text and 'object object at' not in text and '"total 45"' in text
    (root/'pyproject.toml').write_text('[project]\nname="x"\n[tool.nbdev]\n')
    subprocess.run([Path(sys.executable).with_name('nbdev-clean'), '--fname', str(note.path)], check=True, cwd=root)
    assert note.path.read_text() == text

def test_a_run_changes_nothing_but_outputs(post):
    root, note = post
    run_and_keep(root, note)
    before = json.loads(note.path.read_text())
    run_and_keep(root, note)
    after = json.loads(note.path.read_text())
    assert after == before
    sources = lambda raw: [(c['cell_type'], c['id'], ''.join(c['source'])) for c in raw['cells']]
    assert sources(after) == sources(note.raw)

def test_half_a_character_can_be_stored(tmp_path):
    note = write_post(tmp_path, ['print("a\\udc80b")'])
    assert run_and_keep(tmp_path, note)['ended'] == 'passed'
    assert read_note(note.path).code_cells[0].outputs[0]['text'] == ['a\udc80b\n']

def test_a_failed_run_leaves_a_record_and_no_outputs(tmp_path):
    note = write_post(tmp_path, ['#| parameters\nn = 1', '1', '1/0'])
    before = note.path.read_text()
    record = run_and_keep(tmp_path, note)
    assert note.path.read_text() == before and (record['ended'], record['cell']) == ('failed', 4) and 'ZeroDivisionError' in record['error']
    assert str(tmp_path) not in json.dumps(record) and published(read_records(note.path)) is None

def test_what_two_cores_gave_does_not_replace_what_a_gpu_gave(post):
    root, note = post
    weights = root/'kata_blog'/'weights'/'adding.safetensors'
    full = run_and_keep(root, note, 'full', weights={'adding.safetensors': WEIGHTS})
    before = snapshot(root)
    cpu = run_and_keep(root, note, 'cpu', weights={'adding.safetensors': WEIGHTS})
    assert {p for p, content in snapshot(root).items() if before.get(p) != content} == {record_path(note.path)}
    assert published(read_records(note.path)) == full and read_records(note.path)[0] == cpu and full['id'].encode() in weights.read_bytes()

def test_a_smoke_run_is_refused(post):
    root, note = post
    before = snapshot(root)
    with pytest.raises(RecordError, match='is a test and leaves no record'): run_and_keep(root, note, 'smoke')
    assert snapshot(root) == before

# edits and outputs made meanwhile

def test_an_edit_made_meanwhile_wins(post):
    root, note = post
    run = run_note(note, 'cpu', root)
    note.path.write_text(note.path.read_text().replace('# many', '# few'))
    before = snapshot(root)
    with pytest.raises(KataError, match='the edit stays'): keep(note, run, {}, root)
    assert snapshot(root) == before

@pytest.mark.parametrize('what', ['', '{"cells": [', '{}', '{"cells": [{}]}'])
def test_a_notebook_torn_or_gone_meanwhile_stays_so(post, what):
    root, note = post
    note.path.write_text(what) if what else note.path.unlink()
    before = snapshot(root)
    with pytest.raises(KataError, match='the edit stays'): keep(note, passed(note), {}, root)
    assert snapshot(root) == before

@pytest.mark.parametrize('nth', [1, 2])
def test_an_edit_between_reading_and_writing_wins(post, monkeypatch, nth):
    root, note = post
    run, seen = run_note(note, 'cpu', root), []
    def edits(fd):
        seen.append(fd)
        if len(seen) == nth: note.path.write_text(note.path.read_text().replace('# many', '# few'))
    monkeypatch.setattr(os, 'fsync', edits)
    with pytest.raises(KataError, match='the edit stays'): keep(note, run, {}, root)
    assert '# few' in note.path.read_text() and read_records(note.path) == [] and [p.name for p in note.path.parent.iterdir() if p.is_file()] == [note.path.name]

def test_outputs_stored_meanwhile_are_no_edit(post):
    root, note = post
    runs = [run_note(note, profile, root) for profile in ('cpu', 'full')]
    for run in runs: keep(note, run, {}, root)
    assert [r['profile'] for r in read_records(note.path)] == ['full', 'cpu'] and '"total 4950"' in note.path.read_text()

def test_all_that_keep_at_once_stay(post):
    root, note = post
    threads = [threading.Thread(target=keep, args=(note, failed(note), {'n': n}, root)) for n in range(12)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert sorted(r['key']['n'] for r in read_records(note.path)) == list(range(12))

def test_two_processes_that_keep_at_once_both_stay(post):
    root, note = post
    script = ('import sys\nfrom kata_blog.press.note import read_note\nfrom kata_blog.press.record import keep\nfrom kata_blog.press.run import Run\n'
              'for n in range(20): keep(read_note(sys.argv[1]), Run("full", "x", ended="failed", cell=2, error="e"), {"n": n, "who": sys.argv[3]}, sys.argv[2])')
    both = [subprocess.Popen([sys.executable, '-c', script, str(note.path), str(root), who]) for who in 'ab']
    assert [p.wait() for p in both] == [0, 0] and len(read_records(note.path)) == 40

# nothing half-written

@pytest.mark.parametrize('nth, name', [(1, '01_adding.json'), (2, '01_adding.ipynb'), (3, 'adding.safetensors'), (4, '.keeping.json')])
def test_a_full_disk_changes_nothing(post, monkeypatch, nth, name):
    root, note = post
    run_and_keep(root, note, weights={'adding.safetensors': WEIGHTS})
    before, run, calls = snapshot(root), run_note(note, 'full', root), []
    def full(fd):
        calls.append(fd)
        if len(calls) == nth: raise OSError(28, 'No space left on device')
    run.weights = {'adding.safetensors': WEIGHTS}
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(KataError, match=f'{name}: No space left on device; there is no room for it'): keep(note, run, {}, root)
    assert len(calls) == nth and snapshot(root) == before

@pytest.mark.parametrize('text', ['{', '{}', '[1]', '[{}]', '[' * 100_000, '[{"profile": 3, "ended": "passed", "key": {}}]', '\x00', '[{"profile": "full", "ended": "passed", "key": {}, "id": "0123456789ab"}]'])
def test_a_damaged_record_is_an_error_not_a_loss(post, text):
    root, note = post
    record_path(note.path).parent.mkdir()
    record_path(note.path).write_text(text)
    before = snapshot(root)
    with pytest.raises(RecordError, match='restore it from git'): keep(note, passed(note, weights={'adding.safetensors': WEIGHTS}), {}, root)
    assert snapshot(root) == before

def test_an_edited_record_is_noticed(post):
    root, note = post
    run_and_keep(root, note)
    path = record_path(note.path)
    path.write_text(path.read_text().replace('4950', '4951'))
    with pytest.raises(RecordError, match='record 1: says it is'): read_records(note.path)

def test_the_mode_of_a_file_stays(post):
    root, note = post
    os.chmod(note.path, 0o664)
    run_and_keep(root, note)
    assert note.path.stat().st_mode & 0o777 == 0o664

# weights

def _safetensors(about):
    header = json.dumps({'__metadata__': {'kata': json.dumps(about)}, 'w': {'dtype': 'F32', 'shape': [2], 'data_offsets': [0, 8]}}).encode()
    return len(header).to_bytes(8, 'little') + header + b'12345678'

WEIGHTS = _safetensors({'subject': 'adding'})

def test_weights_name_their_record(post):
    root, note = post
    record = run_and_keep(root, note, weights={'adding.safetensors': WEIGHTS})
    data = (root/'kata_blog'/'weights'/'adding.safetensors').read_bytes()
    size = int.from_bytes(data[:8], 'little')
    header = json.loads(data[8:8 + size])
    assert json.loads(header['__metadata__']['kata']) == {'subject': 'adding', 'record': record['id']}
    assert header['w']['shape'] == [2] and data[8 + size:] == b'12345678' and size % 8 == 0
    assert record['weights'] == {'adding.safetensors': text_hash(data)}

@pytest.mark.parametrize('length', range(8))
def test_tensors_begin_at_a_multiple_of_eight(length):
    data = stamped(_safetensors({'subject': 'a' * length}), 'ab12')
    size = int.from_bytes(data[:8], 'little')
    assert size % 8 == 0 and data[8 + size:] == b'12345678' and json.loads(data[8:8 + size])['w']['data_offsets'] == [0, 8]

def test_weights_of_a_failed_run_stay_out(post):
    root, note = post
    keep(note, failed(note), {}, root)
    assert not (root/'kata_blog').exists()

@pytest.mark.parametrize('data', [b'', b'\x80\x04.', b'\x02\x00\x00\x00\x00\x00\x00\x00{', b'\x02\x00\x00\x00\x00\x00\x00\x00[]', b'\xff' * 20])
def test_what_is_no_safetensors_is_refused(data):
    with pytest.raises(RecordError, match='no safetensors'): stamped(data, 'ab12')

def test_the_hash_of_outputs_is_of_what_is_shown(post):
    raw = json.loads(json.dumps(post[1].raw))
    shown = dict(output_type='execute_result', execution_count=3, metadata={'a': 1}, data={'text/plain': ['1\n', '2']})
    raw['cells'][1]['outputs'] = [shown]
    before = outputs_hash(raw)
    raw['cells'][1]['outputs'] = [shown | dict(execution_count=None, metadata={}, data={'text/plain': '1\n2'})]
    assert outputs_hash(raw) == before
    raw['cells'][1]['outputs'][0]['data']['text/plain'] = '1\n3'
    assert outputs_hash(raw) != before
