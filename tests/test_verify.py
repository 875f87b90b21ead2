"A record held against a new run: how far numbers may lie apart, what is never judged, and that nothing is kept."
import json, os
import pytest
from kata_blog.core import KataError
from kata_blog.press.note import read_note
from kata_blog.press.run import Run, run_note
from kata_blog.press.verify import compare, differs_between, tolerance, verify_post
from making import run_and_keep, snapshot, write_post

def m(value, **more): return dict(value=value, **more)

WIDTHS = [  # recorded, again, width; by hand from a table of Student's t: 12.706 (1), 4.3027 (2), 2.7764 (4), 2.2622 (9)
    (m(.9, n=3, sd=.002), m(.9, n=3), 4.3027 * .002 * (2 / 3) ** .5), (m(.9, n=2, sd=.002), m(.9, n=2), 12.706 * .002), (m(.9, n=5, sd=.1), m(.9, n=1), 2.7764 * .1 * 1.2 ** .5), (m(.9, n=10, sd=.1), m(.9, n=10), 2.2622 * .1 * .2 ** .5),
    (m(.9, n=3, sd=.002), m(.9), 4.3027 * .002 * (2 / 3) ** .5), (m(.9), m(.9), .9e-6), (m(-.9), m(.9), .9e-6), (m(0), m(0), 0), (m(.9, n=3), m(.9, n=3), .9e-6), (m(.9, n=3, sd=0), m(.9, n=3), .9e-6), (m(.9, sd=.1), m(.9), .9e-6), (m(.9, n=1, sd=.1), m(.9, n=1), .9e-6),
    (m(1e9, n=3, sd=1e-9), m(1e9, n=3), 1e3)]

@pytest.mark.parametrize('recorded,again,width', WIDTHS)
def test_how_far_a_number_may_lie(recorded, again, width): assert tolerance('accuracy', recorded, again).width == pytest.approx(width, rel=1e-4, abs=1e-15)

@pytest.mark.parametrize('name', ['train_s', 'seconds', 'latency_ms', 'peak_mb', 'size_bytes'])
def test_times_and_memory_are_shown_and_never_judged(name):
    row, = compare(dict(metrics={name: m(1, n=3, sd=.1)}), Run('cpu', '', metrics={name: m(99)}), tols={name: .1})
    assert row.word == 'shown' and row.width is None and 'never judged' in str(row)

@pytest.mark.parametrize('recorded,now,tol,word', [
    (m(.5), .5, None, 'within'), (m(.5), .5000004, None, 'within'), (m(.5), .500001, None, 'outside'), (m(.5), .51, .02, 'within'), (m(.5), .53, .02, 'outside'), (m(.5), .5, 0, 'within'), (m(-2), 2, None, 'outside'),
    (m(.5, n=3, sd=.01), .53, None, 'within'), (m(.5, n=3, sd=.01), .54, None, 'outside'), (m(.5, n=3, sd=.01), .46, None, 'outside'), (m(.5, n=3, sd=.01), .53, .02, 'outside'), (m(.5), float('nan'), None, 'outside'), (m(.5, n=3, sd=.01), float('inf'), 1, 'outside')])
def test_within_or_outside(recorded, now, tol, word):
    row, = compare(dict(metrics={'a': recorded}), Run('cpu', '', metrics={'a': m(now, n=3)}), tols={} if tol is None else {'a': tol})
    assert row.word == word and str(row).startswith(f'{word:8}a ')

def test_a_metric_that_is_gone_is_missing():
    row, = compare(dict(metrics={'a': m(1)}), Run('cpu', ''))
    assert row.word == 'missing' and row.now is None

def test_a_tolerance_for_what_is_not_there_is_refused():
    with pytest.raises(KataError, match="did you mean 'accuracy'"): compare(dict(metrics={'accuracy': m(1)}), Run('cpu', ''), tols={'acuracy': 1})

OLD = dict(device=dict(kind='cuda', name='H200', cores=16, driver='1'), versions={'python': '3.11', 'torch': '2.13'}, data=[dict(name='c', version='1', variant='JPEG')])

@pytest.mark.parametrize('change,said', [
    ({}, []), (dict(device=dict(kind='cpu', name='EPYC', cores=2)), ['device H200 -> EPYC', 'cores 16 -> 2', 'driver 1 -> none']), (dict(versions={'python': '3.12', 'jax': '1'}), ['python 3.11 -> 3.12', 'torch 2.13 -> none', 'jax none -> 1']),
    (dict(data=[dict(name='c', version='1', variant='PNG')]), ['data c version 1, JPEG -> version 1, PNG']), (dict(data=[dict(name='c', version='2', variant='JPEG')]), ['data c version 1, JPEG -> version 2, JPEG']), (dict(data=[]), ['data c version 1, JPEG -> none'])])
def test_what_differs_around_a_run(change, said):
    assert differs_between(OLD, Run('cpu', '', **(OLD | change))) == said
    assert differs_between({}, Run('cpu', '')) == []

# a post

CODES = ['#| parameters\nn = 100', 'import os\nfrom kata_blog.core import report, run_dir\nfrom pathlib import Path\n(run_dir()/"large.bin").write_text("x")\nreport(total=sum(range(n)))', 'os.environ.get("KATA_ONCE"), run_dir().name']

@pytest.fixture
def post(tmp_path):
    note = write_post(tmp_path, CODES)
    run_and_keep(tmp_path, note, 'cpu')
    return read_note(note.path)

def test_trainings_are_repeated_in_a_folder_of_its_own_and_nothing_is_kept(post, tmp_path, monkeypatch):
    monkeypatch.setenv('KATA_ONCE', 'on')
    before, seen = snapshot(tmp_path), []
    def runner(*args, **limits):
        seen.append(run_note(*args, **limits))
        return seen[0]
    verdict = verify_post(post, tmp_path, runner=runner)
    assert verdict.ok and verdict.behind == [] and verdict.form == [] and verdict.differs == [] and verdict.record and verdict.profile == 'cpu'
    assert "('off', 'adding')" in str(seen[0].notebook['cells'][-1]['outputs']) and os.environ['KATA_ONCE'] == 'on'
    assert snapshot(tmp_path) == before and not (tmp_path/'.kata/verify/adding').exists() and (tmp_path/'.kata/runs/adding/large.bin').exists()

def test_the_environment_is_put_back_where_it_was_empty(post, tmp_path, monkeypatch):
    monkeypatch.delenv('KATA_ONCE', raising=False)
    with pytest.raises(ZeroDivisionError): verify_post(post, tmp_path, runner=lambda *a, **k: 1 / 0)
    assert 'KATA_ONCE' not in os.environ

def test_a_run_that_fails_is_no_verification_and_leaves_its_log(post, tmp_path):
    post.path.write_text(post.path.read_text().replace('sum(range(n))', 'sum(range(n)) / 0'))
    verdict = verify_post(read_note(post.path), tmp_path)
    assert not verdict.ok and 'ZeroDivisionError' in verdict.error and verdict.rows == [] and verdict.behind == ['cell 3 changed']
    assert 'ZeroDivisionError' in (tmp_path/'.kata/verify/adding/log.txt').read_text()

def test_another_form_is_outside(post, tmp_path):
    post.path.write_text(post.path.read_text().replace('report(total=sum(range(n)))', 'report(total=sum(range(n)), more=1)'))
    verdict = verify_post(read_note(post.path), tmp_path)
    assert not verdict.ok and verdict.form == ['metric more is new'] and [r.word for r in verdict.rows] == ['within']

def test_a_paragraph_that_was_added_is_no_other_form(post, tmp_path):
    nb = json.loads(post.path.read_text())
    nb['cells'].insert(1, dict(cell_type='markdown', metadata={}, id='words', source='It is added up.'))
    post.path.write_text(json.dumps(nb))
    verdict = verify_post(read_note(post.path), tmp_path)
    assert verdict.ok and verdict.form == [] and verdict.behind == []
    nb['cells'].append(dict(cell_type='code', metadata={}, id='more', source='1 + 1', outputs=[], execution_count=None))
    post.path.write_text(json.dumps(nb))
    assert verify_post(read_note(post.path), tmp_path).form == [f'cell {len(nb["cells"])} is new']

def test_a_slip_is_named_before_anything_runs(post, tmp_path):
    with pytest.raises(KataError, match="did you mean 'total'"): verify_post(post, tmp_path, tols={'totl': 1}, runner=lambda *a, **k: pytest.fail('it ran'))

def test_the_newest_record_of_the_profile_is_meant(post, tmp_path):
    run_and_keep(tmp_path, post, 'full')
    assert [verify_post(read_note(post.path), tmp_path, p).profile for p in (None, 'full', 'cpu')] == ['full', 'full', 'cpu']
