"schedule: who waits for whom, what runs beside what, and that nothing is left when a call is ended."
import os, random, re, signal, subprocess, sys, threading, time
from pathlib import Path
import pytest
from kata_blog.core import KataError
from kata_blog.press import schedule
from kata_blog.press.note import read_note
from kata_blog.press.record import read_records
from kata_blog.press.run import Needs, Progress, Run
from kata_blog.press.schedule import Job, Lines, Live, can_begin, earlier, fits, forecast, line_up, machine, play_through, remaining_s, run_posts, waits
from making import run_and_keep, snapshot, write_post

HOME = Path(__file__).parents[1]
FRONT = 'title: A\nkata: {week: 1, needs: {cores: 1}, profiles: {cpu: {}, smoke: {}}}'
TWO = Needs(2, 8)  # what the made machine has

def library(root, **modules):
    "The modules of a project."
    for name, code in dict(__init__='', **modules).items():
        path = root/'kata_blog'/f'{name}.py'
        path.parent.mkdir(exist_ok=True)
        path.write_text(code)

def post(root, name, *codes, front=FRONT): return write_post(root, codes, name=name, front=front).path

def job(name, after=(), needs=Needs(1), record=None):
    class Note: pass
    note = Note()
    note.name = name
    return Job(note, 'cpu', needs, record, dict.fromkeys(after, 'module'))

def recorded(profile='cpu', ended='passed', seconds=60, mb=1000): return dict(profile=profile, ended=ended, seconds=seconds, peak_memory_mb=mb)

class Heard(Lines):
    "What is said, in order."
    def __init__(self): self.lines, self.quiet = [], True
    def say(self, text, out=None): self.lines.append(text)

def passing(note, profile, root, watch=None, **limits): return Run(profile, '', ended='passed', seconds=1, notebook=note.raw)

def watched(note, watch):
    "A run that goes on for some seconds if nobody ends it."
    for _ in range(1000):
        watch(Progress(note.name, 2, 1, 1, 0, 0, False))
        time.sleep(.01)

# Who waits for whom

@pytest.fixture
def diamond(tmp_path):
    "Of four posts the second and third import the first, and the last imports both; the paths."
    library(tmp_path, top='', left='from kata_blog.top import *', right='from . import top', end='import kata_blog.left, kata_blog.right')
    return [post(tmp_path, '01_top', '#| default_exp top'), post(tmp_path, '02_left', '#| default_exp left', 'from kata_blog.top import *'),
            post(tmp_path, '03_right', '#| default_exp right', 'from kata_blog import top'), post(tmp_path, '04_end', '#| default_exp end', 'import kata_blog.left\nfrom kata_blog.right import top')]

def test_a_diamond_of_imports(diamond, tmp_path):
    found = waits([read_note(p) for p in diamond], tmp_path)
    assert {k: sorted(v) for k, v in found.items()} == {'01_top': [], '02_left': ['01_top'], '03_right': ['01_top'], '04_end': ['01_top', '02_left', '03_right']}

def test_a_post_that_does_not_run_still_links_two(diamond, tmp_path):
    assert waits([read_note(p) for p in (diamond[0], diamond[3])], tmp_path) == {'01_top': {}, '04_end': {'01_top': 'top'}}

IMPORTS = ['import kata_blog.top', 'import kata_blog.top as t', 'from kata_blog.top import x', 'from kata_blog import top', 'import kata_blog.tools', 'from kata_blog.tools import y',
           '%matplotlib inline\nfrom kata_blog.top import x', 'def f():\n    import kata_blog.top', 'import importlib\nimportlib.import_module("kata_blog.top")']

@pytest.mark.parametrize('code', IMPORTS)
def test_imports_that_make_a_post_wait(tmp_path, code):
    library(tmp_path, top='', tools='from .top import x', topics='')
    notes = [read_note(p) for p in (post(tmp_path, '01_top', '#| default_exp top'), post(tmp_path, '02_next', code))]
    assert waits(notes, tmp_path)['02_next'] == {'01_top': 'top'}

@pytest.mark.parametrize('code', ['import kata_blog', 'from kata_blog import topics', 'import kata_blog.topics', 'import top', 'x = "kata_blog.top"'])
def test_imports_that_do_not(tmp_path, code):
    library(tmp_path, top='', topics='')
    notes = [read_note(p) for p in (post(tmp_path, '01_top', '#| default_exp top'), post(tmp_path, '02_next', code))]
    assert waits(notes, tmp_path)['02_next'] == {}

def test_a_circle_is_named(tmp_path):
    library(tmp_path, hen='import kata_blog.egg', egg='import kata_blog.hen')
    paths = [post(tmp_path, '01_hen', '#| default_exp hen', 'import kata_blog.egg'), post(tmp_path, '02_egg', '#| default_exp egg', 'import kata_blog.hen')]
    with pytest.raises(KataError, match='in a circle: .*01_hen -> 02_egg'): run_posts(paths, 'cpu', tmp_path, runner=passing, show=Heard())

# What runs beside what

FITS = [  # needs, of those that run, and whether they fit on two cores and 8 GB
    (Needs(2), [], True), (Needs(9, 99, 9), [], True), (Needs(1), [Needs(1)], True), (Needs(2), [Needs(1)], False), (Needs(1), [Needs(9)], False),
    (Needs(1, 4), [Needs(1, 4)], True), (Needs(1, 4.5), [Needs(1, 4)], False), (Needs(1, gpu=1), [Needs(1)], True), (Needs(1, gpu=1), [Needs(1, gpu=1)], False),
]

@pytest.mark.parametrize('wanted, taken, expected', FITS)
def test_fits(wanted, taken, expected): assert fits(wanted, taken, TWO) is expected

def test_the_machine_is_known():
    found = machine()
    assert found.cores >= 1 and .1 < found.memory_gb < 10_000 and found.gpu >= 0

def names(jobs): return [j.name for j in jobs]

def test_whose_turn_it_is():
    a, b, c, d = jobs = [job('a'), job('b', after=['a']), job('c', needs=Needs(2)), job('d')]
    assert names(can_begin(jobs, [], TWO)) == ['a', 'd'] and names(can_begin(jobs, [], TWO, at_once=1)) == ['a']
    assert names(can_begin([b, c, d], [a], TWO)) == ['d'] and names(can_begin([b, c], [], TWO)) == ['b']
    assert names(can_begin([c, d], [b], TWO)) == ['d'] and names(can_begin([c], [], TWO)) == ['c'] and can_begin([c], [b, d], TWO) == []

def test_no_machine_is_ever_overfull():
    "Random jobs on random machines: all run, each after those it imports, and never more at once than fit."
    rng = random.Random(1)
    for _ in range(200):
        has = Needs(rng.randint(1, 4), rng.randint(1, 8))
        jobs = [job(str(n), [str(k) for k in range(n) if rng.random() < .2], Needs(rng.randint(1, 5), rng.randint(0, 9))) for n in range(8)]
        waiting, running, done = list(jobs), [], []
        while waiting or running:
            begun = can_begin(waiting, running, has, 3)
            running += begun
            waiting = [j for j in waiting if j not in begun]
            over = sum(j.needs.cores for j in running) > has.cores or sum(j.needs.memory_gb for j in running) > has.memory_gb
            assert 1 <= len(running) <= (1 if over else 3) and all(set(j.after) <= set(names(done)) for j in begun)
            done.append(running.pop(rng.randrange(len(running))))
        assert len(done) == 8

def test_one_that_needs_more_than_there_is_runs_alone_and_a_line_says_so(tmp_path):
    paths = [post(tmp_path, '01_a', '1'), post(tmp_path, '02_big', '1', front=FRONT.replace('cores: 1', 'cores: 64, memory_gb: 99')), post(tmp_path, '03_c', '1')]
    running, beside, meet = set(), {}, threading.Barrier(2, timeout=20)  # the small ones must meet
    def runner(note, *words, **kw):
        running.add(note.name)
        if note.name != '02_big': meet.wait()
        beside[note.name] = set(running)
        if note.name != '02_big': meet.wait()
        running.discard(note.name)
        return passing(note, *words)
    heard = Heard()
    assert run_posts(paths, 'cpu', tmp_path, runner=runner, has=TWO, show=heard) == []
    assert beside == {'01_a': {'01_a', '03_c'}, '02_big': {'02_big'}, '03_c': {'01_a', '03_c'}}
    assert 'run     02_big (cpu), alone: it needs 64 cores, 99 GB; the machine has 2 cores, 8 GB' in heard.lines

def test_under_smoke_nothing_is_too_big(tmp_path):
    heard = Heard()
    run_posts([post(tmp_path, '02_big', '1', front=FRONT.replace('cores: 1', 'cores: 64, memory_gb: 99, gpu: 9'))], 'smoke', tmp_path, runner=passing, has=TWO, show=heard)
    assert heard.lines == ['run     02_big (smoke)', 'passed  02_big in 1.0 s']

# Lines, and what a failure does

def test_the_order_of_lines(diamond, tmp_path, capsys):
    assert run_posts(diamond[::-1], 'smoke', tmp_path, at_once=1, show=Lines(quiet=True)) == []
    said = [re.sub(r' in .*| \(.*', '', l) for l in capsys.readouterr().out.splitlines()]
    assert said == [f'{word:8}{p.stem}' for p in [diamond[0], diamond[2], diamond[1], diamond[3]] for word in ('run', 'passed')]

def test_one_line_a_step(tmp_path, capsys):
    run_posts([post(tmp_path, '01_a', '1', 'from kata_blog.core import report\nreport(total=3)')], 'smoke', tmp_path)
    said = re.sub(r'\d+\.\d s', 'S s', re.sub(r'\d+ MB', 'M MB', capsys.readouterr().out)).splitlines()
    assert said == ['run     01_a (smoke)', '        01_a  cell 2 (1 of 2)  S s  M MB', '        01_a  cell 3 (2 of 2)  S s  M MB', 'passed  01_a in S s  total 3']

def test_a_failure_in_the_middle_stops_no_other(diamond, tmp_path):
    post(tmp_path, '02_left', '#| default_exp left', '1/0')
    heard = Heard()
    assert run_posts(diamond, 'cpu', tmp_path, at_once=1, show=heard) == ['02_left']
    assert 'run     04_end (cpu), with left as it is: 02_left failed' in heard.lines
    assert any(l.startswith('failed  nbs/posts/02_left.ipynb, cell 3, line 1: ZeroDivisionError') for l in heard.lines) and heard.lines[-1] == '1 of 4 failed: 02_left'
    assert [read_records(p)[0]['ended'] for p in diamond] == ['passed', 'failed', 'passed', 'passed']

@pytest.mark.parametrize('code', [None, 'def ('])
def test_a_post_whose_import_cannot_work_is_not_run(diamond, tmp_path, code):
    post(tmp_path, '02_left', '#| default_exp left', '1/0')
    path = tmp_path/'kata_blog'/'left.py'
    path.write_text(code) if code else path.unlink()
    heard = Heard()
    assert run_posts(diamond, 'cpu', tmp_path, show=heard) == ['02_left', '04_end']
    assert 'failed  04_end: was not run, because 02_left failed and its module left cannot be imported; mend 02_left' in heard.lines
    assert read_records(diamond[3]) == [] and heard.lines[-1] == '2 of 4 failed: 02_left, 04_end'

def test_limits_hold_for_each(tmp_path):
    paths = [post(tmp_path, f'0{n}_stuck{n}', 'while True: pass') for n in (1, 2)] + [post(tmp_path, '03_fine', '1')]
    heard, start = Heard(), time.monotonic()
    assert run_posts(paths, 'smoke', tmp_path, show=heard, has=TWO, cell_timeout_s=1, timeout_s=60) == ['01_stuck1', '02_stuck2']
    assert sum('--cell-timeout' in l for l in heard.lines) == 2 and any(l.startswith('passed  03_fine') for l in heard.lines) and time.monotonic() - start < 20

def test_posts_that_cannot_be_read_hide_no_others(tmp_path):
    paths = [post(tmp_path, '01_a', '1'), tmp_path/'nbs/posts/02_torn.ipynb', tmp_path/'nbs/posts/03_words.md', post(tmp_path, '04_greedy', '1', front='kata: {needs: {core: 1}, profiles: {smoke: {}}}')]
    paths[1].write_text('{"cells": [')
    paths[2].write_text('---\ntitle: Words\n---\n')
    heard = Heard()
    assert run_posts(paths, 'smoke', tmp_path, show=heard) == ['02_torn', '03_words', '04_greedy']
    assert all(any(w in l for l in heard.lines) for w in ('no JSON', 'has no cells to run', "did you mean 'cores'", 'passed  01_a'))

def test_a_disk_that_is_full_is_a_failure_of_that_post(tmp_path):
    def full(note, *a, **kw):
        if note.name == '01_a': raise OSError(28, 'No space left on device')
        return passing(note, *a)
    heard = Heard()
    assert run_posts([post(tmp_path, '01_a', '1'), post(tmp_path, '02_b', '1')], 'smoke', tmp_path, runner=full, show=heard) == ['01_a']
    assert any('01_a: [Errno 28] No space left on device' in l for l in heard.lines)

def test_a_mistake_of_our_own_ends_all_runs(tmp_path):
    ended = threading.Event()
    def runner(note, profile, root, watch=None, **limits):
        if note.name == '01_a': raise ZeroDivisionError
        try: watched(note, watch)
        finally: ended.set()
    with pytest.raises(ZeroDivisionError): run_posts([post(tmp_path, '01_a', '1'), post(tmp_path, '02_b', '1')], 'smoke', tmp_path, runner=runner, has=TWO, show=Heard())
    assert ended.is_set()

def test_when_nobody_listens_any_more_the_runs_end(tmp_path):
    "Also where more is on its way than was listened to."
    said, ended = threading.Event(), threading.Event()
    class Gone(Lines):
        def say(self, text, out=None):
            if 'cell' not in text: return
            said.wait(20)
            raise BrokenPipeError
    def runner(note, profile, root, watch=None, **limits):
        try:
            for nth in (1, 2, 3): watch(Progress(note.name, nth + 1, nth, 3, 0, 0, True))
            said.set()
            watched(note, watch)
        finally: ended.set()
    path = post(tmp_path, '01_a', '1')
    with pytest.raises(BrokenPipeError): run_posts([path], 'cpu', tmp_path, runner=runner, show=Gone())
    assert ended.is_set() and read_records(path) == []

# The terminal

def terminal(said):
    "What stays on a terminal: lines, with `up` and `clear to the end` as Live uses them."
    lines, at = [''], 0
    for part in re.split(r'(\x1b\[\d*[FJ]|\n)', said):
        if part == '\n': at += 1; lines += [''] * (at == len(lines))
        elif part.endswith('F') and part[0] == '\x1b': at -= int(part[2:-1])
        elif part == '\x1b[J': lines[at:] = ['']
        else: lines[at] += part
    return lines

def progress(name, nth, seconds=1.): return Progress(name, nth + 1, nth, 3, seconds, 99.6, False)

def test_running_posts_are_rewritten_in_place(capsys):
    live, a, b = Live(), job('01_a'), job('02_b')
    live.say('run     01_a')
    live.progress(a, progress('01_a', 1))
    live.progress(b, Progress('02_b', None, 0, 3, .5, 80, False))
    live.progress(a, progress('01_a', 2))
    said = capsys.readouterr().out
    assert terminal(said) == ['run     01_a', '        01_a  cell 3 (2 of 3)  1.0 s  100 MB', '        02_b  starts  0.5 s  80 MB', '']
    live.end(a)
    live.say('passed  01_a')
    said += capsys.readouterr().out
    assert terminal(said) == ['run     01_a', 'passed  01_a', '        02_b  starts  0.5 s  80 MB', '']
    live.end(b)
    assert terminal(said + capsys.readouterr().out) == ['run     01_a', 'passed  01_a', '']

def test_a_narrow_terminal_is_not_left(capsys, monkeypatch):
    monkeypatch.setenv('COLUMNS', '30'); monkeypatch.setenv('LINES', '3')
    live = Live()
    for n in range(5): live.progress(job(f'0{n}_long_name'), progress(f'0{n}_long_name', 1))
    lines = terminal(capsys.readouterr().out)
    assert len(lines) == 3 and all(len(l) < 30 for l in lines)

def test_quiet_is_quiet(capsys):
    for show in (Lines(quiet=True), Live(quiet=True)): show.progress(job('01_a'), progress('01_a', 1))
    assert capsys.readouterr().out == ''

# What it will take

RECORDS = [  # newest first; the profile to run with; which of them tells most
    ([recorded('cpu'), recorded('cpu')], 'cpu', 0), ([recorded('cpu', 'failed'), recorded('cpu')], 'cpu', 1), ([recorded('full'), recorded('cpu')], 'cpu', 1),
    ([recorded('full'), recorded('cpu')], 'smoke', 0), ([recorded('cpu', 'failed')], 'cpu', None), ([], 'cpu', None),
]

@pytest.mark.parametrize('records, profile, at', RECORDS)
def test_the_record_that_tells_most(records, profile, at): assert earlier(records, profile) is (None if at is None else records[at])

def test_what_is_left_of_a_run():
    record = dict(cells=[dict(index=i, seconds=s) for i, s in ((2, 1), (4, 10), (5, 100))])
    def left(cell, seconds, done=False): return remaining_s(record, Progress('a', cell, 1, 3, seconds, 0, done))
    assert [left(None, 9), left(2, .5), left(4, 4), left(4, 40), left(4, 4, done=True), left(5, 100), left(3, 1)] == [111, 110.5, 106, 100, 100, 0, 110]

def test_time_and_memory_of_all():
    a, b, c = jobs = [job('a', record=recorded(seconds=10, mb=100)), job('b', record=recorded(seconds=20, mb=200)), job('c', ['a'], record=recorded(seconds=5, mb=400))]
    assert play_through(jobs, TWO) == (20, 600) and play_through(jobs, TWO, at_once=1) == (35, 400) and play_through(jobs, Needs(1, 8)) == (35, 400)
    assert play_through([job('a'), b], TWO) == (20, 200) and play_through([], TWO) == (0, 0)

def test_a_forecast_says_where_it_comes_from():
    jobs = [job('01_a', record=recorded(seconds=1300, mb=2269)), job('02_b', record=recorded('full', seconds=60, mb=700)), job('03_c', needs=Needs(4))]
    assert forecast(jobs, TWO) == [
        'run     01_a (cpu)  about 22 min, 2.3 GB',
        'run     02_b (cpu)  about 60 s, 700 MB under full; no run under cpu is recorded',
        'run     03_c (cpu)  unknown: no run that passed is recorded, alone: it needs 4 cores; the machine has 2 cores, 8 GB',
        'total   about 22 min, 3.0 GB at once, on 2 cores, 8 GB (1 unknown and not counted, 1 as under another profile)']
    assert forecast(jobs[2:], TWO)[-1] == 'total   unknown on 2 cores, 8 GB (1 unknown and not counted)'

# Whole calls, from outside

KATA = """import signal, sys
{}
from kata_blog.press.cli import main
sys.exit(main(sys.argv[1:]))"""
HEARS = KATA.format('for s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.default_int_handler if s == signal.SIGINT else signal.SIG_DFL)')  # ignored where the tests run in the background
DEAF = KATA.format('signal.signal(signal.SIGINT, signal.SIG_IGN)')

@pytest.fixture
def call():
    "Start `kata run` as a process of its own; what a failed test leaves running is ended."
    calls = []
    def start(root, *words, code=HEARS):
        calls.append(subprocess.Popen([sys.executable, '-c', code, 'run', *words], cwd=root, env=os.environ | {'PYTHONPATH': str(HOME)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return calls[-1]
    yield start
    for c in calls:
        c.kill()
        c.communicate(timeout=20)

def wait_for(condition, seconds=20):
    for _ in range(seconds * 20):
        if condition(): return
        time.sleep(.05)
    raise AssertionError('it never came')

LONG = 'import os, subprocess, time\nfrom kata_blog.core import run_dir\nchild = subprocess.Popen(["sleep", "300"])\n(run_dir()/"pid").write_text(str(os.getpid()))\ntime.sleep(300)'

def begun(root, *stems):
    "The process groups of posts that are in their long cell."
    pids = [root/'.kata'/'runs'/s/'pid' for s in stems]
    wait_for(lambda: all(p.exists() and p.read_text() for p in pids))
    return [int(p.read_text()) for p in pids]

def group(pid): return [l for l in subprocess.run(['ps', '-eo', 'pgid=,stat=,args='], capture_output=True, text=True).stdout.splitlines() if int(l.split()[0]) == pid and 'Z' not in l.split()[1]]

@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_everything_as_it_was(tmp_path, call, how):
    paths = [post(tmp_path, '01_done', '1'), *(post(tmp_path, f'0{n}_long{n}', LONG) for n in (2, 3, 4))]
    run_and_keep(tmp_path, read_note(paths[0]), 'cpu')
    before = snapshot(tmp_path)
    kata = call(tmp_path, '--profile', 'cpu', '-j', '2')
    groups = begun(tmp_path, 'long2', 'long3')
    assert [len(group(g)) for g in groups] == [2, 2]
    kata.send_signal(how)
    said = kata.communicate(timeout=20)[0]
    assert kata.returncode == 130 and 'interrupted; stopped 02_long2, 03_long3' in said.replace('03_long3, 02_long2', '02_long2, 03_long3') and '04_long4' not in said
    assert [group(g) for g in groups] == [[], []] and snapshot(tmp_path) == before
    assert not list(tmp_path.rglob('weights-*')) and not list(tmp_path.rglob('.*.tmp'))

def test_a_killed_call_leaves_no_process_and_no_lock(tmp_path, call):
    path = post(tmp_path, '01_long', LONG)
    kata = call(tmp_path, '--profile', 'cpu')
    (pid,) = begun(tmp_path, 'long')
    kata.kill()
    kata.wait(10)
    wait_for(lambda: not group(pid))
    assert list(tmp_path.rglob('weights-*'))  # what nobody could take away
    post(tmp_path, '01_long', '1')
    assert run_posts([path], 'cpu', tmp_path, show=Heard()) == [] and not list(tmp_path.rglob('weights-*'))

def test_a_call_that_ignores_interruptions_goes_on(tmp_path, call):
    post(tmp_path, '01_a', 'import time\nfrom kata_blog.core import run_dir\n(run_dir()/"pid").write_text("1")\ntime.sleep(1.5)')
    kata = call(tmp_path, '--profile', 'smoke', code=DEAF)
    begun(tmp_path, 'a')
    kata.send_signal(signal.SIGINT)
    assert 'passed  01_a' in kata.communicate(timeout=20)[0] and kata.returncode == 0

def test_the_same_post_does_not_run_twice_at_once(tmp_path, call):
    paths = [post(tmp_path, '01_long', LONG), post(tmp_path, '02_b', '1')]
    kata = call(tmp_path, 'long', '--profile', 'cpu')
    begun(tmp_path, 'long')
    heard = Heard()
    assert run_posts(paths, 'cpu', tmp_path, show=heard, cell_timeout_s=9) == ['01_long']
    assert 'failed  01_long: is already running, begun by another call; wait for its end and call again' in heard.lines and any(l.startswith('passed  02_b') for l in heard.lines)
    kata.terminate()
    kata.communicate(timeout=20)
    assert len(read_records(paths[1])) == 1 and read_records(paths[0]) == []

def test_two_calls_at_once_keep_all_records(tmp_path, call):
    paths = [post(tmp_path, f'0{n}_p{n}', *['1'] * 5, f'"{n}"') for n in range(4)]
    calls = [call(tmp_path, *names, '--profile', 'cpu') for names in (('p0', 'p1'), ('p2', 'p3'))]
    for c in calls: assert (c.communicate(timeout=60), c.returncode)[1] == 0
    for n, p in enumerate(paths): assert [r['ended'] for r in read_records(p)] == ['passed'] and read_note(p).cells[-1].outputs[0]['data']['text/plain'] == [f"'{n}'"]
