"BERT's pretraining against transformers' BERT, both eager: tokens per second in float32 and in bfloat16, and the loss after 50 steps."
import argparse
import tempfile
import time
from itertools import count

import torch
from transformers import BertForPreTraining

from kata_blog.bert import Bert, Pretraining, both_losses, hide, to_hf
from kata_blog.train import device_name, pick_device
from gpt import SIZES, compare, in_turn, precisions, wait  # the benchmark beside this one

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

def trainer(model, answer, max_len, bs, half):
    "A function that makes one training step and gives its loss; the data are the same for all."
    model.train()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
    draw, seeds = torch.Generator().manual_seed(0), count()
    def step():
        torch.manual_seed(next(seeds))
        start = torch.randint(5, N_TOKENS, (bs, 1), generator=draw)
        x = 5 + (start + 17*torch.arange(max_len)) % (N_TOKENS - 5)  # a hidden word follows from its neighbours: something to learn
        x, places, answers = (t.to(pick_device()) for t in hide(x, N_TOKENS))
        y = torch.cat([answers, torch.zeros_like(answers[:, :1])], 1)
        wait()
        began = time.perf_counter()
        opt.zero_grad()
        with torch.autocast(x.device.type, torch.bfloat16, enabled=half): found = answer(x, places)
        loss = both_losses([f.float() for f in found], y)
        loss.backward()
        opt.step()
        wait()
        return loss.item(), time.perf_counter() - began
    return step

def bench_training(name, size, steps, bs):
    runs = {(who, kind): trainer(*both, size['max_len'], bs, kind == 'bfloat16') for kind in precisions() for who, both in pair(size).items()}
    compare(f'pretraining, {name}', in_turn(runs, steps), bs*size['max_len'], steps)

if __name__ == '__main__':
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument('--steps', type=int, default=50)
    ask.add_argument('--bs', type=int, default=8)
    args = ask.parse_args()
    print(device_name(pick_device()))
    for name, size in SIZES.items(): bench_training(name, size, args.steps, args.bs)
