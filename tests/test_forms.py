"One page for each thing that a notebook may hold: what it shows is on the page, what it hides is not, and no page breaks another."
import base64, html, json, re
import pytest
from kata_blog.press.check import check_site
from kata_blog.press.render import build
from kata_blog.press.valid import valid_site
from test_render import PNG

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="7"><circle r="3"/></svg>'
GIF = base64.b64encode(b'GIF89a\x01\x00\x01\x00\x00\x00\x00;').decode()
WAV = base64.b64encode(b'RIFF' + bytes(6000)).decode()

def cell(kind, source, **more): return dict(cell_type=kind, metadata={}, source=source, **more)
def code(source, *outputs): return cell('code', source, execution_count=1, outputs=list(outputs))
def show(**data): return dict(output_type='display_data', metadata={}, data={k.replace('__', '/').replace('_plus_', '+').replace('_', '.') if '__' in k else k: v for k, v in data.items()})
def give(data): return dict(output_type='execute_result', execution_count=1, metadata={}, data=data)
def stream(text, name='stdout'): return dict(output_type='stream', name=name, text=text)

# output: (what a cell stored, what the page must hold, what it must not)
OUTPUTS = {
    'text': (stream('plain words\n'), ['plain words'], []), 'a warning': (stream('careful\n', 'stderr'), ['careful', 'cell-output-stderr'], []),
    'colours': (stream('\x1b[31mred\x1b[0m and \x1b[1;32mgreen\x1b[0m\n'), ['<span class="ansi-red">red</span>', 'green'], ['\x1b', '[31m']), 'other colours': (stream('\x1b[38;5;208morange\x1b[0m \x1b[48;2;1;2;3mback\x1b[0m\n'), ['orange', 'back'], ['38;5']),
    'progress': (stream('10 %\r50 %\r100 %\n'), ['100 %'], ['10 %\r', '50 %']), 'backspaces': (stream('typo\b\b\b\btext\n'), ['<code>text</code>'], ['typo']), 'markup as text': (stream('<b>no bold</b> & so\n'), ['&lt;b&gt;no bold&lt;/b&gt; &amp; so'], ['<b>no bold']),
    'HTML': (show(text__html='<b>bold</b>', text__plain='x'), ['<b>bold</b>'], []), 'a table': (show(text__html='<style scoped>a{}</style><table><tr><td>cell</td></tr></table>', text__plain='x'), ['table-scroll', 'cell'], ['<style scoped']),
    'SVG': (give({'image/svg+xml': SVG, 'text/plain': 'x'}), ['.svg"', 'width="9"', 'height="7"'], []), 'PNG': (show(image__png=PNG, text__plain='x'), ['.png"', 'alt='], []), 'JPEG': (show(image__jpeg=base64.b64encode(b'\xff\xd8\xff\xd9').decode()), ['.jpeg"'], []),
    'GIF': (show(image__gif=GIF), ['.gif"'], []), 'LaTeX': (give({'text/latex': '$$e = mc^2$$', 'text/plain': 'x'}), ['<math', '<mi>e</mi>'], ['$$']), 'Markdown': (show(text__markdown='**strong** and `code`'), ['<strong>strong</strong>', '<code>code</code>'], ['**strong']),
    'JSON': (give({'application/json': {'a': [1, 2]}, 'text/plain': "{'a': [1, 2]}"}), ["{'a': [1, 2]}"], []), 'a widget': (show(**{'application/vnd.jupyter.widget-view+json': {'model_id': 'x'}, 'text__plain': 'IntSlider(value=3)'}), ['IntSlider(value=3)'], []),
    'sound': (show(text__html=f'<audio controls src="data:audio/wav;base64,{WAV}"></audio>'), ['<audio', '.wav"'], ['data:audio']), 'an error': (dict(output_type='error', ename='ValueError', evalue='bad', traceback=['\x1b[31mValueError\x1b[0m: bad']), ['ValueError', ': bad', 'cell-output-error'], ['\x1b']),
    'an error without a trace': (dict(output_type='error', ename='KeyError', evalue='k', traceback=[]), ['KeyError: k'], []), 'only a form nobody knows': (give({'application/x-odd': 'odd'}), ['x = 1'], ['odd']), 'several forms': (show(text__html='<i>best</i>', image__png=PNG, text__plain='worst'), ['<i>best</i>'], ['worst']),
    'a chart of Vega': (show(**{'application/vnd.vegalite.v5+json': {'mark': 'bar', 'title': 'A </script> & B'}, 'image__png': PNG, 'text__plain': 'alt.Chart'}), ['<div class="chart" data-chart="vega"', '"mark":"bar"', r'A \u003c/script>', 'base64'], ['alt.Chart']),
    'a chart of Plotly': (show(**{'application/vnd.plotly.v1+json': {'data': [{'y': [1, 2]}], 'layout': {'title': {'text': 'Two'}}}, 'image__png': PNG}), ['data-chart="plotly"', '"y":[1,2]'], []),
    'a chart in HTML': (show(text__html='<div id="v"></div><script>const paths = {"vega": "https://network.example/vega@5"}; (function(spec, o){vegaEmbed("#v", spec, o)})({"mark": "line"}, {"mode": "vega-lite"});</script>', image__png=PNG), ['data-chart="vega"', '{"mark":"line"}'], ['network.example']),
    'a chart in HTML of Plotly': (show(text__html='<script src="https://network.example/plotly.js"></script><div id="p"></div><script>Plotly.newPlot( "p", [{"y": [3]}], {"height": 200}, {"responsive": true} )</script>', image__png=PNG), ['data-chart="plotly"', '"y":[3]', '"height":200'], ['network.example']),
    'a library': (show(text__html='<script>/**\n* plotly.js v3.1.0\n*/ var Plotly = {}</script>'), ['x = 1'], ['Plotly']),
    'HTML with marks of Markdown': (show(text__html='<p>a</p>\n\n```\n\n````{=html}\n<i>c</i>'), ['<p>a</p>\n\n```\n\n````{=html}\n<i>c</i>'], []),
    'right to left': (stream('שלום עולם\n'), ['שלום עולם'], []), 'emoji': (stream('🧠 👩‍🔬\n'), ['🧠 👩‍🔬'], []), 'null characters': (stream('a\x00b\x07c\n'), ['abc'], ['\x00'])}

def as_lines(value): return value.splitlines(True) if isinstance(value, str) else value

def in_lines(output):
    "The same output with its texts as lists of lines, as most programs write them."
    output = json.loads(json.dumps(output))
    if 'text' in output: output['text'] = as_lines(output['text'])
    for k, v in output.get('data', {}).items(): output['data'][k] = as_lines(v)
    return output

# directive: (first lines of a cell that prints `out`, what the page holds, what not)
PLAIN = code('answer = 42', stream('out of it\n'))
DIRECTIVES = {
    'none': ('', ['answer', 'out of it'], []), '#| echo: false': (None, ['out of it'], ['answer']), '#| output: false': (None, ['answer'], ['out of it']), '#| include: false': (None, [], ['answer', 'out of it']), '#| hide': (None, [], ['answer', 'out of it']),
    '#| hide_input': (None, ['out of it'], ['answer']), '#| hide_output': (None, ['answer'], ['out of it']), '#| code-fold: true': (None, ['<details class="code-fold"><summary>Code</summary>', 'out of it'], []), '#| code-fold: show': (None, ['<details class="code-fold" open>'], []),
    '#| code-fold: true\n#| code-summary: "How"': (None, ['<summary>How</summary>'], []), '#| output-fold: true': (None, ['<details class="output-fold">', 'out of it'], []), '#| output-fold: true\n#| output-summary: Result': (None, ['<summary>Result</summary>'], []),
    '#| filter_stream: out': (None, ['answer'], ['out of it']), '#| export': (None, ['answer'], []), '#| exports': (None, ['answer'], []), '#| default_exp some': (None, ['answer'], ['default_exp']), '#| eval: false': (None, ['answer'], []), '#| label: cell-one': (None, ['out of it'], []),
    '#| column: page': (None, ['column-page'], []), '#| classes: odd': (None, ['odd'], []), '#|echo:false': (None, ['out of it'], ['answer']), '# | echo: false': (None, ['out of it'], ['answer']), '#| warning: false': (None, ['out of it'], []), '#| error: true': (None, ['out of it'], [])}

WORDS = {
    'accents': ('Zażółć gęślą jaźń', 'Zażółć gęślą jaźń'), 'right to left': ('::: {dir=rtl}\nمرحبا بالعالم\n:::', 'مرحبا بالعالم'), 'Chinese': ('神经网络', '神经网络'), 'formulas': ('Inline $a_i^2$ and\n\n$$\\sum_i x_i$$', '<math'), 'a table': ('| a | b |\n|--|--|\n| 1 | 2 |', '<td'),
    'a footnote': ('Word[^1]\n\n[^1]: A note.', 'A note.'), 'a callout': ('::: {.callout-tip}\nGood to know.\n:::', 'callout-tip'), 'tabs': ('::: {.panel-tabset}\n## One\n\nfirst\n\n## Two\n\nsecond\n:::', 'role="tab"'), 'raw HTML': ('<details><summary>s</summary>inside</details>', 'inside'), 'a list of lists': ('- a\n    - b\n        - c', '<li>'),
    'a definition': ('term\n:   meaning', '<dd>'), 'code in prose': ('```python\nx = 1\n```', 'sourceCode'), 'a broken tag': ('a < b and c > d', 'a &lt; b'), 'half a character': ('\ud83d alone', 'alone'), 'only spaces': ('   \n\n', ''), 'very long': ('word ' * 20_000, 'word word'), 'a video': ('{{< video https://www.youtube.com/embed/abc >}}', 'youtube'),
    'a task list': ('- [ ] open\n- [x] done', 'done'), 'a quote': ('> said', '<blockquote'), 'strike and super': ('~~gone~~ x^2^', '<del>gone</del>')}

def v3(*outputs):
    cells = [dict(cell_type='heading', level=1, metadata={}, source='Old'), dict(cell_type='markdown', metadata={}, source='Old *words*.'),
             dict(cell_type='code', language='python', collapsed=False, metadata={}, prompt_number=1, input='y = 2', outputs=list(outputs))]
    return dict(nbformat=3, nbformat_minor=0, metadata=dict(name='Old'), worksheets=[dict(metadata={}, cells=cells)])

OLD = {'a stream': (v3(dict(output_type='stream', stream='stdout', text='old out\n')), 'old out'), 'a result': (v3(dict(output_type='pyout', prompt_number=1, metadata={}, text='4')), '4'), 'a picture': (v3(dict(output_type='display_data', metadata={}, png=PNG)), '.png"'),
       'an error': (v3(dict(output_type='pyerr', ename='E', evalue='v', traceback=['E: v'])), 'E: v'), 'HTML': (v3(dict(output_type='display_data', metadata={}, html='<b>h</b>', text='t')), '<b>h</b>'), 'nothing': (v3(), 'y = 2')}

def notebook(*cells, minor=5): return json.dumps(dict(cells=[c | ({'id': f'c{i}'} if minor == 5 else {}) for i, c in enumerate(cells)], metadata=dict(kernelspec=dict(name='python3', language='python', display_name='Python 3')), nbformat=4, nbformat_minor=minor))

def cases():
    "Name of a notebook to its text, what its page holds, and what not."
    for what, (output, has, lacks) in OUTPUTS.items():
        for minor in (0, 2, 5):
            for form in (output, in_lines(output)): yield f'output {what} 4.{minor} {"lines" if form != output else "text"}', notebook(cell('markdown', f'# {what}'), code('#| fig-alt: dot\nx = 1', form), minor=minor), has, lacks
    for words, (_, has, lacks) in DIRECTIVES.items():
        head = '' if words == 'none' else words + '\n'
        yield f'directive {words}', notebook(cell('markdown', '# D'), PLAIN | {'source': f'{head}answer = 42'}), has, lacks
    for what, (text, has) in WORDS.items(): yield f'words {what}', notebook(cell('markdown', '# W'), cell('markdown', text)), [has], []
    for what, (raw, has) in OLD.items(): yield f'nbformat 3 {what}', json.dumps(raw), [has, 'Old'], []
    yield 'raw HTML cell', notebook(cell('markdown', '# R'), cell('raw', '<p id="r">raw</p>')), ['<p id="r">raw</p>'], []
    yield 'attachment', notebook(cell('markdown', '# A'), cell('markdown', '![dot](attachment:a.png)', attachments={'a.png': {'image/png': PNG}})), ['alt="dot"', '.png"'], ['attachment:']
    yield 'ten megabytes', notebook(cell('markdown', '# B'), code('big()', stream(('x' * 99 + '\n') * 100_000))), ['x' * 99], []
    yield 'two thousand cells', notebook(cell('markdown', '# M'), *(c for i in range(1000) for c in (cell('markdown', f'Text {i}.'), code(f'v{i} = {i}')))), ['Text 999.', 'v999'], []
    yield 'no cells', notebook(), [], []
    yield 'empty cells', notebook(cell('markdown', ''), code(''), cell('raw', '')), [], []

CASES = {name: rest for name, *rest in cases()}

@pytest.fixture(scope='module')
def built(tmp_path_factory):
    root = tmp_path_factory.mktemp('forms')
    (root/'_quarto.yml').write_text('project: {type: website}\nwebsite: {title: Forms}\n')
    (root/'index.md').write_text('---\ntitle: Forms\n---\n\nHello.\n')
    for n, (text, *_) in enumerate(CASES.values()): (root/f'n{n:03}.ipynb').write_text(text, encoding='utf-8')
    return build(root)

def test_there_are_many_and_nothing_is_lost(built):
    assert len(CASES) >= 150 and built.problems == [] and len(built.pages) == len(CASES) + 1

@pytest.mark.parametrize('name', CASES)
def test_the_page_shows_what_the_notebook_holds(built, name):
    n, (_, has, lacks) = list(CASES).index(name), CASES[name]
    page = (built.site/f'n{n:03}.html').read_text()
    body = page[page.index('<main'):page.index('</main>')]
    flat = re.sub(r'</?span[^>]*>', '', body)  # code without its colours
    assert [h for h in has if h not in body and h not in flat] == [] and [l for l in lacks if l in body or l in flat] == []

def test_every_page_is_sound(built):
    assert [str(p) for p in check_site(built.site) if 'without alt' not in p.text] == []
    assert [str(p) for p in valid_site(built.site)] == []

def test_an_old_post_is_named_since_a_run_could_not_write_into_it(tmp_path):
    from kata_blog.core import NoteError
    from kata_blog.press.note import read_note
    (tmp_path/'posts').mkdir()
    (tmp_path/'posts/01_old.ipynb').write_text(json.dumps(v3()))
    with pytest.raises(NoteError, match='nbformat is 3; needed 4'): read_note(tmp_path/'posts/01_old.ipynb')
    (tmp_path/'bad.ipynb').write_text('{"nbformat": 3, "worksheets": 5, "cells": []}')
    with pytest.raises(NoteError, match='bad.ipynb: a notebook of nbformat 3 that cannot be read'): read_note(tmp_path/'bad.ipynb')
