"Small trainings that are killed and taken up again, and a server that does each of them in a fork of itself: torch is imported once."
import itertools, json, os, random, signal, subprocess, sys, time
from dataclasses import dataclass
from pathlib import Path
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from kata_blog.train import Batches, accuracy, fit_model, once, place, predict_all, seed_all, triangle

@dataclass(frozen=True)
class Task:
    epochs:int=3
    seed:int=0

def make_net(n_out=3): return place(nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 1), nn.ReLU(), nn.Dropout(0.2), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, n_out)))

def noisy(x, y, epoch):
    "An augmentation that draws from every generator and looks at the epoch."
    x = x + 0.1 * torch.randn(x.shape, device=x.device) + 0.01 * epoch + 0.01 * np.random.rand()
    return (x.flip(3) if random.random() < 0.5 else x), y

def batches(seed, classes=3):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(50, 2, 6, 6, generator=g)
    y = (x.mean((1, 2, 3)) * 30).long() % classes
    return Batches(x[:40], y[:40], bs=8, shuffle=True, seed=seed, transform=noisy), Batches(x[40:], y[40:], bs=4, transform=noisy)

def answer(model, valid, *curves):
    draws = [torch.rand(2).tolist(), random.random(), float(np.random.rand())]
    return {'weights': model.state_dict(), 'logits': predict_all(model, valid), 'curves': list(curves), 'draws': draws, 'training': [m.training for m in model.modules()], 'epochs': valid.epoch}

def sgd(config):
    seed_all(config.seed)
    model, (train, valid) = make_net(), batches(config.seed)
    opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)
    return answer(model, valid, fit_model(model, train, opt, config.epochs, schedule={'lr': triangle(0.3), 'mom': lambda part: 0.8 + 0.1 * part}, valid=valid, metrics=(accuracy,), amp=False))

def adamw(config):
    seed_all(config.seed)
    model, (train, valid) = make_net(), batches(config.seed)
    opt = torch.optim.AdamW([{'params': model[:5].parameters(), 'lr': 0.01}, {'params': model[5:].parameters()}], lr=0.03, amsgrad=True)
    return answer(model, valid, fit_model(model, train, opt, config.epochs, amp=True))

def two(config):
    seed_all(config.seed)
    model, (train, valid) = make_net(2), batches(config.seed, 2)
    first = fit_model(model, train, torch.optim.AdamW(model.parameters(), lr=0.02), 2, valid=valid, amp=False)
    model[-1] = nn.Linear(24, 3)                            # draws: the random state after the first fit counts
    train, valid = batches(config.seed)
    return answer(model, valid, first, fit_model(model, train, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), config.epochs, schedule={'lr': triangle(0.2)}, valid=valid, metrics=(accuracy,), amp=False))

class Turned(torch.optim.Optimizer):
    "Momentum made orthogonal, as in Muon, for matrices; numbers and a nested dictionary in its state."
    def __init__(self, params, lr): super().__init__(params, {'lr': lr, 'betas': (0.9, 0.5), 'name': 'turned'})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group['params']:
                state = self.state[p]
                if not state: state.update(n=0, sums={'momentum': torch.zeros_like(p), 'size': 0.})
                state['n'] += 1
                state['sums']['momentum'].lerp_(p.grad, 1 - group['betas'][0])
                state['sums']['size'] += p.grad.norm().item()
                m = state['sums']['momentum'].flatten(1) if p.ndim > 1 else state['sums']['momentum']
                if p.ndim > 1: u, _, v = torch.linalg.svd(m, full_matrices=False); m = u @ v
                p.sub_(m.view_as(p), alpha=group['lr'] / (1 + state['sums']['size'] / state['n']))

def turned(config):
    from fastai.callback.core import Callback
    class Average(Callback):
        "An average of the weights over the steps; it says how it is kept."
        def before_fit(self): self.n, self.mean = 0, [torch.zeros_like(p) for p in self.model.parameters()]
        def after_step(self):
            self.n += 1
            for m, p in zip(self.mean, self.model.parameters()): m.lerp_(p.detach(), 1 / self.n)
        def state_dict(self): return {'n': self.n, 'mean': self.mean}
        def load_state_dict(self, state): self.n, self.mean = state['n'], state['mean']
    seed_all(config.seed)
    model, (train, valid), average = make_net(), batches(config.seed), Average()
    curve = fit_model(model, train, Turned(model.parameters(), lr=0.05), config.epochs, valid=valid, metrics=(accuracy,), amp=False, cbs=(average,))
    return {**answer(model, valid, curve), 'average': average.mean, 'n': average.n}

def learned_loss(config):
    "A loss with weights and a buffer of its own, and a buffer of the model that is in no `state_dict`."
    class Margin(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))
            self.register_buffer('mean', torch.zeros(()))
        def forward(self, pred, y):
            if pred.requires_grad: self.mean.lerp_(pred.detach().mean(), 0.1)
            return F.cross_entropy(pred * self.scale - self.mean, y) + self.scale ** 2 / 10
    class Drift(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer('seen', torch.zeros(()), persistent=False)
        def forward(self, x):
            if self.training: self.seen += 1
            return x * (1 + self.seen / 50)
    seed_all(config.seed)
    model, loss, (train, valid) = nn.Sequential(Drift(), make_net()), Margin(), batches(config.seed)
    opt = torch.optim.SGD([*model.parameters(), *loss.parameters()], lr=0.1, momentum=0.5)
    curve = fit_model(model, train, opt, config.epochs, loss=loss, valid=valid, amp=False)
    return {**answer(model, valid, curve), 'loss': loss.state_dict(), 'seen': model[0].seen}

TASKS = {f.__name__: f for f in (sgd, adamw, two, turned, learned_loss)}
STEPS = {name: 25 if name == 'two' else 15 for name in TASKS}

# ---------------------------------------------------------------- death

def die_at(where, owner, name, n, after=False):
    "Replace a function by one whose `n`-th call ends this process."
    fn, calls = getattr(owner, name), itertools.count(1)
    def mortal(*args, **kw):
        last = next(calls) == n
        if last and not after: os.kill(os.getpid(), signal.SIGKILL)
        result = fn(*args, **kw)
        if last: os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, mortal)

def sit(task, env, death):
    "One sitting of a task, in a process of its own; `death` is None, or where and at which call of it the process is killed; `time` is up to the server."
    from fastai.learner import Learner
    os.environ.update(env)
    places = {'step': (Learner, '_step'), 'write': (os, 'fsync'), 'replace': (os, 'replace'), 'replaced': (os, 'replace'), 'rename': (os, 'rename'), 'validate': (Learner, '_do_epoch_validate')}
    if death and death[0] != 'time': die_at(death[0], *places[death[0]], death[1], after=death[0] == 'replaced')
    once(TASKS[task], Task())

def serve():
    import fastai.callback.schedule, fastai.learner, fastai.optimizer, safetensors.torch
    Turned([torch.zeros(1, requires_grad=True)], lr=1.)    # the first optimiser imports a good deal more
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if not pid:
            status = 1
            try: status = sit(*job) or 0
            finally:
                sys.stderr.flush()
                os._exit(status)
        if job[2] and job[2][0] == 'time':
            time.sleep(job[2][1] / 1000)
            os.kill(pid, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)

class Server:
    def __init__(self):
        env = {**os.environ, 'PYTHONPATH': os.pathsep.join([str(Path(__file__).parent), *sys.path]), 'OMP_NUM_THREADS': '1', 'KATA_DEVICE': 'cpu'}
        env = {k: v for k, v in env.items() if k not in ('KATA_ONCE', 'KATA_CHECKPOINT_S')}
        self.process = subprocess.Popen([sys.executable, '-c', 'import resuming; resuming.serve()'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def sit(self, task, run_dir, death=None, every_s='0'):
        "The exit status of a sitting."
        self.process.stdin.write(json.dumps([task, {'KATA_RUN_DIR': str(run_dir), 'KATA_CHECKPOINT_S': every_s}, death]) + '\n')
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()

def kept(run_dir):
    "Bytes of the one result in a run's folder, and its `made`; nothing else may be left there."
    folder, = Path(run_dir, 'once').glob('[!.]*')
    return [(folder/name).read_bytes() for name in ('tensors.safetensors', 'value.json')], json.loads((folder/'made.json').read_text())
