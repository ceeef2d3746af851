"""The embedding and its gradient in Triton, for CUDA tensors: sums in the order of libkronecker's kernels, so the same bits.

    embed     a_L * (sum of the lit rows, byte by byte, then - L * mean row)
    scatter   minus the mean term first, then the sums of each 1,024 tokens, in which a cell's terms are added in order

No number is added by an atomic. Kernels are compiled without fusing products and sums.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

TOKENS_IN_BLOCK = 1024
MOST_PARTS, LEAST_ROWS = 16, 256
AT_ONCE = tl.constexpr(8)


@triton.jit
def _embed_kernel(rows, token_bytes, lengths, scales, length_rows, ids, out, d_model, char_dim,  # type: ignore[no-untyped-def]
                  pos_dim: tl.constexpr, subtracts: tl.constexpr, block: tl.constexpr):
    """One token and `block` columns. The sum begins with -0, to which a number is added without a change."""
    token = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * block + tl.arange(0, block)
    inside = columns < d_model
    id = tl.load(ids + token)
    length = tl.load(lengths + id).to(tl.int32)
    total = tl.full((block,), -0.0, tl.float32)
    for position in range(length):
        byte = tl.minimum(tl.load(token_bytes + id * pos_dim + position).to(tl.int64), char_dim - 1)
        row = rows + (byte * pos_dim + position) * d_model
        total += tl.load(row + columns, mask=inside, other=0).to(tl.float32)
    if subtracts:
        total += tl.load(length_rows + length * d_model + columns, mask=inside, other=0)
    total = tl.where(length > 0, total * tl.load(scales + length), 0.0)
    tl.store(out + token * d_model + columns, total.to(out.dtype.element_ty), mask=inside)


@triton.jit
def _part_sums_kernel(rows, lengths, scales, sums, count, d_model, rows_of_part,  # type: ignore[no-untyped-def]
                      has_lengths: tl.constexpr, block: tl.constexpr):
    """The sums of `block` columns of a part of the rows, in float64, each row times its scale and then its length."""
    part = tl.program_id(0)
    columns = tl.program_id(1) * block + tl.arange(0, block)
    inside = columns < d_model
    begin = part * rows_of_part
    end = tl.minimum(begin + rows_of_part, count)
    total = tl.zeros((block,), tl.float64)
    numbers = rows + part.to(tl.int64) * rows_of_part * d_model + columns
    for i in range(begin, end):
        row = tl.load(numbers, mask=inside, other=0).to(tl.float32)
        numbers += d_model
        if has_lengths:
            length = tl.load(lengths + i).to(tl.int32)
            term = (row * tl.load(scales + length)).to(tl.float64) * length.to(tl.float64)
            total += tl.where(length > 0, term, 0.0)
        else:
            total += row.to(tl.float64)
    tl.store(sums + part.to(tl.int64) * d_model + columns, total, mask=inside)


@triton.jit
def _add_block_kernel(grad, factors, starts, tokens, grad_rows, d_model, which,  # type: ignore[no-untyped-def]
                      blocks, block: tl.constexpr):
    """Adds to `block` columns of a cell's row the sum of its terms in one block of tokens, if it has any there."""
    cell = tl.program_id(0).to(tl.int64)
    begin = tl.load(starts + cell * blocks + which)
    end = tl.load(starts + cell * blocks + which + 1)
    if begin < end:
        columns = tl.program_id(1) * block + tl.arange(0, block)
        inside = columns < d_model
        total = tl.zeros((block,), tl.float32)
        for first in range(0, end - begin, AT_ONCE):
            for j in tl.static_range(AT_ONCE):
                place = begin + first + j
                token = tl.load(tokens + tl.minimum(place, end - 1)).to(tl.int64)
                numbers = tl.load(grad + token * d_model + columns, mask=inside, other=0).to(tl.float32)
                total += tl.where(place < end, tl.load(factors + token) * numbers, -0.0)
        row = grad_rows + cell * d_model + columns
        tl.store(row, tl.load(row, mask=inside) + total, mask=inside)


@functools.lru_cache(maxsize=64)
def _scales(pos_dim: int, char_dim: int, length_normalize: bool, z_normalize: bool, epsilon: float,
            device: torch.device) -> Tensor:
    """a_L for each length: in float64, rounded once (KroneckerEncoder::scale)."""
    epsilon, code_dim = float(torch.tensor(epsilon, dtype=torch.float32)), char_dim * pos_dim
    values = [0.0]
    for length in map(float, range(1, pos_dim + 1)):
        scale = 1 / math.sqrt(length) if length_normalize else 1.0
        if z_normalize:
            scale = 1 / (math.sqrt(length * (1 - length / code_dim) / (code_dim - 1)) + epsilon / scale)
        values.append(scale)
    return torch.tensor(values, dtype=torch.float64).to(torch.float32).to(device)


def _launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **constants: Any) -> None:
    if all(size > 0 for size in grid):
        kernel[grid](*arguments, **constants, enable_fp_fusion=False)


def _column_sums(rows: Tensor, lengths: Tensor | None, scales: Tensor) -> Tensor:
    """The sums of all rows, (count, columns) -> (columns), in float64: parts of the rows, added in order."""
    count, d_model = rows.shape
    rows_of_part = max(LEAST_ROWS, -(-count // MOST_PARTS))
    parts = max(1, -(-count // rows_of_part))
    sums = torch.empty((parts, d_model), dtype=torch.float64, device=rows.device)
    _launch(_part_sums_kernel, (parts, triton.cdiv(d_model, 128)), rows, lengths if lengths is not None else rows, scales, sums,
            count, d_model, rows_of_part, has_lengths=lengths is not None, block=128)
    total = sums[0]
    for part in range(1, parts):
        total = total + sums[part]
    return total


def _columns_at_once(d_model: int) -> int:
    return min(1024, max(16, triton.next_power_of_2(d_model)))


def embed(rows: Tensor, token_bytes: Tensor, lengths: Tensor, ids: Tensor, char_dim: int, length_normalize: bool,
          z_normalize: bool, epsilon: float, centered: bool, dtype: torch.dtype) -> Tensor:
    """As torch.ops.kronecker_cpp.embed. An id outside the vocabulary is a device-side assertion."""
    rows, token_bytes, lengths, ids = rows.contiguous(), token_bytes.contiguous(), lengths.contiguous(), ids.contiguous()
    d_model, pos_dim = rows.shape[1], token_bytes.shape[1]
    _check_ids(ids, lengths)
    scales = _scales(pos_dim, char_dim, length_normalize, z_normalize, epsilon, rows.device)
    subtracts, length_rows = z_normalize and not centered, scales
    if subtracts:
        mean = _column_sums(rows, None, scales) / rows.shape[0]
        length_rows = (-torch.arange(pos_dim + 1, device=rows.device).unsqueeze(1) * mean).to(torch.float32)
    out = torch.empty((*ids.shape, d_model), dtype=dtype, device=rows.device)
    block = _columns_at_once(d_model)
    _launch(_embed_kernel, (ids.numel(), triton.cdiv(d_model, block)), rows, token_bytes, lengths, scales, length_rows, ids, out,
            d_model, char_dim, pos_dim=pos_dim, subtracts=subtracts, block=block)
    return out


def scatter(grad: Tensor, token_bytes: Tensor, lengths: Tensor, ids: Tensor, char_dim: int, length_normalize: bool,
            z_normalize: bool, epsilon: float, centered: bool, dtype: torch.dtype) -> Tensor:
    """As torch.ops.kronecker_cpp.scatter."""
    pos_dim, d_model = token_bytes.shape[1], grad.shape[-1]
    code_dim, device = char_dim * pos_dim, grad.device
    grad, ids = grad.reshape(-1, d_model).contiguous(), ids.reshape(-1)
    _check_ids(ids, lengths)
    scales = _scales(pos_dim, char_dim, length_normalize, z_normalize, epsilon, device)
    of_tokens = lengths.index_select(0, ids)
    grad_rows = torch.zeros((code_dim, d_model), dtype=torch.float32, device=device)
    if z_normalize and not centered:
        grad_rows.copy_((0 - _column_sums(grad, of_tokens, scales) / code_dim).to(torch.float32))

    # The places of tokens, sorted by the cells that they light and, of a cell, in their order.
    count, positions = ids.shape[0], torch.arange(pos_dim, device=device)
    blocks = -(-count // TOKENS_IN_BLOCK)
    places = torch.arange(count, device=device).unsqueeze(1)
    cells = token_bytes.index_select(0, ids).to(torch.int64) * pos_dim + positions
    keys = torch.where((positions < of_tokens.unsqueeze(1)) & (cells < code_dim), cells * blocks + places // TOKENS_IN_BLOCK,
                       code_dim * blocks)
    keys, order = torch.sort(keys.reshape(-1), stable=True)
    tokens = (order // pos_dim).to(torch.int32)
    starts = torch.searchsorted(keys, torch.arange(code_dim * blocks + 1, device=device)).to(torch.int32)
    factors = scales.index_select(0, of_tokens.to(torch.int64))
    block = min(256, _columns_at_once(d_model))
    for which in range(blocks):  # one after the other: so the sums of blocks are added in order
        _launch(_add_block_kernel, (code_dim, triton.cdiv(d_model, block)), grad, factors, starts, tokens, grad_rows, d_model,
                which, blocks, block=block)
    return grad_rows.to(dtype)


def _check_ids(ids: Tensor, lengths: Tensor) -> None:
    if ids.numel() > 0:
        torch._assert_async(((ids >= 0) & (ids < lengths.shape[0])).all())
