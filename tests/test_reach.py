"reach: which edit makes which posts stale, and how it is named; one made project, several posts, one edit at a time."
import json, shutil
from pathlib import Path
import pytest
from kata_blog.press.note import read_note
from kata_blog.press.reach import Cache, Library, read_cells, read_module
from kata_blog.press.record import outputs_hash, record_id, record_path
from kata_blog.press.stale import post_key, status
from making import write_post

MODULES = {
    '__init__': '__version__ = "1"\n',
    'core': '''
        import os, json as j
        LIMIT = 3
        UNUSED = 1
        def read(path): return j.loads(path) + LIMIT
        def write(path): return os.fspath(path)
    ''',
    'train': '''
        """Training."""
        from dataclasses import dataclass
        from .core import read, write
        from kata_blog import core as c
        RATE = 0.1
        BASE = [1, 2]
        WIDE = BASE + [3]
        WIDE += [4]
        a, (b, *rest) = 1, (2, 3)
        size: int = 7
        def logged(label): return lambda f: f
        def rate(): return RATE
        @logged("fit")
        def fit_model(n, lr=rate(), *, width=WIDE, **kw)->"Result":
            """Fit."""
            def inner(x): return _step(x) + b
            data = [inner(i) for i in range(n) if i < c.LIMIT]
            return sum(data) + lr
        def _step(x): return read(x)
        def score(x: int, best=max): return best(x, size)
        def alone(core): return core + 1
        def hides(fit_model, _step): return [RATE for RATE in (1, 2)]
        def both(): return rest
    ''',
    'shapes': '''
        import math
        from abc import ABC
        from .mixins import Named as _Named
        class Shape(ABC, _Named):
            "Any shape."
            sides = 0
            def __init__(self, side): self.side = side
            def area(self): return 0
            @property
            def double(self): return self._twice(self.side)
            @double.setter
            def double(self, x): self.side = x/2
            @staticmethod
            def _twice(x): return 2 * x
        class Square(Shape):
            sides = 4
            def area(self): return _power(self.side)
            class Corner: right = 90
        class Circle(Shape):
            def area(self): return math.pi * _power(self.side)
        class Plugin:
            known = []
            def __init_subclass__(cls): Plugin.known.append(cls)
        def _power(x): return x ** 2
        def plugins(): return Plugin.known
    ''',
    'mixins': '''
        class Named:
            def name(self): return type(self).__name__
        class Other:
            def name(self): return ""
    ''',
    'patches': '''
        from fastcore.basics import patch, patch_to
        from pathlib import Path
        from .shapes import Circle, Square
        @patch
        def grow(self:Circle, by=1): return more(by)
        @patch_to(Square)
        def shrink(self): return 1
        @patch
        def touch_all(self:Path): return 1
        def more(x): return x
        def unused(): return 0
    ''',
    'plugins': '''
        from .shapes import Plugin
        class Mine(Plugin): power = 1
        class Quiet: power = 1
    ''',
    'stars': '''
        from .wide import *
        __all__ = ["twice", "thrice", "wide"]
        def twice(x): return 2 * x
        def thrice(x): return 3 * x
        def hidden(x): return x
    ''',
    'wide': '''
        def wide(x): return x
        def _narrow(x): return x
        def sum(x): return 0
    ''',
    'late': '''
        import importlib
        def load():
            from .far import three
            import kata_blog.deep.inner as inner
            return three() + inner.seven
        def lazily(): return importlib.import_module("kata_blog.far").four
        def near(): return importlib.import_module(".far", __package__).four
    ''',
    'far': '''
        def three(): return 3
        four = 4
        five = 5
    ''',
    'deep/__init__': '''
        from .inner import eight as acht
        from .inner import seven
        def __getattr__(name): return {"nine": 9}[name]
    ''',
    'deep/inner': '''
        seven = 7
        eight = 8
        def ten(): return 10
    ''',
    'models': '''
        from .kinds import KINDS, kind
        @kind("small")
        def small(): return _layers(1)
        @kind("large")
        def large(): return _layers(9)
        def _layers(n): return [n]
        def build(name): return KINDS[name]()
        def spare(): return 0
        spare_model = build("small")
    ''',
    'kinds': '''
        KINDS = {}
        def kind(name):
            def put(f):
                KINDS[name] = f
                return f
            return put
        KINDS["none"] = None
        for name in ("one", "two"): KINDS[name] = len(name)
        print("kinds")
        def spare(): return 0
        if __name__ == "__main__": spare()
    ''',
    'choose': '''
        try: from .fast import go
        except ImportError: from .slow import go
        try: import nothing_there
        except ImportError: nothing_there = None
        FAST = True
        if FAST:
            def level(): return 1
        else:
            def level(): return 2
        def run(): return go() + level()
        def idle(): return nothing_there
    ''',
    'fast': 'def go(): return 1\ndef stop(): return 1\n',
    'slow': 'def go(): return 2\ndef stop(): return 2\n',
    'dyn': '''
        from . import picked, named
        def pick(name): return getattr(picked, name)()
        def known(): return getattr(named, "one")()
    ''',
    'picked': 'def one(): return 1\ndef two(): return 2\n',
    'named': 'def one(): return 1\ndef two(): return 2\n',
    'evil': '''
        from .core import write
        def compute(text): return eval(text)
        def helper(): return 1
    ''',
    'sets': '''
        from .data import register
        def _files(): return ["a"]
        def _others(): return ["b"]
        register("tones", version="1", about="sounds", files=_files)
        register("words", version="1", about="texts", files=_others)
    ''',
    'data': 'def register(name, *, version, **kw): return name\ndef fetch(name): return name\n',
    'exporting': '''
        from .core import write
        def shown(x): return _shown(x)
        def _shown(x): return write(x)
        def other(x): return x
    ''',
    'outside': 'import kata_blog.setting\nkata_blog.setting.level = 3\n',
    'setting': 'level = 1\ndef get(): return level\ndef idle(): return 0\n',
    'press/__init__': '', 'press/run': 'x = 1\n',
}
POSTS = {
    '01_names': ['from kata_blog.train import fit_model\nimport kata_blog.press.run', 'fit_model(3)'],
    '02_attributes': ['import kata_blog.train as t\nfrom kata_blog import shapes', 'shapes.Square(2).area() + t.score(1) + t.both()'],
    '03_stars': ['from kata_blog.stars import *', '%time twice(2)', 'wide(1); sum([2])'],
    '04_lazy': ['from kata_blog.late import load\nimport kata_blog.deep', 'load(); kata_blog.deep.acht; kata_blog.deep.nine'],
    '05_patched': ['from kata_blog.shapes import Circle\nimport kata_blog.patches', 'Circle(1).grow()'],
    '06_models': ['from kata_blog.models import build', 'build("small")'],
    '07_plugins': ['from kata_blog.shapes import plugins\nfrom kata_blog import plugins as mine', 'plugins()'],
    '08_choosing': ['from kata_blog.choose import run', 'run()'],
    '09_dynamic': ['from kata_blog.dyn import known, pick', 'pick("one"); known()'],
    '10_evil': ['from kata_blog.evil import compute', 'compute("1")'],
    '11_data': ['#| parameters\ndata = "tones"', 'from kata_blog import sets\nfrom kata_blog.data import fetch', 'fetch(data)'],
    '12_exporting': ['#| default_exp exporting', '#| exports\nfrom kata_blog.core import write\ndef shown(x): return write(x)', 'shown(1)'],
    '13_importing': ['from kata_blog.exporting import shown', 'shown(1)'],
    '14_setting': ['from kata_blog import outside\nfrom kata_blog.setting import get', 'get()'],
    '15_lazily': ['from kata_blog.late import lazily, near', 'lazily() + near()'],
    '16_shell': ['from kata_blog import far\n!ls', 'far.three?'],
    '17_nothing': ['import math\nmath.pi'],
}
NAMES, ATTRS, STARS, LAZY, PATCHED, MODELS_, PLUGINS, CHOOSING, DYNAMIC, EVIL, DATA, EXPORTING, IMPORTING, SETTING, LAZILY, SHELL, NOTHING = POSTS

# file, what to change in it, the posts that must become stale (the others must not), and the reason that the first of them gives
EDITS = [
    # names, attributes, constants
    ('train', 'return sum(data) + lr', 'return sum(data) - lr', [NAMES], 'train.fit_model changed'),
    ('train', 'def _step(x): return read(x)', 'def _step(x): return -read(x)', [NAMES], 'train._step changed'),
    ('core', 'j.loads(path) + LIMIT', 'j.loads(path) - LIMIT', [NAMES], 'core.read changed'),
    ('core', 'LIMIT = 3', 'LIMIT = 4', [NAMES], 'core.LIMIT changed'),
    ('core', 'UNUSED = 1', 'UNUSED = 2', [], ''),
    ('core', 'os.fspath(path)', 'os.fspath(path) or None', [EVIL, EXPORTING, IMPORTING], 'core.write changed'),
    ('core', 'json as j', 'pickle as j', [NAMES], 'core.read changed'),
    ('core', 'import os, json', 'import posix as os, json', [EVIL, EXPORTING, IMPORTING], 'core.write changed'),
    ('train', 'best(x, size)', 'best(size, x)', [ATTRS], 'train.score changed'),
    ('train', 'size: int = 7', 'size: int = 8', [ATTRS], 'train.size changed'),
    ('train', 'best=max', 'best=min', [ATTRS], 'train.score changed'),
    ('train', 'x: int', 'x: float', [ATTRS], 'train.score changed'),
    ('train', 'return core + 1', 'return core + 2', [], ''),
    ('train', 'for RATE in (1, 2)', 'for RATE in (1, 3)', [], ''),
    ('train', 'a, (b, *rest) = 1', 'a, (b, *rest) = 2', [NAMES, ATTRS], 'train.b changed'),
    ('train', 'return rest', 'return rest, a', [ATTRS], 'train.both changed'),
    ('train', 'from .core import read, write', 'from .core import write as read, write', [NAMES], 'train._step changed, core.write added, core.read removed'),
    # default arguments, decorators, nested functions, what one statement adds to another
    ('train', 'RATE = 0.1', 'RATE = 0.2', [NAMES], 'train.RATE changed'),
    ('train', 'def rate(): return RATE', 'def rate(): return 2 * RATE', [NAMES], 'train.rate changed'),
    ('train', 'BASE = [1, 2]', 'BASE = [1]', [NAMES], 'train.BASE changed'),
    ('train', 'WIDE += [4]', 'WIDE += [5]', [NAMES], 'train.WIDE changed'),
    ('train', 'return lambda f: f', 'return lambda g: g', [NAMES], 'train.logged changed'),
    ('train', '@logged("fit")', '@logged("train")', [NAMES], 'train.fit_model changed'),
    ('train', '->"Result"', '->"Other"', [NAMES], 'train.fit_model changed'),
    ('train', 'def alone(core)', '@logged("x")\n@dataclass\ndef alone(core)', [], ''),
    # classes whole, named by method; inheritance
    ('shapes', 'def area(self): return _power(self.side)', 'def area(self): return -_power(self.side)', [ATTRS], 'shapes.Square.area changed'),
    ('shapes', 'def area(self): return 0', 'def area(self): return 1', [ATTRS, PATCHED], 'shapes.Shape.area changed'),
    ('shapes', 'x ** 2', 'x * x', [ATTRS, PATCHED], 'shapes._power changed'),
    ('shapes', 'sides = 4', 'sides = 5', [ATTRS], 'shapes.Square changed'),
    ('shapes', 'right = 90', 'right = 91', [ATTRS], 'shapes.Square.Corner changed'),
    ('shapes', 'self.side = x/2', 'self.side = x/3', [ATTRS, PATCHED], 'shapes.Shape.double changed'),
    ('shapes', '    @staticmethod\n', '    @classmethod\n', [ATTRS, PATCHED], 'shapes.Shape._twice changed'),
    ('shapes', 'class Square(Shape)', 'class Square(Shape, object)', [ATTRS], 'shapes.Square changed'),
    ('shapes', 'math.pi', 'math.tau', [PATCHED], 'shapes.Circle.area changed'),
    ('shapes', '    class Corner', '    def more(self): return 1\n    class Corner', [ATTRS], 'shapes.Square.more added'),
    ('shapes', '    def area(self): return 0\n', '', [ATTRS, PATCHED], 'shapes.Shape.area removed'),
    ('shapes', 'Named as _Named', 'Other as _Named', [ATTRS, PATCHED], 'mixins.Other added'),
    ('mixins', '.__name__', '.__qualname__', [ATTRS, PATCHED], 'mixins.Named.name changed'),
    ('mixins', 'return ""', 'return " "', [], ''),
    # methods that are put on a class from elsewhere
    ('patches', 'return more(by)', 'return more(2 * by)', [PATCHED], 'patches.Circle.grow changed'),
    ('patches', 'by=1', 'by=2', [PATCHED], 'patches.Circle.grow changed'),
    ('patches', 'def more(x): return x', 'def more(x): return -x', [PATCHED], 'patches.more changed'),
    ('patches', 'def shrink(self): return 1', 'def shrink(self): return 2', [], ''),
    ('patches', 'def touch_all(self:Path): return 1', 'def touch_all(self:Path): return 2', [PATCHED], 'patches.<module> changed'),
    ('patches', 'return 0', 'return 1', [], ''),
    ('plugins', 'class Mine(Plugin): power = 1', 'class Mine(Plugin): power = 2', [PLUGINS], 'plugins.Mine changed'),
    ('plugins', 'class Quiet: power = 1', 'class Quiet: power = 2', [], ''),
    # star imports and re-exports
    ('stars', '2 * x', 'x + x', [STARS], 'stars.twice changed'),
    ('stars', '3 * x', 'x + x + x', [], ''),
    ('stars', 'def hidden(x): return x', 'def hidden(x): return -x', [], ''),
    ('stars', '"twice", "thrice"', '"thrice"', [STARS], 'stars.twice removed'),
    ('stars', '"thrice", "wide"', '"thrice", "wide", "sum"', [STARS], 'wide.sum added'),
    ('stars', '"wide"]', '"wide", "hidden"]', [], ''),
    ('wide', 'def wide(x): return x', 'def wide(x): return -x', [STARS], 'wide.wide changed'),
    ('wide', 'def _narrow(x): return x', 'def _narrow(x): return -x', [], ''),
    ('deep/inner', 'eight = 8', 'eight = 9', [LAZY], 'deep.inner.eight changed'),
    ('deep/__init__', 'eight as acht', 'seven as acht', [LAZY], 'deep.inner.eight removed'),
    ('deep/__init__', '"nine": 9', '"nine": 8', [LAZY], 'deep.__getattr__ changed'),
    ('deep/inner', 'return 10', 'return 11', [], ''),
    # lazily imported names
    ('far', 'return 3', 'return 4', [LAZY, SHELL], 'far.three changed'),
    ('far', 'four = 4', 'four = 5', [LAZILY, SHELL], 'far.four changed'),
    ('far', 'five = 5', 'five = 6', [SHELL], 'far.five changed'),
    ('far', 'five = 5', 'five = 5\nprint(five)', [LAZY, LAZILY, SHELL], 'far.<module> added'),
    ('deep/inner', 'seven = 7', 'seven = 6', [LAZY], 'deep.inner.seven changed'),
    ('late', 'far").four', 'far").five', [LAZILY], 'late.lazily changed, far.five added'),
    # what a module does when it is imported
    ('models', 'def small(): return _layers(1)', 'def small(): return _layers(2)', [MODELS_], 'models.small changed'),
    ('models', 'return _layers(9)', 'return _layers(8)', [MODELS_], 'models.large changed'),
    ('models', 'return [n]', 'return [n, n]', [MODELS_], 'models._layers changed'),
    ('models', 'def spare(): return 0', 'def spare(): return 1', [], ''),
    ('kinds', 'KINDS["none"] = None', 'KINDS["none"] = 0', [MODELS_], 'kinds.<module> changed'),
    ('kinds', '("one", "two")', '("one", "three")', [MODELS_], 'kinds.<module> changed'),
    ('kinds', 'print("kinds")', 'print("kind")', [MODELS_], 'kinds.<module> changed'),
    ('kinds', 'KINDS[name] = f\n', 'KINDS[name] = [f]\n', [MODELS_], 'kinds.kind changed'),
    ('kinds', 'def spare(): return 0', 'def spare(): return 1', [], ''),
    ('kinds', '"__main__": spare()', '"__main__": spare(1)', [], ''),
    ('core', 'UNUSED = 1', 'print(1)', [NAMES, ATTRS, EVIL, EXPORTING, IMPORTING], 'core.<module> added'),
    # conditional imports and definitions
    ('fast', 'def go(): return 1', 'def go(): return 3', [CHOOSING], 'fast.go changed'),
    ('slow', 'def go(): return 2', 'def go(): return 3', [CHOOSING], 'slow.go changed'),
    ('slow', 'def stop(): return 2', 'def stop(): return 3', [], ''),
    ('choose', 'except ImportError: from .slow', 'except OSError: from .slow', [CHOOSING], 'choose.go changed'),
    ('choose', 'FAST = True', 'FAST = False', [CHOOSING], 'choose.FAST changed'),
    ('choose', 'def level(): return 2', 'def level(): return 3', [CHOOSING], 'choose.level changed'),
    ('choose', 'nothing_there = None', 'nothing_there = 0', [], ''),
    # what cannot be known
    ('picked', 'return 2', 'return 3', [DYNAMIC], 'picked.two changed'),
    ('named', 'def one(): return 1', 'def one(): return 2', [DYNAMIC], 'named.one changed'),
    ('named', 'def two(): return 2', 'def two(): return 3', [], ''),
    ('evil', 'def helper(): return 1', 'def helper(): return 2', [EVIL], 'evil.helper changed'),
    ('setting', 'def idle(): return 0', 'def idle(): return 1', [SETTING], 'setting.idle changed'),
    ('outside', 'level = 3', 'level = 4', [SETTING], 'outside.<module> changed'),
    # data sets count by name and version, and what brings them by what it does
    ('sets', '"tones", version="1"', '"tones", version="2"', [DATA], 'data tones 1 -> 2'),
    ('sets', '"words", version="1"', '"words", version="2"', [], ''),
    ('sets', 'about="sounds"', 'about="sound"', [], ''),
    ('sets', '["a"]', '["b"]', [DATA], 'sets._files changed'),
    ('sets', '["b"]', '["c"]', [], ''),
    ('data', 'def fetch(name): return name', 'def fetch(name): return [name]', [DATA], 'data.fetch changed'),
    # a post's own exports count as its cells, and for others by the module
    ('exporting', 'return _shown(x)', 'return -_shown(x)', [IMPORTING], 'exporting.shown changed'),
    ('exporting', 'return x', 'return -x', [], ''),
    ('exporting', 'return write(x)', 'return write(-x)', [IMPORTING], 'exporting._shown changed'),
    # prose, layout and what no result depends on
    ('train', '"""Fit."""', '"""Fit a model."""  # well', [], ''),
    ('train', 'def _step(x): return read(x)', '\n\n# one step\ndef _step( x ):\n    "One."\n    return read(x)', [], ''),
    ('shapes', '"Any shape."', '"A shape."', [], ''),
    ('train', '"""Training."""', '"""To train."""', [], ''),
    ('core', 'LIMIT = 3\n', '\n"Words."\nLIMIT  =  0x3  # three\n', [], ''),
    ('__init__', '"1"', '"2"', [], ''),
    ('press/run', 'x = 1', 'x = 2', [], ''),
]
IDS = [f'{file}: {old} -> {new}'.replace('\n', ' ') for file, old, new, _, _ in EDITS]

def dedent(text): return '\n'.join(line.removeprefix(' ' * 8) for line in text.strip('\n').split('\n')).rstrip() + '\n'

def keep_record(root, note):
    "A record as a run would leave it."
    record = dict(profile='full', ended='passed', key=post_key(note, root, 'full'), data=[], outputs=outputs_hash(note.raw))
    path = record_path(note.path)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps([record | {'id': record_id(record)}]))

@pytest.fixture(scope='module')
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp('project')
    for name, text in MODULES.items():
        path = root/'kata_blog'/f'{name}.py'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        compile(path.read_text(), name, 'exec')
    for name, codes in POSTS.items(): keep_record(root, write_post(root, codes, name, front=f'title: {name}'))
    assert {s.word for s in status(root)} == {'fresh'}  # and now the cache is warm
    return root

def edit(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1, f'{text.count(old)} times'
    path.write_text(text.replace(old, new))

@pytest.mark.parametrize('file, old, new, stale, why', EDITS, ids=IDS)
def test_an_edit_makes_stale_what_depends_on_it(original, file, old, new, stale, why):
    path = original/'kata_blog'/f'{file}.py'
    text = path.read_text()
    try:
        edit(path, old, new)
        found = {s.name: s.why for s in status(original) if s.word == 'stale'}
    finally: path.write_text(text)
    assert sorted(found) == sorted(stale), found
    assert not stale or why in found[stale[0]]
