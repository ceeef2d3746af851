"""Times the GPU kernels beside nn.Embedding, embedding_bag and the scatter of codes, in PyTorch, and in a step of a model of
124 million parameters.

    benchmarks/gpu.py LIBRARY [LARGE.npz SMALL.npz] [--only PART]...

LIBRARY is benchmarks/gpu.cu as a shared library (scripts/check_gpu builds it). The files have `bytes` (V, 32), `lengths`
(V) and `ids` of a text, of a large vocabulary and of gpt2's; without them, tokens are random words. Times are medians in
microseconds.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import math
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2, torch.int8: 3}


class Embedding(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in ("vocab_size", "d_model", "pos_dim", "code_dim", "type")] + [
        (name, ctypes.c_void_p) for name in ("bytes", "lengths", "scales", "rows", "column_scales", "length_rows")]


class Kernels:
    """The calls of the header on tensors, with z-normalized codes."""

    def __init__(self, library: str, token_bytes: Tensor, lengths: Tensor, rows: Tensor,
                 column_scales: Tensor | None = None) -> None:
        self.library = ctypes.CDLL(library)
        self.library.kronecker_gpu_workspace.restype = ctypes.c_size_t
        self.tensors = [token_bytes, lengths, rows, column_scales]
        vocab_size, pos_dim = token_bytes.shape
        code_dim, d_model = rows.shape
        self.scales = torch.tensor([0.0] + [self._scale(length, code_dim) for length in range(1, pos_dim + 1)],
                                   dtype=torch.float32, device=rows.device)
        self.length_rows = torch.zeros(pos_dim + 1, d_model, device=rows.device)
        self.embedding = Embedding(vocab_size, d_model, pos_dim, code_dim, TYPES[rows.dtype], token_bytes.data_ptr(),
                                   lengths.data_ptr(), self.scales.data_ptr(), rows.data_ptr(),
                                   0 if column_scales is None else column_scales.data_ptr(), 0)
        self.grad_rows = torch.empty(code_dim, d_model, device=rows.device)
        self.workspace = torch.empty(0, dtype=torch.uint8, device=rows.device)

    @staticmethod
    def _scale(length: int, code_dim: int) -> float:
        deviation = math.sqrt(length * (1 - length / code_dim) / (code_dim - 1))
        return 1 / (deviation + 1e-6 * math.sqrt(length))

    def reserve(self, count: int) -> int:
        """Workspace for so many tokens."""
        size = self.library.kronecker_gpu_workspace(ctypes.byref(self.embedding), ctypes.c_size_t(count))
        if self.workspace.numel() < size:
            self.workspace = torch.empty(size, dtype=torch.uint8, device=self.workspace.device)
        return int(size)

    @staticmethod
    def _stream() -> ctypes.c_void_p:
        return ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)

    def forward(self, ids: Tensor, out: Tensor, threads: int = 0, lanes: int = 0, tokens: int = 0) -> None:
        assert self.library.kronecker_gpu_forward(
            ctypes.byref(self.embedding), ctypes.c_void_p(ids.data_ptr()), ctypes.c_size_t(ids.numel()),
            ctypes.c_void_p(out.data_ptr()), TYPES[out.dtype], self._stream(), threads, lanes, ctypes.c_size_t(tokens)) == 0

    def update_length_rows(self) -> None:
        """Of weights as they lie, whose mean is subtracted from then on."""
        self.embedding.length_rows = self.length_rows.data_ptr()
        assert self.library.kronecker_gpu_length_rows(
            ctypes.byref(self.embedding), ctypes.c_void_p(self.length_rows.data_ptr()),
            ctypes.c_void_p(self.workspace.data_ptr()), self._stream()) == 0

    def backward(self, ids: Tensor, grad: Tensor, subtracts_mean: bool, threads: int = 0, lanes: int = 0) -> None:
        assert self.library.kronecker_gpu_backward(
            ctypes.byref(self.embedding), ctypes.c_void_p(ids.data_ptr()), ctypes.c_size_t(ids.numel()),
            ctypes.c_void_p(grad.data_ptr()), TYPES[grad.dtype], ctypes.c_void_p(self.grad_rows.data_ptr()),
            int(subtracts_mean), ctypes.c_void_p(self.workspace.data_ptr()), self._stream(), threads, lanes) == 0


def median_us(call: Callable[[int], Any], repeats: int = 20) -> float:
    """The median time of one call on the device, which has work queued so that no call waits for the host."""
    for i in range(3):
        call(i)
    torch.cuda.synchronize()
    events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
    torch.cuda._sleep(20_000_000)
    for i, (begin, end) in enumerate(events):
        begin.record()
        call(i)
        end.record()
    torch.cuda.synchronize()
    return statistics.median(begin.elapsed_time(end) for begin, end in events) * 1000


def peak_mb(call: Callable[[], Any]) -> float:
    """Memory that a call takes while it runs, beside what is there before."""
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def random_words(vocab_size: int, pos_dim: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    lengths = np.minimum(random.poisson(3.5, vocab_size) + 1, pos_dim).astype(np.uint8)
    token_bytes = random.choice(np.frombuffer(b"etaoinshrdlucmfwypvbgkjqxz", np.uint8), (vocab_size, pos_dim))
    token_bytes[random.random(vocab_size) < 0.5, 0] = ord(" ")
    weights = 1 / np.arange(1, vocab_size + 1)
    return token_bytes, lengths, random.choice(vocab_size, 300_000, p=weights / weights.sum())


def in_turns(candidates: dict[str, Callable[[int], Any]], rounds: int = 5, repeats: int = 15) -> dict[str, float]:
    """Medians of each, measured one after the other several times."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(rounds):
        for name, call in candidates.items():
            times[name].append(median_us(call, repeats))
    return {name: statistics.median(of) for name, of in times.items()}


class Tokens:
    """A vocabulary and a text on the device."""

    def __init__(self, path: str | None, vocab_size: int, pos_dim: int) -> None:
        if path is not None:
            arrays = np.load(path)
            token_bytes, lengths, ids = arrays["bytes"], arrays["lengths"], arrays["ids"]
            vocab_size = max(vocab_size, len(lengths)) if vocab_size > 100_000 else len(lengths)
        else:
            token_bytes, lengths, ids = random_words(vocab_size, 32)
        self.bytes = torch.zeros(vocab_size, pos_dim, dtype=torch.uint8)
        self.bytes[:len(lengths)] = torch.from_numpy(token_bytes[:, :pos_dim].copy())
        self.lengths = torch.zeros(vocab_size, dtype=torch.uint8)
        self.lengths[:len(lengths)] = torch.from_numpy(np.minimum(lengths, pos_dim).astype(np.uint8))
        self.bytes, self.lengths = self.bytes.cuda(), self.lengths.cuda()
        self.vocab_size, self.pos_dim = vocab_size, pos_dim
        self.ids = torch.from_numpy(np.resize(ids, 300_000).astype(np.int64)).cuda()

    def windows(self, count: int) -> list[Tensor]:
        """Parts of the text, so that no call finds what the one before left in the cache."""
        return [self.ids[first:first + count].contiguous() for first in range(0, len(self.ids) - count, count)][:4]


def layer(library: str, tokens: Tokens, d_model: int, count: int) -> dict[str, float]:
    """Forward and backward of one size, bfloat16."""
    torch.manual_seed(0)
    code_dim, found = 256 * tokens.pos_dim, {}
    ids = tokens.windows(count)
    bytes_per_token = float(tokens.lengths[ids[0]].float().mean())
    rows = torch.randn(code_dim, d_model, device="cuda").mul_(code_dim ** -0.5).bfloat16()
    table = torch.randn(tokens.vocab_size, d_model, device="cuda", dtype=torch.bfloat16)
    out = torch.empty(count, d_model, device="cuda", dtype=torch.bfloat16)
    kernels = Kernels(library, tokens.bytes, tokens.lengths, rows)
    workspace = kernels.reserve(count)

    kernels.forward(ids[0], out)
    lit = torch.arange(tokens.pos_dim, device="cuda") < tokens.lengths[ids[0]].unsqueeze(1)
    cells = tokens.bytes[ids[0]].long() * tokens.pos_dim + torch.arange(tokens.pos_dim, device="cuda")
    weights = rows.float()
    reference = torch.stack([weights[cells[i][lit[i]]].sum(0) for i in range(64)]) * kernels.scales[tokens.lengths[ids[0][:64]].long()].unsqueeze(1)
    assert (out[:64].float() - reference).abs().max() <= 0.01 * reference.abs().max(), "wrong embeddings"
    del weights

    moved = out.numel() * 2 + count * (8 + tokens.pos_dim + 1) + int(torch.unique(cells[lit]).numel()) * d_model * 2
    found["MB: forward must move"] = moved / 1e6

    int8_rows, column_scales = torch.randint(-127, 128, rows.shape, device="cuda", dtype=torch.int8), torch.rand(d_model, device="cuda")
    int8 = Kernels(library, tokens.bytes, tokens.lengths, int8_rows, column_scales)
    times = in_turns({
        "forward": lambda i: kernels.forward(ids[i % len(ids)], out),
        "forward, int8 rows": lambda i: int8.forward(ids[i % len(ids)], out),
        "nn.Embedding": lambda i: torch.embedding(table, ids[i % len(ids)]),
        "index_select into a buffer": lambda i: torch.index_select(table, 0, ids[i % len(ids)], out=out),
        "fill of the output": lambda i: out.fill_(1.0),
    })
    found.update(times)
    del int8, int8_rows
    kernels.update_length_rows()
    found["length rows of weights as they lie"] = median_us(lambda i: kernels.update_length_rows())
    found["forward with length rows"] = median_us(lambda i: kernels.forward(ids[i % len(ids)], out))

    grad = torch.randn(count, d_model, device="cuda").bfloat16()
    flat = [tokens.bytes[of].long() * tokens.pos_dim + torch.arange(tokens.pos_dim, device="cuda") for of in ids]
    flat = [cells[torch.arange(tokens.pos_dim, device="cuda") < tokens.lengths[of].unsqueeze(1)] for cells, of in zip(flat, ids)]
    offsets = [torch.cumsum(tokens.lengths[of].long(), 0) - tokens.lengths[of].long() for of in ids]

    float_weight = rows.float()
    bags = {}
    for weight in (rows.requires_grad_(), float_weight.requires_grad_()):
        bags[weight.dtype] = [functional.embedding_bag(of, weight, offset, mode="sum") for of, offset in zip(flat, offsets)]

    def bag(i: int, weight: Tensor, of_grad: Tensor) -> None:
        torch.autograd.grad(bags[weight.dtype][i % len(ids)], weight, of_grad, retain_graph=True)

    float_grad = grad.float()
    times = in_turns({
        "backward": lambda i: kernels.backward(ids[i % len(ids)], grad, True),
        "backward, no mean": lambda i: kernels.backward(ids[i % len(ids)], grad, False),
        "embedding_bag's backward": lambda i: bag(i, rows, grad),
        "embedding_bag's backward, float32": lambda i: bag(i, float_weight, float_grad),
    }, rounds=3, repeats=10)
    found.update(times)
    found["MB: embedding_bag's backward"] = peak_mb(lambda: bag(0, rows, grad))
    bags.clear()
    del float_grad, float_weight
    again = kernels.grad_rows.clone()
    kernels.backward(ids[0], grad, True)
    again.copy_(kernels.grad_rows)
    kernels.backward(ids[0], grad, True)
    assert torch.equal(again, kernels.grad_rows), "another gradient"

    def codes(of: Tensor) -> Tensor:
        matrix = torch.zeros(of.numel(), code_dim, device="cuda")
        lit = torch.arange(tokens.pos_dim, device="cuda") < tokens.lengths[of].unsqueeze(1)
        cells = tokens.bytes[of].long() * tokens.pos_dim + torch.arange(tokens.pos_dim, device="cuda")
        matrix.scatter_(1, cells, lit.float() / tokens.lengths[of].float().clamp_min(1).sqrt().unsqueeze(1))
        return (matrix - matrix.mean(1, keepdim=True)) / (matrix.std(1, keepdim=True) + 1e-6)

    weight = rows.t().contiguous().requires_grad_()

    def production(i: int) -> Tensor:
        return functional.linear(codes(ids[i % len(ids)]).bfloat16(), weight)

    def production_step() -> None:
        production(0).backward(grad)
        weight.grad = None

    with torch.no_grad():
        found["scatter and projection"] = median_us(production, 5)
    kept = production(0)
    found["its backward"] = median_us(lambda i: torch.autograd.grad(kept, weight, grad, retain_graph=True), 5)
    found["MB: workspace and gradient here"] = (workspace + kernels.grad_rows.numel() * 4) / 1e6
    found["MB: workspace alone"] = workspace / 1e6
    del kept
    found["MB: scatter and projection, step"] = peak_mb(production_step)
    found["bytes per token"] = bytes_per_token
    return found


def sweep(library: str, tokens: Tokens, d_model: int, count: int) -> dict[str, float]:
    """Launch shapes."""
    rows = torch.randn(256 * tokens.pos_dim, d_model, device="cuda").bfloat16()
    out = torch.empty(count, d_model, device="cuda", dtype=torch.bfloat16)
    grad = torch.randn(count, d_model, device="cuda").bfloat16()
    kernels = Kernels(library, tokens.bytes, tokens.lengths, rows)
    kernels.reserve(count)
    ids, found = tokens.windows(count), {}
    for threads in (256, 512, 640, 768, 1024):
        for at_once in (4, 8, 16, 32):
            found[f"forward {threads} threads, {at_once} tokens at once"] = median_us(
                lambda i: kernels.forward(ids[i % len(ids)], out, threads, 0, at_once), 8)
    for threads in (256, 512, 1024):
        for lanes in (1, 2, 4, 8, 16):
            found[f"backward {threads} threads, {lanes} lanes"] = median_us(
                lambda i: kernels.backward(ids[i % len(ids)], grad, False, threads, lanes), 5)
    return dict(sorted(found.items(), key=lambda item: (item[0].split()[0], item[1])))


def one_forward(library: str, tokens: Tokens, d_model: int, count: int) -> None:
    """For a profiler that counts bytes."""
    rows = torch.randn(256 * tokens.pos_dim, d_model, device="cuda").bfloat16()
    Kernels(library, tokens.bytes, tokens.lengths, rows).forward(
        tokens.windows(count)[0], torch.empty(count, d_model, device="cuda", dtype=torch.bfloat16))
    torch.cuda.synchronize()


class Block(nn.Module):
    """A layer of GPT-2."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.norm_1(x)).chunk(3, -1))
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.down(functional.gelu(self.up(self.norm_2(x)), approximate="tanh"))


def share_of_step(library: str, tokens: Tokens, batch: int = 16, length: int = 1024) -> dict[str, float]:
    """GPT-2 small in bfloat16 with AdamW: the time of a step, and of the input layer alone."""
    width = 768
    torch.manual_seed(0)
    blocks = nn.Sequential(*(Block(width, 12) for _ in range(12)), nn.LayerNorm(width)).cuda()
    head = nn.Linear(width, tokens.vocab_size, bias=False).cuda()
    position = nn.Parameter(torch.zeros(length, width, device="cuda"))
    rows = nn.Parameter(torch.randn(256 * tokens.pos_dim, width, device="cuda") * (256 * tokens.pos_dim) ** -0.5)
    kernels = Kernels(library, tokens.bytes, tokens.lengths, rows)
    kernels.reserve(batch * length)

    class Input(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, weights: Tensor, ids: Tensor) -> Tensor:
            out = torch.empty(*ids.shape, width, device="cuda", dtype=torch.bfloat16)
            kernels.update_length_rows()
            kernels.forward(ids, out)
            ctx.ids = ids
            return out

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
            kernels.backward(ctx.ids, grad.contiguous(), True)
            return kernels.grad_rows, None

    every = [*blocks.parameters(), *head.parameters(), position, rows]
    optimizer = torch.optim.AdamW(every, lr=1e-4, fused=True)
    all_ids = tokens.windows(batch * length + 1)

    def step(i: int) -> None:
        ids = all_ids[i % len(all_ids)]
        with torch.autocast("cuda", torch.bfloat16):
            x = Input.apply(rows, ids[:-1].reshape(batch, length)) + position
            logits = head(blocks(x))
            loss = functional.cross_entropy(logits.flatten(0, 1), ids[1:])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    out = torch.empty(batch * length, width, device="cuda", dtype=torch.bfloat16)
    grad = torch.randn(batch * length, width, device="cuda").bfloat16()
    ids = [of[:-1].contiguous() for of in all_ids]
    table = nn.Parameter(torch.randn(tokens.vocab_size, width, device="cuda"))

    def layer_forward(i: int) -> None:
        kernels.update_length_rows()
        kernels.forward(ids[i % len(ids)], out)

    def table_step(i: int) -> None:
        torch.autograd.grad(functional.embedding(ids[i % len(ids)], table).bfloat16(), table, grad)

    found = {"step": median_us(step, 10), "input layer, forward": median_us(layer_forward),
             "input layer, backward": median_us(lambda i: kernels.backward(ids[i % len(ids)], grad, True)),
             "nn.Embedding, forward and backward": median_us(table_step),
             "parameters": sum(parameter.numel() for parameter in every)}
    found["share of the step, %"] = 100 * (found["input layer, forward"] + found["input layer, backward"]) / found["step"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library")
    parser.add_argument("large", nargs="?")
    parser.add_argument("small", nargs="?")
    parser.add_argument("--only", action="append", choices=["large", "small", "sweep", "step", "forward"])
    parser.add_argument("--json")
    arguments = parser.parse_args()
    parts = arguments.only or ["large", "small", "step"]
    results: dict[str, Any] = {"device": torch.cuda.get_device_name(), "torch": torch.__version__}

    def show(name: str, found: dict[str, float]) -> None:
        results[name] = found
        print(f"\n{name}", *(f"  {value:12.3f}  {key}" for key, value in found.items()), sep="\n", flush=True)
        if arguments.json:
            with open(arguments.json, "w", encoding="utf-8") as file:
                json.dump(results, file, indent=1)

    print(results)
    if "large" in parts or "sweep" in parts or "forward" in parts:
        tokens = Tokens(arguments.large, 131_072, 32)
        for count in (8192, 65_536):
            if "forward" in parts:
                one_forward(arguments.library, tokens, 4096, count)
            if "large" in parts:
                show(f"({tokens.vocab_size}, {tokens.pos_dim}, 4096), {count} tokens", layer(arguments.library, tokens, 4096, count))
            if "sweep" in parts:
                show(f"launches, {count} tokens", sweep(arguments.library, tokens, 4096, count))
    if "small" in parts:
        tokens = Tokens(arguments.small, 50_257, 16)
        show(f"({tokens.vocab_size}, {tokens.pos_dim}, 768), 16384 tokens", layer(arguments.library, tokens, 768, 16_384))
    if "step" in parts:
        show("a step of 124M parameters, 16 x 1,024 tokens", share_of_step(arguments.library, Tokens(arguments.small, 50_257, 16)))


if __name__ == "__main__":
    main()
