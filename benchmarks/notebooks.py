"""Ten small notebooks, each in a process of its own, one after the other: ours against nbclient and papermill, in one run.

`python benchmarks/notebooks.py`; needs the extra `bench`. The three take turns in every round, and the table shows medians."""
import logging, statistics, tempfile, time
from pathlib import Path
import nbformat, papermill
from nbclient import NotebookClient
from kata_blog.press.note import read_note
from kata_blog.press.run import run_note

FIGURE = 'import matplotlib.pyplot as plt\nfig, ax = plt.subplots(figsize=(3, 2))\nax.plot([n * n for n in range(10)]);'

def cells(n):
    "What one small notebook holds; two of the ten draw a figure."
    return [f'k = {n}', 'squares = [i * i for i in range(1000 * k + 1000)]\nsum(squares)', 'print(" ".join(f"{i:x}" for i in squares[:50]))',
            'words = "a post is a story, a module and a run".split()\nsorted(words, key=len)', *([FIGURE] if n in (3, 7) else []), 'len(words) + k']

def write_notebooks(root):
    "A project of ten posts; their paths."
    (root/'_quarto.yml').write_text('project: {type: website}')
    folder = root/'nbs'/'posts'
    folder.mkdir(parents=True)
    kernel = dict(name='python3', display_name='Python 3', language='python')
    for n in range(10):
        made = [nbformat.v4.new_raw_cell('---\ntitle: Small\n---'), *map(nbformat.v4.new_code_cell, cells(n))]
        nbformat.write(nbformat.v4.new_notebook(cells=made, metadata=dict(kernelspec=kernel)), folder/f'{n:02}_small{n}.ipynb')
    return sorted(folder.glob('*.ipynb'))

def ours(path, out):
    run = run_note(read_note(path))
    assert run.ended == 'passed', run.error

QUIET = ['--log-level=ERROR']  # each kernel would warn of its unencrypted port

def by_nbclient(path, out):
    nb = nbformat.read(path, as_version=4)
    NotebookClient(nb, resources=dict(metadata=dict(path=str(path.parent))), extra_arguments=QUIET).execute()
    nbformat.write(nb, out)

def by_papermill(path, out): papermill.execute_notebook(path, out, cwd=path.parent, progress_bar=False, extra_arguments=QUIET)

WAYS = {'kata run_note': ours, 'nbclient': by_nbclient, 'papermill': by_papermill}

def seconds(way, paths, out):
    start = time.perf_counter()
    for path in paths: way(path, out)
    return time.perf_counter() - start

def table(title, found):
    mine = statistics.median(found['kata run_note'])
    print(f'{title:32}{"median s":>9}{"ours is":>9}   each round')
    for name, times in found.items():
        print(f'  {name:30}{statistics.median(times):9.2f}{mine / statistics.median(times):8.2f}x   {" ".join(f"{t:.2f}" for t in times)}')

def rounds(paths, out, n):
    "Seconds of each way in `n` rounds, in turns, so that a busy moment of the machine meets all."
    found = {name: [] for name in WAYS}
    for _ in range(n):
        for name, way in WAYS.items(): found[name].append(seconds(way, paths, out))
    return found

if __name__ == '__main__':
    logging.getLogger('papermill').setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths, out = write_notebooks(root), root/'out.ipynb'
        rounds(paths[:1], out, 1)  # byte code and the list of fonts are made once
        table('ten small notebooks', rounds(paths, out, 5))
        table('one with a figure', rounds(paths[3:4], out, 5))
