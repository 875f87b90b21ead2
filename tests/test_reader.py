"What a reader gets around the posts: order, series, categories, feeds, search, old addresses, citations."
import datetime, json, re
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree
import pytest
from kata_blog.press.check import check_site
from kata_blog.press.feed import Entry, atom, rss
from kata_blog.press.listing import Item, by_category, ordered, parts, series_markdown, slug, withheld
from kata_blog.press.pandoc import Pandoc
from kata_blog.press.render import build
from kata_blog.press.search import sections
from kata_blog.press.settings import Settings
from kata_blog.press.share import badges_markdown, bibtex, cite_markdown
from test_render import PNG, blog, cell, code, everything, notebook, picture, post, read

ATOM = '{http://www.w3.org/2005/Atom}'

def change(root, name, old, new):
    path = root/'nbs/posts'/name
    path.write_text(path.read_text().replace(old, new))
    return path

def settings(root, **more):
    text = '[blog]\ntitle = A & B\nauthor = Someone\nlicence_text = CC BY 4.0\n' + ''.join(f'{k} = {v}\n' for k, v in more.items())
    (root/'settings.ini').write_text(text)

# Which posts, and in what order

@pytest.mark.parametrize('front,order', [('kata: {pinned: true, week: 2', ['net', 'ear']), ('sticky_rank: 1\\nkata: {week: 2', ['net', 'ear']), ('kata: {week: 2', ['ear', 'net'])])
def test_a_pinned_post_comes_first(blog, front, order):
    change(blog, '01_net.ipynb', 'kata: {week: 2', front)
    html = read(build(blog), 'index.html')
    found = re.findall(r'class="card-title"><a href="posts/(\w+)\.html"', html)
    assert found == order and ('class="pinned"' in html) == (order[0] == 'net')

def test_a_post_waits_for_its_day(blog, monkeypatch):
    change(blog, '02_ear.ipynb', 'kata: {week: 2', 'kata: {publish: 2026-12-14, week: 2')
    monkeypatch.setenv('SOURCE_DATE_EPOCH', str(int(datetime.datetime(2026, 12, 13, 23, tzinfo=datetime.timezone.utc).timestamp())))
    built = build(blog)
    assert built.left_out == [('02_ear', 'scheduled for 14 December 2026')] and 'posts/ear.html' not in built.pages and 'ear.html' not in read(built, 'index.atom.xml') and 'Ear' not in read(built, 'archive.html')
    monkeypatch.setenv('SOURCE_DATE_EPOCH', str(int(datetime.datetime(2026, 12, 14, tzinfo=datetime.timezone.utc).timestamp())))
    assert 'posts/ear.html' in build(blog).pages

def test_a_day_that_is_none_is_a_problem(blog):
    change(blog, '02_ear.ipynb', 'kata: {week: 2', 'kata: {publish: soon, week: 2')
    built = build(blog)
    problem, = built.problems
    assert "kata.publish is 'soon'; needed a day" in problem.text and '02_ear' in problem.where and 'posts/net.html' in built.pages

def test_a_markdown_post_needs_no_run(blog):
    (blog/'nbs/posts/03_word.md').write_text('---\ntitle: A word\ndate: 2026-12-01\ncategories: [news]\n---\n\nHello.\n')
    built = build(blog)
    assert 'posts/word.html' in built.pages and read(built, 'index.html').index('posts/word.html') < read(built, 'index.html').index('posts/ear.html')
    assert built.left_out == [] and check_site(built.site) == []

def test_the_parts_of_a_series_lead_to_each_other(blog):
    first, last = (read(build(blog), f'posts/{n}.html') for n in ('net', 'ear'))
    assert 'The course, part 1 of 2' in first and re.search(r'<a href="ear.html" class="after" rel="next">', first) and 'rel="prev"' not in first
    assert 'part 2 of 2' in last and re.search(r'<a href="net.html" class="before" rel="prev">', last) and 'rel="next"' not in last

def test_a_series_of_its_own_is_read_by_date():
    def item(name, date, **kata): return Item(PurePosixPath(f'posts/{name}.md'), name, name, dict(date=date, kata=kata))
    a, b, c, other = item('02_a', '2026-01-01', series='Maps'), item('01_b', '2026-02-01', series='Maps'), item('03_c', '2026-01-15', series='Maps', week=3), item('04_d', '2026-01-01', week=1)
    assert [i.title for i in parts(b, [other, b, a, c])] == ['02_a', '01_b', '03_c'] and series_markdown(other, [other, a, b, c]) == ''

# Categories and the archive

def test_every_category_has_a_page_and_a_feed(blog):
    change(blog, '02_ear.ipynb', 'categories: [vision]', 'categories: [Hearing things, vision]')
    built = build(blog)
    assert {'categories/vision.html', 'categories/hearing-things.html'} <= set(built.pages)
    assert 'Two' not in read(built, 'categories/hearing-things.html') and 'One post about Hearing things' in read(built, 'categories/hearing-things.html')
    assert 'href="../categories/hearing-things.html"' in read(built, 'posts/ear.html')
    feed = ElementTree.fromstring(read(built, 'categories/hearing-things.atom.xml'))
    assert [e.text for e in feed.iter(f'{ATOM}title')] == ['A & B: Hearing things', 'Ear'] and check_site(built.site) == []

def test_spellings_of_a_category_are_one():
    items = [Item(PurePosixPath('a.md'), 'a', 'a', dict(categories=['EEG', 'C++'])), Item(PurePosixPath('b.md'), 'b', 'b', dict(categories='eeg'))]
    assert [(k, len(v)) for k, v in by_category(items).items()] == [('EEG', 2), ('C++', 1)] and slug('a / b') == 'a-b'

def test_the_archive_goes_by_month(blog):
    change(blog, '01_net.ipynb', 'date: 2026-11-23', 'date: 2025-02-03')
    html = read(build(blog), 'archive.html')
    assert html.index('November 2026') < html.index('posts/ear.html') < html.index('February 2025') < html.index('posts/net.html') and 'categories/vision.html' in html

# Feeds and maps

def test_a_feed_holds_the_whole_text_with_absolute_addresses(blog):
    settings(blog, address='https://example.org/b/')
    built = build(blog)
    for name, kind in (('index.xml', 'rss'), ('index.atom.xml', 'atom')):
        text, tree = read(built, name), ElementTree.fromstring(read(built, name))
        assert 'https://example.org/b/posts/net_files/figure-html/fig-a-output-1.png' in text and '&lt;script' not in text
        whole = ''.join(e.text for e in tree.iter() if e.tag.endswith(('encoded', 'content')))
        assert whole.count('Part') >= 2 and not [a for a in re.findall(r'(?:href|src)="([^"]*)"', whole) if not a.startswith('http')], name
        assert f'type="application/{kind}+xml"' in read(built, 'posts/net.html')
    guids = [e.text for e in ElementTree.fromstring(read(built, 'index.xml')).iter('guid')]
    assert guids == ['https://example.org/b/posts/ear.html', 'https://example.org/b/posts/net.html']
    assert 'https://example.org/b/posts/net.html' in read(built, 'sitemap.xml') and '404' not in read(built, 'sitemap.xml') and 'sitemap.xml' in read(built, 'robots.txt')
    assert '<link rel="canonical" href="https://example.org/b/posts/net.html">' in read(built, 'posts/net.html') and '<link rel="canonical" href="https://example.org/b/">' in read(built, 'index.html')

def test_a_blog_without_an_address_has_an_atom_feed_alone(blog):
    built = build(blog)
    tree = ElementTree.fromstring(read(built, 'index.atom.xml'))
    ids = [e.text for e in tree.iter(f'{ATOM}id')]
    assert all(i.startswith('urn:uuid:') for i in ids) and len(set(ids)) == 3 == len(ids)
    assert [l.get('href') for l in tree.findall(f'{ATOM}entry/{ATOM}link')] == ['posts/ear.html', 'posts/net.html']
    assert not (built.site/'index.xml').exists() and not (built.site/'sitemap.xml').exists() and 'rel="canonical"' not in read(built, 'index.html')

REQUIRED = {'feed': ['id', 'title', 'updated', 'author'], 'entry': ['id', 'title', 'updated', 'link', 'content']}

@pytest.mark.parametrize('text', ['a & b <c> ]]> "d"', '\x00\x08\ud800 é 日本', '<script>x</script>kept<!-- gone -->', ''])
@pytest.mark.parametrize('address', ['', 'https://example.org'])
def test_feeds_are_well_formed_whatever_a_post_says(text, address):
    s, page = Settings(title=text or 'T', author='A', address=address, description=text), PurePosixPath('index.html')
    entries = [Entry(PurePosixPath(f'posts/p{i}.html'), text or 'T', text, f'2026-11-{i + 1:02}', '', [text], f'<p>{text}</p>') for i in range(25)]
    tree = ElementTree.fromstring(atom(entries, page, s).encode('utf-8'))
    for e in tree.iter():
        for name in REQUIRED.get(e.tag.removeprefix(ATOM), []): assert e.find(f'{ATOM}{name}') is not None, (e.tag, name)
    assert len(tree.findall(f'{ATOM}entry')) == 20 and tree.find(f'{ATOM}updated').text == '2026-11-25T00:00:00+00:00'
    if address:
        channel = ElementTree.fromstring(rss(entries, page, s).encode('utf-8')).find('channel')
        assert len(channel.findall('item')) == 20 and channel.find('item/pubDate').text == 'Wed, 25 Nov 2026 00:00:00 +0000'

def test_an_id_stays_when_a_title_changes(blog):
    settings(blog, address='https://example.org')
    before = ElementTree.fromstring(read(build(blog), 'index.atom.xml')).findall(f'{ATOM}entry/{ATOM}id')
    change(blog, '01_net.ipynb', 'title: \\"Net\\"', 'title: \\"Another\\"')
    after = ElementTree.fromstring(read(build(blog), 'index.atom.xml')).findall(f'{ATOM}entry/{ATOM}id')
    assert [e.text for e in before] == [e.text for e in after]

# Old addresses, what networks see

def test_an_old_address_leads_to_the_page(blog):
    change(blog, '01_net.ipynb', 'categories: [vision]', 'categories: [vision]\\naliases: [/2020/net/, old.html]')
    built = build(blog)
    assert 'url=../../posts/net.html' in read(built, '2020/net/index.html') and 'url=net.html' in read(built, 'posts/old.html')
    assert check_site(built.site) == [] and built.problems == []

@pytest.mark.parametrize('alias,words', [('/index.html', 'is another page'), ('/../x.html', 'lies outside')])
def test_an_alias_over_a_page_is_a_problem(blog, alias, words):
    change(blog, '01_net.ipynb', 'categories: [vision]', f'categories: [vision]\\naliases: [{alias}]')
    built = build(blog)
    problem, = built.problems
    assert words in problem.text and 'Hello' in read(built, 'index.html')

def test_a_page_says_what_it_is_to_networks(blog):
    settings(blog, address='https://example.org/b')
    html = read(build(blog), 'posts/net.html')
    for part in ('property="og:title" content="Net"', 'property="og:type" content="article"', 'content="https://example.org/b/posts/covers/net.png"', 'property="og:url" content="https://example.org/b/posts/net.html"', 'name="twitter:card"', 'property="og:image:width" content="1200"'): assert part in html, part
    assert (blog/'_site/posts/covers/net.png').read_bytes()[16:24] == bytes.fromhex('000004b000000276')

def test_comments_are_off_until_they_are_configured(blog):
    assert 'giscus' not in read(build(blog), 'posts/net.html')
    settings(blog, repository='me/it', comments='R_1, DIC_2')
    built = build(blog)
    html = read(built, 'posts/net.html')
    assert 'data-repo="me/it" data-repo-id="R_1" data-category-id="DIC_2"' in html and 'giscus' not in read(built, 'about.html')
    change(blog, '01_net.ipynb', 'categories: [vision]', 'comments: false\\ncategories: [vision]')
    assert 'giscus' not in read(build(blog), 'posts/net.html')

def test_badges_lead_to_the_notebook(blog):
    settings(blog)
    assert 'class="badges"' not in read(build(blog), 'posts/net.html')
    settings(blog, repository='me/it', branch='dev')
    html = read(build(blog), 'posts/net.html')
    for address in ('https://github.com/me/it/blob/dev/nbs/posts/01_net.ipynb', 'https://colab.research.google.com/github/me/it/blob/dev/nbs/posts/01_net.ipynb', 'https://mybinder.org/v2/gh/me/it/dev?labpath=nbs%2Fposts%2F01_net.ipynb'): assert f'href="{address}"' in html
    assert badges_markdown('nbs/posts/a.md', {}, Settings(repository='me/it')).count('](') == 1

def test_a_citation_survives_any_title():
    entry = bibtex(dict(title='50 % of {all} $x_1$ \\ & more', date='2026-11-23', author='Ada King'), PurePosixPath('posts/a_b.html'), Settings(author='B'))
    assert entry.startswith('@misc{king2026a_b,') and r'{{50 \% of all \$x\_1\$  \& more}}' in entry and entry.count('{') == entry.count('}')
    with Pandoc() as pandoc: html = pandoc.convert(cite_markdown(dict(title='`</details>`', date='2026'), PurePosixPath('a.html'), Settings(licence_code='MIT', licence_text='My *own*')))['html']
    assert html.count('</details>') == 1 and 'rel="license">MIT' in html and '*own*' in html

# Search

def test_the_search_knows_every_page_but_those_that_ask_not_to_be(blog):
    (blog/'nbs/quiet.md').write_text('---\ntitle: Quiet\nsearch: false\n---\n\nNobody finds this.\n')
    text = read(build(blog), 'assets/search.js')
    pages = json.loads(text.removeprefix('kataSearch(').rstrip().removesuffix(')'))
    assert {p[0] for p in pages} >= {'index.html', 'posts/net.html', 'core.html'} and 'Nobody finds this' not in text
    assert ['part', 'Part', 'See Figure 1 and core . Used later in no post so far.'] in next(p for p in pages if p[0] == 'posts/net.html')[3]

def test_the_search_holds_prose_and_code_and_no_output():
    body = '<p>one</p><pre class="cell-text"><code>1234</code></pre><table><tr><td>5678</td></tr></table><div class="sourceCode"><pre><code>f(x)</code></pre></div><math><mi>q</mi></math>'
    assert sections(body) == [['', '', 'one f(x)']]

# What stands in a text

def convert(text, **more):
    with Pandoc() as pandoc: return pandoc.convert(text, **more)

def test_tabs():
    html = convert('::: {.panel-tabset}\n\n## Python\n\none\n\n### deeper\n\n## R\n\ntwo\n\n:::\n\n## After')
    assert re.findall(r'role="tab" id="([^"]*)" aria-controls="([^"]*)">(\w+)<', html['html']) == [('tabset-1-1-tab', 'tabset-1-1', 'Python'), ('tabset-1-2-tab', 'tabset-1-2', 'R')]
    assert html['html'].count('role="tabpanel"') == 2 and [h['id'] for h in html['headings']] == ['after']

def test_parts_of_a_figure():
    html = convert('::: {#fig-both layout-ncol=2}\n![First](a.png){#fig-one}\n\n![](b.png){#fig-two}\n\nBoth.\n:::\n\nSee @fig-two, @fig-one and @fig-both.\n\n![Next](c.png){#fig-next}')
    assert re.findall(r'caption-label">([^<]*)<', html['html']) == ['(a) ', '(b)', 'Figure\xa01: ', 'Figure\xa02: ']
    assert re.findall(r'quarto-xref">([^<]*)<', html['html']) == ['Figure\xa01 (b)', 'Figure\xa01 (a)', 'Figure\xa01'] and not html['unresolved']

def test_a_source_is_cited_listed_and_missed(tmp_path):
    bib = tmp_path/'r.bib'
    bib.write_text('@article{he2016, author = {He, Kaiming}, title = {Deep}, year = {2016}}')
    html = convert('As [@he2016] and @nobody say.\n\n## Sources\n\n::: {#refs}\n:::\n\n## End', bibliography=[str(bib)])
    assert '<a href="#ref-he2016"' in html['html'] and html['html'].index('id="ref-he2016"') < html['html'].index('id="end"') and html['unresolved'] == ['nobody']

def test_films():
    html = convert('{{< video a.mp4 title="A cell" >}}\n\n{{< video https://example.org/x >}}')['html']
    assert '<video controls preload="metadata" src="a.mp4" aria-label="A cell"></video>' in html and '<a class="film" href="https://example.org/x">' in html and 'iframe' not in html

@pytest.mark.parametrize('name', ['index.xml', 'index.atom.xml', 'categories/sound.xml', 'categories/sound.atom.xml'])
def test_a_feed_parser_reads_each_feed_whole(blog, name):
    import feedparser
    change(blog, '02_ear.ipynb', 'kata: {week: 2', 'categories: [sound]\\nkata: {week: 2')
    settings(blog, address='https://example.org/blog', repository='me/it')
    feed = feedparser.parse((build(blog).site/name).read_bytes())
    assert not feed.bozo and feed.version in ('rss20', 'atom10') and feed.feed.title and feed.feed.link.startswith('https://example.org/blog')
    assert len(feed.entries) == (1 if 'sound' in name else 2) and len({e.id for e in feed.entries}) == len(feed.entries)
    for e in feed.entries: assert e.link.startswith('https://example.org/blog/posts/') and e.published_parsed.tm_year == 2026 and 'href="https://example.org/blog/' in e.content[0].value
