"""KroneckerEmbedding for PyTorch with this library's kernels: the PyTorch reference's constructor, state_dict and byte
overrides, so that its users change an import and nothing else.

    torch.ops.load_library("build/release/bindings/python/kronecker_torch.so")
    from kronecker_torch import KroneckerEmbedding
"""

import torch
from torch import nn


def token_bytes(tokenizer, vocab_size, pos_dim):
    """Bytes (vocab_size, pos_dim) and lengths of the strings on which the reference builds, cut between characters."""
    tokens = [tokenizer.decode([i]).encode()[:pos_dim].decode(errors="ignore").encode() for i in range(vocab_size)]
    padded = b"".join(token.ljust(pos_dim, b"\0") for token in tokens)
    return (torch.frombuffer(bytearray(padded), dtype=torch.uint8).view(vocab_size, pos_dim),
            torch.tensor([len(token) for token in tokens]))


class KroneckerEmbedding(nn.Module):
    def __init__(self, vocab_size, d_model, tokenizer=None, char_dim=256, pos_dim=32, mode="dynamic", byte_buffer=None,
                 length_buffer=None, projection_init="normal", length_normalize=True, z_normalize=True):
        super().__init__()
        if mode not in ("dynamic", "cached"):  # both do the same here
            raise ValueError(f"mode must be 'dynamic' or 'cached'; got {mode!r}")
        if byte_buffer is None or length_buffer is None:
            if tokenizer is None:
                raise ValueError("pass either tokenizer, or both byte_buffer and length_buffer")
            byte_buffer, length_buffer = token_bytes(tokenizer, vocab_size, pos_dim)
        if tuple(byte_buffer.shape) != (vocab_size, pos_dim) or tuple(length_buffer.shape) != (vocab_size,):
            raise ValueError(f"byte_buffer {tuple(byte_buffer.shape)} and length_buffer {tuple(length_buffer.shape)} are "
                             f"not ({vocab_size}, {pos_dim}) and ({vocab_size},)")
        self.num_embeddings, self.embedding_dim = vocab_size, d_model
        self.tokens = torch.classes.kronecker.Tokens(byte_buffer, length_buffer, char_dim, length_normalize, z_normalize)
        self.projection = nn.Linear(char_dim * pos_dim, d_model, bias=False)
        self.projection.weight = nn.Parameter(torch.empty(char_dim * pos_dim, d_model).t())  # as the kernels read it
        if projection_init == "xavier":
            nn.init.xavier_uniform_(self.projection.weight)
        else:
            nn.init.normal_(self.projection.weight, std=(char_dim * pos_dim) ** -0.5)

    def forward(self, input_ids):
        return torch.ops.kronecker.embed(self.projection.weight, self.tokens, input_ids)

    def forward_with_byte_override(self, input_ids, position_byte_overrides=None):
        """`position_byte_overrides` maps positions of one sequence to the bytes that stand there instead."""
        overrides = position_byte_overrides or {}
        strings = [torch.frombuffer(bytearray(text), dtype=torch.uint8) if text else torch.empty(0, dtype=torch.uint8)
                   for text in overrides.values()]
        return torch.ops.kronecker.embed_overridden(self.projection.weight, self.tokens, input_ids, list(overrides),
                                                    strings)

    def logits(self, hidden):
        """(..., d_model) -> (..., vocab_size), by the same weights."""
        return torch.ops.kronecker.logits(self.projection.weight, self.tokens, hidden)
