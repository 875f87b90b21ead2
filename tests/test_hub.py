"The hub: models by name, what they say, an atlas of any module that sees pictures; and the commands that hand over to it."
import json, re, subprocess, sys, types
from pathlib import Path

import pytest, torch
from torch import nn

from kata_blog import hub
from kata_blog.core import DataError, KataError, ShapeError
from kata_blog.hub import atlas, atlas_page, example_pictures, find_model, load, models, predict, read_picture, study

class Planted(nn.Module):
    "Channel 0 answers to red, channel 1 to blue, wherever they are."
    def __init__(self):
        super().__init__()
        self.see = nn.Conv2d(3, 2, 1, bias=False)
        self.see.weight.data = torch.tensor([[1., -1, -1], [-1, -1, 1]])[:, :, None, None]
    def forward(self, x): return self.see(x).amax((2, 3))

def coloured(*colours):
    "A grey picture for each colour, with a square of it."
    x = torch.full((len(colours), 3, 16, 16), 0.5)
    for picture, colour in zip(x, colours): picture[:, 4:8, 4:8] = torch.tensor(colour)[:, None, None]
    return x

RED, GREEN, BLUE = (1., 0, 0), (0, 1., 0), (0, 0, 1.)

def save(path, x):
    from PIL import Image
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((255*x).byte().permute(1, 2, 0).numpy()).save(path)
    return path

@pytest.fixture
def planted(monkeypatch):
    "A module that can be imported by the name `planted`."
    module = types.ModuleType('planted'); module.Net, module.Broken, module.Flat = Planted, list, nn.Identity
    monkeypatch.setitem(sys.modules, 'planted', module)

@pytest.mark.parametrize('name', [m['name'] for m in models()])
def test_every_model_loads_and_is_ready(name):
    model = load(name)
    assert not model.training and all(p.isfinite().all() for p in model.parameters())

def test_the_table_says_where_weights_come_from():
    rows = {m['name']: m for m in models()}
    assert set(rows) == {p.stem for p in (Path(hub.__file__).parent/'weights').glob('*.safetensors')}
    assert all(1e5 < m['bytes'] < 2e6 and re.fullmatch('[0-9a-f]{12}', m['record']) for m in rows.values())

def test_the_table_is_had_without_torch():
    code = 'import sys; from kata_blog.press.cli import main; main(["models"]); print([m for m in ("torch", "numpy", "fastai") if m in sys.modules])'
    said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout
    assert said.endswith('[]\n') and 'classifier' in said

def test_a_picture_is_cut_and_scaled_to_its_middle(tmp_path):
    wide = torch.zeros(3, 40, 120); wide[0, :, 40:80] = 1  # red in the middle, black beside
    x = read_picture(save(tmp_path/'a.png', wide), 16)
    assert x.shape == (3, 16, 16) and x[0, :, 2:-2].min() > 0.9 and x[1:].max() < 0.1

def test_what_is_said_of_a_picture_is_what_the_network_says(tmp_path):
    x = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0)).mul(255).byte().float()/255
    found = predict('classifier', save(tmp_path/'a.png', x), n=10)
    belief = load('classifier')(x[None]).softmax(1)[0]
    assert [b for _, b in found] == pytest.approx(sorted(belief.tolist(), reverse=True), abs=1e-4)
    assert found[0][0] == hub._PICTURES[belief.argmax()] and sum(b for _, b in found) == pytest.approx(1, abs=1e-4)

def test_a_spoken_digit_a_date_and_a_play(tmp_path):
    from kata_blog.sound import say, wav_bytes
    (tmp_path/'a.wav').write_bytes(wav_bytes(say('six')))
    assert predict('sound', tmp_path/'a.wav')[0][0] == 'six' and len(predict('sequences', tmp_path/'a.wav')) == 3
    assert [predict('bert', text)[0][0] for text in ('a wonderful, moving film', 'a dull and lifeless mess')] == ['good', 'bad']
    assert predict('attention', 'the third of May 2004') == [('2004-05-03', None)]
    (text, belief), = predict('gpt', 'ROMEO:\n', n=1)
    assert len(text) == 100 and belief is None
    (codes, belief), = predict('wavenet', tmp_path/'a.wav')
    assert len(codes.split()) == -(-len(say('six'))//160) and belief is None

def test_a_vocoder_says_again_what_it_hears(tmp_path, monkeypatch):
    from kata_blog.sound import log_mel, read_wav, say, wav_bytes
    monkeypatch.chdir(tmp_path)
    Path('a.wav').write_bytes(wav_bytes(say('six')))
    assert predict('wavernn', 'a.wav') == [('a-again.wav', None)]
    told, again = log_mel(read_wav('a.wav')), log_mel(read_wav('a-again.wav'))
    hiss = log_mel(0.1*torch.randn(80*(told.shape[1] - 1), generator=torch.Generator().manual_seed(0)))
    apart = lambda x: (x[:, :told.shape[1] - 1] - told[:, :x.shape[1]][:, :told.shape[1] - 1]).abs().mean()
    assert apart(again) < 0.7*apart(hiss)
    with pytest.raises(DataError, match='a-again.wav is there already; move it away'): predict('wavernn', 'a.wav')

def test_made_eeg_follows_the_schedule_that_was_asked_for():
    def alpha(schedule):  # power from 8 to 13 Hz at Oz
        head, *rows = predict('neurogen', schedule)[0][0].split('\n')
        x = torch.tensor([[float(v) for v in row.split(',')] for row in rows])[:, head.split(',').index('Oz')]
        return torch.fft.rfft(x).abs()[8*len(x)//160:13*len(x)//160].square().sum()
    assert alpha(' '.join(['closed']*5)) > 2*alpha(' '.join(['open']*5))
    with pytest.raises(DataError, match="unknown condition 'opn'; did you mean 'open'"): predict('neurogen', 'opn')

def test_the_classes_of_pictures_are_those_of_the_data(monkeypatch, tmp_path):
    from PIL import Image
    from kata_blog import classifier
    for name in hub._PICTURES: save(tmp_path/'test'/name/'1.png', torch.zeros(3, 32, 32))
    monkeypatch.setattr(classifier, 'fetch', lambda name: tmp_path)
    assert classifier.load_images('cifar10', 'test')[2] == hub._PICTURES

def test_a_planted_channel_is_found_by_its_examples_and_by_its_picture():
    model, x = Planted(), coloured(GREEN, RED, BLUE, GREEN)
    before = model.see.weight.clone()
    found = study(model, 'see', x, n=1, steps=24)
    assert found.best[:, 0].tolist() == [1, 2]
    made = found.made.mean((2, 3))
    assert (made[0, 0] - made[0, 1:] > 0.2).all() and (made[1, 2] - made[1, :2] > 0.2).all()
    assert torch.equal(model.see.weight, before) and model.training and model.see.weight.requires_grad
    assert found.active.tolist() == pytest.approx([0.25, 0.25])

def test_a_study_is_the_same_twice_and_leaves_random_numbers_alone():
    a, b = (study(Planted(), 'see', coloured(RED, BLUE), n=1, steps=2).made for _ in range(2))
    model = Planted()
    torch.manual_seed(3); want = torch.rand(2)
    torch.manual_seed(3); study(model, 'see', coloured(RED, BLUE), n=1, steps=2)
    assert torch.equal(a, b) and torch.equal(torch.rand(2), want)

def test_the_page_shows_every_channel_and_needs_nothing_from_outside():
    x = coloured(GREEN, RED, BLUE)
    page = atlas_page('<b>', study(Planted(), 'see', x, n=2, steps=1), x, ['green', '"red"', 'blue'])
    assert page.count('<li ') == 2 and page.count('data:image') == 2 and 'http' not in page and '<script' not in page and '<b>' not in page
    assert re.findall('class="examples" role="img" aria-label="(.*?)"', page)[0].startswith('&quot;red&quot;')
    ids = re.findall('<li id="(.*?)"', page)
    assert ids == ['0', '1']

def test_an_atlas_of_any_module_from_a_folder(planted, kata, tmp_path, monkeypatch):
    for i, colour in enumerate((RED, BLUE, GREEN)): save(tmp_path/'set'/('reds' if i == 0 else 'others')/f'{i}.png', coloured(colour)[0])
    monkeypatch.chdir(tmp_path)
    code, said = kata('interpret', 'planted:Net', '--layer', 'see', '--examples', 'set', '--side', 16, '--steps', 2)
    assert (code, said) == (0, 'atlas_Net.html\n')
    page = (tmp_path/'atlas_Net.html').read_text()
    assert page.count('<li ') == 2 and re.findall('class="examples" role="img" aria-label="(.*?)"', page)[0].startswith('reds')

def test_the_library_s_own_atlas(kata, tmp_path):
    code, said = kata('interpret', 'classifier', '--layer', 'halve.0', '--examples', 'digits', '-n', 30, '--steps', 1, '--out', tmp_path/'a.html', '--json')
    assert code == 0 and json.loads(said)['page'] == str(tmp_path/'a.html')
    assert (tmp_path/'a.html').read_text().count('<li ') == 48 and (tmp_path/'a.html').stat().st_size < 1e6

def test_commands_speak_to_people_and_to_programs(kata, tmp_path):
    x = save(tmp_path/'a.png', torch.zeros(3, 50, 40))
    code, said = kata('predict', 'classifier', x, '-n', 2)
    assert code == 0 and len(said.splitlines()) == 2 and all(re.fullmatch(r' *[\d.]+ %  \w+', line) for line in said.splitlines())
    assert [set(row) for row in json.loads(kata('predict', 'classifier', x, '--json')[1])] == [{'answer', 'belief'}]*3
    assert [m['name'] for m in json.loads(kata('models', '--json')[1])] == [m['name'] for m in models()]

# --- bad input: what was got, what is needed, what to do

@pytest.mark.parametrize('call, error, text', [
    (lambda: load('bert2'), KataError, "unknown model 'bert2'"),
    (lambda: predict('classifer', 'x.png'), KataError, "did you mean 'classifier'"),
    (lambda: predict('gpt', 'a', n=0), KataError, 'n=0; needed 1 or more'),
    (lambda: predict('classifier', '/nowhere.png'), DataError, 'nowhere.png is not there'),
    (lambda: predict('classifier', __file__), DataError, 'is no picture'),
    (lambda: predict('sound', __file__), DataError, 'is no wav file'),
    (lambda: predict('gpt', 'Ä'), DataError, "'Ä' is none of"),
    (lambda: find_model('nothing.here:Net'), KataError, 'needed package.module:maker'),
    (lambda: find_model('planted:Gone'), KataError, 'needed package.module:maker'),
    (lambda: find_model('planted:Broken'), KataError, 'gave a list; needed a torch module'),
    (lambda: atlas('gpt', 'x.html'), KataError, 'gpt reads text; an atlas needs a model that sees pictures: classifier'),
    (lambda: atlas('planted:Net', 'x.html'), KataError, 'no layer was given; known: see'),
    (lambda: atlas('planted:Net', 'x.html', 'sea', 'digits'), KataError, "did you mean 'see'"),
    (lambda: study(Planted(), 'see', torch.rand(2, 1, 8, 8)), ShapeError, r'got examples \(2, 1, 8, 8\), needs \(6 or more, 3'),
    (lambda: study(Planted(), 'see', torch.rand(2, 3, 8, 8)), ShapeError, '6 or more'),
    (lambda: example_pictures('cifar11'), DataError, "did you mean 'cifar10'"),
], ids=str)
def test_bad_input_is_named(planted, call, error, text):
    with pytest.raises(error, match=text): call()

def test_an_empty_folder_and_a_layer_without_channels_are_named(tmp_path):
    with pytest.raises(DataError, match='no picture lies in'): example_pictures(tmp_path)
    class Sum(nn.Module):
        def __init__(self): super().__init__(); self.all = nn.Flatten(0); self.k = nn.Parameter(torch.ones(()))
        def forward(self, x): return self.all(x*self.k)
    with pytest.raises(ShapeError, match=r'layer all gives \(1536,\), needs \(pictures, channels'): study(Sum(), 'all', torch.rand(2, 3, 16, 16), n=1)

def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'kata_blog.gpt', None)
    with pytest.raises(KataError, match='load: gpt needs'): load('gpt')

def test_a_command_s_mistake_is_one_line(kata):
    code, said = kata('interpret', 'gpt')
    assert code == 1 and said.count('\n') == 1 and said.startswith('kata interpret: atlas: gpt reads text')
