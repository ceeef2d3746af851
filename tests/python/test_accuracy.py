"""How far gradients of long batches are from those in double, beside the PyTorch reference's, which are a matrix product."""

import kronecker_embeddings
import pytest
import torch
from torch_cases import golden_module

from kronecker_cpp.torch import KroneckerEmbedding

CHAR_DIM, POS_DIM, D_MODEL, VOCAB_SIZE = 8, 4, 8, 64  # so small that the reference's codes of 2^20 tokens fit into memory


def gradient(kind, ids, upstream, dtype=torch.float32, kernels=True):
    """Of the weights, (d_model, D)."""
    draw = torch.Generator().manual_seed(1)
    token_bytes = torch.randint(CHAR_DIM, (VOCAB_SIZE, POS_DIM), generator=draw)
    lengths = torch.randint(1, POS_DIM + 1, (VOCAB_SIZE,), generator=draw)
    module = kind(VOCAB_SIZE, D_MODEL, char_dim=CHAR_DIM, pos_dim=POS_DIM, byte_buffer=token_bytes, length_buffer=lengths)
    module.projection.kernels = kernels
    module.to(dtype)(ids).backward(upstream.to(dtype))
    if kind is KroneckerEmbedding:
        return module.projection.rows.grad.t()
    return module.projection.weight.grad


def relative_error(found, exact):
    return ((found.double() - exact).abs().max() / exact.abs().max()).item()


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("power", [12, 16, 20])
def test_the_error_is_at_most_twice_the_reference_s(power, kernels):
    draw = torch.Generator().manual_seed(power)
    ids = torch.randint(VOCAB_SIZE, (2**power,), generator=draw)
    upstream = torch.rand(2**power, D_MODEL, generator=draw)
    reference = kronecker_embeddings.KroneckerEmbedding
    exact = gradient(reference, ids, upstream, torch.float64)
    error = relative_error(gradient(KroneckerEmbedding, ids, upstream, kernels=kernels), exact)
    assert error <= 2 * relative_error(gradient(reference, ids, upstream), exact)
    assert error < 1e-5


@pytest.mark.parametrize("kernels", [True, False])
def test_a_million_equal_terms_lose_less_than_one_in_ten_thousand(kernels):
    module, count = golden_module("TF", kernels), 2**20  # without z-normalization a row's gradient is its terms' sum alone
    length = int(module._length_buffer[3])
    module(torch.full((count,), 3)).backward(torch.full((count, 8), 0.1))
    lit = module.projection.rows.grad[module.projection.rows.grad[:, 0] != 0]
    term = torch.tensor(length, dtype=torch.float64).rsqrt().float() * torch.tensor(0.1)
    expected = count * term.item()
    assert lit.shape == (length, 8)
    assert (lit.double() / expected - 1).abs().max() <= 1e-4
