"GPT against transformers' GPT-2, both eager: training in float32 and in bfloat16, the loss after 50 steps, and cached generation."
import argparse
import tempfile
import time
from pathlib import Path

import torch
from transformers import GPT2LMHeadModel
from transformers.utils import logging

from kata_blog.gpt import GPT, generate, to_hf, token_loss
from kata_blog.train import bf16_helps, device_name, pick_device

logging.set_verbosity_error()
logging.disable_progress_bar()

SIZES = dict(small=dict(depth=4, width=256, heads=4, max_len=128), large=dict(depth=6, width=384, heads=6, max_len=256))
N_TOKENS = 2048

def pair(size):
    "Ours and theirs, with the same weights."
    torch.manual_seed(0)
    ours = GPT(N_TOKENS, **size)
    with tempfile.TemporaryDirectory() as folder: theirs = GPT2LMHeadModel.from_pretrained(to_hf(ours, folder), resid_pdrop=0., embd_pdrop=0., attn_pdrop=0.)
    device = pick_device()
    return {'ours': (ours.to(device), lambda x: ours(x)), 'transformers': (theirs.to(device), lambda x: theirs(x).logits)}

def wait():
    if torch.cuda.is_available(): torch.cuda.synchronize()

def trainer(model, logits, max_len, bs, half):
    "A function that makes one training step and gives its loss; the data are the same for all."
    model.train()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
    draw = torch.Generator().manual_seed(0)
    table = torch.randint(N_TOKENS, (N_TOKENS, 4), generator=draw)  # after each token, one of four: something to learn
    def step():
        x = torch.randint(N_TOKENS, (bs, 1), generator=draw)
        while x.shape[1] <= max_len: x = torch.cat([x, table[x[:, -1:], torch.randint(4, (bs, 1), generator=draw)]], 1)
        x = x.to(pick_device())
        wait()
        began = time.perf_counter()
        opt.zero_grad()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=half): found = logits(x[:, :-1])
        loss = token_loss(found.float(), x[:, 1:])
        loss.backward()
        opt.step()
        wait()
        return loss.item(), time.perf_counter() - began
    return step

def in_turn(runs, steps):
    "Steps in turn, so that what else the machine does meets all; the median of the seconds, and the loss of the last five."
    found = {who: [] for who in runs}
    for _ in range(steps):
        for who, step in runs.items(): found[who].append(step())
    return {who: (sorted(s for _, s in f)[len(f)//2], sum(l for l, _ in f[-5:])/5) for who, f in found.items()}

def compare(what, found, n, steps):
    "Ratios in the same precision, and of what each does unless told otherwise: `fit_model` computes in bfloat16 where that helps, transformers in float32."
    for who, (seconds, loss) in found.items(): print(f'{what}, {" in ".join(who)}: {n/seconds:,.0f} tokens/s; loss of the last 5 of {steps} steps {loss:.4f}')
    pace = lambda ours, theirs: found['transformers', theirs][0]/found['ours', ours][0]
    kinds = sorted({kind for _, kind in found}, reverse=True)
    print(f'{what}, ours over transformers (goal 1.2): ' + ', '.join([f'{pace(k, k):.2f} both in {k}' for k in kinds] + ([f'{pace("bfloat16", "float32"):.2f} as each trains unless told otherwise'] if len(kinds) > 1 else [])))

def precisions(): return ('float32', 'bfloat16') if bf16_helps(pick_device()) else ('float32',)

def bench_training(name, size, steps, bs):
    runs = {(who, kind): trainer(*both, size['max_len'], bs, kind == 'bfloat16') for kind in precisions() for who, both in pair(size).items()}
    compare(f'training, {name}', in_turn(runs, steps), bs*size['max_len'], steps)

def bench_writing(name, size, repeats, bs):
    "Greedy tokens up to the model's length, with the cache."
    both = pair(size)
    ours, theirs = both['ours'][0].eval(), both['transformers'][0].eval()
    x = torch.randint(N_TOKENS, (bs, 8), generator=torch.Generator().manual_seed(0)).to(pick_device())
    n = size['max_len'] - 8
    how = {'ours': lambda: generate(ours, x, n, temperature=0),
        'transformers': lambda: theirs.generate(x, attention_mask=torch.ones_like(x), max_new_tokens=n, do_sample=False, use_cache=True, pad_token_id=0)}
    texts, seconds = {}, {who: [] for who in how}
    for _ in range(repeats + 1):
        for who, call in how.items():
            wait()
            began = time.perf_counter()
            texts[who] = call()
            wait()
            seconds[who].append(time.perf_counter() - began)
    best = {who: sorted(s[1:])[repeats//2] for who, s in seconds.items()}  # the first warms up
    same = (texts['ours'] == texts['transformers']).float().mean().item()
    print(f"writing, {name}, {bs} at once: ours {bs*n/best['ours']:,.0f} tokens/s, transformers {bs*n/best['transformers']:,.0f}; ratio {best['transformers']/best['ours']:.2f} (goal 2); {100*same:.0f} % of the tokens agree")

if __name__ == '__main__':
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument('--steps', type=int, default=50)
    ask.add_argument('--bs', type=int, default=8)
    ask.add_argument('--repeats', type=int, default=3)
    args = ask.parse_args()
    print(device_name(pick_device()))
    for name, size in SIZES.items(): bench_training(name, size, args.steps, args.bs)
    for name, size in SIZES.items():
        for bs in (1, 8): bench_writing(name, size, args.repeats, bs)
