"Claims: every spelling of a number, every kind of disagreement, every place where no claim may stand."
import dataclasses, json
from pathlib import Path
import pytest
from kata_blog.core import KataError
from kata_blog.press.claims import Rewrite, bind, check_claims, claims_in, disagreement, find_claims, loose_numbers, prose_only, read_number, respelled, rewrite, rewrites
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
    ('[93 %]{claim=accuracy tolerance=1}', "unknown attribute 'tolerance'"), ('[93 %]{clame=accuracy}', "did you mean 'claim'"), ('[93 %] {claim=accuracy}', 'stands alone'), ('93 %{claim=accuracy}', 'stands alone'),
    ('[1e999]{claim=accuracy}', 'no number that can be checked'), ('[1e-400]{claim=accuracy}', 'no number that can be checked'), (f'[1e{"9" * 5000}]{{claim=accuracy}}', 'unknown unit'), (f'[{"9" * 400}]{{claim=accuracy}}', 'no number that can be checked'),
    (f'[0.{"0" * 400}1]{{claim=accuracy}}', 'no number that can be checked'), ('[93 %]{claim=accuracy tol=1e999}', 'is no tolerance'), ('[93 %]{claim=accuracy claim=baseline}', 'claim= stands there 2 times'),
    ('[93 %]{claim=accuracy tol=1 tol=9}', 'tol= stands there 2 times'), ('[93 %]{claim=__class__}', 'no name of a recorded number'), ('[\u0669\u0663 %]{claim=accuracy}', 'is no number'), ('\\[93 %\\]{claim=accuracy}', 'unknown unit')])
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

@pytest.mark.parametrize('metric', ['0.93', 0.93, None, [], {}, {'value': '0.93'}, {'value': None}, {'value': True}, {'value': float('nan')}, {'value': float('inf')}, {'value': 10**400}, {'value': 1, 'sd': 'small'}])
def test_a_record_that_holds_no_number_is_named(metric):
    records = {'net': [RECORD | {'metrics': {'a': metric}}]}
    assert 'the record of net holds a as' in disagreement(claims_in('[93 %]{claim=a}')[0], 'net', records)

@pytest.mark.parametrize('metrics', [[1], 'many', 3])
def test_metrics_that_are_no_table_are_named(metrics): assert 'holds its metrics as' in disagreement(claims_in('[1]{claim=a}')[0], 'net', {'net': [RECORD | {'metrics': metrics}]})

def test_what_is_beyond_every_number_agrees_with_nothing():
    records = {'net': [RECORD | {'metrics': {'big': {'value': 1e300}, 'little': {'value': 1e-300}}}]}
    assert 'is beyond every number' in disagreement(claims_in('[1]{claim=big/little}')[0], 'net', records)

def test_loose_numbers_warn_and_never_fail():
    note = note_of('It has 93.4 % or 0.934, not 93 %.\n\nIn 2026 with 1,024 and `0.934` and [93.4 %]{claim=accuracy}; 3 runs, 10 classes, a share of 0.1, 0.93412.')
    found = loose_numbers(note, RECORDS)
    assert all(p.warning and str(p).startswith('warning: ') for p in found)
    assert [p.text.split(' which equals ')[0].rsplit(' has ', 1)[1] for p in found] == ['93.4 %,', '0.934,', '93 %,', '1,024,']
    assert loose_numbers(note, {}) == loose_numbers(note, {'net': [FAILED]}) == []

@pytest.mark.parametrize('text', ['', ' ', '%', '1.2.3', '1 2', '12 34', '--3', '1,02', '3 4 s', '1e', '٣', 'NaN', 'inf'])
def test_what_is_no_number_is_refused(text):
    with pytest.raises(KataError): read_number(text)

NAMED = RECORD | dict(metrics={'test_accuracy': {'value': 0.9341}, 'worst_class_accuracy': {'value': 0.71}, 'train_s': {'value': 41.26}, 'seconds': {'value': 3.5}, 'ece': {'value': 0.0413}, 'peak_mb': {'value': 812}, 'params': {'value': 1_234_567}, 'loss': {'value': 0.25}, 'perplexity': {'value': 31.7}})

@pytest.mark.parametrize('text,number,name', [
    ('The accuracy was 87 % before.', '87 %', 'test_accuracy'), ('A test accuracy of 0.87 is poor.', '0.87', 'test_accuracy'), ('Its Accuracy is 87.5 percent.', '87.5 percent', 'test_accuracy'), ('An accuracy of 87.5 is meant.', '87.5', 'test_accuracy'),
    ('In its worst class the accuracy is 60 %.', '60 %', 'worst_class_accuracy'), ('Training took 5 min.', '5 min', 'train_s'), ('It needs 12 seconds.', '12 seconds', 'seconds'), ('It trains for 38 s, or 40 s.', '38 s', 'train_s'),
    ('The expected calibration error fell to 0.09.', '0.09', 'ece'), ('An ECE of 9 % is much.', '9 %', 'ece'), ('At its peak it holds 2 GB.', '2 GB', 'peak_mb'), ('It has 3.1 M params.', '3.1 M', 'params'), ('It has 9,000 parameters (params).', '9,000', 'params'),
    ('A perplexity of 35.2 is high.', '35.2', 'perplexity'), ('* the loss is 0.31\n* and 3', '0.31', 'loss'), ('| accuracy | 80 % |', '80 %', 'test_accuracy'), ('accuracy\nof 80\u00a0%', '80\u00a0%', 'test_accuracy')])
def test_a_number_in_a_sentence_that_names_a_metric_is_a_warning(text, number, name):
    first, *_ = loose_numbers(note_of(text), {'net': [NAMED]})
    assert first.warning and f'has {number}, and names {name}; bind it: [{number}]{{claim={name}}}' in first.text and '01_net.ipynb, cell 2, line' in first.where

@pytest.mark.parametrize('text', [
    'Four seconds make an array of 64 x 640.', 'Its accuracy rests on 10 classes of 6,000 pictures.', 'The accuracy of 2018 was lower.', 'Accuracy with torch 2.13 and Python 3.11.', 'He reports an accuracy of [95 %](https://arxiv.org/abs/1).', 'An accuracy of 95 % [@he2016].',
    'An accuracy of 95 % was found by @he2016.', 'The accuracy is [93.4 %]{claim=test_accuracy}.', 'The accuracy. It was 87 % sure.', 'An accuracy of `0.87`.', 'Accuracy $= 0.87$ and $$0.87$$', 'A window of 2 s is cut.', 'Training needs 3 x 3 filters at 10 Hz.',
    'The eccentric 9 % of them.', 'The loss in equation 3, fig. 2, section 1.2.', 'The accuracy (see [1] and [2]).', '```\naccuracy 87 %\n```', 'A perplexity of some 40 % more.', 'In accuracy, 1 in 200 is wrong.'])
def test_what_only_looks_like_a_metric_is_silent(text):
    assert loose_numbers(note_of(text), {'net': [NAMED]}) == []

def test_outside_of_posts_the_metrics_of_all_posts_are_named_with_their_post():
    text = 'Its accuracy was 80 %. The record holds 0.9341.'
    found, = loose_numbers(note_of(text, 'nbs/about.md'), {'net': [RECORD], 'bert': [CPU]})
    assert '{claim=net.accuracy}' in found.text and '80 %' in found.text  # an equal number alone says little where it may be any post's

def test_in_a_heading_no_number_of_a_run_is_to_be_bound():
    found, = loose_numbers(note_of('## An accuracy of 87 %'), RECORDS)
    assert 'a heading holds no number of a run' in found.text and 'bind it' not in found.text

# writing numbers anew

@pytest.mark.parametrize('text,value,new', [
    ('93.4 %', 95.21, '95.2 %'), ('93.4%', 9.96, '10.0%'), ('93 %', 95.5, '96 %'), ('0.934', .9, '0.900'), ('**93.4 %**', 95.21, '**95.2 %**'), ('93.4\n%', 95.21, '95.2\n%'), ('93.4\u00a0%', 95.21, '95.2\u00a0%'),
    ('1,024', 812, '812'), ('1,024', 20480.4, '20,480'), ('1\u2009024', 2_000_000, '2\u2009000\u2009000'), ("1'024", 2048, "2'048"), ('1 024.5', 2048, '2 048.0'), ('812', 1024, '1024'), ('1.2 M', .95, '0.9 M'), ('1.2 M', 1.25, '1.2 M'),
    ('\u22123.1 times', -2.04, '\u22122.0 times'), ('\u22123.1 times', 2.04, '2.0 times'), ('-3.1', -4, '-4.0'), ('- 3.1', 4, '4.0'), ('- 3.1', -4, '- 4.0'), ('3.1', -4, '\u22124.0'), ('+3.1', 4, '+4.0'), ('+3.1', -4, '\u22124.0'), ('0.1', -.01, '0.0'), ('-0.1', -.01, '0.0'),
    ('\u00b1 0.2 %', .31, '\u00b1 0.3 %'), ('+/-0.2 %', .31, '+/-0.3 %'), ('\u00b10.2', .31, '\u00b10.3'), ('2.5e-4', 1.26e-5, '1.3e-5'), ('2.5E\u22124', 1.26e-5, '1.3E\u22125'), ('2.5e-04', 1.26e-5, '1.3e-05'), ('2.5e4', 1.26e-5, '1.3e-5'), ('2e+4', 3.1e5, '3e+5'), ('2e-4', 3.1e5, '3e5')])
def test_a_number_is_written_anew_in_its_own_manner(text, value, new): assert respelled(text, value) == new

@pytest.mark.parametrize('text,new', [
    ('It has [90.0 %]{claim=accuracy}.', 'It has [93.4 %]{claim=accuracy}.'), ('[0.1 M]{claim=params}', '[1.2 M]{claim=params}'), ('[1,000,000]{claim=params}', '[1,234,567]{claim=params}'), ('[+3.10 %]{claim=gain}', '[\u22123.12 %]{claim=gain}'), ('[1 min]{claim=run.seconds tol=.1}', '[1 min]{claim=run.seconds tol=.1}'),
    ('[30.0 s]{claim=run.seconds tol=2} and [3]{claim=accuracy.n}', '[41.3 s]{claim=run.seconds tol=2} and [3]{claim=accuracy.n}'), ('[800]{claim=run.peak_memory_mb}', '[16700]{claim=run.peak_memory_mb}'), ('[8 times]{claim=accuracy/baseline}', '[9 times]{claim=accuracy/baseline}'),
    ('[99 %]{claim=accuracy profile=cpu} [99 %]{claim=bert.accuracy}', '[87 %]{claim=accuracy profile=cpu} [87 %]{claim=bert.accuracy}'), ('[\u00b1 0.9 %]{claim=accuracy.sd}', '[\u00b1 0.2 %]{claim=accuracy.sd}'), ('`[1]{claim=zero}` [1]{claim=zero}', '`[1]{claim=zero}` [0]{claim=zero}')])
def test_what_is_offered_agrees_and_changes_only_the_number(tmp_path, text, new):
    path = tmp_path/'01_net.md'
    path.write_text(text)
    note = read_note(path)
    rewrite(note, rewrites(note, RECORDS))
    assert path.read_text() == new
    assert [p for p in check_claims(read_note(path), RECORDS) if 'tol=.1' not in text] == []

@pytest.mark.parametrize('text', ['[93.4 %]{claim=accuracy}', '[93 %]{claim=acuracy}', '[93 %]{claim=new.accuracy}', '[ninety]{claim=accuracy}', '[41 GB]{claim=run.seconds}', '# [90 %]{claim=accuracy}', '[90 %]{claim=accuracy tol=0}', '[1.0 M]{claim=size}', '[93 %] {claim=accuracy}', '[1]{claim=accuracy/zero}', '`[90 %]{claim=accuracy}`'])
def test_what_agrees_or_cannot_be_mended_by_a_number_is_not_offered(text): assert rewrites(note_of(text), RECORDS) == []

def test_an_offer_shows_both_sentences_and_names_the_posts():
    found, = rewrites(note_of('Before. It reaches\n[90.0 %]{claim=accuracy} or [6 %]{claim=bert.accuracy/accuracy tol=99}. After.'), RECORDS)
    assert found == Rewrite('accuracy', ('net',), 2, 2, 20, '90.0 %', '93.4 %', 'It reaches 90.0 % or 6 %.', 'It reaches 93.4 % or 6 %.')
    assert rewrites(note_of('[1]{claim=bert.accuracy/accuracy}', 'nbs/posts/01_net.ipynb'), RECORDS | {'net': [RECORD | {'metrics': {'accuracy': {'value': .1}}}]})[0].posts == ('bert', 'net')

LAYOUTS = {'as nbdev': dict(indent=1, sort_keys=True, ensure_ascii=False), 'one line': dict(separators=(',', ':')), 'wide': dict(indent=4), 'spaced': dict(separators=(' , ', ' :  '))}

@pytest.mark.parametrize('layout', LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize('as_lines', [True, False])
@pytest.mark.parametrize('end', ['', '\n', '\r\n\r\n'])
def test_every_other_byte_of_a_notebook_stays(tmp_path, layout, as_lines, end):
    text = '# A \U0001f9e0 "b" \\ \t\u2028\n\n> one\n\n\U0001f9e0 has [90.0\u00a0%]{claim=accuracy} and [\u22127\u00a0%]{claim=gain},\nor [1,000]{claim=params}.\n'
    source = text.splitlines(True) if as_lines else text
    cells = [dict(cell_type='code', source='x = "[90.0 %]{claim=accuracy}"', outputs=[dict(output_type='stream', name='stdout', text=['[90.0 %]{claim=accuracy}\r\n', '{"cells": [}'])], id='a', metadata={}),
             dict(cell_type='markdown', id='b', metadata={'source': ['no']}, source=source), dict(cell_type='markdown', source='[2]{claim=accuracy.n}', metadata={}, id='c')]
    def write(path, **changes): path.write_bytes((json.dumps(dict(nbformat=4, metadata={'cells': []}, cells=cells), **layout) + end).encode())
    path = tmp_path/'01_net.ipynb'
    write(path)
    note = read_note(path)
    rewrite(note, rewrites(note, RECORDS))
    cells[1]['source'] = [s.replace('90.0', '93.4').replace('\u22127', '\u22123').replace('1,000', '1,234,567') for s in source] if as_lines else text.replace('90.0', '93.4').replace('\u22127', '\u22123').replace('1,000', '1,234,567')
    cells[2]['source'] = '[3]{claim=accuracy.n}'
    have = path.read_bytes()
    write(path)
    assert have == path.read_bytes()

def test_every_other_byte_of_a_markdown_file_stays(tmp_path):
    path = tmp_path/'about.md'
    path.write_bytes('---\r\ntitle: \\n A\r\n---\r\n\r\n\\alpha \U0001f9e0 It has\r\n[90.0 %]{claim=net.accuracy}\\\nor\r[1]{claim=net.accuracy.n}.'.encode())
    before = path.read_bytes()
    note = read_note(path)
    rewrite(note, rewrites(note, RECORDS))
    assert path.read_bytes() == before.replace(b'90.0', b'93.4').replace(b'[1]', b'[3]')

def test_a_file_that_changed_meanwhile_is_not_written(tmp_path):
    path = tmp_path/'01_net.md'
    path.write_text('It has [90.0 %]{claim=accuracy}.')
    note = read_note(path)
    path.write_text('It has [90.0 %]{claim=accuracy}, they say.')
    with pytest.raises(KataError, match='changed meanwhile'): rewrite(note, rewrites(note, RECORDS))
    assert path.read_text() == 'It has [90.0 %]{claim=accuracy}, they say.' and [p.name for p in tmp_path.iterdir()] == ['01_net.md']

def test_only_what_is_wanted_is_written(tmp_path):
    path = tmp_path/'01_net.md'
    path.write_text('[90.0 %]{claim=accuracy} [1]{claim=accuracy.n}')
    path.chmod(0o640)
    note = read_note(path)
    rewrite(note, rewrites(note, RECORDS)[1:])
    assert path.read_text() == '[90.0 %]{claim=accuracy} [3]{claim=accuracy.n}' and path.stat().st_mode & 0o777 == 0o640
