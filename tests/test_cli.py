"kata as a person calls it: what is printed, which exit code comes back, and that the good posts survive the bad ones."
import argparse, contextlib, json, os, signal, subprocess, sys, time
from pathlib import Path
import pytest
from kata_blog.core import NoteError
from kata_blog.press.cli import _offer_rewrites, main, read_part
from kata_blog.press.note import read_note
from kata_blog.press.record import record_id
from kata_blog.press.stale import post_key
from making import snapshot, write_post

SOUND = ['#| default_exp adding', '#| parameters\nn = 100', 'from kata_blog.core import report\nreport(total=sum(range(n)))']
FRONT = 'title: {}\ndate: 2026-11-23\ndescription: A sum.\nkata: {{week: 1, profiles: {{cpu: {{n: 10}}, smoke: {{n: 2}}}}}}'

@pytest.fixture
def project(tmp_path, monkeypatch):
    "A blog with one sound post, as the current folder."
    (tmp_path/'settings.ini').write_text('[blog]\ntitle = Sums\nauthor = A\n')
    write_post(tmp_path, SOUND, front=FRONT.format('Adding'))
    (tmp_path/'nbs'/'index.md').write_text('---\ntitle: Sums\n---\n\nHello.\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path

def add(project, name, *codes, front=None):
    with contextlib.suppress(NoteError): write_post(project, codes, name=name, front=front or FRONT.format(name))  # it reads what it wrote

def test_from_notebook_to_page(project, kata):
    assert kata('status') == (1, 'missing 01_adding  (no run is recorded)\n')
    code, said = kata('run', '--profile', 'cpu')
    assert code == 0 and 'passed  01_adding' in said and 'total 45' in said
    assert kata('status') == (0, 'fresh   01_adding\n')
    assert kata('run', '--profile', 'cpu') == (0, 'fresh   01_adding\n')
    code, said = kata('build')
    assert code == 0 and (project/'_site/posts/adding.html').is_file()
    assert 'nothing to mend' in kata('check')[1]

def test_status_says_why_and_what_differs(project, kata):
    (project/'kata_blog').mkdir()
    (project/'kata_blog'/'sums.py').write_text('def add(a, b): return a + b')
    add(project, '02_sums', 'import sys\nsys.path.insert(0, ".")\nfrom kata_blog import sums', '#| parameters\nn = 1', 'print(sums.add)')
    record = dict(profile='cpu', ended='passed', key=post_key(read_note(project/'nbs/posts/02_sums.ipynb'), project, 'cpu'), versions={'python': '3.10.0'}, outputs='')
    (project/'nbs/posts/records').mkdir()
    (project/'nbs/posts/records/02_sums.json').write_text(json.dumps([record | {'id': record_id(record)}]))
    (project/'kata_blog'/'sums.py').write_text('def add(a, b): return b + a')
    code, said = kata('status', '--why', '--env')
    assert code == 1 and '        02_sums -> sums.add (changed)\n' in said and 'differs: python 3.10.0 -> 3.' in said
    rows = json.loads(kata('status', '--json', '--why')[1])
    assert [r['word'] for r in rows] == ['missing', 'stale'] and rows[1]['reasons'][0] == 'sums.add changed' and rows[1]['chains'] == ['02_sums -> sums.add (changed)'] and rows[1]['differs'] == []

def test_smoke_keeps_nothing(project, kata):
    before = snapshot(project)
    code, said = kata('run', 'adding', '--profile', 'smoke', '-q')
    assert code == 0 and 'total 1' in said and snapshot(project) == before

def test_a_smoke_run_that_takes_another_way_than_the_record_fails(project, kata):
    add(project, '02_branch', '#| parameters\nn = 100', 'from kata_blog.core import report\nreport(**({"small": 1} if n < 5 else {"total": n}))')
    assert kata('run', '--profile', 'cpu')[0] == 0
    code, said = kata('run', '--profile', 'smoke')
    assert code == 1 and 'metric small is new' in said and 'metric total is missing' in said and 'passed  01_adding' in said

# bound numbers that a run has left behind

def add_prose(project, text, name='01_adding'):
    path = project/'nbs/posts'/f'{name}.ipynb'
    raw = json.loads(path.read_text())
    raw['cells'].append(dict(cell_type='markdown', id='prose', metadata={}, source=text))
    path.write_text(json.dumps(raw))

@pytest.fixture
def behind(project):
    "The post and the home page say 44; a run will say 45."
    add_prose(project, 'All in all it is [44]{claim=total}.')
    (project/'nbs/index.md').write_text('---\ntitle: Sums\n---\n\nThe first sum is [44]{claim=adding.total}, not [7]{claim=adding.nothing}.\n')
    return project

def prose_of(project): return [''.join(json.loads((project/'nbs/posts/01_adding.ipynb').read_text())['cells'][-1]['source']), (project/'nbs/index.md').read_text()]

def test_a_run_shows_the_numbers_it_left_behind_and_writes_nothing(behind, kata):
    before = prose_of(behind)
    code, said = kata('run', '-q', '--profile', 'cpu')
    assert code == 0 and 'was     All in all it is 44.' in said and 'becomes All in all it is 45.' in said and 'index.md, line 5' in said and 'The first sum is 45' in said
    assert 'no longer agree: 2;' in said and 'kata run --rewrite' in said and prose_of(behind) == before

def test_rewrite_writes_them_and_the_record_stays_fresh(behind, kata):
    kata('run', '-q', '--profile', 'cpu')
    before = json.loads((behind/'nbs/posts/01_adding.ipynb').read_text())['cells'][:-1]
    code, said = kata('run', '--rewrite', '--profile', 'cpu')
    assert code == 0 and 'fresh   01_adding' in said and 'passed' not in said  # nothing had to run for it
    assert prose_of(behind) == ['All in all it is [45]{claim=total}.', '---\ntitle: Sums\n---\n\nThe first sum is [45]{claim=adding.total}, not [7]{claim=adding.nothing}.\n']
    assert json.loads((behind/'nbs/posts/01_adding.ipynb').read_text())['cells'][:-1] == before and kata('status')[0] == 0
    assert 'was' not in kata('run', '--rewrite', '--profile', 'cpu')[1]

@pytest.mark.parametrize('answers, wanted', [(['y', 'n'], [True, False]), (['n', 'y'], [False, True]), (['a'], [True, True]), (['N', 'All'], [False, True]), (['', 'what'], [False, False]), (['yes', 'no'], [True, False]), ([], [False, False])])
def test_on_a_terminal_each_is_asked_for(behind, kata, monkeypatch, answers, wanted):
    kata('run', '-q', '--profile', 'cpu')
    asked = iter(answers)
    def answer(question):
        for said in asked: return said
        raise EOFError
    for name in ('stdin', 'stdout'): monkeypatch.setattr(f'sys.{name}.isatty', lambda: True, raising=False)
    monkeypatch.setattr('builtins.input', answer)
    _offer_rewrites(behind, argparse.Namespace(rewrite=False))
    assert ['[45]' in text for text in reversed(prose_of(behind))] == wanted

def test_an_interruption_at_the_question_writes_nothing(behind, kata, monkeypatch):
    kata('run', '-q', '--profile', 'cpu')
    before, asked = prose_of(behind), iter(['y'])
    def answer(question):
        for said in asked: return said
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): _offer_rewrites(behind, argparse.Namespace(rewrite=False), ask=answer)
    assert prose_of(behind) == before

def test_only_the_posts_that_are_asked_for_and_never_after_smoke(behind, kata):
    add(behind, '02_other', *SOUND[1:])
    kata('run', '-q', '--profile', 'cpu')
    assert 'claim' not in kata('run', 'other', '-q', '--profile', 'cpu')[1] and 'claim' not in kata('run', '-q', '--profile', 'smoke')[1]

def test_a_note_that_cannot_be_read_is_named_and_the_others_are_offered(behind, kata):
    (behind/'nbs/bad.ipynb').write_text('{')
    code, said = kata('run', '-q', '--profile', 'cpu')
    assert 'bad.ipynb' in said and 'becomes All in all it is 45.' in said

# what is printed, and what is not

def site_of(project): return {p: b for p, b in snapshot(project).items() if '_site' in p.parts}
def repeat(project, path='nbs/posts/01_adding.ipynb', old='range(n)', new='range(n + 1)'): (project/path).write_text((project/path).read_text().replace(old, new))
def reword(project): add_prose(project, 'It is [44]{claim=total}.')
def fail(project):
    add(project, '02_bad', '#| parameters\nn = 1', '1/0')
    main(['run', 'bad', '-q', '--profile', 'cpu'])

UNFIT = {  # what happens to a blog whose only post is fresh and printed; what is said; the exit code of a build that is not strict
    'a cell changed': (repeat, ['stale', 'cell 4 changed', 'kata run adding'], 0),
    'no record': (lambda p: add(p, '02_new', '1'), ['02_new', 'missing', 'kata run new'], 0),
    'a failed run': (fail, ['02_bad', 'failed', 'ZeroDivisionError'], 0),
    'a claim that disagrees': (reword, ['written is 44', '"It is 44."'], 1),
    'foreign outputs': (lambda p: repeat(p, old='total 45', new='total 46'), ['stale', 'outputs'], 0),
    'a broken note': (lambda p: (p/'nbs/bad.ipynb').write_text('{'), ['bad.ipynb', 'no JSON'], 1),
}

@pytest.mark.parametrize('change, words, plain', UNFIT.values(), ids=UNFIT)
def test_a_strict_build_refuses_and_leaves_the_site_as_it_was(project, kata, change, words, plain):
    kata('run', '-q', '--profile', 'cpu')
    assert kata('build', '--strict')[0] == 0
    before = site_of(project)
    change(project)
    kata("status")  # forgets what was said so far
    code, said = kata('build', '--strict')
    assert code == 1 and all(w in said for w in words) and 'is as it was' in said and site_of(project) == before and before, said
    assert kata('build')[0] == plain  # and this one prints what it can

def test_a_strict_build_does_not_mind_a_draft(project, kata):
    kata('run', '-q', '--profile', 'cpu')
    kata('new', 'Not yet', '--week', '1')
    assert kata('build', '--strict')[0] == 0

def test_a_stale_page_is_printed_with_its_notice_and_a_warning(project, kata):
    kata('run', '-q', '--profile', 'cpu')
    repeat(project)
    code, said = kata('build')
    assert code == 0 and 'warning: ' in said and 'cell 4 changed' in said
    html = (project/'_site/posts/adding.html').read_text()
    assert html.index('The code has moved on since this run: cell 4 changed.') < html.index('<pre')

# running a record again

def test_verify_says_metric_by_metric_and_changes_nothing(project, kata):
    kata('run', '-q', '--profile', 'cpu')
    before = snapshot(project)
    code, said = kata('verify', 'adding')
    assert code == 0 and 'within  total 45 -> 45' in said and '1 of 1 metrics within' in said and 'stale' not in said
    assert snapshot(project) == before and not (project/'.kata/verify/adding').exists()

def test_verify_names_a_stale_record_first_and_what_lies_outside(project, kata):
    kata('run', '-q', '--profile', 'cpu')
    repeat(project)
    code, said = kata('verify', 'adding')
    assert code == 1 and 'outside total 45 -> 55' in said and said.index('not of the code of today (cell 4 changed)') < said.index('outside')
    assert kata('verify', 'adding', '--tol', 'total=10')[0] == 0

def test_verify_for_programs(project, kata, capfd):
    kata('run', '-q', '--profile', 'cpu')
    assert main(['verify', 'adding', '--json']) == 0
    found, = json.loads(capfd.readouterr().out)
    assert found['ok'] and found['rows'][0]['word'] == 'within' and found['behind'] == [] and found['profile'] == 'cpu'

@pytest.mark.parametrize('words, code, part', [
    (['ading'], 2, "did you mean 'adding'"), ([], 2, 'POST'), (['adding', '--tol', 'total'], 2, 'is no tolerance'), (['adding', '--tol', 'total=-1'], 2, 'is no tolerance'), (['adding', '--tol', 'total=nan'], 2, 'is no tolerance'),
    (['adding', '--tol', 'totl=1'], 1, "did you mean 'total'"), (['adding', '--profile', 'full'], 1, 'no passed record of the profile full'), (['adding', '--cell-timeout', '0'], 1, 'time limit')])
def test_what_verify_refuses(project, kata, words, code, part):
    kata('run', '-q', '--profile', 'cpu')
    found, said = kata('verify', *words)
    assert found == code and part in said

BROKEN = [  # what is wrong with the second post, and what must be said of it
    (lambda p: (p/'nbs/posts/02_bad.ipynb').write_text('{"cells": ['), ['02_bad.ipynb', 'no JSON']),
    (lambda p: (p/'nbs/posts/02_bad.ipynb').write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'), ['02_bad.ipynb', 'title']),
    (lambda p: add(p, '02_bad', '#| default_exp bad', '#| ecoh: false\n1'), ['02_bad.ipynb, cell 3, line 1', "did you mean 'echo'"]),
    (lambda p: add(p, '02_bad', '#| default_exp bad', '#| echo: [\n1'), ['02_bad.ipynb, cell 3, line 1', 'no YAML']),
]

@pytest.mark.parametrize('make, words', BROKEN)
def test_a_broken_post_is_named_and_the_other_is_printed(project, kata, make, words):
    kata('run', '-q', '--profile', 'cpu')
    make(project)
    before = snapshot(project)
    for command in ('build', 'check'):
        code, said = kata(command)
        assert code == 1 and all(w in said for w in words), (command, said)
    assert (project/'_site/posts/adding.html').is_file()
    assert {p: b for p, b in snapshot(project).items() if '_site' not in p.parts} == before

FAILING = [
    (['#| default_exp bad', 'x = 1\n\n1/0'], ['02_bad.ipynb, cell 3, line 3', 'ZeroDivisionError']),
    (['#| default_exp bad', 'while True: pass'], ['02_bad.ipynb, cell 3', '--cell-timeout']),
    (['#| default_exp bad', '#| parameters\nn = what()'], ['02_bad.ipynb, cell 3', 'no plain assignment']),
]

@pytest.mark.parametrize('codes, words', FAILING)
def test_a_failing_post_is_named_and_the_others_still_run(project, kata, codes, words):
    add(project, '02_bad', *codes, front='title: Bad\ndate: 2026-11-23\nkata: {week: 1, profiles: {cpu: {}}}')
    add(project, '03_good', *SOUND[1:])
    before = (project/'nbs/posts/02_bad.ipynb').read_bytes()
    code, said = kata('run', '--profile', 'cpu', '--cell-timeout', '2')
    assert code == 1 and all(w in said for w in words) and '1 of 3 failed: 02_bad' in said
    assert (project/'nbs/posts/02_bad.ipynb').read_bytes() == before
    words = [l.split()[0] for l in kata('status')[1].splitlines()]
    assert words[::2] == ['fresh', 'fresh'] and words[1] in ('failed', 'missing')  # missing where the run could not even begin

def test_a_missing_image_is_named(project, kata):
    path = project/'nbs/posts/01_adding.ipynb'
    raw = json.loads(path.read_text())
    raw['cells'].insert(1, dict(cell_type='markdown', id='m', metadata={}, source='# A\n\n![a plan](plan.png)'))
    path.write_text(json.dumps(raw))
    code, said = kata('check')
    assert code == 1 and '01_adding.ipynb, cell 2, line 3' in said and 'plan.png' in said

@pytest.mark.parametrize('text, words', [('[blog]\ntitel = x\n', ["line 2", "did you mean 'title'"]), ('[blog]\nfirst_monday = 2026-11-24\n', ['line 2', 'Monday']), ('title = x\n', ['settings.ini'])])
def test_a_wrong_setting_is_named_with_its_line(project, kata, text, words):
    (project/'settings.ini').write_text(text)
    for command in ('build', 'check'):
        code, said = kata(command)
        assert code == 1 and all(w in said for w in ['settings.ini', *words]), (command, said)

USAGE = [('run', 'ading'), ('run', '-j', '0'), ('run', '-j', 'two'), ('run', '--profil', 'cpu', '--what'), ('build', '--renderer', 'hugo'), ('data', 'fetch'), ('data', 'fetch', 'cifar10', 'runs=x'), ('publish',), ()]

@pytest.mark.parametrize('words', USAGE)
def test_usage_is_exit_code_2(project, kata, words): assert kata(*words)[0] == 2

def test_a_post_that_is_misspelt_gets_the_nearest(project, kata): assert "did you mean 'adding'?" in kata('run', 'ading')[1]
def test_outside_a_project(tmp_path, monkeypatch, kata):
    monkeypatch.chdir(tmp_path)
    assert kata('status')[0] == 1

@pytest.mark.parametrize('words, part', [(['subjects=1,2', 'runs=3-5'], {'subjects': [1, 2], 'runs': [3, 4, 5]}), (['runs=7'], {'runs': [7]}), ([], {})])
def test_parts(words, part): assert read_part(words) == part

def test_new_runs_at_once(project, kata):
    code, said = kata('new', 'Counting sheep', '--week', '2')
    assert code == 0 and 'counting_sheep' in said and read_note(said.strip()).front['draft'] is True

def test_ctrl_c_leaves_everything_as_it_was(project):
    add(project, '02_long', 'import time\nfrom kata_blog.core import run_dir\n(run_dir()/"begun").touch()\ntime.sleep(60)', front='title: Long\nkata: {week: 1, profiles: {cpu: {}}}')
    before = snapshot(project)
    code = 'import signal; signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background\nfrom kata_blog.press.cli import main; raise SystemExit(main(["run", "long", "--profile", "cpu"]))'
    run = subprocess.Popen([sys.executable, '-c', code], cwd=project, env=os.environ | {'PYTHONPATH': str(Path(__file__).parents[1])}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(400):
        if (project/'.kata/runs/long/begun').exists(): break
        time.sleep(.05)
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=20)
    assert run.returncode == 130 and 'stopped 02_long; what had not ended is as it was' in said[1] and snapshot(project) == before

RECORDED = [  # profile of the call, and what the record of a cpu run of 01_adding tells of it
    ('cpu', 'about '), ('smoke', 'under cpu; no run under smoke is recorded')]

@pytest.mark.parametrize('profile, words', RECORDED)
def test_a_dry_run_predicts_and_runs_nothing(project, kata, profile, words):
    assert kata('run', '--profile', 'cpu', '-q')[0] == 0
    add(project, '02_other', *SOUND[1:])
    before = snapshot(project)
    code, said = kata('run', '--dry-run', 'adding', 'other', '--profile', profile)
    first, second, total = said.splitlines()
    assert code == 0 and first.startswith(f'run     01_adding ({profile})  about ') and words in first
    assert second.startswith(f'run     02_other ({profile})  unknown: no run') and total.startswith('total   about ') and '1 unknown' in total
    assert snapshot(project) == before and not (project/'.kata/runs/other').exists()

def test_a_dry_run_is_of_what_is_not_fresh(project, kata):
    kata('run', '--profile', 'cpu', '-q')
    assert kata('run', '-n', '--profile', 'cpu') == (0, 'fresh   01_adding\n')
    add(project, '02_bad', *SOUND[1:], front='title: B\nkata: {needs: {core: 2}, profiles: {cpu: {}}}')
    code, said = kata('run', '-n', '--profile', 'cpu')
    assert code == 1 and "did you mean 'cores'" in said and 'total' not in said

def test_a_markdown_file_among_the_posts_is_not_run(project, kata):
    (project/'nbs/posts/02_words.md').write_text('---\ntitle: Words\n---\n')
    assert kata('run', '--profile', 'cpu')[0] == 0
    code, said = kata('run', 'words', '--profile', 'cpu')
    assert code == 1 and 'has no cells to run' in said

def test_help_loads_no_library():
    code = 'import sys; from kata_blog.press.cli import main\ntry: main(["--help"])\nexcept SystemExit: pass\nprint(sorted({"torch", "fastai", "IPython", "jinja2", "yaml", "numpy"} & set(sys.modules)))'
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=Path(__file__).parents[1]).stdout
    assert out.rstrip().endswith('[]')
