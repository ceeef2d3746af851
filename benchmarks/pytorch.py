"""Time and memory of the Python package's layer in PyTorch on the CPU, beside nn.Embedding, embedding_bag over the cells
of each token (which are made ready outside the clock) and the PyTorch reference. All take turns, in
another order each time; medians.

    python benchmarks/pytorch.py [--setting small|large] [--ids 1 64 ...] [--types float32 bfloat16] [--rounds N]
    python benchmarks/pytorch.py --memory    the peak of a forward and backward pass, each in a process of its own

Takes PyTorch, kronecker-cpp and, for the reference, kronecker-embeddings; the large table takes 9 GB. Tokens are random words.
"""

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import torch

from kronecker_cpp.torch import KroneckerEmbedding

SETTINGS = {"small": (50257, 16, 768, [1, 64, 512, 4096]), "large": (128256, 32, 4096, [1, 64, 2048])}
CONTENDERS = ["kronecker", "embedding_bag", "nn.Embedding", "reference"]
MEMORY_HEADER = "peak MB of forward and backward, beyond what was there before"


def tokens_of(vocab_size, pos_dim):
    """Bytes and lengths of random words."""
    draw = torch.Generator().manual_seed(1)
    token_bytes = torch.randint(97, 123, (vocab_size, pos_dim), generator=draw)
    token_bytes[:, 0] = 32
    return token_bytes, torch.randint(2, 11, (vocab_size,), generator=draw)


class Contender:
    """A layer with weights of some type, in a setting."""

    def __init__(self, name, setting, dtype):
        self.name = name
        self.vocab_size, self.pos_dim, self.d_model, _ = SETTINGS[setting]
        self.token_bytes, self.lengths = tokens_of(self.vocab_size, self.pos_dim)
        if name == "nn.Embedding":
            self.weight = torch.nn.Parameter(torch.empty(self.vocab_size, self.d_model, dtype=dtype).fill_(0.5))
        elif name == "embedding_bag":
            self.weight = torch.nn.Parameter(torch.empty(256 * self.pos_dim, self.d_model, dtype=dtype).fill_(0.5))
        else:
            if name == "reference":
                from kronecker_embeddings import KroneckerEmbedding as kind
            else:
                kind = KroneckerEmbedding
            self.layer = kind(self.vocab_size, self.d_model, pos_dim=self.pos_dim, byte_buffer=self.token_bytes,
                              length_buffer=self.lengths)
            self.layer.projection.to(dtype)
            self.weight = next(self.layer.parameters())

    def prepare(self, ids):
        """What of a call is not timed."""
        self.ids = ids
        if self.name == "embedding_bag":
            lengths = self.lengths[ids]
            is_byte = torch.arange(self.pos_dim) < lengths.unsqueeze(1)
            cells = self.token_bytes[ids] * self.pos_dim + torch.arange(self.pos_dim)
            self.cells, self.offsets = cells[is_byte], lengths.cumsum(0) - lengths
        self.upstream = torch.randn(len(ids), self.d_model, generator=torch.Generator().manual_seed(2)).to(self.weight.dtype)

    def forward(self):
        if self.name == "nn.Embedding":
            return torch.nn.functional.embedding(self.ids, self.weight)
        if self.name == "embedding_bag":
            return torch.nn.functional.embedding_bag(self.cells, self.weight, self.offsets, mode="sum")
        return self.layer(self.ids)

    def forward_and_backward(self):
        self.forward().backward(self.upstream)


def seconds(contender, with_gradient):
    begin = time.perf_counter()
    if with_gradient:
        contender.forward_and_backward()
    else:
        with torch.no_grad():
            contender.forward()
    end = time.perf_counter()
    contender.weight.grad = None
    return end - begin


def tried(name, setting, dtype, ids):
    """The contender, if it serves that type."""
    contender = Contender(name, setting, dtype)
    contender.prepare(ids)
    try:
        contender.forward_and_backward()
    except RuntimeError:
        return None
    contender.weight.grad = None
    return contender


def measure(setting, counts, types, rounds):
    vocab_size, pos_dim, d_model, _ = SETTINGS[setting]
    print(f"({vocab_size:,}, {pos_dim}, {d_model:,}), {torch.get_num_threads()} threads, PyTorch {torch.__version__}: "
          "milliseconds of forward / forward and backward\n")
    print("| ids | weights | " + " | ".join(CONTENDERS) + " |\n|---|---|" + "---|" * len(CONTENDERS))
    draw = torch.Generator().manual_seed(3)
    first = torch.randint(vocab_size, (1,), generator=draw)
    contenders = {(name, dtype): tried(name, setting, dtype, first) for name in CONTENDERS for dtype in types}
    for count in counts:
        ids = torch.randint(vocab_size, (count,), generator=draw)
        there = {key: contender for key, contender in contenders.items() if contender is not None}
        for contender in there.values():
            contender.prepare(ids)
        times = {(key, what): [] for key in there for what in (False, True)}
        order = random.Random(count)
        for _ in range(rounds):
            for key, what in order.sample(list(times), len(times)):  # what came before decides what memory costs
                times[key, what].append(1e3 * seconds(there[key], what))
        for dtype in types:
            cells = [f"{median(times[(name, dtype), False]):.2f} / {median(times[(name, dtype), True]):.2f}"
                     if (name, dtype) in there else "none" for name in CONTENDERS]
            print(f"| {count:,} | {str(dtype)[6:]} | " + " | ".join(cells) + " |", flush=True)
    print()


def high_water_mark():
    """Of this process's memory, in MB, since it was last reset (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


def measure_memory(name, setting, dtype, count):
    ids = torch.randint(SETTINGS[setting][0], (count,), generator=torch.Generator().manual_seed(3))
    contender = Contender(name, setting, dtype)
    contender.prepare(ids[:1])
    contender.forward_and_backward()  # what is loaded and started once
    contender.weight.grad = None
    contender.prepare(ids)
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark is what there is now
    before = high_water_mark()
    contender.forward_and_backward()
    print(f"{high_water_mark() - before:.0f}")


def measure_all_memory(setting, counts, types):
    vocab_size, pos_dim, d_model, _ = SETTINGS[setting]
    print(f"({vocab_size:,}, {pos_dim}, {d_model:,}): {MEMORY_HEADER}\n")
    print("| ids | weights | " + " | ".join(CONTENDERS) + " |\n|---|---|" + "---|" * len(CONTENDERS))
    for count in counts:
        for dtype in types:
            cells = []
            for name in CONTENDERS:
                one = [sys.executable, __file__, "--one", name, "--setting", setting, "--ids", str(count), "--types",
                       str(dtype)[6:]]
                done = subprocess.run(one, capture_output=True, text=True)
                cells.append(done.stdout.strip() if done.returncode == 0 else "none")
            print(f"| {count:,} | {str(dtype)[6:]} | " + " | ".join(cells) + " |", flush=True)
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setting", choices=SETTINGS)
    parser.add_argument("--ids", type=int, nargs="+")
    parser.add_argument("--types", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--one", choices=CONTENDERS, help="the memory of one contender, for --memory")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    types = [getattr(torch, name) for name in options.types]
    for setting in [options.setting] if options.setting else SETTINGS:
        counts = options.ids or SETTINGS[setting][3]
        if options.one:
            measure_memory(options.one, setting, types[0], counts[0])
        elif options.memory:
            measure_all_memory(setting, counts, types)
        else:
            measure(setting, counts, types, options.rounds)


if __name__ == "__main__":
    main()
