"calendar: the feed is valid, the same for the same plan, and says what the plan says."
import datetime as dt, random
import pytest
from damage import SOUND
from kata_blog.press.calendar import calendar, folded
from kata_blog.press.plan import BACKLOG, COLUMNS, EMPTY, parse_plan, quoted
from kata_blog.press.reading import Reading

icalendar = pytest.importorskip('icalendar')
MONDAY = dt.date(2026, 11, 23)
READINGS = {'spikes2019': Reading('spikes2019', 'On Spikes', 'paper', 'neurons', 'https://example.org/spikes')}

def events(text): return [c for c in icalendar.Calendar.from_ical(text).walk('VEVENT')]

def odd_plan(seed):
    rng = random.Random(seed)
    words = ['é☃' * 20, 'a, b; c', r'back\slash \n', '"q"', 'BEGIN:VEVENT', 'x' * 120, ':', '7 %', "l'été", '🧠' * 15]
    cell = lambda: '\n'.join(f'[{rng.choice(" x>-")}] {" ".join(rng.choices(words, k=3))}' + rng.choice(['', ' {2p}', ' {1p/3}']) + rng.choice(['', ' [@spikes2019]']) for _ in range(rng.randrange(3)))
    return EMPTY + ''.join(','.join(map(quoted, [str(MONDAY + dt.timedelta(n)), *(cell() for _ in COLUMNS)])) + '\n' for n in range(20))

@pytest.mark.parametrize('text', [SOUND, EMPTY, *map(odd_plan, range(20))])
def test_a_library_reads_what_we_wrote(text):
    plan = parse_plan(text, first_monday=MONDAY)
    feed = calendar(plan, READINGS, 'Plan, living; all')
    found = events(feed)
    wanted = [(i.day or plan.days_of(i.week)[0], ('★ ' if not i.day else '✓ ' if i.state == 'done' else '') + i.text) for i in plan.items if not i.day or i.column != BACKLOG and i.state in ('open', 'done')]
    assert [(e.start, str(e['SUMMARY'])) for e in found] == wanted
    assert len({str(e['UID']) for e in found}) == len(found) and all((e.end - e.start).days in (1, 7) and e.get('DTSTAMP') for e in found)
    assert str(icalendar.Calendar.from_ical(feed)['NAME']) == 'Plan\\, living\\; all' and not icalendar.Calendar.from_ical(feed).errors
    assert not [e.errors for e in found if e.errors]

@pytest.mark.parametrize('text', [SOUND, odd_plan(1)])
def test_lines_are_as_long_as_they_may_be(text):
    feed = calendar(parse_plan(text, first_monday=MONDAY), READINGS)
    assert feed.endswith('\r\n') and all(len(l) <= 75 for l in feed.encode().split(b'\r\n')) and '\n' not in feed.replace('\r\n', '')

def test_an_edit_changes_its_event_alone():
    before, after = (set(calendar(parse_plan(t, first_monday=MONDAY), {}).split('BEGIN:VEVENT')) for t in (SOUND, SOUND.replace('[ ] a letter', '[x] a letter')))
    assert len(before - after) == len(after - before) == 1
    uid = lambda part: next(l for l in part.split('\r\n') if l.startswith('UID'))
    assert uid((before - after).pop()) == uid((after - before).pop())  # a program that subscribed changes the event it has

def test_a_reading_brings_its_link(): assert [str(e['URL']) for e in events(calendar(parse_plan(SOUND, first_monday=MONDAY), READINGS)) if 'URL' in e][:1] == ['https://example.org/spikes']

def test_no_letter_is_cut_in_two():
    for n in range(60, 80): assert folded('x' * n + '🧠é').replace('\r\n ', '') == 'x' * n + '🧠é'
