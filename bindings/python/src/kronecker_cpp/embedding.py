"""A saved embedding, with NumPy alone."""

from __future__ import annotations

import os
import weakref
from collections.abc import Sequence
from ctypes import c_char_p, c_size_t, c_void_p

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kronecker_cpp._library import call, library, opened


class KroneckerEmbedding:
    """An embedding that the tool kron or kronecker::save wrote.

    The file is mapped, so processes share its memory; any number of threads may use one embedding.
    """

    def __init__(self, handle: c_void_p) -> None:
        self._handle = handle
        weakref.finalize(self, library.kronecker_close, handle)
        self.vocab_size: int = library.kronecker_vocab_size(handle)
        self.d_model: int = library.kronecker_d_model(handle)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> KroneckerEmbedding:
        """Opens a saved embedding. A file that is none: OSError with what was expected and found."""
        return cls(opened("kronecker_open", path))

    def __call__(self, ids: ArrayLike) -> NDArray[np.float32]:
        """The embeddings of ids of any shape: (..., d_model). An id outside the vocabulary: IndexError."""
        ids = np.asarray(ids)
        if ids.size > 0 and ids.dtype.kind not in "iu":
            raise TypeError(f"ids are of type {ids.dtype}, not integers")
        outside = (ids < 0) | (ids >= self.vocab_size)
        if outside.any():
            index = int(np.argmax(outside))
            raise IndexError(f"token id {ids.flat[index]} at index {index} is outside the vocabulary of "
                             f"{self.vocab_size} tokens")
        ids = np.asarray(ids, np.int32, order="C")
        out = np.empty((*ids.shape, self.d_model), np.float32)
        call("kronecker_embed_ids", self._handle, ids.ctypes.data, ids.size, out.ctypes.data, out.size)
        return out

    def embed(self, text: bytes | str) -> NDArray[np.float32]:
        """The embedding, (d_model), of any bytes, a token's or not; of a string, of its UTF-8."""
        return self.embed_all([text]).reshape(self.d_model)

    def embed_all(self, texts: Sequence[bytes | str]) -> NDArray[np.float32]:
        """The embeddings, (N, d_model), of N byte strings."""
        if isinstance(texts, (str, bytes)):
            raise TypeError(f"embed_all takes several texts, and {texts!r} is one")
        encoded = [_encoded(text) for text in texts]
        out = np.empty((len(encoded), self.d_model), np.float32)
        call("kronecker_embed_strings", self._handle, (c_char_p * len(encoded))(*encoded),
             (c_size_t * len(encoded))(*map(len, encoded)), len(encoded), out.ctypes.data, out.size)
        return out

    def logits(self, hidden: ArrayLike) -> NDArray[np.float32]:
        """(..., d_model) -> (..., vocab_size): products with the embeddings of all tokens, by the same weights; with what
        corrects them if the file has it."""
        hidden = np.asarray(hidden, np.float32, order="C")
        if hidden.ndim == 0 or hidden.shape[-1] != self.d_model:
            raise ValueError(f"hidden states of shape {hidden.shape} do not end in d_model {self.d_model}")
        out = np.empty((*hidden.shape[:-1], self.vocab_size), np.float32)
        call("kronecker_logits", self._handle, hidden.ctypes.data, hidden.size // self.d_model, out.ctypes.data, out.size)
        return out


def _encoded(text: bytes | str) -> bytes:
    if isinstance(text, str):
        return text.encode()
    if isinstance(text, (bytes, bytearray, memoryview)):  # of other types, bytes() makes zeros
        return bytes(text)
    raise TypeError(f"a text is of type {type(text).__name__}, not bytes or str")
