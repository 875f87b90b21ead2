"BERT's pretraining against transformers' BERT, both eager and in float32: tokens per second, and the loss after 50 steps."
import argparse
import tempfile
import time

import torch
from transformers import BertForPreTraining

from kata_blog.bert import Bert, Pretraining, both_losses, hide, to_hf
from kata_blog.train import device_name, pick_device
from gpt import SIZES, wait  # the benchmark beside this one

N_TOKENS = 4096

def pair(size):
    "Ours, theirs, and theirs asked for the hidden words alone; the same weights, nothing left out."
    torch.manual_seed(0)
    ours = Pretraining(Bert(N_TOKENS, **size, dropout=0.))
    def theirs():
        with tempfile.TemporaryDirectory() as folder: return BertForPreTraining.from_pretrained(to_hf(ours, folder)).to(pick_device())
    whole, picked = theirs(), theirs()
    def all_words(x, places):  # as their own training does: every position is named, and what was not hidden is not counted
        out = whole(x)
        return out.prediction_logits.gather(1, places[..., None].expand(-1, -1, N_TOKENS)), out.seq_relationship_logits
    def hidden_words(x, places):
        out = picked.bert(x)
        return picked.cls(out.last_hidden_state.gather(1, places[..., None].expand(-1, -1, size['width'])), out.pooler_output)
    ours = ours.to(pick_device())
    return {'ours': (ours, lambda x, places: ours(x, None, places)), 'transformers': (whole, all_words), 'transformers, hidden words alone': (picked, hidden_words)}

def trainer(model, answer, max_len, bs):
    "A function that makes one training step and gives its loss; the data are the same for all."
    model.train()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
    draw = torch.Generator().manual_seed(0)
    def step(i):
        torch.manual_seed(i)
        start = torch.randint(5, N_TOKENS, (bs, 1), generator=draw)
        x = 5 + (start + 17*torch.arange(max_len)) % (N_TOKENS - 5)  # a hidden word follows from its neighbours: something to learn
        x, places, answers = (t.to(pick_device()) for t in hide(x, N_TOKENS))
        y = torch.cat([answers, torch.zeros_like(answers[:, :1])], 1)
        wait()
        began = time.perf_counter()
        opt.zero_grad()
        loss = both_losses(answer(x, places), y)
        loss.backward()
        opt.step()
        wait()
        return loss.item(), time.perf_counter() - began
    return step

def bench_training(name, size, steps, bs):
    "Steps in turn, so that what else the machine does meets all; medians."
    runs = {who: trainer(*both, size['max_len'], bs) for who, both in pair(size).items()}
    found = {who: [] for who in runs}
    for i in range(steps):
        for who, step in runs.items(): found[who].append(step(i))
    seconds = {who: sorted(s for _, s in f)[len(f)//2] for who, f in found.items()}
    n = bs*size['max_len']
    for who, f in found.items():
        print(f"pretraining, {name}, {who}: {n/seconds[who]:,.0f} tokens/s, ours is {seconds[who]/seconds['ours']:.2f} times as fast (goal 1.2); loss of the last 5 of {steps} steps {sum(l for l, _ in f[-5:])/5:.4f}")

if __name__ == '__main__':
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument('--steps', type=int, default=50)
    ask.add_argument('--bs', type=int, default=8)
    args = ask.parse_args()
    print(device_name(pick_device()))
    for name, size in SIZES.items(): bench_training(name, size, args.steps, args.bs)
