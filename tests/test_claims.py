"Claims: every spelling of a number, every kind of disagreement, every place where no claim may stand."
import json
from pathlib import Path
import pytest
from kata_blog.core import KataError
from kata_blog.press.claims import bind, check_claims, claims_in, disagreement, find_claims, loose_numbers, prose_only, read_number
from kata_blog.press.note import Cell, Note, read_note

RECORD = dict(profile='full', ended='passed', seconds=41.26, peak_memory_mb=16700.0, metrics={
    'accuracy': {'value': 0.9341, 'n': 3, 'sd': 0.0021}, 'baseline': {'value': 0.1}, 'params': {'value': 1_234_567},
    'gain': {'value': -0.0312}, 'latency_ms': {'value': 12.34}, 'loss': {'value': 2.5e-4}, 'zero': {'value': 0}, 'train_s': {'value': 41.26}, 'size': {'value': 1024}})
CPU = RECORD | dict(profile='cpu', metrics={'accuracy': {'value': 0.871}})
FAILED = RECORD | dict(ended='failed', metrics={'accuracy': {'value': 0.5}})
RECORDS = {'net': [FAILED, CPU, RECORD], 'bert': [CPU], 'new': []}

def said(text): return disagreement(claims_in(text)[0], 'net', RECORDS)
def note_of(text, path='nbs/posts/01_net.ipynb', **front): return Note(Path(path), front, [Cell('markdown', text, 2)])

@pytest.mark.parametrize('text', [
    '[93.4 %]{claim=accuracy}', '[93.4%]{claim=accuracy}', '[93.4\u00a0%]{claim=accuracy}', '[93.4\u2009%]{claim=accuracy}', '[**93.4 %**]{claim=accuracy}', '[93.4\n%]{claim=accuracy}',
    '[93 %]{claim=accuracy}', '[0.934]{claim=accuracy}', '[0.9341]{.big claim="accuracy"}', '[93.41 percent]{claim=accuracy}', '[9.341e-1]{claim=accuracy}',
    '[1.2 M]{claim=params}', '[1.23 million]{claim=params}', '[1,234,567]{claim=params}', '[1\u2009234\u2009567]{claim=params}', '[1235 k]{claim=params}', '[1 234 567]{claim=params}',
    '[\u22123.1 %]{claim=gain}', '[-3.12 points]{claim=gain}', '[\u22120.03]{claim=gain}', '[12 ms]{claim=latency_ms}', '[12.3]{claim=latency_ms}', '[0.0123 s]{claim=latency_ms}',
    '[2.5e-4]{claim=loss}', '[2.5e\u22124]{claim=loss}', '[41 s]{claim=run.seconds}', '[0.7 min]{claim=run.seconds}', '[41.3]{claim=run.seconds}', '[41.3 s]{claim=train_s}',
    '[16.7 GB]{claim=run.peak_memory_mb}', '[15.6 GiB]{claim=run.peak_memory_mb}', '[3]{claim=accuracy.n}', '[0.2 %]{claim=accuracy.sd}', '[\u00b1 0.2 %]{claim=accuracy.sd}',
    '[9.3 times]{claim=accuracy/baseline}', '[9.3\u00d7]{claim=accuracy/baseline}', '[9.34]{claim=accuracy/baseline}', '[83.4 percentage points]{claim=accuracy-baseline}',
    '[6.3 %]{claim=accuracy-bert.accuracy}', '[1.00]{claim=bert.run.seconds/run.seconds}', '[87.1 %]{claim=accuracy profile=cpu}', '[87 %]{claim=bert.accuracy}',
    '[45 s]{claim=run.seconds tol=4}', '[95 %]{claim=accuracy tol=1.6}', '[0]{claim=zero}', '[1.0 k]{claim=size}'])
def test_a_number_that_agrees_is_silent(text): assert said(text) == ''

@pytest.mark.parametrize('text,part', [
    ('[93.5 %]{claim=accuracy}', 'written is 93.5 %, the record says 93.41 %'), ('[93.40 %]{claim=accuracy}', 'the record says 93.410 %'), ('[934]{claim=accuracy}', 'the record says 0.9'),
    ('[3.1 %]{claim=gain}', 'the record says -3.12 %'), ('[1.3 M]{claim=params}', 'the record says 1.23 M'), ('[1,000]{claim=size}', 'the record says 1024'),
    ('[42 s]{claim=run.seconds}', 'the record says 41.3 s'), ('[45 s]{claim=run.seconds tol=3}', 'the record says 41.3 s'), ('[96 %]{claim=accuracy tol=1}', 'the record says 93.4 %'), ('[41 min]{claim=run.seconds}', 'the record says 0.7 min'),
    ('[41 GB]{claim=run.seconds}', 'is a memory, but the record holds a time'), ('[12 ms]{claim=loss}', 'is a time, but the record holds a plain number'),
    ('[41 %]{claim=run.seconds}', 'is a plain number, but the record holds a time'), ('[4]{claim=accuracy.n}', 'the record says 3.0'),
    ('[93 %]{claim=acuracy}', "unknown metric 'acuracy'; did you mean 'accuracy'"), ('[93 %]{claim=brt.accuracy}', "unknown post 'brt'; did you mean 'bert'"),
    ('[93 %]{claim=new.accuracy}', 'new has no passed record; run it: kata run new'), ('[93 %]{claim=accuracy profile=smoke}', 'no passed record of the profile smoke'),
    ('[93 %]{claim=bert.accuracy profile=full}', 'bert has no passed record of the profile full'), ('[1 %]{claim=bert.accuracy.sd}', 'no sd for accuracy'),
    ('[1 s]{claim=run.second}', "did you mean 'seconds'"), ('[1]{claim=accuracy/zero}', 'lower number of the ratio is 0'), ('[1]{claim=accuracy/run.seconds}', 'neither ratio nor difference'),
    ('[1]{claim=a/b/c}', 'no name of a recorded number'), ('[1]{claim=run.seconds.sd}', 'names no recorded number'), ('[ninety]{claim=accuracy}', 'is no number'), ('[]{claim=accuracy}', 'is no number'),
    ('[93,4 %]{claim=accuracy}', 'is no number'), ('[3 seeds]{claim=accuracy.n}', "unknown unit 'seeds'"), ('[93 %]{claim=accuracy tol=-1}', 'is no tolerance'), ('[93 %]{claim=accuracy tol=nan}', 'is no tolerance'),
    ('[93 %]{claim=accuracy tolerance=1}', "unknown attribute 'tolerance'"), ('[93 %]{clame=accuracy}', "did you mean 'claim'"), ('[93 %] {claim=accuracy}', 'stands alone'), ('93 %{claim=accuracy}', 'stands alone')])
def test_a_number_that_disagrees_says_why(text, part): assert part in said(text)

def test_half_a_unit_of_the_last_place_is_the_border():
    def at(value): return disagreement(claims_in('[93.4 %]{claim=a}')[0], 'p', {'p': [dict(profile='cpu', ended='passed', metrics={'a': {'value': value}})]})
    assert [bool(at(v)) for v in (0.93349, 0.9335, 0.934, 0.9345, 0.93451)] == [True, False, False, False, True]

@pytest.mark.parametrize('text', [
    '`[1]{claim=a}`', '``a ` [1]{claim=a}``', '```\n[1]{claim=a}\n```', '~~~ python\n[1]{claim=a}\n~~~', '  ```\n[1]{claim=a}\n  ```', '````\n```\n[1]{claim=a}\n````', '```\n[1]{claim=a}',
    '<!-- [1]{claim=a} -->', '[a link](x.html){.button}', '[small]{.smallcaps}', '![alt](x.png){width=50%}', '[1] and {width=3}', '[text]{class=a}'])
def test_what_is_no_claim_is_left_alone(text):
    assert claims_in(text) == [] and bind(text, note_of(text), RECORDS) == text

def test_prose_after_code_is_still_prose():
    text = '```\ncode\n```\nand [93 %]{claim=accuracy}, `x` then [3]{claim=accuracy.n}'
    assert [(c.name, c.line) for c in claims_in(text)] == [('accuracy', 4), ('accuracy.n', 4)]
    assert len(prose_only(text)) == len(text)

@pytest.mark.parametrize('text,place', [
    ('# Net\n\n> It has [93 %]{claim=accuracy}.', 'the `>` line'), ('# Net [93 %]{claim=accuracy}', 'a heading'), ('text\n\n### A [93 %]{claim=accuracy} b', 'a heading'), ('We reach [93 %]{claim=accuracy}\n---', 'a heading')])
def test_no_claim_where_no_number_may_stand(text, place):
    problem, = check_claims(note_of(text), RECORDS)
    assert f'a claim in {place}' in str(problem)
    assert '.claim title' not in bind(text, note_of(text), RECORDS)

def test_a_quotation_in_the_text_may_hold_a_claim():
    assert check_claims(note_of('# Net\n\n> One line.\n\nText.\n\n> Note: [93 %]{claim=accuracy}'), RECORDS) == []

def test_front_matter_and_captions_hold_no_claims(tmp_path):
    path = tmp_path/'01_net.ipynb'
    cells = [dict(cell_type='raw', source='---\ntitle: Net\ndescription: "has [93 %]{claim=accuracy}"\n---', metadata={}),
             dict(cell_type='code', source='#| fig-cap: "at [93 %]{claim=accuracy}"\nplot()', metadata={}, outputs=[])]
    path.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)))
    texts = [str(p) for p in check_claims(read_note(path), RECORDS)]
    assert len(texts) == 2 and 'cell 1, line 1' in texts[0] and 'front matter' in texts[0] and 'cell 2' in texts[1] and 'a directive' in texts[1]

def test_a_problem_shows_file_cell_line_sentence_written_and_recorded():
    note = note_of('First one. It took a while,\nbut reaches [95.0 %]{claim=accuracy} in the end! Then more.')
    problem, = check_claims(note, RECORDS)
    for part in ('01_net.ipynb, cell 2, line 2', '"It took a while, but reaches 95.0 % in the end!"', 'written is 95.0 %', 'says 93.410 %'[:-3], 'n 3', 'sd 0.0021', '(full)'): assert part in str(problem), part

def test_the_line_in_a_markdown_file_counts_the_front_matter(tmp_path):
    path = tmp_path/'about.md'
    path.write_text('---\ntitle: About\n---\n\nIt has\n[95 %]{claim=net.accuracy}.\n')
    assert ', line 6:' in str(check_claims(read_note(path), RECORDS)[0])

@pytest.mark.parametrize('text,sentence', [
    ('- one\n- has [95 %]{claim=accuracy} here\n- three', 'has 95 % here'), ('| a | b |\n|---|---|\n| net | [95 %]{claim=accuracy} |\n', 'net | 95 %'),
    ('Para one.\n\nTwo [95 %]{claim=accuracy}.\n\nThree.', 'Two 95 %.'), ('Is 0.5 more? [95 %]{claim=accuracy} is. End.', '95 % is.')])
def test_the_sentence_is_cut_as_a_reader_sees_it(text, sentence): assert claims_in(text)[0].sentence == sentence

def test_binding_links_to_the_box_of_the_right_page():
    text = '[93.4 %]{claim=accuracy}, [87 %]{claim=bert.accuracy}, [6 %]{claim=accuracy-bert.accuracy}, [6 %]{claim=bert.accuracy-accuracy}, [5]{claim=nothing}'
    own, other, both, turned, none = bind(text, note_of(text), RECORDS).split(', [')
    assert own == '[93.4 %](#how-this-was-run){.claim title="accuracy 0.9341, n 3, sd 0.0021 (full)"}'
    assert other.startswith('87 %](bert.html#how-this-was-run)') and both.startswith('6 %](#how-this-was-run)') and turned.startswith('6 %](#how-this-was-run)') and none == '5]{.claim .unbound}'
    assert '](posts/net.html#how-this-was-run)' in bind('[93.4 %]{claim=net.accuracy}', note_of('', 'nbs/syllabus.md'), RECORDS)
    assert '](../posts/net.html#' in bind('[93.4 %]{claim=net.accuracy}', note_of('', 'nbs/press/01_run.ipynb'), RECORDS)

def test_loose_numbers_warn_and_never_fail():
    note = note_of('It has 93.4 % or 0.934, not 93 %.\n\nIn 2026 with 1,024 and `0.934` and [93.4 %]{claim=accuracy}; 3 runs, 10 classes, a share of 0.1, 0.93412.')
    found = loose_numbers(note, RECORD)
    assert all(p.warning and str(p).startswith('warning: ') for p in found)
    assert [p.text.split(' which equals ')[0].rsplit(' has ', 1)[1] for p in found] == ['93.4 %,', '0.934,', '93 %,', '1,024,']

@pytest.mark.parametrize('text', ['', ' ', '%', '1.2.3', '1 2', '12 34', '--3', '1,02', '3 4 s', '1e', '٣', 'NaN', 'inf'])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(KataError): read_number(text)
