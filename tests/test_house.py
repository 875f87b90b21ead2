"The house's own rules hold for the project, and each finds its fault in a small broken house."
import json, shutil, subprocess, sys, zlib
from contextlib import chdir
from pathlib import Path
import pytest
import house

ROOT = Path(__file__).resolve().parent.parent
SLOW = [house.a_fresh_export_changes_nothing, house.notebooks_are_clean]  # they export and clean a copy

@pytest.mark.parametrize('rule', house.RULES, ids=lambda r: r.__name__)
def test_the_project_keeps(rule):
    found = rule(ROOT)
    assert not found, '\n' + '\n'.join(found)

@pytest.mark.parametrize('module', ['kata_blog', *(f'kata_blog.{m.name}' for m in house.modules(ROOT) if house.is_light(m))])
def test_import_loads_no_torch(module):
    code = f'import sys, {module}; print([m for m in {house.HEAVY} if m in sys.modules])'
    assert subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip() == '[]'

# A small house in which every rule holds

def cell(source): return dict(cell_type='code', id=f'{zlib.crc32(source.encode()):08x}', metadata={}, execution_count=None, outputs=[], source=source.splitlines(keepends=True))

def head(text, kind='markdown'): return dict(cell_type=kind, id='head', metadata={}, source=text.splitlines(keepends=True))

def write_notebook(path, *cells, front=''):
    kernel = dict(display_name='python3', language='python', name='python3')
    cells = ([head(f'---\n{front}\n---', 'raw') | dict(id='front')] if front else []) + [head('# A page\n\n> What it is for.'), *map(cell, cells)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(cells=cells, metadata=dict(kernelspec=kernel), nbformat=4, nbformat_minor=5), sort_keys=True, indent=1, ensure_ascii=False) + '\n')

DOUBLE = '''def double(
    x:int, # any number
    *more:int, # others
)->int: # twice as much
    "Two of it."
    return 2 * x'''

POINT = '''from dataclasses import dataclass

@dataclass
class Point:
    "Where something is."
    x: int  # to the right
    # up, unlike in pictures
    y: int = 0

class Line:
    "A line from 0."
    def __init__(self,
        end:Point, # where it ends
    ): self.end = end'''

NOTEBOOKS = {
    '00_core': ['#| default_exp core', f'#| export\n{DOUBLE}', 'double(2)'],
    '01_data': ['#| default_exp data', '#| export\nfrom kata_blog.core import double'],
    '02_train': ['#| default_exp train', '#| export\nimport torch\nfrom kata_blog import core, data'],
    '03_hub': ['#| default_exp hub', '#| export\nimport kata_blog.circles'],
    'posts/01_circles': ['#| default_exp circles', '#| export\nfrom kata_blog.train import torch', f'#| exports\n{POINT}', 'Line(Point(1))', '#| notest\ninput()'],
    'posts/02_squares': ['#| default_exp squares', '#| export\nfrom kata_blog.circles import Point'],
    '_draft': ['#| default_exp core', '1/0'],
    'press/00_note': ['#| default_exp press.note', '#| export\nfrom kata_blog.core import double'],
    'press/01_cli': ['#| default_exp press.cli', '#| export\nfrom kata_blog.press.note import double', "#| export\ndef _hand_over(): import kata_blog.hub"],
}

FILES = {
    'pyproject.toml': '''[project]
requires-python = ">=3.11"
name = "kata_blog"
version = "0.1"
license = "Apache-2.0"
authors = [{name = "A. Person"}]
dependencies = ["torch>=2"]
[project.optional-dependencies]
press = ["PyYAML"]
quarto = ["quarto-cli"]
test = ["kata_blog[press]"]
[tool.nbdev]
update_pyproject = false
''',
    'constraints.txt': '# pins\npyyaml==6.0\ntorch==2.13.0\n',
    'settings.ini': '[blog]\nauthor = A. Person\nlicence_code = Apache-2.0\n' + ''.join(f'{k} =\n' for k in house.Settings.__dataclass_fields__ if k not in ('author', 'licence_code')),
    '_quarto.yml': 'project: {type: website}\nwebsite: {navbar: {left: []}}\n',
    'Makefile': 'site:\n\techo\n\ntest:\n\techo\n',
    'README.md': '```sh\nmake site   # prints it\nKATA_MIRROR=. kata run circles --profile smoke\n```\n\nThen `make test`.\n\n```python\nfrom kata_blog.core import double\n```\n\n```sh\nkata new "A title" --week 1\n```\n',
    'kata_blog/__init__.py': '__version__ = "0.1"\n',
    'nbs/index.md': '# Home\n',
}

def export(root):
    from nbdev.doclinks import nbdev_export
    with chdir(root): nbdev_export()

@pytest.fixture(scope='module')
def sound(tmp_path_factory):
    root = tmp_path_factory.mktemp('sound')/'house'
    for name, cells in NOTEBOOKS.items(): write_notebook(root/'nbs'/f'{name}.ipynb', *cells)
    for name, text in FILES.items():
        (root/name).parent.mkdir(exist_ok=True)
        (root/name).write_text(text)
    export(root)
    return root

def faults(root, rules=house.RULES): return {r.__name__: found for r in rules if (found := r(root))}

def test_a_sound_house_has_no_faults(sound): assert faults(sound) == {}

# One fault each. A case is: what is broken, how, and what the rule says; with `exported`, the modules follow the notebooks first.

def edit(name, old, new):
    def change(root):
        text = (root/name).read_text()
        assert text.count(old) == 1, f'{old!r} stands {text.count(old)} times in {name}'
        (root/name).write_text(text.replace(old, new))
    return change

def write(name, text=''):
    def change(root):
        (root/name).parent.mkdir(parents=True, exist_ok=True)
        (root/name).write_text(text)
    return change

def notebook(name, *cells, front='', exported=True):
    def change(root):
        write_notebook(root/'nbs'/f'{name}.ipynb', *(cells or NOTEBOOKS[name]), front=front)
        if exported: export(root)
    return change

def with_cell(name, *cells, **kw): return notebook(name, *NOTEBOOKS[name], *cells, **kw)

def delete(name): return lambda root: (root/name).unlink()

def rename(old, new): return lambda root: (root/old).rename(root/new)

def weights(**sizes_mb):
    def change(root):
        for stem, mb in sizes_mb.items():
            path = root/'kata_blog'/'weights'/f'{stem}.safetensors'
            path.parent.mkdir(exist_ok=True)
            with open(path, 'wb') as f: f.truncate(int(mb * house.MEGA))
    return change

HOME, REGISTRY, NETWORK = '/home' + '/someone/x', 'pypi' + '.org', 'cdn.js' + 'delivr.net'
LAYERS = 'does not stand to its left'
CASES = {
    'a module without a notebook': ('every_module_has_a_notebook', write('kata_blog/stray.py'), 'kata_blog/stray.py: no notebook'),
    'a part of the press without a notebook': ('every_module_has_a_notebook', write('kata_blog/press/stray.py'), 'no notebook'),
    'a notebook that was never exported': ('every_notebook_has_a_module', notebook('posts/03_new', '#| default_exp new', exported=False), 'there is no module new'),
    'two notebooks of one module': ('every_module_has_one_notebook', notebook('posts/04_circles', '#| default_exp circles', exported=False), 'exports circles, as does nbs/posts/01_circles.ipynb'),
    'a notebook with two modules': ('every_module_has_one_notebook', with_cell('posts/01_circles', '#| default_exp circles', exported=False), 'exports circles, as does nbs/posts/01_circles.ipynb'),
    'a notebook named otherwise than its module': ('notebooks_are_named_after_modules', rename('nbs/posts/01_circles.ipynb', 'nbs/posts/01_rings.ipynb'), 'exports circles; needed rings'),
    'a part of the press outside of it': ('notebooks_are_named_after_modules', rename('nbs/press/00_note.ipynb', 'nbs/press/00_notes.ipynb'), 'needed press.notes'),
    'a post without a module': ('notebooks_are_named_after_modules', notebook('posts/03_idle', '1 + 1'), 'exports nothing; needed idle'),
    'a further page of no module': ('notebooks_are_named_after_modules', notebook('posts/03_idle', '1 + 1', front='kata: {module: idle}'), 'exports nothing; needed idle'),
    'a further page before its module': ('notebooks_are_named_after_modules', notebook('posts/01_again', '1 + 1', front='kata: {module: squares}'), 'exports nothing; needed again'),
    'a notebook without a number': ('notebooks_are_named_after_modules', notebook('posts/idle', '1 + 1'), '_ before a draft'),
    'a notebook in a folder of its own': ('notebooks_are_named_after_modules', notebook('posts/old/01_idle', '1 + 1'), 'notebooks lie in'),
    'a cell that exports to another module': ('cells_export_to_their_own_module', with_cell('posts/01_circles', '#| export core\nx = 1', exported=False), 'cell 7: `#| export core`'),
    'a post that hides a function': ('posts_show_what_they_export', edit('nbs/posts/01_circles.ipynb', '#| exports', '#| export'), 'cell 4: a definition marked `#| export`'),
    'a notebook that is skipped': ('every_cell_is_tested', with_cell('00_core', front='skip_exec: true'), 'never runs'),
    'a notebook of which nothing runs': ('every_cell_is_tested', with_cell('00_core', front='eval: false'), 'never runs'),
    'a cell that is skipped': ('every_cell_is_tested', with_cell('00_core', '#| eval: false\n1/0'), 'cell 5: never runs'),
    'a folder that is skipped': ('every_cell_is_tested', write('nbs/posts/.notest'), 'nbs/posts/.notest'),
    'a notebook of another language': ('every_cell_is_tested', edit('nbs/00_core.ipynb', '"language": "python"', '"language": "julia"'), 'never runs'),
    'core that imports data': ('layers_hold', with_cell('00_core', '#| export\nfrom kata_blog import data'), f'core.py: imports data, which {LAYERS}'),
    'data that imports train when called': ('layers_hold', with_cell('01_data', '#| export\ndef _late(): import kata_blog.train'), f'data.py: imports train, which {LAYERS}'),
    'a post that imports a later one': ('layers_hold', with_cell('posts/01_circles', '#| export\nfrom kata_blog.squares import Point as P'), f'circles.py: imports squares, which {LAYERS}'),
    'a post that imports the hub': ('layers_hold', with_cell('posts/01_circles', '#| export\nfrom importlib import import_module\nimport_module("kata_blog.hub")'), 'imports hub'),
    'train that imports a post': ('layers_hold', with_cell('02_train', '#| export\n__import__("kata_blog.circles")'), 'imports circles'),
    'a press that imports a post': ('layers_hold', with_cell('press/01_cli', '#| export\nfrom kata_blog.circles import Point'), 'imports circles'),
    'a press that imports train': ('layers_hold', with_cell('press/00_note', '#| export\nfrom kata_blog.train import core'), 'imports train'),
    'a press that hands over too early': ('layers_hold', with_cell('press/00_note', '#| export\nfrom kata_blog import hub'), 'imports hub'),
    'a press that imports its right': ('layers_hold', with_cell('press/00_note', '#| export\nfrom kata_blog.press import cli'), 'imports press.cli'),
    'a module nobody knows the place of': ('layers_hold', notebook('04_utils', '#| default_exp utils', '#| export\nx = 1'), 'utils.py: has no place in the layers'),
    'a press that needs torch': ('light_modules_stay_light', with_cell('press/00_note', '#| export\ndef _late(): import torch.nn'), 'note.py: imports torch.nn'),
    'data that needs fastai': ('light_modules_stay_light', with_cell('01_data', '#| export\nfrom fastai.basics import L'), 'data.py: imports fastai.basics'),
    'a module that needs torchvision': ('nothing_imports_what_breaks', with_cell('02_train', '#| export\nimport torchvision.ops'), 'imports torchvision.ops'),
    'a cell that needs fastai.vision': ('nothing_imports_what_breaks', with_cell('posts/01_circles', 'from fastai import vision'), 'cell 7: imports fastai.vision'),
    'a post that knows the press': ('posts_know_no_press', with_cell('posts/01_circles', 'from kata_blog.press import note'), 'cell 7: imports kata_blog.press'),
    'a function without a docstring': ('public_names_are_documented', edit('kata_blog/core.py', '    "Two of it."\n', ''), 'core.py, double: no docstring'),
    'a parameter without a docment': ('public_names_are_documented', edit('kata_blog/core.py', 'x:int, # any number', 'x:int,'), 'core.py, double: no docment for x'),
    'parameters that share a docment': ('public_names_are_documented', edit('kata_blog/core.py', 'x:int, # any number', 'y, x:int, # any number'), 'double: no docment for y'),
    'more parameters without a docment': ('public_names_are_documented', edit('kata_blog/core.py', ' # others', ''), 'double: no docment for more'),
    'a return value without a docment': ('public_names_are_documented', edit('kata_blog/core.py', ' # twice as much', ''), 'double: no docment for the return value'),
    'a return value without type and docment': ('public_names_are_documented', edit('kata_blog/core.py', '->int: # twice as much', ':'), 'double: no docment for the return value'),
    'a field without a docment': ('public_names_are_documented', edit('kata_blog/circles.py', '  # to the right', ''), 'circles.py, Point: no docment for x'),
    'a class without a docstring': ('public_names_are_documented', edit('kata_blog/circles.py', '    "A line from 0."\n', ''), 'Line: no docstring'),
    'an __init__ without a docment': ('public_names_are_documented', edit('kata_blog/circles.py', ' # where it ends', ''), 'Line: no docment for end'),
    'a second config for the site': ('one_config_for_the_site', write('nbs/_quarto.yml'), 'nbs/_quarto.yml'),
    'what goes with it': ('one_config_for_the_site', write('nbs/nbdev.yml'), 'nbs/nbdev.yml'),
    'a setting nobody reads': ('settings_are_known', edit('settings.ini', 'title =', 'title =\ncolour = red'), 'colour is no setting'),
    'a setting that is missing': ('settings_are_known', edit('settings.ini', 'first_monday =\n', ''), 'first_monday is missing'),
    'a section nobody reads': ('settings_are_known', edit('settings.ini', '[blog]', '[DEFAULTS]\nx = 1\n[blog]'), 'section DEFAULTS'),
    'two authors': ('identity_stands_once', edit('settings.ini', 'A. Person', 'B. Person'), "pyproject.toml: 'A. Person' where settings.ini says author = 'B. Person'"),
    'two licences': ('identity_stands_once', edit('pyproject.toml', 'license = "Apache-2.0"', 'license = "MIT"'), 'licence_code'),
    'two titles': ('identity_stands_once', edit('_quarto.yml', 'website: {', 'website: {title: Mine, '), '_quarto.yml: website.title'),
    'two homes': ('identity_stands_once', edit('pyproject.toml', '[project.opt', '[project.urls]\nHomepage = "https://example.org"\n[project.opt'), 'address'),
    'a need without a pin': ('pins_cover_the_needs', edit('constraints.txt', 'pyyaml==6.0\n', ''), 'PyYAML is not pinned'),
    'a pin that does not meet the need': ('pins_cover_the_needs', edit('pyproject.toml', 'torch>=2', 'torch>=3'), 'torch==2.13.0; pyproject.toml needs >=3'),
    'a pin for newer Pythons alone': ('pins_cover_the_needs', lambda root: (edit('pyproject.toml', '>=3.11', '>=3.5')(root), edit('constraints.txt', 'torch==2.13.0', f'torch==2.13.0\npytest=={pytest.__version__}')(root)),
        'needed one that 3.5.0 can install'),
    'a pin that leaves room': ('pins_cover_the_needs', edit('constraints.txt', 'torch==2.13.0', 'torch==2.13.0\npip>=20'), '`pip>=20` is no pin'),
    'weights that are a pickle': ('weights_are_small', write('kata_blog/weights/circles.pkl'), 'needed a .safetensors file'),
    'weights that are too big': ('weights_are_small', weights(circles=2.5), '2.5 MB; at most 2'),
    'weights that are too many': ('weights_are_small', weights(**{f'w{i}': 1.9 for i in range(9)}), '17.1 MB together'),
    'a target that does not exist': ('commands_exist', edit('README.md', 'make test', 'make tests'), 'README.md: `make tests`: no target tests'),
    'a command that does not exist': ('commands_exist', edit('README.md', 'kata run', 'kata walk'), 'no command walk'),
    'an option that does not exist': ('commands_exist', edit('README.md', '--profile', '--profil'), 'no option --profil'),
    'a command below some Python': ('commands_exist', edit('README.md', 'kata new', 'kata newer'), 'no command newer'),
    'an import that does not exist': ('commands_exist', edit('README.md', 'import double', 'import triple'), '`from kata_blog.core import triple`'),
    'an import of no module': ('commands_exist', edit('README.md', 'kata_blog.core', 'kata_blog.cores'), 'no such name'),
    'a folder of one machine': ('no_forbidden_words', write('notes.md', f'see\n{HOME}'), f'notes.md, line 2: a folder of one machine: {HOME[:-1]}'),
    'a temporary folder in an output': ('no_forbidden_words', write('notes.md', "Path('/tmp" + "/tmpab12/x')"), 'a folder of one machine'),
    'a package registry': ('no_forbidden_words', write('notes.md', f'from https://{REGISTRY}/x'), 'a package registry'),
    'a content network': ('no_forbidden_words', write('kata_blog/press/theme/page.html', f'<script src="//{NETWORK}/x">'), 'a content network'),
}
QUICK = [r for r in house.RULES if r not in SLOW]

@pytest.mark.parametrize('case', CASES)
def test_a_broken_house_is_found_out(case, sound, tmp_path):
    rule, change, text = CASES[case]
    root = Path(shutil.copytree(sound, tmp_path/'house'))
    change(root)
    found = faults(root, QUICK)
    assert list(found) == [rule], f'{case}: {found}'
    assert all(text in f for f in found[rule]), found

REDONE = {
    'a hand edit of a module': ('a_fresh_export_changes_nothing', edit('kata_blog/core.py', '2 * x', '3 * x'), ['kata_blog/core.py: would be written otherwise']),
    'a notebook that was not exported': ('a_fresh_export_changes_nothing', edit('nbs/00_core.ipynb', '2 * x', '3 * x'), ['kata_blog/core.py: would be written otherwise']),
    'a notebook that was deleted': ('a_fresh_export_changes_nothing', delete('nbs/posts/02_squares.ipynb'), ['kata_blog/squares.py: no notebook writes it']),
    'a module that was deleted': ('a_fresh_export_changes_nothing', delete('kata_blog/squares.py'), ['kata_blog/squares.py: is not there yet']),
    'an unclean notebook': ('notebooks_are_clean', edit('nbs/03_hub.ipynb', '"execution_count": null,\n   "id": "%s"' % cell(NOTEBOOKS['03_hub'][0])['id'], '"execution_count": 7,\n   "id": "x"'), ['nbs/03_hub.ipynb: would be written otherwise']),
}

@pytest.mark.parametrize('case', REDONE)
def test_what_nbdev_would_write_otherwise_is_found_out(case, sound, tmp_path):
    rule, change, texts = REDONE[case]
    root = Path(shutil.copytree(sound, tmp_path/'house'))
    change(root)
    found = faults(root, SLOW)
    assert list(found) == [rule], f'{case}: {found}'
    assert [f.partition(';')[0] for f in found[rule]] == texts

def test_every_rule_has_a_broken_house():
    shown = {case[0] for case in (*CASES.values(), *REDONE.values())}
    assert shown == {r.__name__ for r in house.RULES}
