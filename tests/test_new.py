"A new post works at once, and nothing that stands is overwritten."
import datetime as dt, json, os, shutil, subprocess, sys
from pathlib import Path
import pytest
from kata_blog.core import REPORT_MIME, KataError
from kata_blog.press.check import check_project
from kata_blog.press.new import categories_in_use, new_post, subject_of
from kata_blog.press.note import read_note, with_parameters

HOME = Path(__file__).parent.parent

@pytest.fixture
def root(tmp_path):
    shutil.copy(HOME/'pyproject.toml', tmp_path)
    (tmp_path/'_quarto.yml').write_text('project: {type: website}')
    (tmp_path/'nbs').mkdir()
    (tmp_path/'kata_blog').mkdir()
    shutil.copy(HOME/'nbs'/'00_core.ipynb', tmp_path/'nbs')
    (tmp_path/'kata_blog'/'__init__.py').write_text('__version__ = "0"\n')
    return tmp_path

def tool(name, root, *words):
    env = os.environ | dict(PYTHONPATH=str(root), MPLBACKEND='agg')
    done = subprocess.run([sys.executable, '-c', f'from {name}; f()', *words], cwd=root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout

def test_a_new_post_exports_imports_and_runs_under_every_profile(root):
    path = new_post(root, 'Mean: "pictures" & more', week=2)
    note = read_note(path)
    assert note.front['title'] == 'Mean: "pictures" & more' and note.front['date'] == dt.date.today() and note.front['draft'] is True
    before = path.read_bytes()
    tool('nbdev.doclinks import nbdev_export as f', root)
    assert 'def class_means(' in (root/'kata_blog'/'mean_pictures_more.py').read_text()
    tool('kata_blog.mean_pictures_more import class_means as f; f = lambda: None', root)
    assert path.read_bytes() == before
    made = {}
    for profile in ('smoke', 'full'):
        (root/f'{profile}.ipynb').write_text(json.dumps(with_parameters(note, profile)))
        tool('execnb.shell import CaptureShell; import sys; f = lambda: CaptureShell().execute(sys.argv[1], sys.argv[2], exc_stop=True)', root, f'{profile}.ipynb', f'{profile}.out.ipynb')
        outputs = [o for c in read_note(root/f'{profile}.out.ipynb').code_cells for o in c.outputs]
        assert any('image/png' in o.get('data', {}) for o in outputs)
        made[profile] = {k: v for o in outputs for k, v in o.get('data', {}).get(REPORT_MIME, {}).get('metrics', {}).items()}
    assert set(made['smoke']) == set(made['full']) == {'accuracy', 'baseline'}
    assert made['smoke']['accuracy']['n'] == 2 and made['full']['accuracy']['n'] == 3
    assert made['full']['accuracy']['value'] > 0.85 > 0.2 > made['full']['baseline']['value']
    shutil.copy(root/'smoke.out.ipynb', path)
    assert check_project(root) == []

def test_a_new_post_is_clean(root):
    path = new_post(root, 'Sound', week=1, categories=['audio'])
    before = path.read_bytes()
    tool('nbdev.clean import nbdev_clean; import sys; f = lambda: nbdev_clean(fname=sys.argv[1])', root, str(path))
    assert path.read_bytes() == before

def test_the_number_follows_the_last_post_even_over_gaps_and_private_drafts(root):
    assert new_post(root, 'One', week=1).name == '01_one.ipynb'
    shutil.move(root/'nbs'/'posts'/'01_one.ipynb', root/'nbs'/'posts'/'07_one.ipynb')
    assert new_post(root, 'Two', week=1).name == '08_two.ipynb'
    (root/'nbs'/'posts'/'_11_three.ipynb').write_text('{}')
    assert new_post(root, 'Four', week=1).name == '12_four.ipynb'
    with pytest.raises(KataError, match='the name three is taken by nbs/posts/_11_three.ipynb'): new_post(root, 'Three', week=1)

def test_a_taken_name_leaves_everything_as_it_was(root):
    path = new_post(root, 'Sound', week=1)
    before = sorted((p, p.read_bytes()) for p in root.rglob('*') if p.is_file())
    for title in ('Sound', ' sound ', 'SOUND!', 'Core'):
        with pytest.raises(KataError, match='is taken by'): new_post(root, title, week=2)
    assert before == sorted((p, p.read_bytes()) for p in root.rglob('*') if p.is_file()) and path.is_file()

@pytest.mark.parametrize('title', ['', '   ', '...', '漢字', '2 nets', 'class', 'a\nb', 'A very long title that says everything'])
def test_a_title_without_a_name_is_refused(root, title):
    with pytest.raises(KataError, match='kata new: the title'): new_post(root, title, week=1)
    assert not (root/'nbs'/'posts').exists()

@pytest.mark.parametrize('title,name', [('BERT', 'bert'), ('Élan vital', 'elan_vital'), ('WaveNet, again', 'wavenet_again'), ('$week', 'week'), ('None!', 'none')])
def test_a_title_gives_its_module(root, title, name):
    assert subject_of(title) == name
    note = read_note(new_post(root, title, week=1))
    assert (note.front['title'], note.module) == (title, name)

def test_categories_in_use_are_offered_and_near_misses_refused(root):
    new_post(root, 'One', week=1, categories=['vision', 'basics'])
    new_post(root, 'Two', week=1, categories=['vision', 'c: d'])
    assert categories_in_use(root) == {'vision': 2, 'basics': 1, 'c: d': 1}
    with pytest.raises(KataError, match="'Vison' is new but close to one in use; did you mean 'vision'"): new_post(root, 'Three', week=1, categories=['Vison'])
    third = read_note(new_post(root, 'Three', week=1, categories=['audio']))
    assert third.front['categories'] == ['audio']
    assert '# in use: vision, basics, c: d' in ''.join(third.raw['cells'][0]['source'])

@pytest.mark.parametrize('week', [0, -1, '2', 1.5, True, None])
def test_a_week_is_a_number_from_one(root, week):
    with pytest.raises(KataError, match='needed a number from 1'): new_post(root, 'Sound', week=week)
