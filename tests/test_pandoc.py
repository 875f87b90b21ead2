"Printing a note: every kind of output and cell that a page meets."
import base64, json, re, zlib
from html import unescape
from pathlib import Path
import pytest
from kata_blog.core import KataError, NoteError
from kata_blog.press.note import Cell, Note, read_directives
from kata_blog.press.pandoc import Draft, Pandoc, page_markdown, picture_facts, print_note, python_html, terminal_html

PNG = base64.b64decode('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4////fwAJ+wP9KobjigAAAABJRU5ErkJggg==')
B64 = base64.b64encode(PNG).decode()
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="30pt" height="15pt"><path d="M0 0"/></svg>'

@pytest.fixture(scope='module')
def pandoc():
    with Pandoc() as p: yield p

def shows(**data): return dict(output_type='display_data', metadata={}, data={k.replace('_', '/', 1).replace('svg', 'svg+xml'): v for k, v in data.items()})
def prints(text, name='stdout'): return dict(output_type='stream', name=name, text=text)

def draft(*cells, **options):
    found = []
    for i, c in enumerate(cells, 1):
        if isinstance(c, str): found.append(Cell('markdown', c, i, f'm{i}'))
        else:
            directives, text = read_directives(c[0])
            found.append(Cell('code', c[0], i, f'c{i}', list(c[1:]), directives=directives, code=text))
    return Draft(Note(Path('a.ipynb'), {}, found), options, 'a_files/figure-html')

@pytest.fixture
def page(pandoc): return lambda *cells, **options: print_note(pandoc, draft(*cells, **options)).html

@pytest.mark.parametrize('outputs,there,not_there', [
    ([prints('a <b> & c\n')], ['cell-output-stdout', 'a &lt;b&gt; &amp; c</code>'], []),
    ([prints('a'), prints('b')], ['>ab</code>'], []),
    ([prints('a\n'), prints('w', 'stderr'), prints('b')], ['cell-output-stderr', '>a</code>', '>w</code>', '>b</code>'], []),
    ([prints('  \n')], [], ['cell-output']),
    ([prints(['one\n', 'two'])], ['one\ntwo'], []),
    ([shows(text_plain='<x>')], ['cell-output-display', '&lt;x&gt;'], []),
    ([shows(text_plain='x', text_html='<b id="q">y</b>')], ['<b id="q">y</b>'], ['>x<']),
    ([shows(text_html='<i>h</i>', image_png=B64)], ['<i>h</i>'], ['<img']),
    ([shows(text_plain='x', image_png=B64)], ['<img src="a_files/figure-html/cell-1-output-1.png"', 'width="1" height="1"'], ['>x<']),
    ([shows(image_png=B64, image_svg=SVG)], ['.svg"', 'width="40" height="20"'], ['.png']),
    ([shows(text_markdown='# *m* $x$', text_plain='x')], ['<em>m</em>', '<math'], []),
    ([shows(text_latex='$$\\frac{1}{2}$$', text_plain='x')], ['<mfrac>'], ['>x<']),
    ([{'output_type': 'display_data', 'metadata': {}, 'data': {'text/plain': 'accuracy 0.9', 'application/vnd.kata+json': {'metrics': {'accuracy': {'value': .9}}}}}], ['accuracy 0.9'], ['metrics']),
    ([{'output_type': 'display_data', 'metadata': {}, 'data': {'application/vnd.kata+json': {}}}], [], ['cell-output']),
    ([{'output_type': 'execute_result', 'metadata': {}, 'data': {'text/plain': ['a', 'b']}, 'execution_count': 1}], ['>ab</code>'], []),
    ([{'output_type': 'error', 'ename': 'ValueError', 'evalue': 'no', 'traceback': ['\x1b[31mValueError\x1b[0m: no']}], ['cell-output-error', '<span class="ansi-red">ValueError</span>: no'], []),
    ([{'output_type': 'error', 'ename': 'ValueError', 'evalue': 'no', 'traceback': []}], ['ValueError: no'], []),
    ([shows(text_html='<style scoped>td {}</style><table border="1" class="dataframe"><tr><td>1</td></tr></table>')], ['<div class="table-scroll"><table'], ['<style']),
    ([shows(text_html='a\n\n```\n:::::\n</div>')], ['a\n\n```\n:::::\n</div>'], [])])
def test_outputs(page, outputs, there, not_there):
    html = page(('draw()', *outputs), 'after')
    assert all(t in html for t in there) and not any(t in html for t in not_there), html
    assert '<p>after</p>' in html and 'held' not in html

@pytest.mark.parametrize('options,there,not_there', [
    ('#| echo: false', ['out'], ['draw']), ('#| output: false', ['draw'], ['out']), ('#| include: false', [], ['draw', 'out', 'cell']), ('#| warning: false', ['draw', 'out'], ['careful']),
    ('#| code-fold: true', ['<details class="code-fold"><summary>Code</summary>', '</details>', 'draw'], ['open']), ('#| code-fold: show', ['class="code-fold" open>'], []),
    ('#| code-fold: true\n#| code-summary: "A & B"', ['<summary>A &amp; B</summary>'], []), ('#| output-fold: true', ['<details class="output-fold"><summary>Output</summary>', 'out'], []),
    ('#| output: asis', ['<p>out</p>'], ['cell-output-stdout']), ('#| column: page', ['class="cell column-page"'], []), ('#| classes: big', ['class="cell big"'], [])])
def test_options_of_a_cell(page, options, there, not_there):
    html = page((f'{options}\ndraw()', prints('out\n'), prints('careful', 'stderr')))
    assert all(t in html for t in there) and not any(t in html for t in not_there), html

def test_the_page_and_the_site_give_defaults_and_the_cell_wins(page):
    html = page(('#| echo: true\none', ), ('two',), **{'echo': False, 'code-fold': True})
    assert 'one' in html and 'two' not in html and 'code-fold' in html

def test_a_labelled_figure_has_number_caption_id_and_alt(page):
    html = page('See @fig-a, [-@fig-b] and [@fig-a; @fig-b].', ('#| label: fig-a\n#| fig-cap: "A *line*: $x$ [1]"\n#| fig-alt: "goes \\"up\\""\nx', shows(image_png=B64)),
                ('#| label: fig-b\n#| fig-cap: Second\nx', shows(image_png=B64)))
    assert '<figure id="fig-a"' in html and 'alt="goes &quot;up&quot;"' in html and 'alt="Second"' in html
    assert 'Figure\xa01: </span>A <em>line</em>: ' in html and 'Figure\xa02: </span>Second' in html
    assert '<a href="#fig-a" class="quarto-xref">Figure\xa01</a>' in html and '<a href="#fig-b" class="quarto-xref">2</a>' in html

def test_a_caption_that_would_break_markdown_does_not(page):
    html = page(('#| label: fig-a\n#| fig-cap: "a ] ::::: ![ b"\nx', shows(image_png=B64)), '## Next')
    assert '<h2 id="next">' in html and '<figcaption>' in html and '</figure>' in html

def test_tables_equations_and_figures_of_prose_are_numbered_too(page):
    html = page('| a |\n|---|\n| 1 |\n\n: Cap {#tbl-a}\n\n$$x^2$$ {#eq-a}\n\n![Cap](b.png){#fig-a}\n\n::: {#fig-b}\n![](c.png)\n\nLast\n:::\n\n@tbl-a @eq-a @fig-a @fig-b',
                ('#| label: tbl-b\n#| tbl-cap: Two\nx', shows(text_html='<table><tr><td>1</td></tr></table>')), 'and @tbl-b')
    for name in ('Table\xa01', 'Equation\xa01', 'Figure\xa01', 'Figure\xa02', 'Table\xa02'): assert f'>{name}</a>' in html
    assert '(1)' in html and html.count('<figure') == 3

def test_a_reference_to_nothing_is_said(pandoc): assert print_note(pandoc, draft('See @fig-gone and @someone2020.')).unresolved == ['fig-gone']

@pytest.mark.parametrize('kind', ['note', 'tip', 'warning', 'important', 'caution'])
def test_callouts(page, kind):
    html = page(f'::: {{.callout-{kind}}}\n## Title `x`\nText.\n:::\n\n::: {{.callout-{kind} collapse="true" title="Fold"}}\nIn.\n:::')
    assert f'<aside class="callout callout-{kind}"><p class="callout-title">' in html and 'Title <code>x</code>' in html and '<p>Text.</p>' in html
    assert f'<details class="callout callout-{kind}"><summary' in html and '<h2' not in html

def test_prose(page):
    html = page('# One\n\na[^1] <https://x.org> b\n- item\n\n[^1]: Foot.\n\n## Two {#own}\n\n~~~python\nx = 1\n~~~\n\n$$\\sum_i x_i$$\n\nTerm\n:   meaning\n')
    for part in ('id="one"', 'id="own"', 'role="doc-endnotes"', '<ul>', '<span class="math-display"><math display="block"', '<dl>', 'class="sourceCode python"'): assert part in html

def test_headings_are_listed_without_links_and_notes(pandoc):
    body = print_note(pandoc, draft('## A [link](x) of `code`^[note]\n\n### B $x$ {#b}\n\n## Hidden {.unlisted}', '::: {.callout-note}\n## Not me\n:::'))
    assert [(h['id'], h['level']) for h in body.headings] == [('a-link-of-code', 2), ('b', 3)]
    assert body.headings[0]['html'] == 'A link of <code>code</code>' and '<math' in body.headings[1]['html']

def test_code_is_highlighted_with_lines_one_can_link_to(page):
    html = page(('def f(x):\n    return """\n```\n:::::\n````\n"""',), 'after')
    assert '<b>def</b>' in html and 'id="cb1"' in html and html.count('<pre') == 1 and '<p>after</p>' in html

@pytest.mark.parametrize('short, name', dict(sh='bash', py='python', js='javascript', yml='yaml', md='markdown').items())
def test_a_short_name_of_a_language_is_its_name(page, short, name): assert page(f'```{short}\n# x\n```') == page(f'```{name}\n# x\n```')

@pytest.mark.parametrize('block', ['```text\na < "b" & c\n\n  d\n```', '- in a list\n\n  ```console\n  $ x\n  ```', '```{.text #own}\nx\n```', '```{.output .wide}\nx\n```'])
def test_text_in_no_language_is_as_pandoc_writes_it(page, block):
    import pypandoc
    assert page(block).split() == pypandoc.convert_text(block, 'html5', 'markdown').split()

def test_blocks_are_numbered_in_their_order(page):
    assert re.findall('id="(cb[^"]*)"', page('```python\na\n```', ('b',), '```r\nc\n```', ('d',))) == ['cb1', 'cb2', 'cb3', 'cb4']

def st(text): return f'<span class="st">{text}</span>'

@pytest.mark.parametrize('code,marked', [
    ('if x: # so', '<b>if</b> x: <i># so</i>'), ('x.import_ = d.get("is")', f'x.import_ = d.get({st(chr(34) + "is" + chr(34))})'), ("f'{x} < 3'", st("f'{x} &lt; 3'")), ("'a\\' # b' # c", st("'a\\' # b'") + ' <i># c</i>'),
    ('%time f()\n!ls', '%time f()\n!ls'), ("it's", 'it' + st("'s")), ('prefix"a"', 'prefix' + st('"a"')), ('\tx', '    x'), ('a\x00b', 'ab'), ('', '')])
def test_python_is_marked(code, marked): assert python_html(code) == marked

@pytest.mark.parametrize('code', ["'''it's\n\"q\"\n'''", 'x = """\n# no\n', "'\\", '\"' * 7, 'a' * 50_000, "'" * 9_999, '"\\' * 9_999])
def test_code_says_what_it_said(code):
    assert unescape(re.sub('<[^>]*>', '', python_html(code))) == code

def test_a_long_line_makes_a_wide_block(page): assert 'wide' in page(('x' * 85,)) and 'wide' not in page(('x' * 84,))

def test_citations(pandoc, tmp_path):
    (tmp_path/'a.bib').write_text('@article{he2016, title={Deep Residual Learning}, author={He, Kaiming}, year={2016}, journal={CVPR}}')
    body = print_note(pandoc, draft('As @he2016 and [@he2016] say; @fig-a.', ('#| label: fig-a\n#| fig-cap: c\nx', shows(image_png=B64))), bibliography=[str(tmp_path/'a.bib')])
    text = re.sub(r'<[^>]+>', '', body.html)
    assert 'He (2016)' in text and '(He 2016)' in text and 'Deep Residual Learning' in body.html and 'id="ref-he2016"' in body.html and body.unresolved == []

def test_attached_pictures_become_files(pandoc):
    d = draft('![alt](attachment:p.png)')
    d.note.cells[0].attachments = {'p.png': {'image/png': B64}}
    body = print_note(pandoc, d)
    assert list(body.files) == ['a_files/figure-html/cell-1-p.png'] and body.files['a_files/figure-html/cell-1-p.png'] == PNG and 'alt="alt"' in body.html

def test_raw_cells_are_html(pandoc):
    d = draft('a')
    d.note.cells.append(Cell('raw', '<b class="q">raw</b>', 2))
    assert '<b class="q">raw</b>' in print_note(pandoc, d).html

def test_two_pictures_of_a_cell_have_an_alt_each(page):
    html = page(('#| fig-alt: ["one", "two"]\nx', shows(image_png=B64), shows(image_png=B64)))
    assert 'alt="one"' in html and 'alt="two"' in html and 'output-1.png' in html and 'output-2.png' in html

def test_the_size_that_the_notebook_gives_wins(page):
    html = page(('x', shows(image_png=B64) | {'metadata': {'image/png': {'width': 320.4, 'height': 200}}}))
    assert 'width="320" height="200"' in html

@pytest.mark.parametrize('output,words', [
    (shows(image_png='!!'), 'image/png that is no base64'), (shows(image_png='abc'), 'no base64'), (shows(image_png=''), 'no base64'), (shows(text_html={'a': 1}), 'text/html that is no text'),
    ({'output_type': 'display_data'}, 'without data'), ({'output_type': 'pyout'}, "type 'pyout'"), ({}, 'type None')])
def test_a_broken_output_names_its_cell(output, words):
    with pytest.raises(NoteError) as e: page_markdown(draft('a', ('x', output)))
    assert 'a.ipynb, cell 2' in str(e.value) and words in str(e.value)

def test_a_lost_attachment_is_named():
    with pytest.raises(NoteError, match='cell 1: the attached picture'): page_markdown(draft('![a](attachment:p.png)'))

@pytest.mark.parametrize('text,html', [
    ('\x1b[1;31mx\x1b[0m', '<span class="ansi-bold ansi-red">x</span>'), ('\x1b[38;5;12;1mx\x1b[0m', '<span class="ansi-bold">x</span>'), ('\x1b[38;2;1;2;3mx', 'x'), ('\x1b[31ma\x1b[39mb', '<span class="ansi-red">a</span>b'),
    ('\x1b[1ma\x1b[22mb', '<span class="ansi-bold">a</span>b'), ('\x1b[91mx\x1b[m', '<span class="ansi-red">x</span>'), ('\x1b[2K\x1b[1Gx', 'x'), ('\x1b]8;;http://x\x07t\x1b]8;;\x07', 't'), ('a\r\nb', 'a\nb'), ('abc\rd', 'dbc'),
    ('ab\bc', 'ac'), ('1%\r100%', '100%'), ('a\x00\x07b', 'ab'), ('é 漢 \u202e', 'é 漢 \u202e'), ('\x1b[44mx', 'x')])
def test_terminal_text(text, html): assert terminal_html(text) == html

def png(kind, pixel, extra=b'', depth=8):
    import struct
    def chunk(name, body): return struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', 5, 4, depth, kind, 0, 0, 0)) + extra + chunk(b'IDAT', zlib.compress(b'\0' + bytes(pixel) * 5)) + chunk(b'IEND', b'')

def palette(alpha):
    import struct
    def chunk(name, body): return struct.pack('>I', len(body)) + name + body + b'\0\0\0\0'
    return chunk(b'PLTE', bytes((0, 0, 0, 255, 255, 255))) + chunk(b'tRNS', bytes((255, alpha)))

@pytest.mark.parametrize('data,ground', [
    (png(6, (255, 255, 255, 255)), 'light'), (png(6, (255, 255, 255, 0)), 'clear'), (png(6, (20, 20, 20, 255)), 'other'), (png(2, (250, 250, 250)), 'light'), (png(0, (255,)), 'light'), (png(4, (255, 0)), 'clear'),
    (png(3, (1,), palette(255)), 'light'), (png(3, (1,), palette(0)), 'clear'), (png(2, (250,) * 6, depth=16), 'other')])
def test_the_ground_of_a_png(data, ground): assert picture_facts(data) == dict(width=5, height=4, ground=ground)

@pytest.mark.parametrize('data,wanted', [
    (b'GIF89a\x07\x00\x05\x00', (7, 5)), (b'\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08\x00\x05\x00\x07\x01', (7, 5)), (b'RIFF\0\0\0\0WEBPVP8X\n\0\0\0\0\0\0\0\x06\0\0\x04\0\0', (7, 5)),
    (b'<svg viewBox="0 0 70.2 50" >', (70, 50)), (b'<svg width="100%" height="5">', None), (b'', None), (b'\x89PNG\r\n\x1a\n', None), (b'\xff\xd8', None)])
def test_sizes(data, wanted):
    facts = picture_facts(data)
    assert (facts.get('width'), facts.get('height')) == (wanted or (None, None))

def test_a_dead_pandoc_is_an_error_not_a_wait():
    with Pandoc() as p:
        p._process.kill()
        p._process.wait()
        with pytest.raises(KataError, match='pandoc ended'): p.convert('a')
