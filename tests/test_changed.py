"changed: the day of a section is that of its newest committed line, in every whole clone."
import datetime as dt, os, subprocess
from pathlib import Path, PurePosixPath
import pytest
from kata_blog.press.changed import is_shallow, line_days, living, stamped
from kata_blog.press.note import read_note
from kata_blog.press.stage import stage

PAGE = '---\ntitle: Page\nkata: {living: true}\n---\n\nBefore.\n\n## One {#one}\n\nA.\n\n### Below\n\nB.\n\n## Two\n\nC.\n'

def git(root, *words, when='2026-11-20T12:00:00+0000'):
    env = os.environ | {f'GIT_{who}_{what}': value for who in ('AUTHOR', 'COMMITTER') for what, value in dict(NAME='a', EMAIL='a@example.org', DATE=when).items()}
    subprocess.run(['git', '-C', str(root), '-c', 'commit.gpgsign=false', *words], check=True, env=env, capture_output=True)

def commit(root, text, when):
    (root/'nbs'/'page.md').write_text(text)
    git(root, 'add', '.')
    git(root, 'commit', '-q', '-m', 'a', when=when)

@pytest.fixture
def repository(tmp_path):
    root = tmp_path/'blog'
    (root/'nbs').mkdir(parents=True)
    (root/'_quarto.yml').write_text('project: {type: website}\n')
    (root/'settings.ini').write_text('[blog]\ntitle = A\n')
    (root/'.gitignore').write_text('.kata\n')
    git(root, 'init', '-q', '-b', 'main')
    commit(root, PAGE, '2026-11-20T12:00:00+0000')
    commit(root, PAGE.replace('\nB.', '\nB, anew.'), '2026-11-22T23:30:00-0500')  # the 23rd in UTC
    return root

def said(root): return [l for l in (stage(root).root/'page.md').read_text().split('\n') if 'hanged' in l and ':::' not in l]

def test_a_section_has_the_day_of_its_newest_line(repository): assert said(repository) == ['Last changed 23 November 2026', 'Last changed 20 November 2026']

def test_a_clone_says_the_same(repository, tmp_path):
    git(tmp_path, 'clone', '-q', str(repository), 'copy')
    assert said(tmp_path/'copy') == said(repository)

def test_a_shallow_clone_leaves_it_out_and_says_so(repository, tmp_path):
    git(tmp_path, 'clone', '-q', '--depth', '1', repository.as_uri(), 'copy')
    staged = stage(tmp_path/'copy')
    assert is_shallow(tmp_path/'copy') and 'hanged' not in (staged.root/'page.md').read_text()
    assert [p.warning for p in staged.problems] == [True] and 'git fetch --unshallow' in staged.problems[0].text

def test_what_is_not_committed_has_no_day(repository):
    page = repository/'nbs'/'page.md'
    page.write_text(page.read_text().replace('\nC.', '\nC, today.'))
    assert said(repository) == ['Last changed 23 November 2026', 'Changed since the last commit']

def test_where_nobody_knows_nothing_is_said(tmp_path, repository, monkeypatch):
    (repository/'nbs'/'page.md').rename(tmp_path/'page.md')
    note = read_note(tmp_path/'page.md')
    assert line_days(tmp_path/'page.md') is None and stamped(note) is note
    git(repository, 'checkout', '-q', '.')
    monkeypatch.setenv('PATH', '')  # no git
    assert line_days(repository/'nbs'/'page.md') is None and not is_shallow(repository)

def test_a_page_that_does_not_ask_stays_as_it_is(repository):
    notes = {PurePosixPath('page.md'): read_note(repository/'nbs'/'page.md')}
    notes[PurePosixPath('page.md')].front['kata'] = {}
    assert living(notes, []) == notes

@pytest.mark.parametrize('settings', [['blame.ignoreRevsFile', 'ignored'], ['core.quotePath', 'true'], ['blame.coloring', 'highlightRecent'], ['blame.date', 'relative']])
def test_the_settings_of_a_person_do_not_matter(settings, repository):
    before = said(repository)
    (repository/'ignored').write_text(subprocess.run(['git', '-C', str(repository), 'rev-parse', 'HEAD'], capture_output=True, text=True).stdout)
    git(repository, 'config', *settings)
    assert said(repository) == before

def test_headings_in_code_are_no_sections(repository):
    commit(repository, PAGE + '\n```\n## not one\n```\n\n    ## nor this\n', '2026-11-24T12:00:00+0000')
    assert said(repository) == ['Last changed 24 November 2026'] * 2  # the second commit put the first text back
