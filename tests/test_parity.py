"The embedded renderer against Quarto: the same pages, headings, ids, links, figures, cells, lists and feeds."
import json
from pathlib import Path
import pytest
from parity import ASPECTS, DIFFERENCES, KEPT, Reader, compact, facts_of, make_blog, printed, quarto

ROOT = Path(__file__).parents[1]
KNOWN = json.loads(KEPT.read_text())
needs_quarto = pytest.mark.skipif(not quarto(), reason='no Quarto: set KATA_QUARTO to the program, or put it on PATH')

@pytest.fixture(scope='module')
def blog(tmp_path_factory): return make_blog(tmp_path_factory.mktemp('parity')/'blog')

@pytest.fixture(scope='module')
def ours(blog): return json.loads(compact(facts_of(printed(blog, 'pandoc'))))

def test_the_same_pages(ours): assert sorted(ours['pages']) == sorted(KNOWN['pages'])

@pytest.mark.parametrize('aspect', ASPECTS)
@pytest.mark.parametrize('page', sorted(KNOWN['pages']))
def test_as_quarto_prints_it(ours, page, aspect):
    assert ours['pages'][page][aspect] == KNOWN['pages'][page][aspect]

def test_the_same_feeds(ours): assert ours['feeds'] == KNOWN['feeds']

def test_the_made_blog_has_something_of_each_aspect():
    assert {a for a in ASPECTS if any(p[a] not in ([], 0, [0, 0], '') for p in KNOWN['pages'].values())} == set(ASPECTS)

def test_the_differences_are_few_and_each_has_its_place():
    source = (ROOT/'tests/parity.py').read_text().split('# ---- from a printed site to facts')[1]
    assert len(DIFFERENCES) <= 12 and [d for d in DIFFERENCES if d not in source] == []

PAGE = '<main><div class="text"><h2 id="a">A</h2><div class="cell" id="c1"><pre>x = 1</pre><div class="cell-output cell-output-stdout"><pre>1</pre></div></div><p><a href="b.html#q">B</a></p><figure id="fig-a"><img src="i.png" alt="dot"><figcaption>Figure 1: Dot</figcaption></figure><table><tr><td>1</td></tr></table><aside class="callout callout-tip"><p class="callout-title"><span class="callout-name">T</span></p></aside></div></main>'

@pytest.mark.parametrize('aspect,old,new', [
    ('headings', 'id="a"', 'id="b"'), ('headings', '<h2', '<h3'), ('headings', '>A</h2>', '>B</h2>'), ('ids', 'id="c1"', 'id="c2"'), ('links', 'b.html#q', 'b.html'), ('links', '>B</a>', '>C</a>'),
    ('figures', 'i.png', 'j.png'), ('figures', 'alt="dot"', 'alt=""'), ('figures', '1: Dot', '2: Dot'), ('cells', 'x = 1', 'x = 2'), ('cells', '<pre>x = 1</pre>', ''), ('cells', '<pre>1<', '<pre>2<'), ('cells', 'stdout', 'stderr'),
    ('cells', '<pre>x = 1</pre>', '<details><summary>Code</summary><pre>x = 1</pre></details>'), ('tables', '<table>', '<table><tr></tr>'), ('callouts', 'callout-tip', 'callout-note'), ('callouts', '>T<', '>U<')])
def test_what_differs_is_seen(aspect, old, new):
    assert old in PAGE
    read = lambda text: ASPECTS[aspect](Reader(text, 'p.html'))
    assert read(PAGE) != read(PAGE.replace(old, new))

@needs_quarto
def test_the_kept_facts_are_those_of_quarto(blog): assert json.loads(compact(facts_of(printed(blog, 'quarto')))) == KNOWN

@needs_quarto
def test_this_blog_is_the_same_in_both(tmp_path):
    from kata_blog.press.render import build
    import os
    os.environ['PATH'] = f'{Path(quarto()).parent}{os.pathsep}{os.environ["PATH"]}'
    sites = {r: build(ROOT, tmp_path/r, renderer=r).site for r in ('pandoc', 'quarto')}
    ours, theirs = (facts_of(sites[r], '') for r in ('pandoc', 'quarto'))
    assert sorted(ours['pages']) == sorted(theirs['pages']) and ours['feeds'] == theirs['feeds']
    assert [(p, a) for p in ours['pages'] for a in ASPECTS if ours['pages'][p][a] != theirs['pages'][p][a]] == []
