"The site as a reader uses it, in a real Chromium: search, theme, folds, tabs, copy, sound, tables, ways around, and nothing asked of anybody else."
import base64, io, wave
import pytest
from kata_blog.press.browser import browse_site, no_browser, opened, served
from kata_blog.press.cache import Cache
from kata_blog.press.charts import known_libraries
from kata_blog.press.render import build
from test_render import PNG, cell, code, notebook, write_blog

pytestmark = pytest.mark.skipif(bool(no_browser()), reason=no_browser())

def tone():
    out = io.BytesIO()
    with wave.open(out, 'wb') as w:
        w.setnchannels(1); w.setsampwidth(2); w.setframerate(8000)
        w.writeframes(bytes(8000))
    return base64.b64encode(out.getvalue()).decode()

def shown(html): return dict(output_type='display_data', metadata={}, data={'text/html': html, 'text/plain': ''})

TABLE = '<table><thead><tr><th></th><th>name</th><th>score</th></tr></thead><tbody><tr><td>0</td><td>pear</td><td>9.5</td></tr><tr><td>1</td><td>apple</td><td>10</td></tr><tr><td>2</td><td>fig</td><td></td></tr></tbody></table>'
FORMS = notebook(cell('raw', '---\ntitle: Forms\ntoc: true\nformat: {html: {toc: true}}\n---'),
    cell('markdown', '## Colours\n\nA word with a note.[^n]\n\n[^n]: What the note says.\n\n::: {.panel-tabset}\n\n### Red\n\nIt is red.\n\n### Blue\n\nIt is blue.\n\n:::\n\n' + '\n\n'.join(['A paragraph about zebras and their stripes.'] * 30)),
    cell('markdown', '## Rows'), code('x = 1', shown(TABLE)), code('#| code-fold: true\nhidden = 2'),
    cell('markdown', '## Sounds\n\n' + '\n\n'.join(['More words.'] * 30)), code('play()', shown(f'<audio controls aria-label="a tone" src="data:audio/wav;base64,{tone()}"></audio>')))

BARS = {'data': {'values': [{'a': 'x', 'b': 3}, {'a': 'y', 'b': 5}]}, 'mark': {'type': 'bar', 'tooltip': True}, 'encoding': {'x': {'field': 'a'}, 'y': {'field': 'b', 'type': 'quantitative'}}}
AFAR = BARS | {'data': {'url': 'https://example.org/data.json'}}
def chart(form, spec): return dict(output_type='display_data', metadata={}, data={form: spec, 'image/png': PNG})
CHARTS = notebook(cell('raw', '---\ntitle: Charts\n---'), cell('markdown', '## Some'), code('#| fig-alt: two bars\na', chart('application/vnd.vegalite.v5+json', BARS)),
    code('#| fig-alt: a line\nb', chart('application/vnd.plotly.v1+json', {'data': [{'y': [1, 3, 2]}], 'layout': {}})), code('#| fig-alt: data of others\nc', chart('application/vnd.vegalite.v5+json', AFAR)),
    code('#| fig-alt: a map\nd', chart('application/vnd.plotly.v1+json', {'data': [{'type': 'scattermap', 'lat': [1], 'lon': [2]}], 'layout': {}})))

@pytest.fixture(scope='module')
def site(tmp_path_factory):
    root = write_blog(tmp_path_factory.mktemp('site')/'blog')
    (root/'nbs/forms.ipynb').write_text(FORMS)
    (root/'nbs/charts.ipynb').write_text(CHARTS)
    built = build(root)
    assert built.problems == []
    return built.site

@pytest.fixture(scope='module')
def browser():
    with opened() as b: yield b

@pytest.fixture
def visit(site, browser):
    "Opens a page of the site; at the end nothing may have failed, and nobody else may have been asked."
    faults = []
    with served(site) as address:
        context = browser.new_context(permissions=['clipboard-read', 'clipboard-write'])
        def go(name, width=1280, **more):
            page = context.new_page() if not more else browser.new_context(**more).new_page()
            page.set_viewport_size({'width': width, 'height': 800})
            page.on('console', lambda m: faults.append(m.text) if m.type in ('error', 'warning') else None)
            page.on('pageerror', lambda e: faults.append(str(e)))
            page.on('request', lambda r: faults.append(r.url) if not r.url.startswith((address, 'data:', 'blob:')) else None)
            page.goto(f'{address}/{name}')
            return page
        yield go
        context.close()
    assert faults == []

def test_axe_finds_nothing_to_mend(site, tmp_path):
    cache = Cache(tmp_path)
    found = browse_site(site, cache)
    assert [str(p) for p in found] == []
    (site/'grey.html').write_text('<!DOCTYPE html><html lang="en"><title>Grey</title><main><h1>Grey</h1><p style="color:#ccc;background:#fff">grey</p><button></button><script src="https://127.0.0.2/a.js"></script></main>')
    try: texts = sorted(p.text.split(':')[0].split(' ')[0] for p in browse_site(site, cache) if 'grey.html' in p.where)
    finally: (site/'grey.html').unlink()
    assert texts == ['asks', 'button-name', 'color-contrast']

def test_the_theme_is_chosen_and_kept(visit):
    page = visit('index.html')
    ground = lambda: page.evaluate('getComputedStyle(document.body).backgroundColor')
    before, button = ground(), page.locator('button.theme')
    button.click()
    assert ground() != before and button.get_attribute('aria-pressed') == 'true'
    after = ground()
    page.goto(page.url.replace('index.html', 'forms.html'))
    assert ground() == after

def test_the_theme_follows_the_system(visit):
    grounds = {scheme: visit('index.html', color_scheme=scheme).evaluate('getComputedStyle(document.body).backgroundColor') for scheme in ('light', 'dark')}
    assert grounds['light'] != grounds['dark']

def test_search_by_keyboard_leads_to_the_place(visit):
    page = visit('index.html')
    page.keyboard.press('/')
    page.keyboard.type('zebra')
    page.wait_for_selector('#hits li')
    assert page.locator('.hits-count').text_content() == '1 place' and page.locator('#hits mark').first.text_content().lower() == 'zebra'
    page.keyboard.press('ArrowDown')
    page.keyboard.press('Enter')
    page.wait_for_url('**/forms.html#colours')
    assert not page.locator('dialog.search').is_visible()

def test_search_says_when_nothing_is_found_and_escape_leaves(visit):
    page = visit('index.html')
    page.keyboard.press('Control+k')
    page.keyboard.type('qqqq')
    page.wait_for_function("document.querySelector('.hits-count').textContent === 'Nothing found'")
    page.keyboard.press('Escape')
    assert not page.locator('dialog.search').is_visible()

def test_search_works_without_a_server(site, browser):
    page = browser.new_page()
    page.goto((site/'forms.html').as_uri())
    page.keyboard.press('/')
    page.keyboard.type('stripes')
    page.wait_for_selector('#hits li')
    assert 'forms.html' in page.locator('#hits a').first.get_attribute('href')

def test_a_fold_opens(visit):
    page = visit('forms.html')
    assert not page.get_by_text('hidden = 2').is_visible()
    page.locator('details.code-fold summary').click()
    assert page.get_by_text('hidden = 2').is_visible()

def test_a_link_into_a_fold_opens_it(visit):
    page = visit('posts/net.html#how-this-was-run')
    assert page.locator('#how-this-was-run').is_visible()

def test_tabs_by_mouse_and_by_keyboard(visit):
    page = visit('forms.html')
    red, blue = page.get_by_text('It is red.'), page.get_by_text('It is blue.')
    assert red.is_visible() and not blue.is_visible()
    page.get_by_role('tab', name='Blue').click()
    assert blue.is_visible() and not red.is_visible()
    page.keyboard.press('ArrowLeft')
    assert red.is_visible() and page.evaluate('document.activeElement.textContent') == 'Red'

def test_code_is_copied_as_it_is(visit):
    page = visit('forms.html')
    block = page.locator('div.sourceCode').first
    block.hover()
    block.locator('button.copy').click()
    page.wait_for_function("document.querySelector('button.copy').textContent === 'Copied'")
    assert page.evaluate('navigator.clipboard.readText()') == 'x = 1'

def test_a_table_sorts_by_value_both_ways(visit):
    page = visit('forms.html')
    names = lambda: page.locator('tbody td:nth-child(2)').all_text_contents()
    score = page.get_by_role('button', name='score')
    score.click()
    assert names() == ['pear', 'apple', 'fig'] and page.locator('th[aria-sort]').get_attribute('aria-sort') == 'ascending'
    score.click()
    assert names() == ['apple', 'pear', 'fig']

def test_a_sound_is_a_file_that_plays(visit, site):
    page = visit('forms.html')
    sound = page.locator('audio')
    assert sound.get_attribute('src').endswith('.wav') and (site/sound.get_attribute('src')).is_file()
    sound.evaluate('a => { a.muted = true; return a.play() }')
    page.wait_for_function("document.querySelector('audio').currentTime > 0")

def test_a_note_is_shown_beside_its_word(visit):
    wide = visit('forms.html', 1440)
    assert wide.locator('.sidenote').get_by_text('What the note says.').is_visible()
    narrow = visit('forms.html', 800)
    narrow.locator('a.footnote-ref').focus()
    assert narrow.locator('.peek').is_visible()
    narrow.keyboard.press('Escape')
    assert not narrow.locator('.peek').is_visible()

def test_the_contents_follow_the_reader(visit):
    page = visit('forms.html', 1440)
    page.locator('#sounds').evaluate('e => e.scrollIntoView()')
    page.wait_for_function("document.querySelector('.toc a[aria-current]')?.textContent === 'Sounds'")

def test_the_first_tab_stop_leads_past_the_navigation(visit):
    page = visit('index.html')
    page.keyboard.press('Tab')
    assert page.evaluate('document.activeElement.textContent') == 'Skip to the text'
    page.keyboard.press('Enter')
    assert page.evaluate('document.activeElement.id') == 'content'

@pytest.mark.parametrize('width', [320, 768, 1440, 2560])
@pytest.mark.parametrize('name', ['index.html', 'forms.html', 'posts/net.html', 'archive.html'])
def test_no_page_scrolls_sideways(visit, name, width):
    assert visit(name, width).evaluate('document.documentElement.scrollWidth - innerWidth') <= 0

@pytest.mark.parametrize('width', [360, 1280])
@pytest.mark.parametrize('name', ['index.html', 'forms.html', 'posts/net.html'])
def test_nothing_moves_while_a_page_loads(visit, name, width):
    page = visit(name, width)
    shift = page.evaluate("new Promise(done => { let sum = 0; new PerformanceObserver(l => { for (const e of l.getEntries()) sum += e.value }).observe({type: 'layout-shift', buffered: true}); setTimeout(() => done(sum), 300) })")
    assert shift < 0.01

@pytest.mark.skipif(len(known_libraries()) < 2, reason='no libraries for charts: pip install "kata_blog[charts]"')
def test_charts_are_drawn_by_the_site_alone(visit):
    "What the reader can point at; a chart that needs another server stays a picture."
    page = visit('charts.html')
    for n in range(4):
        page.locator('.chart').nth(n).scroll_into_view_if_needed()
        page.wait_for_function('n => { const c = document.querySelectorAll(".chart")[n]; return n < 2 ? c.querySelector("img").style.display === "none" : !c.querySelector("[aria-busy]") }', arg=n)
    assert page.locator('.chart svg.marks').count() == 1 and page.locator('.chart .main-svg').count() and page.locator('.chart img:visible').count() == 2
    page.locator('.chart path[aria-roledescription=bar]').first.hover()
    assert page.locator('#vg-tooltip-element').inner_text().split() == ['a', 'x', 'b', '3']

def test_a_line_of_code_has_an_address(visit):
    page = visit('forms.html#cb2-1')
    assert page.evaluate('document.querySelector(":target")?.innerText') == 'hidden = 2' and page.locator('details.code-fold[open]').count() == 1

def test_a_page_is_whole_without_scripts(visit):
    page = visit('forms.html', java_script_enabled=False)
    assert page.get_by_text('It is red.').is_visible() and page.get_by_text('It is blue.').is_visible() and page.get_by_text('What the note says.').is_visible()
