"Two posts at once beside one after the other, and a call that has nothing to do: `python benchmarks/run.py`."
import json, os, statistics, subprocess, sys, tempfile, time
from pathlib import Path
from kata_blog.press.note import read_note
from kata_blog.press.record import keep
from kata_blog.press.run import Run
from kata_blog.press.stale import post_key

HOME = Path(__file__).resolve().parents[1]
FRONT = '---\ntitle: Made\nkata: {week: 1, needs: {cores: 1}, profiles: {cpu: {}}}\n---'

def write(root, name, codes):
    "A post of some code cells; parsed."
    path = root/'nbs'/'posts'/f'{name}.ipynb'
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [dict(cell_type='raw', id='front', metadata={}, source=FRONT)]
    cells += [dict(cell_type='code', id=f'c{n}', metadata={}, source=c, outputs=[], execution_count=None) for n, c in enumerate(codes)]
    path.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)))
    return read_note(path)

def project(folder):
    root = Path(folder)
    (root/'_quarto.yml').write_text('project: {type: website}')
    (root/'kata_blog').mkdir()
    return root

def seconds(root, *words):
    "How long one call of kata takes."
    start = time.perf_counter()
    subprocess.run([sys.executable, '-c', 'import sys; from kata_blog.press.cli import main; sys.exit(main(sys.argv[1:]))', *words],
                   cwd=root, env=os.environ | {'PYTHONPATH': str(HOME)}, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start

def at_once(n=3):
    "Two posts of seconds of work for one core: both at once, one after the other; medians of `n`, taken in turns."
    with tempfile.TemporaryDirectory() as folder:
        root = project(folder)
        for name in ('01_one', '02_two'): write(root, name, ['total = 0\nfor i in range(60_000_000): total += i'])
        both = [(seconds(root, 'run', 'one', 'two', '--profile', 'cpu'), seconds(root, 'run', 'one', 'two', '--profile', 'cpu', '-j', '1')) for _ in range(n)]
    return [statistics.median(times) for times in zip(*both)]

def nothing_to_do(posts=100, modules=10, cells=10, n=5):
    "`kata run` where every post is fresh; and a start of Python that only reads the command line."
    with tempfile.TemporaryDirectory() as folder:
        root = project(folder)
        for m in range(modules): (root/'kata_blog'/f'part{m}.py').write_text('\n'.join(f'def f{i}(x): return x + {i}' for i in range(50)))
        for p in range(posts):
            note = write(root, f'{p:02}_post{p}', [f'from kata_blog.part{p % modules} import f1', *(f'f1({i})' for i in range(cells))])
            keep(note, Run('cpu', '', ended='passed', notebook=note.raw), post_key(note, root, 'cpu'), root)
        return [statistics.median(seconds(root, *words) for _ in range(n)) for words in (('run', '--profile', 'cpu'), ('data', 'list'))]

if __name__ == '__main__':
    once, turns = at_once()
    print(f'two posts at once {once:.1f} s, one after the other {turns:.1f} s: {turns / once:.2f} times as fast')
    idle, bare = nothing_to_do()
    print(f'kata run on 100 fresh posts {idle:.2f} s (kata data list: {bare:.2f} s)')
