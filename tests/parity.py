"""What a reader meets on a site, as plain facts, so that two renderers can be compared.

`python tests/parity.py` prints the made blog with the real Quarto (KATA_QUARTO or on PATH) and keeps its facts in parity.json;
the tests hold the embedded renderer against them."""
import base64, json, os, re, shutil, struct, sys, tempfile, zlib
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree
import html5lib
from making import of_today

KEPT = Path(__file__).with_suffix('.json')

# What differs, and why. Each is taken out of the facts of both sides where its name stands below.
DIFFERENCES = {
    'title block': "date, author, reading time and the list of contents are set by each theme; the title and the headings are compared",
    'listing words': "Quarto adds controls for sorting to a listing, ours the reading time; the posts and their order are compared",
    'appendix': "Quarto sets the headings References and Footnotes above them; with us notes stand in the margin or at the end, and the reading list needs no section of the page",
    'names of pictures': "a picture that a cell without a label drew is named after the cell's place; Quarto does not count cells that are left out",
    'alt from caption': "a picture in prose with a caption alone: with us the caption is its description too, with Quarto it has none",
    'ids of tables': "a cell that shows a table with a label carries that label as its id with Quarto, and an id of its own with us; links to the label lead to the table in both",
    'callout kinds': "Quarto repeats the kind in front of a title for screen readers, or as the title where there is none; ours shows the kind and the title apart",
    'classes of outputs': "Quarto marks an output that was Markdown as such; both show it as text of the page",
    'quotes': "in prose both make quotes curly, in the title of a page only Quarto does",
    'double braces': "Quarto shows {{ in code as {, ours as it was written",
    'address of 404': "Quarto writes its links from the root of the server, ours gives the page a base; both lead to the same pages",
}

def png(grey, side=8):
    "A small picture as base64."
    rows = b''.join(b'\0' + bytes([grey]) * side for _ in range(side))
    chunk = lambda name, data: struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))
    return base64.b64encode(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', side, side, 8, 0, 0, 0, 0)) + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')).decode()

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20" viewBox="0 0 30 20"><path d="M0 10h30" stroke="black"/></svg>'
def shows(**data): return dict(output_type='display_data', metadata={}, data={k.replace('_', '/', 1).replace('svg', 'svg+xml'): v for k, v in data.items()})
def returns(**data): return shows(**data) | dict(output_type='execute_result', execution_count=1)
def prints(text, name='stdout'): return dict(output_type='stream', name=name, text=text)
def raises(name, text): return dict(output_type='error', ename=name, evalue=text, traceback=[f'\x1b[0;31m{name}\x1b[0m: {text}'])

def notebook(front, *cells):
    "A notebook file's text from Markdown texts and (code, *outputs) tuples."
    made = [dict(cell_type='raw', id='front', metadata={}, source=f'---\n{front}\n---')] if front else []
    for n, c in enumerate(cells, 1):
        made.append(dict(cell_type='markdown', id=f'text-{n}', metadata={}, source=c) if isinstance(c, str) else
                    dict(cell_type='code', id=f'code-{n}', metadata={}, execution_count=n, source=c[0], outputs=list(c[1:])))
    return json.dumps(dict(cells=made, metadata=dict(kernelspec=dict(name='python3', language='python', display_name='Python 3')), nbformat=4, nbformat_minor=5), indent=1)

PROSE = """---
title: Every form of prose
description: One page with all that Markdown can do here.
bibliography: references.bib
---

Before any heading, with a [link to a post](posts/01_net.ipynb), [one of its parts](posts/01_net.ipynb#the-part) and [an address](https://example.org/a?b=c#d).

## A heading with `code` and *stress*

Text with a footnote[^1], inline math $x^2$, and a citation of @he2016 and [@he2016].

[^1]: The **foot** of the note.

### Deeper {#own-name}

- one
- two
    1. inner

Term
:   Meaning of the term.

## Numbers

$$
a^2 + b^2 = c^2
$$ {#eq-side}

See @eq-side, @tbl-some, @fig-line and @sec-named.

| a | b |
|:--|--:|
| 1 | 2 |
| 3 | 4 |

: Two rows {#tbl-some}

![A flat line](line.svg){#fig-line fig-alt="a line from left to right"}

![no caption, an alt text](line.svg)

## Named section {#sec-named}

```python
x = {'a': 1}
```

```
plain words
```

> quoted

## Boxes

::: {.callout-note}
Only text.
:::

::: {.callout-tip}
## With a title
And *text*.
:::

::: {.callout-warning collapse="true"}
## Folded
Inside.
:::

::: {.column-margin}
In the margin.
:::

::: {#named .special}
A block with a name.
:::

## Ünïcode, مرحبا and 漢字 {.unnumbered}

<details><summary>More</summary>

Folded by hand.

</details>

## Same name

One.

## Same name

Two.
"""

FORMS = """---
title: Forms that lie in each other
description: Tabs, figures of several pictures, films.
---

## Tabs

::: {.panel-tabset}
## First tab
One.

## Second tab
Two.
:::

## Several pictures

::: {#fig-pair layout-ncol=2}
![Left](line.svg){#fig-left fig-alt="a line on the left"}

![Right](line.svg){#fig-right fig-alt="a line on the right"}

Two lines
:::

See @fig-pair and @fig-left.

## A film

{{< video film.mp4 >}}

## Beside the text

[In the margin]{.aside}

::: {.column-page}
Wide.
:::
"""

NET = [
    '# A small net\n\n> What the net does.\n\nIt reaches [93.4 %]{claim=accuracy}.',
    ('#| default_exp net',), ('#| export\nimport math',), ('#| parameters\nn = 10',),
    '## The part\n\nSee @fig-dot and @tbl-rows.',
    ('#| exports\ndef f(x):\n    return x + 1', ), ('f(1)', shows(text_plain='2')),
    ('#| hide\nsecret()', prints('secret')), ('#| echo: false\nquiet()', prints('only this\n')), ('#| output: false\nmute()', prints('not this')), ('#| include: false\nnothing()', prints('nor this')),
    ('#| hide_input\nunseen()', prints('seen\n')), ('#| hide_output\nkept()', prints('unseen')), ('#| code-fold: true\n#| code-summary: "The long part"\nlong()', prints('short\n')), ('#| code-fold: show\nopen()',),
    ('#| warning: false\ncareful()', prints('fine\n'), prints('warned\n', 'stderr')), ('loud()', prints('fine\n'), prints('warned\n', 'stderr')),
    ('#| label: fig-dot\n#| fig-cap: "A *grey* dot"\n#| fig-alt: "a dot"\ndraw()', shows(image_png=png(200), text_plain='<Figure>')),
    ('#| fig-alt: "a line"\nplain_draw()', shows(image_svg=SVG, text_plain='<Figure>')),
    ('#| label: tbl-rows\n#| tbl-cap: Two rows\ntable()', shows(text_html='<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>1</td></tr><tr><td>2</td></tr></tbody></table>', text_plain='a')),
    '## Outputs of every kind',
    ('html()', shows(text_html='<b id="bold">bold</b>', text_plain='bold')), ('chart()', shows(image_png=png(120)) | dict(data={'application/vnd.vegalite.v5+json': {'mark': 'bar', 'title': 'Bars'}, 'image/png': png(120)})), ('markdown()', shows(text_markdown='*slanted* words', text_plain='m')), ('latex()', shows(text_latex='$\\displaystyle x^2$', text_plain='x')),
    ('#| output: asis\nprint("**strong**")', prints('**strong**\n')), ('fails()', raises('ValueError', 'no such thing')), ('both()', prints('first\n'), shows(text_plain='then')), ('fenced()', prints('before\n```\n## no heading\n```\nafter\n')),
    '## Links\n\n[The ear](02_ear.ipynb) and [home](../index.md).', ('nothing_shown = 1',)]

PARTS = [
    '## Figures of several things\n\nSee @fig-heard, @fig-pair-2, @fig-alone and @tbl-both.',
    ('#| label: fig-heard\n#| fig-cap: What is seen and heard\n#| fig-alt: "a wave"\nhear()', shows(image_png=png(10), text_plain='<Figure>'), returns(text_html='<audio controls src="wave.wav"></audio>', text_plain='a player')),
    ('#| label: fig-pair\n#| fig-cap: Two of them\n#| fig-subcap: [Left, Right]\n#| fig-alt: ["dark", "light"]\npair()', shows(image_png=png(20), text_plain='<Figure>'), shows(image_png=png(220), text_plain='<Figure>')),
    ('#| label: fig-told\n#| fig-cap: Told and drawn\n#| fig-alt: "grey"\ntell()', prints('drawn\n'), shows(image_png=png(60), text_plain='<Figure>')),
    '## What a drawing call returned',
    ('#| label: fig-alone\n#| fig-cap: One with a legend\n#| fig-alt: "a legend"\nlegend()', shows(image_png=png(30), text_plain='<Figure>'), returns(text_plain='<matplotlib.legend.Legend at 0x7f2a>')),
    ('#| fig-alt: "an axis"\nlimits()', shows(image_png=png(40), text_plain='<Figure>'), returns(text_plain='(0.0, 1.0)')),
    ('axes()', returns(text_plain='[<matplotlib.lines.Line2D at 0x7f2a>]')), ('tree()', returns(text_plain='<a.Tree of 3 leaves>')),
    ('#| label: tbl-both\n#| tbl-cap: Two tables\ntables()', shows(text_html='<table><tr><td>1</td></tr></table>', text_plain='1'), shows(text_html='<table><tr><td>2</td></tr></table>', text_plain='2'))]

def make_blog(root):
    "A small blog that has everything a page may hold; its folder."
    posts = root/'nbs'/'posts'
    (posts/'records').mkdir(parents=True)
    (root/'_quarto.yml').write_text('project: {type: website}\nwebsite:\n  navbar: {left: [{text: Posts, href: index.html}, {text: Prose, href: prose.html}, {text: Library, href: library.html}]}\nformat: {html: {toc: true, html-math-method: mathml}}\nexecute: {enabled: false}\n')
    (root/'settings.ini').write_text('[blog]\ntitle = A made blog\ndescription = Posts that were made for a test\nauthor = Someone\naddress = https://example.org/blog\n')
    (root/'nbs/index.md').write_text('---\ntitle: Home\ndescription: What this is.\ntoc: false\nlisting: {id: posts, contents: posts, sort: "date desc", type: default, feed: true}\n---\n\nHello.\n\n## Newest\n\n::: {#posts}\n:::\n')
    (root/'nbs/prose.md').write_text(PROSE)
    (root/'nbs/forms.md').write_text(FORMS)
    (root/'nbs/parts.ipynb').write_text(notebook('title: Cells that show more than one thing\ndescription: Figures of several outputs.', *PARTS))
    (root/'nbs/film.mp4').write_bytes(b'no film')
    (root/'nbs/references.bib').write_text('@article{he2016, title={Deep Residual Learning}, author={He, Kaiming}, year={2016}, journal={CVPR}, keywords={paper, vision}, url={https://example.org/he}}\n')
    (root/'nbs/line.svg').write_text(SVG)
    (root/'nbs/00_core.ipynb').write_text(notebook('', '# The core\n\n> What all else stands on.', ('#| default_exp core',), ('#| export\ndef one():\n    "The number one."\n    return 1',), '## Use', ('one()', shows(text_plain='1'))))
    say = lambda title, date, more: f'title: "{title}"\ndescription: "About {title.lower()}."\ndate: {date}\ncategories: {more}\nkata: {{week: 1, profiles: {{cpu: {{}}}}}}'
    post(posts, '01_net', notebook(say('A small net', '2026-11-23', '[vision, basics]') + '\nimage: false', *NET))
    post(posts, '02_ear', notebook(say('An ear', '2026-11-30', '[sound]'), '# An ear\n\n> What is heard.', ('#| default_exp ear',), '## Hearing\n\nBack to [the net](01_net.ipynb#the-part).', ('#| fig-alt: "grey"\ndraw()', shows(image_png=png(90), text_plain='<Figure>'))))
    post(posts, '03_eye', notebook(say('An eye', '2026-11-30', '[vision]'), '# An eye\n\n> What is seen.', ('#| default_exp eye',), '## Seeing\n\nNothing yet.'))
    return root

RECORD = dict(profile='cpu', ended='passed', started='2026-11-23T10:00:00Z', seconds=41.2, device=dict(kind='cpu', name='x', cores=2), metrics={'accuracy': {'value': 0.9341, 'n': 3, 'sd': 0.002}})

def post(folder, name, text):
    path = folder/f'{name}.ipynb'
    path.write_text(text)
    (folder/'records'/f'{name}.json').write_text(json.dumps([of_today(path, RECORD)]))

# ---- from a printed site to facts

def spaced(text): return re.sub(r'\s+', ' ', text).strip()

class Reader:
    "A page's tree, with the way up."
    def __init__(self, text, name, prefix='/blog'):
        self.name, self.prefix = name, prefix
        self.tree = html5lib.parse(text, namespaceHTMLElements=False)
        self.up = {c: p for p in self.tree.iter() for c in p}
        self.main = next(self.tree.iter('main'), None)
        self.body = next((e for e in self.main.iter('div') if 'text' in self.classes(e) and self.up[e].tag == 'article'), self.main) if self.main is not None else None

    def classes(self, e): return (e.get('class') or '').split()
    def has(self, e, *names): return bool(set(names) & set(self.classes(e)))

    def within(self, e, test):
        while e is not None and e is not self.main:
            if test(e): return e
            e = self.up.get(e)

    def text(self, e, without=()):
        passed = lambda c: not isinstance(c.tag, str) or c.tag.split('}')[-1] in ('style', 'script', 'annotation', 'button', *without) or self.has(c, 'screen-reader-only')
        return (e.text or '') + ''.join(('' if passed(c) else self.text(c, without)) + (c.tail or '') for c in e)

    def all(self, *tags): return (e for e in self.body.iter() if e.tag in tags and not self.within(e, self.foreign))

    def foreign(self, e):
        "Parts that each theme makes for itself: title block, listing words."
        return e.tag == 'header' or e.tag == 'nav' and e.get('role') != 'navigation' or e.get('id') == 'quarto-margin-sidebar' or self.has(e, 'listing', 'quarto-listing', 'onward')

    def target(self, href):
        "Where a link leads, from the root of the site: address of 404."
        if re.match(r'[a-z]+:|//', href): return href
        path, _, end = href.partition('#')
        if path.startswith(self.prefix + '/'): path = path.removeprefix(self.prefix)
        folder = PurePosixPath('/')/PurePosixPath(self.name).parent
        return (os.path.normpath(folder/path).lstrip('/') if path else self.name) + (f'#{end}' if end else '')

# appendix
APPENDIX = ('quarto-bibliography', 'bibliography', 'references', 'footnotes')
_MADE = re.compile(r'cb\d+(-\d+)?$|quarto-|toc-|.*-caption-[0-9a-f-]{20,}$|callout-\d+|fn(ref)?\d+$|refs$|tabset-|video_shortcode|ref-|cell-tbl-')

def title(r): return spaced(r.text(next(r.main.iter('h1')))).translate(dict(zip(map(ord, '‘’“”'), '\'\'""')))  # but for quotes

def _anchor(r, e): return e.get('id') or e.get('data-anchor-id') or (r.up[e].get('id') if r.up[e].tag == 'section' else '') or ''

def headings(r):
    found = [[int(e.tag[1]), _anchor(r, e), spaced(r.text(e))] for e in r.all('h2', 'h3', 'h4', 'h5', 'h6')]
    return [h for h in found if h[1] not in APPENDIX]

def ids(r):
    "What a link can lead to, but for what a renderer numbers itself and the ids of tables."
    found = {e.get('id') for e in r.body.iter() if e.get('id') and not r.within(e, r.foreign)} | {h[1] for h in headings(r)}
    return sorted(i for i in found if not _MADE.match(i) and i not in APPENDIX)

def links(r):
    found = ((e.get('href') or '', spaced(r.text(e)), e) for e in r.all('a'))
    return [[r.target(href), text] for href, text, e in found if text and not re.match(r'#(cb\d|fn|ref-)', href) and e.get('role') not in ('doc-backlink', 'doc-noteref', 'doc-biblioref', 'tab')]

def _caption(r, e):
    "The caption of the figure or table that an element lies in."
    figure = r.within(e, lambda x: x.tag == 'figure')
    found = [c for x in (e, figure) if x is not None for c in x.iter() if c.tag in ('caption', 'figcaption')]
    return spaced(r.text(found[0])) if found else ''

def figures(r):
    "Each picture: its file, but for names of pictures; its description, but for alt from caption; its caption."
    found = []
    for e in r.all('img'):
        name, caption, alt = re.sub(r'cell-\d+-output', 'cell-N-output', r.target(e.get('src') or '')), _caption(r, e), e.get('alt') or ''
        found.append([name, '' if alt == caption else alt, caption])
    return found

def cells(r):
    "Each cell: its id, how its code is shown, the code, and what each output says; but for classes of outputs and ids of tables."
    found = []
    for e in r.all('div'):
        if not r.has(e, 'cell') or r.within(r.up[e], lambda x: r.has(x, 'cell')): continue
        code = next((p for p in e.iter('pre') if not r.within(p, lambda x: r.has(x, 'cell-output'))), None)
        fold = r.within(code, lambda x: x.tag == 'details') if code is not None else None
        shown = 'none' if code is None else 'shown' if fold is None else f'folded: {spaced(r.text(next(fold.iter("summary"))))}' + (' (open)' if fold.get('open') is not None else '')
        outputs = [[next(c for c in r.classes(o) if c.startswith('cell-output-'))[12:], ''.join(r.text(o, ('figcaption', 'caption')).split())] for o in e.iter('div') if r.has(o, 'cell-output')]
        name = e.get('id') or ''
        found.append(['' if re.match(r'(cell-)?tbl-', name) else name, shown, spaced(r.text(code)).replace('{{', '{').replace('}}', '}') if code is not None else '', outputs])  # but for double braces
    return found

def callouts(r):
    "Each box: kind, title, whether it folds; but for callout kinds."
    found = []
    for e in r.all('div', 'aside', 'details'):
        kind = next((m[1] for c in r.classes(e) if (m := re.fullmatch(r'callout-(note|tip|warning|important|caution)', c))), None)
        if not kind: continue
        title = next((x for x in e.iter() if r.has(x, 'callout-name', 'callout-title-container')), None)
        words = spaced(r.text(title)) if title is not None else ''
        found.append([kind, '' if words.lower() == kind else words, e.tag == 'details' or any(r.has(x, 'callout-collapse') for x in e.iter())])
    return found

def tables(r): return [[sum(1 for _ in t.iter('tr')), _caption(r, t)] for t in r.all('table')]
def math(r): return sum(e.tag == '{http://www.w3.org/1998/Math/MathML}math' for e in r.body.iter())
def footnotes(r): return [sum(e.get('role') == 'doc-noteref' for e in r.body.iter('a')), sum(bool(re.fullmatch(r'fn\d+', e.get('id') or '')) for e in r.body.iter())]
def citations(r): return sorted({e.get('id') for e in r.body.iter() if (e.get('id') or '').startswith('ref-')})
def code(r): return [spaced(r.text(e)) for e in r.all('pre') if not r.within(e, lambda x: r.has(x, 'cell'))]
def tabs(r): return [[spaced(r.text(e)) for e in t.iter() if e.get('role') == 'tab'] for t in r.all('ul', 'div') if t.get('role') == 'tablist']

def navigation(r):
    bar = next((n for n in r.tree.iter('nav') if n.get('aria-label') == 'Site' or r.has(n, 'navbar')), None)
    return [[r.target(a.get('href') or ''), spaced(r.text(a))] for a in bar.iter('a') if not r.has(a, 'navbar-brand')] if bar is not None else []

def listing(r):
    "The posts of a listing in order: address and title."
    cards = [e for e in r.main.iter() if r.has(e, 'card', 'quarto-post')]
    tops = [next((x for x in c.iter() if r.has(x, 'card-title', 'listing-title')), None) for c in cards]
    return [[r.target(next(t.iter('a')).get('href')), spaced(r.text(t))] for t in tops if t is not None]

ASPECTS = {f.__name__: f for f in (title, headings, ids, links, figures, cells, callouts, tables, math, footnotes, citations, code, tabs, navigation, listing)}

def feeds(site):
    "Entries of each RSS feed: title, address, day, categories."
    found = {}
    for path in sorted(site.rglob('*.xml')):
        root = ElementTree.parse(path).getroot()
        if root.tag == 'rss':
            found[path.relative_to(site).as_posix()] = [[i.findtext('title'), i.findtext('link'), ' '.join((i.findtext('pubDate') or '').split()[1:4]), sorted(c.text for c in i.findall('category'))] for i in root.iter('item')]
    return found

def facts_of(site, prefix='/blog'):
    "All facts of a printed site, page by page."
    names = sorted(p.relative_to(site).as_posix() for p in Path(site).rglob('*.html'))
    pages = {name: Reader((site/name).read_text(), name, prefix) for name in names}
    return dict(pages={name: {a: read(r) for a, read in ASPECTS.items()} for name, r in pages.items() if r.main is not None}, feeds=feeds(Path(site)))

def quarto():
    "The real Quarto: what KATA_QUARTO names, else what is on PATH; None where there is neither."
    return os.environ.get('KATA_QUARTO') or shutil.which('quarto')

def printed(root, renderer):
    "A blog printed aside; the site's folder."
    from kata_blog.press.render import build
    if renderer == 'quarto': os.environ['PATH'] = f'{Path(quarto()).parent}{os.pathsep}{os.environ["PATH"]}'
    built = build(root, root.parent/f'{root.name}-{renderer}', renderer=renderer)
    assert built.problems == [], built.problems
    return built.site

def compact(facts): return json.dumps(facts, indent=1, ensure_ascii=False, sort_keys=True) + '\n'

if __name__ == '__main__':
    if not quarto(): sys.exit('parity: no Quarto; set KATA_QUARTO to the program')
    with tempfile.TemporaryDirectory() as folder: KEPT.write_text(compact(facts_of(printed(make_blog(Path(folder)/'blog'), 'quarto'))))
    print(f'kept the facts of {len(json.loads(KEPT.read_text())["pages"])} pages in {KEPT.name}')
