"plan: the living spreadsheet. What was not edited stays byte for byte, nothing is lost, damage is named by row and column."
import csv, datetime as dt, io, json, os, random, shutil, signal, subprocess, sys, time
from pathlib import Path
import pytest
from damage import DAMAGED, SOUND, UNUSUAL
from kata_blog.press.cli import main
from kata_blog.press.plan import BACKLOG, COLUMNS, EMPTY, Draft, Item, PlanError, apply, backlog, differences, edit_plan, parse_plan, read_item, read_plan, read_table
from kata_blog.press.sheet import import_sheet, read_sheet, write_sheet

MONDAY = dt.date(2026, 11, 23)
DAY = {n: MONDAY + dt.timedelta(n) for n in range(21)}
encoded = lambda text: text if isinstance(text, bytes) else text.encode('utf-8', 'surrogatepass')

@pytest.fixture
def project(tmp_path, monkeypatch):
    "A blog with nothing but a first Monday, as the current folder."
    (tmp_path/'nbs').mkdir()
    (tmp_path/'_quarto.yml').write_text('project: {type: website}')
    (tmp_path/'settings.ini').write_text('[blog]\ntitle = Spikes\nfirst_monday = 2026-11-23\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path

@pytest.fixture
def plan_file(project):
    (project/'nbs'/'plan.csv').write_text(SOUND)
    return project/'nbs'/'plan.csv'

@pytest.fixture
def kata(capsys):
    "Call `kata plan` on a day: exit code, what it printed, what it complained of."
    def call(*words, day=DAY[1]):
        try: code = main(['plan', *map(str, words), '--day', str(day)] if words else ['plan', '--day', str(day)])
        except SystemExit as e: code = e.code
        said = capsys.readouterr()
        return code, said.out, said.err
    return call

# The file

def test_a_sound_plan_is_read():
    plan = parse_plan(SOUND)
    assert [str(i) for i in plan.at(DAY[0])] == ['[x] a paper, slowly {2p/3} [@spikes2019]', '[-] a book', '[ ] toy problem {1p}', '[ ] count the spikes {3p}']
    assert plan.cell(DAY[1], 'Mood') == '5" of rain' and list(plan.rows) == [1, DAY[0], DAY[1], 2, DAY[7]]

@pytest.mark.parametrize('what', UNUSUAL)
def test_an_unusual_file_is_read_alike_and_stays_as_it_is(what, tmp_path):
    text, sound = UNUSUAL[what](SOUND), parse_plan(SOUND)
    plan = parse_plan(text)
    place = lambda i: (i.day, i.week, i.column, str(i))
    assert text != SOUND and str(plan.table) == text and sorted(map(place, plan.items), key=str) == sorted(map(place, sound.items), key=str)
    path = tmp_path/'plan.csv'
    path.write_bytes(text.encode())
    edit_plan(path, lambda draft: draft.mark(next(i for i in draft.plan.items if i.text == 'a chapter'), 'done', spent=2))
    assert path.read_bytes() == text.encode().replace(b'[ ] a chapter', b'[x] a chapter {0p/2}')

@pytest.mark.parametrize('seed', range(20))
def test_any_table_is_read_as_csv_reads_it_and_written_as_it_was(seed):
    rng = random.Random(seed)
    words = ['', ' ', 'a', 'é', '☃', ',', ';', '\t', '"', '\n', '\r\n', "'", '=1', '[ ] a', '\u2028', 'x' * 50]
    rows = [[''.join(rng.choices(words, k=rng.randrange(4))) for _ in range(rng.randrange(1, 6))] for _ in range(30)]
    out = io.StringIO()
    csv.writer(out, delimiter=rng.choice(',;\t'), quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), lineterminator=rng.choice(['\n', '\r\n'])).writerows([['date', *COLUMNS], *rows])
    text = rng.choice(['', '\ufeff']) + out.getvalue()
    table = read_table(text)
    assert str(table) == text
    from kata_blog.press.plan import unquoted
    assert [[unquoted(f) for f in fields] for fields, _ in table.rows][1:] == rows

@pytest.mark.parametrize('seed', range(20))
def test_an_item_written_is_the_item_read(seed):
    rng = random.Random(seed)
    words = ['BERT', '(the', 'paper)', 'e.g.', '{x}', '[1]', 'a/b', '§', '50%', 'p', '2p', '@me', '"so"', '[ ]', '-', '>']
    for _ in range(200):
        item = Item(' '.join(rng.choices(words, k=rng.randrange(1, 6))), rng.choice(['open', 'done', 'moved', 'dropped']), *rng.choice([(None, None), (2, None), (0, 12)]),
                    key=rng.choice(['', 'devlin2019', 'a:b-c']), link=rng.choice(['', 'https://example.org/a_(b)?c=[d]', 'posts/01_a.ipynb#x', 'mailto:a@b.org']))
        assert read_item(str(item)) == item

def test_the_damaged_files_are_two_hundred(): assert len({encoded(change(SOUND)) for _, change, _ in DAMAGED}) >= 200

@pytest.mark.parametrize('name, change, said', DAMAGED, ids=[name for name, _, _ in DAMAGED])
def test_damage_is_named_and_nothing_is_changed(name, change, said, plan_file, kata):
    data = encoded(change(SOUND))
    assert data != SOUND.encode()
    plan_file.write_bytes(data)
    code, out, err = kata()
    assert code == 1 and not out and 'Traceback' not in err
    assert not [words for words in ('nbs/plan.csv', *said) if words not in err], err
    assert kata('add', 'reading', 'more')[0] == 1 and kata('rollover')[0] == 1
    assert plan_file.read_bytes() == data and [p.name for p in plan_file.parent.iterdir()] == ['plan.csv']

def test_fifty_thousand_sound_rows_are_read():
    rows = ''.join(f'{MONDAY + dt.timedelta(n)},[ ] read,,,,,\n' for n in range(50_000))
    assert len(parse_plan(EMPTY + rows).items) == 50_000

# Edits

def test_an_edit_touches_one_cell(plan_file, kata):
    assert kata('done', 'toy', '--spent', 2, day=DAY[0])[0] == 0
    assert plan_file.read_text() == SOUND.replace('[ ] toy problem {1p}', '[x] toy problem {1p/2}')

def test_what_is_done_on_a_day_is_done_for_the_week(plan_file, kata):
    kata('done', 'count', day=DAY[0])
    assert plan_file.read_text() == SOUND.replace('[ ] count', '[x] count')

def test_rows_and_weeks_are_made_where_they_belong(plan_file, kata):
    for n in (2, 15, 8): kata('add', 'project', f'thing {n}', '--on', DAY[n])
    assert list(read_plan(plan_file).rows) == [1, *(DAY[n] for n in (0, 1, 2)), 2, DAY[7], DAY[8], 3, DAY[15]]
    assert [l for l in plan_file.read_text().split('\n') if 'thing' not in l and 'week 3' not in l] == SOUND.split('\n')

def test_a_plan_begins_with_its_first_item(project, kata):
    assert kata('add', 'reading', 'a paper, slowly {2p}', '--on', 'tomorrow')[0] == 0
    assert (project/'nbs'/'plan.csv').read_text() == EMPTY + f'week 1,,,,,,\n{DAY[2]},"[ ] a paper, slowly {{2p}}",,,,,\n'

def test_a_moved_item_leaves_a_trace(plan_file, kata):
    kata('move', 'toy', 'wed', day=DAY[0])
    plan = read_plan(plan_file)
    assert [(i.day, i.state) for i in plan.items if i.text == 'toy problem'] == [(DAY[0], 'moved'), (DAY[2], 'open')]

def test_what_is_moved_within_its_cell_is_refused(plan_file, kata):
    code, _, err = kata('move', 'toy', 'today', day=DAY[0])
    assert code == 1 and 'stands on 2026-11-23 already' in err and plan_file.read_text() == SOUND

def test_rollover_keeps_the_age_over_many_weeks(plan_file, kata):
    kata('rollover', day=DAY[2])
    plan = read_plan(plan_file)
    assert plan.cell(DAY[0], BACKLOG) == '[ ] toy problem {1p}\n[ ] count the spikes {3p}' and not [i for i in plan.items if i.state == 'open' and i.day and i.day < DAY[2] and i.column != BACKLOG]
    for n in (7, 14):
        kata('move', 'toy', DAY[n], day=DAY[n - 1])
        kata('rollover', day=DAY[n + 1])
    toy = next(l for l in backlog(read_plan(plan_file)) if l.item.text == 'toy problem')
    assert (toy.item.day, toy.since, toy.column) == (DAY[14], DAY[0], 'Programming')
    assert '[ ] toy problem {1p}  20 days old, from Programming' in kata('backlog', day=DAY[20])[1]
    before = plan_file.read_bytes()
    assert kata('rollover', day=DAY[15])[1] == 'nothing to do\n' and plan_file.read_bytes() == before

def test_the_same_words_day_after_day_are_not_one_old_leftover():
    rows = ''.join(f'{DAY[n]},[ ] read,,,,,\n' for n in range(3))
    plan = parse_plan(EMPTY + rows)
    draft = Draft(plan)
    draft.rollover(DAY[3])
    assert [l.since for l in backlog(apply(plan, draft.changes))] == [DAY[0], DAY[1], DAY[2]]

def test_the_backlog_is_brought_up_once_a_week(plan_file, kata):
    kata('rollover', day=DAY[5])
    assert [n for n in range(2, 21) if 'toy problem' in kata(day=DAY[n])[1]] == [7, 14]

def test_an_idea_in_the_backlog_has_no_column_to_go_to(plan_file, kata):
    code, _, err = kata('move', 'old idea', 'fri')
    assert code == 1 and '--column' in err
    assert kata('move', 'old idea', 'fri', '--column', 'writing')[0] == 0 and read_plan(plan_file).cell(DAY[4], 'Writing and reflection') == '[ ] an old idea'

# Others write too

def meanwhile(path, text, edit):
    "An edit during which somebody else saves."
    def change(draft):
        edit(draft)
        path.write_text(text)
    return lambda: edit_plan(path, change, MONDAY)

def test_edits_that_do_not_touch_are_both_kept(plan_file):
    theirs = SOUND.replace('sunny', 'grey').replace('[ ] toy', '[x] toy') + f'{DAY[8]},[ ] new,,,,,,\n'
    meanwhile(plan_file, theirs, lambda d: (d.add(DAY[7], 'Reading', '[ ] mine'), d.add(DAY[9], 'Reading', '[ ] mine too')))()
    assert plan_file.read_text() == theirs.replace('[ ] a chapter,', '"[ ] a chapter\n[ ] mine",') + f'{DAY[9]},[ ] mine too,,,,,,\n'

def test_who_saves_at_the_last_moment_is_not_overwritten(plan_file, monkeypatch):
    "The file changes after it was read for the last time but one, while the edit is put into it."
    theirs, saves = SOUND.replace('sunny', 'grey'), iter([lambda: plan_file.write_text(theirs)])
    def slow(plan, changes):
        next(saves, lambda: None)()
        return apply(plan, changes)
    monkeypatch.setattr('kata_blog.press.plan.apply', slow)
    edit_plan(plan_file, lambda d: d.mark(d.plan.items[3], 'done'))
    assert plan_file.read_text() == theirs.replace('[ ] toy', '[x] toy')

def test_a_row_that_both_made_is_one_row(plan_file):
    meanwhile(plan_file, SOUND + f'{DAY[8]},,[ ] theirs,,,,,\n', lambda d: d.add(DAY[8], 'Reading', '[ ] mine'))()
    assert plan_file.read_text() == SOUND + f'{DAY[8]},[ ] mine,[ ] theirs,,,,,\n'

@pytest.mark.parametrize('theirs', [SOUND.replace('[ ] toy', '[-] toy'), SOUND.replace('[ ] toy problem {1p}', ''), SOUND.replace('toy problem {1p}', 'toy problem {2p}')])
def test_edits_of_one_cell_are_a_conflict_and_theirs_stays(theirs, plan_file):
    edit = meanwhile(plan_file, theirs, lambda d: d.mark(d.plan.items[3], 'done'))
    with pytest.raises(PlanError, match='2026-11-23, column Programming: says .* nothing was changed'): edit()
    assert plan_file.read_text() == theirs

def test_the_same_edit_twice_is_no_conflict(plan_file):
    theirs = SOUND.replace('[ ] toy', '[x] toy')
    meanwhile(plan_file, theirs, lambda d: d.mark(d.plan.items[3], 'done'))()
    assert plan_file.read_text() == theirs

def test_damage_that_comes_meanwhile_stays_as_it_is(plan_file):
    theirs = SOUND.replace('2026-11-24', '24.11.2026')
    with pytest.raises(PlanError, match='24.11.2026'): meanwhile(plan_file, theirs, lambda d: d.mark(d.plan.items[3], 'done'))()
    assert plan_file.read_text() == theirs

ADD = '''
import sys
from kata_blog.press.plan import edit_plan
import datetime as dt
who, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for n in range(first, first + count):
    edit_plan('nbs/plan.csv', lambda d: d.add(dt.date(2026, 11, 23) + dt.timedelta(n % 20), 'Reading', f'[ ] {who} {n}'), dt.date(2026, 11, 23))
    print(n, flush=True)
'''

def adding(*words): return subprocess.Popen([sys.executable, '-c', ADD, *map(str, words)], stdout=subprocess.PIPE, text=True)

def test_many_write_at_once_and_nothing_is_lost(plan_file):
    writers = [adding(f'w{k}', 0, 15) for k in range(4)]
    assert [w.wait(60) for w in writers] == [0] * 4
    for w in writers: w.stdout.close()
    texts = {i.text for i in read_plan(plan_file, MONDAY).items}
    assert {f'w{k} {n}' for k in range(4) for n in range(15)} <= texts and {i.text for i in parse_plan(SOUND).items} <= texts

def test_fifty_kills_lose_nothing(plan_file):
    rng, done = random.Random(7), []
    for k in range(50):
        writer = adding(f'w{k}', 0, 100_000)
        said = [writer.stdout.readline()]  # it is in the midst of it
        time.sleep(rng.uniform(0, 0.03))
        writer.send_signal(signal.SIGKILL)
        said += writer.stdout.read().splitlines()
        writer.wait(); writer.stdout.close()
        done += [f'w{k} {n.strip()}' for n in said if n.strip()]
        texts = [i.text for i in read_plan(plan_file, MONDAY).items]
        assert set(done) <= set(texts) and len(texts) == len(set(texts)) + 2  # the week's things stand twice
        assert plan_file.read_text().startswith(SOUND.split('\n')[0])
        if k % 5 == 4: plan_file.write_text(SOUND); done.clear()  # the file stays small
    edit_plan(plan_file, lambda d: d.mark(d.plan.items[3], 'done'))
    assert [p.name for p in plan_file.parent.iterdir()] == ['plan.csv']

def test_a_full_disk_changes_nothing(plan_file, monkeypatch):
    def full(*args): raise OSError(28, 'No space left on device')
    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(OSError): edit_plan(plan_file, lambda d: d.mark(d.plan.items[3], 'done'))
    assert plan_file.read_text() == SOUND and [p.name for p in plan_file.parent.iterdir()] == ['plan.csv']

def test_a_link_stays_a_link(plan_file, tmp_path):
    link = tmp_path/'link.csv'
    link.symlink_to(plan_file)
    edit_plan(link, lambda d: d.mark(d.plan.items[3], 'done'))
    assert link.is_symlink() and '[x] toy' in plan_file.read_text()

# The spreadsheet

def odd_plan(seed):
    rng = random.Random(seed)
    words = ['read', 'é', '☃', '"quoted"', 'a, b', '=1+1', '007', '1e5', "'x", '_x0041_', '<b>&amp;</b>', '2026-11-23', 'TRUE', 'x' * 300]
    cell = lambda: '\n'.join(f'[{rng.choice(" x>-")}] {" ".join(rng.choices(words, k=3))}' for _ in range(rng.randrange(3)))
    from kata_blog.press.plan import quoted
    rows = [['date', *COLUMNS, 'Mood', '', 'Mood']] + [[str(DAY[n]), *(cell() for _ in COLUMNS), rng.choice(words), '', rng.choice(['', *words])] for n in range(20)]
    return ''.join(','.join(map(quoted, row)) + '\n' for row in rows)

@pytest.mark.parametrize('seed', range(5))
def test_nothing_is_lost_to_xlsx_and_back(seed, tmp_path):
    text = odd_plan(seed)
    sheet = write_sheet(parse_plan(text), tmp_path/'a.xlsx')
    now, then = read_sheet(sheet)
    assert str(now.table) == str(then.table) == text
    import_sheet(tmp_path/'new.csv', sheet)
    plan = read_plan(tmp_path/'new.csv')
    assert {(r, c): plan.cell(r, c) for r in plan.rows for c in plan.columns} == {(r, c): now.cell(r, c) for r in now.rows for c in now.columns}

@pytest.mark.parametrize('what', UNUSUAL)
def test_an_import_without_edits_changes_no_byte(what, tmp_path):
    path = tmp_path/'plan.csv'
    path.write_bytes(UNUSUAL[what](SOUND).encode())
    before = path.read_bytes()
    import_sheet(path, write_sheet(read_plan(path), tmp_path/'a.xlsx'))
    assert path.read_bytes() == before

def edited_sheet(path, sheet, **cells):
    from openpyxl import load_workbook
    write_sheet(read_plan(path, MONDAY), sheet)
    book = load_workbook(sheet)
    for name, value in cells.items(): book['plan'][name] = value
    book.save(sheet)

def test_an_import_brings_what_was_edited_and_keeps_what_went_on(plan_file, tmp_path, kata):
    edited_sheet(plan_file, tmp_path/'a.xlsx', C3='[x] toy problem {1p/2}', A7=dt.date(2026, 12, 1), B7='[ ] more', I1='Rain', I4='yes')
    kata('done', 'lunch')
    assert kata('import', tmp_path/'a.xlsx')[0] == 0
    plan = read_plan(plan_file, MONDAY)
    assert [plan.cell(*c) for c in ((DAY[0], 'Programming'), (DAY[8], 'Reading'), (DAY[1], 'Rain'), (DAY[1], 'Watching and talking'))] == ['[x] toy problem {1p/2}', '[ ] more', 'yes', '[x] lunch']

def test_an_import_that_touches_what_went_on_is_refused(plan_file, tmp_path, kata):
    edited_sheet(plan_file, tmp_path/'a.xlsx', F4='[-] lunch')
    kata('done', 'lunch')
    before = plan_file.read_bytes()
    code, _, err = kata('import', tmp_path/'a.xlsx')
    assert code == 1 and '2026-11-24, column Watching and talking: says' in err and plan_file.read_bytes() == before

@pytest.mark.parametrize('cells, said', [({'A4': '24.11.2026'}, "row 4, column date: found '24.11.2026'"), ({'B4': '=1+1'}, "row 4, column B: found the formula '=1+1'"), ({'B1': 'Readings'}, "found the column 'Readings'"),
                                         ({'A4': dt.date(2026, 11, 23)}, 'again, as in row 3'), ({'B4': 12}, "found '12'"), ({'B4': True}, "found 'True'"), ({'H1': None, 'H3': None, 'H4': None}, "no column 'Mood'"), ({'C4': '#REF!'}, '#REF!')])
def test_a_damaged_sheet_is_named_and_nothing_is_changed(cells, said, plan_file, tmp_path, kata):
    edited_sheet(plan_file, tmp_path/'a.xlsx', **cells)
    code, _, err = kata('import', tmp_path/'a.xlsx')
    assert code == 1 and said in err and 'Traceback' not in err and plan_file.read_text() == SOUND

@pytest.mark.parametrize('data', [b'', b'PK torn', SOUND.encode(), None])
def test_what_is_no_sheet_is_refused(data, plan_file, tmp_path, kata):
    if data is not None: (tmp_path/'a.xlsx').write_bytes(data)
    code, _, err = kata('import', tmp_path/'a.xlsx')
    assert code == 1 and 'a.xlsx: ' in err and 'Traceback' not in err

def test_without_openpyxl_it_is_said_what_to_install(plan_file, tmp_path, kata, monkeypatch):
    monkeypatch.setitem(sys.modules, 'openpyxl', None)
    code, _, err = kata('export', tmp_path/'a.xlsx')
    assert code == 1 and 'pip install "kata_blog[plan]"' in err

soffice = pytest.mark.skipif(not shutil.which('soffice'), reason='needs LibreOffice: soffice is not on the path')

def office(folder, *words):
    "Let LibreOffice open a file and save it again."
    subprocess.run(['soffice', f'-env:UserInstallation={(folder/"profile").as_uri()}', '--headless', *words, '--outdir', folder/'saved'], check=True, capture_output=True, timeout=120)

@soffice
def test_libreoffice_opens_and_saves_the_csv_file(tmp_path):
    (tmp_path/'plan.csv').write_text(SOUND)
    form = '44,34,76,1'  # comma, quotes, UTF-8, from the first line
    office(tmp_path, '--convert-to', f'csv:Text - txt - csv (StarCalc):{form},,0,false,true,false', '--infilter=CSV:' + form, tmp_path/'plan.csv')
    assert differences(parse_plan(SOUND), read_plan(tmp_path/'saved'/'plan.csv')) == {}

@soffice
@pytest.mark.parametrize('seed', range(2))
def test_libreoffice_opens_and_saves_the_xlsx_file(seed, tmp_path):
    text = odd_plan(seed)
    path = tmp_path/'plan.csv'
    path.write_text(text)
    office(tmp_path, '--convert-to', 'xlsx:Calc MS Excel 2007 XML', write_sheet(parse_plan(text), tmp_path/'a.xlsx'))
    import_sheet(path, tmp_path/'saved'/'a.xlsx')
    assert path.read_text() == text
    path.unlink()
    import_sheet(path, tmp_path/'saved'/'a.xlsx')
    assert differences(parse_plan(text), read_plan(path)) == {}

# The command

def test_a_week_lived(project, kata):
    "Planned on Monday, put off, done on Thursday; the rest goes to the backlog and comes up again."
    for column, text, more in [('project', 'count the spikes {3p}', ['--important']), ('reading', 'a paper {2p}', []), ('prog', 'hard: a filter {2p}', ['--on', 'tue']), ('watching', 'call Ada', ['--on', 'fri'])]:
        assert kata('add', column, text, *more, day=DAY[0])[0] == 0
    assert kata('next', day=DAY[0])[1] == '2026-11-23  Project progress  [ ] count the spikes {3p}\n'
    kata('done', '1', '--spent', 3, day=DAY[0])
    kata('move', 'spikes', 'thu', day=DAY[0])
    kata('done', 'filter', '--spent', 5, day=DAY[1])
    kata('done', 'spikes', '--spent', 4, day=DAY[3])
    assert kata('rollover', day=DAY[7])[1] == 'rollover call Ada\n'
    out = kata('week', 1, day=DAY[7])[1]
    assert 'count the spikes: stood first on Monday; done on Thursday' in out and 'mornings    3 of 2 pomodoros' in out and 'afternoons  9 of 8 pomodoros' in out
    assert out.count('call Ada') == 1 and '1 left over: kata plan backlog' in out
    assert '[ ] call Ada  3 days old, from Watching and talking' in kata('backlog', day=DAY[7])[1]
    assert 'Worth another look' in kata(day=DAY[11])[1] and kata('drop', 'Ada', day=DAY[11])[0] == 0 and kata('backlog', day=DAY[11])[1] == 'the backlog is empty\n'

def test_hard_programming_may_have_the_mornings(project, plan_file, kata):
    plan_file.write_text(SOUND.replace('[ ] toy problem {1p}', '[x] hard: toy problem {1p/4}'))
    assert 'mornings    3 of 2' in kata('week', 1)[1]
    with (project/'settings.ini').open('a') as f: f.write('mornings = Reading, hard Programming\n')
    assert 'mornings    7 of 3' in kata('week', 1)[1]

@pytest.mark.parametrize('text, said', [('', 'stands first on Monday; open'), ('late', 'stands first on Thursday, but late'), ('none', 'but it stands on no day of the week'), ('unnamed', 'no most important thing is named')])
def test_the_disposition_is_a_check(text, said, plan_file, kata):
    change = {'': SOUND, 'late': SOUND.replace('[ ] count the spikes {3p}', '') .replace('week 2', f'{DAY[3]},,,[ ] count the spikes,,,,\nweek 2'), 'none': SOUND.replace('[ ] count the spikes {3p}', ''), 'unnamed': SOUND.replace('[ ] count the spikes,', ',')}[text]
    plan_file.write_text(change)
    assert said in kata('week')[1] and said in kata()[1]

def test_a_week_that_is_over_says_what_was_not_done(plan_file, kata):
    assert 'count the spikes: stood first on Monday; but it was not done' in kata('week', 1, day=DAY[8])[1]

def test_there_is_no_picture_where_nothing_was_spent(plan_file, kata):
    assert 'pomodoros' not in kata('week', 2)[1] and 'pomodoros' in kata('week', 1)[1]

def test_json_and_lines_say_the_same(plan_file, kata):
    data = json.loads(kata('today', '--json')[1])
    assert [i['text'] for i in data['items']] == ['a letter', 'a draft', 'lunch', 'an old idea'] and all(i['text'] in kata()[1] for i in data['items'])
    assert json.loads(kata('week', 1, '--json')[1])['most_important'] == dict(text='count the spikes', days=['2026-11-23'], early=True, done=None)
    assert json.loads(kata('next', '--json')[1])['text'] == 'a letter' and json.loads(kata('done', 'lunch', '--json')[1])[0]['text'] == 'lunch'
    assert json.loads(kata('backlog', '--json', day=DAY[9])[1])[0]['age_days'] == 8

def test_a_pipe_gets_the_items_as_they_stand_in_the_file(plan_file, kata):
    assert '\033' not in kata()[1] and '[ ] a letter (https://example.org/a_(b))' in kata()[1]

def test_a_terminal_gets_signs_and_colours(plan_file, kata, monkeypatch):
    monkeypatch.delenv('NO_COLOR', raising=False)
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True, raising=False)
    assert '\033[1m' in kata()[1]
    monkeypatch.setenv('NO_COLOR', '1')
    monkeypatch.setattr(sys.stdout, 'isatty', lambda: True, raising=False)
    assert '\033' not in kata()[1]

SLIPS = [(['add', 'reeding', 'x'], 2, "did you mean 'Reading'"), (['add', 'pro', 'x'], 2, 'fits Programming and Project progress'), (['add', 'reading', 'x', '--on', 'noon'], 2, "'noon' is no day"),
         (['add', 'reading', 'x {2 p}'], 1, "found '{2 p}'"), (['add', 'reading', 'x\ny'], 1, 'needed'), (['add', 'reading', ''], 1, 'without words'), (['add', 'reading', 'x', '--on', '2026-11-22'], 1, 'before the first Monday'),
         (['add', 'reading', 'other', '--important'], 1, 'needed one thing in the row of a week'), (['done', 'lumch'], 1, "did you mean 'lunch'"), (['done', 'a'], 1, 'fits'), (['done', '9'], 1, 'a number from 1 to 4'),
         (['done', 'toy', '--spent', 'x'], 2, 'invalid int'), (['move', 'lunch', 'moon'], 2, 'is no day'), (['week', 'x'], 2, 'invalid int'), (['weak'], 2, 'invalid choice'), (['export', 'a.ods'], 1, 'needed .xlsx'), (['done', 'toy', '--spent', '100'], 1, 'found')]

@pytest.mark.parametrize('words, code, said', SLIPS, ids=[' '.join(words) for words, _, _ in SLIPS])
def test_a_slip_is_explained_and_changes_nothing(words, code, said, plan_file, kata):
    got, _, err = kata(*words)
    assert (got, said in err, 'Traceback' in err) == (code, True, False), err
    assert plan_file.read_text() == SOUND

def test_today_loads_little(plan_file):
    code = 'import sys; from kata_blog.press.cli import main; main(["plan"]); print(*sys.modules)'
    loaded = set(subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.splitlines()[-1].split())
    assert not loaded & {'torch', 'numpy', 'nbdev', 'IPython', 'openpyxl', 'pandas', 'fastcore', 'kata_blog.press.run', 'kata_blog.press.goals'}
