"Damaged notebooks, records and settings, as data: what is done to a sound one, and words that must be said of it."
import copy, json, os

PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII='
FRONT = 'title: {}\ndate: 2026-11-23\ndescription: A sum.\ncategories: [sums]\nkata: {{week: 1, profiles: {{cpu: {{n: 10}}, smoke: {{n: 2}}}}}}'

def nested(depth):
    "Lists in lists."
    value = []
    for _ in range(depth): value = [value]
    return value

WRONG = {'null': None, 'number': 3, 'list': [], 'dict': {}, 'odd list': [[1, {}], None], 'text': 'x' * 20_000, 'switch': True, 'nested': nested(150)}

def sound(subject='bad'):
    "A notebook that has one of everything."
    def cell(kind, source, n, **kw): return dict(cell_type=kind, id=f'cell{n}', metadata={}, source=source.splitlines(True), **kw)
    def code(source, n, *outputs): return cell('code', source, n, execution_count=None, outputs=list(outputs))
    return dict(cells=[
        cell('raw', f'---\n{FRONT.format(subject)}\n---', 1),
        cell('markdown', f'# Post\n\n> A sum.\n\n![dot](attachment:dot.png)', 2, attachments={'dot.png': {'image/png': PNG}}),
        code(f'#| default_exp {subject}', 3),
        code('#| parameters\nn = 100', 4),
        code('from kata_blog.core import report\nprint("a")\nreport(total=sum(range(n)))', 5,
             dict(output_type='stream', name='stdout', text=['a\n']),
             dict(output_type='display_data', metadata={}, data={'application/vnd.kata+json': {'metrics': {'total': {'value': 45}}}, 'text/plain': ['total 45']})),
        code('#| fig-alt: a dot\n#| label: fig-dot\n1', 6,
             dict(output_type='execute_result', execution_count=None, metadata={}, data={'image/png': PNG, 'text/html': ['<b>x</b>'], 'text/plain': ['x']}),
             dict(output_type='error', ename='E', evalue='v', traceback=['t'])),
        cell('markdown', 'The end.', 7)],
        metadata=dict(kernelspec=dict(display_name='python3', language='python', name='python3')), nbformat=4, nbformat_minor=5)

# changing one place of a JSON value

def places(value, at=()):
    "The way to each value inside a value."
    yield at
    for k, v in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else (): yield from places(v, (*at, k))

def replaced(value, at, new):
    "A copy with another value at one place."
    if not at: return new
    value = copy.copy(value)
    value[at[0]] = replaced(value[at[0]], at[1:], new)
    return value

def without(value, *at):
    "A copy that lacks one place."
    value = copy.copy(value)
    if len(at) == 1: del value[at[0]]
    else: value[at[0]] = without(value[at[0]], *at[1:])
    return value

# damage to a notebook file, as functions that make the file at a path

def text(write): return lambda path: path.write_bytes(write.encode('utf-8', 'surrogatepass') if isinstance(write, str) else write)
def sources(n, source): return lambda path: path.write_text(json.dumps(replaced(sound(), ('cells', n, 'source'), source)))
def at(*where, to): return lambda path: path.write_text(json.dumps(replaced(sound(), where, to)))
def lacking(*where): return lambda path: path.write_text(json.dumps(without(sound(), *where)))
def kernel(**spec): return at('metadata', to=dict(kernelspec=spec))

WHOLE = json.dumps(sound(), indent=1)
V3 = dict(metadata=dict(name=''), nbformat=3, nbformat_minor=0, worksheets=[dict(cells=[])])
DEEP = '[' * 10_000 + ']' * 10_000

REFUSED = {  # every command says so
    **{f'cut at {n} %': (text(WHOLE[:len(WHOLE) * n // 100]), 'no JSON') for n in (1, 7, 20, 33, 50, 66, 80, 93, 99)},
    'empty': (text(''), 'no JSON'), 'blanks': (text(' \n '), 'no JSON'), 'a picture': (text(b'\x89PNG\r\n\x1a\n' + bytes(99)), 'byte 0 is no UTF-8'), 'zeros': (text(bytes(999)), 'no JSON'),
    'binary in text': (text(WHOLE.replace('The end', 'The \xff\xfe end').encode('latin-1')), 'no UTF-8'), 'UTF-16': (text(WHOLE.encode('utf-16')), 'no UTF-8'),
    'a raw control character': (text(WHOLE.replace('The end', 'The \x00 end')), 'no JSON'), 'merge marks': (text('<<<<<<< HEAD\n' + WHOLE), 'line 1: no JSON'), 'twice': (text(WHOLE * 2), 'no JSON'),
    'a web page': (text('<!DOCTYPE html><html></html>'), 'no JSON'), 'digits': (text('1' * 5000), 'no JSON'), '10,000 lists': (text(DEEP), ('no JSON', 'levels deep')),
    'lists in an output': (text(WHOLE.replace('"metrics": {', f'"deep": {DEEP}, "metrics": {{')), ('no JSON', 'levels deep')),
    'another list': (text('[]'), 'list of cells'), 'another dict': (text('{}'), 'list of cells'), 'null': (text('null'), 'list of cells'),
    'nbformat 3': (text(json.dumps(V3)), 'nbformat is 3; needed 4'), 'nbformat 5': (at('nbformat', to=5), 'nbformat is 5'), 'no nbformat': (lacking('nbformat'), 'nbformat is None'),
    'no cells': (lacking('cells'), 'list of cells'), 'no source': (lacking('cells', 1, 'source'), 'cell 2: its source is None'), 'no kind': (lacking('cells', 1, 'cell_type'), 'cell 2: a cell of the kind None'),
    'a heading': (at('cells', 1, 'cell_type', to='heading'), "cell 2: a cell of the kind 'heading'"), 'a pyout': (at('cells', 4, 'outputs', 0, 'output_type', to='pyout'), "cell 5, output 1: its kind is 'pyout'"),
    'an output without data': (lacking('cells', 5, 'outputs', 0, 'data'), 'cell 6, output 1: it is a execute_result without data'),
    **{f'{name} as cells': (at('cells', to=v), 'cells') for name, v in WRONG.items() if name not in ('list', 'nested')},
    **{f'{name} as a cell': (at('cells', 3, to=v), ('cells', 'cell 4', 'levels')) for name, v in WRONG.items()},
    **{f'{name} as source': (at('cells', 3, 'source', to=v), ('cell 4: its source', 'levels')) for name, v in WRONG.items() if name not in ('list', 'text')},
    **{f'{name} as kind': (at('cells', 3, 'cell_type', to=v), ('cell 4: a cell of the kind', 'levels')) for name, v in WRONG.items()},
    **{f'{name} as outputs': (at('cells', 4, 'outputs', to=v), ('cell 5', 'levels')) for name, v in WRONG.items() if name != 'list'},
    **{f'{name} as data': (at('cells', 4, 'outputs', 1, 'data', to=v), ('cell 5, output 2', 'levels')) for name, v in WRONG.items() if name != 'dict'},
    **{f'{name} as printed text': (at('cells', 4, 'outputs', 0, 'text', to=v), ('cell 5, output 1', 'levels')) for name, v in WRONG.items() if name not in ('list', 'text')},
    **{f'{name} as a picture': (at('cells', 5, 'outputs', 0, 'data', 'image/png', to=v), ('cell 6, output 1', 'levels')) for name, v in WRONG.items() if name not in ('list', 'text')},
    **{f'{name} as metadata': (at('metadata', to=v), ('metadata', 'levels')) for name, v in WRONG.items() if name != 'dict'},
    **{f'{name} as attachments': (at('cells', 1, 'attachments', to=v), ('cell 2: it.attachments', 'levels')) for name, v in WRONG.items() if name != 'dict'},
    'front matter cut off': (sources(0, '---\ntitle: a: b\n---'), 'front matter is no YAML'), 'front matter as a list': (sources(0, '---\n- a\n---'), 'front matter is a list'),
    'front matter 10,000 deep': (sources(0, f'---\ntitle: {DEEP}\n---'), 'front matter'), 'a tab in front matter': (sources(0, '---\na:\n\t- b\n---'), 'front matter is no YAML'),
    'a date that is none': (sources(0, '---\ntitle: a\ndate: 2026-99-99\n---'), 'front matter'), 'a list as title': (sources(0, '---\ntitle: [a]\n---'), 'title is'),
    'a directive that is none': (sources(5, '#| echo: [\n1'), 'cell 6, line 1'), 'NUL in a directive': (sources(5, '#| echo: \x00\n1'), 'cell 6, line 1'),
    'a folder': (lambda path: path.mkdir(), 'a folder; needed a file'), 'a link to nowhere': (lambda path: path.symlink_to('gone.ipynb'), 'a link to gone.ipynb'),
    'a link to itself': (lambda path: path.symlink_to(path.name), 'ymbolic link'), 'a pipe': (os.mkfifo, 'a pipe; needed a file'), 'a device': (lambda path: path.symlink_to('/dev/zero'), 'a device; needed a file'),
}

NO_RUN = {  # `kata run` says so; a page could still be printed
    'R': (kernel(name='ir', language='R', display_name='R'), 'for R; a post runs as Python'), 'Julia': (kernel(name='julia-1.10', language='julia', display_name='Julia'), 'for julia'),
    'NUL among the parameters': (sources(3, '#| parameters\nn = "\x00"'), 'cell 4'), 'parameters that are none': (sources(3, '#| parameters\nn = what()'), 'cell 4'),
    'parameters 10,000 deep': (sources(3, f'#| parameters\nn = {DEEP}'), 'cell 4'), 'profiles that are none': (sources(0, '---\ntitle: a\ndate: 2026-11-23\nkata: {profiles: [3]}\n---'), 'kata.profiles'),
    'kata as a list': (sources(0, '---\ntitle: a\ndate: 2026-11-23\nkata: [3]\n---'), 'kata.profiles'), 'two cells of parameters': (sources(5, '#| parameters\nm = 1'), 'a second cell'),
}

BORNE = {  # nothing is wrong for us; read as it is meant
    'CRLF': text(WHOLE.replace('\n', '\r\n')), 'a mark of UTF-8': text(b'\xef\xbb\xbf' + WHOLE.encode()), 'CRLF in cells': text(WHOLE.replace('\\n', '\\r\\n')),
    'half a character': sources(6, 'The \ud800 end.'), 'NUL in prose': sources(6, 'The \x00 end.'), 'no metadata': lacking('metadata'), 'no ids': at('cells', to=[without(c, 'id') for c in sound()['cells']]),
    'a kernel without a language': kernel(name='python3', display_name='x'), 'code that is none': sources(5, 'if x:\n\x00'), 'code 10,000 deep': sources(5, DEEP), 'half a character in code': sources(5, 'x = "\ud800"'),
}
NO_CODE = ('code that is none', 'code 10,000 deep', 'half a character in code')  # borne, but they cannot run
