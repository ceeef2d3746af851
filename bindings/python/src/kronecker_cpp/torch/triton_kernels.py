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
TILES = 4
COLUMNS_OF_CELL, COLUMNS_OF_PART = 128, 64


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
def _add_in_order(total, tile, block: tl.constexpr):  # type: ignore[no-untyped-def]
    """Adds a tile of numbers, (block, 8), to `block` sums, one after the other: they are read together, but not added so."""
    of_0246, of_1357 = tl.split(tl.reshape(tile, (block, 2, 2, 2)))
    of_04, of_26 = tl.split(of_0246)
    of_15, of_37 = tl.split(of_1357)
    term_0, term_4 = tl.split(of_04)
    term_1, term_5 = tl.split(of_15)
    term_2, term_6 = tl.split(of_26)
    term_3, term_7 = tl.split(of_37)
    return total + term_0 + term_1 + term_2 + term_3 + term_4 + term_5 + term_6 + term_7


@triton.jit
def _part_sums_kernel(rows, lengths, factors, sums, count, d_model, rows_of_part,  # type: ignore[no-untyped-def]
                      has_lengths: tl.constexpr, block: tl.constexpr, tiles: tl.constexpr):
    """The sums of `block` columns of a part of the rows, in float64, each row times its factor and then its length."""
    part = tl.program_id(0)
    columns = tl.program_id(1) * block + tl.arange(0, block)
    inside = columns < d_model
    begin = part * rows_of_part
    end = tl.minimum(begin + rows_of_part, count)
    total = tl.zeros((block,), tl.float64)
    for first in range(begin, end, 8 * tiles):
        for j in tl.static_range(tiles):
            i = first + 8 * j + tl.arange(0, 8)
            numbers = rows + i.to(tl.int64)[None, :] * d_model + columns[:, None]
            row = tl.load(numbers, mask=(i < end)[None, :] & inside[:, None], other=0).to(tl.float32)
            terms = row.to(tl.float64)
            if has_lengths:
                length = tl.load(lengths + i, mask=i < end, other=0).to(tl.int32)
                factor = tl.load(factors + i, mask=i < end, other=0)
                terms = (row * factor[None, :]).to(tl.float64) * length.to(tl.float64)[None, :]
                terms = tl.where((length > 0)[None, :], terms, 0.0)
            total = _add_in_order(total, terms, block)
    tl.store(sums + part.to(tl.int64) * d_model + columns, total, mask=inside)


@triton.jit
def _add_parts_kernel(sums, total, parts, d_model, block: tl.constexpr):  # type: ignore[no-untyped-def]
    """The sums of all parts, added in order."""
    columns = tl.program_id(0) * block + tl.arange(0, block)
    inside = columns < d_model
    added = tl.load(sums + columns, mask=inside, other=0)
    for part in range(1, parts):
        added += tl.load(sums + part * d_model + columns, mask=inside, other=0)
    tl.store(total + columns, added, mask=inside)


@triton.jit
def _grad_rows_kernel(grad, factors, tokens, starts, held, grad_rows, d_model, blocks,  # type: ignore[no-untyped-def]
                      has_held: tl.constexpr, block: tl.constexpr, tiles: tl.constexpr):
    """Writes `block` columns of a cell's row: what all rows hold, and to it the sums of the cell's terms in each block of
    tokens, one after the other."""
    cell = tl.program_id(1)
    columns = tl.program_id(0) * block + tl.arange(0, block)
    inside = columns < d_model
    row = tl.zeros((block,), tl.float32)
    if has_held:
        row = tl.load(held + columns, mask=inside, other=0)
    of_cell = starts + cell * blocks
    begin = tl.load(of_cell)
    if begin < tl.load(of_cell + blocks):
        for which in range(blocks):
            end = tl.load(of_cell + which + 1)
            if begin < end:
                total = tl.zeros((block,), tl.float32)
                for first in range(begin, end, 8 * tiles):
                    for j in tl.static_range(tiles):
                        places = first + 8 * j + tl.arange(0, 8)
                        of = tl.load(tokens + tl.minimum(places, end - 1))
                        numbers = tl.load(grad + of.to(tl.int64)[None, :] * d_model + columns[:, None],
                                          mask=(places < end)[None, :] & inside[:, None], other=0).to(tl.float32)
                        terms = tl.load(factors + of)[None, :] * numbers
                        total = _add_in_order(total, tl.where((places < end)[None, :], terms, -0.0), block)
                row += total
            begin = end
    tl.store(grad_rows + cell.to(tl.int64) * d_model + columns, row.to(grad_rows.dtype.element_ty), mask=inside)


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


def _column_sums(rows: Tensor, lengths: Tensor | None = None, factors: Tensor | None = None) -> Tensor:
    """The sums of all rows, (count, columns) -> (columns), in float64: parts of the rows, added in order."""
    count, d_model = rows.shape
    rows_of_part = max(LEAST_ROWS, -(-count // MOST_PARTS))
    parts = max(1, -(-count // rows_of_part))
    sums = torch.empty((parts, d_model), dtype=torch.float64, device=rows.device)
    total = torch.empty((d_model,), dtype=torch.float64, device=rows.device)
    column_blocks = triton.cdiv(d_model, COLUMNS_OF_PART)
    _launch(_part_sums_kernel, (parts, column_blocks), rows, lengths, factors, sums, count, d_model, rows_of_part,
            has_lengths=lengths is not None, block=COLUMNS_OF_PART, tiles=TILES)
    _launch(_add_parts_kernel, (column_blocks,), sums, total, parts, d_model, block=COLUMNS_OF_PART)
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
        mean = _column_sums(rows) / rows.shape[0]
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
    of_tokens = lengths.index_select(0, ids)
    scales = _scales(pos_dim, char_dim, length_normalize, z_normalize, epsilon, device)
    factors = scales.index_select(0, of_tokens.to(torch.int64))
    held = None
    if z_normalize and not centered:
        held = (0 - _column_sums(grad, of_tokens, factors) / code_dim).to(torch.float32)

    # The tokens, sorted by the cells that they light, of a cell by their blocks and, of a block, in their order.
    count, positions = ids.shape[0], torch.arange(pos_dim, dtype=torch.int32, device=device)
    blocks = max(1, triton.cdiv(count, TOKENS_IN_BLOCK))
    block_of = torch.arange(count, dtype=torch.int32, device=device).unsqueeze(1) // TOKENS_IN_BLOCK
    bytes_of_tokens = token_bytes.index_select(0, ids).to(torch.int32)
    is_lit = (positions < of_tokens.unsqueeze(1)) & (bytes_of_tokens < char_dim)
    keys = (bytes_of_tokens * pos_dim + positions) * blocks + block_of
    keys, order = torch.sort(torch.where(is_lit, keys, code_dim * blocks).reshape(-1), stable=True)
    tokens = (order // pos_dim).to(torch.int32)
    starts = torch.searchsorted(keys, torch.arange(code_dim * blocks + 1, dtype=torch.int32, device=device), out_int32=True)
    grad_rows = torch.empty((code_dim, d_model), dtype=dtype, device=device)
    block = min(COLUMNS_OF_CELL, _columns_at_once(d_model))
    _launch(_grad_rows_kernel, (triton.cdiv(d_model, block), code_dim), grad, factors, tokens, starts, held, grad_rows, d_model,
            blocks, has_held=held is not None, block=block, tiles=TILES)
    return grad_rows


def _check_ids(ids: Tensor, lengths: Tensor) -> None:
    if ids.numel() > 0:
        torch._assert_async(((ids >= 0) & (ids < lengths.shape[0])).all())
