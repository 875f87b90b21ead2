"Feature visualisation of the small classifier: one channel at 128 pixels, and a layer at once against channel by channel: `python benchmarks/interpret.py`."
import os, time

import torch

from kata_blog.hub import load
from kata_blog.interpret import Fourier, channel, jitter, render, wobble
from kata_blog.train import device_name, pick_device

MOVED = (jitter(3), wobble(10, 0.1), jitter(3))

def cost(run):
    "Seconds on the clock, and of all cores together."
    start, cpu = time.perf_counter(), time.process_time()
    run()
    if torch.cuda.is_available(): torch.cuda.synchronize()
    return time.perf_counter() - start, time.process_time() - cpu

def one_channel(net, layer, side=128, steps=512, whole=False):
    "One channel; `whole` has the network go on behind the layer, whose answer is all that is needed."
    wish = channel(layer, 3) + 0*channel('output', 0) if whole else channel(layer, 3)
    torch.manual_seed(0)
    return cost(lambda: render(net, wish, Fourier(1, side), steps, transforms=MOVED))

def a_layer(net, layer='halve.1', side=32, steps=32):
    "All channels of a layer in one batch, and one after the other."
    n = dict(net.named_modules())[layer][0].out_channels
    together = cost(lambda: render(net, channel(layer, list(range(n))), Fourier(n, side), steps, transforms=MOVED))
    return n, together, cost(lambda: [render(net, channel(layer, k), Fourier(1, side), steps, transforms=MOVED) for k in range(n)])

if __name__ == '__main__':
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', min(2, os.cpu_count()))))
    net = load('classifier').to(pick_device())
    print(f'{device_name(pick_device())}; seconds on the clock (of all cores)')
    for layer in ('halve.0', 'halve.1', 'halve.2'):
        (clock, cores), (clock_whole, cores_whole) = one_channel(net, layer), one_channel(net, layer, whole=True)
        print(f'one channel of {layer}, 512 steps, 128 pixels: {clock:.1f} ({cores:.1f}); with the whole network {clock_whole:.1f} ({cores_whole:.1f})')
    n, together, alone = a_layer(net)
    print(f'{n} channels of halve.1, 32 steps, 32 pixels: together {together[0]:.1f} ({together[1]:.1f}), one by one {alone[0]:.1f} ({alone[1]:.1f}): {alone[0]/together[0]:.1f} times as fast')
