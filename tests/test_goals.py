"goals: what meets a goal answers for itself, and a name that does not exist is found."
import datetime as dt, json, subprocess
from pathlib import Path
import pytest
from kata_blog.core import KataError
from kata_blog.press.cli import main
from kata_blog.press.goals import answers, course_problems, read_goals
from kata_blog.press.note import read_note
from kata_blog.press.plan import read_plan
from kata_blog.press.reading import read_readings
from making import run_and_keep, write_post

CODES = ['#| default_exp adding', '#| parameters\nn = 100', 'from kata_blog.core import report\nreport(total=sum(range(n)))']
GOALS = '''
planned: [bert]
throughout:
  - {goal: Meet people, kind: social, met: {days: 'Watching and talking: lunch'}}
  - {goal: Ask, kind: social, met: {weeks: Watching and talking}}
week 1:
  - {goal: Add, kind: project, met: {post: adding, metric: adding.total}}
  - {goal: Read, kind: learning, met: {reading: spikes2019}}
  - {goal: Publish, kind: social, met: {page: index.md}}
  - {goal: Use it, kind: project, met: {module: adding}}
week 2:
  - {goal: Go on, kind: project, met: {post: bert, metric: bert.accuracy, module: bert}}
'''
PLAN = 'date,Reading,Programming,Project progress,Writing and reflection,Watching and talking,Backlog\nweek 1,,,,,,\n' + ''.join(f'2026-11-{23 + n},,,,,[x] Lunch with A,\n' for n in range(5))
BIB = '@misc{spikes2019, title = {On Spikes}, url = {https://example.org}, keywords = {paper, neurons}}\n'

@pytest.fixture
def project(tmp_path, monkeypatch):
    "A blog with a post that has not run, a plan, a reading and goals, as the current folder."
    write_post(tmp_path, CODES)
    for name, text in {'goals.yml': GOALS, 'plan.csv': PLAN, 'references.bib': BIB, 'index.md': '---\ntitle: Home\n---\n\nHello.\n'}.items(): (tmp_path/'nbs'/name).write_text(text)
    (tmp_path/'settings.ini').write_text('[blog]\ntitle = A\nfirst_monday = 2026-11-23\n')
    (tmp_path/'kata_blog').mkdir()
    (tmp_path/'kata_blog'/'adding.py').write_text('')
    monkeypatch.chdir(tmp_path)
    return tmp_path

def state(root): return {a.goal.text: a.met for a in answers(root)}

def edit(path, old, new):
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))

def test_goals_are_met_by_what_they_name(project):
    assert state(project) == {'Meet people': True, 'Ask': True, 'Add': False, 'Read': False, 'Publish': True, 'Use it': False, 'Go on': False}
    run_and_keep(project, read_note(project/'nbs/posts/01_adding.ipynb'), 'cpu')
    edit(project/'nbs/plan.csv', '2026-11-23,,', '2026-11-23,[x] on spikes [@spikes2019],')
    assert {text for text, met in state(project).items() if not met} == {'Go on'}

def test_a_goal_is_open_again_when_its_post_is_stale(project):
    post = project/'nbs/posts/01_adding.ipynb'
    run_and_keep(project, read_note(post), 'cpu')
    edit(post, 'sum(range(n))', 'sum(range(n + 1))')
    add = next(a for a in answers(project) if a.goal.text == 'Add')
    assert not add.met and 'adding is stale' in add.why[0]

@pytest.mark.parametrize('old, new, text, why', [('2026-11-27', '2026-11-28', 'Meet people', 'lunch on 4 of 5 weekdays'), ('2026-11-27,,,,,[x] Lunch with A,\n', '2026-11-27,,,,,[x] Lunch with A,\nweek 2,,,,,,\n', 'Ask', 'Watching and talking in 1 of 2 weeks')])
def test_days_are_counted(old, new, text, why, project):
    edit(project/'nbs/plan.csv', old, new)
    found = next(a for a in answers(project) if a.goal.text == text)
    assert (found.met, found.why) == (False, (why,))

NAMES = [('post: adding', 'post: ading', "week 1, goal 1: post: unknown post 'ading'; did you mean 'adding'"), ('adding.total', 'addin.total', "unknown post 'addin'; did you mean 'adding'"),
         ('metric: adding.total', 'metric: adding.totl', "unknown metric 'totl'; did you mean 'total'"), ('metric: adding.total', 'metric: adding', "needed post.metric"), ('reading: spikes2019', 'reading: spikes', "week 1, goal 2: reading: unknown key 'spikes'"),
         ('page: index.md', 'page: indx.md', "did you mean 'index.md'"), ('module: adding', 'module: adding.x', "did you mean 'adding'"), ('weeks: Watching', 'weeks: Wathcing', "throughout, goal 2: weeks: unknown column"),
         ('planned: [bert]', 'planned: [bert, adding]', 'found adding, which is written'), ('planned: [bert]', 'planned: []', "week 2, goal 1: post: unknown post 'bert'")]

@pytest.mark.parametrize('old, new, said', NAMES, ids=[new for _, new, _ in NAMES])
def test_check_finds_a_name_that_does_not_exist(old, new, said, project, capsys):
    run_and_keep(project, read_note(project/'nbs/posts/01_adding.ipynb'), 'cpu')
    assert course_problems(project) == []
    edit(project/'nbs/goals.yml', old, new)
    main(['check'])
    err = capsys.readouterr().err
    assert said in err and 'nbs/goals.yml' in err
    with pytest.raises(KataError, match='goals.yml'): answers(project)

def test_check_finds_an_unknown_key_and_every_fault_of_a_damaged_plan(project, capsys):
    edit(project/'nbs/plan.csv', '2026-11-23,,', '2026-11-23,[ ] x [@spikes2018],')
    assert main(['check']) == 1
    assert "nbs/plan.csv, row 3, column Reading: 'x': unknown key 'spikes2018'; did you mean 'spikes2019'" in capsys.readouterr().err
    edit(project/'nbs/plan.csv', '[x] Lunch', '[y] Lunch')
    main(['check'])
    assert capsys.readouterr().err.count("unknown state 'y'") == 5

def test_a_project_without_a_plan_has_nothing_to_mend(tmp_path): assert course_problems(tmp_path) == []

def test_goals_for_people_and_programs(project, capsys):
    assert main(['plan', 'goals', '1']) == 0
    out = capsys.readouterr().out
    assert 'open Add  (project; adding is missing (no run is recorded), adding.total is missing (no run is recorded))' in out and 'Week 2' not in out
    assert main(['plan', 'goals', '--json']) == 0
    assert [g['goal'] for g in json.loads(capsys.readouterr().out) if g['met']] == ['Meet people', 'Ask', 'Publish']

LINKED = '2026-11-23,,[ ] write it (posts/01_adding.ipynb),,,[x] Lunch with A,'

def test_a_record_enters_what_it_has_done_on_its_own_day(project, capsys):
    edit(project/'nbs/plan.csv', 'week 1,,,,,,', 'week 1,,[ ] write it,,,,')
    edit(project/'nbs/plan.csv', '2026-11-23,,,,,[x] Lunch with A,', LINKED)
    before = (project/'nbs/plan.csv').read_text()
    def done(*words):
        code = main(['plan', 'done', *words])
        return code, capsys.readouterr()
    assert done()[1].out == 'nothing to do\n' and (project/'nbs/plan.csv').read_text() == before  # it is there, and has not run
    record = run_and_keep(project, read_note(project/'nbs/posts/01_adding.ipynb'), 'cpu')
    day = record['started'][:10]
    assert done()[1].out == f'done     write it, by the record of {day}\n'
    plan = read_plan(project/'nbs/plan.csv')
    assert [(str(i.day), i.column, i.state) for i in plan.items if i.day and i.text == 'write it'] == [('2026-11-23', 'Programming', 'moved'), (day, 'Programming', 'done')]
    assert done()[1].out == 'nothing to do\n' and done('--spent', '2')[0] == 2

def test_a_record_that_was_there_before_proves_nothing(project, capsys):
    run_and_keep(project, read_note(project/'nbs/posts/01_adding.ipynb'), 'cpu')
    (project/'nbs/plan.csv').write_text((project/'nbs/plan.csv').read_text() + '2999-01-01,,[ ] write it anew (posts/01_adding.ipynb),,,,\n')
    assert main(['plan', 'done']) == 0 and capsys.readouterr().out == 'nothing to do\n'

def test_a_stale_record_proves_nothing(project, capsys):
    post = project/'nbs/posts/01_adding.ipynb'
    edit(project/'nbs/plan.csv', '2026-11-23,,,,,[x] Lunch with A,', LINKED)
    run_and_keep(project, read_note(post), 'cpu')
    edit(post, 'sum(range(n))', 'sum(range(n + 1))')
    assert main(['plan', 'done']) == 0 and capsys.readouterr().out == 'nothing to do\n'

def git(root, *words): subprocess.run(['git', '-C', str(root), '-c', 'user.name=a', '-c', 'user.email=a@example.org', '-c', 'commit.gpgsign=false', *words], check=True, capture_output=True)

def test_a_commit_enters_a_page_also_from_the_backlog(project, capsys):
    (project/'nbs/plan.csv').write_text(PLAN.replace('2026-11-24,,,,,[x] Lunch with A,', '2026-11-24,,,,[>] put it online (index.md),[x] Lunch with A,[ ] put it online (index.md)'))
    git(project, 'init', '-q'); git(project, 'add', 'nbs/index.md'); git(project, 'commit', '-qm', 'page', '--date', '2026-11-26T12:00:00')
    edit(project/'nbs/index.md', 'title: Home', 'title: Home\ndraft: true')
    assert main(['plan', 'done']) == 0 and capsys.readouterr().out == 'nothing to do\n'
    edit(project/'nbs/index.md', '\ndraft: true', '')
    assert main(['plan', 'done']) == 0 and capsys.readouterr().out == 'done     put it online, by the commit of 2026-11-26\n'
    assert read_plan(project/'nbs/plan.csv').cell(dt.date(2026, 11, 26), 'Writing and reflection') == '[x] put it online (index.md)'

def test_the_course_is_sound():
    "The plan, the reading list and the goals that the blog ships name only what there is."
    root = Path(__file__).parents[1]
    goals, readings = read_goals(root)[0], read_readings(root)
    assert course_problems(root) == [] and {g.week for g in goals} == set(range(7)) and {g.kind for g in goals} == {'project', 'learning', 'social'}
    assert all(r.link or r.note for r in readings.values())
