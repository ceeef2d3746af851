"""What an additive output head lacks: a bias and a few factors of each token's own.

    correction = HeadCorrection.from_counts(counts, d_model=768, rank=64)
    logits = layer.logits(hidden) + correction(hidden)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class HeadCorrection(nn.Module):
    """bias + (hidden C^T) u^T: `bias` is (V), `token_factors` u are (V, k), `state_factors` C are (k, d_model).

    u starts as 0 and C normal with deviation 1 / sqrt(d_model), so that the logits start as those of the head and the bias.
    As tensors `head.bias`, `head.token_factors` and `head.state_factors` of a model file, C++ loads them.
    """

    def __init__(self, bias: Tensor, d_model: int, rank: int) -> None:
        super().__init__()
        like = {"device": bias.device, "dtype": bias.dtype}
        self.bias = nn.Parameter(bias.clone())
        self.token_factors = nn.Parameter(torch.zeros(len(bias), rank, **like))
        self.state_factors = nn.Parameter(torch.randn(rank, d_model, **like) * d_model**-0.5)

    @classmethod
    def from_counts(cls, counts: Tensor, d_model: int, rank: int, smoothing: float = 1.0) -> HeadCorrection:
        """The bias is the logarithm of each token's share of the counts, (V), each plus `smoothing`."""
        smoothed = counts.double() + smoothing
        return cls((smoothed / smoothed.sum()).log().float(), d_model, rank)

    def forward(self, hidden: Tensor) -> Tensor:
        """What it adds to the logits of hidden states: (..., d_model) -> (..., V)."""
        return functional.linear(functional.linear(hidden, self.state_factors), self.token_factors, self.bias)
