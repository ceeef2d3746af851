"""Kronecker embeddings for PyTorch, from the PyTorch reference's constructor on.

    from kronecker_cpp.torch import KroneckerEmbedding     # instead of kronecker_embeddings

    layer = KroneckerEmbedding.from_tokenizer_file("tokenizer.json", d_model=768, pos_dim=16)
    vectors = layer(ids)                                   # (..., 768), differentiable
    logits = layer.logits(hidden)                          # (..., vocab_size), by the same weights
    logits = layer.logits(hidden) + HeadCorrection.from_counts(counts, d_model=768, rank=64)(hidden)
"""

from kronecker_cpp.torch.head_correction import HeadCorrection
from kronecker_cpp.torch.module import KroneckerEmbedding, Projection
from kronecker_cpp.torch.operators import Code, embed

__all__ = ["Code", "HeadCorrection", "KroneckerEmbedding", "Projection", "embed"]
