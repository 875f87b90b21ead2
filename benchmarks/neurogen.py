"""Codes a second of made EEG, 64 channels at 160 Hz, with the cache and without, and how long a minute takes; beside a token for each sample.

`python benchmarks/neurogen.py`; the weights are random, since speed does not depend on them."""
import argparse
import time

import torch

from kata_blog.gpt import GPT, generate
from kata_blog.neurogen import Composer, Config, Quantiser
from kata_blog.train import device_name

def seconds(call):
    began = time.perf_counter()
    call()
    return time.perf_counter() - began

if __name__ == '__main__':
    ask = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ask.add_argument('--seconds', type=float, default=60, help='of signal, with the cache')
    ask.add_argument('--uncached', type=float, default=10, help='of signal, without')
    args = ask.parse_args()
    torch.manual_seed(0)
    c, rate = Config(), 160.
    quantiser = Quantiser(tuple(map(str, range(64))), rate, c.patch, c.groups, c.codes).eval()
    composer = Composer(quantiser.book, c.width, c.heads, c.depth, c.max_len).eval()
    print(f"{device_name(torch.device('cpu'))}; {c.depth} blocks of width {c.width}, {c.groups} codes for {c.patch} samples of 64 channels")
    def make(length_s, cached): quantiser.decode(composer.compose(torch.zeros(1, round(length_s*rate/c.patch), dtype=torch.long), cached=cached))
    make(2, True)
    speed = {}
    for cached, length_s in ((True, args.seconds), (False, args.uncached)):
        s = seconds(lambda: make(length_s, cached))
        speed[cached] = length_s*rate/c.patch*c.groups/s
        print(f"{'cached' if cached else 'uncached':9}{speed[cached]:8,.0f} codes/s; a minute of signal takes {60*s/length_s:6.1f} s" + (' (goal: under 60)' if cached else f'; the cache is {speed[True]/speed[cached]:.1f} times as fast'))
    naive = GPT(256, 64, 4, 2, 160, rotary=True).eval()
    s = seconds(lambda: generate(naive, torch.zeros(1, 1, dtype=torch.long), 800))
    print(f'a token a sample{800/s:8,.0f} tokens/s; a minute of 64 channels would take {64*rate*60/(800/s)/60:.0f} minutes')
