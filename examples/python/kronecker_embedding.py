"""A saved embedding in Python, through the C library and NumPy alone.

    embedding = KroneckerEmbedding("embedding.kron", "libkronecker.so")
    embedding.embed_ids([464, 2068])        # (2, d_model) float32
    embedding.embed_strings([" unfoxlike"])
    embedding.logits(hidden)                # (N, d_model) -> (N, V)
"""

import ctypes
import os

import numpy as np


class KroneckerEmbedding:
    def __init__(self, path, library="libkronecker.so"):
        self._library = ctypes.CDLL(library)
        self._library.kronecker_error_message.restype = ctypes.c_char_p
        self._library.kronecker_version.restype = ctypes.c_char_p
        self._handle = ctypes.c_void_p()
        self._check(self._library.kronecker_open(os.fsencode(path), ctypes.byref(self._handle)))
        self.vocab_size = self._library.kronecker_vocab_size(self._handle)
        self.d_model = self._library.kronecker_d_model(self._handle)
        self.version = self._library.kronecker_version().decode()

    def __del__(self):
        if getattr(self, "_handle", None):
            self._library.kronecker_close(self._handle)

    def embed_ids(self, ids):
        ids = np.asarray(ids)
        if ids.size > 0 and (ids.dtype.kind not in "iu" or ids.max() > np.iinfo(np.int32).max or ids.min() < 0):
            raise ValueError("ids must be integers from 0 to 2^31 - 1")
        ids = np.ascontiguousarray(ids, np.int32)
        out = np.empty((*ids.shape, self.d_model), np.float32)
        self._call("kronecker_embed_ids", ids.ctypes, ctypes.c_size_t(ids.size), out=out)
        return out

    def embed_strings(self, strings):
        strings = [text.encode() if isinstance(text, str) else bytes(text) for text in strings]
        out = np.empty((len(strings), self.d_model), np.float32)
        self._call("kronecker_embed_strings", (ctypes.c_char_p * len(strings))(*strings),
                   (ctypes.c_size_t * len(strings))(*map(len, strings)), ctypes.c_size_t(len(strings)), out=out)
        return out

    def logits(self, hidden):
        hidden = np.ascontiguousarray(hidden, np.float32)
        if hidden.shape[-1] != self.d_model:
            raise ValueError(f"hidden states of {hidden.shape[-1]} do not fit d_model {self.d_model}")
        out = np.empty((*hidden.shape[:-1], self.vocab_size), np.float32)
        self._call("kronecker_logits", hidden.ctypes, ctypes.c_size_t(hidden.size // self.d_model), out=out)
        return out

    def _call(self, name, *arguments, out):
        self._check(getattr(self._library, name)(self._handle, *arguments, out.ctypes, ctypes.c_size_t(out.size)))

    def _check(self, status):
        if status != 0:
            raise ValueError(self._library.kronecker_error_message().decode(errors="replace"))
