"kata as a person calls it: what is printed, which exit code comes back, and that the good posts survive the bad ones."
import contextlib, json, os, signal, subprocess, sys, time
from pathlib import Path
import pytest
from kata_blog.core import NoteError
from kata_blog.press.cli import main, read_part
from kata_blog.press.note import read_note
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

@pytest.fixture
def kata(capfd):
    "Call kata: exit code and all that it printed."
    def call(*words):
        try: code = main([str(w) for w in words])
        except SystemExit as e: code = e.code
        said = capfd.readouterr()
        return code, said.out + said.err
    return call

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

def test_smoke_keeps_nothing(project, kata):
    before = snapshot(project)
    code, said = kata('run', 'adding', '--profile', 'smoke', '-q')
    assert code == 0 and 'total 1' in said and snapshot(project) == before

def test_a_smoke_run_that_takes_another_way_than_the_record_fails(project, kata):
    add(project, '02_branch', '#| parameters\nn = 100', 'from kata_blog.core import report\nreport(**({"small": 1} if n < 5 else {"total": n}))')
    assert kata('run', '--profile', 'cpu')[0] == 0
    code, said = kata('run', '--profile', 'smoke')
    assert code == 1 and 'metric small is new' in said and 'metric total is missing' in said and 'passed  01_adding' in said

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
