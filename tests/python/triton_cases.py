"""Compares the Triton kernels with libkronecker's, bit for bit: on CUDA, or on the CPU where TRITON_INTERPRET is set.

    TRITON_INTERPRET=1 python triton_cases.py
"""

import itertools
import sys

import torch

from kronecker_cpp.torch import triton_kernels

DEVICE = sys.argv[1] if len(sys.argv) > 1 else "cpu"


def same_bits(a, b):
    a, b = a.cpu().contiguous(), b.cpu().contiguous()
    return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.view(torch.uint8), b.view(torch.uint8))


def main():
    torch.manual_seed(0)
    checked = 0
    if DEVICE == "cpu":
        triton_kernels.TILES = 1  # the interpreter takes its time for what is past a list's end
    sizes = [(1, 0), (3, 31), (40, 33)] if DEVICE == "cpu" else [(1, 0), (3, 31), (96, 4097), (768, 4097), (4096, 1025)]
    cases = [(40, 6, *size, dtype) for size, dtype in itertools.product(sizes, (torch.float32, torch.bfloat16, torch.float16))]
    cases += [(40, 6, 4, 1100, torch.float32), (256, 2, 3, 31, torch.float32)]  # two blocks of tokens; all bytes
    for char_dim, pos_dim, d_model, count, dtype in cases:
        token_bytes = torch.randint(char_dim, (50, pos_dim), dtype=torch.uint8)
        lengths = torch.randint(min(pos_dim, 9) + 1, (50,), dtype=torch.uint8)
        rows, ids = torch.randn(char_dim * pos_dim, d_model).to(dtype), torch.randint(50, (count,))
        grad = torch.randn(count, d_model).to(dtype)
        for length_normalize, z_normalize, centered in ((True, True, False), (False, True, True), (True, False, False)):
            options = (char_dim, length_normalize, z_normalize, 1e-6, centered, dtype)
            here = [token_bytes, lengths, ids]
            there = [tensor.to(DEVICE) for tensor in here]
            # The interpreter does not round to the nearest bfloat16 (3.9): there, sums are compared as they are.
            to_float = (*options[:-1], torch.float32 if DEVICE == "cpu" else dtype)
            assert same_bits(triton_kernels.embed(rows.to(DEVICE), *there, *to_float),
                             torch.ops.kronecker_cpp.embed(rows, *here, *to_float)), (d_model, count, dtype, options)
            assert same_bits(triton_kernels.scatter(grad.to(DEVICE), *there, *to_float),
                             torch.ops.kronecker_cpp.scatter(grad, *here, *to_float)), (d_model, count, dtype, options)
            checked += 2
    print(f"{checked} results have the same bits")


if __name__ == "__main__":
    main()
