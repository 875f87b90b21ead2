"The rules of the house: each takes the project's folder and gives one text for each breach."
import ast, configparser, contextlib, functools, io, re, shlex, shutil, subprocess, tempfile, tokenize, tomllib
from dataclasses import dataclass
from pathlib import Path
import yaml
from kata_blog.core import parse_code
from kata_blog.press.note import note_paths, page_stem, parse_imports, read_note
from kata_blog.press.settings import Settings

PACKAGE = 'kata_blog'

# What the rules read

@dataclass(frozen=True)
class Module:
    "A module of the package."
    name: str        # as import paths have it, without the package: press.note
    path: Path       # the file
    file: str        # the file as a message names it

    @functools.cached_property
    def code(self): return self.path.read_text(encoding='utf-8')
    @functools.cached_property
    def tree(self): return ast.parse(self.code)
    @property
    def package(self): return '.'.join([PACKAGE, *self.name.split('.')[:-1]])

def modules(root):
    "The modules that a notebook should have written."
    found = sorted(p for p in (root/PACKAGE).rglob('*.py') if p.name not in ('__init__.py', '_modidx.py'))
    return [Module('.'.join(p.relative_to(root/PACKAGE).with_suffix('').parts), p, str(p.relative_to(root))) for p in found]

def notebooks(root):
    "The notebooks that nbdev exports and tests: all but drafts."
    return [read_note(p) for p in note_paths(root) if p.suffix == '.ipynb']

def shown(root, path): return str(Path(path).relative_to(root))

def is_post(root, note): return note.path.parent == root/'nbs'/'posts'

def exports(note):
    "The modules that a notebook says it is the source of."
    return [c.directives['default_exp'] for c in note.code_cells if 'default_exp' in c.directives]

# Notebooks and modules belong together

def every_module_has_a_notebook(root):
    sources = {name for note in notebooks(root) for name in exports(note)}
    return [f'{m.file}: no notebook exports it' for m in modules(root) if m.name not in sources]

def every_notebook_has_a_module(root):
    names = {m.name for m in modules(root)}
    return [f'{shown(root, note.path)}: there is no module {name}; run nbdev-export'
            for note in notebooks(root) for name in exports(note) if name not in names]

def every_module_has_one_notebook(root):
    first, found = {}, []
    for note in notebooks(root):
        for name in exports(note):
            if name in first: found.append(f'{shown(root, note.path)}: exports {name}, as does {first[name]}')
            else: first[name] = shown(root, note.path)
    return found

def is_further_page(root, note):
    "A post that exports nothing, and says which earlier post's module it is a page of."
    kata = note.front.get('kata')
    earlier = [name for other in notebooks(root) if is_post(root, other) and other.name < note.name for name in exports(other)]
    return is_post(root, note) and not exports(note) and isinstance(kata, dict) and kata.get('module') in earlier

PLACES = {'nbs': '', 'nbs/posts': '', 'nbs/press': 'press.'}

def notebooks_are_named_after_modules(root):
    "A number, then the module; without a number only `index`. A draft begins with `_` and is not looked at."
    found = []
    for note in notebooks(root):
        where, folder = shown(root, note.path), note.path.parent.relative_to(root).as_posix()
        if note.name == 'index' and not exports(note): continue
        if not re.fullmatch(r'\d\d_[a-z][a-z0-9_]*', note.name): found.append(f'{where}: needed a name as 01_subject.ipynb, or a _ before a draft')
        elif folder not in PLACES: found.append(f'{where}: notebooks lie in {", ".join(PLACES)}')
        elif is_further_page(root, note): continue
        elif exports(note)[:1] != [PLACES[folder] + page_stem(note.path)]:
            found.append(f'{where}: exports {", ".join(exports(note)) or "nothing"}; needed {PLACES[folder] + page_stem(note.path)}')
    return found

def cells_export_to_their_own_module(root):
    return [f'{shown(root, note.path)}, cell {c.index}: `#| {d} {c.directives[d]}` writes into another module'
            for note in notebooks(root) for c in note.code_cells for d in ('export', 'exports', 'exporti', 'exportd')
            if c.directives.get(d, True) is not True]

def posts_show_what_they_export(root):
    "A post's functions and classes are marked `#| exports`; its imports may be `#| export`."
    def defines(cell): return any(isinstance(s, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) for s in getattr(parse_code(cell.code), 'body', ()))
    return [f'{shown(root, note.path)}, cell {c.index}: a definition marked `#| {d}`; needed `#| exports`, so that the reader sees it'
            for note in notebooks(root) if is_post(root, note) for c in note.code_cells
            for d in ('export', 'exporti') if d in c.directives and defines(c)]

def every_cell_is_tested(root):
    "nbdev-test says Success for a notebook or cell that it passes over; only `#| notest` may say so on purpose."
    from nbdev.test import nb_test_cells
    found = [f'{shown(root, p)}: makes nbdev-test pass over its folder' for p in sorted((root/'nbs').rglob('.notest'))]
    for note in notebooks(root):
        run = {c.id for c in nb_test_cells(note.path)}
        found += [f'{shown(root, note.path)}, cell {c.index}: never runs (skip_exec, eval: false or the like); mark it `#| notest` where that is meant'
                  for c in note.code_cells if c.source.strip() and c.id not in run]
    return found

# A copy is exported and cleaned from nothing, and compared

@functools.lru_cache(maxsize=1)  # two rules look at one copy
def _redone(root):
    "Files below `kata_blog` and `nbs` that nbdev would write otherwise, each with what differs."
    from nbdev.clean import nbdev_clean
    from nbdev.doclinks import nbdev_export
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in (PACKAGE, 'nbs'): shutil.copytree(root/name, copy/name, ignore=shutil.ignore_patterns('__pycache__', '*.safetensors', '.*'))
        shutil.copy(root/'pyproject.toml', copy)
        for p in (copy/PACKAGE).rglob('*.py'):
            if p.name != '__init__.py': p.unlink()
        with contextlib.chdir(copy):
            nbdev_export()
            nbdev_clean()
        return tuple(_differences(root, copy))

def _differences(root, copy):
    for pattern in (f'{PACKAGE}/**/*.py', 'nbs/**/*.ipynb'):
        for name in sorted({p.relative_to(base).as_posix() for base in (root, copy) for p in base.glob(pattern) if '.ipynb_checkpoints' not in p.parts}):
            ours, theirs = root/name, copy/name
            if not theirs.exists(): yield name, 'no notebook writes it'
            elif not ours.exists(): yield name, 'is not there yet'
            elif ours.read_bytes() != theirs.read_bytes(): yield name, 'would be written otherwise'

def a_fresh_export_changes_nothing(root):
    return [f'{name}: {why}; run nbdev-export, and edit notebooks only' for name, why in _redone(root) if name.startswith(PACKAGE)]

def notebooks_are_clean(root):
    return [f'{name}: {why}; run nbdev-clean' for name, why in _redone(root) if name.startswith('nbs/')]

# Layers

HEAVY = ('torch', 'fastai')
BANNED = ('torchvision', 'torchaudio', 'fastai.vision')
LIBRARY = ('core', 'data', 'train')

def _within(name, packages): return any(name == p or name.startswith(p + '.') for p in packages)

def named_imports(code, package=''):
    "Every module that code imports, also lazily, and by name where the name is written out."
    calls = [n for n in ast.walk(parse_code(code) or ast.Module([])) if isinstance(n, ast.Call) and n.args and isinstance(n.args[0], ast.Constant)]
    lazy = [n.args[0].value for n in calls if getattr(n.func, 'attr', getattr(n.func, 'id', '')) in ('import_module', '__import__')]
    return parse_imports(code, package) + [name for name in lazy if isinstance(name, str)]

def _ours(names, known):
    "Of some dotted names, the modules of the package that they lie in."
    prefixes = ('.'.join(parts[1:i]) for n in names if (parts := n.split('.'))[0] == PACKAGE for i in range(len(parts), 1, -1))
    return sorted({p for p in prefixes if p in known})

def _allowed(root):
    "Each module and those that it may import: the listing of a folder is the order of its layers."
    order = {note.module: note for note in notebooks(root) if note.module}  # sorted by path, so by number
    posts = [name for name, note in order.items() if is_post(root, note)]
    press = [name for name in order if name.startswith('press.')]
    may = {name: set(LIBRARY[:i]) for i, name in enumerate(LIBRARY)} | {'hub': {*LIBRARY, *posts}}
    may |= {name: {*LIBRARY, *posts[:i]} for i, name in enumerate(posts)}
    may |= {name: {*LIBRARY[:2], *press[:i]} for i, name in enumerate(press)}
    if 'press.cli' in may: may['press.cli'].add('hub')  # the one page of the press that hands calls over to it
    return may

def layers_hold(root):
    may, found = _allowed(root), []
    known = {m.name for m in modules(root)}
    written = {name for note in notebooks(root) for name in exports(note)}
    for m in modules(root):
        if m.name in written - set(may): found.append(f'{m.file}: has no place in the layers')
        for other in _ours(named_imports(m.code, m.package), known - {m.name}):
            if other not in may.get(m.name, known): found.append(f'{m.file}: imports {other}, which does not stand to its left')
    return found

def is_light(module): return module.name in LIBRARY[:2] or module.name.startswith('press.')

def light_modules_stay_light(root):
    "The press, core and data run where no torch is."
    return [f'{m.file}: imports {name}' for m in modules(root) if is_light(m)
            for name in named_imports(m.code) if _within(name, HEAVY)]

def nothing_imports_what_breaks(root):
    codes = [(m.file, m.code) for m in modules(root)]
    codes += [(f'{shown(root, note.path)}, cell {c.index}', c.code) for note in notebooks(root) for c in note.code_cells]
    return [f'{where}: imports {name}' for where, code in codes for name in named_imports(code) if _within(name, BANNED)]

def posts_know_no_press(root):
    "Not even in a cell that is not exported: a reader may take a post and its ancestors and go."
    return [f'{shown(root, note.path)}, cell {c.index}: imports {name}' for note in notebooks(root) if is_post(root, note)
            for c in note.code_cells for name in named_imports(c.code) if _within(name, [f'{PACKAGE}.press'])]

# Docstrings and docments

def _comment_lines(code):
    "Lines with a comment behind code, and lines that are a comment."
    tokens = [t for t in tokenize.generate_tokens(io.StringIO(code).readline) if t.type == tokenize.COMMENT]
    alone = {t.start[0] for t in tokens if not t.line[:t.start[1]].strip()}
    return {t.start[0] for t in tokens} - alone, alone

def _undocumented(fields, behind, alone):
    "Of (name, first line, last line), those without a comment of their own; one behind several belongs to the last."
    last = {end: name for name, _, end in fields}
    return [name for name, start, end in fields if start - 1 not in alone and not (end in behind and last[end] == name)]

def _parameters(fn):
    args = fn.args
    ends = {id(a): d.end_lineno for a, d in zip(reversed(args.posonlyargs + args.args), reversed(args.defaults))}
    ends |= {id(a): d.end_lineno for a, d in zip(args.kwonlyargs, args.kw_defaults) if d}
    every = [*args.posonlyargs, *args.args, args.vararg, *args.kwonlyargs, args.kwarg]
    return [(a.arg, a.lineno, ends.get(id(a), a.end_lineno)) for a in every if a and a.arg not in ('self', 'cls')]

def _returns_value(fn):
    "Whether a function itself, not one inside it, gives something back."
    left = list(fn.body)
    while left:
        node = left.pop()
        if isinstance(node, ast.YieldFrom) or isinstance(node, (ast.Return, ast.Yield)) and node.value is not None: return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)): left += ast.iter_child_nodes(node)
    return False

def _function_faults(fn, lines):
    fields = _parameters(fn)
    if fn.returns and ast.unparse(fn.returns) != 'None': fields.append(('the return value', fn.returns.lineno, fn.returns.end_lineno))
    elif _returns_value(fn): fields.append(('the return value', fn.body[0].lineno - 1, fn.body[0].lineno - 1))  # `): # what`
    for name in _undocumented(fields, *lines): yield f'no docment for {name}'

def _class_faults(cls, lines):
    decorated = any('dataclass' in ast.unparse(d) for d in cls.decorator_list) or any('NamedTuple' in ast.unparse(b) for b in cls.bases)
    fields = [(s.target.id, s.lineno, s.end_lineno) for s in cls.body if decorated and isinstance(s, ast.AnnAssign)]
    for name in _undocumented(fields, *lines): yield f'no docment for {name}'
    for s in cls.body:
        if isinstance(s, ast.FunctionDef) and s.name == '__init__': yield from _function_faults(s, lines)

def _public(tree):
    "The names in `__all__` and the definitions among them."
    names = next((ast.literal_eval(s.value) for s in tree.body if isinstance(s, ast.Assign) and getattr(s.targets[0], 'id', '') == '__all__'), [])
    return [s for s in tree.body if getattr(s, 'name', None) in names]

def public_names_are_documented(root):
    found = []
    for m in modules(root):
        lines = _comment_lines(m.code)
        for d in _public(m.tree):
            faults = [] if ast.get_docstring(d) else ['no docstring']
            faults += _class_faults(d, lines) if isinstance(d, ast.ClassDef) else _function_faults(d, lines)
            found += [f'{m.file}, {d.name}: {fault}' for fault in faults]
    return found

# Files of the project

def one_config_for_the_site(root):
    "nbdev's commands for documentation write a second and wrong one."
    return [f'nbs/{name}: not ours; delete it' for name in ('_quarto.yml', 'nbdev.yml') if (root/'nbs'/name).exists()]

IDENTITY = ('title', 'description', 'author', 'site-url', 'repo-url', 'repo-branch', 'license', 'comments')

def _blog(root):
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(root/'settings.ini', encoding='utf-8')
    return {s: dict(parser[s]) for s in parser.sections()}

def settings_are_known(root):
    sections, known = _blog(root), set(Settings.__dataclass_fields__)
    keys = set(sections.get('blog', {}))
    return ([f'settings.ini: section {s}; needed [blog] alone' for s in sections if s != 'blog']
            + [f'settings.ini: {key} is no setting' for key in sorted(keys - known)]
            + [f'settings.ini: {key} is missing' for key in sorted(known - keys)])

def identity_stands_once(root):
    "Who the blog is stands in settings.ini; what packaging must repeat agrees with it."
    blog, project = _blog(root).get('blog', {}), _project(root)
    site = yaml.safe_load((root/'_quarto.yml').read_text(encoding='utf-8')) or {}
    found = [f'_quarto.yml: {part}.{key} belongs in settings.ini' for part in ('project', 'website') for key in IDENTITY if key in (site.get(part) or {})]
    authors = ', '.join(a.get('name', '') for a in project.get('authors', []))
    pairs = [('author', authors), ('licence_code', project.get('license'))]
    pairs += [('address', project.get('urls', {}).get('Homepage', blog.get('address')))]
    return found + [f"pyproject.toml: {value!r} where settings.ini says {key} = {blog.get(key)!r}" for key, value in pairs if value != blog.get(key)]

def _project(root): return tomllib.loads((root/'pyproject.toml').read_text(encoding='utf-8'))['project']

def pins_cover_the_needs(root):
    "Every need has one pinned version that meets it, but for Quarto, which fetches a program while it installs; the first release of our oldest Python takes each that is installed."
    from importlib.metadata import PackageNotFoundError, metadata
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name as plain
    lines = [l.split('==') for l in (root/'constraints.txt').read_text().splitlines() if l and l[0] != '#']
    pins, project = {plain(l[0]): l[-1] for l in lines}, _project(root)
    found = [f'constraints.txt: `{l[0]}` is no pin; needed name==version' for l in lines if len(l) != 2]
    groups = {'dependencies': project['dependencies'], **project.get('optional-dependencies', {})}
    needs = [Requirement(r) for group, rs in groups.items() if group != 'quarto' for r in rs]
    for need in needs:
        if plain(need.name) == plain(PACKAGE): continue
        if not (pin := pins.get(plain(need.name))): found.append(f'constraints.txt: {need.name} is not pinned')
        elif pin not in need.specifier: found.append(f'constraints.txt: {need.name}=={pin}; pyproject.toml needs {need.specifier}')
    oldest = re.search(r'>=([\d.]+)', project['requires-python'])[1] + '.0'
    for name, pin in pins.items():
        try: about = metadata(name)
        except PackageNotFoundError: continue
        asked = about.get('Requires-Python') or ''  # some packages ask for none
        if about['Version'].split('+')[0] == pin and oldest not in SpecifierSet(asked): found.append(f'constraints.txt: {name}=={pin} asks for Python {asked}; needed one that {oldest} can install')
    return found

MEGA = 2**20

def weights_are_small(root):
    "What the wheel carries: safetensors only, 2 MB each and 16 MB together."
    files = sorted(p for p in (root/PACKAGE/'weights').glob('*') if p.is_file())
    found = [f'{shown(root, p)}: needed a .safetensors file' for p in files if p.suffix != '.safetensors']
    found += [f'{shown(root, p)}: {p.stat().st_size / MEGA:.1f} MB; at most 2' for p in files if p.stat().st_size > 2 * MEGA]
    total = sum(p.stat().st_size for p in files)
    return found + ([f'{PACKAGE}/weights: {total / MEGA:.1f} MB together; at most 16'] if total > 16 * MEGA else [])

# What a reader is told to type

def _blocks(text, *languages):
    return [block for language, block in re.findall(r'^```(\w*)\n(.*?)^```$', text, re.M | re.S) if language in languages]

def _commands(text):
    "Shell lines of a page: those in fences, and inline code that begins with one of our programs."
    lines = [l.strip().removeprefix('$ ') for block in _blocks(text, 'sh', 'bash', 'console') for l in block.splitlines()]
    lines += re.findall(r'(?<!`)`((?:make|kata)\s[^`\n]+)`(?!`)', text)
    words = [shlex.split(l, comments=True) for l in lines if re.match(r'(?:\w+=\S+ )*(make|kata)\b', l)]
    return [[w for w in ws if not re.match(r'[A-Z_]+=', w)] for ws in words]

@functools.cache
def _help(command):
    from kata_blog.press.cli import main
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()), contextlib.suppress(SystemExit):
        main([command, '--help'])
    return out.getvalue()

def _command_fault(program, words, targets):
    if program == 'make': return next((f'no target {w}' for w in words if w[0] != '-' and w not in targets), '')
    if words[:1] in ([], ['--help']): return ''
    text = _help(words[0])
    if not text: return f'no command {words[0]}'
    return next((f'no option {w}' for w in words if w.startswith('-') and not re.search(rf'(?<![\w-]){re.escape(w)}(?![\w-])', text)), '')

def _python_faults(text, root):
    "Names of ours that a page's Python imports and that do not exist."
    known = {m.name: m for m in modules(root)}
    for block in _blocks(text, 'python'):
        for node in ast.walk(ast.parse(block)):
            if not isinstance(node, ast.ImportFrom) or (node.module or '').split('.')[0] != PACKAGE: continue
            module = node.module.partition('.')[2]
            names = set(known) if not module else {d.name for d in _public(known[module].tree)} if module in known else set()
            yield from (f'`from {node.module} import {a.name}`: no such name' for a in node.names if a.name not in names)

def commands_exist(root):
    "What README and CONTRIBUTING tell to type, and what README's Python imports."
    targets = set(re.findall(r'^([\w-]+):', (root/'Makefile').read_text(), re.M))
    pages = {p.name: p.read_text(encoding='utf-8') for p in (root/'README.md', root/'CONTRIBUTING.md') if p.exists()}
    found = [f'{name}: `{shlex.join(ws)}`: {fault}' for name, text in pages.items() for ws in _commands(text) if (fault := _command_fault(ws[0], ws[1:], targets))]
    return found + [f'{name}: {fault}' for name, text in pages.items() for fault in _python_faults(text, root)]

# Words that belong to one machine, or to someone else's server

FORBIDDEN = {
    # an example's user has one letter: /home/a
    'a folder of one machine': re.compile(r'''(?:^|(?<=[\s"'`=(,:]))/(?:root|work|(?:home|Users)/\w{2,}|tmp/tmp\w+|var/folders)/'''),
    'a package registry': re.compile(r'pypi[.]org|pythonhosted[.]org|download[.]pytorch[.]org|registry[.]npmjs|conda[.]anaconda'),
    'a content network': re.compile(r'jsdelivr|unpkg[.]com|cdnjs|(?:fonts|ajax)[.]googleapis|gstatic|polyfill[.]io|esm[.]sh', re.I),
}

def _committed(root):
    "Files that git has, or all where there is no git; weights are no text."
    listed = subprocess.run(['git', '-C', root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], capture_output=True, text=True)
    names = listed.stdout.split('\0') if (root/'.git').exists() and not listed.returncode else [p.relative_to(root) for p in root.rglob('*')]
    return [p for n in names if n and (p := root/n).is_file() and '__pycache__' not in p.parts]

def no_forbidden_words(root):
    found = []
    for path in _committed(root):
        try: lines = path.read_text(encoding='utf-8').splitlines()
        except UnicodeDecodeError: continue
        if path == root/'tests'/'house.py': continue  # these patterns themselves
        found += [f'{shown(root, path)}, line {i}: {what}: {m[0]}' for i, line in enumerate(lines, 1) for what, rx in FORBIDDEN.items() if (m := rx.search(line))]
    return found

RULES = [every_module_has_a_notebook, every_notebook_has_a_module, every_module_has_one_notebook, notebooks_are_named_after_modules,
         cells_export_to_their_own_module, posts_show_what_they_export, every_cell_is_tested, a_fresh_export_changes_nothing, notebooks_are_clean,
         layers_hold, light_modules_stay_light, nothing_imports_what_breaks, posts_know_no_press, public_names_are_documented,
         one_config_for_the_site, settings_are_known, identity_stands_once, pins_cover_the_needs, weights_are_small, commands_exist, no_forbidden_words]
