"The plan of 20 years beside what reads the same table, in one run: `python benchmarks/plan.py`."
import contextlib, csv, datetime as dt, io, os, statistics, subprocess, sys, tempfile, time
from pathlib import Path
from kata_blog.press.cli import main
from kata_blog.press.pages import Course, plan_markdown
from kata_blog.press.plan import EMPTY, read_plan
from kata_blog.press.sheet import write_sheet
from kata_blog.press.week import day_lines, week_lines

FIRST, DAYS = dt.date(2026, 11, 23), 7300

def twenty_years():
    "A made plan: every day full, every week with its most important thing."
    lines = [EMPTY.strip()]
    for n in range(DAYS):
        if n % 7 == 0: lines.append(f'week {n // 7 + 1},,,[ ] the thing of week {n // 7 + 1},,,')
        lines.append(f'{FIRST + dt.timedelta(n)},[x] a paper {{2p/3}} [@devlin2019],"[x] code {n} {{2p}}\n[>] more code",[ ] the thing of week {n // 7 + 1},,[x] a video (https://example.org/{n}),[ ] more code')
    return '\n'.join(lines) + '\n'

def seconds(run, n=5):
    "Median time of `n` calls."
    times = []
    for _ in range(n):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)

def show(path):
    "Load, check, show the last day and week, make the page."
    plan, last = read_plan(path, FIRST), FIRST + dt.timedelta(DAYS - 1)
    plan_markdown(Course(Path('.'), {}, {}, set(), {}, {}, plan=plan))
    return day_lines(plan, last, True), week_lines(plan, plan.week_of(last), {'mornings': ('Reading',)}, last, True)

def whole_rows(path):
    from pandas import read_csv
    return read_csv(path, dtype=str, keep_default_na=False)

def sheet_rows(path):
    from openpyxl import load_workbook
    return [row for row in load_workbook(path, read_only=True)['plan'].iter_rows(values_only=True)]

if __name__ == '__main__':
    os.chdir(tempfile.mkdtemp())
    Path('nbs').mkdir()
    Path('_quarto.yml').write_text('')
    Path('settings.ini').write_text(f'[blog]\ntitle = a\nfirst_monday = {FIRST}\n')
    path = Path('nbs/plan.csv')
    path.write_text(twenty_years())
    sheet = write_sheet(read_plan(path, FIRST), 'plan.xlsx')
    ours = seconds(lambda: show(path))
    print(f'{DAYS} days loaded, checked, shown and made a page: {ours:.2f} s (needed: under 1 s)')
    for name, run in {'csv reads the cells': lambda: list(csv.reader(path.open())), 'pandas reads the cells': lambda: whole_rows(path), 'openpyxl reads the same as .xlsx': lambda: sheet_rows(sheet)}.items():
        run()  # the import is no part of it
        theirs = seconds(run, 3)
        print(f'  {name}: {theirs:.2f} s, {ours / theirs:.2f} times as long with us')
    def edit():
        with contextlib.redirect_stdout(io.StringIO()): main(['plan', 'add', 'reading', 'one more', '--on', '2030-01-01'])
    print(f'an edit of it, from reading to the file in its place: {seconds(edit, 3):.2f} s')
    def start(*words): return lambda: subprocess.run([sys.executable, '-c', *words], stdout=subprocess.DEVNULL, check=True)
    plan_today = 'from kata_blog.press.cli import main; main(["plan", "today"])'
    bare, large = seconds(start('pass')), seconds(start(plan_today))
    path.write_text(EMPTY + f'{FIRST},[ ] read,,,,,\n')
    small = seconds(start(plan_today))
    print(f'kata plan today: {(small - bare) * 1000:.0f} ms over a bare start ({bare * 1000:.0f} ms), {(large - bare) * 1000:.0f} ms with {DAYS} days (needed: 300 ms)')
