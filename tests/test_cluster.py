"cluster: posts on a scheduler and workers of their own, equal to local runs, whatever dies in the middle."
import json, os, signal, socket, subprocess, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import pytest
import kata_blog
from kata_blog.core import NoteError
from kata_blog.data import data_dir
from kata_blog.press.cli import main
from kata_blog.press.record import read_records
from kata_blog.press.run import run_note
from making import snapshot, write_post
pytest.importorskip('distributed', reason='needs the extra cluster')
import psutil
from kata_blog.press.cluster import Cluster, ClusterError

HOME = str(Path(kata_blog.__file__).parents[1])

class Dask:
    "A scheduler and workers, as their command lines start them; they share no folder with the project."
    def __init__(self, folder):
        self.folder, self.file, self.workers = folder, folder/'scheduler.json', {}
        self.scheduler = self.start('scheduler', '--host', '127.0.0.1', '--port', '0', '--idle-timeout', '2 minutes')
        until(lambda: self.file.exists() and self.file.read_text().endswith('}'))
        self.address = json.loads(self.file.read_text())['address']

    def start(self, *words):
        env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'} | dict(XDG_CACHE_HOME=str(self.folder/'cache'), KATA_DATA=str(self.folder/'data'))
        with open(self.folder/'dask.txt', 'a') as log:
            return subprocess.Popen([sys.executable, '-P', '-m', 'dask', *words, '--no-dashboard', '--scheduler-file', str(self.file)],
                                    cwd=self.folder, env=env, stdout=log, stderr=log)

    def worker(self, name, *words, threads=1, nanny=False):
        self.workers[name] = self.start('worker', '--nanny' if nanny else '--no-nanny', '--name', name, '--nthreads', str(threads), '--death-timeout', '60', '--local-directory', str(self.folder), *words)

    def close(self):
        processes = [psutil.Process(p.pid) for p in (*self.workers.values(), self.scheduler) if p.poll() is None]
        for process in [p for parent in processes for p in (parent, *parent.children(recursive=True))]: process.kill()  # a nanny first: it would start its worker again
        for process in [*self.workers.values(), self.scheduler]: process.wait()

def until(true, most_s=60):
    end = time.monotonic() + most_s
    while not true():
        assert time.monotonic() < end, 'waited in vain'
        time.sleep(.05)

@pytest.fixture(scope='module')
def three(tmp_path_factory):
    "Three workers, one of which has a nanny and says that it has a graphics card."
    dask = Dask(tmp_path_factory.mktemp('three'))
    for name in 'ab': dask.worker(name)
    dask.worker('c', '--resources', 'gpu=1', nanny=True)
    cluster = Cluster(dask.address)
    until(lambda: len(cluster.workers()) == 3)
    yield dask, cluster
    cluster.close()
    dask.close()

@pytest.fixture
def one(tmp_path):
    "One worker with room for four tasks."
    (tmp_path/'dask').mkdir()
    dask = Dask(tmp_path/'dask')
    dask.worker('only', threads=4)
    cluster = Cluster(dask.address, wait_s=3)
    yield dask, cluster
    cluster.close()
    dask.close()

@pytest.fixture
def project(tmp_path):
    folder = tmp_path/'project'
    folder.mkdir()
    return folder

def texts(run): return [o.get('text') or o['data'] for c in run.notebook['cells'] for o in c.get('outputs', [])]

def alive(pid): return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE

def begun(path):
    "The process of a post, once it has said which it is."
    until(lambda: path.exists() and path.read_text())
    return int(path.read_text())

def sleeper(path, s=60): return f'import os, time\nopen({str(path)!r}, "w").write(str(os.getpid()))\ntime.sleep({s})'

LIBRARY = 'from pathlib import Path\ndef half(x): return x/2\ndef weight(): return (Path(__file__).parent/"weights"/"w.safetensors").read_bytes()'
POSTS = {
    '01_adding': ['from kata_blog.core import report\nreport(total=sum(range(n)), n=3)', 'print("a\\rb")\n{n}'],
    '02_halves': ['from kata_blog.halves import half, weight\nfrom kata_blog.core import report', 'report(halved=half(3))\nweight()', 'open("table.csv").read(), open("sub/part.txt").read()'],
    '03_figure': ['import matplotlib.pyplot as plt', 'plt.plot([1, 2]);', 'from pathlib import Path\nprint(sorted(p.name for p in Path().rglob("*.*")), Path("x").resolve())'],
}

def write_project(root):
    for name, text in {'halves.py': LIBRARY, '__init__.py': '', 'core.py': Path(HOME, 'kata_blog', 'core.py').read_text()}.items():
        (root/'kata_blog').mkdir(exist_ok=True)
        (root/'kata_blog'/name).write_text(text)
    for path, text in {'kata_blog/weights/w.safetensors': 'w' * 99, 'nbs/posts/table.csv': '1,2', 'nbs/posts/sub/part.txt': 'part'}.items():
        (root/path).parent.mkdir(parents=True, exist_ok=True)
        (root/path).write_text(text)
    return [write_post(root, ['#| parameters\nn = 100', 'import time\ntime.sleep(1)', *codes], name) for name, codes in POSTS.items()]

def same(a, b):
    facts = 'profile ended cell error metrics figures versions data weights'.split()
    return {k: getattr(a, k) for k in facts} == {k: getattr(b, k) for k in facts} and [c['id'] for c in a.cells] == [c['id'] for c in b.cells]

def test_posts_run_on_all_workers_as_they_do_here(three, project):
    _, cluster = three
    notes = write_project(project)
    for name in ('records', '.hidden'):
        (project/'nbs'/'posts'/name).mkdir()
        (project/'nbs'/'posts'/name/'here.txt').write_text('stays')
    before = snapshot(project)
    with ThreadPoolExecutor() as pool: far = list(pool.map(lambda note: cluster.run_note(note, 'cpu', project), notes))
    assert {run.device['worker'] for run in far} == {'a', 'b', 'c'}
    assert snapshot(project) == before
    for note, run in zip(notes, far):
        here = run_note(note, 'cpu', project)
        assert run.ended == 'passed', run.error
        assert same(run, here) and (run.notebook == here.notebook or note.stem == 'figure')  # which looks around
        assert {k: v for k, v in run.device.items() if k != 'worker'} == here.device  # the workers are on this machine
    assert far[0].metrics == {'total': {'value': 45, 'n': 3}} and far[2].figures == 1
    assert texts(far[2])[-1] == ["['part.txt', 'table.csv'] nbs/posts/x\n"]  # no other post, nothing hidden

def test_a_failure_is_told_as_here(three, project):
    note = write_post(project, ['x = 1', 'def f():\n    return 1/0', 'x\nf()'])
    far, here = (run(note, 'full', project) for run in (three[1].run_note, run_note))
    assert far.error == here.error and 'nbs/posts/01_adding.ipynb, cell 4, line 2: ZeroDivisionError' in far.error and same(far, here)
    assert 'in f' in (project/'.kata'/'runs'/'adding'/'log.txt').read_text()

def test_time_limits_hold_there(three, project):
    run = three[1].run_note(write_post(project, ['while True: pass']), 'full', project, cell_timeout_s=.5)
    assert 'cell 2: did not end within 0.5 s' in run.error

def test_what_is_wrong_with_the_note_is_told_before_it_travels(three, project):
    with pytest.raises(NoteError, match="did you mean 'smoke'"): three[1].run_note(write_post(project, ['1'], front='kata: {profiles: {smoke: {}}}'), 'smok', project)

def test_progress_is_told_while_it_runs(three, project):
    told = []
    three[1].run_note(write_post(project, ['1', 'import time\ntime.sleep(2.5)']), 'full', project, watch=told.append)
    at = [(p.cell, p.nth, p.of, p.done) for p in told if p.cell]
    assert [a for n, a in enumerate(at) if a not in at[:n]] == [(c, n, 2, done) for c, n in ((2, 1), (3, 2)) for done in (False, True)]
    assert len([p for p in told if p.cell == 3 and not p.done]) >= 3 and {p.post for p in told} == {'01_adding'} and told[-1].memory_mb > 10

def test_a_post_goes_where_its_needs_are(three, project):
    note = write_post(project, ['import os\nos.environ.get("OMP_NUM_THREADS")'], front='kata: {needs: {gpu: 1}}')
    runs = [three[1].run_note(note, 'full', project) for _ in range(2)]
    assert [run.device['worker'] for run in runs] == ['c', 'c']
    assert texts(runs[0]) == []  # not set: a nanny would grant one thread to each library
    cluster = Cluster(three[0].address, wait_s=.5)
    with pytest.raises(ClusterError, match='no worker has .*gpu=2'): cluster.run_note(write_post(project, ['1'], front='kata: {needs: {gpu: 2}}'), 'full', project)
    cluster.close()

def test_data_pinned_otherwise_is_refused(three, project, monkeypatch):
    monkeypatch.setenv('KATA_DATA', str(project/'data'))
    for folder, sha256 in ((data_dir(), '12ab'), (three[0].folder/'data', '34cd')):
        folder.mkdir(exist_ok=True)
        (folder/'.tones-1.pins.json').write_text(json.dumps({'a.wav': sha256}))
    with pytest.raises(ClusterError, match='on worker [abc]: .*a.wav has sha256 34cd on this machine, and 12ab'): three[1].run_note(write_post(project, ['1']), 'full', project)

def test_a_post_whose_worker_is_killed_passes_on_another(three, project):
    dask, cluster = three
    dask.worker('d')
    until(lambda: len(cluster.workers()) == 4)
    first = project/'first'
    note = write_post(project, [f'import os\nif os.path.exists({str(first)!r}): print("again")\nelse:\n    ' + sleeper(first).replace('\n', '\n    ')])
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(cluster.run_note, note, 'full', project)
        pid = begun(first)
        worker = psutil.Process(pid).parent().parent()
        killed = next(name for name, p in dask.workers.items() if p.pid in (worker.pid, worker.ppid()))  # under a nanny a worker is a child
        worker.kill()
        run = asked.result(30)
    assert run.ended == 'passed' and texts(run) == [['again\n']] and run.device['worker'] in {*dask.workers} - {killed}
    until(lambda: not alive(pid))

def test_what_watches_can_end_a_run(three, project):
    pid, told = project/'pid', []
    def watch(progress):
        if pid.exists(): raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): three[1].run_note(write_post(project, [sleeper(pid)]), 'full', project, watch=watch)
    until(lambda: not alive(begun(pid)))
    until(lambda: not list(project.rglob('weights-*')) and not list(three[0].folder.rglob('weights-*')))

CALLER = """import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
from kata_blog.press.cluster import Cluster
from kata_blog.press.note import read_note
Cluster(sys.argv[1]).run_note(read_note(sys.argv[2]), 'full')"""

@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGKILL])
def test_when_the_caller_ends_so_does_the_post(three, project, how):
    pid, note = project/'pid', write_post(project, ['import subprocess\nsubprocess.Popen(["sleep", "77.25"])', sleeper(project/'pid')])
    caller = subprocess.Popen([sys.executable, '-c', CALLER, three[0].address, str(note.path)], env=os.environ | dict(PYTHONPATH=HOME), stderr=subprocess.DEVNULL)
    post = begun(pid)
    family = [psutil.Process(post).parent().pid, post, *(p.pid for p in psutil.Process(post).children())]
    assert len(family) == 3
    caller.send_signal(how)
    assert caller.wait(10) != 0
    until(lambda: not any(map(alive, family)))

def test_a_worker_that_declares_nothing_runs_one_post_at_a_time(one, project):
    notes = [write_post(project, ['import time\nt = time.time()\ntime.sleep(.7)\nprint(t, time.time())'], f'0{n}_post{n}') for n in range(3)]
    with ThreadPoolExecutor() as pool: runs = list(pool.map(lambda note: one[1].run_note(note, 'full', project), notes))
    spans = sorted(tuple(map(float, texts(run)[0][0].split())) for run in runs)
    assert all(end <= begin for (_, end), (begin, _) in zip(spans, spans[1:]))

def test_when_no_worker_is_left_nothing_is_lost(one, project):
    dask, cluster = one
    note, before = write_post(project, [sleeper(project/'.kata'/'pid')]), snapshot(project)
    (project/'.kata').mkdir()
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(cluster.run_note, note, 'full', project)
        pid = begun(project/'.kata'/'pid')
        dask.workers['only'].kill()
        with pytest.raises(ClusterError, match='there is no worker, and none came in 3 s; start one with `dask worker tcp'): asked.result(30)
    until(lambda: not alive(pid))
    assert snapshot(project) == before

def test_a_scheduler_that_goes_is_named(one, project):
    dask, cluster = one
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(cluster.run_note, write_post(project, [sleeper(project/'pid')]), 'full', project)
        pid = begun(project/'pid')
        dask.scheduler.kill()
        with pytest.raises(ClusterError, match='scheduler is gone'): asked.result(40)
    until(lambda: not alive(pid))

def test_kata_run_sends_posts_and_keeps_their_records(three, project, monkeypatch, capfd):
    notes = [write_post(project, ['#| parameters\nn = 100', 'from kata_blog.core import report\nreport(total=n)'], f'0{n}_post{n}') for n in range(4)]
    monkeypatch.chdir(project)
    assert main(['run', '--cluster', three[0].address, '--profile', 'cpu']) == 0
    assert 'passed  03_post3 in' in capfd.readouterr().out
    records = [read_records(note.path)[0] for note in notes]
    assert {r['device']['worker'] for r in records} <= {*three[0].workers} and [r['metrics'] for r in records] == [{'total': {'value': 10}}] * 4
    assert main(['status']) == 0
    assert main(['run', 'post1', '--cluster', 'tcp://127.0.0.1:x']) != 0 and 'no Dask scheduler answers there' in capfd.readouterr().err

def test_an_address_without_a_scheduler_is_refused():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        for address in (f'tcp://127.0.0.1:{s.getsockname()[1]}', 'nonsense://a:1', 'tcp://'):
            with pytest.raises(ClusterError, match=f'cluster {address}: no Dask scheduler answers there within 1 s'): Cluster(address, wait_s=1)

def test_without_distributed_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'distributed', None)
    with pytest.raises(ClusterError, match=r'pip install "kata_blog\[cluster\]"'): Cluster('tcp://127.0.0.1:1')
