"How long the commands and the import take beside a bare Python, in one run: `python benchmarks/start.py`."
import statistics, subprocess, sys, time

CASES = {
    'bare Python': ['-c', 'pass'],
    'import kata_blog': ['-c', 'import kata_blog'],
    'kata --help': ['-c', 'from kata_blog.press.cli import main; main(["--help"])'],
    'kata status': ['-c', 'from kata_blog.press.cli import main; main(["status"])'],
    'import argparse, json, yaml': ['-c', 'import argparse, json, yaml'],
}

def seconds(words, n=7):
    "Median wall time of a fresh Python over `n` starts."
    times = []
    for _ in range(n):
        start = time.perf_counter()
        subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times)

if __name__ == '__main__':
    found = {name: seconds(words) for name, words in CASES.items()}
    bare = found['bare Python']
    for name, s in found.items(): print(f'{name:30}{s * 1000:8.0f} ms{(s - bare) * 1000:+8.0f} ms over a bare start')
