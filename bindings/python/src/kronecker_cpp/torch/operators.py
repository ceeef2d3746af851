"""The embedding as a function of plain tensors, with its gradient.

`embed` is what a module calls. Behind it are two linear operators, each the other's gradient: the sum of the rows that a
token lights, and the scattering of gradients to those rows. On the CPU they are libkronecker's kernels, registered as
torch.ops.kronecker_cpp.embed and .scatter; on CUDA, where Triton is installed, Triton kernels with the same bits
(triton_kernels.py); on other devices, and in float64, standard operators that torch.compile fuses.

Nothing is kept between calls: what follows from the rows, their mean, is computed in each.
"""

from __future__ import annotations

import importlib.util
from ctypes import byref
from typing import Any, NamedTuple

import torch
from torch import Tensor

from kronecker_cpp import _library

ROW_TYPES = {torch.float32: _library.FLOAT32, torch.bfloat16: _library.BFLOAT16, torch.float16: _library.FLOAT16}
TOKENS_IN_BLOCK = 1024
"""Whose terms are summed before the sums are added, so that the error of long batches stays near a matrix product's."""
ID_TYPES = frozenset([torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.uint16, torch.uint32,
                      torch.uint64])


_library.use_threads_of_openmp()


def _has_triton() -> bool:
    return torch.version.cuda is not None and importlib.util.find_spec("triton") is not None


KERNEL_DEVICES = frozenset(["cpu", "meta", "cuda"] if _has_triton() else ["cpu", "meta"])


class Code(NamedTuple):
    """How a token's bytes become its code."""

    char_dim: int = 256
    length_normalize: bool = True
    z_normalize: bool = True
    epsilon: float = 1e-6
    centered: bool = False
    """That the mean of the rows is zero already, so that none is computed."""


def embed(rows: Tensor, token_bytes: Tensor, lengths: Tensor, ids: Tensor, code: Code = Code(), kernels: bool = True) -> Tensor:
    """The embeddings of ids of any shape and integer type: (..., d_model), differentiable by the rows.

    `rows` is (char_dim * pos_dim, d_model): row b * pos_dim + p belongs to byte b at position p. `token_bytes` is
    (V, pos_dim) and `lengths` is (V), both uint8. The result has the type of the rows, under autocast that of autocast.
    `kernels=False` asks for standard operators where there are kernels. Forward-mode derivatives are not supported.
    """
    if ids.dtype not in ID_TYPES:
        raise TypeError(f"ids are of type {ids.dtype}, not integers")
    if type(rows).__name__ == "DTensor":
        return _embed_sharded(rows, token_bytes, lengths, ids, code, kernels)
    dtype, device = rows.dtype, rows.device.type
    if dtype != torch.float64 and device != "meta" and torch.is_autocast_enabled(device):
        dtype = torch.get_autocast_dtype(device)
    kernels = kernels and device in KERNEL_DEVICES and rows.dtype in ROW_TYPES and dtype in ROW_TYPES
    out: Tensor = _Embed.apply(rows, token_bytes, lengths, ids.to(torch.int64), code, dtype, kernels)
    return out


def _embed_sharded(rows: Any, token_bytes: Tensor, lengths: Tensor, ids: Tensor, code: Code, kernels: bool) -> Tensor:
    """Rows that are sharded by d_model give embeddings that are; of rows that are sharded otherwise, all are gathered. The
    ids are the same in all processes."""
    from torch.distributed.tensor import DTensor, Replicate, Shard
    placements = [place if place.is_shard(1) else Replicate() for place in rows.placements]
    rows = rows.redistribute(placements=placements)
    out = embed(rows.to_local(), token_bytes, lengths, ids, code, kernels)
    places = [Shard(out.dim() - 1) if place.is_shard() else place for place in placements]
    return DTensor.from_local(out, rows.device_mesh, places, run_check=False)


class _Embed(torch.autograd.Function):
    """Rows -> embeddings."""

    @staticmethod
    def forward(rows: Tensor, token_bytes: Tensor, lengths: Tensor, ids: Tensor, code: Code, dtype: torch.dtype,
                kernels: bool) -> Tensor:
        function = torch.ops.kronecker_cpp.embed if kernels else embed_by_standard_operators
        return function(rows, token_bytes, lengths, ids, *code, dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        rows, *tokens, code, _, kernels = inputs
        ctx.save_for_backward(*tokens)
        ctx.code, ctx.kernels, ctx.row_dtype = code, kernels, rows.dtype

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        grad_rows = _Scatter.apply(grad, *ctx.saved_tensors, ctx.code, ctx.row_dtype, ctx.kernels)
        return grad_rows, None, None, None, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], rows: Tensor, token_bytes: Tensor, lengths: Tensor, ids: Tensor,
             *options: Any) -> tuple[Tensor, int]:
        if in_dims[:3] == (None, None, None):  # a batch of ids is ids of one dimension more
            return _Embed.apply(rows, token_bytes, lengths, ids.movedim(in_dims[3], 0), *options), 0
        return _one_by_one(_Embed, info, in_dims, rows, token_bytes, lengths, ids, *options)


class _Scatter(torch.autograd.Function):
    """Gradients of embeddings -> gradient of the rows."""

    @staticmethod
    def forward(grad: Tensor, token_bytes: Tensor, lengths: Tensor, ids: Tensor, code: Code, dtype: torch.dtype,
                kernels: bool) -> Tensor:
        function = torch.ops.kronecker_cpp.scatter if kernels else scatter_by_standard_operators
        return function(grad, token_bytes, lengths, ids, *code, dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        grad, *tokens, code, _, kernels = inputs
        ctx.save_for_backward(*tokens)
        ctx.code, ctx.kernels, ctx.grad_dtype = code, kernels, grad.dtype

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
        grad_grad = _Embed.apply(grad, *ctx.saved_tensors, ctx.code, ctx.grad_dtype, ctx.kernels)
        return grad_grad, None, None, None, None, None, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Tensor, int]:
        return _one_by_one(_Scatter, info, in_dims, *inputs)


def _one_by_one(function: type[torch.autograd.Function], info: Any, in_dims: tuple[Any, ...], *inputs: Any) -> tuple[Tensor, int]:
    """Calls the function for each element of a batch."""
    def element(i: int) -> list[Any]:
        return [value if dim is None else value.select(dim, i)
                for value, dim in zip(inputs, in_dims[:4] + (None,) * (len(inputs) - 4))]

    return torch.stack([function.apply(*element(i)) for i in range(info.batch_size)]), 0


# ---- kernels ----------------------------------------------------------------------------------------------------


def _arguments(token_bytes: Tensor, lengths: Tensor, char_dim: int, length_normalize: bool, z_normalize: bool,
               epsilon: float, centered: bool) -> tuple[Any, Any]:
    """The structures that libkronecker takes; of the arrays, whose sizes it cannot see, the shapes are checked here."""
    if token_bytes.dtype != torch.uint8 or lengths.dtype != torch.uint8:
        raise TypeError(f"bytes are of type {token_bytes.dtype} and lengths of {lengths.dtype}, not both uint8")
    if token_bytes.dim() != 2 or lengths.shape != token_bytes.shape[:1]:
        raise ValueError(f"bytes {tuple(token_bytes.shape)} and lengths {tuple(lengths.shape)} are not (V, pos_dim) and (V)")
    code = _library.Code(char_dim, token_bytes.shape[1], length_normalize, 2 if z_normalize and centered else z_normalize,
                         epsilon)
    return byref(code), byref(_library.Tokens(token_bytes.data_ptr(), lengths.data_ptr(), token_bytes.shape[0]))


def _checked_ids(ids: Tensor) -> Tensor:
    if ids.dtype != torch.int64:
        raise TypeError(f"ids are of type {ids.dtype}, not int64")
    return ids.contiguous()


@torch.library.custom_op("kronecker_cpp::embed", mutates_args=(), device_types="cpu")
def _embed_kernel(rows: Tensor, token_bytes: Tensor, lengths: Tensor, ids: Tensor, char_dim: int, length_normalize: bool,
                  z_normalize: bool, epsilon: float, centered: bool, dtype: torch.dtype) -> Tensor:
    rows, token_bytes, lengths, ids = rows.contiguous(), token_bytes.contiguous(), lengths.contiguous(), _checked_ids(ids)
    code, tokens = _arguments(token_bytes, lengths, char_dim, length_normalize, z_normalize, epsilon, centered)
    if rows.dim() != 2 or rows.shape[0] != char_dim * token_bytes.shape[1]:
        raise ValueError(f"rows {tuple(rows.shape)} are not (char_dim * pos_dim, d_model) with char_dim {char_dim} and "
                         f"pos_dim {token_bytes.shape[1]}")
    out = torch.empty((*ids.shape, rows.shape[1]), dtype=dtype)
    if out.numel() > 0:
        _library.call("kronecker_forward", code, tokens, rows.data_ptr(), ROW_TYPES[rows.dtype], rows.shape[1],
                      ids.data_ptr(), ids.numel(), out.data_ptr(), ROW_TYPES[dtype], torch.get_num_threads())
    return out


@_embed_kernel.register_fake
def _(rows: Tensor, token_bytes: Tensor, lengths: Tensor, ids: Tensor, char_dim: int, length_normalize: bool,
      z_normalize: bool, epsilon: float, centered: bool, dtype: torch.dtype) -> Tensor:
    return rows.new_empty((*ids.shape, rows.shape[1]), dtype=dtype)


@torch.library.custom_op("kronecker_cpp::scatter", mutates_args=(), device_types="cpu")
def _scatter_kernel(grad: Tensor, token_bytes: Tensor, lengths: Tensor, ids: Tensor, char_dim: int, length_normalize: bool,
                    z_normalize: bool, epsilon: float, centered: bool, dtype: torch.dtype) -> Tensor:
    grad, token_bytes, lengths, ids = grad.contiguous(), token_bytes.contiguous(), lengths.contiguous(), _checked_ids(ids)
    code, tokens = _arguments(token_bytes, lengths, char_dim, length_normalize, z_normalize, epsilon, centered)
    if grad.shape[:-1] != ids.shape:
        raise ValueError(f"gradients {tuple(grad.shape)} do not fit ids {tuple(ids.shape)}")
    grad_rows = torch.empty((char_dim * token_bytes.shape[1], grad.shape[-1]), dtype=dtype)
    _library.call("kronecker_backward", code, tokens, grad.shape[-1], ids.data_ptr(), ids.numel(), grad.data_ptr(),
                  ROW_TYPES[grad.dtype], grad_rows.data_ptr(), ROW_TYPES[dtype], torch.get_num_threads())
    return grad_rows


@_scatter_kernel.register_fake
def _(grad: Tensor, token_bytes: Tensor, lengths: Tensor, ids: Tensor, char_dim: int, length_normalize: bool,
      z_normalize: bool, epsilon: float, centered: bool, dtype: torch.dtype) -> Tensor:
    return grad.new_empty((char_dim * token_bytes.shape[1], grad.shape[-1]), dtype=dtype)


def _embed_on_cuda(*arguments: Any) -> Tensor:
    from kronecker_cpp.torch import triton_kernels
    return triton_kernels.embed(*arguments)


def _scatter_on_cuda(*arguments: Any) -> Tensor:
    from kronecker_cpp.torch import triton_kernels
    return triton_kernels.scatter(*arguments)


if "cuda" in KERNEL_DEVICES:
    _embed_kernel.register_kernel("cuda", _embed_on_cuda)
    _scatter_kernel.register_kernel("cuda", _scatter_on_cuda)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.dtype = inputs[0].dtype
    ctx.save_for_backward(*inputs[1:4])
    ctx.options = inputs[4:9]


def _embed_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return torch.ops.kronecker_cpp.scatter(grad, *ctx.saved_tensors, *ctx.options, ctx.dtype), *(None,) * 9


def _scatter_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    return torch.ops.kronecker_cpp.embed(grad, *ctx.saved_tensors, *ctx.options, ctx.dtype), *(None,) * 9


_embed_kernel.register_autograd(_embed_gradient, setup_context=_remember)
_scatter_kernel.register_autograd(_scatter_gradient, setup_context=_remember)


# ---- standard operators -----------------------------------------------------------------------------------------


def _lit(token_bytes: Tensor, lengths: Tensor, ids: Tensor, char_dim: int, length_normalize: bool, z_normalize: bool,
         epsilon: float, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Of N ids: their bytes (N, pos_dim), which of them count, the lengths (N, 1), and the factors a_L (N, 1)."""
    pos_dim = token_bytes.shape[1]
    _check_used(token_bytes, lengths, ids, char_dim)
    lengths = lengths.index_select(0, ids).to(torch.int64).unsqueeze(1)
    lit = torch.arange(pos_dim, device=ids.device) < lengths
    # What is not lit adds zero somewhere: at another byte for each token, so that no row is waited for.
    elsewhere = (torch.arange(ids.shape[0], device=ids.device) % char_dim).unsqueeze(1)
    lit_bytes = torch.where(lit, token_bytes.index_select(0, ids).to(torch.int64), elsewhere)
    lengths = lengths.to(dtype)
    factors = torch.rsqrt(lengths.clamp_min(1)) if length_normalize else torch.ones_like(lengths)
    if z_normalize:
        code_dim = char_dim * pos_dim
        deviation = factors * torch.sqrt(lengths * (1 - lengths / code_dim) / (code_dim - 1))
        factors = torch.where(lengths > 0, factors / (deviation + epsilon), 0)
    return lit_bytes, lit, lengths, factors


def _check_used(token_bytes: Tensor, lengths: Tensor, ids: Tensor, char_dim: int) -> None:
    """Checks ids, lengths and bytes where that costs no synchronization; elsewhere index_select refuses them."""
    if ids.device.type != "cpu" or torch.compiler.is_compiling() or ids.numel() == 0:
        return
    outside = (ids < 0) | (ids >= token_bytes.shape[0])
    if outside.any():
        index = int(outside.int().argmax())
        raise IndexError(f"token id {int(ids[index])} at index {index} is outside the vocabulary of "
                         f"{token_bytes.shape[0]} tokens")
    pos_dim, used = token_bytes.shape[1], lengths[ids]
    if int(used.max()) > pos_dim:
        id = int(ids[used.argmax()])
        raise ValueError(f"token {id} has a length of {int(used.max())} over pos_dim {pos_dim}")
    lit_bytes = torch.where(torch.arange(pos_dim) < used.unsqueeze(1), token_bytes[ids], 0)
    if int(lit_bytes.max()) >= char_dim:
        index = int(lit_bytes.argmax())
        raise ValueError(f"byte {int(lit_bytes.max())} at position {index % pos_dim} of token {int(ids[index // pos_dim])} "
                         f"is outside the alphabet of char_dim {char_dim}")


def embed_by_standard_operators(rows: Tensor, token_bytes: Tensor, lengths: Tensor, ids: Tensor, char_dim: int,
                                length_normalize: bool, z_normalize: bool, epsilon: float, centered: bool,
                                dtype: torch.dtype) -> Tensor:
    """a_L * (sum of the lit rows - L * mean of all rows), in float32 or float64, rounded to `dtype` at the end."""
    exact = torch.float64 if rows.dtype == torch.float64 else torch.float32
    lit_bytes, lit, lengths, factors = _lit(token_bytes, lengths, ids.reshape(-1), char_dim, length_normalize,
                                            z_normalize, epsilon, exact)
    total = torch.zeros((), dtype=exact, device=rows.device)
    pos_dim = lit_bytes.shape[1]
    for position in range(pos_dim):
        row = rows.index_select(0, lit_bytes[:, position] * pos_dim + position).to(exact)
        total = total + torch.where(lit[:, position, None], row, 0)
    if z_normalize and not centered:
        total = total - lengths * rows.mean(0, dtype=exact)
    return (factors * total).to(dtype).reshape(*ids.shape, rows.shape[1])


def scatter_by_standard_operators(grad: Tensor, token_bytes: Tensor, lengths: Tensor, ids: Tensor, char_dim: int,
                                  length_normalize: bool, z_normalize: bool, epsilon: float, centered: bool,
                                  dtype: torch.dtype) -> Tensor:
    """The gradient of the rows, (char_dim * pos_dim, d_model), in float32 or float64, rounded to `dtype` at the end. The sums
    of the blocks of one position take a quarter of the memory of the terms, with char_dim 256."""
    exact = torch.float64 if grad.dtype == torch.float64 else torch.float32
    lit_bytes, lit, lengths, factors = _lit(token_bytes, lengths, ids.reshape(-1), char_dim, length_normalize,
                                            z_normalize, epsilon, exact)
    terms = factors * grad.reshape(-1, grad.shape[-1]).to(exact)
    count, d_model = terms.shape
    blocks = (count + TOKENS_IN_BLOCK - 1) // TOKENS_IN_BLOCK
    first_rows = torch.arange(count, device=ids.device) // TOKENS_IN_BLOCK * char_dim  # of each token's block
    of_positions = []
    for position in range(lit_bytes.shape[1]):
        sums = terms.new_zeros((blocks * char_dim, d_model))
        sums = sums.index_add(0, first_rows + lit_bytes[:, position], torch.where(lit[:, position, None], terms, 0))
        of_positions.append(sums.reshape(blocks, char_dim, d_model).sum(0))
    grad_rows = torch.stack(of_positions, 1).reshape(-1, d_model)
    if z_normalize and not centered:
        grad_rows = grad_rows - (lengths * terms).sum(0) / grad_rows.shape[0]
    return grad_rows.to(dtype)
