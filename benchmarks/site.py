"""The site of 40 made notebooks with about 30 MB of outputs, by us and by the Quarto program in one run: whole, with one page changed, with nothing changed; and how the cost grows to 1,000 posts.

`python benchmarks/site.py`; the Quarto program is what KATA_QUARTO names, else what is on PATH. Each time is that of a command in a process of its own, taken in turns; CPU is what it used of all cores, which other work on the machine changes less."""
import argparse, base64, json, os, random, re, shutil, signal, statistics, struct, subprocess, sys, tempfile, threading, time, zlib
from dataclasses import dataclass
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
WORDS = 'a wave of noise is heard by nobody but the brain that learned to make it and some of what it made is kept'.split()
CONFIG = 'project: {type: website}\nwebsite: {title: Made, navbar: {left: [index.md]}}\nformat: {html: {toc: true, html-math-method: mathml}}\nexecute: {enabled: false}\n'
HOME_PAGE = '---\ntitle: Home\nlisting: {contents: posts, sort: "date desc"}\n---\n\nWhat this is.\n'

# ---- a corpus

def png(draw, wide=128, high=96):
    "A picture of noise, which no one can pack, as base64."
    rows = b''.join(b'\0' + draw.randbytes(3 * wide) for _ in range(high))
    chunk = lambda name, data: struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
    return base64.b64encode(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', wide, high, 8, 2, 0, 0, 0)) + chunk(b'IDAT', zlib.compress(rows, 1)) + chunk(b'IEND', b'')).decode()

def prose(draw, n): return ' '.join(draw.choices(WORDS, k=n)).capitalize() + '.'

def code(draw): return '\n'.join(f'{draw.choice(WORDS)}_{n} = [{draw.choice(WORDS)}(x, {n}) for x in range({n + 2})]  # {prose(draw, 4)}' for n in range(9))

def table(draw):
    rows = ''.join(f'<tr><td>{n}</td>' + ''.join(f'<td>{draw.random():.3f}</td>' for _ in range(4)) + '</tr>' for n in range(12))
    return f'<table><thead><tr><th></th><th>a</th><th>b</th><th>c</th><th>d</th></tr></thead><tbody>{rows}</tbody></table>'

def lines(text): return text.splitlines(True)

def part(draw, k, other, pictures):
    "Prose with a formula and links, a figure, something printed, a table."
    cell = lambda kind, source, name, **kw: dict(cell_type=kind, id=name, metadata={}, source=lines(source), **kw)
    ran = lambda source, name, output: cell('code', source, name, execution_count=1, outputs=[output])
    shows = lambda **data: dict(output_type='display_data', metadata={}, data=data)
    yield cell('markdown', f'## Part {k}\n\n{prose(draw, 90)} It is $x_{k}^2 + y = {k}$.\n\n{prose(draw, 60)} ' + (f'See @fig-a{k} and [another]({other}).' if pictures else f'See [another]({other}).'), f't{k}')
    if pictures: yield ran(f'#| label: fig-a{k}\n#| fig-cap: {prose(draw, 9)}\n#| fig-alt: noise\n{code(draw)}', f'f{k}', shows(**{'image/png': png(draw), 'text/plain': ['<Figure>']}))
    yield ran(code(draw), f'p{k}', dict(output_type='stream', name='stdout', text=[prose(draw, 14) + '\n' for _ in range(20)]))
    yield ran(code(draw), f'h{k}', shows(**{'text/html': lines(table(draw)), 'text/plain': ['a table']}))

def make_corpus(root, posts, parts=15, pictures=True):
    "A project that both understand as it is: notebooks, and a home page that lists them."
    (root/'posts').mkdir(parents=True)
    (root/'_quarto.yml').write_text(CONFIG)
    (root/'index.md').write_text(HOME_PAGE)
    for n in range(posts):
        draw = random.Random(n)
        front = f'---\ntitle: Post {n}\ndescription: {prose(draw, 8)}\ndate: 2026-{n % 12 + 1:02}-{n % 28 + 1:02}\ncategories: [made, kind {n % 5}]\n---'
        cells = [dict(cell_type='raw', id='front', metadata={}, source=lines(front))]
        for k in range(parts): cells += part(draw, k, f'post{(n + 1) % posts:04}.ipynb', pictures)
        kernel = dict(name='python3', language='python', display_name='Python 3')
        (root/f'posts/post{n:04}.ipynb').write_text(json.dumps(dict(cells=cells, metadata=dict(kernelspec=kernel), nbformat=4, nbformat_minor=5), indent=1))
    return root

def size_mb(root): return sum(p.stat().st_size for p in root.rglob('*.ipynb')) / 1e6

def change_one(root, n):
    "Another word in the prose of one post."
    path = root/'posts/post0003.ipynb'
    path.write_text(re.sub(r'## Part 3( \d+)?\\n', rf'## Part 3 {n}\\n', path.read_text(), count=1))

# ---- commands

@dataclass
class Cost:
    "What a command cost."
    wall_s: float
    cpu_s: float      # of it and of all that it started
    memory_gb: float  # at most, all its processes together

def _used_pages(session):
    found = 0
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try: fields = stat.read_text().rsplit(')', 1)[1].split()
        except OSError: continue
        if int(fields[3]) == session: found += int(fields[21])
    return found

def _user():
    "The environment of somebody who has installed us: compiled, as Quarto is."
    return {k: v for k, v in os.environ.items() if k != 'PYTHONDONTWRITEBYTECODE'} | {'PYTHONPATH': str(HOME)}

def cost(words, cwd):
    "Run a command and say what it cost."
    start = time.perf_counter()
    said = tempfile.TemporaryFile()
    p = subprocess.Popen(words, cwd=cwd, env=_user(), stdout=said, stderr=said, start_new_session=True)
    peak, ended = [0], threading.Event()
    def watch():
        while not ended.wait(.02): peak[0] = max(peak[0], _used_pages(p.pid))
    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, used = os.wait4(p.pid, 0)
    wall = time.perf_counter() - start
    ended.set()
    watcher.join()
    if os.waitstatus_to_exitcode(status): said.seek(0), sys.exit(f'{" ".join(map(str, words))}: {said.read()[-2000:].decode()}')
    return Cost(wall, used.ru_utime + used.ru_stime, peak[0] * os.sysconf('SC_PAGE_SIZE') / 1e9)

def _kata(*words): return [sys.executable, '-c', 'import sys; from kata_blog.press.cli import main; sys.exit(main(sys.argv[1:]))', *map(str, words)]

def ours(root): return cost(_kata('build', root), root)

def previewed(root, changes):
    "Seconds from an edit until the page on the disk has it, while `kata preview` runs."
    page, found = root/'_site/posts/post0003.html', []
    with subprocess.Popen(_kata('preview', root), cwd=root, env=_user(), stdout=subprocess.PIPE, text=True) as p:
        while 'http:' not in p.stdout.readline(): pass
        for n in changes:
            time.sleep(2)
            start = time.perf_counter()
            change_one(root, n)
            while f'>Part 3 {n}<' not in page.read_text() and time.perf_counter() - start < 60: time.sleep(.005)
            found.append(time.perf_counter() - start)
        p.send_signal(signal.SIGINT)
        p.communicate()
    return statistics.median(found)

def quarto(): return os.environ.get('KATA_QUARTO') or shutil.which('quarto')

def theirs(root, *what): return cost([quarto(), 'render', *what, '--no-execute'], root)

def anew(root):
    for name in ('_site', '.kata', '.quarto'): shutil.rmtree(root/name, ignore_errors=True)
    return root

def take(found, name, c):
    "Keep a measurement, and say it at once: Quarto may take long on a busy machine."
    found[name].append(c)
    print(f'  {name}: {c.wall_s:.2f} s, CPU {c.cpu_s:.2f} s, {c.memory_gb:.2f} GB', file=sys.stderr, flush=True)

def middle(costs): return Cost(*(statistics.median(getattr(c, f) for c in costs) for f in ('wall_s', 'cpu_s', 'memory_gb')))

# ---- tables

def row(name, c, other=None, goal=''):
    beside = f'{other.wall_s:9.2f}{other.cpu_s:8.2f}{other.memory_gb:7.2f}{other.wall_s / c.wall_s:8.1f}x{other.cpu_s / c.cpu_s:7.1f}x' if other else ' ' * 41
    print(f'{name:22}{c.wall_s:8.2f}{c.cpu_s:8.2f}{c.memory_gb:7.2f}{beside}   {goal}', flush=True)

def beside_quarto(root, rounds):
    "Whole, one page, nothing: ours beside Quarto."
    found = {name: [] for name in ('whole', 'whole, Quarto', 'one', 'one, Quarto', 'nothing')}
    for n in range(rounds):
        take(found, 'whole', ours(anew(root)))
        take(found, 'nothing', ours(root))
        time.sleep(2)  # an author takes longer between two edits, and what was written in the last second is always read again
        change_one(root, 2 * n)
        take(found, 'one', ours(root))
        if not quarto(): continue
        take(found, 'whole, Quarto', theirs(anew(root)))
        change_one(root, 2 * n + 1)
        take(found, 'one, Quarto', theirs(root, 'posts/post0003.ipynb'))
    found = {name: middle(costs) if costs else None for name, costs in found.items()}
    print(f'{"":22}{"wall s":>8}{"CPU s":>8}{"GB":>7}' + (f'{"Quarto s":>9}{"CPU s":>8}{"GB":>7}{"wall":>9}{"CPU":>8}' if quarto() else ''))
    row('the whole site', found['whole'], found['whole, Quarto'], 'goal: a tenth of the time, a twentieth hoped for; under 1 GB')
    row('one changed page', found['one'], found['one, Quarto'], 'goal: 0.3 s')
    print(f'  while previewed     {previewed(root, range(90, 95)):10.2f}   until the page has it')
    row('nothing changed', found['nothing'], found['whole, Quarto'], 'goal: 0.3 s; Quarto prints everything again')

def heaviest(root): return max((p.stat().st_size, p.relative_to(root).as_posix()) for p in (root/'_site').rglob('*.html'))

def growth(folder, sizes):
    "Whole builds of more and more small posts."
    print('small posts without pictures, whole:')
    for n in sizes:
        c = ours(make_corpus(folder/f'small{n}', n, parts=3, pictures=False))
        row(f'  {n:,} posts', c, goal=f'{c.cpu_s / n * 1000:.1f} ms of CPU a post, {c.wall_s / n * 1000:.1f} ms in all')

if __name__ == '__main__':
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument('--posts', type=int, default=40)
    ask.add_argument('--rounds', type=int, default=3)
    ask.add_argument('--sizes', type=int, nargs='*', default=[100, 300, 1000])
    args = ask.parse_args()
    if not quarto(): print('no Quarto: ours alone; set KATA_QUARTO to the program, or put it on PATH')
    with tempfile.TemporaryDirectory() as folder:
        root = make_corpus(Path(folder)/'corpus', args.posts)
        print(f'{args.posts} notebooks, {size_mb(root):.1f} MB')
        beside_quarto(root, args.rounds)
        ours(anew(root))
        size, name = heaviest(root)
        print(f'heaviest page without its pictures: {size / 1000:.0f} KB, {name} (goal: under 100 KB)')
        growth(Path(folder), args.sizes)
