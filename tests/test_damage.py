"Damaged files: every command names file and place, says what to do, changes nothing, and serves the other posts."
import json, os, shutil
from pathlib import Path
import pytest
import yaml
from kata_blog.press.record import read_records, record_id, record_path
from damaging import BORNE, FRONT, NO_CODE, NO_RUN, REFUSED, WRONG, places, replaced, sound
from making import kata, write_post

SOUND = ['#| default_exp adding', '#| parameters\nn = 100', 'from kata_blog.core import report\nreport(total=sum(range(n)))']
GOOD = '01_adding'

@pytest.fixture(scope='module')
def blog(tmp_path_factory):
    "A blog with one sound post that has run, and a site."
    root = tmp_path_factory.mktemp('sound')
    (root/'settings.ini').write_text('[blog]\ntitle = Sums\nauthor = A\n')
    write_post(root, SOUND, name=GOOD, front=FRONT.format('Adding'))
    (root/'nbs'/'index.md').write_text('---\ntitle: Sums\n---\n\nHello.\n')
    assert kata(root, 'run', '-q', '--profile', 'cpu')[0] == 0 and kata(root, 'build')[0] == 0
    return root

@pytest.fixture
def project(blog, tmp_path):
    "A copy of it."
    return Path(shutil.copytree(blog, tmp_path/'blog'))

def files(root):
    "Every file and what it is; the site is made anew by a build."
    return {p: p.read_bytes() if p.is_file() and not p.is_symlink() else None for p in root.rglob('*') if not {'_site', '.kata'} & set(p.relative_to(root).parts)}

# notebooks: all cases lie in one project, so that each command reads all of them

def name_of(n): return f'{n + 10:03d}_case'

@pytest.fixture(scope='module')
def said(blog, tmp_path_factory):
    "What each command prints of a project with every damaged notebook, and what it is then."
    root = Path(shutil.copytree(blog, tmp_path_factory.mktemp('damaged')/'blog'))
    for n, (make, _) in enumerate(REFUSED.values()): make(root/'nbs'/'posts'/f'{name_of(n)}.ipynb')
    before, names = files(root), [name_of(n) for n in range(len(REFUSED))]
    calls = {'status': [], 'check': [], 'build': [], 'run': ['--profile', 'cpu', GOOD, *names]}
    answers = {command: kata(root, command, *words) for command, words in calls.items()}
    pages = {p.name for p in (root/'_site'/'posts').glob('*.html')}
    assert pages == {'adding.html'}
    return answers, {p: c for p, c in files(root).items() if GOOD not in p.name} == {p: c for p, c in before.items() if GOOD not in p.name}

def has(line, words): return any(w in line for w in ((words,) if isinstance(words, str) else words))

def test_there_are_a_hundred(): assert len(REFUSED) + len(NO_RUN) >= 100

@pytest.mark.parametrize('command', ['status', 'check', 'build', 'run'])
@pytest.mark.parametrize('n', range(len(REFUSED)), ids=list(REFUSED))
def test_a_damaged_notebook_is_named(said, n, command):
    code, text = said[0][command]
    lines = [l for l in text.splitlines() if name_of(n) in l and 'ran before' not in l]
    assert code == 1 and any(has(l, list(REFUSED.values())[n][1]) for l in lines), (command, [l[:300] for l in lines])

def test_nothing_is_changed_and_nothing_is_traced_back(said):
    answers, same = said
    assert same and not any('Traceback' in text for _, text in answers.values())
    assert f'fresh   {GOOD}' in answers['status'][1] and f'passed  {GOOD}' in answers['run'][1]

@pytest.mark.parametrize('name', NO_RUN)
def test_what_cannot_run_says_why(project, name):
    make, words = NO_RUN[name]
    make(project/'nbs'/'posts'/'02_bad.ipynb')
    before = files(project)
    code, text = kata(project, 'run', 'bad', '--profile', 'cpu')
    assert code == 1 and '02_bad.ipynb' in text and words in text and 'Traceback' not in text and files(project) == before
    for command in ('status', 'check', 'build'): assert 'Traceback' not in kata(project, command)[1]
    assert (project/'_site'/'posts'/'adding.html').is_file()

def test_what_is_odd_but_sound_is_read_as_it_is_meant(project):
    for n, make in enumerate(BORNE.values()): make(project/'nbs'/'posts'/f'{name_of(n)}.ipynb')
    before = files(project)
    code, text = kata(project, 'status')
    assert code == 1 and sorted(l.split()[0] for l in text.splitlines()) == ['fresh'] + ['missing'] * len(BORNE), text
    for command in ('check', 'build'): assert 'Traceback' not in kata(project, command)[1]
    assert files(project) == before

@pytest.mark.parametrize('name', BORNE)
def test_what_is_odd_but_sound_runs_and_is_printed(project, name):
    BORNE[name](project/'nbs'/'posts'/'02_bad.ipynb')
    code, text = kata(project, 'run', 'bad', '--profile', 'cpu')
    assert (code, 'passed  02_bad' in text) == ((1, False) if name in NO_CODE else (0, True)) and 'Traceback' not in text, text
    code, text = kata(project, 'build')
    assert code == 0 and (project/'_site'/'posts'/'bad.html').is_file() == (name not in NO_CODE), text

@pytest.mark.parametrize('kind', WRONG)
def test_any_place_of_a_notebook_may_hold_anything(project, kind):
    "Each place in turn: sound, or refused with the file's name."
    path = project/'nbs'/'posts'/'02_bad.ipynb'
    for at in places(sound()):
        path.write_text(json.dumps(replaced(sound(), at, WRONG[kind])))
        for command in ('status', 'check'):
            code, text = kata(project, command)
            assert '02_bad' in text or code == 0, (at, command, text[:300])
    for command in ('status', 'check', 'build'): assert kata(project, command)[0] in (0, 1)

def test_a_huge_output_is_no_matter_of_minutes(project):
    lines = [f'{i} ' + 'x' * 90 + '\n' for i in range(500_000)]
    path = project/'nbs'/'posts'/'02_bad.ipynb'
    path.write_text(json.dumps(replaced(sound(), ('cells', 4, 'outputs', 0, 'text'), lines)))
    assert path.stat().st_size > 45e6
    for command in ('status', 'check', 'build'): assert 'Traceback' not in kata(project, command)[1]

def test_a_cell_that_prints_without_end_is_kept_whole_or_refused(project):
    write_post(project, ['#| default_exp bad', 'print("x" * 50_000_000)'], name='02_bad', front=FRONT.format('Bad').replace('{n: 10}', '{}').replace('{n: 2}', '{}'))
    code, text = kata(project, 'run', 'bad', '--profile', 'cpu')
    assert 'Traceback' not in text and code in (0, 1)
    assert kata(project, 'status')[1].count('fresh') == 1 + (code == 0)

# what a cell shows

SHOWN = ['{"text/plain": 3}', '{"text/html": None}', '{"image/png": {}}', '{"application/vnd.kata+json": 3, "text/plain": "x"}', '{"application/vnd.kata+json": {"metrics": {"a": 3}}, "text/plain": "x"}',
         '{"application/vnd.kata+json": {"metrics": {"a": {"value": "much"}}}, "text/plain": "x"}', '{"application/json": __import__("functools").reduce(lambda v, _: [v], range(150), [])}',
         '{"application/json": __import__("functools").reduce(lambda v, _: [v], range(5000), [])}']

@pytest.mark.parametrize('shown', SHOWN)
def test_a_cell_that_shows_what_cannot_be_kept_fails(project, shown):
    front = FRONT.format('Bad').replace('{n: 10}', '{}').replace('{n: 2}', '{}')
    note = write_post(project, ['#| default_exp bad', f'from IPython.display import display\ndisplay({shown}, raw=True)'], name='02_bad', front=front)
    before = note.path.read_bytes()
    code, text = kata(project, 'run', 'bad', '--profile', 'cpu')
    assert code == 1 and '02_bad.ipynb, cell 3' in text and 'SIGKILL' not in text and note.path.read_bytes() == before
    assert read_records(note.path)[0]['ended'] == 'failed'

# records

def record_of(root): return record_path(root/'nbs'/'posts'/f'{GOOD}.ipynb')

RECORDS = {
    **{f'cut at {n} %': (lambda t, n=n: t[:len(t) * n // 100], 'no JSON') for n in (1, 10, 25, 40, 60, 75, 90, 99)},
    'empty': (lambda t: '', 'no JSON'), 'zeros': (lambda t: '\0' * 500, 'no JSON'), 'merge marks': (lambda t: t.replace(' "ended"', '<<<<<<< HEAD\n "ended"'), 'no JSON'), 'twice': (lambda t: t * 2, 'no JSON'),
    'a dict': (lambda t: '{}', 'needed a list'), 'a number in the list': (lambda t: '[3]', 'record 1: it is 3'), 'an empty record': (lambda t: '[{}]', 'record 1: profile is missing'),
    '10,000 lists': (lambda t: '[' * 10_000 + ']' * 10_000, ('no JSON', 'levels deep')), '200 lists': (lambda t: '[' * 200 + ']' * 200, 'levels deep'), 'an edit': (lambda t: t.replace('45', '46'), 'record 1: says it is'),
    'binary': (lambda t: t.encode() + b'\xff\xfe', 'no UTF-8'), 'a second record that is none': (lambda t: t.replace('\n}\n]', '\n},\n{"profile": 3}\n]'), 'record 2: profile is 3'),
}

def all_say(project, words, place):
    "Every command says so of the record; nothing changes."
    before = files(project)
    for command in (['status'], ['check'], ['build'], ['run', 'adding', '--profile', 'cpu']):
        code, text = kata(project, *command)
        assert code == 1 and place in text and has(text, words) and 'Traceback' not in text, (command, text[:500])
    assert files(project) == before

@pytest.mark.parametrize('name', RECORDS)
def test_a_damaged_record_is_named(project, name):
    damage, words = RECORDS[name]
    path, new = record_of(project), damage(record_of(project).read_text())
    path.write_bytes(new if isinstance(new, bytes) else new.encode())
    all_say(project, words, '01_adding.json')

ODD = {'a folder': (lambda path: path.mkdir(), 'a folder'), 'a link to nowhere': (lambda path: path.symlink_to('gone.json'), 'a link to gone.json'), 'a pipe': (os.mkfifo, 'a pipe'), 'a device': (lambda path: path.symlink_to('/dev/zero'), 'a device')}

@pytest.mark.parametrize('name', ODD)
def test_a_record_that_is_no_file_is_named(project, name):
    record_of(project).unlink()
    ODD[name][0](record_of(project))
    all_say(project, ODD[name][1], '01_adding.json')

@pytest.mark.parametrize('kind', WRONG)
def test_any_place_of_a_record_may_hold_anything(project, kind):
    "Also where the id was made to agree: sound, or refused with the file's name."
    path, (record,) = record_of(project), json.loads(record_of(project).read_text())
    for at in places([record]):
        new = replaced([record], at, WRONG[kind])
        if at[1:2] != ('id',) and isinstance(new, list) and new and isinstance(new[0], dict): new[0]['id'] = record_id(new[0])
        path.write_text(json.dumps(new))
        for command in ('status', 'check'):
            code, text = kata(project, command)
            assert '01_adding' in text or code == 0, (at, command, text[:300])

# settings and structure

STRUCTURE = dict(project=dict(type='website', render=['*.md', '*.ipynb', 'posts/*.ipynb'], resources=['x'], **{'output-dir': '_site'}), lang='en', bibliography='r.bib', execute=dict(echo=True), format=dict(html=dict(toc=True)),
                 website=dict(title='t', description='d', navbar=dict(left=['index.md', dict(href='index.md', text='x')], right=[]), favicon='a.png', **{'site-url': 'https://a.b'}), listing=dict(contents='posts'))

@pytest.mark.parametrize('kind', [k for k in WRONG if k != 'nested'])
def test_any_place_of_the_structure_may_hold_anything(project, kind):
    for at in places(STRUCTURE):
        (project/'_quarto.yml').write_text(yaml.safe_dump(replaced(STRUCTURE, at, WRONG[kind])))
        before = files(project)
        for command in ('status', 'check'):
            code, text = kata(project, command)
            assert code in (0, 1) and 'Error:' not in text, (at, command, text[:300])
        assert files(project) == before

@pytest.mark.parametrize('value', [3, True, [3], [[]], {'a': 1}])
@pytest.mark.parametrize('at', [('project',), ('project', 'render'), ('project', 'output-dir'), ('website',), ('website', 'navbar'), ('website', 'navbar', 'left'), ('bibliography',)])
def test_a_wrong_structure_stops_a_build_and_is_named(project, at, value):
    if (at, value) in [(('project',), {'a': 1}), (('website',), {'a': 1}), (('website', 'navbar'), {'a': 1}), (('website', 'navbar', 'left'), [{}])]: return
    (project/'_quarto.yml').write_text(yaml.safe_dump(replaced(STRUCTURE, at, value)))
    for command in ('check', 'build'):
        code, text = kata(project, command)
        assert code == 1 and '_quarto.yml' in text and 'Traceback' not in text, (command, text[:300])

TEXTS = {'binary': b'\xff\xfe\x00', 'zeros': bytes(99), 'broken': b'[[[', '10,000 lists': b'a: ' + b'[' * 10_000 + b']' * 10_000, 'a list': b'- a\n- b', 'a tab': b'a:\n\t- b'}

@pytest.mark.parametrize('name', TEXTS)
@pytest.mark.parametrize('file', ['_quarto.yml', 'settings.ini'])
def test_settings_that_are_none_are_named(project, file, name):
    (project/file).write_bytes(TEXTS[name])
    before = files(project)
    for command in ('check', 'build'):
        code, text = kata(project, command)
        assert code == 1 and file in text and 'Traceback' not in text, (command, text[:300])
    assert files(project) == before

@pytest.mark.parametrize('name', ODD)
def test_settings_that_are_no_file_are_named(project, name):
    (project/'settings.ini').unlink()
    ODD[name][0](project/'settings.ini')
    for command in ('check', 'build'):
        code, text = kata(project, command)
        assert code == 1 and 'settings.ini' in text and 'Traceback' not in text, (command, text[:300])

# pages that are Markdown

PROSE = {'binary': (b'\xff\xfe', 'no UTF-8'), 'front matter that is none': (b'---\na: b: c\n---\n', 'no YAML'), 'a long name': (b'---\ntitle: a\n---\n\n![x](' + b'y' * 20_000 + b'.png)\n', 'missing'),
         'brackets without end': (b'---\ntitle: a\n---\n\n' + b'[' * 40 + b']' * 40, 'not done with the page')}

@pytest.mark.parametrize('name', PROSE)
def test_a_damaged_page_is_named_and_the_others_are_printed(project, monkeypatch, name):
    from kata_blog.press import render
    monkeypatch.setattr(render, 'Pandoc', lambda: Pandoc(limit_s=2))
    from kata_blog.press.pandoc import Pandoc
    content, words = PROSE[name]
    (project/'nbs'/'bad.md').write_bytes(content)
    code, text = kata(project, 'build')
    assert code == 1 and 'bad.md' in text and words in text and 'Traceback' not in text
    assert (project/'_site'/'posts'/'adding.html').is_file() and (project/'_site'/'index.html').is_file()
