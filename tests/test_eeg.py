"What the post on EEG exports: files of five formats, faults that are named, trials, splits, filters, spectra, decoders."
import subprocess, sys, warnings
from dataclasses import replace
from functools import partial
from pathlib import Path

import mne
import numpy as np
import pytest
import scipy.signal
import torch

from kata_blog.core import DataError, KataError, ShapeError
from kata_blog import eeg
from kata_blog.eeg import (TASKS, Config, Trials, bandpass, check_split, cut_trials, decode, draw_scalp, draw_traces, erd, find_faults, find_positions, find_run, fit_csp,
    fit_pictures, join_trials, laplacian, load_trials, make_pictures, make_recording, open_recording, read_example, read_run, spectrogram, spectrum, split_runs,
    split_subjects, summarise, train_pictures)

FEET = {'T1': 'fists', 'T2': 'feet'}

@pytest.fixture(autouse=True)
def own_runs(monkeypatch, tmp_path): monkeypatch.setenv('KATA_RUN_DIR', str(tmp_path/'run'))

def recording(run=5, **kw): return make_recording(1, run, **{'seconds': 42., **kw})

@pytest.fixture(scope='module')
def trials():
    cut = lambda run: cut_trials(make_recording(1, run, seconds=67), FEET, -1, 4, run=run, subject=1)
    return join_trials(map(cut, (5, 9, 13)))

# --- files

def write(raw, path):
    "A recording as a file of the format that its ending names; BDF, which nothing at hand writes, by hand."
    kind = path.suffix
    if kind == '.fif': raw.save(path, verbose='error')
    elif kind == '.bdf': path.write_bytes(bdf(raw))
    else: mne.export.export_raw(path, raw, verbose='error')
    return path

def bdf(raw):
    "Bytes of a BDF+ file: one record a second, 24-bit samples, and events in the annotation channel."
    rate, n, seconds, room = int(raw.info['sfreq']), len(raw.ch_names), int(raw.n_times//raw.info['sfreq']), 64
    field = lambda value, width: str(value).ljust(width).encode()[:width]
    each = lambda values, width: b''.join(field(v, width) for v in values)
    head = b'\xffBIOSEMI' + field('X X X X', 80) + field('Startdate X X X X', 80) + b'01.01.2600.00.00' + field(256*(n + 2), 8) + field('BDF+C', 44) + field(seconds, 8) + field(1, 8) + field(n + 1, 4)
    head += each([*raw.ch_names, 'BDF Annotations'], 16) + each(['']*(n + 1), 80) + each(['uV']*n + [''], 8) + each([-8388]*n + [-1], 8) + each([8388]*n + [1], 8)
    head += each([-8388608]*(n + 1), 8) + each([8388607]*(n + 1), 8) + each(['']*(n + 1), 80) + each([rate]*n + [room], 8) + each(['']*(n + 1), 32)
    x = np.clip(np.round(1e6*raw.get_data()*1000 + 0.0), -8388608, 8388607).astype('<i4')  # a bit is nearly a thousandth of a microvolt
    body, todo = b'', list(zip(raw.annotations.onset, raw.annotations.duration, raw.annotations.description))
    for s in range(seconds):
        body += x[:, s*rate:(s + 1)*rate, None].view('u1').reshape(n, rate, 4)[:, :, :3].tobytes()
        notes = f'+{s}\x14\x14\x00' + ''.join(f'+{o:g}\x15{d:g}\x14{t}\x14\x00' for o, d, t in todo if s <= o < s + 1)
        body += notes.encode().ljust(3*room, b'\x00')
    return head + body

FORMATS = ('.edf', '.bdf', '.set', '.fif', '.vhdr')

def named(folder, suffix): return folder/('S007R05_raw.fif' if suffix == '.fif' else f'S007R05{suffix}')

@pytest.mark.parametrize('suffix', FORMATS)
def test_five_formats_are_read_alike(tmp_path, suffix):
    raw = recording()
    path = write(raw, named(tmp_path, suffix))
    row, = summarise(path)
    assert (row['subject'], row['run'], row['channels'], row['rate'], row['seconds']) == ('007', 5, 'eeg 64', 160., 42.)
    assert row['events'].replace('Comment/', '') == 'T0 4, T1 2, T2 2' # BrainVision sorts its marks into kinds
    assert row['flat'] == row['nan'] == row['bad'] == [] and row['missing_s'] == 0 and row['doubt'] == ''
    again = open_recording(path)
    np.testing.assert_allclose(1e6*again.get_data(raw.ch_names), 1e6*raw.get_data(), atol=0.15, rtol=2e-3)
    np.testing.assert_allclose(again.annotations.onset, raw.annotations.onset, atol=1/160)

@pytest.mark.parametrize('suffix', FORMATS)
def test_a_cut_file_is_named(tmp_path, suffix):
    path = write(recording(), named(tmp_path, suffix))
    body = path.with_suffix('.eeg') if suffix == '.vhdr' else path
    body.write_bytes(body.read_bytes()[:-9_001])
    with pytest.raises(DataError, match=rf'{path.name}.*(cut off|damaged).*anew'): open_recording(path)

def test_a_file_cut_on_a_whole_sample_is_named(tmp_path):
    path = write(recording(), tmp_path/'a.vhdr')
    body = path.with_suffix('.eeg')
    body.write_bytes(body.read_bytes()[:len(body.read_bytes())//2//(64*4)*(64*4)])
    with pytest.raises(DataError, match='a.vhdr is cut off'): open_recording(path)

def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(DataError, match='nowhere.edf does not exist'): open_recording(tmp_path/'nowhere.edf')
    for name in ('text.edf', 'text.bdf', 'text.set', 'text_raw.fif', 'text.vhdr', 'text.xyz'):
        (tmp_path/name).write_text('no recording')
        with pytest.raises(DataError, match=f'{name} cannot be read'): open_recording(tmp_path/name)

def test_a_summary_of_several_people(tmp_path):
    files = [write(make_recording(s, r, seconds=21), tmp_path/f'sub-{s:02}_task-motor_run-{r}_raw.fif') for s in (1, 2) for r in (1, 5)]
    assert [(r['subject'], r['run']) for r in summarise(files)] == [('01', 1), ('01', 5), ('02', 1), ('02', 5)]

def test_bad_stretches_and_marked_channels_are_summed_up(tmp_path):
    raw = recording()
    raw.info['bads'] = ['C3']
    raw.annotations.append([5, 12], [2, 3], ['BAD_jump', 'bad blink'])
    row, = summarise(write(raw, tmp_path/'x_raw.fif'))
    assert row['bad'] == ['C3'] and row['bad_s'] == pytest.approx(5) and 'BAD' not in row['events'] and row['subject'] == '' and row['run'] is None

# --- faults

def damaged(**kw):
    raw = recording()
    for name, value in kw.items():
        i = raw.ch_names.index(name)
        if value == 'flat': raw._data[i] = 1e-5
        elif value == 'nan': raw._data[i, 500] = np.nan
    return raw

def test_faults_are_found():
    faults = find_faults(damaged(C3='flat', Oz='nan'))
    assert faults['flat'] == ['C3'] and faults['nan'] == ['Oz'] and faults['missing_s'] == 0

@pytest.mark.parametrize('start, stop, fill', [(0, 320, 0.), (29*160 + 7, 32*160, 0.), (6000, 6720, np.nan), (100, 170, 0.)])
def test_missing_stretches_are_measured(start, stop, fill):
    raw = recording()
    raw._data[:, start:stop] = fill
    seconds = (stop - start)/160
    assert find_faults(raw)['missing_s'] == pytest.approx(seconds if seconds > 0.5 else 0, abs=2/160)

@pytest.mark.parametrize('fault', ['flat', 'nan'])
def test_trials_with_a_faulty_channel_are_refused(fault):
    with pytest.raises(DataError, match=r"C3.*interpolate_bads"): cut_trials(damaged(C3=fault), FEET)

def test_a_marked_channel_is_not_dropped_in_silence():
    raw = recording()
    raw.info['bads'] = ['Cz']
    with pytest.raises(DataError, match=r"\['Cz'\] are marked bad.*drop_channels"): cut_trials(raw, FEET)

@pytest.mark.parametrize('factor', [1e6, 1e3*300, 1e-6])
def test_a_mistaken_unit_is_named(factor):
    raw = recording()
    raw._data *= factor
    with pytest.raises(DataError, match='microvolts is no EEG in volts'): cut_trials(raw, FEET)

def test_no_events_are_named():
    raw = recording().set_annotations(None)
    with pytest.raises(DataError, match='no events.*find_events'): cut_trials(raw, FEET)
    with pytest.raises(DataError, match="unknown event 'T3'"): cut_trials(recording(), {'T3': 'fists'})

def test_a_recording_without_eeg_channels_is_named():
    raw = recording().set_channel_types(dict.fromkeys(recording().ch_names, 'misc'), verbose='error')
    with pytest.raises(DataError, match='set_channel_types'): find_faults(raw)

@pytest.mark.parametrize('tmin, tmax', [(0, 640), (-160, 640), (4, 0), (0, 0)])
def test_samples_where_seconds_were_meant(tmin, tmax):
    with pytest.raises(ShapeError, match='give seconds'): cut_trials(recording(), FEET, tmin, tmax)

def test_samples_where_seconds_were_meant_elsewhere(trials):
    with pytest.raises(ShapeError, match='in seconds'): spectrum(trials.x, 160., window_s=320)
    with pytest.raises(ShapeError, match='in seconds'): spectrogram(trials.x, 160., window_s=1, step_s=0.001)
    with pytest.raises(ShapeError, match='seconds from the cue'): trials.crop(0, 640)
    import matplotlib.pyplot as plt
    with pytest.raises(ShapeError, match='not samples'): draw_traces(plt.figure().subplots(), recording(), ['C3'], 0, 1600)
    with pytest.raises(DataError, match="did you mean 'C3'"): draw_traces(plt.figure().subplots(), recording(), ['C33'], 0, 4)

def test_lost_trials_are_counted_not_dropped():
    raw = recording()
    with pytest.raises(DataError, match='1 of 4 trials.*TOO_SHORT.*drop=True'): cut_trials(raw, FEET, 0, 14)
    assert len(cut_trials(raw, FEET, 0, 14, drop=True)) == 3
    raw.annotations.append(raw.annotations.onset[1] + 1, 1, 'BAD_jump')
    with pytest.raises(DataError, match='1 of 4 trials'): cut_trials(raw, FEET)

@pytest.mark.parametrize('change, word', [(dict(rate=128.), 'rate'), (dict(tmin=0.), 'tmin'), (dict(classes=('left', 'right')), 'classes'), (dict(channels=('A',)*64), 'channels')])
def test_recordings_that_differ_are_not_joined(trials, change, word):
    with pytest.raises(ShapeError, match=f'{word} is.*resample'): join_trials([trials, replace(trials, **change)])

def test_another_rate_is_kept_as_it_is():
    found = cut_trials(recording(rate=128.), FEET, 0, 4)
    assert found.rate == 128 and found.x.shape[2] == 513
    assert make_pictures(found.pick(['C3', 'Cz', 'C4']).x, 128.).shape == (4, 3, 32, 32)

# --- trials

def test_trials_equal_mnes_epochs():
    raw = recording()
    ours = cut_trials(raw, FEET, -1, 4, run=5, subject=1)
    events, ids = mne.events_from_annotations(raw, verbose='error')
    epochs = mne.Epochs(raw, events, {k: ids[k] for k in FEET}, -1, 4, baseline=None, preload=True, verbose='error')
    np.testing.assert_allclose(ours.x.numpy(), 1e6*epochs.get_data(), atol=1e-4)
    assert ours.x.dtype == torch.float32 and [ours.classes[i] for i in ours.y] == [FEET[next(k for k in ids if ids[k] == e)] for e in epochs.events[:, 2]]
    np.testing.assert_allclose(ours.crop(1, 2).x.numpy(), 1e6*epochs.copy().crop(1, 2).get_data(), atol=1e-4)

def test_trials_know_where_they_come_from(trials):
    assert trials.run.unique().tolist() == [5, 9, 13] and trials.subject.unique().tolist() == [1] and len(trials) == len(trials.y) == 21
    some = trials[trials.run == 9]
    assert len(some) == 7 and some.channels == trials.channels
    assert torch.equal(trials.pick(['Cz', 'C3']).x[:, 1], trials.x[:, trials.channels.index('C3')])
    with pytest.raises(DataError, match="did you mean 'C3'"): trials.pick(['C33'])

def test_positions_are_in_the_head():
    at = dict(zip(recording().ch_names, find_positions(recording().info)))
    assert at['C3'][0] < -0.03 < 0.03 < at['C4'][0] and at['Fpz'][1] > at['Oz'][1] + 0.1 and at['Cz'][2] > at['Oz'][2] + 0.05
    assert find_positions(read_example().info).isnan().all()  # nobody knows where they were
    raw = recording().set_montage('colin27_1005')
    np.testing.assert_allclose(find_positions(raw.info), [c['loc'][:3] for c in raw.info['chs']], atol=1e-6)

def test_dots_in_names_do_not_hide_a_place():
    info = mne.create_info(['Fc5.', 'C3..', 'what'], 160., 'eeg')
    assert find_positions(info).isnan().any(1).tolist() == [False, False, True]

# --- splits

def people(trials): return join_trials([trials, replace(trials, x=trials.x + 1, subject=trials.subject + 1), replace(trials, x=trials.x + 2, subject=trials.subject + 2)])

def test_each_run_is_left_out_once(trials):
    found = list(split_runs(trials))
    assert sorted(i for _, test in found for i in test.tolist()) == list(range(len(trials)))
    for train, test in found: assert not {*trials.run[train].tolist()} & {*trials.run[test].tolist()} and len(train) + len(test) == len(trials)

def test_each_person_is_left_out_once(trials):
    many = people(trials)
    assert [many.subject[test].unique().tolist() for _, test in split_subjects(many)] == [[1], [2], [3]]
    with pytest.raises(KataError, match=r'subjects \[1, 2, 3\].*split_subjects'): list(split_runs(many))
    with pytest.raises(KataError, match='two or more'): list(split_subjects(trials))

def test_planted_leaks_are_caught(trials):
    index = torch.arange(len(trials))
    with pytest.raises(KataError, match='trials .* on both sides'): check_split(trials, index[:10], index[9:])
    with pytest.raises(KataError, match='runs .* on both sides'): check_split(trials, index[::2], index[1::2])
    with pytest.raises(KataError, match='subjects .* on both sides'): check_split(trials, index[:7], index[7:], by='subject')
    copied = replace(trials, x=torch.cat([trials.x[-1:], trials.x[1:]]))
    with pytest.raises(KataError, match='1 signals .* other numbers'): list(split_runs(copied))
    twice = join_trials([trials, replace(trials, subject=trials.subject + 1)])  # a person who took part under two numbers
    with pytest.raises(KataError, match=f'{len(trials)} signals'): list(split_subjects(twice))
    with pytest.raises(KataError, match="unknown unit 'runs'"): check_split(trials, index[:7], index[7:], by='runs')

def poisoned(trials, run): return replace(trials, x=torch.where((trials.run == run)[:, None, None], torch.randn_like(trials.x)*1000, trials.x), y=torch.where(trials.run == run, 1 - trials.y, trials.y))

@pytest.mark.parametrize('fit', [fit_csp, partial(fit_pictures, config=Config(widths=(4, 4, 4), epochs=1))])
def test_nothing_of_the_test_reaches_a_decoder(trials, fit):
    three, probe, seen = trials.crop(0, 4).pick(['C3', 'Cz', 'C4']), trials.crop(0, 4).pick(['C3', 'Cz', 'C4']).x[:2], []
    def spy(given):
        torch.manual_seed(0)
        predict = fit(given)
        if 13 not in given.run: seen.append(predict(probe))
        return predict
    decode(spy, three); decode(spy, poisoned(three, 13))
    assert len(seen) == 2 and torch.equal(*seen)

def test_shuffled_answers_cannot_be_decoded(trials):
    narrow, found = trials.crop(0, 4), []
    for seed in range(6):
        order = torch.randperm(len(narrow), generator=torch.Generator().manual_seed(seed))
        shuffled = replace(narrow, y=narrow.y[order])
        found.append((decode(fit_csp, shuffled).argmax(1) == shuffled.y).float().mean().item())
    assert 0.3 < np.mean(found) < 0.7

def test_made_movements_can_be_decoded(trials):
    narrow = replace(trials, x=torch.tensor(bandpass(trials.x, 160., 7, 30), dtype=torch.float32)).crop(0.5, 3.5)
    assert (decode(fit_csp, narrow).argmax(1) == narrow.y).float().mean() > 0.85
    with pytest.raises(KataError, match='needed two'): fit_csp(replace(narrow, classes=('a', 'b', 'c')))

# --- filters and spectra

@pytest.mark.parametrize('low, high', [(7., 30.), (1., 40.), (40., 70.)])
def test_the_filter_equals_mne_and_scipy(low, high):
    x = np.random.default_rng(0).standard_normal((3, 3000))
    ours = bandpass(x, 160., low, high)
    raw = mne.io.RawArray(x.copy(), mne.create_info(3, 160., 'eeg'), verbose='error').filter(low, high, verbose='error')
    np.testing.assert_allclose(ours, raw.get_data(), atol=1e-12)
    kernel = mne.filter.create_filter(None, 160., low, high, verbose='error')
    inner = slice(len(kernel), -len(kernel))
    np.testing.assert_allclose(ours[:, inner], scipy.signal.fftconvolve(x, kernel[None], mode='same', axes=1)[:, inner], atol=1e-12)

@pytest.mark.parametrize('low, high', [(30, 7), (0, 30), (7, 80), (0.1, 0.1)])
def test_impossible_bands_are_named(low, high):
    with pytest.raises(KataError, match='in hertz'): bandpass(np.zeros(2000), 160., low, high)

def test_too_short_for_the_filter():
    with pytest.raises(ShapeError, match='filter the whole recording'): bandpass(np.zeros(200), 160., 7, 30)

@pytest.mark.parametrize('rate, window_s, n', [(160., 2., 2000), (128., 1., 700), (250., 0.5, 1001), (100., 0.33, 500)])
def test_spectra_equal_scipy_and_mne(rate, window_s, n):
    x, length = np.random.default_rng(1).standard_normal((2, 3, n)), round(window_s*rate)
    overlap = length - round(window_s/2*rate)
    freqs, ours = spectrum(x, rate, window_s)
    theirs = scipy.signal.welch(x, rate, 'hann', length, overlap)
    np.testing.assert_allclose(freqs, theirs[0], rtol=1e-6); np.testing.assert_allclose(ours, theirs[1], rtol=1e-10, atol=1e-14)
    by_mne, at = mne.time_frequency.psd_array_welch(x, rate, fmin=0, fmax=rate/2, n_fft=length, n_overlap=overlap, n_per_seg=length, window='hann', verbose='error')
    np.testing.assert_allclose(ours, by_mne, rtol=1e-6)

def test_a_sine_has_its_power_in_its_place():
    x = 3*np.sin(2*np.pi*10*np.arange(1600)/160)
    freqs, p = spectrum(x, 160.)
    assert freqs[p.argmax()] == 10 and p.sum()*freqs[1] == pytest.approx(4.5, rel=1e-3)  # amplitude squared, halved

def test_a_spectrogram_knows_when():
    t = np.arange(1600)/160
    freqs, times, p = spectrogram(np.where(t > 5, 1, 0.01)*np.sin(2*np.pi*20*t), 160., 1, 0.1)
    row = p[20]
    assert p.shape == (81, len(times)) and times[0] == 0.5 and times[-1] == pytest.approx(9.5)
    assert row[times < 4.4].max() < 1e-3*row[times > 5.6].min()
    theirs = scipy.signal.spectrogram(t*np.sin(2*np.pi*20*t), 160., 'hann', 160, 144)
    np.testing.assert_allclose(spectrogram(t*np.sin(2*np.pi*20*t), 160., 1, 0.1)[2], theirs[2], rtol=1e-9, atol=1e-15)

# --- what the brain does

def test_the_laplacian_takes_away_what_neighbours_share(trials):
    shared = replace(trials, x=trials.x + torch.randn(len(trials), 1, trials.x.shape[2])*100)
    torch.testing.assert_close(laplacian(shared, ['C3', 'Cz']).x, laplacian(trials, ['C3', 'Cz']).x, atol=1e-3, rtol=0)
    four = [trials.channels.index(c) for c in ('C5', 'C1', 'FC3', 'CP3')]
    torch.testing.assert_close(laplacian(trials, ['C3']).x[:, 0], trials.pick(['C3']).x[:, 0] - trials.x[:, four].mean(1))

def test_the_laplacian_needs_places_and_neighbours(trials):
    with pytest.raises(DataError, match='set_montage'): laplacian(replace(trials, positions=trials.positions*torch.nan), ['C3'])
    with pytest.raises(ShapeError, match='needs more than'): laplacian(trials.pick(['C3', 'C4']), ['C3'])

def test_desynchronisation_is_measured_where_it_was_made(trials):
    change = dict(zip(trials.channels, erd(trials[trials.y == 0], (10, 12), (0.5, 4), (-1, 0)).tolist()))
    assert change['C3'] < -40 and change['C4'] < -40 < change['Oz']
    x = torch.ones(1, 1, 1600)*torch.sin(2*torch.pi*10*torch.arange(1600)/160)
    x[..., 800:] *= 0.5  # a quarter of the power: -75 per cent
    one = replace(trials[:1].pick(['C3']), x=x, tmin=-5.)
    assert erd(one, (9, 11), (1, 4), (-4, -1)).item() == pytest.approx(-75, abs=0.5)

def test_pictures_are_refused_by_shape(trials):
    for x in (trials.x, trials.crop(0, 2).pick(['C3', 'Cz', 'C4']).x):
        with pytest.raises(ShapeError, match='four seconds'): make_pictures(x, 160.)

def test_a_map_of_the_scalp_is_transparent_and_checked(trials):
    import matplotlib.pyplot as plt
    ax = plt.figure().subplots()
    draw_scalp(ax, trials.x[0, :, 0], trials.positions, (-50, 50), title='x')
    assert all(line.get_color() == eeg.GREY for line in ax.lines)
    with pytest.raises(ShapeError, match='one for each'): draw_scalp(ax, [1, 2], trials.positions, (0, 1))
    with pytest.raises(DataError, match='no position'): draw_scalp(ax, [1.], torch.tensor([[torch.nan]*3]), (0, 1))

# --- data

def test_unknown_names_are_met_with_the_nearest():
    with pytest.raises(DataError, match="did you mean 'made'"): find_run(1, 5, 'mad')
    with pytest.raises(DataError, match="did you mean 'imagined fists or feet'"): load_trials(1, 'imagined fist or feet', 'made')

def test_made_recordings_are_the_same_each_time_and_differ_between_runs():
    a, b, c = recording(5), recording(5), recording(9)
    assert np.array_equal(a.get_data(), b.get_data()) and not np.array_equal(a.get_data(), c.get_data())
    assert sorted(sum((runs for runs, _ in TASKS.values()), ())) == list(range(3, 15))

def test_alpha_of_made_eyes_closed():
    (f, open_), (_, closed) = (spectrum(1e6*read_run(1, r, 'made').get_data(['Oz']), 160.) for r in (1, 2))
    at = (f >= 8) & (f <= 12)
    assert closed[0, at].mean() > 3*open_[0, at].mean()

def test_the_network_gives_an_answer_for_every_trial_and_view():
    found = train_pictures(Config(data='made', widths=(4, 4, 4), epochs=1))['logits']
    assert found.shape == (42, 12, 2) and found.isfinite().all()

def test_without_mne_the_import_says_what_to_install():
    code = "import sys; sys.modules['mne'] = None\ntry: import kata_blog.eeg\nexcept ModuleNotFoundError as e: print(e)"
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True).stdout
    assert "pip install 'kata_blog[eeg]'" in said

# --- the real data

@pytest.mark.realdata
@pytest.mark.parametrize('task, by_run', [('imagined fists or feet', [14, 14, 14]), ('executed fists or feet', [13, 14, 13]), ('imagined left or right', [12, 7, 9])])
def test_csp_figures_equal_mnes_own_code(task, by_run):
    narrow = load_trials(1, task, 'eegmmidb', (7, 30)).crop(1, 2)
    right = decode(fit_csp, narrow).argmax(1) == narrow.y
    assert [right[narrow.run == r].sum().item() for r in TASKS[task][0]] == by_run == mnes_example(task)

def mnes_example(task):
    "MNE's example on decoding by CSP, with its epochs and filters, one run left out."
    from mne.datasets import eegbci
    from mne.decoding import CSP
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import LeaveOneGroupOut, cross_val_score
    from sklearn.pipeline import Pipeline
    raw = mne.concatenate_raws([mne.io.read_raw_edf(find_run(1, r), preload=True, verbose='error') for r in TASKS[task][0]], verbose='error')
    eegbci.standardize(raw)
    raw.filter(7., 30., fir_design='firwin', skip_by_annotation='edge', verbose='error')
    epochs = mne.Epochs(raw, event_id=['T1', 'T2'], tmin=-1., tmax=4., picks='eeg', baseline=None, preload=True, verbose='error').crop(1., 2.)
    model = Pipeline([('CSP', CSP(n_components=4, reg=None, log=True, norm_trace=False)), ('LDA', LinearDiscriminantAnalysis())])
    with mne.utils.use_log_level('error'): found = cross_val_score(model, epochs.get_data(), epochs.events[:, 2], groups=np.repeat([0, 1, 2], 15), cv=LeaveOneGroupOut())
    return [round(15*f) for f in found]

@pytest.mark.realdata
def test_the_summary_of_real_recordings():
    rest, task = summarise([find_run(1, 1), find_run(1, 6)])
    assert (task['subject'], task['run'], task['channels'], task['rate'], task['seconds'], task['events']) == ('001', 6, 'eeg 64', 160., 125., 'T0 15, T1 7, T2 8')
    assert task['doubt'] == '' and task['flat'] == task['nan'] == []
