"A made corpus of about the tokens of WikiText-103: learned, tokenised into a memory-mapped file and read in shuffled windows, with the memory that it took."
import argparse
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from kata_blog.data import open_tokens, read_lines, write_tokens
from kata_blog.gpt import BPE, windows

def make_corpus(file, n_words):
    "Lines of made words whose frequencies fall as their rank, as in a language."
    draw = random.Random(0)
    letters = 'etaoinshrdlucmfwypvbgkjqxz'
    words = [''.join(draw.choices(letters, range(26, 0, -1), k=draw.randint(1, 10))) for _ in range(50_000)]
    cumulative, total = [], 0.
    for rank in range(len(words)): cumulative.append(total := total + 1/(rank + 1))
    with open(file, 'w', encoding='utf-8') as f:
        while n_words > 0:
            f.write(' ' + ' '.join(draw.choices(words, cum_weights=cumulative, k=min(80, n_words))) + ' . \n')
            n_words -= 82
    return file

def peak_gb(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss*(1 if sys.platform == 'darwin' else 1024)/2**30

if __name__ == '__main__':
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument('--words', type=int, default=70_000_000)
    ask.add_argument('--vocabulary', type=int, default=8192)
    ask.add_argument('--block', type=int, default=256)
    args = ask.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = make_corpus(Path(folder)/'wiki.train.tokens', args.words)
        began = time.perf_counter()
        vocab = BPE.learn((line for lines in read_lines(text) for line in lines), args.vocabulary)
        learned = time.perf_counter()
        tokens = open_tokens(write_tokens(Path(folder)/'tokens.npy', map(vocab.encode, read_lines(text)), len(vocab)))
        encoded = time.perf_counter()
        bs = 64
        steps = len(tokens)//args.block//bs
        seen = sum(x.numel() for x, _ in windows(tokens, args.block, bs, steps))
        passed = time.perf_counter()
        print(f'{args.words:,} words, {text.stat().st_size/1e6:.0f} MB of text, {len(tokens):,} tokens in {tokens.filename.stat().st_size/1e6:.0f} MB')
        print(f'vocabulary {learned - began:.0f} s, tokens {encoded - learned:.0f} s ({len(tokens)/(encoded - learned)/1e6:.2f} M/s), one shuffled pass {passed - encoded:.0f} s ({seen/(passed - encoded)/1e6:.1f} M/s)')
        print(f'peak memory {peak_gb():.2f} GB (goal: under 2)')
