"pages: the plan, the weeks, the reading list and the map on the site; what is damaged empties its own page and no other."
import datetime as dt, json, re, shutil, time
from pathlib import Path, PurePosixPath
import pytest
from damage import DAMAGED, SOUND
from kata_blog.press.calendar import calendar
from kata_blog.press.check import check_site
from kata_blog.press.cli import main
from kata_blog.press.note import read_note
from kata_blog.press.pages import PLACES, Course, fill, made_pages, plan_markdown, read_course
from kata_blog.press.plan import EMPTY, parse_plan
from kata_blog.press.render import build
from kata_blog.press.settings import read_settings
from kata_blog.press.stage import stage
from making import run_and_keep, write_post

BIB = '''@misc{spikes2019, title = {On Spikes & <b>}, author = {Adams, Zo and Luk, B. and Orr, C.}, year = {2019}, url = {https://example.org/a?b=1&c=2}, keywords = {paper, neurons}}
@misc{talk, title = {A talk}, note = {At the office}, keywords = {video, sound and signals}}
'''
GOALS = 'planned: [bert]\nthroughout:\n  - {goal: Ask, kind: social, met: {days: Reading}}\nweek 1:\n  - {goal: Add up, kind: project, met: {post: adding, metric: adding.total}}\n  - {goal: Spikes, kind: learning, met: {reading: spikes2019}}\nweek 2:\n  - {goal: BERT, kind: project, met: {post: bert}}\n'
FRONT = 'title: Adding\ndescription: A sum.\ndate: 2026-11-23\nkata: {week: 1, profiles: {cpu: {n: 10}}}'
CODES = ['#| default_exp adding', '#| parameters\nn = 100', 'from kata_blog.core import report\nreport(total=sum(range(n)), n=3, sd=1.)']

@pytest.fixture(scope='module')
def sound(tmp_path_factory):
    "A blog with two posts that have run, a plan, goals, readings and a syllabus."
    tmp_path = tmp_path_factory.mktemp('sound')/'blog'
    def write(path, text): (tmp_path/path).parent.mkdir(parents=True, exist_ok=True); (tmp_path/path).write_text(text)
    tmp_path.mkdir()
    note = write_post(tmp_path, CODES, front=FRONT)
    raw = json.loads(note.path.read_text())
    raw['cells'].append(dict(cell_type='markdown', metadata={}, id='m', source='What is the sum?\n\nIt is [45]{claim=total}, as [the code](#the-run) has it.\n\nMore.'))
    note.path.write_text(json.dumps(raw))
    write('kata_blog/__init__.py', ''); write('kata_blog/adding.py', 'def add(x): return x\n')
    write('settings.ini', '[blog]\ntitle = A\nfirst_monday = 2026-11-23\n')
    write('nbs/index.md', '---\ntitle: Home\n---\n\nHello.\n')
    write('nbs/syllabus.md', '---\ntitle: Syllabus\n---\n\n## Map\n\n::: {.course-map}\n:::\n\n## Week 1: sums {#week-1}\n\n::: {.week-goals week=1}\n:::\n')
    write('nbs/plan.csv', SOUND); write('nbs/references.bib', BIB); write('nbs/goals.yml', GOALS)
    write('nbs/reading/spikes2019.md', '---\ntitle: Notes on spikes\ndescription: They are sharp.\n---\n\nSharp.\n')
    run_and_keep(tmp_path, read_note(note.path), 'cpu')
    write_post(tmp_path, ['#| default_exp using', 'from kata_blog.adding import add\nadd(1)'], '02_using', 'title: Using\ndate: 2026-11-24\nkata: {week: 2, profiles: {cpu: {}}}')
    write('kata_blog/using.py', '')
    run_and_keep(tmp_path, read_note(tmp_path/'nbs/posts/02_using.ipynb'), 'cpu')
    return tmp_path

@pytest.fixture
def blog(sound, tmp_path, monkeypatch):
    "A copy of it, as the current folder."
    root = Path(shutil.copytree(sound, tmp_path/'blog'))
    monkeypatch.chdir(root)
    return root

def page(root, name): return (root/'_site'/name).read_text()
def words(text): return re.sub(r'\s+', ' ', re.sub(r'<script.*?</script>|<[^>]+>', ' ', text, flags=re.DOTALL))

def test_what_nothing_has_changed_is_not_read_again(blog, monkeypatch):
    from kata_blog.press import map, reach, record, stale
    build(blog)
    made = []
    for module, name in ((map, 'read_cells'), (reach, 'read_module'), (record, '_check'), (stale, '_of_cells')): monkeypatch.setattr(module, name, lambda *args, name=name, make=getattr(module, name): made.append(name) or make(*args))
    note = blog/'nbs/posts/01_adding.ipynb'
    note.write_text(note.read_text().replace('title: ', 'title: Slowly '))
    build(blog)
    assert made == []  # the words of a post are not its code
    note.write_text(note.read_text().replace('range(', 'range(0, '))
    build(blog)
    assert made.count('_of_cells') == 1

def test_the_pages_are_printed_and_every_link_leads_somewhere(blog):
    built = build(blog)
    assert built.problems == [] and {'plan.html', 'reading.html', 'weeks/1.html', 'weeks/2.html', 'reading/spikes2019.html'} <= set(built.pages)
    assert check_site(blog/'_site') == [] and (blog/'_site'/'plan.ics').read_text().startswith('BEGIN:VCALENDAR')

def test_a_line_names_the_posts_of_a_week_and_those_planned(blog):
    (blog/'nbs'/'index.md').write_text('---\ntitle: Home\n---\n\n| Week | Posts |\n|:--|:--|\n| 1 | []{.week-titles week=1} |\n| 2 | []{.week-titles week=2} |\n')
    assert build(blog).problems == []
    cells = re.findall(r'<td[^>]*>(.*?)</td>', page(blog, 'index.html'), re.DOTALL)
    assert cells[1] == '<a href="posts/adding.html">Adding</a>' and cells[3] == '<a href="posts/using.html">Using</a>; planned: bert'

def test_a_post_says_what_it_needs_and_where_it_is_used(blog):
    build(blog)
    assert '<strong>You need</strong> <a href="adding.html">Adding</a> (<code>add</code>).' in page(blog, 'posts/using.html')
    assert '<strong>Used later in</strong> <a href="using.html">Using</a> (<code>add</code>).' in page(blog, 'posts/adding.html')
    syllabus = page(blog, 'syllabus.html')
    assert syllabus.count('marker-end') == 1 and '<a href="posts/using.html"><text' in syllabus and 'bert (planned)' in words(syllabus)

def test_a_week_tells_goals_posts_readings_and_what_was_learnt(blog):
    build(blog)
    week = page(blog, 'weeks/1.html')
    said = words(week)
    assert '<h1>Week 1: sums</h1>' in week and '23 to 29 November 2026' in said and 'The most important thing: count the spikes' in said
    assert 'met: Add up project; adding is fresh' in said and 'open: Spikes' not in said and '3 of 2 pomodoros' in said
    assert 'href="../posts/adding.html#how-this-was-run"' in week and 'It is 45 , as the code' in said and 'href="../posts/adding.html#the-run"' in week
    assert 'href="../reading/spikes2019.html">my notes</a>: They are sharp.' in week
    assert 'bert (planned)' in words(page(blog, 'weeks/2.html')) and 'href="1.html"' in page(blog, 'weeks/2.html')

def test_the_plan_is_a_table_and_what_people_wrote_is_text(blog):
    edit(blog/'nbs/plan.csv', '[ ] toy problem {1p}', '[ ] toy <script>alert(1)</script> ``` [a](b) {1p}')
    build(blog)
    plan = page(blog, 'plan.html')
    assert 'toy &lt;script&gt;alert(1)&lt;/script&gt; &#96;&#96;&#96; [a](b)' in plan
    assert plan.count('<details class="plan-week"') == 2 and 'data-day="2026-11-23"' in plan and 'data-last="2026-11-29"' in plan and 'reading.html#spikes2019' in plan
    assert all(f'data-label="{c}"' in plan for c in ('Reading', 'Backlog')) and 'Mood' not in plan and 'sunny' not in plan  # a column of the author's own stays at home

def test_the_reading_list_groups_and_can_be_filtered(blog):
    build(blog)
    reading = page(blog, 'reading.html')
    assert 'On Spikes &amp; &lt;b&gt;</a> <span class="quiet">Adams and others, 2019</span>' in reading and 'id="sound-and-signals"' in reading
    assert '<option>paper</option>' in reading and 'data-state="read"' in reading and 'href="reading/spikes2019.html">my notes</a>' in reading
    assert 'Notes on <a href="https://example.org/a?b=1&amp;c=2">On Spikes &amp; &lt;b&gt;</a>, Adams and others, 2019' in page(blog, 'reading/spikes2019.html')

def test_the_same_project_gives_the_same_bytes(blog):
    build(blog)
    first = {p: p.read_bytes() for p in (blog/'_site').rglob('*') if p.is_file()}
    build(blog, out=blog/'again')
    assert {p.relative_to(blog/'_site'): b for p, b in first.items()} == {p.relative_to(blog/'again'): p.read_bytes() for p in (blog/'again').rglob('*') if p.is_file()}

def edit(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))

def course_of(root):
    paths = {PurePosixPath(p.relative_to(root/'nbs').as_posix()): p for p in [*root.glob('nbs/*.md'), *root.glob('nbs/posts/*.ipynb')]}
    return read_course(root, read_settings(root), {k: read_note(p) for k, p in paths.items()}, [*paths], {})

@pytest.mark.parametrize('name, change, said', DAMAGED, ids=[name for name, _, _ in DAMAGED])
def test_a_damaged_plan_is_said_on_its_page(name, change, said, blog):
    text = change(SOUND)
    (blog/'nbs'/'plan.csv').write_bytes(text if isinstance(text, bytes) else text.encode('utf-8', 'surrogatepass'))
    made = made_pages(course_of(blog))
    assert 'The plan cannot be shown' in made[PurePosixPath('plan.md')] and '<table' not in made[PurePosixPath('plan.md')]
    assert '<li class="reading"' in made[PurePosixPath('reading.md')] and 'Add up' in made[PurePosixPath('weeks/1.md')]

@pytest.mark.parametrize('name, old, new, title', [('plan.csv', '2026-11-24', '24.11.2026', 'The plan cannot be shown'), ('references.bib', 'paper, neurons', 'papers', 'The reading list cannot be shown'), ('goals.yml', 'post: adding', 'post: ading', 'The list of goals cannot be shown')])
def test_the_site_is_built_whatever_is_damaged(name, old, new, title, blog, capsys):
    edit(blog/'nbs'/name, old, new)
    assert main(['build']) == 1
    err = capsys.readouterr().err
    assert f'nbs/{name}' in err and 'Traceback' not in err
    where = {'plan.csv': 'plan.html', 'references.bib': 'reading.html', 'goals.yml': 'weeks/1.html'}[name]
    assert name != 'plan.csv' or 'or <code>week 1</code>; in a spreadsheet' in page(blog, where)
    assert title in words(page(blog, where)) and 'callout-warning' in page(blog, where) and 'It is 45' in words(page(blog, 'weeks/1.html' if name != 'references.bib' else 'posts/adding.html'))
    assert check_site(blog/'_site') == []
    assert main(['build', '--strict']) == 1

def test_twenty_years_are_a_page_at_once():
    "Time grows with the days and not with their square: that took minutes."
    day = lambda n: dt.date(2026, 11, 23) + dt.timedelta(n)
    rows = (f'{f"week {n // 7 + 1},,,[ ] thing {n // 7 + 1},,," + chr(10) if n % 7 == 0 else ""}{day(n)},[x] a paper {{2p/3}},"[x] code {n}{chr(10)}[>] more",[ ] thing {n // 7 + 1},,[x] a video,[ ] more' for n in range(7300))
    start = time.process_time()
    course = Course(Path('.'), {}, {}, set(), {}, {}, plan=parse_plan(EMPTY + '\n'.join(rows) + '\n'))
    page, feed = plan_markdown(course), calendar(course.plan, {})
    assert page.count('<tr role="row" data-day') == 7300 and feed.count('BEGIN:VEVENT') == 7300 * 4 + 1043 and time.process_time() - start < 12

def test_an_author_may_write_a_week_himself(blog):
    (blog/'nbs'/'weeks').mkdir()
    (blog/'nbs'/'weeks'/'1.md').write_text('---\ntitle: My week\n---\n\nIn my words.\n\n::: {.week-goals week=1}\n:::\n')
    assert build(blog).problems == []
    assert 'In my words.' in page(blog, 'weeks/1.html') and 'Add up' in page(blog, 'weeks/1.html')

def test_a_page_with_a_place_for_comments_has_them_where_the_blog_has(blog):
    (blog/'nbs'/'questions.md').write_text('---\ntitle: Questions\n---\n\nWhat do you think?\n\n::: {.comments}\n:::\n')
    build(blog)
    assert 'Comments are not open here yet' in page(blog, 'questions.html') and 'giscus' not in page(blog, 'questions.html')
    edit(blog/'settings.ini', 'title = A\n', 'title = A\nrepository = me/it\ncomments = R_1, DIC_2\n')
    build(blog)
    assert 'Comments are not open' not in page(blog, 'questions.html') and 'data-repo="me/it" data-repo-id="R_1" data-category-id="DIC_2"' in page(blog, 'questions.html')
    assert 'giscus' not in page(blog, 'syllabus.html')

def test_a_draft_is_on_the_map_without_a_link(blog):
    path = blog/'nbs/posts/02_using.ipynb'
    path.write_text(path.read_text().replace('title: Using', 'title: Using\\ndraft: true'))
    build(blog)
    assert 'posts/using.html' not in page(blog, 'syllabus.html') and check_site(blog/'_site') == []

def test_a_blog_without_plan_and_goals_has_no_such_pages(blog):
    for name in ('plan.csv', 'goals.yml', 'references.bib', 'reading/spikes2019.md'): (blog/'nbs'/name).unlink()
    built = build(blog)
    assert not {'plan.html', 'reading.html', 'weeks/1.html'} & set(built.pages) and not (blog/'_site'/'plan.ics').exists()

@pytest.mark.parametrize('text', ['::: {.plan-table}\nmine\n:::', '::: {.plan-tables}\n:::', '::: {#plan-table}\n:::', '`::: {.plan-table}`'])
def test_only_an_empty_place_is_filled(text, blog): assert fill(text, PurePosixPath('a.md'), course_of(blog)) == text

@pytest.mark.parametrize('name', PLACES)
def test_every_place_can_stand_on_any_page(name, blog):
    course = course_of(blog)
    text = f'Before.\n\n::: {{.{name}{" week=1" if name.startswith("week-") else ""}}}\n\n:::\n\nAfter.'
    for path in ('a.md', 'deep/er/a.md'): assert (done := fill(text, PurePosixPath(path), course)).startswith('Before.') and done.endswith('After.') and f'.{name}' not in done

def test_both_renderers_get_the_same_files(blog):
    staged = stage(blog)
    assert 'plan.ics' in (staged.root/'_quarto.yml').read_text() and (staged.root/'plan.ics').is_file() and '```{=html}' in (staged.root/'plan.md').read_text()

def test_no_post_is_loaded(blog):
    "What the map knows it knows from text: a post that cannot be imported is on it."
    (blog/'kata_blog'/'using.py').write_text('raise SystemExit("imported")')
    assert not [p for p in build(blog).problems if not p.warning]
