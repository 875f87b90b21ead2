"What the post on sound exports: files, frames against SciPy and Transformers, splits that cannot leak, augmentation, networks, codes."
import base64, io, math, re, struct, wave
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import signal
from scipy.io import wavfile

import kata_blog
from kata_blog import sound
from kata_blog.core import DataError, KataError, ShapeError
from kata_blog.sound import (WORDS, Clips, Config, Frames, MelNet, Player, RawNet, Split, augment, check_apart, hz_to_mel, level, load_clips, log_mel, make_clips, mel_filters,
    mel_to_hz, mu_law_decode, mu_law_encode, place_in, read_wav, say, spectrogram, split_by_index, split_by_speaker, train_sound, wav_bytes)

WEIGHTS = Path(kata_blog.__file__).parent/'weights'/'sound.safetensors'
tiny = Config(data='made', widths=(4, 6, 8), epochs=1, bs=32)

@pytest.fixture(scope='module')
def noise(): return torch.randn(4000, generator=torch.Generator().manual_seed(0))*0.1

@pytest.fixture(scope='module')
def few():
    "Two speakers, two digits, four recordings of each, all different."
    g = torch.Generator().manual_seed(1)
    return make_clips([(d, who, i, torch.randn(900 + 10*i, generator=g).clamp(-1, 1)*0.3) for who in ('ann', 'bob') for d in range(2) for i in range(4)])

# --- files

def wav(path, frames=b'\1\0'*80, channels=1, width=2, rate=8000):
    with wave.open(str(path), 'wb') as w:
        w.setnchannels(channels); w.setsampwidth(width); w.setframerate(rate); w.writeframes(frames)
    return path

def test_a_wav_is_read_as_SciPy_reads_it(tmp_path):
    path = wav(tmp_path/'a.wav', np.array([0, 1, -1, 32767, -32768], '<i2').tobytes())
    rate, x = wavfile.read(path)
    assert rate == 8000 and torch.equal(read_wav(path), torch.from_numpy(x.astype(np.float32)/32768))

def test_what_is_written_is_read_by_SciPy_and_by_us(tmp_path):
    x = torch.linspace(-1, 1, 101)
    (tmp_path/'a.wav').write_bytes(wav_bytes(x, 11025))
    rate, seen = wavfile.read(tmp_path/'a.wav')
    assert rate == 11025 and np.abs(seen/32767 - x.numpy()).max() < 2e-5
    assert (read_wav(tmp_path/'a.wav', 11025) - x).abs().max() < 1e-4

@pytest.mark.parametrize('form, says', [
    (dict(rate=16000), r'16000 samples a second, needs 8000.*-ar 8000.*resamples'), (dict(rate=44100), '44100 samples a second'),
    (dict(channels=2), '2 channels, needs 1'), (dict(channels=6), '6 channels'),
    (dict(width=3, frames=b'\0'*240), '24 bits a sample, needs 16'), (dict(width=1), '8 bits'), (dict(width=4), '32 bits'),
    (dict(frames=b''), 'holds no sample')])
def test_a_wav_of_another_form_is_named(tmp_path, form, says):
    with pytest.raises(DataError, match=says) as e: read_wav(wav(tmp_path/'odd.wav', **form))
    assert str(e.value).startswith('read_wav: ') and 'odd.wav' in str(e.value)

def float_wav(): # format 3: 32-bit floats
    body = struct.pack('<4s4sIHHIIHH4sI4f', b'WAVE', b'fmt ', 16, 3, 1, 8000, 32000, 4, 32, b'data', 16, 0, 0.5, -0.5, 0)
    return b'RIFF' + struct.pack('<I', len(body)) + body

@pytest.mark.parametrize('content', [b'', b'RIFF', b'not a recording at all', float_wav(), wav_bytes(torch.zeros(80))[:30]])
def test_what_is_no_plain_wav_is_named(tmp_path, content):
    (tmp_path/'odd.wav').write_bytes(content)
    with pytest.raises(DataError, match='odd.wav is no wav file of plain samples .*ffmpeg'): read_wav(tmp_path/'odd.wav')

def test_a_cut_file_and_none_at_all(tmp_path):
    whole = wav(tmp_path/'cut.wav').read_bytes()
    (tmp_path/'cut.wav').write_bytes(whole[:-60])
    with pytest.raises(DataError, match='cut off: it announces 80 samples and holds 50'): read_wav(tmp_path/'cut.wav')
    for path in (tmp_path/'none.wav', tmp_path):
        with pytest.raises(DataError, match='cannot be read'): read_wav(path)

@pytest.mark.parametrize('x, says', [(torch.zeros(0), r'\(0,\)'), (torch.zeros(2, 8), r'\(2, 8\), needs \(samples,\)'), (torch.tensor([0, 1]), 'int64'), (torch.tensor([0., -1.5]), 'largest sample is 1.5')])
def test_what_cannot_be_written_is_named(x, says):
    with pytest.raises(ShapeError, match=says): wav_bytes(x)

def test_a_player_holds_its_sounds_and_says_what_they_are():
    page = Player({'a "loud" <tone>': torch.ones(8)*0.5})._repr_html_()
    assert page.count('<audio controls') == 1 and 'aria-label="a &quot;loud&quot; &lt;tone&gt;"' in page and '<tone>' not in page
    data = base64.b64decode(re.search('src="data:audio/wav;base64,([^"]+)"', page)[1])
    rate, x = wavfile.read(io.BytesIO(data))
    assert rate == 8000 and x.tolist() == [round(0.5*32767)]*8
    assert repr(Player({'one': torch.ones(1), 'two': torch.ones(1)})) == 'sounds: one, two'

# --- frames

@pytest.mark.parametrize('frames', [Frames(), Frames(window=200, step=100), Frames(window=101, step=7), Frames(window=64, step=64)])
def test_spectrogram_equals_SciPys(noise, frames):
    ours = spectrogram(noise.double(), frames)
    left = (frames.window - frames.step)//2
    padded = np.pad(noise.double().numpy(), (left, 2*frames.window))
    fade = signal.get_window('hann', frames.window)
    _, _, z = signal.stft(padded, window=fade, nperseg=frames.window, noverlap=frames.window - frames.step, boundary=None, padded=False)
    np.testing.assert_allclose(ours, 4*np.abs(z[:, :ours.shape[1]])**2, rtol=1e-9, atol=1e-15)  # stft divides by the window's sum

def test_spectrogram_equals_torchs(noise):
    z = torch.stft(torch.nn.functional.pad(noise, (88, 88)), 256, 80, window=torch.hann_window(256), center=False, return_complex=True)
    torch.testing.assert_close(spectrogram(noise), z.abs().square()/64**2)

@pytest.mark.parametrize('n', [1, 79, 80, 81, 800, 999])
def test_there_is_a_frame_for_every_step_and_nothing_is_dropped(n):
    assert spectrogram(torch.ones(n)).shape[-1] == math.ceil(n/80)
    click = torch.zeros(n)
    click[-1] = 1
    assert spectrogram(click).sum(0)[-1] > 0

@pytest.mark.parametrize('at', [0, 39, 40, 500, 795])
def test_a_click_is_loudest_in_the_frame_of_its_step(at):
    click = torch.zeros(800)
    click[at] = 1
    assert spectrogram(click).sum(0).argmax() == at//80

def test_a_tone_of_amplitude_1_has_power_1():
    t = torch.arange(8000)/8000
    for hz in (250, 1000, 2000): assert spectrogram(torch.sin(2*math.pi*hz*t)).amax(0)[50] == pytest.approx(1, abs=1e-4)

def test_batches_are_done_row_by_row(noise):
    both = torch.stack([noise, noise.flip(0)])
    torch.testing.assert_close(log_mel(both)[1], log_mel(noise.flip(0)))

@pytest.mark.parametrize('frames', [Frames(), Frames(window=512, n_mels=64), Frames(rate=16000, window=400, step=160, n_mels=23, low_hz=20, high_hz=7600)])
def test_mel_filters_equal_those_of_Transformers(frames):
    audio = pytest.importorskip('transformers.audio_utils')
    theirs = audio.mel_filter_bank(frames.window//2 + 1, frames.n_mels, frames.low_hz, frames.high_hz, frames.rate, norm=None, mel_scale='htk')
    np.testing.assert_allclose(mel_filters(frames), theirs.T, atol=1e-6)

def test_mel_frames_equal_those_of_Transformers(noise):
    audio, frames = pytest.importorskip('transformers.audio_utils'), Frames(floor=1e-12)
    filters = audio.mel_filter_bank(129, 40, 60, 4000, 8000, norm=None, mel_scale='htk')
    theirs = audio.spectrogram(np.pad(noise.numpy(), 88), signal.get_window('hann', 256)/64, 256, 80, fft_length=256, power=2., center=False, mel_filters=filters, log_mel='log', mel_floor=1e-12)
    np.testing.assert_allclose(log_mel(noise, frames), theirs, atol=1e-4)

def test_mels_equal_those_of_Transformers_and_have_an_inverse():
    audio, hz = pytest.importorskip('transformers.audio_utils'), np.geomspace(1, 20000, 50)
    np.testing.assert_allclose(hz_to_mel(torch.tensor(hz)), audio.hertz_to_mel(hz, mel_scale='htk'), rtol=1e-12)
    np.testing.assert_allclose(mel_to_hz(hz_to_mel(torch.tensor(hz))), hz, rtol=1e-10)
    assert hz_to_mel(1000.).item() == pytest.approx(1000, abs=0.1)  # as the scale is defined

@pytest.mark.parametrize('wrong, says', [
    (dict(window=0.032), r'window=0.032, needs a whole number above 0; it is counted in samples, and 0.032 s are 256'),
    (dict(step=0.01), 'step=0.01.*0.01 s are 80'), (dict(window=256., rate=16000), 'whole number'), (dict(step=0), 'step=0'), (dict(n_mels=-1), 'n_mels=-1'),
    (dict(step=True), 'step=True'), (dict(step=300), 'samples would be skipped'), (dict(high_hz=4001.), 'half of the rate'), (dict(low_hz=5000.), 'low_hz < high_hz'), (dict(low_hz=-1.), 'low_hz')])
def test_settings_that_make_no_sense_are_named(wrong, says):
    with pytest.raises(KataError, match=says): Frames(**wrong)

def test_settings_are_frozen_and_compare_by_value():
    with pytest.raises(FrozenInstanceError): Frames().step = 1
    assert Frames() == Frames(window=256) and hash(Frames()) == hash(Frames()) and Frames() != Frames(step=40)

@pytest.mark.parametrize('x, says', [(torch.zeros(0), r'\(0,\)'), (torch.zeros(3, 0), r'\(3, 0\)'), (torch.tensor(1.), r'\(\)'), (torch.zeros(8, dtype=torch.int16), 'int16.*divide 16-bit samples by 32768')])
def test_what_is_no_wave_is_named(x, says):
    for f in (spectrogram, log_mel):
        with pytest.raises(ShapeError, match=says): f(x)

# --- the voice

@pytest.mark.parametrize('word', WORDS)
def test_every_word_is_said_without_a_click(word):
    x = say(word)
    assert 0.2*8000 < len(x) < 0.6*8000 and x.isfinite().all() and x.abs().max() == pytest.approx(0.5)
    assert x.diff().abs().max() < 0.8  # the filters move and the wave does not jump

def test_the_resonator_equals_a_filter_where_it_stands_still(noise):
    x, (f, w) = noise.numpy().astype(float), (700, 90)
    pole = np.exp(-np.pi*w/8000 + 2j*np.pi*f/8000)
    a = np.poly([pole, pole.conj()])
    np.testing.assert_allclose(sound._resonate(x, np.full(100, f), w, 8000), signal.lfilter([a.sum()], a, x), atol=1e-10)

def test_the_vowel_of_three_has_its_formants_where_Peterson_and_Barney_measured_them():
    x = say('three', pitch_hz=100)[2000:2500].double().numpy()
    hz, power = signal.welch(x, 8000, nperseg=256, nfft=4096)
    first, second = hz[(hz < 600)], hz[(hz > 1600) & (hz < 2700)]
    assert abs(first[power[hz < 600].argmax()] - 270) < 80 and abs(second[power[(hz > 1600) & (hz < 2700)].argmax()] - 2290) < 150

def test_a_voice_has_pitch_speed_and_a_seed():
    assert len(say('one', speed=2)) < 0.6*len(say('one')) and torch.equal(say('six'), say('six')) and not torch.equal(say('six'), say('six', seed=1))
    with pytest.raises(KataError, match="unknown word 'nein'; did you mean 'nine'"): say('nein')

# --- recordings and splits

def test_recordings_are_kept_whole():
    clips = make_clips([(3, 'b', 0, torch.tensor([0.5, -1., 1.])), (4, 'a', 2, torch.tensor([0.25]))])
    assert clips.x.tolist() == [[16384, -32768, 32767], [8192, 0, 0]] and clips.length.tolist() == [3, 1]
    assert (clips.speakers, clips.speaker.tolist(), clips.y.tolist(), clips.index.tolist()) == (('a', 'b'), [1, 0], [3, 4], [0, 2])
    with pytest.raises(DataError, match="did you mean 'fsdd'"): load_clips('fsd')

def test_splits_hold_every_row_once(few):
    split = split_by_index(few, test=range(1), valid=range(1, 2))
    assert sorted(torch.cat([split.train, split.valid, split.test]).tolist()) == list(range(16))
    assert set(few.index[split.test].tolist()) == {0} and set(few.index[split.valid].tolist()) == {1} and set(few.index[split.train].tolist()) == {2, 3}
    split = split_by_speaker(few, 'bob')
    assert set(few.speaker[split.test].tolist()) == {1} and set(few.speaker[split.train].tolist()) == {0} and len(split.valid) == 0 and len(split.train) + len(split.test) == 16

def leak(clips, src, dst, change=lambda x: x):
    x = clips.x.clone()
    x[dst] = change(x[src].float()).round().clamp(-32768, 32767).short()
    return replace(clips, x=x)

def _cut(x): return torch.where(torch.arange(len(x)) < 905, x, 0.)

@pytest.mark.parametrize('change', [lambda x: x, lambda x: x/3, lambda x: -x, lambda x: x + 300, _cut, lambda x: x + 200*torch.randn(len(x), generator=torch.Generator().manual_seed(0))],
    ids=['copy', 'softer', 'upside down', 'offset', 'cut', 'noisy'])
@pytest.mark.parametrize('part, index', [('train', 2), ('valid', 1)])
def test_a_planted_copy_is_caught(few, change, part, index):
    test = ((few.index == 0) & (few.y == 1)).nonzero()[0, 0].item()
    row = ((few.index == index) & (few.y == 0) & (few.speaker == 1)).nonzero()[0, 0].item()
    with pytest.raises(KataError, match=f'row {row} of {part} is a copy of row {test} of test'): split_by_index(leak(few, test, row, change), range(1), range(1, 2))

def test_a_copy_under_another_speakers_name_is_caught(few):
    mine, theirs = (few.speaker == 0).nonzero()[3, 0].item(), (few.speaker == 1).nonzero()[5, 0].item()
    with pytest.raises(KataError, match=f'row {mine} of train is a copy of row {theirs} of test'): split_by_speaker(leak(few, theirs, mine), 'bob')

def test_shared_rows_and_shared_speakers_are_caught(few):
    with pytest.raises(KataError, match='row 1 is in train and in test'): check_apart(few, Split(torch.tensor([0, 1]), torch.tensor([2]), torch.tensor([1, 3])))
    with pytest.raises(KataError, match='row 2 is in train and in valid'): check_apart(few, Split(torch.tensor([0, 2]), torch.tensor([2]), torch.tensor([1, 3])))
    with pytest.raises(KataError, match="'ann' speaks in train and in test"): check_apart(few, Split(torch.tensor([0]), torch.tensor([2]), torch.tensor([1, 9])), by_speaker=True)
    with pytest.raises(KataError, match='overlap'): split_by_index(few, range(2), range(1, 3))
    with pytest.raises(KataError, match="did you mean 'bob'"): split_by_speaker(few, 'bobby')

# --- augmentation

def test_speed_and_place():
    x = torch.tensor([[0, 8, 16, 24, 32]]).short()
    place = lambda first, speed: (place_in(x, torch.tensor([[first]]), torch.tensor([[speed]]), 6)*32768).tolist()[0]
    assert place(0., 1.) == [0, 8, 16, 24, 0, 0]          # the last sample is where the next would be looked up
    assert place(2., 1.) == [0, 0, 0, 8, 16, 24] and place(-1., 1.) == [8, 16, 24, 0, 0, 0]
    assert place(0., 2.) == [0, 16, 0, 0, 0, 0] and place(0., 0.5) == [0, 4, 8, 12, 16, 20]

def test_a_faster_tone_is_a_higher_tone():
    tone = (torch.sin(2*math.pi*500*torch.arange(8000)/8000)*20000).short()[None]
    peak = lambda speed: spectrogram(place_in(tone, torch.zeros(1, 1), torch.tensor([[speed]]), 4000))[0, :, 20].argmax().item()*31.25
    assert [peak(s) for s in (0.5, 1., 2.)] == [250, 500, 1000]

def test_augmented_waves_are_level_different_and_repeatable(few):
    config = replace(tiny, window=1200)
    once_, again, other = (torch.manual_seed(s) and augment(few.x[:8], few.length[:8], config) for s in (0, 0, 1))
    assert once_.shape == (8, 1200) and torch.equal(once_, again) and not torch.allclose(once_, other)
    assert (level(once_).square().mean(1)).sub(1).abs().max() < 1e-3
    torch.manual_seed(0)
    assert augment(few.x, few.length, replace(tiny, window=600)).shape == (16, 600)  # longer than the window

def test_level_knows_silence_from_sound():
    x = torch.tensor([[0, 0, 3., -3], [0.01, 0.01, 0.01, -0.01], [0, 0, 0, 0]])
    torch.testing.assert_close(level(x), torch.tensor([[0, 0, 1., -1], [1, 1, 1, -1], [0, 0, 0, 0]]))

# --- networks

@pytest.mark.parametrize('net', [MelNet, RawNet])
def test_networks_take_waves_of_any_length_and_loudness(net):
    torch.manual_seed(0)
    net, x = net().eval(), torch.randn(2, 8000)
    for n in (800, 4001, 8000): assert net(x[:, :n]).shape == (2, 10)
    with torch.no_grad(): torch.testing.assert_close(net(x), net(x*0.01), atol=1e-4, rtol=0)
    assert sum(p.numel() for p in net.parameters()) < 1e6 and type(net)(n_classes=3)(x).shape == (2, 3)

@pytest.mark.parametrize('net', [MelNet, RawNet])
@pytest.mark.parametrize('x, says', [(torch.zeros(8000), r'\(8000,\), needs \(batch, samples\).*x\[None\]'), (torch.zeros(2, 1, 8000), r'\(2, 1, 8000\)'),
    (torch.zeros(2, 799), '799 samples, needs 800'), (torch.zeros(2, 8000, dtype=torch.int16), 'int16'), (torch.zeros(2, 0), r'\(2, 0\)')])
def test_networks_name_what_they_cannot_take(net, x, says):
    with pytest.raises(ShapeError, match=says) as e: net()(x)
    assert net.__name__ in str(e.value)

def test_the_same_seed_trains_the_same_network():
    a, b, c = train_sound(tiny), train_sound(tiny), train_sound(replace(tiny, seed=1))
    assert torch.equal(a['logits'], b['logits']) and not torch.equal(a['logits'], c['logits'])
    assert len(a['rows']) == 150 and set(load_clips('made').index[a['rows']].tolist()) == set(range(5)) and 0 <= a['valid'] <= 1

def test_a_held_out_speaker_is_tested_whole_and_alone():
    found, clips = train_sound(replace(tiny, net='raw', widths=(8, 8, 8, 8), held_out='high')), load_clips('made')
    assert found['valid'] is None and {clips.speakers[s] for s in clips.speaker[found['rows']]} == {'high'} and found['logits'].shape == (200, 10)
    with pytest.raises(KataError, match="did you mean 'raw'"): train_sound(replace(tiny, net='row'))

# --- codes

@pytest.mark.parametrize('levels', [2, 16, 255, 256, 1024])
def test_codes_come_back_as_they_were(levels):
    codes = torch.arange(levels)
    x = mu_law_decode(codes, levels)
    assert torch.equal(mu_law_encode(x, levels), codes) and (x.diff() > 0).all() and x[0] == -1 and x[-1] == pytest.approx(1)

def test_codes_equal_the_formula():
    x = np.linspace(-1, 1, 4001)
    f = np.sign(x)*np.log(1 + 255*np.abs(x))/np.log(256)
    assert (mu_law_encode(torch.tensor(x)).numpy() == np.floor((f + 1)/2*255 + 0.5)).all()

@pytest.mark.parametrize('amplitude', [1, 0.3, 0.1, 0.03])
def test_256_codes_keep_35_dB_over_30_dB_of_loudness(amplitude):
    x = amplitude*torch.sin(torch.arange(8000.)*0.37)
    error = x - mu_law_decode(mu_law_encode(x))
    assert 10*math.log10(x.square().mean()/error.square().mean()) > 34

def test_codes_of_what_is_out_of_range():
    with pytest.raises(ShapeError, match='int64 up to 300.*divide 16-bit'): mu_law_encode(torch.tensor([300]))
    with pytest.raises(ShapeError, match='up to 1.5'): mu_law_encode(torch.tensor([-1.5]))
    for codes in (torch.tensor([256]), torch.tensor([-1]), torch.tensor([1.])):
        with pytest.raises(ShapeError, match=r'0\.\.255'): mu_law_decode(codes)
    assert mu_law_encode(torch.zeros(0)).shape == mu_law_decode(torch.zeros(0, dtype=torch.long)).shape == (0,)

# --- the real recordings

@pytest.mark.realdata
def test_the_official_split_and_the_six_folds():
    clips = load_clips('fsdd')
    assert len(clips.y) == 3000 and clips.length.max() == 18262 and clips.speakers == ('george', 'jackson', 'lucas', 'nicolas', 'theo', 'yweweler')
    split = split_by_index(clips)
    assert [len(split.train), len(split.valid), len(split.test)] == [2400, 300, 300]
    assert all(len(split_by_speaker(clips, who).test) == 500 for who in clips.speakers)
