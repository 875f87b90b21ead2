"The preview, as an author uses it: a real process, real edits, a real Ctrl-C."
import os, re, signal, subprocess, sys, threading, urllib.error, urllib.request
import pytest
from kata_blog.core import KataError
from kata_blog.press.browser import no_browser, opened
from kata_blog.press.preview import Preview, open_server

@pytest.fixture
def project(tmp_path):
    (tmp_path/'_quarto.yml').write_text('project: {type: website}')
    (tmp_path/'index.md').write_text('---\ntitle: Home\n---\n\nFirst words.\n')
    return tmp_path

@pytest.fixture
def running(project):
    "The command, and the address that it says."
    # a job in the background of a shell is born deaf to Ctrl-C
    code = 'import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from kata_blog.press.cli import main; sys.exit(main(sys.argv[1:]))'
    p = subprocess.Popen([sys.executable, '-c', code, 'preview', str(project), '--port', '8400'], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | {'PYTHONUNBUFFERED': '1'})
    timer = threading.Timer(120, p.kill)  # a test that waits for a line waits no longer than that
    timer.start()
    lines = iter(p.stdout.readline, '')
    address = next(m[0] for line in lines if (m := re.search(r'http://localhost:\d+/', line)))
    yield p, address, lines
    timer.cancel()
    if p.poll() is None: p.kill()
    p.wait()

def read(address): return urllib.request.urlopen(address, timeout=60).read().decode()

def test_an_edit_is_on_the_page_and_who_waits_is_told(running, project):
    p, address, lines = running
    assert 'First words.' in read(address) and 'First words.' in read(address + 'index.html')
    turn = read(address + '.kata/turn')
    (project/'index.md').write_text('---\ntitle: Home\n---\n\nOther words.\n')
    assert read(f'{address}.kata/turn?after={turn}') != turn and 'Other words.' in read(address)

def test_a_broken_note_is_told_and_the_last_good_page_stays(running, project):
    p, address, lines = running
    (project/'index.md').write_text('---\ntitle: [\n---\n')
    assert 'front matter is no YAML' in next(lines) and 'First words.' in read(address)

def test_control_c_ends_it_at_once_and_well(running):
    p, address, lines = running
    p.send_signal(signal.SIGINT)
    assert p.wait(timeout=30) == 0

def test_what_is_not_there_is_not_found(running):
    with pytest.raises(urllib.error.HTTPError, match='404'): read(running[1] + 'gone.html')
    with pytest.raises(urllib.error.HTTPError, match='404'): read(running[1] + '../_quarto.yml')

def test_a_port_that_is_taken_is_passed_over(project):
    preview = Preview(project, log=lambda text: None)
    with open_server(preview, 8450) as first, open_server(preview, first.server_port) as second: assert second.server_port == first.server_port + 1
    with pytest.raises(KataError, match='none of the ports'): open_server(preview, 70000)

@pytest.mark.skipif(bool(no_browser()), reason=no_browser())
def test_the_open_page_follows(running, project):
    with opened() as browser:
        page = browser.new_page()
        page.goto(running[1])
        (project/'index.md').write_text('---\ntitle: Home\n---\n\nOther words.\n')
        page.wait_for_selector('text=Other words.')
