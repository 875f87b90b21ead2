"How long `kata status` takes on 125, 250 and 500 made posts over 50 modules, beside a plain nbformat read of the same notebooks, in one run: `python benchmarks/status.py`."
import json, shutil, statistics, subprocess, sys, tempfile, time
from pathlib import Path
from kata_blog.press.note import read_note
from kata_blog.press.reach import Library
from kata_blog.press.record import outputs_hash, record_id, record_path
from kata_blog.press.stale import post_key

STATUS = 'from kata_blog.press.cli import main; main(["status"])'
PEER = 'import sys, nbformat\nfor path in sys.argv[1:]: nbformat.read(path, as_version=4)'  # what a key of the page alone cannot do without
MODULES, SIZES, N = 50, (125, 250, 500), 5

def module(i):
    "Twelve functions and a class; each function calls the next, and one of an earlier module."
    lines = ['import math', 'import numpy as np'] + [f'from .m{j:02} import f0 as g{j}, Net as Net{j}' for j in {i // 2, i // 3} - {i}]
    others = [f'g{j}(x)' for j in {i // 2, i // 3} - {i}] or ['x']
    lines += [f'RATE = {i}', 'class Net:', *(f'    def m{k}(self, x): return self.m{(k + 1) % 5}(f{k}(x)) * RATE' for k in range(5))]
    for k in range(12):
        lines += [f'def f{k}(x, scale={k}):', f'    "Work {k}."', f'    y = [math.sqrt(v) * scale for v in np.arange(x) if v > {k}]',
                  f'    return sum(y) + {f"f{k + 1}(x)" if k < 11 else others[0]} + {others[-1]}', '']
    return '\n'.join(lines)

def cell(kind, source, n, **more): return dict(cell_type=kind, id=f'c{n}', metadata={}, source=source.splitlines(True), **more)

def notebook(i):
    "Twelve cells of code with outputs, as many of words."
    codes = ['#| parameters\nepochs = 3\nwidth = 8', f'from kata_blog.m{i % MODULES:02} import Net, f0, f5\nimport kata_blog.m{i * 7 % MODULES:02} as other']
    codes += [f'def step{k}(x):\n    "One step."\n    return [f5(v) + other.f{k}(v) for v in range(x) if v > {i}]\nstep{k}(epochs)' for k in range(10)]
    shown = [dict(output_type='execute_result', execution_count=1, metadata={}, data={'text/plain': ['some numbers\n'] * 20})]
    cells = [cell('raw', '---\ntitle: A made post\nkata: {week: 1, profiles: {cpu: {epochs: 2}}}\n---', 'front')]
    for n, code in enumerate(codes): cells += [cell('markdown', 'Words that lead to the next cell. ' * 20, f'w{n}'), cell('code', code, n, outputs=shown, execution_count=None)]
    return json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5), indent=1)

def make(root, n):
    "A project of `n` fresh posts."
    (root/'_quarto.yml').write_text('project: {type: website}')
    (root/'kata_blog').mkdir()
    (root/'nbs'/'posts'/'records').mkdir(parents=True)
    for i in range(MODULES): (root/'kata_blog'/f'm{i:02}.py').write_text(module(i))
    library = Library(root)
    for i in range(n):
        path = root/'nbs'/'posts'/f'{i:03}_made.ipynb'
        path.write_text(notebook(i))
        note = read_note(path)
        cells = [dict(id=c.id, index=c.index, seconds=.1, peak_memory_mb=100.) for c in note.code_cells]
        record = dict(profile='full', ended='passed', seconds=1., cells=cells, key=post_key(note, root, 'full', library), outputs=outputs_hash(note.raw))
        record_path(path).write_text(json.dumps([dict(id=record_id(record), **record)]))

def seconds(root, *words, n=N, before=lambda: None):
    "Median wall time of a fresh Python."
    times = []
    for _ in range(n):
        before()
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times)

def measure(n):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        make(root, n)
        cold = seconds(root, '-c', STATUS, n=3, before=lambda: shutil.rmtree(root/'.kata', ignore_errors=True))
        said = subprocess.run([sys.executable, '-c', STATUS], cwd=root, capture_output=True, text=True).stdout
        assert said.count('fresh') == n, said
        warm = seconds(root, '-c', STATUS)
        peer = seconds(root, '-c', PEER, *map(str, sorted((root/'nbs'/'posts').glob('*.ipynb'))))
    return cold, warm, peer

if __name__ == '__main__':
    print(f'{"posts":>6}{"cold":>10}{"warm":>10}{"nbformat":>10}{"warm / nbformat":>18}')
    for n in SIZES:
        cold, warm, peer = measure(n)
        print(f'{n:6}{cold:8.2f} s{warm:8.2f} s{peer:8.2f} s{warm / peer:17.2f}')
