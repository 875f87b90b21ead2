"Training: the numbers of a plain loop, and a memory that neither forgets a change nor minds a comment."
import importlib.util, json, os, random, re, subprocess, sys, threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock
import numpy as np
import pytest

torch = pytest.importorskip('torch')
from torch import nn
from torch.nn import functional as F
import resuming
from kata_blog import train
from kata_blog.core import KataError, ShapeError
from kata_blog.train import Batches, Made, accuracy, call_key, fit_model, half_forward, load_weights, once, pick_device, place, predict_all, save_weights, seed_all, triangle

cpu = torch.device('cpu')

@pytest.fixture(autouse=True)
def on_cpu(tmp_path, monkeypatch):
    monkeypatch.setenv('KATA_DEVICE', 'cpu')
    monkeypatch.setenv('KATA_RUN_DIR', str(tmp_path/'run'))
    for name in ('KATA_ONCE', 'KATA_WEIGHTS'): monkeypatch.delenv(name, raising=False)

def small_net(): return nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))

def small_set(n=40):
    x = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    return x, (x[:, 0] > 0).long() + (x[:, 1] > 0).long()

# ---------------------------------------------------------------- device, precision, seeds

@pytest.mark.parametrize('cuda, mps, expected', [(True, True, 'cuda'), (False, True, 'mps'), (False, False, 'cpu')])
def test_the_fastest_device_that_is_there_is_taken(monkeypatch, cuda, mps, expected):
    monkeypatch.delenv('KATA_DEVICE')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: cuda)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: mps)
    assert pick_device().type == expected

@pytest.mark.parametrize('name, text', [('gpu', "unknown device 'gpu'"), ('cuda:7', 'is not on this machine'), ('meta', 'is not on this machine')])
def test_a_device_that_is_not_there_is_an_error(monkeypatch, name, text):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    monkeypatch.setenv('KATA_DEVICE', name)
    with pytest.raises(KataError, match=text): pick_device()

def test_bfloat16_is_used_only_where_the_chip_has_it(monkeypatch):
    seen, net = [], small_net()
    net[1].register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    monkeypatch.setattr(torch.cpu, '_is_amx_tile_supported', lambda: False)
    for native, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(torch.cpu, '_is_avx512_bf16_supported', lambda: native)
        with half_forward(net, cpu): assert net(torch.zeros(2, 4)).dtype == torch.float32
        assert seen.pop() == expected

def test_half_forward_is_over_after_an_error():
    net = small_net()
    with pytest.raises(RuntimeError), half_forward(net, cpu, enabled=True): net(torch.zeros(2, 5))
    assert 'forward' not in vars(net) and not torch.is_autocast_enabled('cpu')

def test_half_forward_reaches_into_tuples_and_leaves_whole_numbers():
    class Two(nn.Module):
        def forward(self, x): return x @ x, (x @ x, torch.arange(3))
    with half_forward(net := Two(), cpu, enabled=True): a, (b, c) = net(torch.ones(2, 2))
    assert [t.dtype for t in (a, b, c)] == [torch.float32, torch.float32, torch.int64]

def test_place_lays_out_convolutions_only():
    conv, line = place(nn.Conv2d(3, 4, 3), cpu), place(nn.Linear(3, 4), cpu)
    assert conv.weight.is_contiguous(memory_format=torch.channels_last) and line.weight.is_contiguous()

def test_one_seed_sets_all_three_generators():
    def draw(): return random.random(), np.random.rand(), torch.rand(2).tolist()
    seed_all(5); first = draw()
    seed_all(5); assert draw() == first
    seed_all(6); assert all(a != b for a, b in zip(draw(), first))

# ---------------------------------------------------------------- batches

def test_an_epoch_shows_a_row_at_most_once_and_only_whole_batches():
    batches = Batches(torch.arange(23), bs=5, shuffle=True, seed=1)
    for _ in range(3):
        rows = [x for x, in batches]
        assert [len(r) for r in rows] == [5] * len(batches) == [5] * 4 and len(set(torch.cat(rows).tolist())) == 20

def test_the_order_depends_on_seed_and_epoch_alone():
    def order(seed, epoch):
        torch.rand(3)                                      # what was drawn before does not matter
        return tuple(Batches(torch.zeros(50), bs=5, shuffle=True, seed=seed).order(epoch).tolist())
    assert order(1, 2) == order(1, 2)
    assert len({order(s, e) for s in range(3) for e in range(3)}) == 9

def test_without_shuffling_rows_come_in_order_and_the_rest_comes_too():
    assert [x.tolist() for x, in Batches(torch.arange(7), bs=3)] == [[0, 1, 2], [3, 4, 5], [6]]

def test_transform_gets_every_tensor_and_the_epoch():
    seen = []
    batches = Batches(torch.zeros(4), torch.ones(4), torch.full((4,), 2.), bs=4, transform=lambda *a: seen.append(a) or a[:2])
    for _ in range(2): assert [len(b) for b in batches] == [2]
    assert [[float(t[0]) for t in a[:-1]] + [a[-1]] for a in seen] == [[0, 1, 2, 0], [0, 1, 2, 1]]

def test_images_stay_channels_last_in_a_batch():
    x, = next(iter(Batches(torch.zeros(8, 3, 4, 4), bs=4, shuffle=True)))
    assert x.is_contiguous(memory_format=torch.channels_last)

@pytest.mark.parametrize('lengths, kw, error, text', [
    ((4, 5), dict(bs=2), ShapeError, r'\[4, 5\] rows'), ((4, 4), dict(bs=0), KataError, 'bs=0'),
    ((4, 4), dict(bs=5, shuffle=True), ShapeError, 'not one full batch'), ((0, 0), dict(bs=1, shuffle=True), ShapeError, 'not one full batch')])
def test_batches_that_cannot_be_are_refused(lengths, kw, error, text):
    with pytest.raises(error, match=text): Batches(*(torch.zeros(n) for n in lengths), **kw)

# ---------------------------------------------------------------- fit

def plain_loop(net, x, y, opt, epochs, bs, schedule):
    "Losses and rates of the usual loop, in the order that Batches gives."
    batches, losses, rates = Batches(x, y, bs=bs, shuffle=True, seed=4), [], []
    for epoch in range(epochs):
        for rows in batches.order(epoch).split(bs)[:len(batches)]:
            if schedule: opt.param_groups[0]['lr'] = schedule(len(losses) / (epochs * len(batches)))
            loss = F.cross_entropy(net(x[rows]), y[rows])
            opt.zero_grad(); loss.backward(); opt.step()
            losses.append(loss.item()); rates.append(opt.param_groups[0]['lr'])
    return losses, rates

@pytest.mark.parametrize('schedule', [None, triangle(0.3)], ids=['constant', 'triangle'])
@pytest.mark.parametrize('make', [lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01), lambda p: torch.optim.AdamW(p, lr=0.02)], ids=['sgd', 'adamw'])
def test_fit_gives_the_numbers_of_a_plain_loop(make, schedule):
    x, y = small_set()
    seed_all(0); ours = small_net()
    seed_all(0); plain = small_net()
    losses, rates = plain_loop(plain, x, y, make(plain.parameters()), 3, 8, schedule)
    curve = fit_model(ours, Batches(x, y, bs=8, shuffle=True, seed=4), make(ours.parameters()), 3, schedule=schedule and {'lr': schedule}, amp=False)
    assert curve.keys() == {'loss', 'lr'} and curve['loss'] == pytest.approx(losses, abs=1e-6) and curve['lr'] == pytest.approx(rates, rel=1e-6)
    for a, b in zip(ours.parameters(), plain.parameters()): torch.testing.assert_close(a, b)

def test_groups_keep_the_rates_they_came_with():
    x, y = small_set()
    net = small_net()
    before = net[1].weight.detach().clone()
    opt = torch.optim.SGD([{'params': net[1].parameters(), 'lr': 0.}, {'params': net[3].parameters(), 'lr': 0.5}])
    curve = fit_model(net, Batches(x, y, bs=8, shuffle=True), opt, 1)
    assert torch.equal(net[1].weight, before) and set(curve['lr']) == {0.5}

def test_a_schedule_can_hold_a_rate_for_each_group():
    x, y = small_set()
    net = small_net()
    before = net[1].weight.detach().clone()
    opt = torch.optim.SGD([{'params': net[1].parameters()}, {'params': net[3].parameters()}], lr=1.)
    curve = fit_model(net, Batches(x, y, bs=10, shuffle=True), opt, 1, schedule={'lr': triangle([0., 0.4], start=0.5)})
    assert torch.equal(net[1].weight, before) and curve['lr'] == pytest.approx([0.2, 0.4, 0.8/3, 0.4/3])

def test_fitting_prints_nothing(capfd):
    x, y = small_set()
    net = small_net()
    fit_model(net, Batches(x, y, bs=8, shuffle=True), torch.optim.SGD(net.parameters(), lr=0.1), 2, valid=Batches(x, y, bs=8), metrics=(accuracy,))
    assert capfd.readouterr() == ('', '')

def test_metrics_are_means_over_rows_not_over_batches():
    x, y = small_set(41)                                   # in batches of 40: the last has one row
    net, valid = small_net(), Batches(x, y, bs=40)
    curve = fit_model(net, Batches(x, y, bs=8, shuffle=True), torch.optim.SGD(net.parameters(), lr=0.1), 2, valid=valid, metrics=(accuracy,), amp=False)
    logits = predict_all(net, valid)
    assert curve['accuracy'][-1] == pytest.approx(accuracy(logits, y).item(), abs=1e-6)
    assert curve['valid_loss'][-1] == pytest.approx(F.cross_entropy(logits, y).item(), abs=1e-5) and len(curve['valid_loss']) == 2

def test_fit_learns_in_bfloat16_too():
    x, y = small_set(400)
    seed_all(0)
    net, seen = small_net(), []
    net[1].register_forward_hook(lambda m, i, o: seen.append(o.dtype))
    curve = fit_model(net, Batches(x, y, bs=20, shuffle=True), torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9), 5, amp=True)
    assert curve['loss'][-1] < 0.5 * curve['loss'][0] and set(seen) == {torch.bfloat16} and net[1].weight.dtype == torch.float32

def test_each_fit_counts_its_epochs_from_nought():
    x, y = small_set()
    net, epochs = small_net(), []
    batches = Batches(x, y, bs=40, shuffle=True, transform=lambda x, y, epoch: epochs.append(epoch) or (x, y))
    next(iter(batches))                                    # a look at one batch changes nothing
    for _ in range(2): fit_model(net, batches, torch.optim.SGD(net.parameters(), lr=0.1), 2)
    assert epochs == [0, 0, 1, 0, 1]

@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_a_loss_that_is_no_number_stops_at_its_step(bad):
    x, y = small_set()
    net, calls = small_net(), []
    def loss(pred, target): return F.cross_entropy(pred, target) * (bad if calls.append(1) or len(calls) == 3 else 1)
    with pytest.raises(KataError, match=f'became {bad} at step 2 of 10 with lr=0.25; '):
        fit_model(net, Batches(x, y, bs=8, shuffle=True), torch.optim.SGD(net.parameters(), lr=0.25), 2, loss=loss)
    assert len(calls) == 3

def test_a_late_look_still_finds_the_first_bad_step():
    curve = train._Curve((), look_every=50)
    curve.loss = [torch.tensor(v) for v in [1.] * 60 + [float('nan')] * 10]
    assert curve.find_bad() == 60

@pytest.mark.parametrize('kw, text', [(dict(epochs=0), 'at least one'), (dict(epochs=1, schedule={'mum': triangle(1.)}), "unknown setting of the optimiser 'mum'; did you mean 'mom'")])
def test_fit_refuses_what_makes_no_sense(kw, text):
    x, y = small_set()
    net = small_net()
    with pytest.raises(KataError, match=text): fit_model(net, Batches(x, y, bs=8, shuffle=True), torch.optim.SGD(net.parameters(), lr=0.1), **kw)

def test_a_fastai_callback_can_be_added():
    from fastai.callback.core import Callback
    x, y = small_set()
    net, steps = small_net(), []
    fit_model(net, Batches(x, y, bs=8, shuffle=True), torch.optim.SGD(net.parameters(), lr=0.1), 2, cbs=(Callback(after_step=lambda cb: steps.append(cb.train_iter)),))
    assert steps == list(range(10))

def test_parts_of_a_batch_add_up_to_it():
    from fastai.callback.training import GradientAccumulation
    x, y = small_set()
    whole, parts = (small_net() for _ in range(2))
    parts.load_state_dict(whole.state_dict())
    sgd = lambda net: torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    fit_model(whole, Batches(x, y, bs=8, shuffle=True, seed=4), sgd(whole), 3, amp=False)
    fit_model(parts, Batches(x, y, bs=2, shuffle=True, seed=4), sgd(parts), 3, amp=False, cbs=(GradientAccumulation(8),))
    for a, b in zip(whole.parameters(), parts.parameters()): torch.testing.assert_close(a, b)

TEAM = """
import json, os, sys
from dataclasses import dataclass
import torch
from torch import nn
from kata_blog.train import Batches, data_parallel, fit_model, once, seed_all
x = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()
@dataclass(frozen=True)
class Config: bs:int
def learn(config):
    cbs = (data_parallel(),)
    seed_all(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    batches = Batches(x, y, bs=config.bs, shuffle=True, seed=4, transform=lambda x, y, epoch: (x + 0.1*torch.randn_like(x), y))
    curve = fit_model(net, batches, torch.optim.AdamW(net.parameters(), lr=0.02), 3, valid=Batches(x, y, bs=7), amp=False, cbs=cbs)
    return curve | {'weights': [p.flatten().tolist() for p in net.parameters()], 'kind': type(net).__name__}
how = sys.argv[1]
found = once(learn, Config(8)).value if how == 'once' else learn(Config(int(how)))
if os.environ.get('RANK', '0') == '0': print('FOUND' + json.dumps(found))
"""

def team(tmp_path, n, how):
    "What `n` processes that talk by gloo print of a training."
    pytest.importorskip('accelerate', reason='needs the extra parallel')
    (tmp_path/'learn.py').write_text(TEAM)
    start = ['-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', str(n)] if n > 1 else []
    done = subprocess.run([sys.executable, *start, 'learn.py', how], cwd=tmp_path, capture_output=True, text=True, timeout=300, env=os.environ | {'OMP_NUM_THREADS': '1'})
    found = re.search('FOUND(.*)', done.stdout)
    return json.loads(found[1]) if found else done.stderr

def test_two_processes_learn_what_one_does(tmp_path):
    one, two = team(tmp_path, 1, '8'), team(tmp_path, 2, '8')
    assert one['kind'] == two['kind'] == 'Sequential'
    for name in ('loss', 'valid_loss'): assert two[name] == pytest.approx(one[name], abs=1e-5)
    for a, b in zip(one['weights'], two['weights']): assert b == pytest.approx(a, abs=1e-5)

@pytest.mark.parametrize('how, text', [('5', 'a batch of 5 rows for 2 processes'), ('once', 'inside `once`')])
def test_what_two_processes_cannot_share_is_named(tmp_path, how, text): assert text in team(tmp_path, 2, how)

def test_without_accelerate_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, 'accelerate', None)
    with pytest.raises(KataError, match=r'accelerate is missing.*kata_blog\[parallel\]'): train.data_parallel()

def test_predictions_come_in_order_and_leave_the_model_as_it_was():
    x, y = small_set(9)
    net = nn.Sequential(nn.Dropout(0.5), small_net()).train()
    got = predict_all(net, Batches(x, y, bs=4))
    assert net.training and not got.requires_grad
    torch.testing.assert_close(got, net.eval()(x))
    with pytest.raises(KataError, match='shuffle=False'): predict_all(net, Batches(x, y, bs=4, shuffle=True))

def test_importing_train_brings_no_fastai_and_no_torchvision():
    code = "import sys, kata_blog.train; print([m for m in ('fastai', 'torchvision', 'torchaudio', 'sklearn') if m in sys.modules])"
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip() == '[]'

# ---------------------------------------------------------------- keys

BASE = '''
import functools
from dataclasses import dataclass
import torch
from torch import nn
from kata_blog import train
from kata_blog.train import triangle

WIDTH = 3
SIZES = (1, 2)
NAMES = {'a': [1, 2]}
MEAN = torch.tensor([0.5, 0.25])

@dataclass(frozen=True)
class Inner:
    deep:int=1

@dataclass(frozen=True)
class Config:
    lr:float=0.1
    inner:Inner=Inner()

def deepest(v): return v + 1

def helper(v): return deepest(v) * WIDTH

@functools.lru_cache
def cached(v): return v

class Base(nn.Module):
    def twice(self, v): return v * 2

class Net(Base):
    def forward(self, v):
        return self.twice(v) + SIZES[0]

def default(v=WIDTH): return v

def unrelated(v): return v

def fit(config):
    from kata_blog.train import seed_all
    local = lambda unrelated: unrelated
    seed_all(0)
    train.accuracy
    return Net(), helper(config.lr), cached(1), NAMES, MEAN, default(), triangle(1.)
'''

def load_module(path, text, name='kata_made'):
    "Import `text` as a module with a file of its own."
    path = path/f'{name}_{len(list(path.glob(f"{name}_*")))}.py'
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

@pytest.fixture
def key_of(tmp_path):
    "The key and the symbols of `fit` in a module made of a text."
    def get(text, config='Config()'):
        module = load_module(tmp_path, text)
        return call_key(module.fit, eval(config, vars(module)))
    yield get
    sys.modules.pop('kata_made', None)

def test_what_is_reached(key_of):
    own = {'fit', 'Net', 'Base', 'helper', 'deepest', 'cached', 'default', 'Config', 'Inner', 'WIDTH', 'SIZES', 'NAMES', 'MEAN'}
    assert key_of(BASE)[1].keys() == own | {'train.seed_all', 'train.accuracy', 'train.triangle'}

@pytest.mark.parametrize('old, new', [
    ('def deepest(v): return v + 1', 'def deepest(v):\n    "Docstring."\n    return (v\n      + 1)  # comment'),
    ('def unrelated(v): return v', 'def unrelated(v): return v * 2'),
    ('WIDTH = 3\n', 'WIDTH = 2 + 1\n'),
    ('SIZES = (1, 2)', 'OTHER = 5\nSIZES = (1, 2)'),
    ('class Net(Base):', '\n# a note\nclass Net(Base):\n    "A network."'),
], ids=['comment', 'unrelated', 'same value', 'other constant', 'docstring'])
def test_the_key_stays(key_of, old, new):
    assert old in BASE
    assert key_of(BASE) == key_of(BASE.replace(old, new))

PATCH = 'def late(self): return 1\nlate.__qualname__ = "Net.late"\nNet.late = late\n'  # as fastcore's patch does it

@pytest.mark.parametrize('old, new, changed', [
    ('def deepest(v): return v + 1', 'def deepest(v): return v + 2', {'deepest'}),
    ('WIDTH = 3\n', 'WIDTH = 4\n', {'WIDTH'}), ('WIDTH = 3\n', 'WIDTH = 3.0\n', {'WIDTH'}),
    ('SIZES = (1, 2)', 'SIZES = (1, 3)', {'SIZES'}), ("{'a': [1, 2]}", "{'a': [1, 3]}", {'NAMES'}), ('[0.5, 0.25]', '[0.5, 0.26]', {'MEAN'}),
    ('return v * 2', 'return v * 3', {'Base'}), ('self.twice(v) +', 'self.twice(v) -', {'Net'}),
    ('def cached(v): return v', 'def cached(v): return -v', {'cached'}), ('def default(v=WIDTH)', 'def default(v=WIDTH+1)', {'default'}),
    ('    lr:float=0.1\n', '    lr:float=0.1\n    extra:int=0\n', {'Config'}), ('deep:int=1', 'deep:int=1 + 0', {'Inner'}),
    ('def fit(config):', PATCH + 'def fit(config):', {'Net.late'}),
    ('    seed_all(0)\n', '    seed_all(1)\n', {'fit'}),
    ('import seed_all\n', 'import seed_all as keep\n', {'fit'}),
], ids=str)
def test_the_key_changes_and_says_by_what(key_of, old, new, changed):
    assert old in BASE
    new = BASE.replace(old, new).replace('    seed_all(0)\n', '    keep(0)\n' if 'as keep' in new else '    seed_all(0)\n')
    (key, symbols), (other, others) = key_of(BASE), key_of(new)
    assert key != other and {n for n in symbols.keys() | others.keys() if symbols.get(n) != others.get(n)} == changed

def test_a_library_is_followed_through_its_module(key_of):
    assert {'train.predict_all', 'train.half_forward', 'train._as_float'} <= key_of(BASE.replace('train.accuracy', 'train.predict_all'))[1].keys()

def test_a_library_is_followed_through_an_inner_import(key_of):
    for line in ('import kata_blog.train as t; t.place', 'import kata_blog.train; kata_blog.train.place', 'from kata_blog import train as t; t.place', 'from kata_blog.train import place; place'):
        assert 'train.place' in key_of(BASE.replace('    train.accuracy', '    ' + line))[1]

@pytest.mark.parametrize('config', ['Config(lr=0.2)', 'Config(inner=Inner(deep=2))', 'Config(lr=1)'])
def test_every_value_of_the_configuration_counts(key_of, config):
    assert key_of(BASE, 'Config(lr=1.)')[0] != key_of(BASE, config)[0] != key_of(BASE)[0]

def test_the_notebook_and_the_package_have_one_key(key_of):
    code = ('import json, sys\nfrom execnb.shell import CaptureShell\nshell = CaptureShell()\n'
            'for cell in json.loads(sys.stdin.read()): shell.run(cell)\n'
            'shell.run("from kata_blog.train import call_key\\nkey = call_key(fit, Config())")\nprint(shell.user_ns["key"][0])')
    cells = ['#| exports\n' + cell for cell in BASE.strip().split('\n\n')]
    earlier = ['class Config: pass', 'class Inner:\n    deep:int=5', 'def deepest(v): return 0']  # tries that later cells replace
    env = {**os.environ, 'PYTHONPATH': str(Path(train.__file__).parents[1])}
    out = subprocess.run([sys.executable, '-c', code], input=json.dumps(earlier + cells), capture_output=True, text=True, env=env)
    assert out.stdout.split()[-1:] == [key_of(BASE)[0]], out.stderr[-2000:]

def test_a_configuration_of_the_notebook_counts_whole(tmp_path, monkeypatch):
    made = '@dataclass(frozen=True)\nclass Late:\n    a:int=1\n'
    keys = []
    for text in (made, made + '    def b(self): return 1\n'):
        monkeypatch.setitem(sys.modules, '__main__', sys.modules['__main__'])
        keys.append(call_key(plain, load_module(tmp_path, 'from dataclasses import dataclass\n' + text, '__main__').Late())[0])
    assert keys[0] != keys[1]

def test_a_closure_counts_by_what_it_holds():
    def make(n):
        def scale(config): return n
        return scale
    assert call_key(make(1), Plain()) == call_key(make(1), Plain()) != call_key(make(2), Plain())

def test_core_counts_by_name_only(key_of):
    text = 'from kata_blog.core import text_hash, KataError\n' + BASE.replace('seed_all(0)', "seed_all(0); text_hash('a'); KataError")
    assert key_of(text)[1].keys() == key_of(BASE)[1].keys()

@dataclass(frozen=True)
class Plain:
    a:int=1

@dataclass(frozen=True)
class Holder:
    what:object

@dataclass
class Loose:
    a:int=1

holder = nn.Linear(1, 1)
def uses_model(config): return holder
def plain(config): return 1
made_of_text = {'__name__': __name__}
exec('def typed(config): return 1', made_of_text)

@pytest.mark.parametrize('fn, config, text', [
    (plain, Loose(), 'frozen=True'), (plain, {'a': 1}, 'frozen=True'), (plain, Plain, 'frozen=True'), (lambda c: 1, Plain(), 'with a name'), (Plain, Plain(), 'with a name'),
    (uses_model, Plain(), "'uses_model' uses the global 'holder', a Linear"), (plain, Holder(nn.Linear(1, 1)), "configuration Holder of 'plain' holds an object, a Linear"),
    (made_of_text['typed'], Plain(), "source of 'typed'")])
def test_calls_that_cannot_be_compared_are_refused(fn, config, text):
    with pytest.raises(KataError, match=text): call_key(fn, config)

@pytest.mark.parametrize('one, two', [
    (1, 1.), (1, True), ('a', b'a'), ((1,), [1]), ({1: 2, 3: 4}, {3: 4, 1: 2}), (nn.ReLU, nn.GELU), (torch.float32, torch.float16), (torch.zeros(2), torch.zeros(1, 2)),
    (np.zeros(2), np.zeros(2, dtype=np.float32)), (None, 'None'), (('a, str b',), ('a', 'b')), ("a', str 'b", "a")], ids=str)
def test_values_that_differ_give_other_keys(one, two):
    assert call_key(plain, Holder(one))[0] == call_key(plain, Holder(one))[0] != call_key(plain, Holder(two))[0]

def test_the_order_of_a_set_does_not_count():
    assert call_key(plain, Holder({'a', 'b', 'c'}))[0] == call_key(plain, Holder(set('cba')))[0]

# ---------------------------------------------------------------- once

@dataclass(frozen=True)
class Task:
    note:str                                               # a file that gets a letter for each computation
    value:int=1

def work(config):
    with open(config.note, 'a') as f: f.write('x')
    torch.rand(3), random.random(), np.random.rand()
    return {'n': config.value, 'v': torch.arange(4.)}

@pytest.fixture
def note(tmp_path):
    (tmp_path/'note').write_text('')
    return tmp_path/'note'

def kept_folder(): return next(Path(os.environ['KATA_RUN_DIR'], 'once').glob('work-*'))

def test_a_call_is_computed_once(note):
    first, second = once(work, Task(str(note))), once(work, Task(str(note)))
    assert note.read_text() == 'x' and first.made == second.made and torch.equal(first.value['v'], second.value['v'])
    for value in (2, 1, 2): assert once(work, Task(str(note), value)).value['n'] == value
    assert note.read_text() == 'xx'

def test_made_says_where_the_result_comes_from(note):
    made = once(work, Task(str(note))).made
    assert (made.name, made.key) == ('work', call_key(work, Task(str(note)))[0])
    assert made.torch == torch.__version__ and 0 <= made.seconds < 60 and 'threads' in made.device and made.when.endswith('+00:00') and 'work' in made.symbols

def spoil(file, how):
    data = file.read_bytes()
    if how == 'gone': return file.unlink()
    if how in ('other', 'fewer'): about = json.loads(data)
    file.write_bytes({'cut': lambda: data[:-1], 'turned': lambda: data[:-1] + bytes([data[-1] ^ 1]), 'empty': lambda: b'', 'list': lambda: b'[]',
                      'other': lambda: json.dumps({**about, 'key': '0' * 64}).encode(), 'fewer': lambda: json.dumps({k: v for k, v in about.items() if k != 'device'}).encode()}[how]())

@pytest.mark.parametrize('name, how', [(n, h) for n in ('tensors.safetensors', 'value.json', 'made.json') for h in ('cut', 'gone', 'turned', 'empty')] + [('made.json', h) for h in ('list', 'other', 'fewer')])
def test_a_damaged_result_is_named_in_one_line_and_made_again(note, capsys, name, how):
    once(work, Task(str(note)))
    spoil(kept_folder()/name, how)
    value = once(work, Task(str(note))).value
    said = capsys.readouterr().err
    assert note.read_text() == 'xx' and said.count('\n') == 1 and f'the kept {kept_folder().name} is damaged' in said and str(note.parent) not in said
    once(work, Task(str(note)))
    assert note.read_text() == 'xx' and torch.equal(value['v'], torch.arange(4.)) and capsys.readouterr().err == ''
    assert [f.name for f in kept_folder().parent.iterdir()] == [kept_folder().name]

def test_off_computes_each_time_and_keeps_nothing(note, monkeypatch):
    monkeypatch.setenv('KATA_ONCE', 'off')
    for _ in range(2): assert torch.equal(once(work, Task(str(note))).value['v'], torch.arange(4.))
    assert note.read_text() == 'xx' and not Path(os.environ['KATA_RUN_DIR']).exists()
    monkeypatch.setenv('KATA_ONCE', 'no')
    with pytest.raises(KataError, match="KATA_ONCE: unknown value 'no'"): once(work, Task(str(note)))

def test_the_random_state_afterwards_is_the_same_made_or_loaded(note):
    def after():
        seed_all(1)
        once(work, Task(str(note)))
        return torch.rand(1).item(), random.random(), np.random.rand()
    assert after() == after() and note.read_text() == 'x'

def fails(config):
    random.random(), torch.rand(1)
    raise ZeroDivisionError

def test_a_failing_function_leaves_nothing_and_the_random_state():
    seed_all(1); expected = random.random(), torch.rand(1).item()
    seed_all(1)
    with pytest.raises(ZeroDivisionError): once(fails, Plain())
    assert (random.random(), torch.rand(1).item()) == expected and not list(Path(os.environ['KATA_RUN_DIR']).rglob('*'))

def test_two_at_once_end_with_one_whole_result(tmp_path):
    folder, both, ended = tmp_path/'once'/'work-k', threading.Barrier(2), []
    def save(n):
        both.wait()
        train._save(folder, {'n': n, 'v': torch.ones(10)}, Made('work', 'k', 'now', 'cpu', 1.0, '2', {}))
        ended.append(n)
    for _ in range(10):
        ended.clear()
        threads = [threading.Thread(target=save, args=(n,)) for n in range(2)]
        for t in threads: t.start()
        for t in threads: t.join()
        assert len(ended) == 2 and train._load(folder, 'k').value['n'] in (0, 1) and [f.name for f in folder.parent.iterdir()] == ['work-k']

VALUES = [None, True, 3, 0.1, float('inf'), 'text', [], (), {}, [1, (2, [3])], {'a': {'b': (1,)}}, {1: 'one', None: 'none', (1, 2): 'pair'}, {'tensor': 0}, np.float32(0.5), np.int64(3)]
TENSORS = [torch.zeros(0), torch.tensor(3), torch.ones(2, 3, dtype=torch.bfloat16), torch.arange(6).view(2, 3).T, torch.tensor([True]), nn.Parameter(torch.ones(2)),
           torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)]

@pytest.mark.parametrize('value', VALUES, ids=repr)
def test_plain_values_come_back_as_they_were(value):
    back = train._unpack(json.loads(json.dumps(train._pack(value, []))), {})
    assert back == value and type(back) is type(value.item() if isinstance(value, np.generic) else value)

@pytest.mark.parametrize('value', TENSORS, ids=lambda t: f'{t.dtype}{tuple(t.shape)}')
def test_tensors_come_back_as_they_were(tmp_path, value):
    train._save(tmp_path/'f', {'a': [value, value]}, Made('f', 'k', '', '', 0., '', {}))
    for back in train._load(tmp_path/'f', 'k').value['a']:
        assert torch.equal(back, value) and back.dtype == value.dtype and type(back) is torch.Tensor and not back.requires_grad

def test_arrays_and_state_dicts_come_back(tmp_path):
    net = nn.BatchNorm1d(3)
    train._save(tmp_path/'f', (np.arange(3), net.state_dict()), Made('f', 'k', '', '', 0., '', {}))
    array, state = train._load(tmp_path/'f', 'k').value
    assert isinstance(array, np.ndarray) and array.tolist() == [0, 1, 2]
    assert list(state) == list(net.state_dict()) and not nn.BatchNorm1d(3).load_state_dict(state).missing_keys

@pytest.mark.parametrize('value', [object(), nn.Linear(1, 1), {1, 2}, Plain(), Made('a', 'b', 'c', 'd', 0., 'e', {})], ids=lambda v: type(v).__name__)
def test_other_results_are_refused(value):
    with pytest.raises(KataError, match=f'the result holds a {type(value).__name__}'): train._pack([value], [])

# ---------------------------------------------------------------- resuming

@pytest.fixture(autouse=True)
def one_thread():
    "As in the server's processes: sums over threads may differ in the last bit."
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

@pytest.fixture(scope='module')
def server():
    server = resuming.Server()
    yield server
    server.close()

@pytest.fixture(scope='module')
def whole(server, tmp_path_factory):
    "What each task gives when nothing interrupts it, and its `made`."
    found = {}
    def of(task):
        if task not in found:
            folder = tmp_path_factory.mktemp(task)
            assert server.sit(task, folder, every_s='1000') == 0
            found[task] = resuming.kept(folder)
        return found[task]
    return of

def resume(server, task, folder, deaths, every_s='0'):
    "Kill a task at each of `deaths`, then let it end; what is kept, and the number of sittings that died."
    died = sum(server.sit(task, folder, death, every_s) == -9 for death in deaths)
    assert server.sit(task, folder, None, every_s) == 0
    return *resuming.kept(folder), died

KILLS = int(os.environ.get('KATA_KILLS') or 3)              # trainings of each kind that are killed at random; the long form: 200

@pytest.mark.parametrize('task', resuming.TASKS)
def test_a_training_killed_anywhere_ends_with_the_same_bits(server, whole, tmp_path, task):
    rng = random.Random(task)
    (expected, made), n = whole(task), resuming.STEPS[task]
    assert [s['steps'] for s in made['segments']] == [n]
    for i in range(KILLS):
        deaths = [(rng.choice(['step', 'step', 'step', 'write', 'replace', 'replaced']), rng.randint(1, n)), *(('time', rng.randint(200, 900)) for _ in range(rng.randint(0, 2)))]
        rng.shuffle(deaths)
        every_s = rng.choice(['0', '0', '0.02'])
        found, made, died = resume(server, task, tmp_path/f'{i}', deaths, every_s)
        assert found == expected, (task, deaths, every_s)
        assert died or every_s != '0' or deaths[0][0] == 'time', (task, deaths)  # with fewer checkpoints, a death at one of them may not come
        assert sum(s['steps'] for s in made['segments']) == n and made['seconds'] == pytest.approx(sum(s['seconds'] for s in made['segments']), abs=0.01)

@pytest.mark.parametrize('task, deaths, steps', [
    ('sgd', [('step', 6)], [5, 10]),
    ('sgd', [('step', 6), ('step', 1)], [5, 10]),           # the second sitting came to nothing
    ('sgd', [('step', 5), ('step', 4), ('step', 3)], [4, 3, 2, 6]),
    ('sgd', [('validate', 1)], [5, 10]), ('sgd', [('validate', 3)], [15, 0]),
    ('sgd', [('write', 7)], [6, 9]), ('sgd', [('replace', 7)], [6, 9]), ('sgd', [('replaced', 7)], [7, 8]),
    ('sgd', [('rename', 1)], [15, 0]),                      # between the training and the storing of its result
    ('two', [('step', 11)], [10, 15]), ('two', [('step', 14)], [13, 12]),
    ('two', [('replace', 11)], [10, 15]), ('two', [('replaced', 11)], [10, 15]),  # as the first of its fits is kept
], ids=str)
def test_nothing_is_done_twice(server, whole, tmp_path, task, deaths, steps):
    found, made, died = resume(server, task, tmp_path/'run', deaths)
    assert found == whole(task)[0] and died == len(deaths) and [s['steps'] for s in made['segments']] == steps
    assert all(s.keys() == {'when', 'seconds', 'device', 'torch', 'steps'} for s in made['segments'])

def test_a_checkpoint_is_written_when_its_time_has_come(server, whole, tmp_path):
    found, made, _ = resume(server, 'sgd', tmp_path/'run', [('step', 10)], every_s='1000')
    assert found == whole('sgd')[0] and [s['steps'] for s in made['segments']] == [15]
    found, made, _ = resume(server, 'two', tmp_path/'two', [('step', 14)], every_s='1000')  # the end of a fit is always kept
    assert found == whole('two')[0] and [s['steps'] for s in made['segments']] == [10, 15]

@contextmanager
def power_cut(after):
    "Let a training in this process end after some steps."
    from fastai.learner import Learner
    step, calls = Learner._step, []
    def until(self):
        if len(calls) == after: raise KeyboardInterrupt
        calls.append(step(self))
    with mock.patch.object(Learner, '_step', until), pytest.raises(KeyboardInterrupt): yield

@pytest.fixture
def cut(monkeypatch):
    "A training of 15 steps that was cut after 6; its checkpoint."
    monkeypatch.setenv('KATA_CHECKPOINT_S', '0')
    with power_cut(6): once(resuming.sgd, resuming.Task())
    path, = Path(os.environ['KATA_RUN_DIR']).glob('once/sgd-*.unfinished/1.safetensors')
    return path

def rewrite(path, change):
    about, state = train._read_state(path)
    state_about = {k: about[k] for k in ('form', 'key', 'segments')}
    change(state_about, state)
    train._write_state(path, state_about, state)

DAMAGE = {'cut': lambda p: p.write_bytes(p.read_bytes()[:-1]), 'empty': lambda p: p.write_bytes(b''), 'text': lambda p: p.write_bytes(b'{}' * 400),
          'tensor': lambda p: p.write_bytes(p.read_bytes()[:-1] + b'!'), 'header': lambda p: p.write_bytes(p.read_bytes().replace(b'steps', b'stepz')),
          'number': lambda p: p.write_bytes(re.sub(rb'batch\\", \d', rb'batch\\", 9', p.read_bytes())),
          'key': lambda p: rewrite(p, lambda about, state: about.update(key='0' * 64)), 'form': lambda p: rewrite(p, lambda about, state: about.update(form=0)),
          'model': lambda p: rewrite(p, lambda about, state: state['form'].pop()), 'fewer': lambda p: rewrite(p, lambda about, state: state.pop('form'))}

@pytest.mark.parametrize('how', DAMAGE)
def test_a_checkpoint_that_is_damaged_or_of_another_call_is_named_and_dropped(cut, whole, capfd, how):
    before = cut.read_bytes()
    DAMAGE[how](cut)
    assert cut.read_bytes() != before
    made = once(resuming.sgd, resuming.Task()).made
    said = capfd.readouterr().err
    assert said.count('\n') == 1 and f'the checkpoint {cut.parent.name}/1.safetensors is dropped (' in said and str(cut.parents[2]) not in said
    assert resuming.kept(os.environ['KATA_RUN_DIR'])[0] == whole('sgd')[0] and [s['steps'] for s in made.segments] == [15]

def test_a_whole_checkpoint_is_taken_up_without_a_word(cut, whole, capfd):
    made = once(resuming.sgd, resuming.Task()).made
    assert capfd.readouterr() == ('', '') and [s['steps'] for s in made.segments] == [6, 9] and resuming.kept(os.environ['KATA_RUN_DIR'])[0] == whole('sgd')[0]

@pytest.mark.parametrize('tensor', [torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last), torch.randn(3, 1, 1, 1).to(memory_format=torch.channels_last), torch.randn(3, 4).T, torch.ones(3, 1).expand(3, 4), torch.zeros(0, 2), torch.tensor(3.), torch.ones(4, dtype=torch.bfloat16)], ids=lambda t: f'{tuple(t.shape)} {t.stride()}')
def test_a_checkpoint_keeps_the_order_of_memory(tmp_path, tensor):
    train._write_state(tmp_path/'s', {}, [tensor])
    back, = train._read_state(tmp_path/'s')[1]
    assert torch.equal(back, tensor) and back.dtype == tensor.dtype and back.stride() == torch.empty_like(tensor).stride()

def test_a_full_disk_stops_no_training_but_the_storing(cut, whole, capfd, monkeypatch):
    def full(path, content):
        if full.always or '.unfinished' in str(path): raise OSError(28, 'No space left on device', str(path))
        return write_atomic(path, content)
    full.always, write_atomic = True, train.write_atomic
    monkeypatch.setattr(train, 'write_atomic', full)
    with pytest.raises(OSError, match='No space'): once(resuming.sgd, resuming.Task())
    full.always = False
    made = once(resuming.sgd, resuming.Task()).made
    said = capfd.readouterr().err.splitlines()
    assert len(said) == 2 and all(s.endswith('1.safetensors (No space left on device); the training goes on, and would start anew after a crash') for s in said)
    assert [s['steps'] for s in made.segments] == [6, 9] and resuming.kept(os.environ['KATA_RUN_DIR'])[0] == whole('sgd')[0]

def test_off_resumes_nothing(cut, monkeypatch):
    monkeypatch.setenv('KATA_ONCE', 'off')
    monkeypatch.setattr(train, '_write_state', None)
    before = {p: p.stat().st_mtime_ns for p in cut.parents[1].rglob('*')}
    assert [s['steps'] for s in once(resuming.sgd, resuming.Task()).made.segments] == [15]
    assert {p: p.stat().st_mtime_ns for p in cut.parents[1].rglob('*')} == before

def test_a_result_leaves_no_checkpoint_even_after_a_kill_at_the_very_end(cut):
    once(resuming.sgd, resuming.Task())
    assert not cut.parent.exists()
    cut.parent.mkdir()
    cut.write_bytes(b'x')
    once(resuming.sgd, resuming.Task())
    assert not cut.parent.exists()

def test_outside_of_once_nothing_is_written(monkeypatch):
    monkeypatch.setenv('KATA_CHECKPOINT_S', '0')
    resuming.sgd(resuming.Task())
    assert not Path(os.environ['KATA_RUN_DIR']).exists()

@pytest.mark.parametrize('asked', ['often', '-1', 'nan', '1e3x'])
def test_a_time_between_checkpoints_is_a_number(monkeypatch, asked):
    monkeypatch.setenv('KATA_CHECKPOINT_S', asked)
    with pytest.raises(KataError, match=f"KATA_CHECKPOINT_S: found '{asked}'; needed"): once(resuming.sgd, resuming.Task())

def with_counter(config):
    from fastai.callback.core import Callback
    seen, (batches, valid), net = [], resuming.batches(0), resuming.make_net()
    fit_model(net, batches, torch.optim.SGD(net.parameters(), lr=0.1), 2, cbs=(Callback(after_step=lambda cb: seen.append(cb.train_iter)),))
    return seen

def test_a_fit_whose_callback_cannot_be_kept_starts_at_its_beginning(monkeypatch):
    monkeypatch.setenv('KATA_CHECKPOINT_S', '0')
    with power_cut(6): once(with_counter, Plain())
    assert once(with_counter, Plain()).value == list(range(10))

def outer(config): return {'inner': once(resuming.sgd, resuming.Task()).value, 'own': resuming.adamw(resuming.Task())}

def test_a_call_inside_a_call_keeps_to_its_own_place(monkeypatch, whole):
    monkeypatch.setenv('KATA_CHECKPOINT_S', '0')
    with power_cut(6): once(outer, Plain())
    with power_cut(12): once(outer, Plain())               # 9 of the inner one, 3 of its own
    result = once(outer, Plain())
    assert [s['steps'] for s in result.made.segments] == [3, 12]
    tensors, expected = [], json.loads(whole('adamw')[0][1])
    assert json.loads(json.dumps(train._pack(result.value['own'], tensors))) == expected

def asks_another(config): return once(work, config).value, fit_model

def test_how_checkpoints_are_written_is_in_no_key():
    symbols = call_key(asks_another, Task('a'))[1]
    assert {'asks_another', 'work', 'train.fit_model', 'train.Batches', 'train._Curve'} <= symbols.keys()
    assert not {n for n in symbols if re.search('once|_resumed|_Fit|_Sitting|_state|_save|_load|_MADE', n)}

def diverges(config):
    seed_all(0)
    net, x = small_net(), torch.randn(40, 4)
    train = Batches(x, (x[:, 0] > 0).long(), bs=8, shuffle=True, transform=lambda x, y, epoch: (x / (epoch == 0), y))
    return fit_model(net, train, torch.optim.SGD(net.parameters(), lr=0.1), 2)

def test_a_fit_that_failed_is_not_taken_for_finished(monkeypatch):
    monkeypatch.setenv('KATA_CHECKPOINT_S', '0')
    for _ in range(2):
        with pytest.raises(KataError, match='became nan at step 5 of 10'): once(diverges, Plain())

def test_made_lists_what_this_process_got(note, monkeypatch):
    monkeypatch.setattr(train, '_MADE', {})
    assert train.made() == []
    result = once(work, Task(str(note)))
    once(work, Task(str(note)))                            # loaded, but it was made here
    one, = train.made()
    assert one == {k: v for k, v in result.made._asdict().items() if k != 'symbols'} | {'loaded': False} and len(one['segments']) == 1
    monkeypatch.setattr(train, '_MADE', {})
    once(work, Task(str(note)))
    assert train.made() == [one | {'loaded': True}]

TRAINING = '''
import os, signal, sys, torch
from dataclasses import dataclass
from pathlib import Path
from fastai.learner import Learner
from torch import nn
from kata_blog.core import report, run_dir
from kata_blog.train import Batches, fit_model, once, seed_all

@dataclass(frozen=True)
class Config: epochs:int=30

def fit(config):
    seed_all(0)
    net, x = nn.Linear(4, 2), torch.randn(80, 4)
    train = Batches(x, (x[:, 0] > 0).long(), bs=8, shuffle=True)
    return fit_model(net, train, torch.optim.AdamW(net.parameters(), lr=0.01), config.epochs)

first, steps, step = not (run_dir()/'log.old').exists(), [], Learner._step
(run_dir()/'log.old').touch()
def mortal(self):
    if first and len(steps) == 150: os.kill(os.getpid(), signal.SIGKILL)
    steps.append(step(self))
Learner._step = mortal
result = once(fit, Config())
report(done=len(steps), loss=sum(result.value['loss']))
'''

def test_a_run_that_was_killed_goes_on_and_its_record_says_so(tmp_path, monkeypatch):
    pytest.importorskip('execnb')
    from kata_blog.press.record import make_record
    from kata_blog.press.run import run_note
    from making import write_post
    monkeypatch.setenv('KATA_CHECKPOINT_S', '0')
    post = write_post(tmp_path, [TRAINING])
    killed = run_note(post, 'full', tmp_path)
    assert killed.ended == 'failed' and 'SIGKILL' in killed.error and killed.parts == []
    run = run_note(post, 'full', tmp_path)
    assert run.ended == 'passed', run.error
    part, = make_record(post, run, {}, tmp_path)['parts']
    assert run.metrics['done']['value'] == 150 and [s['steps'] for s in part['segments']] == [150, 150]
    assert part['name'] == 'fit' and not part['loaded'] and part['seconds'] == pytest.approx(sum(s['seconds'] for s in part['segments']), abs=0.01)
    again = run_note(post, 'full', tmp_path)
    assert again.parts == [part | {'loaded': True}] and again.metrics['loss'] == run.metrics['loss'] and again.metrics['done']['value'] == 0

# ---------------------------------------------------------------- weights

class Normed(nn.Module):
    def __init__(self, n=4):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, n, 3), nn.BatchNorm2d(n)

def test_weights_come_back_and_norms_keep_their_digits(tmp_path):
    net = Normed()
    net.norm.running_mean.fill_(0.123456789)               # more digits than half precision has
    path = save_weights(net, 'subject')
    assert path == tmp_path/'run'/'weights'/'subject.safetensors'
    back = load_weights(Normed(), 'subject', folder=path.parent)
    assert not back.training and torch.equal(back.norm.running_mean, net.norm.running_mean) and back.conv.weight.dtype == torch.float32
    assert torch.equal(back.conv.weight, net.conv.weight.half().float()) and back.norm.num_batches_tracked.dtype == torch.int64

def test_values_that_half_precision_cannot_hold_stay():
    net = nn.Linear(2, 2)
    net.weight.data[0, 0] = 1e6
    back = load_weights(nn.Linear(2, 2), 'subject', folder=save_weights(net, 'subject').parent)
    assert torch.equal(back.weight, net.weight)

def test_a_published_run_writes_where_it_is_told_and_says_whence(tmp_path, monkeypatch):
    from safetensors import safe_open
    monkeypatch.setenv('KATA_WEIGHTS', str(tmp_path/'staged'))
    path = save_weights(Normed(), 'subject', Made('fit', 'k' * 64, 'then', 'cpu', 1., '2', {}))
    assert path.parent == tmp_path/'staged' and [f.name for f in path.parent.iterdir()] == ['subject.safetensors']
    with safe_open(path, 'pt') as f: assert json.loads(f.metadata()['kata']) == {'subject': 'subject', 'key': 'k' * 64, 'when': 'then'}

def test_the_same_weights_are_the_same_bytes():
    net, made = Normed(), Made('fit', 'k', 'then', 'cpu', 1., '2', {})
    assert len({save_weights(net, 'subject', made).read_bytes() for _ in range(8)}) == 1

def test_weights_over_the_limit_are_refused_and_not_written(tmp_path):
    with pytest.raises(KataError, match=r'takes 2\.0 MB and at most 2 MB'): save_weights(nn.Linear(1001, 1000), 'subject')
    assert not list(tmp_path.rglob('*.safetensors'))

@pytest.mark.parametrize('net, text', [
    (lambda: Normed(5), r"'conv.bias' is \(4,\) and the model needs \(5,\)"), (lambda: nn.Sequential(nn.Conv2d(1, 4, 3)), "'0.bias' is missing"),
    (lambda: nn.ModuleDict({'conv': nn.Conv2d(1, 4, 3)}), "'norm.bias' is not in the model")])
def test_weights_of_another_model_are_refused(net, text):
    folder = save_weights(Normed(), 'subject').parent
    with pytest.raises(ShapeError, match=text): load_weights(net(), 'subject', folder=folder)

def test_weights_that_are_missing_damaged_or_misnamed():
    path = save_weights(Normed(), 'subject')
    with pytest.raises(KataError, match='there is no other.safetensors; known: subject'): load_weights(Normed(), 'other', folder=path.parent)
    with pytest.raises(KataError, match='there is no no_such_subject.safetensors'): load_weights(Normed(), 'no_such_subject')
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(KataError, match='subject.safetensors is damaged'): load_weights(Normed(), 'subject', folder=path.parent)
    with pytest.raises(KataError, match='is no subject'): save_weights(Normed(), '../up')
