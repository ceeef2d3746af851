"""KroneckerEmbedding for PyTorch: the reference's constructor, attributes and byte overrides, with kernels for the CPU."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from kronecker_cpp.torch.operators import Code, embed
from kronecker_cpp.torch.tokens import packed, reference_tokens
from kronecker_cpp.vocabulary import Vocabulary


class Projection(nn.Module):
    """The learned rows: `rows` is (char_dim * pos_dim, d_model), and row b * pos_dim + p belongs to byte b at position p.

    It is the transpose of the reference's `projection.weight`, which `load_state_dict` takes as well.
    """

    rows: Tensor

    def __init__(self, pos_dim: int, d_model: int, code: Code = Code(), device: torch.device | str | None = None,
                 dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.code, self.kernels = code, True
        rows = torch.empty(code.char_dim * pos_dim, d_model, device=device, dtype=dtype)
        if code.centered:
            self.register_buffer("rows", rows)
        else:
            self.rows = nn.Parameter(rows)

    def forward(self, token_bytes: Tensor, lengths: Tensor, ids: Tensor, hidden: Tensor | None = None) -> Tensor:
        """The embeddings of the ids; with `hidden`, (..., d_model), its products with them, (..., number of ids)."""
        if hidden is None:
            return embed(self.rows, token_bytes, lengths, ids, self.code, self.kernels)
        # A product with an embedding is the embedding made of products: first those with the rows, then their sums.
        products = self.rows @ hidden.reshape(-1, hidden.shape[-1]).t()
        logits = embed(products, token_bytes, lengths, ids, self.code, self.kernels)
        return logits.t().reshape(*hidden.shape[:-1], ids.shape[0])

    def for_inference(self, dtype: torch.dtype | None = None) -> Projection:
        """A projection without parameters, whose rows are centered where codes are z-normalized."""
        char_dim, d_model = self.code.char_dim, self.rows.shape[1]
        rows = self.rows.detach()
        inference = Projection(rows.shape[0] // char_dim, d_model, self.code._replace(centered=True), rows.device,
                               dtype or rows.dtype)
        exact = rows.to(torch.promote_types(rows.dtype, torch.float32))
        inference.rows.copy_(exact - exact.mean(0) if self.code.z_normalize and not self.code.centered else exact)
        inference.kernels = self.kernels
        return inference

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        weight = state_dict.get(f"{prefix}weight")
        if weight is not None and f"{prefix}rows" not in state_dict:
            if weight.dim() == 2 and weight.shape[0] == weight.shape[1]:
                warnings.warn(f"{prefix}weight is taken as the reference's, (d_model, D), and transposed to {prefix}rows; "
                              f"both sizes are {weight.shape[0]}, so its shape does not tell", stacklevel=2)
            del state_dict[f"{prefix}weight"]
            state_dict[f"{prefix}rows"] = weight.t().contiguous()
        super()._load_from_state_dict(state_dict, prefix, *arguments)

    def extra_repr(self) -> str:
        return f"rows={tuple(self.rows.shape)}, {self.code}"


class KroneckerEmbedding(nn.Module):
    """What nn.Embedding is, without the table: tokens are embedded by their bytes.

    The one parameter is `projection.rows`, (D, d_model) with D = char_dim * pos_dim. The tokens are given by a tokenizer
    of transformers, which is asked for the reference's strings; by bytes (V, pos_dim) and lengths (V); or by a file
    (`from_tokenizer_file`), which gives tokens their true bytes.

    `mode` is the reference's: "dynamic" and "cached" do the same here, and keep nothing. `projection_init` is "normal",
    of deviation 1 / sqrt(D), or "xavier". `projection.kernels = False` asks for standard operators on the CPU too.

    Bytes and lengths are no buffers: whatever fills in or sends around buffers (to_empty, from_pretrained of
    transformers, DistributedDataParallel) leaves them as they are. They follow the module to its device.
    """

    def __init__(self, vocab_size: int, d_model: int, tokenizer: Any = None, char_dim: int = 256, pos_dim: int = 32,
                 mode: Literal["dynamic", "cached"] = "dynamic", byte_buffer: Tensor | None = None,
                 length_buffer: Tensor | None = None, projection_init: Literal["normal", "xavier"] = "normal",
                 length_normalize: bool = True, z_normalize: bool = True, *,
                 device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        if mode not in ("dynamic", "cached"):
            raise ValueError(f"mode must be 'dynamic' or 'cached'; got {mode!r}")
        if projection_init not in ("normal", "xavier"):
            raise ValueError(f"projection_init must be 'normal' or 'xavier'; got {projection_init!r}")
        if not 2 <= char_dim <= 256 or not 1 <= pos_dim <= 255:
            raise ValueError(f"char_dim {char_dim} is outside 2 to 256, or pos_dim {pos_dim} outside 1 to 255")
        if byte_buffer is None or length_buffer is None:
            if tokenizer is None:
                raise ValueError("pass either tokenizer, or both byte_buffer and length_buffer")
            byte_buffer, length_buffer = reference_tokens(tokenizer, pos_dim)
        self.vocab_size, self.d_model = vocab_size, d_model
        self.char_dim, self.pos_dim, self.D = char_dim, pos_dim, char_dim * pos_dim
        self.length_normalize, self.z_normalize = length_normalize, z_normalize
        self.mode, self.projection_init = mode, projection_init
        self._set_tokens(byte_buffer, length_buffer)
        self.projection = Projection(pos_dim, d_model, Code(char_dim, length_normalize, z_normalize), device, dtype)
        self.reset_parameters()

    @classmethod
    def from_tokenizer_file(cls, path: str | os.PathLike[str], d_model: int, pos_dim: int = 32, char_dim: int = 256,
                            text: Literal["raw", "reference"] = "raw", **options: Any) -> KroneckerEmbedding:
        """An embedding of the tokens of a tokenizer.json, SentencePiece model, tiktoken ranks or GGUF, with their true
        bytes. `text` is that of `kronecker_cpp.Vocabulary.load`, `options` are the constructor's."""
        token_bytes, lengths = map(torch.from_numpy, Vocabulary.load(path, text).to_arrays(pos_dim, char_dim))
        return cls(len(lengths), d_model, None, char_dim, pos_dim, byte_buffer=token_bytes, length_buffer=lengths, **options)

    def reset_parameters(self) -> None:
        """Draws the rows anew."""
        if self.projection_init == "xavier":
            nn.init.xavier_uniform_(self.projection.rows)
        else:
            nn.init.normal_(self.projection.rows, std=self.D ** -0.5)

    @property
    def num_embeddings(self) -> int:
        return self.vocab_size

    @property
    def embedding_dim(self) -> int:
        return self.d_model

    def forward(self, input_ids: Tensor) -> Tensor:
        """The embeddings of ids of any shape and integer type: (..., d_model). An id outside the vocabulary, and a token
        whose bytes or length are outside the code, raise."""
        return self._projected(self._tokens(input_ids.device), input_ids)

    def forward_with_byte_override(self, input_ids: Tensor,
                                   position_byte_overrides: Mapping[int, bytes] | None = None) -> Tensor:
        """The embeddings of one sequence, (L) or (1, L), with other bytes than the tokens' at some positions, so that
        a word which is no token is embedded as one."""
        if not position_byte_overrides:
            return self._projected(self._tokens(input_ids.device), input_ids)
        if input_ids.dim() not in (1, 2) or input_ids.shape[:-1].numel() != 1:
            raise ValueError(f"overrides are for one sequence, (L) or (1, L); the ids are {tuple(input_ids.shape)}")
        length = input_ids.shape[-1]
        for position, text in position_byte_overrides.items():
            if not 0 <= position < length:
                raise IndexError(f"override position {position} is past the end of the {length} tokens")
            if not isinstance(text, (bytes, bytearray)):
                raise TypeError(f"the override at position {position} is of type {type(text).__name__}, not bytes")
        ids, positions = input_ids.reshape(-1).to(torch.int64), list(position_byte_overrides)
        sequence = [part.index_select(0, ids) for part in self._tokens(ids.device)]
        overrides = packed([bytes(text) for text in position_byte_overrides.values()], self.pos_dim)
        for part, override in zip(sequence, overrides):
            part[positions] = override.to(part.device)
        return self._projected(sequence, torch.arange(length, device=ids.device).reshape(input_ids.shape))

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., d_model) -> (..., vocab_size): products with the embeddings of all tokens, by the same weights."""
        if hidden.shape[-1] != self.d_model:
            raise ValueError(f"hidden states of shape {tuple(hidden.shape)} do not end in d_model {self.d_model}")
        return self._projected(self._tokens(hidden.device), torch.arange(self.vocab_size, device=hidden.device), hidden)

    def for_inference(self, dtype: torch.dtype | None = None) -> KroneckerEmbedding:
        """The same function without parameters: its rows are a buffer, in `dtype` if that is given, and centered, so that
        a call reads no other rows than those it needs. It does not follow later changes of this module."""
        token_bytes, lengths = self._tokens(torch.device("cpu"), keep=False)
        inference = KroneckerEmbedding(self.vocab_size, self.d_model, None, self.char_dim, self.pos_dim, self.mode,
                                       token_bytes, lengths, self.projection_init, self.length_normalize,
                                       self.z_normalize, device="meta")
        inference.projection = self.projection.for_inference(dtype)
        return inference.train(self.training)

    def reference_state_dict(self) -> dict[str, Tensor]:
        """The state_dict of the PyTorch reference: `projection.weight`, (d_model, D)."""
        return {"projection.weight": self.projection.rows.detach().t().contiguous()}

    def extra_repr(self) -> str:
        return (f"vocab_size={self.vocab_size}, d_model={self.d_model}, char_dim={self.char_dim}, pos_dim={self.pos_dim}, "
                f"D={self.D}, mode={self.mode!r}")

    def _projected(self, tokens: Sequence[Tensor], *arguments: Tensor) -> Tensor:
        out: Tensor = self.projection(*tokens, *arguments)  # called, so that hooks are in force
        return out

    def _set_tokens(self, token_bytes: Tensor, lengths: Tensor) -> None:
        """Copies bytes and lengths, so that no one else changes them."""
        if token_bytes.shape != (self.vocab_size, self.pos_dim) or lengths.shape != (self.vocab_size,):
            raise ValueError(f"byte_buffer {tuple(token_bytes.shape)} and length_buffer {tuple(lengths.shape)} are not "
                             f"({self.vocab_size}, {self.pos_dim}) and ({self.vocab_size},)")
        for name, values, most in (("byte_buffer", token_bytes, 255), ("length_buffer", lengths, self.pos_dim)):
            if values.numel() > 0 and values.device.type != "meta" and not 0 <= values.min() <= values.max() <= most:
                raise ValueError(f"{name} has values from {values.min()} to {values.max()}, outside 0 to {most}")
        self._byte_buffer = token_bytes.detach().to(torch.uint8, copy=True).contiguous()
        self._length_buffer = lengths.detach().to(torch.uint8, copy=True).contiguous()

    def _tokens(self, device: torch.device, keep: bool = True) -> tuple[Tensor, Tensor]:
        """Bytes and lengths on a device; they stay there, unless it is "meta", where nothing can."""
        if self._byte_buffer.device == device:
            return self._byte_buffer, self._length_buffer
        token_bytes, lengths = self._byte_buffer.to(device), self._length_buffer.to(device)
        if keep and device.type != "meta":
            self._byte_buffer, self._length_buffer = token_bytes, lengths
        return token_bytes, lengths

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> KroneckerEmbedding:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._tokens(self.projection.rows.device)
        return self
