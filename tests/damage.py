"Damaged plans as data: what was done to a sound plan, where it must be found, and what must be said."
import csv, io
from kata_blog.press.plan import COLUMNS, quoted

SOUND = '''\
date,Reading,Programming,Project progress,Writing and reflection,Watching and talking,Backlog,Mood
week 1,,,[ ] count the spikes,,,,
2026-11-23,"[x] a paper, slowly {2p/3} [@spikes2019]
[-] a book",[ ] toy problem {1p},[ ] count the spikes {3p},,,,sunny
2026-11-24,[ ] a letter (https://example.org/a_(b)),,,[ ] a draft,[ ] lunch,[ ] an old idea,"5"" of rain"
week 2,,,[ ] draw the spikes,,,,
2026-11-30,[ ] a chapter,,[ ] draw the spikes,,,,
'''
HEADER, WEEK_1, MONDAY, TUESDAY, WEEK_2, LAST = 1, 2, 3, 4, 5, 6  # rows, as a spreadsheet counts them

def swap(old, new): return lambda text: text.replace(old, new, 1)
def end(more): return lambda text: text + more
# A date column that says something else: each must be quoted and answered with the form that is needed
DATES = ['24.11.2026', '24/11/2026', '11/24/2026', '11/24/26', '2026/11/24', '2026-11-31', '2026-13-01', '2026-11-00', '2026-02-29', '2026-11-4', '26-11-24', '20261124', '46350', '46350.0',
         '2026-W48-2', '2026-11-24T00:00', '2026-11-24 00:00:00', 'Tue 24 Nov', '24 November 2026', 'Tuesday', 'tomorrow', '2026-11', '2026–11–24', '2026-11-24a', '２０２６-11-24', "'2026-11-24", '=TODAY()', '#VALUE!',
         '########', 'week', 'week 0', 'week -1', 'week two', 'Week 1', 'week  1', 'week 01', 'week 1.0', 'w1', '2026-11-24?', '0000-00-00']

# A line of a cell that is no item, and what must be said of it
ITEMS = {'a letter': 'write it as `[ ] a letter`', 'x a letter': 'its state first', '- [ ] a letter': 'its state first', '☐ a letter': 'its state first', '( ) a letter': 'its state first', '* a letter': 'its state first',
         '[X] a letter': "did you mean 'x'", '[✓] a letter': "did you mean 'x'", '[v] a letter': "unknown state 'v'", '[?] a letter': "unknown state '?'", '[*] a letter': "unknown state '*'", '[/] a letter': "unknown state '/'",
         '[<] a letter': "unknown state '<'", '[–] a letter': "unknown state '–'", '[] a letter': "unknown state ''", '[xx] a letter': 'its state first', '[done] a letter': 'its state first', '[ ]': 'without words', '[x]': 'without words',
         '[ ]a letter': 'with one space between', '[ ]  a letter': 'with one space between', '[x]a letter': 'with one space between', '=1+1': 'the formula', '=SUM(A1:A9)': 'the formula', '+1': 'the formula', '#REF!': 'where a formula failed',
         '#NAME?': 'where a formula failed', '#VALUE!': 'where a formula failed', '#DIV/0!': 'where a formula failed', '[ ] a letter {2 p}': "found '{2 p}'", '[ ] a letter {p}': "found '{p}'", '[ ] a letter {2}': "found '{2}'",
         '[ ] a letter {2p/}': "found '{2p/}'", '[ ] a letter {2p/x}': "found '{2p/x}'", '[ ] a letter {2p': "found '{2p'", '[ ] a letter {100p}': "found '{100p}'",
         '[ ] a letter{2p}': "found '{2p}'", '[ ] a letter {2p} {1p}': "found '{2p}'", '[ ] {2p} a letter': "found '{2p}'", '[ ] a letter {2p/3/4}': "found '{2p/3/4}'", '[ ] a letter {2p} [ @spikes2019]': "found '{2p}'",
         '[ ] a letter [@spikes2019] {2p}': "found '[@spikes2019]'", '[ ] a letter [@]': "found '[@]'", '[ ] a letter [@spikes 2019]': "found '[@spikes 2019]'", '[ ] a letter [@spikes2019': "found '[@spikes2019'",
         '[ ] a letter[@spikes2019]': "found '[@spikes2019]'", '[ ] a letter [@a] [@b]': "found '[@a]'", '[ ] a letter (https://example.org) {2p}': "found '(https://example.org)'", '[ ] a letter (https://example.org': "found '(https://example.org'",
         '[ ] a letter (https://example.org) [@spikes2019]': "found '(https://example.org)'", '[ ] a letter (https://exa mple.org)': "found '(https://exa'", '12': 'its state first', 'TRUE': 'its state first', '2026-11-24': 'its state first'}

HEADERS = [
    *((name, swap(f'{name},', f'{wrong},'), f"found the column '{wrong}'; needed '{name}'") for name, wrong in [('date', 'Date'), ('date', 'dates'), ('Reading', 'reading'), ('Reading', 'Readings'), ('Reading', ' Reading'),
      ('Programming', 'Programing'), ('Project progress', 'Project Progress'), ('Project progress', 'Project  progress'), ('Writing and reflection', 'Writing & reflection'), ('Watching and talking', 'Watching and Talking'), ('Backlog', 'Back log')]),
    *((name, swap(f'{name},', 'Other,'), f'needed {name!r}') for name in ('Reading', 'Programming', 'Backlog')),
    *((name, swap('Mood', name), f'found the column {name} 2 times') for name in ('date', *COLUMNS)),
    ('no header', swap(SOUND.split('\n')[0] + '\n', ''), "found no such column; needed 'date'"),
    ('an empty file', lambda text: '', 'found an empty file'),
    ('a blank first line', lambda text: '\n' + text, 'found an empty file'),
    ('only a mark', lambda text: '\ufeff', 'found an empty file'),
    ("a spreadsheet's own first line", lambda text: 'sep=,\n' + text, 'needed'),
    ('one column', lambda text: 'date\n2026-11-23\n', "needed 'Reading'"),
    ('spaces for commas', swap(SOUND.split('\n')[0], SOUND.split('\n')[0].replace(',', ' ')), 'found no such column'),
    ('a web page', lambda text: '<!DOCTYPE html>\n<html></html>\n', "needed 'date'"),
]

ROWS = [  # what, how, row, column, what must be said
    ('a day twice', swap('2026-11-24', '2026-11-23'), TUESDAY, 'date', 'again, as in row 3'),
    ('the last day twice', end('2026-11-30,,,,,,,\n'), 7, 'date', 'again, as in row 6'),
    ('a day below a later one', end('2026-11-27,,,,,,,\n'), 7, 'date', 'found 2026-11-27 below 2026-11-30'),
    ('a day below the wrong week', swap('2026-11-24', '2026-12-01'), WEEK_2, 'date', 'found week 2 below 2026-12-01'),
    ('weeks swapped', lambda t: t.replace('week 1', 'week 9').replace('week 2', 'week 1').replace('week 9', 'week 2'), MONDAY, 'date', 'found 2026-11-23 below week 2'),
    ('a week twice', swap('week 2', 'week 1'), WEEK_2, 'date', 'again, as in row 2'),
    ('a week below its days', end('week 3,,,,,,,\n2026-12-01,,,,,,,\n'), 8, 'date', 'found 2026-12-01 below week 3'),
    ('a week at the end', end('week 1,,,,,,,\n'), 7, 'date', 'again'),
    ('a week that is over', lambda t: t.replace('week 1,', 'week 3,'), MONDAY, 'date', 'below week 3'),
    ('before the first Monday', swap('2026-11-23', '2026-11-22'), MONDAY, 'date', 'before the first Monday 2026-11-23'),
    ('years before', swap('2026-11-23', '1926-11-23'), MONDAY, 'date', 'before the first Monday'),
    ('no date', swap('2026-11-24,', ','), TUESDAY, 'date', "found ''"),
    ('a space for a date', swap('2026-11-24,', ' ,'), TUESDAY, 'date', "found ''"),
    ('two things of a week', swap('[ ] draw the spikes,,,,', '[ ] draw the spikes,[ ] write,,,'), WEEK_2, 'Writing and reflection', 'needed one thing in the row of a week'),
    ('two things in a cell of a week', swap('week 2,,,[ ] draw the spikes', 'week 2,,,"[ ] draw the spikes\n[ ] and more"'), WEEK_2, 'Project progress', 'needed one thing'),
    ('a week for its backlog', swap('week 2,,,[ ] draw the spikes,,,,', 'week 2,,,,,,[ ] draw the spikes,'), WEEK_2, 'Backlog', 'move it there'),
    ('a cell too few', swap(',,,,sunny', ',,,sunny'), MONDAY, 'date', 'found 7 cells; needed 8'),
    ('a cell too many', swap(',,,,sunny', ',,,,,sunny'), MONDAY, 'date', 'found 9 cells; needed 8'),
    ('a torn end', lambda t: t[:t.rindex(',,[ ] draw')], LAST, 'date', 'found 2 cells'),
    ('a torn date', lambda t: t + '2026-12', 7, 'date', 'found 1 cells'),
    ('another separator in a row', swap('2026-11-30,[ ] a chapter,,[ ] draw the spikes,,,,', '2026-11-30;[ ] a chapter;;[ ] draw the spikes;;;;'), LAST, 'date', 'found 1 cells'),
    ('a comma without quotes', swap('[ ] toy problem', '[ ] toy, problem'), MONDAY, 'date', 'found 9 cells'),
    ('a merge left open', swap('2026-11-24', '<<<<<<< HEAD\n2026-11-24'), TUESDAY, 'date', 'found 1 cells'),
    ('quotes that do not close', swap('[ ] a chapter', '"[ ] a chapter'), LAST, 'Reading', 'quotes that do not close'),
    ('words behind quotes', swap('[ ] a chapter', '"[ ] a chapter" now'), LAST, 'Reading', 'quotes that do not close'),
    ('a quote within quotes', swap('[ ] a chapter', '"[ ] a "long" chapter"'), LAST, 'Reading', 'quotes that do not close'),
    ('one quote', swap('[ ] a chapter', '"'), LAST, 'Reading', 'quotes that do not close'),
    ('three quotes', swap('sunny', '"""'), MONDAY, 'Mood', 'quotes that do not close'),
    ('a quoted date that does not close', swap('2026-11-30', '"2026-11-30'), LAST, 'date', 'quotes that do not close'),
    ('a very long cell', swap('sunny', 'sun' * 11_000), MONDAY, 'Mood', 'found 33,000 characters'),
    ('a long item', swap('a chapter', 'a ' * 20_000 + 'chapter'), LAST, 'Reading', 'needed at most 32,767'),
    *((f'the character {ord(c):#04x}', swap('sunny', f'sun{c}ny'), MONDAY, 'Mood', 'control character') for c in '\x00\x01\x07\x08\x0b\x0c\x1a\x1b\x1f\x7f\ufffe'),
    ('a control character in an item', swap('a chapter', 'a\x00 chapter'), LAST, 'Reading', 'control character'),
]

FILES = [  # what, the bytes, what must be said
    ('UTF-16', lambda t: t.encode('utf-16'), 'found text in UTF-16'),
    ('UTF-16, big end first', lambda t: b'\xfe\xff' + t.encode('utf-16-be'), 'found text in UTF-16'),
    ('UTF-32', lambda t: t.encode('utf-32'), 'found text in UTF-16'),
    ('Latin 1', lambda t: t.replace('sunny', 'sönnig').encode('latin-1'), 'byte 0xf6, which is no UTF-8'),
    ('Windows', lambda t: t.replace('sunny', '“sunny”').encode('cp1252'), 'byte 0x93, which is no UTF-8'),
    ('Mac', lambda t: t.replace('sunny', 'sönnig').encode('mac-roman'), 'byte 0x9a, which is no UTF-8'),
    ('half a letter', lambda t: t.encode() + 'ö'.encode()[:1], 'byte 0xc3, which is no UTF-8'),
    ('half a surrogate', lambda t: t.encode() + b'\xed\xa0\x80', 'byte 0xed'),
    ('an .xlsx file', lambda t: b'PK\x03\x04' + bytes(range(256)), 'kata plan import'),
    ('an .xls file', lambda t: b'\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 'found an old spreadsheet'),
    ('random bytes', lambda t: bytes(range(128, 256)), 'no UTF-8'),
    ('zeros', lambda t: b'\x00' * 512, 'needed'),
]

def _table(text):
    return list(csv.reader(io.StringIO(text, newline='')))

def _rows(text, change):
    return ''.join(','.join(quoted(v) for v in change(row)) + '\n' for row in _table(text))

def _with_sep(text, sep, always=False):
    return ''.join(sep.join(quoted(v, sep, always) for v in row) + '\n' for row in _table(text))

UNUSUAL = {  # odd, and sound: read like the plan that it was made from
    'a byte-order mark': lambda t: '\ufeff' + t,
    'semicolons': lambda t: _with_sep(t, ';'),
    'tabs': lambda t: _with_sep(t, '\t'),
    'line ends of Windows': lambda t: t.replace('\n', '\r\n'),
    'line ends of old Macs': lambda t: t.replace('\n', '\r').replace('[@spikes2019]\r', '[@spikes2019]\n'),
    'no line end at the end': lambda t: t.rstrip('\n'),
    'quotes everywhere': lambda t: _with_sep(t, ',', always=True),
    'quotes that are not needed': lambda t: t.replace('[ ] a chapter', '"[ ] a chapter"'),
    'blank rows': lambda t: t.replace('week 2', ',,,,,,,\n\nweek 2') + ',,,,,,,\n\n\n',
    'spaces around items': lambda t: t.replace('[ ] toy problem {1p}', '  [ ] toy problem {1p}  '),
    'blank lines in a cell': lambda t: t.replace('[@spikes2019]\n[-]', '[@spikes2019]\n\n[-]'),
    'columns in another order': lambda t: _rows(t, lambda r: [r[-1], *r[:-1]]),
    'a column without a name': lambda t: _rows(t, lambda r: [*r, '']),
    'two foreign columns of one name': lambda t: _rows(t, lambda r: [*r, r[-1]]),
}

DAMAGED = [
    *((f'the date {d}', swap('2026-11-24', d), [f'row {TUESDAY}, column date: found', repr(d)[:20], 'needed a date as 2026-11-23']) for d in DATES),
    *((f'the item {line}', swap('[ ] a letter (https://example.org/a_(b))', line), [f'row {TUESDAY}, column Reading: found', said, 'needed' if 'formula' in said else '']) for line, said in ITEMS.items()),
    *((f'{state} in {column}', swap('2026-11-30,[ ] a chapter,,[ ] draw the spikes,,,,', '2026-11-30,' + ',' * COLUMNS.index(column) + state + ' more' + ',' * (6 - COLUMNS.index(column))),
       [f'row {LAST}, column {column}: found', 'unknown state']) for column in COLUMNS for state in ('[o]', '[y]')),
    *((f'the header, {name}: {said}', change, ['row 1: found', said]) for name, change, said in HEADERS),
    *((name, change, [f'row {row}, column {column}: found', said, 'needed']) for name, change, row, column, said in ROWS),
    *((name, change, ['found', said]) for name, change, said in FILES),
    ('50,000 rows of another year', lambda t: t + ''.join(f'{n},,,,,,,\n' for n in range(50_000)), ['row 7, column date', 'and 49980 more']),
    ('a formula in each cell', lambda t: t.replace('[ ] ', '=HYPERLINK('), ['row 2, column Project progress', 'row 3, column Programming', 'row 4, column Reading', 'row 6, column Project progress']),
    *((f'{what}, with {dress}', lambda text, change=change, dress=dress: UNUSUAL[dress](change(text)), [where, said]) for dress in ('a byte-order mark', 'semicolons', 'tabs', 'line ends of Windows', 'quotes everywhere', 'a column without a name')
      for what, change, where, said in [('a wrong date', swap('2026-11-24', '24.11.2026'), f'row {TUESDAY}, column date', "found '24.11.2026'"), ('an unknown state', swap('[ ] a chapter', '[~] a chapter'), f'row {LAST}, column Reading', "unknown state '~'")]),
]
