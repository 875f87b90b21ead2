"The whole site: what is on it, what is said when something is wrong, and that it is the same every time."
import base64, json, os, re, shutil, stat
from pathlib import Path, PurePosixPath
import pytest, yaml
from kata_blog.core import ConfigError, KataError
from kata_blog.press.check import check_site
from kata_blog.press.render import build, minutes, page_options, toc_tree
from making import of_today

PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4////fwAJ+wP9KobjigAAAABJRU5ErkJggg=='
RECORD = dict(profile='cpu', ended='passed', key={}, started='2026-11-23T10:00:00Z', seconds=41.2, device=dict(kind='cpu', name='x', cores=2), metrics={'accuracy': {'value': 0.9341}})
QUARTO = 'project: {type: website}\nwebsite:\n  navbar: {left: [{text: Posts, href: index.html}, {text: About, href: about.md}, {text: Library, href: library.html}], right: [{text: Out, href: "https://example.org"}]}\nformat: {html: {toc: true}}\n'

def cell(kind, source, **more): return dict(cell_type=kind, source=source, metadata={}, **more)
def code(source, *outputs): return cell('code', source, outputs=list(outputs), execution_count=None)
def picture(): return dict(output_type='display_data', metadata={}, data={'image/png': PNG})
def notebook(*cells): return json.dumps(dict(cells=list(cells), metadata={}, nbformat=4, nbformat_minor=5))

def post(root, name, title, date, *cells):
    path = root/'nbs/posts'/f'{name}.ipynb'
    path.write_text(notebook(cell('raw', f'---\ntitle: "{title}"\ndescription: About {title}.\ndate: {date}\ncategories: [vision]\nkata: {{week: 2, profiles: {{cpu: {{}}}}}}\n---'),
        cell('markdown', f'# {title}\n\n> One line.\n\nBegin: [93.4 %]{{claim=accuracy}}.'), code(f'#| default_exp {name[3:]}'), *cells))
    (root/'nbs/posts/records'/f'{name}.json').write_text(json.dumps([of_today(path, RECORD)]))
    return path

def write_blog(root):
    "A blog with a home page, an about page, a library note and two posts."
    (root/'nbs/posts/records').mkdir(parents=True)
    (root/'_quarto.yml').write_text(QUARTO)
    (root/'settings.ini').write_text('[blog]\ntitle = A & B\nauthor = Someone\nlicence_text = CC BY 4.0\nrepository = me/it\n')
    (root/'nbs/index.md').write_text('---\ntitle: Home\ndescription: What this is.\nlisting: {id: posts, contents: posts}\n---\n\nHello.\n\n## Newest\n\n::: {#posts}\n:::\n\n## After\n\n![A plan](plan.svg)\n')
    (root/'nbs/plan.svg').write_text('<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"></svg>')
    (root/'nbs/about.md').write_text('---\ntitle: About\n---\n\n[the net](posts/01_net.ipynb#how-this-was-run) and [home](index.md)\n')
    (root/'nbs/00_core.ipynb').write_text(notebook(cell('markdown', '# Core\n\n> The base.\n\n## One'), code('#| default_exp core'), code('#| export\none = 1'), cell('markdown', '## Two')))
    post(root, '01_net', 'Net', '2026-11-23', code('#| label: fig-a\n#| fig-cap: A.\n#| fig-alt: a dot\ndraw()', picture()), cell('markdown', '## Part\n\nSee @fig-a and [core](../00_core.ipynb).'))
    post(root, '02_ear', 'Ear', '2026-11-30', cell('markdown', '## Part\n\nSee [the net](01_net.ipynb).'))
    return root

@pytest.fixture
def blog(tmp_path): return write_blog(tmp_path/'blog')

def read(built, page): return (built.site/page).read_text()
def everything(site): return {p.relative_to(site).as_posix(): p.read_bytes() for p in site.rglob('*') if p.is_file()}

def test_a_whole_site(blog):
    built = build(blog)
    assert built.problems == [] and built.left_out == []
    assert built.pages == ['404.html', 'about.html', 'archive.html', 'categories/vision.html', 'core.html', 'index.html', 'library.html', 'posts/ear.html', 'posts/net.html']
    assert (built.site/'posts/net_files/figure-html/fig-a-output-1.png').is_file() and (built.site/'plan.svg').is_file()
    assert not any(p.suffix in ('.md', '.ipynb') for p in built.site.rglob('*'))
    assert check_site(built.site) == []

def test_home_lists_the_posts_newest_first(blog):
    html = read(build(blog), 'index.html')
    assert html.index('posts/ear.html') < html.index('posts/net.html') < html.index('id="after"')
    card = html[html.index('<article class="card'):html.index('id="after"')]
    assert 'About Net.' in card and '23 November 2026' in card and 'Week 2' in card and 'vision' in card and '1 min read' in card
    assert 'src="posts/net_files/figure-html/fig-a-output-1.png"' in card and '<h3 class="card-title">' in card
    assert 'core.html' not in card and 'no-image' in card  # the other post has no picture

def test_the_author_may_choose_the_figure_that_stands_for_a_post(blog):
    figure = lambda name, *options: code('\n'.join(f'#| {o}' for o in (f'label: fig-{name}', 'fig-cap: A.', 'fig-alt: a dot', *options)) + '\ndraw()', picture())
    post(blog, '01_net', 'Net', '2026-11-23', figure('a'), figure('b', 'classes: preview-image'), figure('c'))
    built = build(blog)
    assert built.problems == [] and 'src="posts/net_files/figure-html/fig-b-output-1.png"' in read(built, 'index.html')

def test_a_post(blog):
    html = read(build(blog), 'posts/net.html')
    for part in ('<title>Net · A &amp; B</title>', '<h1>Net</h1>', 'About Net.', 'Week 2', 'kata_blog.net', 'href="../core.html"', 'href="../assets/site.css"', 'id="how-this-was-run"', '<a href="#how-this-was-run" class="claim"',
                 'alt="a dot"', 'width="1" height="1"', 'loading="lazy"', 'href="#part"', 'Skip to the text', 'https://github.com/me/it/blob/main/nbs/posts/01_net.ipynb', 'lang="en"', 'CC BY 4.0', 'Figure\xa01'): assert part in html, part
    assert html.count('<h1') == 1 and '<main' in html and 'default_exp' not in html

def test_links_between_pages(blog):
    built = build(blog)
    assert 'href="posts/net.html#how-this-was-run"' in read(built, 'about.html') and 'href="net.html"' in read(built, 'posts/ear.html')
    assert '[' not in re.sub(r'(?s)<(script|pre)\b.*?</\1>', '', read(built, 'about.html'))

def test_the_library_lists_each_module(blog):
    html = read(build(blog), 'library.html')
    assert re.search(r'<a href="core.html"><code>kata_blog.core</code></a></dt>\s*<dd>\s*(<p>)?The base.', html) and 'href="posts/net.html"' in html
    assert 'aria-current="page">Library' in html

def test_no_address_leaves_the_site_or_starts_at_a_root(blog):
    built = build(blog)
    for name, data in everything(built.site).items():
        if not name.endswith(('.html', '.css', '.js')): continue
        text = data.decode()
        assert not re.search(r'(?:href|src)="/', text) and str(blog) not in text and 'url(http' not in text and '@import' not in text
        assert not re.search(r'<(?:script|img|link|iframe)[^>]+(?:src|href)="https?:', text), name

def test_the_page_for_a_wrong_address_works_from_any_depth(blog):
    assert '<base' not in read(build(blog), '404.html')
    with open(blog/'settings.ini', 'a') as f: f.write('address = https://example.org/blog/\n')
    built = build(blog)
    assert '<base href="/blog/">' in read(built, '404.html') and '<base' not in read(built, 'index.html')

def test_same_commit_same_bytes(blog, tmp_path):
    first = everything(build(blog, tmp_path/'a').site)
    shutil.copytree(blog/'nbs', tmp_path/'other/nbs')
    for name in ('_quarto.yml', 'settings.ini'): shutil.copy(blog/name, tmp_path/'other'/name)
    assert first == everything(build(tmp_path/'other', tmp_path/'b').site)

def test_a_build_changes_no_source_and_a_second_one_writes_nothing(blog):
    sources = {p: p.read_bytes() for p in blog.rglob('*') if p.is_file()}
    site = build(blog).site
    times = {p: p.stat().st_mtime_ns for p in site.rglob('*') if p.is_file()}
    build(blog)
    assert all(p.read_bytes() == b for p, b in sources.items()) and times == {p: p.stat().st_mtime_ns for p in site.rglob('*') if p.is_file()}

def of_kata(blog, what): return [p for p in (blog/'.kata').rglob(what) if p.is_file()]

@pytest.mark.parametrize('harm', ['cache', 'stage', 'hashes.json', 'pictures', 'site', 'all'])
@pytest.mark.parametrize('edit', [False, True])
def test_what_an_earlier_build_left_may_be_damaged(blog, tmp_path, harm, edit):
    "Whatever is lost or changed of it is made again; the site is that of a first build."
    site = build(blog).site
    about = blog/'nbs/about.md'
    if edit: about.write_text(about.read_text().replace('home', 'Home'))
    if harm in ('cache', 'stage', 'all'): shutil.rmtree(blog/'.kata'/('' if harm == 'all' else harm))
    if harm == 'hashes.json': (blog/'.kata/hashes.json').write_text('{"a": [1], "b": 2}')
    if harm == 'pictures':
        for p in of_kata(blog, 'cache/*/*'): p.read_bytes()[1:4] == b'PNG' and p.write_bytes(b'x' * p.stat().st_size)
    if harm == 'site':
        for p in site.rglob('*.png'): p.write_bytes(b'x' * p.stat().st_size)
        (site/'index.html').unlink()
    again = everything(build(blog).site)
    shutil.rmtree(blog/'.kata')
    assert again == everything(build(blog, tmp_path/'first').site)

def test_an_edit_that_hides_is_seen(blog):
    "As long as before, and with the time of before."
    about = blog/'nbs/about.md'
    os.utime(about, (0, 0))
    build(blog)
    about.write_text(about.read_text().replace('home', 'HOME'))
    os.utime(about, (0, 0))
    assert 'HOME' in read(build(blog), 'about.html')

def test_one_changed_page_is_all_that_is_made(blog, monkeypatch):
    from kata_blog.press import render
    build(blog)
    made = []
    for name in ('print_note', 'page_html'): monkeypatch.setattr(render, name, lambda *args, name=name, make=getattr(render, name), **kw: made.append(name) or make(*args, **kw))
    build(blog)
    assert made == []
    about = blog/'nbs/about.md'
    about.write_text(about.read_text().replace('home', 'Home'))
    build(blog)
    assert made == ['print_note', 'page_html']

def test_a_page_that_is_gone_goes_from_the_site(blog):
    build(blog)
    (blog/'nbs/about.md').unlink()
    built = build(blog)
    assert 'about.html' not in built.pages and any("'about.md' is no page" in str(p) for p in built.problems) and '>About</a>' not in read(built, 'index.html')

BROKEN = {
    'not JSON': ('{"cells": [', 'no JSON'), 'no front matter': (notebook(cell('markdown', 'x')), 'has no title'), 'a bad directive': (notebook(cell('raw', '---\ntitle: a\ndate: 2026-01-01\n---'), code('#| echo: perhaps\nx')), 'cell 2, line 1'),
    'a near miss': (notebook(cell('raw', '---\ntitle: a\ndate: 2026-01-01\n---'), code('#| fig_cap: x\nx')), "did you mean 'fig-cap'"),
    'no base64': (notebook(cell('raw', '---\ntitle: a\ndate: 2026-01-01\n---'), code('ok'), code('x', dict(output_type='display_data', metadata={}, data={'image/png': '!'}))), 'cell 3: an output holds image/png'),
    'an odd output': (notebook(cell('raw', '---\ntitle: a\ndate: 2026-01-01\n---'), code('#| hide\nx'), code('x', dict(output_type='pyout'))), "cell 3, output 1: its kind is 'pyout'"),
    'a missing attachment': (notebook(cell('raw', '---\ntitle: a\ndate: 2026-01-01\n---'), cell('markdown', '![a](attachment:b.png)')), 'cell 2: the attached picture'),
    'a missing image': (notebook(cell('raw', '---\ntitle: a\ndate: 2026-01-01\n---'), cell('markdown', 'x\n![a](b.png)')), "cell 2, line 2: the image 'b.png' is missing"),
    'a lost reference': (notebook(cell('raw', '---\ntitle: a\ndate: 2026-01-01\n---'), cell('markdown', 'See @fig-nothing.')), '@fig-nothing names no figure'),
    'a missing bibliography': (notebook(cell('raw', '---\ntitle: a\ndate: 2026-01-01\nbibliography: gone.bib\n---'), cell('markdown', '[@a]')), 'gone.bib')}

@pytest.mark.parametrize('name', BROKEN)
def test_a_broken_post_is_named_and_the_rest_is_built(blog, name):
    content, words = BROKEN[name]
    bad = blog/'nbs/posts/03_bad.ipynb'
    bad.write_text(content)
    (blog/'nbs/posts/records/03_bad.json').write_text(json.dumps([RECORD]))
    built = build(blog)
    problem, = [p for p in built.problems if not p.warning]
    assert '03_bad.ipynb' in problem.where and words in str(problem), str(problem)
    assert {'index.html', 'posts/net.html', 'posts/ear.html'} <= set(built.pages) and bad.read_text() == content

def test_a_stale_address_of_a_left_out_post_is_plain_text(blog):
    (blog/'nbs/posts/records/01_net.json').unlink()
    built = build(blog)
    assert built.left_out[0][0] == '01_net' and built.problems == [] and 'net.html' not in read(built, 'about.html') and 'the net' in read(built, 'about.html')
    assert check_site(built.site) == []

def test_the_command_says_it_all(blog, capsys):
    from kata_blog.press.cli import main
    assert main(['build', str(blog)]) == 0 and '9 pages' in capsys.readouterr().out
    (blog/'nbs/posts/03_bad.ipynb').write_text('{')
    assert main(['build', str(blog)]) == 1 and '03_bad.ipynb' in capsys.readouterr().err
    with open(blog/'settings.ini', 'a') as f: f.write('titel = x\n')
    assert main(['build', str(blog)]) == 1 and "line 6: unknown key 'titel'; did you mean 'title'" in capsys.readouterr().err

@pytest.mark.parametrize('out,words', [('nbs', 'would be lost'), ('.', 'over the project'), ('..', 'over the project'), ('settings.ini', 'needs a folder')])
def test_a_site_never_goes_over_other_files(blog, out, words):
    before = {p: p.read_bytes() for p in blog.rglob('*') if p.is_file()}
    with pytest.raises(ConfigError, match=words): build(blog, blog/out)
    assert all(p.read_bytes() == b for p, b in before.items())

def test_a_folder_of_its_own_is_used_again(blog, tmp_path):
    assert build(blog, tmp_path/'out').site == tmp_path/'out'
    assert len(build(blog, tmp_path/'out').pages) == 9 and not (blog/'_site').exists()

def test_quarto_where_it_is_missing_is_said(blog, monkeypatch):
    monkeypatch.setenv('PATH', '/nowhere')
    with pytest.raises(KataError, match='needs the Quarto program'): build(blog, renderer='quarto')

@pytest.mark.parametrize('page,code,problem', [('index.html', 0, None), ('index.html', 3, 'quarto: ERROR: it went wrong'), ('none.txt', 0, 'wrote no page')])
def test_quarto_gets_the_staged_project(blog, tmp_path, monkeypatch, page, code, problem):
    "A program that stands in for Quarto writes down what it was asked."
    program = tmp_path/'bin/quarto'
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nmkdir -p "$5"; echo "$@" > {tmp_path}/asked.txt; test -f "$2/_quarto.yml" && echo page > "$5/{page}"; printf "\\033[33mWARN: busy\\033[39m\\n\\033[91mERROR: it went wrong\\nStack trace:\\n  at a file" >&2; exit {code}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv('PATH', f'{program.parent}:/usr/bin:/bin')
    built = build(blog, renderer='quarto')
    verb, folder, *rest, where = (tmp_path/'asked.txt').read_text().split()
    assert [verb, *rest] == ['render', '--no-execute', '--output-dir']
    assert not Path(where).exists()  # it is made aside, so that a failure leaves the site as it was
    assert not any(part[0] in '._' for part in Path(folder).parts)  # Quarto would see nothing there
    assert built.pages == [p for p in [page] if p.endswith('.html')] and [problem in str(p) for p in built.problems] == [True] * bool(problem)

def test_a_folder_that_is_only_quarto(tmp_path):
    (tmp_path/'_quarto.yml').write_text('project: {type: website, output-dir: docs}\nwebsite: {title: Plain, navbar: {left: [index.md]}}\nbibliography: refs.bib\nexecute: {echo: false}\n')
    (tmp_path/'refs.bib').write_text('@article{he2016, title={Deep}, author={He, Kaiming}, year={2016}}')
    (tmp_path/'index.md').write_text('---\ntitle: Plain\nlisting:\n  - {contents: "notes/*.ipynb", sort: title, type: grid, max-items: 1}\n---\n\nAs @he2016 says.\n')
    (tmp_path/'notes').mkdir()
    for name in 'ba': (tmp_path/f'notes/01_{name}.ipynb').write_text(notebook(cell('raw', f'---\ntitle: {name}\n---'), cell('markdown', '# Heading'), code('#| hide\nsecret = 1'), code('hidden = 1', dict(output_type='stream', name='stdout', text='seen'))))
    built = build(tmp_path)
    assert built.site == tmp_path/'docs' and built.pages == ['index.html', 'notes/01_a.html', 'notes/01_b.html'] and built.problems == []
    home, note = read(built, 'index.html'), read(built, 'notes/01_a.html')
    assert 'listing-grid' in home and 'notes/01_a.html' in home and 'notes/01_b.html' not in home and 'href="#ref-he2016"' in home
    assert 'seen' in note and 'hidden = 1' not in note and 'secret' not in note and '>Heading</h1>' in note and '>Plain</a>' in note

def test_options_of_site_page_and_format():
    config = {'execute': {'echo': False, 'warning': False}, 'format': {'html': {'toc': True, 'code-fold': True}}}
    front = {'execute': {'echo': True}, 'format': {'html': {'code-fold': 'show'}}, 'toc': False}
    found = page_options(config, front)
    assert (found['echo'], found['warning'], found['code-fold'], found['toc']) == (True, False, 'show', False)
    assert page_options({}, {'format': 'html'})['format'] == 'html'

def test_the_tree_of_headings():
    def heads(*levels): return [dict(id=f'h{i}', level=l, html='x') for i, l in enumerate(levels)]
    def shape(items): return [(i['id'], shape(i['children'])) for i in items]
    assert shape(toc_tree(heads(2, 3, 3, 2, 4))) == [('h0', [('h1', []), ('h2', [])]), ('h3', [])]
    assert shape(toc_tree(heads(3, 2, 1, 2))) == [('h0', []), ('h1', []), ('h2', [('h3', [])])]

def test_reading_time(): assert [minutes(n) for n in (0, 100, 330, 2200)] == [1, 1, 2, 10]

def test_reading_time_is_that_of_the_prose(blog):
    def told(*cells):
        post(blog, '02_ear', 'Ear', '2026-11-30', *cells)
        return re.search(r'(\d+) min read', read(build(blog), 'posts/ear.html'))[1]
    prose = cell('markdown', 'word '*640)
    assert told(prose, code('x = 1\n'*2000)) == told(prose, code('x = 1')) != told(code('x = 1'))

def test_the_theme_is_small_and_closed():
    theme = Path(build.__globals__['THEME'])
    assert (theme/'site.css').stat().st_size < 40_000 and (theme/'site.js').stat().st_size < 15_000
    assert not any(re.search(r'https?://(?!www\.w3\.org)', p.read_text().replace('https://github.com/', '')) for p in theme.iterdir() if p.suffix in ('.css', '.js'))

def luminance(colour):
    c = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    return sum(w * (v / 12.92 if v <= .03928 else ((v + .055) / 1.055) ** 2.4) for w, v in zip((.2126, .7152, .0722), c))

@pytest.mark.parametrize('theme,start', [('light', '--paper: #fdfcf8'), ('dark', ':root[data-theme=dark] {')])
@pytest.mark.parametrize('name', ['ink', 'quiet', 'link', 'mark', 'note', 'tip', 'warn', 'alarm', 't-word', 't-name', 't-text', 't-number', 't-aside', 't-sign'])
def test_every_colour_of_text_can_be_read(theme, start, name):
    css = (Path(build.__globals__['THEME'])/'site.css').read_text()
    part = css[css.index(start):]
    value = {k: (re.search(rf'--{k}: (#\w+)', part)[1]) for k in ('paper', 'sheet', name)}
    for ground in ('paper', 'sheet'):
        light, dark = sorted((luminance(value[name]), luminance(value[ground])), reverse=True)
        assert (light + .05) / (dark + .05) >= 4.5, (theme, name, ground)
