"""Kill commands, fill the disk under them, take the right to write, turn the clock, start two at once, edit what runs; then look at what is left and call the next command.
test_stress.py is the short form, `make stress` the long one; a part of it: python tests/stress.py [MOMENTS [SEED [PART...]]]"""
import contextlib, json, os, pickle, random, signal, subprocess, sys, tempfile, time, uuid
from pathlib import Path

HERE = Path(__file__).parents[1]
sys.path[:0] = [str(HERE)]
from kata_blog.core import file_hash, write_atomic
from kata_blog.press.note import read_note
from kata_blog.press.record import outputs_hash, published, read_records
from making import kata

POST = 'nbs/posts/01_dots.ipynb'
RECORD = 'nbs/posts/records/01_dots.json'
WEIGHTS = 'kata_blog/weights/dots.safetensors'
PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII='
WEIGH = '''import json, os, time
from pathlib import Path
once = os.urandom(8).hex()  # two runs never leave the same
header = json.dumps({'__metadata__': {'kata': json.dumps({'subject': 'dots', 'once': once})}, 'w': {'dtype': 'F32', 'shape': [50_000], 'data_offsets': [0, 200_000]}}).encode()
(Path(os.environ['KATA_WEIGHTS'])/'dots.safetensors').write_bytes(len(header).to_bytes(8, 'little') + header + bytes(200_000))
time.sleep(.2)
once'''

# a project whose every run and every build differs from the last

def make_project(root):
    "A blog with one post: parameters, a metric and its claim, a figure, weights."
    def cell(kind, source, n, **kw): return dict(cell_type=kind, id=f'c{n}', metadata={}, source=source, **kw)
    codes = ['#| default_exp dots', '#| parameters\nn = 100', 'from kata_blog.core import report\nreport(total=sum(range(n)))', WEIGH,
             f'#| fig-alt: a dot\nimport base64\nfrom IPython.display import Image\nImage(base64.b64decode("{PNG}"))']
    cells = [cell('raw', '---\ntitle: Dots\ndate: 2026-11-23\ndescription: Dots.\ncategories: [a]\nkata: {week: 1, profiles: {cpu: {n: 10}, smoke: {n: 2}}}\n---', 1),
             cell('markdown', '# Dots\n\n> Dots.\n\nThe sum is [45]{claim=total}.', 2), *(cell('code', c, n, outputs=[], execution_count=None) for n, c in enumerate(codes, 3))]
    for name, text in {POST: json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)), '_quarto.yml': 'project: {type: website}', 'settings.ini': '[blog]\ntitle = Dots\nauthor = A\n',
                       'nbs/index.md': '---\ntitle: Home\n---\n\n[Dots](posts/01_dots.ipynb)\n'}.items():
        (root/name).parent.mkdir(parents=True, exist_ok=True)
        (root/name).write_text(text)
    for words in (RUN[1:], ["build"]): assert kata(root, *words)[0] == 0
    return root

def retitle(root):
    "Give the blog another title, which is on every page."
    (root/'settings.ini').write_text(f'[blog]\ntitle = Dots {uuid.uuid4().hex}\nauthor = A\n')

# commands as processes, of which one may be told to die before its nth change of a file

ARM = '''import os, signal, sys
NTH, CHANGES, count = int(os.environ.get('KILL_BEFORE', 0)), {'os.rename', 'os.remove', 'os.mkdir', 'os.rmdir', 'os.chmod', 'fcntl.flock'}, 0
def hook(event, args):
    global count
    if event in CHANGES or event == 'open' and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        count += 1
        if count == NTH: os.kill(os.getpid(), signal.SIGKILL)
'''
KATA = ARM + 'from kata_blog.press.cli import main; sys.addaudithook(hook); code = main(sys.argv[1:]); print("changes", count, file=sys.stderr); raise SystemExit(code)'
STAGE = ARM + 'from kata_blog.press.stage import stage; sys.addaudithook(hook); stage("."); print("changes", count, file=sys.stderr)'
KEEP = ARM + ('import pickle\nfrom kata_blog.press.record import keep\nnote, run = pickle.load(open("made.pkl", "rb"))\nos.remove("made.pkl")\nsys.addaudithook(hook)\nkeep(note, run, {}, ".")\nprint("changes", count, file=sys.stderr)')
RUN = KATA, 'run', 'dots', '--profile', 'cpu'
BUILD = KATA, 'build'

# a clock that jumps by up to ten years each time it is read, in the command and in the post's own process
CLOCK = '''import datetime, random, time
real = time.time
def jumping(): return real() + random.choice([-3e8, -86400, -1, 0, 1, 86400, 3e8])
class Jumping(datetime.datetime):
    @classmethod
    def now(cls, tz=None): return cls.fromtimestamp(jumping(), tz)
time.time, time.time_ns, datetime.datetime = jumping, lambda: int(jumping() * 1e9), Jumping
'''

def begin(root, script, *words, kill_before=0, mark='', ahead=()):
    "Start a command; `ahead` are folders whose modules come first."
    env = os.environ | dict(PYTHONPATH=os.pathsep.join([*map(str, ahead), str(HERE)]), PYTHONDONTWRITEBYTECODE='1', KILL_BEFORE=str(kill_before), KATA_STRESS=mark)
    return subprocess.Popen([sys.executable, '-c', script, *words], cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

def heard(p):
    "Wait for a command: exit code, and what it said."
    out, err = p.communicate(timeout=120)
    return p.returncode, out + err

def call(root, *words, **kw): return heard(begin(root, *words, **kw))

def changes(said): return int(said.rsplit('changes ', 1)[1])

def orphans(mark):
    "Processes that were started under a mark and still live."
    found = []
    for p in Path('/proc').glob('[0-9]*'):
        try:
            if f'KATA_STRESS={mark}\0'.encode() in (p/'environ').read_bytes() and (p/'stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z': found.append(int(p.name))
        except (OSError, ValueError): pass
    return found

def await_end(mark, wait_s=10):
    "Faults: orphans that are left after a while; they are ended then."
    end = time.monotonic() + wait_s
    while (left := orphans(mark)) and time.monotonic() < end: time.sleep(.02)
    for pid in left: os.kill(pid, signal.SIGKILL)
    return [f'process {pid} lives on' for pid in left]

# what must be true: each function gives faults

def state(root): return {name: (root/name).read_bytes() for name in (POST, RECORD, WEIGHTS)}

def is_new(path): return path.name.endswith(('.tmp', '.kata-new'))

def site(folder): return {p.relative_to(folder): p.read_bytes() for p in folder.rglob('*') if p.is_file()}

def left_over(root, folders=('nbs', 'kata_blog', '.kata/runs')):
    return [str(p.relative_to(root)) for f in folders for p in (root/f).rglob('*') if is_new(p) or p.name == '.keeping.json']

def at_once(root, before):
    "What may not even be for a moment: a file that is torn or lost."
    found = []
    for name, old in before.items():
        try: read_note(root/name) if name == POST else json.loads((root/name).read_text()) if name == RECORD else None
        except Exception as e: found.append(f'{name} is torn: {e}')
        if not (root/name).is_file() or name == WEIGHTS and len((root/name).read_bytes()) < 200_000: found.append(f'{name} is lost or torn')
    return found

def after(root, before):
    "What may not be after the next command: neither the old state nor the new."
    now, records, old = state(root), read_records(root/POST), json.loads(before[RECORD])
    found = ['an older record is lost'] if records[-len(old):] != old else []
    changed = {name for name in before if now[name] != before[name]} - ({RECORD} if published(records) == published(old) else set())  # a failed run leaves a record and nothing else
    if changed and len(changed) < len(before): return [*found, f'mixed: only {", ".join(sorted(changed))} changed']
    return found + unlike_record(root)

def unlike_record(root):
    record, found = published(read_records(root/POST)), []
    if outputs_hash(read_note(root/POST).raw) != record['outputs']: found.append('the outputs are not those of the record')
    if file_hash(root/WEIGHTS) != record['weights']['dots.safetensors']: found.append('the weights are not those of the record')
    return found + [f'{name} is left over' for name in left_over(root)]

def unclear(words, answer, expected):
    "A command that did not answer as it must: exit code to words that it must say then."
    code, said = answer
    well = code in expected and expected[code] in said and 'Traceback' not in said
    return [] if well else [f'{" ".join(map(str, words[-3:]))} ended with {code} and said {said!r}']

def next_works(root, *words): return unclear(words, kata(root, *words), {0: ''})

# one trial each: torn files, and commands that did not work

def trial_run(root, how, delay_s=None, kill_before=0):
    "Kill a run."
    mark, before = uuid.uuid4().hex, state(root)
    kill(begin(root, *RUN, kill_before=kill_before, mark=mark), how, delay_s)
    torn, stuck = at_once(root, before), await_end(mark)
    stuck += next_works(root, 'status')
    return torn + after(root, before), stuck

def kill(p, how, delay_s):
    "End a process, with its group or alone, after a delay; without delay it dies by itself."
    try: p.communicate(timeout=delay_s)
    except subprocess.TimeoutExpired: os.killpg(p.pid, signal.SIGKILL) if how == 'group' else p.kill()
    for pipe in (p.stdout, p.stderr): pipe.close()
    p.wait()

def half_written(folder, old, between):
    "Of a site that was disturbed and then built anew: files that were neither the old nor the new ones."
    new = site(folder)
    torn = [f'{path} is torn' for path, content in between.items() if not is_new(path) and content not in (old.get(path), new.get(path))]
    torn += [f'{path} is lost' for path in old.keys() & new.keys() if path not in between]
    return torn + [f'{path} is left over' for path in new if is_new(path)]

def trial_site(root, command, folder, how, delay_s=None, kill_before=0):
    "Kill a build or a staging: each file is the old one or the new one, and the next build puts all right."
    mark, old = uuid.uuid4().hex, site(folder)
    retitle(root)
    kill(begin(root, *command, kill_before=kill_before, mark=mark), how, delay_s)
    between, stuck = site(folder), await_end(mark) + next_works(root, 'build')
    return half_written(folder, old, between), stuck + next_works(root, 'check')

def made_run(root):
    "A note and a run of it, as bytes, and the word in them that differs from run to run."
    from kata_blog.press.run import run_note
    note = read_note(root/POST)
    run = run_note(note, 'cpu', root)
    return pickle.dumps((note, run)), run.notebook['cells'][5]['outputs'][0]['data']['text/plain'][0].strip("'").encode()

def lay_out(root, made):
    "Put a run where KEEP takes it from, as if it were another one."
    data, once = made
    (root/'made.pkl').write_bytes(data.replace(once, os.urandom(8).hex().encode()))

def trial_keep(root, made, kill_before, then=0):
    "Die before the nth change of `keep`, and, where `then` is given, again before the nth change of the mending."
    before = state(root)
    lay_out(root, made)
    call(root, KEEP, kill_before=kill_before)
    if then: call(root, KATA, 'status', kill_before=then)
    torn, (code, said) = at_once(root, before), kata(root, 'status')
    return torn + after(root, before), [] if code in (0, 1) and 'Traceback' not in said and 'failed' not in said else [f'status says {said!r}']  # stale: KEEP's key is empty

@contextlib.contextmanager
def small_disk(mb=4):
    "A folder that is a disk of its own; None where none can be mounted."
    with tempfile.TemporaryDirectory() as folder:
        mounted = sys.platform == 'linux' and os.geteuid() == 0 and not subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size={mb}m', 'tmpfs', folder], capture_output=True).returncode
        try: yield Path(folder) if mounted else None
        finally:
            if mounted: subprocess.run(['umount', folder], check=True)

@contextlib.contextmanager
def filled(root, free_kb):
    "While this holds, so much of the disk is free."
    ballast, disk = root/'ballast', os.statvfs(root)
    ballast.write_bytes(bytes(max(disk.f_bavail * disk.f_bsize - free_kb * 1024, 0)))
    try: yield
    finally: ballast.unlink()

FULL = {0: '', 1: 'o space left on device'}

def trial_full_run(root, free_kb):
    before = state(root)
    with filled(root, free_kb): answer = call(root, *RUN)
    torn = at_once(root, before) + after(root, before)
    return torn, unclear(RUN, answer, FULL) + next_works(root, 'run', 'dots', '-q', '--profile', 'cpu') + after(root, before)

def trial_full_build(root, free_kb):
    "A site is made anew whole, or stays whole as it was."
    old = site(root/'_site')
    retitle(root)
    with filled(root, free_kb): answer = call(root, *BUILD)
    between, stuck = site(root/'_site'), unclear(BUILD, answer, FULL) + next_works(root, 'build')
    torn = half_written(root/'_site', old, between)
    if between not in (old, site(root/'_site')): torn.append('the site is of two builds')
    return torn, stuck + next_works(root, 'check')

def trial_read_only(root):
    "What only reads works, what writes says that it may not."
    before = state(root), site(root/'_site')
    retitle(root)
    remount = lambda how: subprocess.run(['mount', '-o', f'remount,{how}', str(root)], check=True)
    remount('ro')
    try: stuck = [f for words, expected in {('status',): {0: 'fresh'}, ('check',): {0: ''}, RUN[1:]: {1: 'Read-only file system'}, ('build',): {1: 'Read-only file system'}}.items() for f in unclear(words, call(root, KATA, *words), expected)]
    finally: remount('rw')
    torn = [] if (state(root), site(root/'_site')) == before else ['a file of a read-only folder changed']
    return torn, stuck + next_works(root, 'run', 'dots', '-q', '--profile', 'cpu') + next_works(root, 'build')

def trial_two(root, one, other, delay_s):
    "Two commands, the second a moment after the first: each does its work or says why not."
    before, count = state(root), len(read_records(root/POST))
    retitle(root)
    first = begin(root, *one)
    time.sleep(delay_s)
    answers = [heard(p) for p in (begin(root, *other), first)]
    expected = {0: '', 1: 'is already running'} if one is other is RUN else {0: ''}
    stuck = [f for words, answer in zip((other, one), answers) for f in unclear(words, answer, expected)]
    torn, ran = after(root, before), sum(words is RUN and code == 0 for words, (code, _) in zip((other, one), answers))
    if len(read_records(root/POST)) != count + ran: torn.append(f'{ran} runs passed and left {len(read_records(root/POST)) - count} records')
    return torn, stuck + next_works(root, 'status') + next_works(root, 'build') + next_works(root, 'check')

def trial_clock(root):
    "Under a clock that jumps: what ran counts by its content, its place and its own seconds, never by the time of day."
    before = state(root)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder)/'sitecustomize.py').write_text(CLOCK)
        answers = {words: call(root, *words, ahead=[folder]) for words in (RUN, BUILD, (KATA, 'status'))}
    stuck = [f for words, answer in answers.items() for f in unclear(words, answer, {0: ''})]
    record, torn = read_records(root/POST)[0], after(root, before)
    if record in json.loads(before[RECORD]) or not 0 < record['seconds'] < 100 or not all(0 <= c['seconds'] < 100 for c in record['cells']): torn.append(f'the record tells a wrong time: {record["seconds"]} s')
    return torn + same_size_same_time(root), stuck + next_works(root, 'status')

def same_size_same_time(root):
    "An edit that leaves size and date of the file as they were."
    text, times = (root/POST).read_text(), (root/POST).stat()
    (root/POST).write_text(text.replace('sum(range(n))', 'max(range(n))'))
    os.utime(root/POST, ns=(times.st_atime_ns, times.st_mtime_ns))
    found = unclear(['status'], kata(root, 'status'), {1: 'stale'})
    (root/POST).write_text(text)
    for path in (root/POST, root/RECORD): os.utime(path, (0, random.choice([0, 2**32])))
    return found + unclear(['status'], kata(root, 'status'), {0: 'fresh'})

def trial_edit(root, delay_s):
    "Edit the notebook a while after its run began: the edit is there in the end, and outputs of other code are not."
    before, mine, p = state(root), uuid.uuid4().hex, begin(root, *RUN)
    time.sleep(delay_s)
    raw = json.loads((root/POST).read_text())
    raw['cells'][4]['source'] = f'from kata_blog.core import report\nreport(total=sum(range(n)))  # {mine}'
    write_atomic(root/POST, json.dumps(raw))
    edited, answer = (root/POST).read_bytes(), heard(p)
    stuck, torn = unclear(RUN, answer, {0: '', 1: 'was edited while it ran; the edit stays'}), at_once(root, before)
    if mine not in (root/POST).read_text(): torn.append('the edit is lost')
    if answer[0] == 1 and state(root) != before | {POST: edited}: torn.append('something is kept of a run that was refused')
    return torn + unlike_record(root), stuck + next_works(root, 'run', 'dots', '-q', '--profile', 'cpu')

# the parts: rows of a table, each a title, how many trials, and the trials

def length(root, *command):
    "Seconds that a command takes, and how often it changes files."
    retitle(root)
    start = time.monotonic()
    code, said = call(root, *command)
    assert code == 0, said
    return time.monotonic() - start, changes(said)

def part_kill(root, rng, moments, title, command, trial):
    seconds, steps = length(root, *command)
    yield f'{title} killed at random', moments, (trial(how=rng.choice(['group', 'parent']), delay_s=rng.uniform(0, seconds * 1.1)) for _ in range(moments))
    chosen = sorted(rng.sample(range(1, steps + 1), min(steps, moments)))
    yield f'{title} killed before a change of a file', len(chosen), (trial(how='parent', kill_before=n) for n in chosen)

def part_run(root, rng, moments): return part_kill(root, rng, moments, 'run', RUN, lambda **kw: trial_run(root, **kw))
def part_stage(root, rng, moments): return part_kill(root, rng, moments, 'stage', (STAGE,), lambda **kw: trial_site(root, (STAGE,), root/'.kata'/'stage', **kw))
def part_build(root, rng, moments): return part_kill(root, rng, moments, 'build', BUILD, lambda **kw: trial_site(root, BUILD, root/'_site', **kw))

def part_keep(root, rng, moments):
    made = made_run(root)
    lay_out(root, made)
    steps = changes(call(root, KEEP)[1])
    pairs = [(n, m) for n in range(1, steps + 1) for m in range(13)]  # 0: the mending lives
    pairs = sorted(rng.sample(pairs, min(len(pairs), moments)))
    yield 'keeping killed before a change, mending too', len(pairs), (trial_keep(root, made, n, m) for n, m in pairs)
    kata(root, *RUN[1:])

def part_disk(root, rng, moments):
    with small_disk() as disk:
        if not disk: return
        make_project(disk)
        yield 'run on a full disk', moments, (trial_full_run(disk, kb) for kb in spread(460, moments))
        yield 'build on a full disk', moments, (trial_full_build(disk, kb) for kb in spread(220, moments))
        yield 'a folder that is read-only', 1, (trial_read_only(disk) for _ in range(1))

def spread(most, n): return [round(most * i / max(n - 1, 1)) for i in range(n)]

def part_two(root, rng, moments):
    pairs = [(RUN, RUN), (RUN, BUILD), (BUILD, RUN), (BUILD, BUILD)]
    yield 'two at once', moments, (trial_two(root, *pairs[n % 4], rng.uniform(0, 1)) for n in range(moments))

def part_clock(root, rng, moments): yield 'a clock that jumps', moments, (trial_clock(root) for _ in range(moments))

def part_edit(root, rng, moments):
    seconds, _ = length(root, *RUN)
    yield 'notebook edited while it runs', moments, (trial_edit(root, rng.uniform(0, seconds)) for _ in range(moments))

PARTS = {name.removeprefix('part_'): part for name, part in globals().copy().items() if name.startswith('part_') and name != 'part_kill'}
FEWER = dict(disk=4, two=10, clock=20, edit=4)  # of these so many times fewer trials: each has few ways to go

def rows(root, part, rng, moments):
    "Of a part: title, trials, torn files, commands that did not work, each with its words."
    for title, n, trials in PARTS[part](root, rng, max(1, moments // FEWER.get(part, 1))):
        found = list(trials)
        yield title, n, [f for torn, _ in found for f in torn], [f for _, stuck in found for f in stuck]

def main(moments=200, seed=0, *parts):
    rng, wrong = random.Random(seed), []
    print(f'{"":48}{"moments":>8}{"torn":>8}{"stuck":>8}{"seconds":>9}')
    with tempfile.TemporaryDirectory() as folder:
        root = make_project(Path(folder))
        for part in parts or PARTS:
            start = time.monotonic()
            for title, n, torn, stuck in rows(root, part, rng, moments):
                print(f'{title:48}{n:8}{len(torn):8}{len(stuck):8}{time.monotonic() - start:9.0f}', flush=True)
                wrong += [f'{title}: {f}' for f in torn + stuck]
                start = time.monotonic()
        for words in (RUN[1:], ['build'], ['check'], ['status']): wrong += next_works(root, *words)
    print('\n'.join(wrong) or 'nothing lost, nothing torn, nothing left over, no process left')
    return int(bool(wrong))

if __name__ == '__main__': raise SystemExit(main(*map(int, sys.argv[1:3]), *sys.argv[3:]))
