"""The bytes of a vocabulary's tokens, from a tokenizer file of any supported format."""

from __future__ import annotations

import builtins
import itertools
import os
import weakref
from ctypes import POINTER, byref, c_char, c_size_t, c_void_p, string_at
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kronecker_cpp._library import Code, call, library, opened


class Vocabulary:
    """Token ids and their bytes. It does not change, and any number of threads may use it."""

    def __init__(self, handle: c_void_p) -> None:
        self._handle = handle
        weakref.finalize(self, library.kronecker_vocabulary_close, handle)

    @classmethod
    def load(cls, path: str | os.PathLike[str], text: Literal["raw", "reference"] = "raw") -> Vocabulary:
        """Reads a tokenizer's file, or that in the folder of a model: Hugging Face's tokenizer.json, GPT-2's
        encoder.json, Mistral's tekken.json, tiktoken ranks, a SentencePiece model, GGUF or RWKV's vocabulary.

        `text="raw"` gives each token the bytes that it stands for in a text: use this. `text="reference"` gives the
        strings that the PyTorch reference encodes, for weights that were trained with them: of tokenizer.json the very
        same; other formats do not always say how their tokenizer decodes, and are then refused or read as Llama's.
        """
        if text not in ("raw", "reference"):
            raise ValueError(f"text must be 'raw' or 'reference'; got {text!r}")
        return cls(opened("kronecker_vocabulary_open", path, int(text == "reference")))

    def __len__(self) -> int:
        size: int = library.kronecker_vocabulary_size(self._handle)
        return size

    def bytes(self, id: int) -> builtins.bytes:
        """The bytes of a token; of an id that no token has, none. An id outside the vocabulary: IndexError."""
        if not 0 <= id < len(self):
            raise IndexError(f"token id {id} is outside the vocabulary of {len(self)} tokens")
        start, length = POINTER(c_char)(), c_size_t()
        call("kronecker_vocabulary_bytes", self._handle, id, byref(start), byref(length))
        return string_at(start, length.value)

    @property
    def notes(self) -> list[str]:
        """What was assumed because the file does not say it, is missing or is lost: a sentence each."""
        indices = itertools.count()
        notes = iter(lambda: library.kronecker_vocabulary_note(self._handle, next(indices)), None)
        return [note.decode() for note in notes]

    def to_arrays(self, pos_dim: int, char_dim: int = 256) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Bytes (V, pos_dim), zero after a token's end, and lengths (V).

        Tokens of more than pos_dim bytes are cut between characters where that is possible. A byte outside the
        alphabet of char_dim is a ValueError.
        """
        if not 1 <= pos_dim <= 255:
            raise ValueError(f"pos_dim {pos_dim} is outside 1 to 255")
        token_bytes = np.zeros((len(self), pos_dim), np.uint8)
        lengths = np.zeros(len(self), np.uint8)
        code = Code(char_dim, pos_dim, 1, 1, 1e-6)
        call("kronecker_vocabulary_arrays", self._handle, byref(code), token_bytes.ctypes.data, lengths.ctypes.data)
        return token_bytes, lengths
