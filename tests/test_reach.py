"reach: which edit makes which posts stale, and how it is named; one made project, several posts, one edit at a time."
import ast, json, os, shutil, subprocess, sys
from pathlib import Path
import pytest
from kata_blog.core import KataError
from kata_blog.press.note import post_paths, read_note
from kata_blog.press.reach import Facts, Library, read_cells, read_module
from kata_blog.press.record import outputs_hash, record_id, record_path
from kata_blog.press.run import evaluated
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
    ('shapes', '    sides = 4\n', '    "Four sides."\n    sides = 4\n', [], ''),
    ('mixins', 'class Named:\n', 'class Named:\n    "By its name."\n', [], ''),
    ('mixins', 'class Named:\n', 'class Named:\n    """By its name."""\n    # the name\n    pass\n\n', [], ''),
    ('plugins', 'class Mine(Plugin): power = 1', 'class Mine(Plugin):\n    ...\n    power = 1', [], ''),
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

def test_every_edit_leaves_the_project_as_it_was(original): assert {s.word for s in status(original)} == {'fresh'}

# Smaller cases: modules, a post's cells, and the symbols that it reaches

CASES = {
    # who else calls a function by its name
    'a parameter hides the module': (dict(m='def f(): return 1\ndef g(f): return f()'), ['from kata_blog.m import g', 'g'], 'm.g'),
    'a loop variable hides it': (dict(m='def f(): return 1\ndef g(): return [f for f in (1, 2)]'), ['from kata_blog.m import g', 'g'], 'm.g'),
    'what a comprehension runs over is outside of it': (dict(m='def f(): return 1\ndef g(): return [f for f in f()]'), ['from kata_blog.m import g', 'g'], 'm.f m.g'),
    'a local import hides it': (dict(m='def np(): return 1\ndef g():\n    import numpy as np\n    return np'), ['from kata_blog.m import g', 'g'], 'm.g'),
    'an exception by name': (dict(m='def e(): pass\ndef g():\n    try: pass\n    except OSError as e: return e'), ['from kata_blog.m import g', 'g'], 'm.g'),
    'a match binds names': (dict(m='class P: pass\na = b = c = 1\ndef g(p):\n    match p:\n        case P(x=a): return a\n        case [*b]: return b\n        case {"k": 1, **c}: return c'), ['from kata_blog.m import g', 'g'], 'm.P m.g'),
    'a class does not hide for its methods': (dict(m='def f(): return 1\nclass A:\n    f = 2\n    def g(self): return f()'), ['from kata_blog.m import A', 'A'], 'm.A m.A.g m.f'),
    'a class takes over a name': (dict(m='def f(): return 1\nclass A: f = f'), ['from kata_blog.m import A', 'A'], 'm.A m.f'),
    'a class imports': (dict(m='class A:\n    import kata_blog.n as n\n    def g(self): return self.n\n    x = n.one', n='one = two = 1'), ['from kata_blog.m import A', 'A'], 'm.A m.A.g n.one n.two'),
    'inner functions see outer names': (dict(m='def f(): return 1\ndef g():\n    f = 2\n    def h(): return f\n    return h'), ['from kata_blog.m import g', 'g'], 'm.g'),
    'global is not local': (dict(m='n = 0\ndef g():\n    global n\n    n += 1'), ['from kata_blog.m import g', 'g'], 'm.g m.n'),
    'a global import': (dict(m='def g():\n    global n\n    import kata_blog.n as n\ndef h(): return n.one', n='one = 1\ntwo = 2'), ['from kata_blog.m import h', 'h'], 'm.h n.one'),
    'lambda and its default': (dict(m='a, b, c = 1, 2, 3\nd = 4\nf = lambda a, x=d: a'), ['from kata_blog.m import f', 'f'], 'm.d m.f'),
    'an f-string': (dict(m='a = 1\nw = 3\ndef f(): return f"{a:{w}}"'), ['from kata_blog.m import f', 'f'], 'm.a m.f m.w'),
    'async and await': (dict(m='async def f(): return 1\nasync def g():\n    async with f() as x: return await x'), ['from kata_blog.m import g', 'await g()'], 'm.f m.g'),
    'text in an annotation is text': (dict(m='class A: pass\ndef f(x:"A"): return x'), ['from kata_blog.m import f', 'f'], 'm.f'),
    'a walrus': (dict(m='def f(): return 1\ndef g(): return (y := f())'), ['from kata_blog.m import g', 'g'], 'm.f m.g'),
    'a name made twice': (dict(m='def f(): return 1\nf = [f]'), ['from kata_blog.m import f', 'f'], 'm.f'),
    # through other modules
    'a name on three lines': (dict(m='from .n import b as c', n='from kata_blog.o import a as b', o='a = 1\nx = 2'), ['from kata_blog.m import c as d', 'd'], 'o.a'),
    'an alias of a module in a module': (dict(m='from . import n as k', n='a = 1\nb = 2'), ['import kata_blog.m as m', 'm.k.a'], 'n.a'),
    'a circle of names': (dict(m='from .n import a', n='from .m import a'), ['from kata_blog.m import a', 'a'], ''),
    'a circle of modules': (dict(m='from . import n\na = 1\ndef f(): return n.g()', n='from . import m\ndef g(): return m.a'), ['from kata_blog.m import f', 'f()'], 'm.a m.f n.g'),
    'a circle of stars': (dict(m='from .n import *\na = 1', n='from .m import *\nb = 2'), ['from kata_blog.n import *', 'a, b'], 'm.a n.b'),
    'a package and its module': ({'sub/__init__': 'from .inner import f', 'sub/inner': 'def f(): return 1\ndef g(): return 2'}, ['import kata_blog.sub.inner', 'kata_blog.sub.inner.g()'], 'sub.inner.g'),
    'a name that is a module too': ({'sub/__init__': 'from .inner import inner', 'sub/inner': 'class inner:\n    kind = 1'}, ['from kata_blog.sub import inner', 'inner.kind'], 'sub.inner.inner'),
    'a package re-exports by a star': ({'sub/__init__': 'from .inner import *', 'sub/inner': 'def f(): return 1\ndef g(): return 2'}, ['from kata_blog.sub import f', 'f()'], 'sub.inner.f'),
    'a star names submodules': ({'__init__': '__all__ = ["m"]', 'm': 'a = 1\nb = 2'}, ['from kata_blog import *', 'm.a'], 'm.a'),
    'a star may hide what is made here': (dict(m='from .n import *\ndef g(): return f()\nf = 3', n='def f(): return 1'), ['from kata_blog.m import g', 'g()'], 'm.f m.g n.f'),
    'a star in a cell, and a later name': (dict(m='def f(): return 1'), ['from kata_blog.m import *', 'y = f()', 'f = 2'], 'm.f'),
    'a star of computed names': (dict(m='__all__ = [n for n in dir()]\ndef _f(): return 1'), ['from kata_blog.m import *', '_f()'], 'm._f'),
    'an import inside an if': (dict(m='a = 1\nb = 2'), ['if True:\n    from kata_blog.m import a as x\nelse:\n    from kata_blog.m import b as x', 'x'], 'm.a m.b'),
    'a module that is missing': (dict(m='a = 1'), ['from kata_blog.gone import a\nimport kata_blog.m.gone', 'a'], ''),
    'a name that is missing': (dict(m='a = 1'), ['from kata_blog.m import gone', 'gone'], ''),
    'a module that is no Python': (dict(m='def ('), ['from kata_blog.m import f', 'f()'], 'm.<module>'),
    'the press': ({'press/__init__': '', 'press/run': 'def f(): return 1'}, ['from kata_blog.press.run import f', 'f()'], ''),
    'of others': (dict(m='import numpy as np\ndef f(): return np.ones(3)'), ['from kata_blog.m import f, np', 'np.zeros(2)'], ''),
    # classes
    'bases of bases': (dict(m='class A:\n    def a(self): return 1', n='from . import m\nclass B(m.A): pass', o='from .n import B\nclass C(B): pass\nclass D: pass'), ['from kata_blog.o import C', 'C()'], 'm.A m.A.a n.B o.C'),
    'a metaclass': (dict(m='class M(type):\n    def __call__(cls): return 1\nclass A(metaclass=M): pass'), ['from kata_blog.m import A', 'A()'], 'm.A m.M m.M.__call__'),
    'a field by a factory': (dict(m='from dataclasses import dataclass, field\ndef make(): return []\n@dataclass\nclass A:\n    x: list = field(default_factory=make)'), ['from kata_blog.m import A', 'A()'], 'm.A m.make'),
    'two patches on a class here': (dict(m='from fastcore.basics import *\nclass A:\n    def f(self): return 1\n@patch\ndef f(self:A): return one()\n@patch(as_prop=True)\ndef g(self:A): return 2\ndef one(): return 1'), ['from kata_blog.m import A', 'A()'], 'm.A m.A.f m.A.g m.one'),
    'a patch of two classes': (dict(m='class A: pass\nclass B: pass', n='from fastcore.basics import patch\nfrom .m import A, B\n@patch\ndef f(self:A|B): return 1'), ['from kata_blog.m import B\nimport kata_blog.n', 'B()'], 'm.A m.B n.A.f n.B.f'),
    'a patch that nobody imports': (dict(m='class A: pass', n='from fastcore.basics import patch\nfrom .m import A\n@patch\ndef f(self:A): return 1'), ['from kata_blog.m import A', 'A()'], 'm.A'),
    'a patch in a cell': (dict(m='class A: pass\ndef one(): return 1'), ['from fastcore.basics import patch\nfrom kata_blog.m import A, one', '@patch\ndef f(self:A): return one()'], 'm.A m.one'),
    'subclasses are counted in a table': (dict(m='class P:\n    all = []\n    def __init_subclass__(cls): P.all.append(cls)', n='from .m import P\nclass Q(P): x = 1', o='from .n import Q\nclass R(Q): y = 1\nclass S: y = 1'), ['from kata_blog.m import P\nimport kata_blog.o', 'P.all'], 'm.P m.P.__init_subclass__ n.Q o.R'),
    # what an import does
    'a dispatcher of functools': (dict(m='from functools import singledispatch\n@singledispatch\ndef f(x): return 1\n@f.register\ndef _(x:int): return 2\ndef g(): return 3'), ['from kata_blog.m import f', 'f(1)'], 'm._ m.f'),
    'a table with a method': (dict(m='class Table(dict):\n    def put(self, f):\n        self[f.__name__] = f\n        return f\nT = Table()', n='from .m import T\n@T.put\ndef f(): return 1\ndef g(): return 2\nX = T.setdefault("x", 3)'), ['from kata_blog.m import T\nimport kata_blog.n', 'T'], 'm.T m.Table m.Table.put n.X n.f'),
    'a function that sets, called for a name': (dict(m='seen = []\ndef note(x):\n    seen.append(x)\n    return x\nA = note(1)\nB = len("b")\ndef idle(): return 1'), ['from kata_blog.m import seen', 'seen'], 'm.A m.note m.seen'),
    'a decorator that leaves the work to others': (dict(m='seen = []\ndef put(f): _put(f); return f\ndef _put(f): return Table().put(f)\nclass Table:\n    def put(self, f): seen.append(f)', n='from .m import put\n@put\ndef f(): return 1'), ['from kata_blog.m import seen\nimport kata_blog.n', 'seen'], 'm.Table m.Table.put m._put m.put m.seen n.f'),
    'a decorator whose helper sets': (dict(m='seen = []\ndef put(f): return _put(f)\ndef _put(f): return Table().put(f)\nclass Table:\n    def put(self, f):\n        seen.append(f)\n        return f', n='from .m import *\n@put\ndef f(): return 1\nx = len("a")'), ['from kata_blog.m import seen\nimport kata_blog.n', 'seen'], 'm.Table m.Table.put m._put m.put m.seen n.f'),
    'a decorator that calls itself': (dict(m='def on(f=None): return on if f is None else f\n@on()\ndef g(): return 1\ndef h(): return 2'), ['from kata_blog.m import h', 'h()'], 'm.h'),
    'a loop, a with, a delete': (dict(m='a = {}\nfor i in range(3): a[i] = i\nwith open("x") as f: pass\nb = 1\ndel b\ndef idle(): return 1'), ['from kata_blog.m import a', 'a'], 'm.<module> m.a m.i'),
    'what a package does on the way': ({'__init__': 'print(1)', 'sub/__init__': 'print(2)', 'sub/inner': 'a = 1'}, ['from kata_blog.sub.inner import a', 'a'], '<module> sub.<module> sub.inner.a'),
    'what an imported module does': (dict(m='from .n import a\ndef f(): return 1', n='from . import o\na = 1', o='print(1)'), ['from kata_blog.m import f', 'f()'], 'm.f o.<module>'),
    'what a function imports, if it is reached': (dict(m='def f(): import kata_blog.n\ndef g(): import kata_blog.o', n='print(1)', o='print(2)'), ['from kata_blog.m import f', 'f()'], 'm.f n.<module>'),
    'an import that may fail': (dict(m='try: import kata_blog.n as n\nexcept ImportError: n = None\ndef f(): return n.one', n='one = two = 1'), ['from kata_blog.m import f', 'f()'], 'm.f m.n n.one'),
    'as a program': (dict(m='def main(): return 1\ndef f(): return 2\nif __name__ == "__main__": main()'), ['from kata_blog.m import f', 'f()'], 'm.f'),
    'add to a list of others': (dict(m='from .n import ways\nways += ["m"]', n='ways = []\ndef f(): return ways'), ['import kata_blog.m\nfrom kata_blog.n import f', 'f()'], 'm.<module> n.f n.ways'),
    # where the text does not say what is meant
    'a module as a value': (dict(m='a = 1\nb = 2'), ['import kata_blog.m as m', 'dir(m)'], 'm.a m.b'),
    'a module as a value has what it imports': (dict(m='from .n import a\nfrom .o import *\nimport math', n='a = 1\nb = 2', o='c = 3'), ['import kata_blog.m as m', 'dir(m)'], 'n.a o.c'),
    'a module in a list': (dict(m='a = 1\nb = 2'), ['from kata_blog import m', 'for x in [m]: x.a'], 'm.a m.b'),
    'getattr by name': (dict(m='a = 1\nb = 2'), ['import kata_blog.m as m', 'getattr(m, "a", m.b)'], 'm.a m.b'),
    'getattr by name alone': (dict(m='a = 1\nb = 2'), ['import kata_blog.m as m', 'getattr(m, "a").real'], 'm.a'),
    'getattr by a computed name': (dict(m='a = 1\nb = 2'), ['import kata_blog.m as m', 'getattr(m, "a" + "")'], 'm.a m.b'),
    'its dictionary': (dict(m='a = 1\nb = 2'), ['import kata_blog.m as m', 'm.__dict__["a"]'], 'm.a m.b'),
    'setting from a cell': (dict(m='a = 1\nb = 2'), ['import kata_blog.m as m', 'm.a = 3'], 'm.a m.b'),
    'deleting from a function': (dict(m='from . import n\ndef f(): del n.a', n='a = 1\nb = 2'), ['from kata_blog.m import f', 'f()'], 'm.f n.a n.b'),
    'eval sees what is imported too': (dict(m='from .n import a\nb = 1\ndef f(x): return eval(x)', n='a = 1\nz = 2'), ['from kata_blog.m import f', 'f("a")'], 'm.b m.f n.a'),
    'eval in a cell': (dict(m='a = 1\nb = 2', n='c = 3\nd = 4'), ['from kata_blog.m import a\nfrom kata_blog.n import *', 'eval("a")'], 'm.a n.c n.d'),
    'exec by its module': (dict(m='import builtins\nb = 1\ndef f(x): builtins.exec(x)'), ['from kata_blog.m import f', 'f("a")'], 'm.b m.f'),
    'a method named eval': (dict(m='b = 1\ndef f(x): return x.eval()'), ['from kata_blog.m import f', 'f(1)'], 'm.f'),
    'globals at the top': (dict(m='for n in "ab": globals()[n] = n\ndef f(): return 1'), ['from kata_blog.m import a', 'a'], 'm.<module> m.f m.n'),
    'locals in a function': (dict(m='b = 1\ndef f(): return locals()'), ['from kata_blog.m import f', 'f()'], 'm.f'),
    'import by name': (dict(m='from importlib import import_module as load\ndef f(): return load("kata_blog.n").a', n='a = 1\nb = 2'), ['from kata_blog.m import f', 'f()'], 'm.f n.a n.b'),
    'import by a known name': (dict(m='import importlib\ndef f(): return importlib.import_module("kata_blog.n").a', n='a = 1\nb = 2'), ['from kata_blog.m import f', 'f()'], 'm.f n.a'),
    'import by a computed name': (dict(m='import importlib\ndef f(x): return importlib.import_module(f"kata_blog.{x}")', n='a = 1', o='b = 1'), ['from kata_blog.m import f', 'f("n")'], 'm.f n.a o.b'),
    'a computed name by a function': (dict(m='import importlib\ndef which(): return "numpy." + "ma"\ndef f(): return importlib.import_module(which())'), ['from kata_blog.m import f', 'f()'], 'm.f m.which'),
    'import by the builtin, as a value': (dict(m='load = __import__', n='a = 1'), ['from kata_blog.m import load', 'load'], 'm.load n.a'),
    'import by a name of others': (dict(m='import importlib\ndef f(x): return importlib.import_module(f"torch.{x}")', n='a = 1'), ['from kata_blog.m import f', 'f("n")'], 'm.f'),
    'import by anchor': ({'sub/__init__': '', 'sub/m': 'from importlib import import_module\ndef f(): return import_module("..n", __package__).a', 'n': 'a = 1\nb = 2'}, ['from kata_blog.sub.m import f', 'f()'], 'n.a sub.m.f'),
    'the function that imports, as a value': (dict(m='import importlib\nLOAD = importlib.import_module', n='a = 1'), ['from kata_blog.m import LOAD', 'LOAD("kata_blog.n")'], 'm.LOAD n.a'),
    'a lazy module': (dict(m='import importlib\n_LAZY = {"a": "n"}\ndef __getattr__(name): return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)', n='a = 1', o='b = 1'), ['from kata_blog.m import a', 'a'], 'm._LAZY m.__getattr__ n.a o.b'),
    'loaded modules': (dict(m='import sys\ndef f(x): return sys.modules[x].a', n='a = 1'), ['from kata_blog.m import f', 'f("kata_blog.n")'], 'm.f n.a'),
    'a loaded module by name': (dict(m='import sys\ndef f(): return sys.modules["kata_blog.n"].a', n='a = 1', o='b = 1'), ['from kata_blog.m import f', 'f()'], 'm.f n.a'),
    'all subclasses, wherever they are': (dict(m='class A: pass\ndef f(): return A.__subclasses__()', n='from .m import A\nclass B(A): pass'), ['from kata_blog.m import f\nimport kata_blog.n', 'f()'], 'm.A m.f n.B'),
    'is a module loaded': (dict(m='import sys\ndef f(): return "kata_blog.n" in sys.modules and sys.modules["IPython"]', n='a = 1'), ['from kata_blog.m import f', 'f()'], 'm.f'),
    'this module, loaded': (dict(m='import sys\ndef f(): return sys.modules[__name__]\nb = 1', n='a = 1'), ['from kata_blog.m import f', 'f()'], 'm.b m.f'),
    'a cell that is no Python': (dict(m='a = 1\nb = 2', n='c = 1\nd = 1'), ['import kata_blog.m as m\nfrom kata_blog.n import c', 'm?'], 'm.a m.b n.c'),
    'magics': (dict(m='a = 1\nb = 2'), ['%matplotlib inline\nimport kata_blog.m as m\n!ls', '%%time\nm.a', '  %time m.a'], 'm.a'),
}

@pytest.fixture
def library(tmp_path):
    def make(modules):
        for name, text in modules.items():
            path = tmp_path/'kata_blog'/f'{name}.py'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Library(tmp_path)
    return make

@pytest.mark.parametrize('modules, cells, symbols', CASES.values(), ids=CASES)
def test_what_is_reached(library, modules, cells, symbols):
    library = library(modules)
    refs = read_cells(dict(enumerate(cells, 1)))['refs']
    nodes = library.reached(refs)
    assert ' '.join(library.hashes(nodes)) == symbols
    assert set(library.ways(refs)) == nodes

WHOLES = {
    'getattr(m, name)': 'm counts whole: getattr with a computed name in the post',
    'print(m)': 'm counts whole: a value in the post',
    'm.a = 1': 'm counts whole: m.a is set from outside in the post',
    'n.f("a")': 'n counts whole: eval in n.f',
    'n.g("a")': 'kata_blog counts whole: import_module with a computed name in n.g',
    'm?': 'm counts whole: text that is no Python (cell 2) in the post',
}

@pytest.mark.parametrize('code, sentence', WHOLES.items(), ids=WHOLES)
def test_it_says_so_where_a_module_counts_whole(library, code, sentence):
    library = library(dict(m='a = 1', n='import importlib\ndef f(x): return eval(x)\ndef g(x): return importlib.import_module(x)'))
    assert sentence in library.wholes(read_cells({1: 'from kata_blog import m, n', 2: code}))

def test_no_module_counts_whole_for_the_posts_of_this_project():
    root = Path(__file__).parents[1]
    for path in post_paths(root): assert Library(root).wholes(read_cells({c.index: c.code for c in evaluated(read_note(path))})) == []

def test_what_is_nested_too_deeply_is_a_clear_error(library):
    deep = 'x = ' + '+'.join(['1'] * 900)
    with pytest.raises(KataError, match='kata_blog.m: an expression is nested too deeply'): library({'m': deep}).reached(['kata_blog.m.x'])
    with pytest.raises(KataError, match='the post: an expression is nested too deeply'): read_cells({1: deep})

# The cache: as fast as can be, never wrong

def facts_file(root): return root/'.kata'/'facts.json'

def words(root): return {s.name: s.word for s in status(root)}

def test_status_is_remembered(original, monkeypatch):
    status(original)
    monkeypatch.setattr('kata_blog.press.reach.read_module', None)
    monkeypatch.setattr('kata_blog.press.stale.read_note', None)
    assert set(words(original).values()) == {'fresh'}

DAMAGE = [b'', b'no JSON', b'{}', b'\xff\xfe', b'[' * 100_000, 'half', 'other digits', 'other version', 'folder']

@pytest.mark.parametrize('damage', DAMAGE, ids=str)
def test_a_damaged_cache_is_made_anew(original, tmp_path, damage):
    root = shutil.copytree(original, tmp_path/'copy', ignore=shutil.ignore_patterns('.kata'))
    status(root)
    file = facts_file(root)
    content = file.read_bytes()
    if damage == 'half': file.write_bytes(content[:len(content) // 2])
    elif damage == 'other digits': file.write_bytes(content.replace(b'"fast.go', b'"slow.go').replace(b'0', b'1'))
    elif damage == 'other version': file.write_bytes(b'0' + content[1:])
    elif damage == 'folder': file.unlink(), file.mkdir()
    else: file.write_bytes(damage)
    assert set(words(root).values()) == {'fresh'}
    assert file.is_dir() or file.read_bytes() == content

def test_a_cache_that_cannot_be_written_is_no_hindrance(original, tmp_path, monkeypatch):
    root = shutil.copytree(original, tmp_path/'copy')
    shutil.rmtree(root/'.kata')
    (root/'.kata').write_text('a file, not a folder')
    assert set(words(root).values()) == {'fresh'}

def test_a_cache_that_holds_it_all_is_not_written(original):
    status(original)
    before = facts_file(original).stat().st_ino
    status(original)
    assert facts_file(original).stat().st_ino == before

def test_an_edit_while_it_is_read_is_not_kept(tmp_path):
    path, cache = tmp_path/'m.py', Facts(tmp_path/'facts.json')
    path.write_text('a')
    def make():
        text = path.read_text()
        path.write_text('b')
        return text
    assert cache.get('text', path, make) == 'a' and cache.get('text', path, lambda: path.read_text()) == 'b'
    path.write_text('a')
    assert cache.get('text', path, lambda: path.read_text() + '!') == 'a!'

def test_two_processes_write_it_at_once(original, tmp_path):
    root = shutil.copytree(original, tmp_path/'copy')
    code = 'import sys, shutil\nfrom kata_blog.press.stale import status\nfor i in range(8):\n    shutil.rmtree(sys.argv[1] + "/.kata", ignore_errors=True)\n    assert {s.word for s in status(sys.argv[1])} == {"fresh"}'
    home = str(Path(__file__).parents[1])
    runs = [subprocess.Popen([sys.executable, '-c', code, str(root)], env=os.environ | {'PYTHONPATH': home}) for _ in range(3)]
    assert [r.wait() for r in runs] == [0, 0, 0] and set(words(root).values()) == {'fresh'}
    assert [p.name for p in (root/'.kata').iterdir()] == ['facts.json']

# Every kind of syntax, and the hashes that each supported Python must reproduce

SYNTAX = (Path(__file__).parent/'syntax.txt').read_text()

def test_each_kind_of_syntax_of_311_stands_in_the_sample():
    "The grammar's nodes, but for what is no syntax of a module, and what later versions of Python have taken out or added."
    kinds = {n for n in ast._class_names} if hasattr(ast, '_class_names') else {n for n, c in vars(ast).items() if isinstance(c, type) and issubclass(c, ast.AST) and not c.__subclasses__()}
    other = {'Expression', 'Interactive', 'FunctionType', 'TypeIgnore', 'AugLoad', 'AugStore', 'Param', 'Suite', 'Index', 'ExtSlice', 'Num', 'Str', 'Bytes', 'NameConstant', 'Ellipsis',
             'TypeAlias', 'TypeVar', 'ParamSpec', 'TypeVarTuple', 'TemplateStr', 'Interpolation'}
    assert kinds - other - {type(n).__name__ for n in ast.walk(ast.parse(SYNTAX))} == set()

def test_the_hashes_are_the_same_on_every_python():
    symbols = read_module(SYNTAX, 'kata_blog.syntax', 'kata_blog')['symbols']
    fixed = json.loads((Path(__file__).parent/'syntax.json').read_text())
    assert {name: [digest, refs] for name, (digest, refs, _, _) in symbols.items()} == fixed
