"Settings: every wrong line is named, and nothing that is right is refused."
import pytest
from kata_blog.core import ConfigError
from kata_blog.press.settings import Settings, read_config, read_settings, site_config

@pytest.fixture
def project(tmp_path):
    def write(settings=None, quarto='project: {type: website}\n'):
        (tmp_path/'_quarto.yml').write_text(quarto)
        if settings is not None: (tmp_path/'settings.ini').write_text(settings)
        return tmp_path
    return write

@pytest.mark.parametrize('text,words', [
    ('[blog]\ntitle = a\nlicense_text = b\n', ['settings.ini, line 3', "unknown key 'license_text'", "did you mean 'licence_text'"]),
    ('; a remark\n[blog]\n; title is below\nTitel = a\n', ['line 4', "unknown key 'titel'", "'title'"]),
    ('[blog]\ntitle = a\n[site]\nx = 1\n', ['line 3', "unknown section 'site'"]),
    ('[blog]\ntitle = a\ntitle = b\n', ['line 3', 'DuplicateOptionError']),
    ('[blog]\ntitle\n', ['line 2', 'key = value']),
    ('title = a\n', ['line 1', '[blog] section']),
    ('', ['no [blog] section']),
    ('[blog]\naddress = ftp://x.org\n', ['line 2', "address is 'ftp://x.org'"]),
    ('[blog]\nrepository = kata\n', ['line 2', 'owner/name']),
    ('[blog]\nfirst_monday = soon\n', ['line 2', 'Monday']),
    ('[blog]\nfirst_monday = 2026-11-25\n', ['line 2', 'Monday'])])
def test_a_wrong_line_is_named(project, text, words):
    root = project(text)
    with pytest.raises(ConfigError) as e: read_settings(root)
    assert all(w in str(e.value) for w in words), str(e.value)
    assert (root/'settings.ini').read_text() == text

@pytest.mark.parametrize('quarto,words', [
    ('project: {type: website}\nwebsit: {title: a}\n', ['_quarto.yml, line 2', "did you mean 'website'"]),
    ('project:\n  outputdir: x\n', ['line 2', "did you mean 'output-dir'"]),
    ('website:\n  navbar:\n    lefft: []\n', ['line 3', "did you mean 'left'"]),
    ('execute:\n  warnings: false\n', ['line 2', "did you mean 'warning'"]),
    ('a: [1\n', ['no YAML']), ('- a\n', ['is a list'])])
def test_a_wrong_line_of_the_structure_is_named(project, quarto, words):
    with pytest.raises(ConfigError) as e: read_config(project(quarto=quarto))
    assert all(w in str(e.value) for w in words), str(e.value)

def test_what_quarto_knows_and_we_do_not_passes(project):
    quarto = 'project: {type: website, pre-render: a.py}\nwebsite: {twitter-card: true, navbar: {pinned: true}}\ntheme: cosmo\n'
    assert read_config(project(quarto=quarto))['theme'] == 'cosmo'

def test_defaults(project):
    assert read_settings(project()) == Settings()
    assert site_config(project())['website'] == {}

def test_empty_values_are_defaults_and_the_address_has_no_end_slash(project):
    settings = read_settings(project('[blog]\ntitle = 50 % done\naddress = https://a.org/b/\nrepository =\n'))
    assert (settings.title, settings.address, settings.repository, settings.branch) == ('50 % done', 'https://a.org/b', '', 'main')

def test_the_repository_s_own_settings_are_right():
    from pathlib import Path
    assert read_settings(Path(__file__).parent.parent).title
