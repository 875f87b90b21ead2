"Whether pages and feeds that break a rule are named, and sound ones are not; and whether links out of the site are asked as they should be."
import http.server, json, threading
import pytest
from kata_blog.press.cache import Cache
from kata_blog.press.outside import ask_address, check_outside, outside_links
from kata_blog.press.valid import feed_faults, html_faults, valid_site

DOC = '<!DOCTYPE html><html lang="en"><head><title>T</title></head><body>\n'

@pytest.mark.parametrize('text,part', [
    ('<p>one</div>', 'end tag (div)'), ('<b><i>x</b></i>', 'End tag (b)'), ('<a href="x" href="y">z</a>', 'duplicate attribute'), ('<p>a &nosuch; b', 'Named entity'), ('<p>&#x110000;', 'Numeric entity'),
    ('<table><p>x</table>', 'table context'), ('<a href="x">y<a href="z">w</a></a>', '(a)'), ('<div>', 'end of file'), ('</br>', '(br)'), ('<p a"b=c>', 'attribute'), ('<!-- a -- b', 'comment'), ('<select><div>x</div></select>', 'select')])
def test_a_page_that_leaves_the_rules_is_named_with_its_line(text, part):
    found = html_faults(DOC + text)
    assert found and found[0][0] == 2 and part.lower() in ' '.join(f for _, f in found).lower()

@pytest.mark.parametrize('text', ['<p>one<p>two', '<ul><li>a<li>b</ul>', '<table><tr><td>1</table>', '<svg viewBox="0 0 1 1"><path d="M0 0"/></svg>', '<math><mi>x</mi></math>', '<p>a &lt; b &amp; c', '<details open><summary>s</summary>t</details>', '<audio controls src="a.wav"></audio>'])
def test_a_sound_page_is_silent(text): assert html_faults(f'{DOC}{text}</body></html>') == []

ENTRY = '<entry><id>urn:1</id><title>One</title><updated>2026-11-23T00:00:00+00:00</updated></entry>'
ATOM = '<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:0</id><title>News</title><updated>2026-11-23T00:00:00Z</updated><author><name>A</name></author>{}</feed>'
ITEM = '<item><title>One</title><link>https://x.org/1</link><guid>1</guid><pubDate>Mon, 23 Nov 2026 00:00:00 +0000</pubDate></item>'
RSS = '<rss version="2.0"><channel><title>News</title><link>https://x.org</link><description>d</description>{}</channel></rss>'

@pytest.mark.parametrize('text', [ATOM.format(''), ATOM.format(ENTRY), RSS.format(ITEM), RSS.format(''), '<urlset/>'])
def test_a_sound_feed_is_silent(text): assert feed_faults(text) == []

@pytest.mark.parametrize('text,part', [
    (ATOM.format(ENTRY)[:-3], 'no XML'), (ATOM.format('&nbsp;'), 'no XML'), (ATOM.replace('<id>urn:0</id>', '').format(ENTRY), 'the feed has no id'), (ATOM.replace('<author><name>A</name></author>', '').format(ENTRY), 'no author'),
    (ATOM.format(ENTRY.replace('One', '')), 'entry 1 has no title'), (ATOM.format(ENTRY.replace('2026-11-23T00:00:00+00:00', '2026-11-23')), 'needed a date'), (ATOM.format(ENTRY + ENTRY), 'two posts are named urn:1'),
    (RSS.replace('2.0', '0.91').format(ITEM), 'no RSS 2.0'), (RSS.replace('<description>d</description>', '').format(ITEM), 'the channel has no description'), (RSS.format(ITEM.replace('<guid>1</guid>', '')), 'item 1 has no guid'),
    (RSS.format(ITEM.replace('Mon, 23 Nov 2026 00:00:00 +0000', '23.11.2026')), 'item 1: pubDate'), (RSS.format(ITEM + ITEM), 'two posts are named 1')])
def test_a_feed_that_readers_could_not_follow_is_named(text, part):
    found = feed_faults(text)
    assert len(found) == 1 and part in found[0]

def test_what_was_said_of_a_page_is_kept_by_its_content(tmp_path):
    page, cache = tmp_path/'index.html', Cache(tmp_path/'kept')
    page.write_text(f'{DOC}<p>one</div></body></html>')
    first = valid_site(tmp_path, cache)
    assert len(first) == 1 and valid_site(tmp_path, cache) == first
    page.write_text(f'{DOC}<p>one</body></html>')
    assert valid_site(tmp_path, cache) == []

@pytest.fixture(scope='module')
def host():
    "A host of which some pages are there, gone, moved, or not for programs."
    asked = []
    class Pages(http.server.BaseHTTPRequestHandler):
        def answer(self):
            asked.append((self.command, self.path))
            code = {'/there': 200, '/gone': 404, '/moved': 301, '/private': 403, '/ill': 500, '/shy': 200 if self.command == 'GET' else 405, '/a%20b': 200}.get(self.path, 404)
            self.send_response(code)
            if code == 301: self.send_header('Location', '/there')
            self.send_header('Content-Length', '0')
            self.end_headers()
        do_GET = do_HEAD = answer
        def log_message(self, *args): pass
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Pages) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}', asked
        server.shutdown()

@pytest.mark.parametrize('path,status', [('there', 200), ('gone', 404), ('moved', 200), ('private', 403), ('ill', 500), ('shy', 200)])
def test_a_host_is_asked_for_the_head_and_only_then_for_the_page(host, path, status):
    address, asked = host
    asked.clear()
    assert ask_address(f'{address}/{path}')[0] == status
    assert asked[0][0] == 'HEAD' and [m for m, _ in asked].count('GET') == (path != 'there')  # Python follows a move by asking for the page

def test_nobody_there_is_no_answer(): assert ask_address('http://127.0.0.1:1/', wait_s=2)[0] == 0

def test_links_are_asked_once_and_good_answers_are_remembered(host, tmp_path):
    address, asked = host
    (tmp_path/'a.html').write_text(f'{DOC}<a href="{address}/there#x">1</a> <a href="{address}/there">2</a> <a href="{address}/a b">3</a>\n<a href="{address}/gone">4</a> <a href="{address}/ill">5</a> <a href="mailto:a@b.c">6</a>')
    asked.clear()
    first = check_outside(tmp_path, tmp_path/'kept.json')
    assert [(p.warning, p.where.endswith('a.html, line 3')) for p in first] == [(False, True), (True, True)]
    assert sorted(p for _, p in asked) == ['/a%20b', '/gone', '/gone', '/ill', '/ill', '/there']
    asked.clear()
    assert check_outside(tmp_path, tmp_path/'kept.json') == first and {p for _, p in asked} == {'/gone', '/ill'}

@pytest.mark.parametrize('text', ['', '[]', '{"a": 1}', '{"http://127.0.0.1:1/x": [200, "", 99999999999]}'])
def test_a_damaged_memory_is_no_memory(tmp_path, text):
    (tmp_path/'a.html').write_text(f'{DOC}<a href="http://127.0.0.1:1/x">1</a>')
    (tmp_path/'kept.json').write_text(text)
    problem, = check_outside(tmp_path, tmp_path/'kept.json', lambda address: (410, 'Gone'))
    assert 'gone (410)' in problem.text and json.loads((tmp_path/'kept.json').read_text())

def test_an_address_is_that_of_its_first_link(tmp_path):
    (tmp_path/'b.html').write_text(f'{DOC}\n<a href="https://x.org/?a=1&amp;b=2#c">1</a>')
    assert outside_links(tmp_path) == {'https://x.org/?a=1&b=2': (tmp_path/'b.html', 3)}
