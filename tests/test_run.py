"run: what a run says of itself, what stops it, and that it leaves nothing else behind."
import json, os, re, signal, subprocess, sys, time
from pathlib import Path
import pytest
import kata_blog
from kata_blog.core import NoteError
from kata_blog.press.child import _held_mb, count_cores
from kata_blog.press.run import Needs, evaluated, needs, run_note, settle, tidy
from making import snapshot, write_post

REPORT = 'from kata_blog.core import report\n'

@pytest.fixture
def ran(tmp_path):
    "Run a post of some cells; the run."
    def go(*codes, profile='full', **kw): return run_note(write_post(tmp_path, codes), profile, tmp_path, **kw)
    return go

def outputs(run, cell): return run.notebook['cells'][cell - 1]['outputs']
def texts(run, cell): return [''.join(o.get('text') or o['data']['text/plain']) for o in outputs(run, cell)]

def test_a_run_tells_what_happened(ran):
    run = ran('#| parameters\nn = 100', f'import numpy\n{REPORT}report(total=numpy.arange(n).sum(), n=3)\nprint("a")\nprint("b")\nn')
    assert (run.ended, run.cell, run.error) == ('passed', None, None)
    assert run.metrics == {'total': {'value': 4950, 'n': 3}}
    assert [(c['index'], c['id']) for c in run.cells] == [(2, 'c2'), (3, 'c3')] and all(0 <= c['seconds'] < run.seconds for c in run.cells)
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ', run.started)
    assert run.device['kind'] == 'cpu' and run.device['cores'] >= 1 and run.device['name']
    assert run.versions['numpy'] == __import__('numpy').__version__ and run.versions['python'] == '.'.join(map(str, sys.version_info[:3]))
    assert not {'matplotlib', 'execnb', 'kata_blog', 'PyYAML'} & set(run.versions)
    assert texts(run, 3) == ['a\nb\n', 'total 4950 (n=3)', '100']

def test_versions_go_by_the_names_of_the_registry(ran):
    assert {'PyYAML', 'fastcore'} <= set(ran('import yaml\nfrom fastcore.test import test_eq\nimport json').versions)

def test_versions_are_of_what_was_imported_and_not_our_own(tmp_path, ran):
    (tmp_path/'kata_blog-9.dist-info').mkdir()
    (tmp_path/'kata_blog-9.dist-info'/'METADATA').write_text('Metadata-Version: 2.1\nName: kata_blog\nVersion: 9\n')
    assert set(ran('import kata_blog.core, IPython\nif False: import jinja2').versions) == {'python', 'ipython'}

def test_a_project_imports_its_own_modules(tmp_path, ran):
    (tmp_path/'kata_blog').mkdir()
    (tmp_path/'kata_blog'/'__init__.py').write_text('')
    (tmp_path/'kata_blog'/'halves.py').write_text('import yaml\ndef half(x): return x/2')
    run = ran('from kata_blog.halves import half\nhalf(3)')
    assert run.ended == 'passed' and texts(run, 2) == ['1.5'] and 'PyYAML' in run.versions

def test_data_that_was_used_is_named(tmp_path, ran):
    (tmp_path/'kata_blog').mkdir()
    (tmp_path/'kata_blog'/'__init__.py').write_text('')
    (tmp_path/'kata_blog'/'data.py').write_text('def used(): return [dict(name="tones", version="2", variant="original")]')
    assert ran('import kata_blog.data').data == [dict(name='tones', version='2', variant='original')]
    assert ran('1').data == []

def test_memory_is_that_of_the_run_alone(ran):
    held = bytearray(400 * 2**20)  # the parent's, which a child's `ru_maxrss` would count
    assert 20 < ran('x = 1').peak_memory_mb < 300 < len(held)
    assert 300 < ran('x = bytearray(300_000_000)').peak_memory_mb < 400

@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_memory_is_counted_in_millions_of_bytes():
    with open('/proc/self/status') as f: kib = int(next(l for l in f if l.startswith('VmHWM')).split()[1])
    assert _held_mb('self') == pytest.approx(kib * 1024 / 1e6, rel=.01)

def test_a_project_may_have_its_own_data_and_train(tmp_path, ran):
    (tmp_path/'kata_blog').mkdir()
    for name in ('__init__', 'data', 'train'): (tmp_path/'kata_blog'/f'{name}.py').write_text('')
    run = ran('from kata_blog import data, train')
    assert run.ended == 'passed' and run.data == run.parts == []

@pytest.mark.skipif(not os.path.exists('/dev/full'), reason='no device that is always full')
def test_a_log_that_has_no_room_hides_no_failure(tmp_path, ran):
    (tmp_path/'.kata'/'runs'/'adding').mkdir(parents=True)
    (tmp_path/'.kata'/'runs'/'adding'/'log.txt').symlink_to('/dev/full')
    run = ran('x = 1\n1/0')
    assert run.ended == 'failed' and 'ZeroDivisionError' in run.error and 'line 2' in run.error

def test_pictures_are_counted(ran):
    run = ran('import matplotlib.pyplot as plt', 'plt.plot([1, 2]);', 'plt.plot([1]); plt.show(); plt.plot([2]); plt.show()')
    assert run.ended == 'passed' and run.figures == 3 and list(outputs(run, 3)[0]['data']) == ['text/plain', 'image/png']

def test_a_run_leaves_the_project_as_it_was(tmp_path):
    note = write_post(tmp_path, ['1', '1/0'])
    before = snapshot(tmp_path)
    run_note(note, 'full', tmp_path)
    assert snapshot(tmp_path) == before
    assert [p.name for p in (tmp_path/'.kata'/'runs'/'adding').iterdir()] == ['log.txt']

def test_a_post_gets_its_folders(tmp_path, ran):
    run = ran('import os\nfrom pathlib import Path\nfrom kata_blog.core import run_dir\n(run_dir()/"big.bin").write_text("x")\n'
              '(Path(os.environ["KATA_WEIGHTS"])/"adding.safetensors").write_bytes(b"w")\nPath.cwd().name')
    assert run.weights == {'adding.safetensors': b'w'} and texts(run, 2) == ["'posts'"]
    assert {p.name for p in (tmp_path/'.kata'/'runs'/'adding').iterdir()} == {'big.bin', 'log.txt'}

def test_a_pickle_is_no_weights(ran):
    run = ran('import os\nopen(os.environ["KATA_WEIGHTS"] + "/adding.pkl", "w").close()')
    assert run.ended == 'failed' and 'adding.pkl' in run.error and '.safetensors' in run.error and run.notebook is None

FAULTS = [
    (['x = 1', 'y = 2\n\n1/0'], 3, 'cell 3, line 3: ZeroDivisionError: division by zero'),
    (['def f():\n    return [][1]', 'x = 0\nf()'], 3, 'cell 3, line 2: IndexError: list index out of range'),
    (['#| echo: false\n\nx = 1\nraise ValueError("a\\nb")'], 2, 'cell 2, line 4: ValueError: a;'),
    (['x ='], 2, 'cell 2, line 1: SyntaxError'),
    (['assert False'], 2, 'cell 2, line 1: AssertionError: no message'),
    (['import sys\nsys.exit(3)'], 2, 'cell 2, line 2: SystemExit: 3'),
    (['import os\nos._exit(3)'], 2, 'cell 2: ended its process with exit code 3'),
    (['import os, signal\nos.kill(os.getpid(), signal.SIGKILL)'], 2, 'cell 2: lost its process to SIGKILL'),
    (['import ctypes\nctypes.string_at(0)'], 2, 'cell 2: lost its process to SIGSEGV'),
    ([REPORT + 'report(a=1)', 'report(a=2)', 'while True: pass'], 3, 'cell 3: reports a, which cell 2 reported already'),
    ([REPORT + 'report(a=float("nan"))'], 2, 'KataError: report: a is nan'),
    (['input("name")'], 2, 'StdinNotImplementedError'),
]

@pytest.mark.parametrize('codes, cell, text', FAULTS)
def test_what_stops_a_run_is_named(ran, codes, cell, text):
    run = ran(*codes)
    assert (run.ended, run.cell, run.notebook) == ('failed', cell, None)
    assert run.error.startswith('nbs/posts/01_adding.ipynb, cell ') and text in run.error

def test_the_line_is_of_the_failing_cell_not_of_the_helper_above(ran):
    assert 'cell 3, line 1' in ran('def f():\n    x = 1\n    y = 2\n    return 1/0', 'f()').error

def test_the_whole_traceback_is_in_the_log(tmp_path, ran):
    run = ran('def f():\n    return 1/0', 'f()')
    log = tmp_path/'.kata'/'runs'/'adding'/'log.txt'
    assert str(log.relative_to(tmp_path)) in run.error and 'in f' in log.read_text()

def test_a_failed_run_still_says_where_it_ran(ran):
    run = ran('import yaml', '1/0')
    assert 'PyYAML' in run.versions and run.device['cores'] >= 1 and [c['index'] for c in run.cells] == [2, 3]

def test_a_run_that_cannot_start_says_so(tmp_path, ran, monkeypatch):
    (tmp_path/'IPython.py').write_text('raise ImportError("none here")')  # the project comes first on the path
    run = ran('1')
    assert run.ended == 'did not start' and run.cell is None and 'log.txt' in run.error
    assert 'none here' in (tmp_path/'.kata'/'runs'/'adding'/'log.txt').read_text()

STUCK = ['while True: pass', 'import time\ntime.sleep(60)', 'import re\nre.match("(a+)+$", "a" * 60 + "b")', 'import subprocess\nsubprocess.run(["sleep", "77.125"])']

@pytest.mark.parametrize('code', STUCK)
def test_a_cell_that_never_ends_is_ended(ran, code):
    start = time.monotonic()
    run = ran('x = 1', code, cell_timeout_s=.5)
    assert run.ended == 'failed' and run.cell == 3 and 'cell 3: did not end within 0.5 s' in run.error and time.monotonic() - start < 10
    assert 'sleep 77.125' not in subprocess.run(['ps', '-eo', 'args'], capture_output=True, text=True).stdout

def test_a_post_that_takes_too_long_is_ended(ran):
    run = ran(*['import time\ntime.sleep(.4)'] * 20, timeout_s=2)
    assert run.ended == 'failed' and 'time limit of a post' in run.error

def test_a_limit_that_passes_before_the_first_cell(ran):
    run = ran('1', timeout_s=.01)
    assert run.ended == 'did not start' and 'None' not in run.error

def test_cells_marked_eval_false_are_not_run(ran):
    run = ran('#| eval: false\n1/0', '2')
    assert run.ended == 'passed' and [c['index'] for c in run.cells] == [3]

def test_the_front_matter_can_turn_cells_off(tmp_path):
    assert [c.index for c in evaluated(write_post(tmp_path, ['1', '#| eval: true\n2'], front='eval: false'))] == [3]

def test_profiles_differ_in_parameters_only(ran):
    codes = '#| parameters\nn = 100', REPORT + 'report(n_used=n)'
    assert [ran(*codes, profile=p).metrics['n_used']['value'] for p in ('full', 'cpu', 'smoke')] == [100, 10, 2]
    with pytest.raises(NoteError, match="did you mean 'smoke'"): ran(*codes, profile='smok')
    with pytest.raises(NoteError, match="unknown parameter 'n'"): ran('#| parameters\nm = 100', profile='cpu')

def test_a_note_is_only_read(tmp_path):
    note = write_post(tmp_path, ['1\n2'])
    note.raw['cells'][1]['source'] = ['1\n', '2']  # as nbdev and Jupyter store it
    before = json.dumps(note.raw)
    run = run_note(note, 'full', tmp_path)
    assert texts(run, 2) == ['2'] and json.dumps(note.raw) == before

def test_the_notebook_keeps_its_own_parameters(ran): assert '#| parameters\nn = 100' in ran('#| parameters\nn = 100', profile='cpu').notebook['cells'][1]['source']

def test_progress_is_told(ran):
    told = []
    ran('#| eval: false\n0', '1', '2', watch=told.append)
    assert [(p.post, p.cell, p.nth, p.of, p.done) for p in told if p.nth] == [('01_adding', c, n, 2, done) for c, n in ((3, 1), (4, 2)) for done in (False, True)]

def test_progress_is_told_while_a_cell_runs(ran):
    told = []
    ran('1', 'import time\nx = bytearray(200 * 2**20)\ntime.sleep(2.5)', watch=told.append)
    begun, *ticks, done = [p for p in told if p.cell == 3]
    assert not any(p.done for p in ticks) and len(ticks) >= 2 and done.done
    assert begun.seconds < .5 < ticks[0].seconds < ticks[1].seconds < done.seconds and ticks[0].memory_mb > 200

def test_what_watches_can_end_a_run(tmp_path, ran):
    "Also before the first cell, and the child goes with it."
    seen = []
    def stop(p):
        seen.append(p)
        raise KeyboardInterrupt
    (tmp_path/'IPython.py').write_text('import time\ntime.sleep(60)')  # the project comes first on the path: a start that takes long
    with pytest.raises(KeyboardInterrupt): ran('1', watch=stop)
    assert [p.cell for p in seen] == [None] and [p.name for p in (tmp_path/'.kata'/'runs'/'adding').iterdir()] == ['log.txt']

SAID = [('10 %\r50 %\r100 %\nend', '100 %\nend'), ('a\r\nb\r\n', 'a\nb\n'), ('plain', 'plain'), ('', ''), ('\x1b[31mred\x1b[0m', 'red'), ('bar 1\r\x1b[2K', 'bar 1'), ('a\n\nb', 'a\n\nb')]

@pytest.mark.parametrize('said, shown', SAID)
def test_printed_text_is_as_a_terminal_leaves_it(said, shown): assert settle(said) == shown

def test_an_output_that_is_updated_is_shown_once(ran):
    run = ran('from IPython.display import display\nh = display("0 %", display_id=True)\nfor i in range(9): h.update(f"{i} %")\ndisplay("other")')
    assert texts(run, 2) == ["'8 %'", "'other'"]

def test_outputs_name_no_folder_of_this_machine(tmp_path, ran):
    run = ran('import numpy, warnings\nfrom pathlib import Path\nwarnings.warn_explicit("odd", UserWarning, numpy.__file__, 7)\nprint(Path("x").resolve())\nPath("x").resolve()')
    said = ''.join(texts(run, 2))
    assert 'numpy/__init__.py:7: UserWarning: odd' in said and 'nbs/posts/x' in said
    assert str(tmp_path) not in said and 'site-packages' not in said

def test_tidy_leaves_other_data_alone():
    chart = dict(output_type='display_data', data={'application/json': {'at': '/home/a/x'}, 'image/png': 'aGk=', 'text/plain': ['/home/a/x']}, metadata={})
    assert tidy([chart], {'/home/a': '~/'})[0]['data'] == {'application/json': {'at': '/home/a/x'}, 'image/png': 'aGk=', 'text/plain': ['~/x']}

def test_a_set_is_printed_in_the_same_order_each_time(ran):
    assert len({texts(ran('print({str(i) for i in range(50)})'), 2)[0] for _ in range(2)}) == 1

def test_what_json_cannot_hold_is_no_end_of_the_run(ran):
    assert ran('from IPython.display import display\ndisplay({"application/json": {1, 2}}, raw=True)', '2').ended == 'passed'

@pytest.mark.parametrize('code', ['import threading, time\nthreading.Thread(target=lambda: time.sleep(60)).start()', 'import os, time\nif os.fork() == 0:\n    time.sleep(61.5)\n    os._exit(0)'])
def test_what_a_post_leaves_behind_does_not_hold_the_run(ran, code):
    start = time.monotonic()
    assert ran(code, '1').ended == 'passed' and time.monotonic() - start < 10

def test_a_death_is_noticed_though_a_worker_holds_the_pipe(ran):
    start = time.monotonic()
    assert 'SIGKILL' in ran('import os, signal, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(5)\n    os._exit(0)\nos.kill(os.getpid(), signal.SIGKILL)').error
    assert time.monotonic() - start < 4

def test_a_file_beside_the_post_replaces_no_module(tmp_path, ran):
    write_post(tmp_path, ['1']).path.with_name('random.py').write_text('1/0')
    assert ran('import random\nrandom.random()').ended == 'passed'

WATCHER = """import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
from pathlib import Path
from kata_blog.press.note import read_note
from kata_blog.press.run import run_note
run_note(read_note(sys.argv[1]), 'full', sys.argv[2])"""

def alive(pid):
    try: os.kill(pid, 0)
    except ProcessLookupError: return False
    return 'Z' not in subprocess.run(['ps', '-o', 'stat=', '-p', str(pid)], capture_output=True, text=True).stdout

@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_when_the_parent_ends_so_does_the_child(tmp_path, how):
    note, pid = write_post(tmp_path, ['import os, time\nopen("../../pid", "w").write(str(os.getpid()))\ntime.sleep(60)']), tmp_path/'pid'
    before = snapshot(tmp_path)
    parent = subprocess.Popen([sys.executable, '-c', WATCHER, str(note.path), str(tmp_path)], stderr=subprocess.DEVNULL,
                              env=os.environ | {'PYTHONPATH': str(Path(kata_blog.__file__).parents[1])}, start_new_session=True)
    for _ in range(100):
        if pid.exists() and pid.read_text(): break
        time.sleep(.1)
    child = int(pid.read_text())
    parent.send_signal(how)
    assert parent.wait(10) != 0
    for _ in range(50):
        if not alive(child): break
        time.sleep(.1)
    assert not alive(child)
    pid.unlink()
    assert snapshot(tmp_path) == before

def test_words_said_just_before_the_end_are_heard():
    "A child may speak and end between two looks at the pipe."
    import queue
    from kata_blog.press.run import _next
    inbox = queue.Queue()
    class Child:
        def poll(self): inbox.put({'say': 'end'}); return 0
    assert _next(inbox, Child(), time.monotonic() + 5) == {'say': 'end'}

NEEDS = [  # what is declared, and what it comes to under full
    ('{}', Needs()),
    ('{cores: 2}', Needs(cores=2)),
    ('{cores: 2, memory_gb: 4, gpu: 1}', Needs(2, 4, 1)),
    ('{memory_gb: 0.5, gpu: 0}', Needs(memory_gb=.5)),
]

@pytest.mark.parametrize('declared, found', NEEDS)
def test_needs(tmp_path, declared, found):
    note = write_post(tmp_path, ['1'], front=f'kata: {{needs: {declared}}}')
    assert needs(note, 'full') == needs(note, 'cpu') == found and needs(note, 'smoke') == Needs(cores=1)

def test_a_post_may_say_nothing_of_what_it_needs(tmp_path): assert needs(write_post(tmp_path, ['1'], front='title: A'), 'full') == Needs()

BAD_NEEDS = [('{core: 2}', "unknown need 'core'; did you mean 'cores'"), ('{ram: 2}', 'known: cores, gpu, memory_gb'), ('{cores: 0}', 'cores is 0; needed a whole number, 1 or more'),
             ('{cores: true}', 'cores is True'), ('{cores: two}', "cores is 'two'"), ('{gpu: 0.5}', 'gpu is 0.5; needed a whole number, 0 or more'),
             ('{memory_gb: -1}', 'memory_gb is -1; needed a number'), ('{memory_gb: .nan}', 'memory_gb is nan'), ('4', 'kata.needs is 4; needed `needs: {cores: 2'), ('null', 'kata.needs is None')]

@pytest.mark.parametrize('declared, text', BAD_NEEDS)
def test_a_wrong_need_is_named(tmp_path, declared, text):
    note = write_post(tmp_path, ['1'], front=f'kata: {{needs: {declared}, profiles: {{smoke: {{}}}}}}')
    for profile in ('full', 'smoke'):
        with pytest.raises(NoteError) as e: run_note(note, profile, tmp_path)
        assert text in str(e.value) and str(e.value).startswith(f'{note.path}: front matter kata.needs')

@pytest.mark.parametrize('declared, profile, threads', [('{cores: 1}', 'full', '1'), ('{cores: 999}', 'full', str(count_cores())), ('{gpu: 1}', 'full', 'as set'), ('{cores: 2}', 'smoke', '1')])
def test_libraries_get_the_declared_cores(tmp_path, monkeypatch, declared, profile, threads):
    for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS'): monkeypatch.setenv(name, 'as set')
    note = write_post(tmp_path, ['import os\nos.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]'], front=f'kata: {{needs: {declared}, profiles: {{smoke: {{}}}}}}')
    assert texts(run_note(note, profile, tmp_path), 2) == [str((threads, threads))]
