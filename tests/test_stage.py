"Staging: what an author writes, as Quarto understands it."
import json
from pathlib import Path, PurePosixPath
import pytest, yaml
from kata_blog.core import ConfigError, KataError
from kata_blog.press.note import Cell, read_directives
from kata_blog.press.pandoc import Pandoc
from kata_blog.press.stage import behind_markdown, day, duration, local_files, cell_options, record_markdown, stage, staged_links, staged_path
from making import of_today

FRONT = '---\ntitle: Net\ndescription: A net.\ndate: 2026-11-23\nkata: {week: 1, profiles: {cpu: {}}}\n---'
RECORD = dict(profile='cpu', ended='passed', key={}, started='2026-11-23T10:00:00Z', seconds=41.2, peak_memory_mb=512, device=dict(kind='cpu', name='x', cores=2),
              versions={'python': '3.11.7'}, parameters={'n': 3}, data=[dict(name='cifar10', version='1', variant='jpeg')], metrics={'accuracy': {'value': 0.9341, 'n': 3, 'sd': .002}}, commit='abc')

def cell(kind, source, **more): return dict(cell_type=kind, source=source, metadata={}, **more)
def code(source, *outputs): return cell('code', source, outputs=list(outputs), execution_count=None)
def stream(text, name='stdout'): return dict(output_type='stream', name=name, text=text)
def notebook(*cells): return json.dumps(dict(cells=list(cells), metadata={}, nbformat=4, nbformat_minor=5))

@pytest.fixture
def blog(tmp_path):
    "A blog with one post; `cells` follow its front matter and heading."
    def write(*cells, front=FRONT, records=(RECORD,), name='01_net'):
        posts = tmp_path/'nbs'/'posts'
        (posts/'records').mkdir(parents=True, exist_ok=True)
        (tmp_path/'_quarto.yml').write_text('project: {type: website}\n')
        (tmp_path/'settings.ini').write_text('[blog]\ntitle = Blog\n')
        (posts/f'{name}.ipynb').write_text(notebook(cell('raw', front), cell('markdown', '# Net\n\n> Nets.\n\nBegin.'), code('#| default_exp net'), *cells))
        if records: (posts/'records'/f'{name}.json').write_text(json.dumps([vouched(posts/f'{name}.ipynb', r) for r in records]))
        return tmp_path
    def vouched(path, record):
        try: return of_today(path, record) if record.get('key') == {} else record
        except KataError: return record  # a test may want a broken note
    return write

def staged_cells(root, name='posts/net.ipynb'):
    staged = stage(root)
    assert not staged.problems, staged.problems
    cells = json.loads((staged.root/name).read_text())['cells']
    assert all(isinstance(c['source'], list) and all('\n' in l for l in c['source'][:-1]) for c in cells)  # one string, and Quarto loses its line ends
    return [c | {'source': ''.join(c['source'])} for c in cells if '**You need**' not in ''.join(c['source'])[:40]]  # what stands above every post

def options(source, is_post=True, outputs=()):
    directives, text = read_directives(source)
    return cell_options(Cell('code', source, 1, outputs=list(outputs), directives=directives, code=text), is_post)

@pytest.mark.parametrize('source,wanted', [
    ('#| hide\nx', None), ('#| hide: true\nx', None), ('#| hide: false\nx', {}), ('#| default_exp net', None), ('#| export', None), ('', None), ('#| echo: false', None),
    ('#| exports\nx = 1', {}), ('#| parameters\nx = 1', {}), ('#| eval: false\nx', {}), ('#| notest\nx', {}), ('#| exec_doc\nx', {}), ('#| exportd\nx', {}),
    ('#| export\nimport a\nfrom b import (c,\n)', {'code-fold': True, 'code-summary': 'Imports'}), ('#| export\nx = 1', {'code-fold': True, 'code-summary': 'Code'}),
    ('#| exporti\nx = 1', {'code-fold': True, 'code-summary': 'Code'}), ('#| export\n#| code-fold: false\nx = 1', {'code-fold': False}),
    ('#| hide_input\nx', {'echo': False}), ('#| hide_output\nx', {'output': False}), ('#| hide_input\n#| echo: true\nx', {'echo': True}),
    ('#| label: fig-a\n#| fig-cap: "a: b"\nx', {'label': 'fig-a', 'fig-cap': 'a: b'}), ('#| own-key: 3\nx', {'own-key': 3})])
def test_directives_in_a_post(source, wanted): assert options(source) == wanted

@pytest.mark.parametrize('source', ['#| export\nx = 1', '#| exporti\nimport a', '#| exports\nx = 1'])
def test_a_library_note_shows_what_it_exports(source): assert options(source, is_post=False) == {}

def test_a_cell_that_only_has_outputs_stays(): assert options('#| echo: false', outputs=[stream('a')]) == {'echo': False}

def test_staged_directives_are_quarto_s(blog):
    found = staged_cells(blog(code('#| exports\n#| fig-cap: |\n#|   Two\n#|   lines "quoted"\n#| echo: true\nx = 1')))[2]['source']
    directives, text = read_directives(found)
    assert text == 'x = 1' and set(directives) == {'fig-cap', 'echo'} and directives['fig-cap'].split() == ['Two', 'lines', '"quoted"']

def test_hidden_lines_and_filtered_streams(blog):
    found = staged_cells(blog(code('#| filter_stream Warning noise\na = 1\nb = 2  #|hide_line\nc = 3', stream('keep\na Warning\nnoise\nend\n'))))[2]
    assert found['source'] == 'a = 1\nc = 3'
    assert found['outputs'][0]['text'] == ['keep\n', 'end\n']

def test_heading_and_docstring_become_title_and_description(blog):
    front, first, *_ = staged_cells(blog())
    assert first['source'].strip() == 'Begin.'
    meta = yaml.safe_load(front['source'].strip('-\n'))
    assert (meta['title'], meta['description'], meta['kata']) == ('Net', 'A net.', {'week': 1, 'module': 'kata_blog.net', 'post': True, 'profile': 'cpu'})

def test_a_library_note_takes_its_title_from_the_heading(blog):
    root = blog()
    (root/'nbs/press').mkdir()
    (root/'nbs/press/03_part.ipynb').write_text(notebook(cell('markdown', '# Part\n\n> One line.\n\nText.'), code('#| default_exp press.part'), code('#| export\nx = 1')))
    cells = staged_cells(root, 'press/part.ipynb')
    assert yaml.safe_load(cells[0]['source'].strip('-\n')) == dict(title='Part', description='One line.', kata={'module': 'kata_blog.press.part'})
    assert [c['source'].strip() for c in cells[1:]] == ['Text.', 'x = 1']
    assert '[`kata_blog.press.part`](press/part.ipynb)\n:   One line.' in (root/'.kata/stage/library.md').read_text()

def test_a_title_may_stand_behind_code(blog):
    root = blog()
    (root/'nbs/03_part.ipynb').write_text(notebook(code('#| default_exp part'), cell('markdown', '# Whole\n\nText.'), code('#| export\nx = 1')))
    cells = staged_cells(root, 'part.ipynb')
    assert yaml.safe_load(cells[0]['source'].strip('-\n'))['title'] == 'Whole' and [c['source'].strip() for c in cells[1:]] == ['Text.', 'x = 1']

def test_a_page_knows_the_author_s_cells(blog):
    page, = [p for p in stage(blog(code('#| hide\nx'), code('y = 1'))).pages if p.is_post]
    assert page.cells == [None, None, 2, 5, None, None] and page.source.name == '01_net.ipynb' and str(page.address) == 'posts/net.html'

PAGES = {PurePosixPath('posts/01_a.ipynb'): PurePosixPath('posts/a.ipynb'), PurePosixPath('posts/02_b.ipynb'): None, PurePosixPath('about.md'): PurePosixPath('about.md')}
@pytest.mark.parametrize('folder,text,wanted', [
    ('', '[a](posts/01_a.ipynb)', '[a](posts/a.ipynb)'), ('posts', '[a](01_a.ipynb#top "t")', '[a](a.ipynb#top "t")'), ('press', '[a](../posts/01_a.ipynb)', '[a](../posts/a.ipynb)'),
    ('posts', '[a](/posts/01_a.ipynb)', '[a](/posts/a.ipynb)'), ('posts', '[b *c*](02_b.ipynb) d', 'b *c* d'), ('', '`[a](posts/01_a.ipynb)`', '`[a](posts/01_a.ipynb)`'),
    ('', '```\n[a](posts/01_a.ipynb)\n```', '```\n[a](posts/01_a.ipynb)\n```'), ('', '[01_a.ipynb](posts/01_a.ipynb)', '[01_a.ipynb](posts/a.ipynb)'), ('', '[a](posts/01_c.ipynb)', '[a](posts/01_c.ipynb)'),
    ('', '[a](https://x.org/posts/01_a.ipynb)', '[a](https://x.org/posts/01_a.ipynb)'), ('', '[x [y] z](posts/01_a.ipynb)', '[x [y] z](posts/a.ipynb)'), ('', '[a](about.md) [b](posts/01_a.ipynb)', '[a](about.md) [b](posts/a.ipynb)'),
    ('', '[![p](p.png)](posts/01_a.ipynb)', '[![p](p.png)](posts/a.ipynb)')])
def test_links(folder, text, wanted): assert staged_links(text, PurePosixPath(folder), PAGES) == wanted

@pytest.mark.parametrize('text,wanted', [
    ('![a](b.png)', [('b.png', 1, True)]), ('\n\n[a](b.csv#x)', [('b.csv', 3, False)]), ('<img src="b.png">', [('b.png', 1, True)]), ('`![a](b.png)`', []), ('![a](https://x.org/b.png)', []),
    ('![a](attachment:b.png)', []), ('[a](#b)', []), ('![a](data:image/png;base64,AA)', []), ('[![a](b.png)](c.md)', [('b.png', 1, True), ('c.md', 1, False)])])
def test_local_files(text, wanted): assert sorted(local_files(text)) == wanted

def test_numbers_go_and_folders_stay():
    assert [str(staged_path(PurePosixPath(p))) for p in ('posts/01_net.ipynb', '07a_x.md', 'index.md', '2024_x.md')] == ['posts/net.ipynb', 'x.md', 'index.md', 'x.md']

def test_claims_are_bound_and_lead_to_the_record(blog):
    root = blog(cell('markdown', 'It has [93.4 %]{claim=accuracy}.'))
    cells = staged_cells(root)
    assert '(#how-this-was-run){.claim' in cells[2]['source'] and '{#how-this-was-run}' in cells[-2]['source']

def test_a_claim_that_no_longer_agrees_is_a_problem_with_its_sentence(blog):
    problem, = stage(blog(cell('markdown', 'It has [97.1 %]{claim=accuracy}.'))).problems
    assert 'cell 4' in problem.where and '97.1' in problem.text

def test_the_record_is_on_the_page():
    text = record_markdown(RECORD, 'me/it')
    for part in ('cpu profile, 23 November 2026, 41 s on x, 2 cores', '23 November 2026, 10:00 UTC', '\nx, 2 cores', '41 s', '0.5 GB', 'cifar10, version 1: jpeg', '`n = 3`', 'python 3.11.7', '[`abc`](https://github.com/me/it/commit/abc)', '| accuracy | 0.9341 | 0.002 | 3 |'): assert part.lstrip() in text, part
    assert 'commit/' not in record_markdown(RECORD | {'commit': 'abc-dirty'}, 'me/it') and '`abc-dirty`' in record_markdown(RECORD | {'commit': 'abc-dirty'}, 'me/it')
    assert 'Memory' not in record_markdown(dict(profile='cpu', started='2026-11-23'))

@pytest.mark.parametrize('seconds,text', [(0, '0.0 s'), (9.94, '9.9 s'), (59.4, '59 s'), (59.6, '1 min 0 s'), (3599.9, '1 h 0 min'), (7384, '2 h 3 min')])
def test_durations(seconds, text): assert duration(seconds) == text

def test_days(): assert (day('2026-11-03T10:00Z'), day('soon')) == ('3 November 2026', 'soon')

@pytest.mark.parametrize('records', [(), (RECORD | {'ended': 'failed'},), (RECORD | {'profile': 'smoke'},)])
def test_a_post_without_a_passed_published_record_is_left_out_and_named(blog, records):
    root = blog(records=records)
    (root/'nbs/index.md').write_text('---\ntitle: Home\n---\n\nSee [the net](posts/01_net.ipynb).\n')
    staged = stage(root)
    (name, why), = staged.left_out
    assert name == '01_net' and 'kata run net' in why and staged.problems == []
    assert not (staged.root/'posts').exists() and 'See the net.' in (staged.root/'index.md').read_text()

def test_a_draft_is_left_out(blog):
    staged = stage(blog(front=FRONT.replace('title: Net', 'title: Net\ndraft: true')))
    assert staged.left_out == [('01_net', 'a draft')]

@pytest.mark.parametrize('content,words', [
    ('{', ['no JSON']), ('[]', ['JSON without a list of cells']), (notebook(cell('raw', '---\ntitle: a: b\n---')), ['line 2', 'front matter is no YAML']),
    (notebook(cell('raw', FRONT), code('ok'), code('x = 1'), code('#| eco: false\n#| echo: no way\nx')), ['cell 4']), (notebook(cell('markdown', 'No front.')), ['front matter has no title', '---']),
    (notebook(cell('raw', '---\ntitle: a\n---')), ['has no date']), (notebook(cell('odd', 'x')), ['cell 1', "kind 'odd'"])])
def test_a_broken_note_is_named_and_the_others_are_staged(blog, content, words):
    root = blog()
    bad = root/'nbs/posts/02_bad.ipynb'
    bad.write_text(content)
    staged = stage(root)
    problem, = staged.problems
    assert '02_bad.ipynb' in problem.where and all(w in str(problem) for w in words), str(problem)
    assert bad.read_text() == content and (staged.root/'posts/net.ipynb').is_file()

def test_a_damaged_record_is_named(blog):
    root = blog()
    (root/'nbs/posts/records/01_net.json').write_text('[')
    staged = stage(root)
    assert '01_net.json' in staged.problems[0].where and staged.left_out

def test_a_missing_image_is_named_with_cell_and_line(blog):
    staged = stage(blog(code('x = 1'), cell('markdown', 'a\n\nb ![c](gone.png)')))
    problem, = staged.problems
    assert problem.where.endswith('01_net.ipynb, cell 5, line 3') and "'gone.png' is missing" in problem.text

def test_a_missing_front_image_is_named(blog):
    problem, = stage(blog(front=FRONT.replace('title: Net', 'title: Net\nimage: gone.png'))).problems
    assert 'front matter' in problem.where and 'gone.png' in problem.text

def test_files_travel_and_what_is_gone_goes(blog):
    root = blog(cell('markdown', '![c](images/a.png) [d](data.csv)'))
    (root/'nbs/posts/images').mkdir()
    (root/'nbs/posts/images/a.png').write_bytes(b'a')
    (root/'nbs/posts/data.csv').write_text('1')
    (root/'nbs/posts/private.txt').write_text('1')
    staged = stage(root)
    assert {p.relative_to(staged.root).as_posix() for p in staged.root.rglob('*') if p.is_file()} == {'_quarto.yml', '404.md', 'archive.md', 'cover.png', 'library.md', 'posts/net.ipynb', 'posts/covers/net.png', 'posts/images/a.png', 'posts/data.csv'}
    stage(blog())
    assert not (staged.root/'posts/data.csv').exists()

def test_two_notes_with_one_page_are_refused(blog):
    root = blog(name='02_net')
    blog()
    with pytest.raises(ConfigError, match='already is'): stage(root)

def test_identity_goes_into_the_configuration(blog):
    root = blog()
    (root/'settings.ini').write_text('[blog]\ntitle = Blog\nauthor = A\naddress = https://a.org/b\nrepository = me/it\n')
    config = yaml.safe_load((stage(root).root/'_quarto.yml').read_text())
    assert config['website'] == {'title': 'Blog', 'site-url': 'https://a.org/b', 'repo-url': 'https://github.com/me/it'} and config['author'] == 'A'

def test_a_folder_that_is_only_quarto_keeps_its_names(tmp_path):
    (tmp_path/'_quarto.yml').write_text('project: {type: website, render: ["*.md", "!private.md", "posts/*"]}\nbibliography: refs.bib\n')
    for name in ('01_one.md', 'private.md', 'README.md', '_draft.md'): (tmp_path/name).write_text('# One\n\n> Quoted.\n')
    (tmp_path/'posts').mkdir()
    (tmp_path/'posts/02_two.ipynb').write_text(notebook(cell('markdown', 'Two')))
    (tmp_path/'refs.bib').write_text('')
    staged = stage(tmp_path)
    assert [str(p.path) for p in staged.pages] == ['01_one.md', 'posts/02_two.ipynb'] and staged.problems == [] and staged.left_out == []
    assert (staged.root/'refs.bib').is_file() and not (staged.root/'404.md').exists()

def test_same_files_same_bytes(blog):
    root = blog(code('x = 1', stream('1')), cell('markdown', '[93.4 %]{claim=accuracy}'))
    def bytes_of(folder): return {p.relative_to(folder): p.read_bytes() for p in folder.rglob('*') if p.is_file()}
    first = bytes_of(stage(root, root/'.kata/a').root)
    assert first == bytes_of(stage(root, root/'.kata/b').root)

def test_staging_again_writes_nothing(blog):
    root = blog(code('x = 1'))
    folder = stage(root).root
    before = {p: p.stat().st_mtime_ns for p in folder.rglob('*') if p.is_file()}
    assert before == {p: p.stat().st_mtime_ns for p in stage(root).root.rglob('*') if p.is_file()}

@pytest.mark.parametrize('text,wanted', [
    ('# Net\n\n> About.\n\nText.', 'Text.'), ('# Net\n\n> Said another.\n\nText.', '> Said another.\n\nText.'), ('# Other\n\nText.', '# Other\n\nText.'), ('## Net\n\nText.', '## Net\n\nText.'), ('Text.', 'Text.')])
def test_a_heading_goes_only_where_it_says_the_title_again(tmp_path, text, wanted):
    (tmp_path/'_quarto.yml').write_text('project: {type: website}\n')
    (tmp_path/'a.md').write_text(f'---\ntitle: Net\ndescription: About.\n---\n\n{text}\n')
    assert (stage(tmp_path).root/'a.md').read_text().split('---\n')[-1].strip() == wanted

def test_a_page_says_what_its_run_changed_in_the_parameters(blog):
    "The cell shows the values of `full`; the numbers of the page may be those of another profile."
    cells = staged_cells(blog(code('#| parameters\nepochs = 9\nwidth = 4'), front='---\ntitle: Net\ndate: 2026-11-23\nkata: {week: 1, profiles: {cpu: {epochs: 2}}}\n---'))
    at = next(n for n, c in enumerate(cells) if 'epochs = 9' in c['source'])
    assert '`epochs = 2`' in cells[at + 1]['source'] and 'width' not in cells[at + 1]['source'] and '(#how-this-was-run)' in cells[at + 1]['source']

def test_a_page_that_shows_full_has_no_such_line(blog):
    root = blog(code('#| parameters\nepochs = 9'), front='---\ntitle: Net\ndate: 2026-11-23\nkata: {week: 1, profiles: {cpu: {epochs: 2}}}\n---', records=(RECORD | {'profile': 'full'},))
    assert not any('values of the `full` profile' in c['source'] for c in staged_cells(root))

# the box

WHOLE = RECORD | dict(id='82e0884dad04', peak_gpu_mb=8100, device=dict(kind='cuda', name='NVIDIA H200', cores=16, driver='570.1'), parameters={'seed': 7, 'n_seeds': 3, 'lr': .4, 'text': 'a `b` | c'},
    metrics={'accuracy': {'value': .9341, 'n': 3, 'sd': .002}, 'train_s': {'value': 380.316}, 'params': {'value': 1_234_567}}, key=dict(form=2, cells=['337353e5cb9a4a57'], code={'train.fit_model': '9918e34d0f04edad'}, data={'cifar10': '1'}),
    parts=[dict(name='fit', key='ab' * 32, when='2026-11-22T08:00:00Z', device='AMD EPYC', seconds=80, torch='2.13.0', segments=[dict(seconds=50), dict(seconds=30)]), dict(name='once_only', device=dict(kind='cpu', name='x', cores=2), seconds=5)])

@pytest.mark.parametrize('part', [
    '<summary>cpu profile, 23 November 2026, 41 s on NVIDIA H200, driver 570.1</summary>', '\n:   23 November 2026, 10:00 UTC', '\n:   NVIDIA H200, driver 570.1', '\n:   41 s', '\n:   0.5 GB at most, 8.1 GB on the GPU at most',
    '\n:   `seed = 7`, `n_seeds = 3`', "\n:   `lr = 0.4`, `` text = 'a `b` | c' ``", '| train (s) | 380.3 | – | – |', '| params | 1,234,567 | – | – |', '\n:   `82e0884dad04`; 2 earlier ones are kept beside it', '9918e34d0f04edad  train.fit_model',
    'Key: 1 cell of the notebook and 1 piece of the library', 'Cells, in order: `337353e5cb9a4a57`', '- `fit`, key `abababababab`: 22 November 2026, 08:00 UTC, 1 min 20 s in 2 segments (50 s, 30 s), on AMD EPYC, torch 2.13.0', '5.0 s, on x, 2 cores', '\n:   cell 7 changed; parameter epochs 10 → 12'])
def test_the_box_is_complete(part): assert part in record_markdown(WHOLE, 'me/it', earlier=2, behind=['cell 7 changed', 'parameter epochs 10 -> 12'])

def test_the_box_is_folded_and_a_claim_leads_into_it():
    with Pandoc() as pandoc: printed = pandoc.convert(record_markdown(WHOLE))
    html = printed['html']
    assert [h['id'] for h in printed['headings']] == ['the-run']  # the table of contents leads to the line, a claim into the fold
    assert html.index('<details class="run-record">') < html.index('id="how-this-was-run"') < html.index('<details class="run-key">') < html.rindex('</details>')
    assert html.count('<details') == html.count('</details>') == 2 and '<details open' not in html and '<dl>' in html and '<table>' in html and '9918e34d0f04edad  train.fit_model</code>' in html

HOSTILE = ['</details><script>x</script>', '<b>', '`', '``` a', ':::', '![a](x.png)', '[a](b){.c}', '$x$', 'a\n\nb', '| a |', '*b*', '# a', '{{< include x >}}', '@a', '<!-- a']

@pytest.mark.parametrize('text', HOSTILE)
@pytest.mark.parametrize('where', [lambda t: dict(device=dict(name=t)), lambda t: dict(parameters={'p': t}), lambda t: dict(data=[dict(name=t, version=t, variant=t)]), lambda t: dict(versions={'a': t}), lambda t: dict(parts=[dict(name=t, device=t, torch=t)]), lambda t: dict(key=dict(cells=[t], code={t: t}))])
def test_what_a_record_holds_is_text_and_nothing_else(text, where):
    with Pandoc() as pandoc: html = pandoc.convert(record_markdown(WHOLE | where(text)))['html']
    assert html.count('<details') == html.count('</details>') and not any(t in html for t in ('<script', '<b>', '<img', 'class="c"', '<math', '<em>', '<h1', 'class="math', '<!-- a', 'href="b"'))
    assert html.count('<h') == html.count('<h2') == 1 + html.count('<hr')

@pytest.mark.parametrize('reasons,foreign,text', [
    ([], False, ''), (['train.fit_model changed'], False, 'The code has moved on since this run: `train.fit_model` changed. The numbers below are of [record 82e0884dad04](#how-this-was-run).'),
    (['data.<module> changed'], False, ': `data.<module>` changed.'), (['cell 7 changed', 'train.a changed', 'b.C.d changed', 'x.y added', 'x.z removed', 'a cell removed'], False, ': `train.a`, `b.C.d` changed; `x.y` added; `x.z` removed; cell 7 changed, a cell removed.'),
    ([f'm.f{i} changed' for i in range(11)], False, '`m.f7` and 3 more changed.'), ([f'cell {i} changed' for i in range(1, 8)], False, 'cell 4 changed and 3 more.'), (['parameter text "*a*" -> "`"'], False, 'parameter text "\\*a\\*" → "\\`".'),
    (['recorded with a key of another form'], False, '::: {.behind}\n[Record 82e0884dad04](#how-this-was-run) was recorded with a key of another form, so nobody can say whether the code has moved on since.\n:::'),
    ([], True, 'What the cells show is not what [record 82e0884dad04]'), (['a.b changed'], True, 'run). What the cells show is not what')])
def test_a_notice_names_what_changed(reasons, foreign, text): assert text in behind_markdown(WHOLE, reasons, foreign) and bool(text) == bool(behind_markdown(WHOLE, reasons, foreign))

def test_a_page_whose_record_is_behind_the_code_says_so_and_one_that_is_not_does_not(blog):
    root = blog(code('#| parameters\nn = 3'), code('from kata_blog.part import f\nf(n)'))
    (root/'kata_blog').mkdir()
    (root/'kata_blog/part.py').write_text('def f(n): return n\n')
    root = blog(code('#| parameters\nn = 3'), code('from kata_blog.part import f\nf(n)'))
    assert stage(root).behind == {} and '{.behind}' not in (root/'.kata/stage/posts/net.ipynb').read_text()
    (root/'kata_blog/part.py').write_text('def f(n): return n + 1\n')
    staged = stage(root)
    first = ''.join(json.loads((staged.root/'posts/net.ipynb').read_text())['cells'][1]['source'])
    (path, reasons), = staged.behind.items()
    assert first.startswith('::: {.behind}\nThe code has moved on since this run: `part') and 'changed. The numbers below are of' in first and path.name == '01_net.ipynb' and len(reasons) == 1
    assert staged.problems == []  # it is a page all the same

def test_outputs_that_are_not_the_record_s_are_said(blog):
    root = blog(code('x', stream('1')))
    path = root/'nbs/posts/01_net.ipynb'
    path.write_text(path.read_text().replace('"text": "1"', '"text": "2"'))
    staged = stage(root)
    assert 'What the cells show is not what' in (staged.root/'posts/net.ipynb').read_text() and len(staged.behind) == 1

def test_the_box_counts_the_older_records(blog):
    text = (stage(blog(records=(RECORD | {'ended': 'failed'}, RECORD | {'seconds': 2}, RECORD | {'seconds': 1}, RECORD | {'profile': 'smoke'}))).root/'posts/net.ipynb').read_text()
    assert '`; 2 earlier ones are kept' in text and '2.0 s on x' in text

def test_metrics_that_are_no_numbers_are_a_problem_and_no_traceback(blog):
    problem, = stage(blog(records=(RECORD | {'metrics': {'accuracy': {'value': 'high'}}},))).problems
    assert 'accuracy' in problem.text and "'high'" in problem.text
    with pytest.raises(KataError, match='holds accuracy as'): record_markdown(RECORD | {'metrics': {'accuracy': {'value': 'high'}}})

@pytest.mark.parametrize('library,spec', [('vega', {'mark': 'bar'}), ('plotly', {'data': []})])
def test_a_chart_that_nothing_can_draw_is_said(blog, monkeypatch, library, spec):
    from kata_blog.press import charts
    monkeypatch.setattr(charts, '_PACKAGES', {})
    form = {'vega': 'application/vnd.vegalite.v6.json', 'plotly': 'application/vnd.plotly.v1+json'}[library]
    staged = stage(blog(code('x = 1', dict(output_type='display_data', metadata={}, data={form: spec, 'text/plain': 'a chart'}))))
    assert [p.text.split(':')[0] for p in staged.problems] == [f'a chart of {library.capitalize()}, and what draws it is not here'] and staged.charts == {}
    assert 'a chart' in (staged.root/'posts/net.ipynb').read_text()

def test_a_chart_whose_data_lie_elsewhere_is_said(blog):
    pytest.importorskip('vl_convert')
    spec = {'data': {'url': 'https://example.org/a.json'}, 'mark': 'point', 'encoding': {'x': {'field': 'a', 'type': 'quantitative'}}}
    staged = stage(blog(code('x = 1', dict(output_type='display_data', metadata={}, data={'application/vnd.vegalite.v5+json': spec, 'text/plain': 'a chart'}))))
    assert len(staged.problems) == 1 and 'put its data into the chart itself' in staged.problems[0].text

def test_a_chart_is_drawn_for_those_who_run_no_script(blog):
    pytest.importorskip('vl_convert')
    spec = {'data': {'values': [{'a': 1}]}, 'mark': 'point', 'encoding': {'x': {'field': 'a', 'type': 'quantitative'}}}
    staged = stage(blog(code('#| fig-alt: a dot\nx = 1', dict(output_type='display_data', metadata={}, data={'application/vnd.vegalite.v5+json': spec, 'text/plain': 'a chart'}))))
    text = ''.join(l for c in json.loads((staged.root/'posts/net.ipynb').read_text())['cells'] for l in [*c['source'], *(t for o in c.get('outputs', []) for t in o['data'].get('text/markdown', ''))])
    assert staged.problems == [] and 'src="data:image/svg+xml;base64,' in text and 'alt="a dot"' in text and '<script src="../charts/charts.js" defer></script>' in text
    assert {str(p) for p in staged.charts} == {'charts/charts.js', 'charts/vega.js'} and 'charts/vega.js' in (staged.root/'_quarto.yml').read_text()

def test_a_warning_names_no_file_that_never_was(blog):
    staged = stage(blog(code('x = 1', stream('<ipython-input-24-cbf9e6b48ab7>:10: UserWarning: careful\n', 'stderr'))))
    text = (staged.root/'posts/net.ipynb').read_text()
    assert 'UserWarning: careful' in text and 'ipython-input' not in text
