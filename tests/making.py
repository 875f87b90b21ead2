"Throw-away projects for the tests of runs."
import contextlib, io, json
from kata_blog.press.cli import main
from kata_blog.press.note import read_note
from kata_blog.press.record import keep, outputs_hash, record_id
from kata_blog.press.run import run_note
from kata_blog.press.stale import post_key

FRONT = 'title: Adding\nkata: {week: 1, profiles: {cpu: {n: 10}, smoke: {n: 2}}}'

def write_post(root, codes, name='01_adding', front=FRONT, ids=True):
    "A post of some code cells in the project `root`; parsed. Its first code cell is cell 2."
    (root/'_quarto.yml').write_text('project: {type: website}')
    path = root/'nbs'/'posts'/f'{name}.ipynb'
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [dict(cell_type='raw', metadata={}, source=f'---\n{front}\n---')]
    cells += [dict(cell_type='code', metadata={}, source=s, outputs=[], execution_count=None) for s in codes]
    for n, cell in enumerate(cells, 1): cell |= {'id': f'c{n}'} if ids else {}
    path.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5 if ids else 4)))
    return read_note(path)

def run_and_keep(root, note, profile='full', **changes):
    "Run a post, change what came of it where a test wants that, and keep it; its record."
    note = read_note(note.path)
    key, run = post_key(note, root, profile), run_note(note, profile, root)
    vars(run).update(changes)
    return keep(note, run, key, root)

def of_today(path, record):
    "A made-up record with the key and outputs of a post as it is now, so that the two belong together."
    note = read_note(path)
    record = record | dict(key=post_key(note, path.parents[2], record['profile']), outputs=outputs_hash(note.raw))
    return dict(id=record_id(record)) | record

def snapshot(root): return {p: p.read_bytes() for p in root.rglob('*') if p.is_file() and '.kata' not in p.parts}

def kata(root, *words):
    "Call kata in a folder: exit code and all that it printed."
    out = io.StringIO()
    with contextlib.chdir(root), contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try: code = main([str(w) for w in words])
        except SystemExit as e: code = e.code
    return code, out.getvalue()
