"What kata check must find, each alone in a project or site that is otherwise sound."
import json, os, time
from pathlib import Path
import pytest
from kata_blog.core import KataError
from kata_blog.press.check import check_project, check_site, tags

FRONT = '---\ntitle: Net\ndate: 2026-11-23\ncategories: [vision]\nkata: {week: 1, profiles: {smoke: {epochs: 1}}}\n---'
RECORD = dict(profile='cpu', ended='passed', key={}, seconds=41.2, metrics={'accuracy': {'value': 0.9341}})
IMAGE = dict(output_type='display_data', metadata={}, data={'image/png': 'iVBORw0KGgo='})

def cell(kind, source, **more): return dict(cell_type=kind, source=source, metadata={}, **more)
def code(source, *outputs): return cell('code', source, outputs=list(outputs), execution_count=None)
def notebook(*cells): return json.dumps(dict(cells=list(cells), metadata={}, nbformat=4, nbformat_minor=5))

@pytest.fixture
def make(tmp_path):
    "A sound project; `front`, `text` and `drawn` replace a part of its post."
    def write(front=FRONT, text='See [it](../plan.png).', drawn=None, exp='#| default_exp net', params='#| parameters\nepochs = 3', records=None):
        posts = tmp_path/'nbs'/'posts'
        (posts/'records').mkdir(parents=True)
        (tmp_path/'_quarto.yml').write_text('project: {type: website}')
        (tmp_path/'nbs'/'plan.png').write_bytes(b'')
        (tmp_path/'nbs'/'about.md').write_text('---\ntitle: About\n---\n\nHello, see [a post](posts/01_net.ipynb) or [its page](posts/net.html#a).\n')
        cells = [cell('raw', front), cell('markdown', '# Net\n\n> A net.'), code(exp), code(params), cell('markdown', text)]
        (posts/'01_net.ipynb').write_text(notebook(*cells, *([drawn] if drawn else [])))
        (posts/'records'/'01_net.json').write_text(json.dumps([RECORD]) if records is None else records)
        return tmp_path
    return write

def only(root):
    problem, = check_project(root)
    return str(problem)

def test_a_sound_project_has_no_problems_and_is_not_changed(make):
    root = make(drawn=code('#| fig-alt: a curve\nplot()', IMAGE), text='It has [93.4 %]{claim=accuracy}. ![plan](../plan.png) ![`x`](/plan.png)\n\n<img src="../plan.png" alt="plan">\n\n`![](gone.png)` [out](https://example.org) [up](#x) [data]: /plan.png')
    before = {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in root.rglob('*') if p.is_file()}
    assert check_project(root) == []
    assert before == {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in root.rglob('*') if p.is_file()}

@pytest.mark.parametrize('change,part', [
    (('date: 2026-11-23\n', ''), 'no date'), (('2026-11-23', 'soon'), "date is 'soon'"), (('2026-11-23', '2026-13-01'), 'month must be in 1..12'),
    (('week: 1, ', ''), 'kata.week is None'), (('week: 1', 'week: one'), "kata.week is 'one'"), (('week: 1', 'week: 0'), 'kata.week is 0'), (('week: 1', 'week: true'), 'kata.week is True'),
    (('[vision]', 'vision'), "categories is 'vision'"), (('title: Net', 'title: Net\nimage: a.png'), 'image without image-alt'), (('epochs: 1', 'epoch: 1'), "unknown parameter 'epoch'; did you mean 'epochs'"),
    (('smoke: {epochs: 1}', 'smoke: 3'), 'kata.profiles is'), (('week: 1', 'week: 1, needs: {core: 2}'), "did you mean 'cores'"), (('date: 2026', 'date: a: 2026'), 'line 3: front matter is no YAML')])
def test_front_matter_of_a_post(make, change, part):
    found = only(make(front=FRONT.replace(*change)))
    assert part in found and '01_net.ipynb' in found

def test_a_title_is_needed(make):
    root = make(front=FRONT.replace('title: Net', 'title: ""'))
    assert 'no title' in only(root)

@pytest.mark.parametrize('exp,part', [('x = 1', 'needed `#| default_exp net`'), ('#| default_exp network', 'default_exp is network; needed net')])
def test_module_of_a_post(make, exp, part): assert part in only(make(exp=exp))

def test_a_further_page_of_a_module(make): assert check_project(make(exp='x = 1', front=FRONT.replace('week: 1', 'week: 1, module: net'))) == []

@pytest.mark.parametrize('text,line,part', [
    ('one\n[it](../plam.png)', 2, 'no such file: ../plam.png; did you mean plan.png?'), ('[it](02_other.ipynb)', 1, 'no such file: 02_other.ipynb'), ('[it](/gone.csv)', 1, 'no such file: /gone.csv'),
    ('text\n\n[it]: gone.md', 3, 'no such file: gone.md'), ('![a plan](gone.png)', 1, 'no such file: gone.png'), ('[![a plan](gone.png)](../plan.png)', 1, 'no such file: gone.png'),
    ('[a](../plan.png "t")\n[b](<gone.png>)', 2, 'no such file: gone.png'), ('![](../plan.png)', 1, 'a picture without a description'), ('![ ](../plan.png){width=5}', 1, 'a picture without a description'),
    ('![x](attachment:a.png)', 1, 'no attachment a.png'), ('<img src="../plan.png">', 1, '<img> without alt'), ('<img src="gone.png" alt="">', 1, 'no such file: gone.png'),
    ('A [95.0 %]{claim=accuracy}.', 1, 'written is 95.0 %'), ('## A [93.4 %]{claim=accuracy}', 1, 'a claim in a heading'), ('[93.4 %]{claim=nett.accuracy}', 1, "did you mean 'net'"), ('So 93.4 % it is.', 1, 'equals accuracy; bind it')])
def test_prose(make, text, line, part):
    found = only(make(text=text))
    assert part in found and f'01_net.ipynb, cell 5, line {line}:' in found

@pytest.mark.parametrize('target', ['01_net.ipynb', 'net.html', 'net.ipynb', '../about.html', '../about.md#x', '/about.html', 'archive.html', 'LICENSE', 'mailto:a@b.c', '//x.org/a.png', '../plan%2Epng) ![](../plan.png){fig-alt="a plan"} [x](../plan.png', '../plan.png?x=1'])
def test_links_that_lead_somewhere_are_silent(make, target): assert check_project(make(text=f'[it]({target})')) == []

@pytest.mark.parametrize('source,count,needed', [('plot()', 1, 1), ('#| fig-alt: ""\nplot()', 1, 1), ('#| fig-alt: a curve\nplot()', 2, 1), ('#| include: false\nplot()', 1, 0), ('#| hide\nplot()', 1, 0),
    ('#| output: false\nplot()', 1, 0), ('#| fig-alt: [a, b]\nplot()', 2, 0), ('#| fig-alt: a\nplot()', 1, 0), ('plot()', 0, 0)])
def test_figures_are_described(make, source, count, needed):
    found = check_project(make(drawn=code(source, *[IMAGE] * count)))
    assert len(found) == needed and all('01_net.ipynb, cell 6:' in str(p) and 'fig-alt' in str(p) for p in found)

def test_one_broken_note_is_one_problem_and_the_rest_is_checked(make):
    root = make(text='![](../plan.png)')
    (root/'nbs'/'index.ipynb').write_text('{"cells": [')
    (root/'nbs'/'bad.ipynb').write_text(notebook(code('#| eval: never')))
    found = list(map(str, check_project(root)))
    assert len(found) == 3 and 'bad.ipynb, cell 1, line 1:' in found[0] and 'no JSON' in found[1] and 'without a description' in found[2]

@pytest.mark.parametrize('records', ['[{', '{"a": 1}', '[1]'])
def test_a_damaged_record_is_named(make, records):
    found = only(make(records=records))
    assert '01_net.json' in found and 'restore it from git' in found

def test_a_draft_is_held_against_its_record_once_it_has_one(make):
    text = 'It has [95 %]{claim=accuracy}.'
    root = make(front=FRONT.replace('title', 'draft: true\ntitle'), text=text, records='[]')
    assert check_project(root) == []
    (root/'nbs'/'posts'/'records'/'01_net.json').write_text(json.dumps([RECORD]))
    assert 'written is 95 %' in only(root)

def test_a_published_post_with_claims_must_have_run(make):
    assert 'net has no passed record; run it: kata run net' in only(make(text='It has [95 %]{claim=accuracy}.', records='[]'))

# the site

@pytest.fixture
def site(tmp_path):
    def write(**pages):
        for name, text in pages.items():
            path = tmp_path/(name.replace('__', '/') + '.html')
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        (tmp_path/'a b.png').write_bytes(b'')
        return tmp_path
    return write

HEAD = '<h1 id="one">One</h1>\n'
@pytest.mark.parametrize('text,part', [
    ('<a href="gone.html">', "the site has no gone.html"), ('<a href="posts/nte.html">', 'did you mean posts/net.html'), ('<a href="/gone/">', 'has no gone/index.html'), ('<a href="posts/">', 'has no posts/index.html'),
    ('<a href="#tow">', 'index.html has no id tow'), ('<a href="posts/net.html#tow">', 'net.html has no id tow; did you mean #two'), ('<img src="b.png" alt="b">', 'has no b.png'), ('<img src="A b.png" alt="b">', 'has no A b.png'),
    ('<script src="x.js"></script>', 'has no x.js'), ('<link rel=stylesheet href=x.css>', 'has no x.css'), ('<source src="t.wav">', 'has no t.wav'), ('<video poster="v.png">', 'has no v.png'), ('<img src="a b.png">', 'without alt'),
    ('<p id="one">', 'the id one is used 2 times'), ('<h1>Two</h1>', '2 <h1>; needed one'), ('<h3>Three</h3>', 'a heading of level 3 after one of level 1; needed level 2')])
def test_a_fault_of_a_page_is_found_with_its_line(site, text, part):
    problem, = check_site(site(index=HEAD + text, posts__net='<h1 id="two">Net</h1>'))
    assert part in str(problem) and ('index.html, line 2:' in str(problem) or '<h1>' in text and 'line 1' in str(problem))

@pytest.mark.parametrize('text', ['<a href="posts/net.html#two">', '<a href="/posts/net.html">', '<a href="posts/../index.html#one">', '<a href="?q=1#one">', '<a href="#">', '<a href="#top">', '<a href="./">', '<a href="/">', '<img alt="" src="a%20b.png">',
    '<img alt src="/a b.png?v=1">', '<a href="mailto:a@b.c">', '<a href="https://x.org/gone.html">', '<a href="//x.org/gone">', '<img alt="x" src="data:image/png;base64,AA">', '<!-- <a href="gone.html"> -->', '<script>"<a href=\'gone.html\'>"</script>',
    '<style>a{}</style><h2>x</h2><h3>y</h3><h2>z</h2>', '<a name="k"></a><a href="#k">', '<a href="posts/net.html#caf%C3%A9">', '<p id="a&amp;b"><a href="#a&amp;b">', '<a href="a b.png#x">'])
def test_what_is_sound_is_silent(site, text): assert check_site(site(index=HEAD + text, posts__net='<h1 id="two">Net</h1><p id="café">')) == []

def test_a_page_without_title_is_named_and_one_that_only_moves_the_reader_is_not(site):
    found = check_site(site(index='<p>none', moved='<meta http-equiv="refresh" content="0; url=index.html">'))
    assert len(found) == 1 and '0 <h1>; needed one' in str(found[0])

def test_no_site_is_an_error(tmp_path):
    with pytest.raises(KataError, match='print the site first: kata build'): check_site(tmp_path/'none')

def test_a_broken_tag_costs_no_time():
    start = time.perf_counter()
    list(tags('<a ' + 'x="' * 20_000 + '<div' + ' a=b' * 20_000 + '<' * 20_000))
    assert time.perf_counter() - start < 2

def test_a_hundred_pages_take_about_a_second(tmp_path):
    row = '<div class="a b" id="c{0}"><p>Text of the usual length with <a href="p{1}.html#c{0}">a link</a> in it.</p><pre><code><span class="k">def</span> <span class="nf">f</span>(x)</code></pre></div>\n'
    for i in range(100): (tmp_path/f'p{i}.html').write_text('<h1>Page</h1>' + ''.join(row.format(j, (i + j) % 100) for j in range(400)))
    start = time.process_time()
    assert check_site(tmp_path) == []
    assert time.process_time() - start < 3  # measured: see the page on check; three times that for a slow machine
