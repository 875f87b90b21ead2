"map: what a post needs is what its cells import, and what comes too early fails the check."
import html, re
import xml.etree.ElementTree as ET
from pathlib import Path
import pytest
from kata_blog.press.cli import main
from kata_blog.press.map import Dot, map_posts, map_svg, map_words, needs_markdown, order_problems, users_markdown
from kata_blog.press.pandoc import Pandoc
from making import write_post

ROOT = Path(__file__).resolve().parent.parent

@pytest.fixture
def course(tmp_path, monkeypatch):
    "A course as the current folder: `course(name, week, module's text, cells...)` writes a post and its module."
    (tmp_path/'settings.ini').write_text('[blog]\ntitle = A\n')
    (tmp_path/'kata_blog').mkdir()
    (tmp_path/'kata_blog'/'__init__.py').write_text('__version__ = "1"\n')
    monkeypatch.chdir(tmp_path)
    def add(name, week, module, *cells):
        (tmp_path/'kata_blog'/f'{name[3:]}.py').write_text(module)
        write_post(tmp_path, [f'#| default_exp {name[3:]}', *cells], name, f'title: {name[3:].upper()}\ndate: 2026-11-23\nkata: {{week: {week}}}')
        return tmp_path
    add.root = tmp_path
    return add

WAYS = {'from kata_blog.nets import Net\nNet()': ('Net',), 'from kata_blog import nets\nnets.Net()': ('Net',), 'import kata_blog.nets as n\nn.make(n.Net)': ('Net', 'make'), 'import kata_blog.nets\nkata_blog.nets.make()': ('make',),
        'from kata_blog.nets import *\nmake()': ('make',), 'from kata_blog.nets import Net as N': (), 'import kata_blog.nets': (), 'from importlib import import_module\nimport_module("kata_blog.nets").make()': ('make',),
        'def f():\n    from kata_blog.nets import make\n    return make()': ('make',), 'try:\n    from kata_blog.nets import make\nexcept ImportError: pass\nelse: make()': ('make',), '%time 1\nfrom kata_blog.nets import make\nmake()': ('make',)}

@pytest.mark.parametrize('code', WAYS, ids=[c.split('\n')[0] + ('…' if '\n' in c else '') for c in WAYS])
def test_every_way_to_import_is_a_need(code, course):
    course('01_nets', 1, 'class Net: pass\ndef make(x=0): return Net()')
    root = course('02_use', 2, '', code)
    assert map_posts(root)['02_use'].needs == {'01_nets': WAYS[code]} and order_problems(root) == []

@pytest.mark.parametrize('code', ['x = "kata_blog.nets"', '# from kata_blog.nets import Net', 'from kata_blog.train import fit', 'import numpy as np', 'nets = 1\nnets', 'from kata_blog import __version__'])
def test_what_is_no_import_of_a_post_is_no_need(code, course):
    (course.root/'kata_blog'/'train.py').write_text('def fit(): pass')
    course('01_nets', 1, 'class Net: pass')
    root = course('02_use', 2, '', code)
    assert map_posts(root)['02_use'].needs == {} and order_problems(root) == []

def test_a_post_does_not_need_itself(course): assert map_posts(course('01_nets', 1, 'class Net: pass', 'from kata_blog.nets import Net\nNet()'))['01_nets'].needs == {}

def said(capsys): return [l for l in capsys.readouterr().err.split('\n') if 'needed only what earlier' in l or 'unknown module' in l]

def test_a_later_post_fails_the_check(course, capsys):
    course('01_first', 1, '', 'x = 1', 'y = 2\nfrom kata_blog.second import later\nlater(y)')
    course('02_second', 2, 'def later(x): return x')
    assert main(['check']) == 1
    assert said(capsys) == ['nbs/posts/01_first.ipynb, cell 4, line 2: uses second.later, which 02_second introduces in week 2; needed only what earlier posts introduce; move this post behind that one, or bring what both need forward']

def test_a_later_week_is_later_whatever_the_number(course, capsys):
    course('01_first', 3, 'def f(): pass')
    course('02_second', 1, '', 'from kata_blog.first import f\nf()')
    main(['check'])
    assert len(found := said(capsys)) == 1 and 'uses first.f, which 01_first introduces in week 3' in found[0]

def test_what_is_reached_through_the_library_counts(course, capsys):
    (course.root/'kata_blog'/'train.py').write_text('def fit():\n    from kata_blog.second import later\n    return later()')
    course('01_first', 1, '', 'from kata_blog.train import fit\nfit()')
    course('02_second', 2, 'def later(): pass')
    main(['check'])
    assert len(found := said(capsys)) == 1 and 'uses, through another module, second.later' in found[0]

def test_posts_that_use_each_other_are_one_fault(course, capsys):
    course('01_first', 1, 'from kata_blog.second import g\ndef f(): return g()', 'from kata_blog.second import g\ng()')
    course('02_second', 2, 'from kata_blog.first import f\ndef g(): return f()', 'from kata_blog.first import f\nf()')
    main(['check'])
    assert [l.split(',')[0] for l in said(capsys)] == ['nbs/posts/01_first.ipynb']

def test_a_planned_post_and_a_slip_are_told_apart(course, capsys):
    root = course('01_first', 1, '', 'from kata_blog.gpt import GPT\nfrom kata_blog import frist')
    (root/'nbs'/'goals.yml').write_text('planned: [gpt]\n')
    main(['check'])
    found = said(capsys)
    assert 'the module gpt of a post that is still to be written' in found[1] and "unknown module 'frist'; did you mean 'first'?" in found[0]

def test_a_post_that_cannot_be_read_hides_no_other(course):
    course('01_first', 1, 'def f(): pass')
    root = course('03_third', 3, '', 'from kata_blog.first import f\nf()')
    (root/'nbs'/'posts'/'02_torn.ipynb').write_text('{')
    assert map_posts(root)['03_third'].needs == {'01_first': ('f',)}

def test_need_and_use_are_two_sides_of_one_line(course):
    course('01_nets', 1, 'class Net: pass\ndef a(): pass\ndef b(): pass\ndef c(): pass\ndef d(): pass')
    course('02_two', 1, '', 'from kata_blog.nets import *\na(), b(), c(), d(), Net()')
    stops = map_posts(course('03_three', 2, '', 'from kata_blog.nets import a\na()'))
    assert needs_markdown('02_two', stops) == '**You need** [NETS](nets.html) (`Net`, `a`, `b`, `c` and 1 more).'
    assert users_markdown('01_nets', stops) == '**Used later in** [TWO](two.html) (`Net`, `a`, `b`, `c` and 1 more), [THREE](three.html) (`a`).'
    assert needs_markdown('01_nets', stops) == '**You need** no other post before this one.' and users_markdown('03_three', stops) == '**Used later in** no post so far.'

def test_the_picture_holds_whatever_a_title_holds():
    titles = ['<b>&"', 'x' * 200, '', 'a `code` ☃', 'a long title ' * 12]
    dots = [Dot(str(n), t, n // 2, f'p{n}.html?a=1&b=2', tuple(str(k) for k in range(n))) for n, t in enumerate(titles)] + [Dot('z', 'soon', None)]
    tree = ET.fromstring(map_svg(dots))
    width, height = map(float, tree.get('viewBox').split()[2:])
    texts = [''.join(t.itertext()) for t in tree.iter('text')]
    assert [t for t in titles if t.replace(' ', '') not in [x.replace(' ', '') for x in texts]] == [] and 'soon (planned)' in texts
    assert max(len(s.text or '') for s in tree.iter('tspan')) <= 32 and len(tree.findall('./g/path')) == 10 and tree.find('g').get('aria-hidden') == 'true'
    assert all(0 < float(c.get('cy')) < height for c in tree.iter('circle')) and tree.find('title').text

def test_words_and_picture_say_the_same():
    dots = [Dot('a', 'A', 1, 'a.html'), Dot('b', 'B', 2, 'b.html', ('a',)), Dot('c', 'C', 2)]
    assert map_words(dots).split('\n') == ['- [A](a.html): needs no other post; used later in [B](b.html).', '- [B](b.html): needs [A](a.html); used later in no post so far.', '- C (planned)', '']

TITLE = 'A_b* [c](d) <b> `e` $f$ #g @h ~i^'

def test_a_title_is_text_wherever_it_stands(course):
    dots = [Dot('a', TITLE, 1, 'a.html'), Dot('b', 'B', 2, 'b.html', ('a',)), Dot('c', TITLE, 2)]
    course('01_nets', 1, 'class Net: pass')
    root = course('02_two', 1, '', 'from kata_blog.nets import Net\nNet()')
    path = root/'nbs'/'posts'/'01_nets.ipynb'
    path.write_text(path.read_text().replace('title: NETS', f"title: '{TITLE}'"))
    stops = map_posts(root)
    with Pandoc() as pandoc: pages = {m: pandoc.convert(m)['html'] for m in (map_words(dots), needs_markdown('02_two', stops))}
    for markdown, page in pages.items():
        assert html.unescape(re.sub(r'<[^>]+>', '', page)).count(TITLE) == markdown.count('(a.html)') + markdown.count('(nets.html)') + markdown.count('planned') > 0

def test_the_blog_is_in_order(): assert order_problems(ROOT) == []
