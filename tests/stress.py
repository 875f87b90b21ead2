"""Kill commands at random moments and at every step, and look at what is left. The short form is in test_crash.py; the long one is `make stress`:
   python tests/stress.py [MOMENTS [SEED]]"""
import base64, json, os, pickle, random, shutil, signal, subprocess, sys, tempfile, time, uuid
from pathlib import Path

HERE = Path(__file__).parents[1]
sys.path[:0] = [str(HERE)]
from kata_blog.core import file_hash
from kata_blog.press.note import read_note
from kata_blog.press.record import outputs_hash, published, read_records

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
    for words in (['run', '--profile', 'cpu'], ['build']): kata(root, *words)
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

def begin(root, script, *words, kill_before=0, mark=''):
    env = os.environ | dict(PYTHONPATH=str(HERE), PYTHONDONTWRITEBYTECODE='1', KILL_BEFORE=str(kill_before), KATA_STRESS=mark)
    return subprocess.Popen([sys.executable, '-c', script, *words], cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)

def call(root, script, *words, **kw):
    "Wait for a command: exit code, and what it said."
    p = begin(root, script, *words, **kw)
    out, err = p.communicate(timeout=120)
    return p.returncode, out + err

def kata(root, *words): return call(root, KATA, *words)

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
    "Orphans that are left after a while; they are ended then."
    end = time.monotonic() + wait_s
    while (left := orphans(mark)) and time.monotonic() < end: time.sleep(.02)
    for pid in left: os.kill(pid, signal.SIGKILL)
    return left

# what must be true afterwards

def state(root): return {name: (root/name).read_bytes() for name in (POST, RECORD, WEIGHTS)}

def site(folder): return {p.relative_to(folder): p.read_bytes() for p in folder.rglob('*') if p.is_file()}

def left_over(root, folders=('nbs', 'kata_blog', '.kata/runs')):
    return [str(p.relative_to(root)) for f in folders for p in (root/f).rglob('*') if p.name.endswith(('.tmp', '.kata-new')) or p.name == '.keeping.json']

def at_once(root, before):
    "Faults that may not even be there for a moment: a file that is torn or lost."
    found = []
    for name, old in before.items():
        try: read_note(root/name) if name == POST else json.loads((root/name).read_text()) if name == RECORD else None
        except Exception as e: found.append(f'{name} is torn: {e}')
        if not (root/name).is_file() or name == WEIGHTS and len((root/name).read_bytes()) < 200_000: found.append(f'{name} is lost or torn')
    return found

def after(root, before):
    "Faults after the next command: neither the old state nor the new."
    now = state(root)
    changed = [name for name in before if now[name] != before[name]]
    if changed and len(changed) < len(before): return [f'mixed: only {", ".join(changed)} changed']
    record = published(read_records(root/POST))
    found = [] if outputs_hash(read_note(root/POST).raw) == record['outputs'] else ['the outputs are not those of the record']
    if file_hash(root/WEIGHTS) != record['weights']['dots.safetensors']: found.append('the weights are not those of the record')
    if changed and json.loads(before[RECORD]) != read_records(root/POST)[1:]: found.append('an older record is lost')
    return found + [f'{name} is left over' for name in left_over(root)]

def check_next(root, before):
    "Faults that the next command finds or leaves."
    code, said = kata(root, 'status')
    found = [f'status says {said!r}'] if 'Traceback' in said or 'failed' in said or code not in (0, 1) else []
    return found + after(root, before)

# one trial each: kill, look, call the next command, look

def trial_run(root, how, delay_s=None, kill_before=0):
    "Kill a run: faults that were found."
    mark, before = uuid.uuid4().hex, state(root)
    p = begin(root, KATA, 'run', 'dots', '--profile', 'cpu', kill_before=kill_before, mark=mark)
    kill(p, how, delay_s)
    found = at_once(root, before) + [f'process {pid} lives on' for pid in await_end(mark)]
    return found + check_next(root, before)

def kill(p, how, delay_s):
    "End a process, with its group or alone, after a delay; without delay it dies by itself."
    try: p.communicate(timeout=delay_s)
    except subprocess.TimeoutExpired: os.killpg(p.pid, signal.SIGKILL) if how == 'group' else p.kill()
    for pipe in (p.stdout, p.stderr): pipe.close()
    p.wait()

def trial_site(root, script, words, folder, how, delay_s=None, kill_before=0):
    "Kill a build or a staging: each file is the old one or the new one, and the next build puts all right."
    mark, old = uuid.uuid4().hex, site(folder)
    retitle(root)
    p = begin(root, script, *words, kill_before=kill_before, mark=mark)
    kill(p, how, delay_s)
    between = {path: content for path, content in site(folder).items() if not path.name.endswith('.tmp')}
    found = [f'process {pid} lives on' for pid in await_end(mark)]
    code, said = kata(root, 'build')
    new = site(folder)
    found += [f'{path} is torn' for path, content in between.items() if content not in (old.get(path), new.get(path))]
    found += [f'{path} is lost' for path in old.keys() & new.keys() if path not in between]
    found += [f'{path} is left over' for path in new if path.name.endswith('.tmp')] + ([f'build says {said!r}'] if code else [])
    code, said = kata(root, 'check')
    return found + ([f'check says {said!r}'] if code else [])

def trial_build(root, how, **kw): return trial_site(root, KATA, ['build'], root/'_site', how, **kw)
def trial_stage(root, how, **kw): return trial_site(root, STAGE, [], root/'.kata'/'stage', how, **kw)

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
    return at_once(root, before) + check_next(root, before)

TRIALS = {'kata run': trial_run, 'stage': trial_stage, 'kata build': trial_build}
SPEAK = {'kata run': (KATA, 'run', 'dots', '--profile', 'cpu'), 'stage': (STAGE,), 'kata build': (KATA, 'build')}

def length(root, name):
    "Seconds that a command takes, and how often it changes files."
    start = time.monotonic()
    code, said = call(root, *SPEAK[name])
    assert code == 0, said
    return time.monotonic() - start, changes(said)

def main(moments=200, seed=0):
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        root, rows, wrong = make_project(Path(folder)), [], []
        def tried(what, n, trials):
            found = [f for trial in trials for f in trial]
            rows.append((what, n, len(found)))
            wrong.extend(f'{what}: {f}' for f in found)
            print(f'{what:44}{n:8}{len(found):8}', flush=True)
        print(f'{"killed":44}{"moments":>8}{"faults":>8}')
        for name, trial in TRIALS.items():
            seconds, steps = length(root, name)
            tried(f'{name}, at random', moments, (trial(root, rng.choice(['group', 'parent']), delay_s=rng.uniform(0, seconds * 1.1)) for _ in range(moments)))
            tried(f'{name}, before each change of a file', steps, (trial(root, 'parent', kill_before=n) for n in range(1, steps + 1)))
        made = made_run(root)
        lay_out(root, made)
        steps = changes(call(root, KEEP)[1])
        tried('keep, before each change of a file', steps, (trial_keep(root, made, n) for n in range(1, steps + 1)))
        tried('keep, and its mending, before each change', steps * 12, (trial_keep(root, made, n, m) for n in range(1, steps + 1) for m in range(1, 13)))
        for words in (['run', 'dots', '--profile', 'cpu'], ['build'], ['check'], ['status']):
            code, said = kata(root, *words)
            if code: wrong.append(f'at the end, {words[0]} says {said}')
    print('\n'.join(wrong) or 'nothing lost, nothing torn, nothing left over, no process left')
    return int(bool(wrong))

if __name__ == '__main__': raise SystemExit(main(*map(int, sys.argv[1:])))
