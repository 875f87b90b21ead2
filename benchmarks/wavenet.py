"WaveNet: sampling from the ring in NumPy against a plain eager queue of the same model in PyTorch, one wave and several; the logits of both agree."
import argparse
import time
from collections import deque

import numpy as np
import torch
import torch.nn.functional as F

from kata_blog.train import device_name
from kata_blog.wavenet import Sampler, WaveNet, generate

SIZES = {'the post, two cores': dict(dilations=tuple(2**i for i in range(8)), width=32, skip=64), 'the paper, one cycle': dict(dilations=tuple(2**i for i in range(10)), width=64, skip=256)}

class Queue:
    "A queue for each layer, each step in the module's own calls."
    def __init__(self, model, bs):
        self.model, self.queues = model, [deque([torch.zeros(bs, model.embed.embedding_dim)]*d) for d in model.dilations]

    @torch.no_grad()
    def step(self, code):
        model, x, found = self.model, self.model.embed(code), []
        for i, (queue, gate) in enumerate(zip(self.queues, model.gates)):
            a, b = gate(torch.cat([queue.popleft(), x], 1)).chunk(2, 1)
            queue.append(x)
            found.append(torch.tanh(a)*torch.sigmoid(b))
            if i < len(model.mixes): x = x + model.mixes[i](found[-1])
        return model.head(F.relu(model.hidden(F.relu(model.skip(torch.cat(found, 1))))))

def write_queued(model, n, bs):
    queue, code, out = Queue(model, bs), torch.full((bs,), 128), []
    for _ in range(n):
        code = queue.step(code).softmax(1).multinomial(1)[:, 0]
        out.append(code)
    return torch.stack(out, 1)

def write_ring(model, n, bs):
    if bs == 1: return generate(model, n)
    rng, sampler, codes = np.random.default_rng(0), Sampler(model).start(bs), np.full(bs, 128)
    for _ in range(n):
        logits = sampler.step(codes)
        codes = (logits - np.log(rng.standard_exponential(logits.shape, np.float32) + 1e-30)).argmax(0)

def differ(model, n=300):
    "The largest difference of the logits on the same samples."
    queue, sampler = Queue(model, 1), Sampler(model).start()
    x = torch.randint(256, (n,))
    return max(np.abs(sampler.step(c[None].numpy())[:, 0] - queue.step(c[None])[0].numpy()).max() for c in x)

if __name__ == '__main__':
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument('--samples', type=int, default=2000)
    ask.add_argument('--repeats', type=int, default=5)
    args = ask.parse_args()
    torch.set_num_threads(1)  # products this small only wait for each other
    print(device_name(torch.device('cpu')))
    for name, size in SIZES.items():
        torch.manual_seed(0)
        model = WaveNet(**size).eval()
        print(f'{name}: the logits differ by at most {differ(model):.1e}')
        for bs in (1, 16):
            seconds = {fn: [] for fn in (write_queued, write_ring)}
            for _ in range(args.repeats):
                for fn, found in seconds.items():  # in turn, so that what else the machine does meets both
                    began = time.perf_counter()
                    fn(model, args.samples, bs)
                    found.append(time.perf_counter() - began)
            queue, ring = (sorted(s)[len(s)//2] for s in seconds.values())
            n = args.samples*bs
            print(f'  {bs} at once: ring {n/ring:,.0f} samples/s, queue {n/queue:,.0f}; ratio {queue/ring:.2f}' + (' (goal 5)' if bs == 1 else ''))
