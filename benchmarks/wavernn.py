"WaveRNN of the paper's size: an eager loop against the compiled one, dense, pruned, subscaled; and a peer for the product alone."
import argparse
import os
import time

import numpy as np
import torch

from kata_blog.train import device_name
from kata_blog.wavernn import Mel, Sampler, WaveRNN, _call, keep_largest, pack_blocks

def prune(model, sparsity):
    "Each gate and each softmax on its own."
    with torch.no_grad():
        for w in [*model.gru.weight_hh_l0.chunk(3), *(head[i].weight for head in (model.coarse, model.fine) for i in (0, 2))]: w.mul_(keep_largest(w, sparsity))
    return model

@torch.inference_mode()
def eager(model, mel, n):
    "The plain loop in torch: the recurrent product once a sample, then the coarse half, then the fine one."
    gru, half = model.gru, model.units//2
    guide = model.guide(mel.values[None])[0] @ (gru.weight_ih_l0*model.mask)[:, 3:].T + gru.bias_ih_l0
    told, h, last = (gru.weight_ih_l0*model.mask)[:, :3], torch.zeros(model.units), torch.tensor([0., -1., 0.])
    for t in range(n):
        g, v = (gru.weight_hh_l0 @ h + gru.bias_hh_l0).view(3, -1), guide[t//80].view(3, -1)
        last[2] = 0
        parts = []
        for units, head, place in ((slice(0, half), model.coarse, 0), (slice(half, None), model.fine, 1)):
            x = (v + (told @ last).view(3, -1))[:, units]
            r, z = torch.sigmoid(x[:2] + g[:2, units])
            new = torch.tanh(x[2] + r*g[2, units])
            parts.append(new + z*(h[units] - new))
            drawn = torch.multinomial(head(parts[-1]).softmax(0), 1)[0]/127.5 - 1
            if place == 0: last[2] = coarse = drawn
        h, last = torch.cat(parts), torch.stack([coarse, drawn, drawn])

def rates(calls, repeats):
    "Samples a second of each, taken in turns; the median."
    found = {name: [] for name in calls}
    for _ in range(repeats + 1):
        for name, (call, n) in calls.items():
            began = time.perf_counter()
            call()
            found[name].append(n/(time.perf_counter() - began))
    return {name: sorted(rate[1:])[repeats//2] for name, rate in found.items()}  # the first compiles and warms up

def products(units, repeats):
    "The recurrent product alone: torch's dense one against ours with all blocks and with one in twenty."
    torch.manual_seed(0)
    weight, h, y = torch.randn(3*units, units), torch.randn(1, units), np.zeros((1, 3*units//16, 16), np.float32)
    forms = {'dense': pack_blocks(weight), 'sparse': pack_blocks(weight*keep_largest(weight, 0.95))}
    many = lambda call: lambda: [call() for _ in range(200)]
    calls = {'torch': (many(lambda: torch.mv(weight, h[0])), 200)} | {k: (many(lambda b=b: _call('multiply', b, h.numpy(), y)), 200) for k, b in forms.items()}
    found = rates(calls, repeats)
    print(f"product {3*units} x {units}: torch {1e6/found['torch']:.0f} us; ours with all blocks {1e6/found['dense']:.0f} us, with 5 % of them {1e6/found['sparse']:.0f} us; ratio sparse to torch {found['sparse']/found['torch']:.1f}")

if __name__ == '__main__':
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument('--units', type=int, default=896)
    ask.add_argument('--n', type=int, default=8000)
    ask.add_argument('--repeats', type=int, default=5)
    args = ask.parse_args()
    mel = Mel(torch.randn(40, -(-args.n//80), generator=torch.Generator().manual_seed(0)) - 6)
    torch.manual_seed(0)
    dense, short = WaveRNN(args.units).eval(), args.n//20
    calls = {'eager loop, dense': (lambda: eager(dense, mel, short), short), 'compiled, dense': (lambda s=Sampler(dense): s(mel, short), short)}
    for factor in (1, 4, 16):
        sampler = Sampler(prune(WaveRNN(args.units, factor).eval(), 0.95))
        calls[f'compiled, 95 % of the blocks pruned, {factor} at once'] = lambda s=sampler: s(mel, args.n), args.n
    print(f'{device_name(torch.device("cpu"))}; {os.cpu_count()} cores; the compiled loop uses one; load {os.getloadavg()[0]:.1f}')
    found = rates(calls, args.repeats)
    for name, rate in found.items(): print(f'{name}: {rate:,.0f} samples/s, {rate/found["eager loop, dense"]:.1f} times the eager loop')
    print('goal of the pruned one: 24,000 samples/s')
    products(args.units, args.repeats)
