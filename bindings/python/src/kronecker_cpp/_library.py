"""libkronecker through ctypes: its functions with their types, and its errors as exceptions.

The library lies beside this file. The environment variable KRONECKER_LIBRARY names another one.
"""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, byref, c_char, c_char_p, c_float, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path

ERRORS = {1: ValueError, 2: IndexError, 3: OSError, 4: MemoryError}

FLOAT32, BFLOAT16, FLOAT16 = 0, 1, 2
"""The types of rows and outputs."""


class Code(ctypes.Structure):
    """How a token's bytes become its code: kronecker_code."""

    _fields_ = [("char_dim", c_int32), ("pos_dim", c_int32), ("length_normalize", c_int32), ("z_normalize", c_int32),
                ("epsilon", c_float)]


class Tokens(ctypes.Structure):
    """Bytes (V, pos_dim) and lengths (V) of a vocabulary's tokens: kronecker_tokens."""

    _fields_ = [("bytes", c_void_p), ("lengths", c_void_p), ("vocab_size", c_int64)]


SIGNATURES = {
    "kronecker_open": [c_char_p, POINTER(c_void_p)],
    "kronecker_embed_ids": [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t],
    "kronecker_embed_strings": [c_void_p, POINTER(c_char_p), POINTER(c_size_t), c_size_t, c_void_p, c_size_t],
    "kronecker_logits": [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t],
    "kronecker_vocabulary_open": [c_char_p, c_int32, POINTER(c_void_p)],
    "kronecker_vocabulary_bytes": [c_void_p, c_int32, POINTER(POINTER(c_char)), POINTER(c_size_t)],
    "kronecker_vocabulary_arrays": [c_void_p, POINTER(Code), c_void_p, c_void_p],
    "kronecker_forward": [POINTER(Code), POINTER(Tokens), c_void_p, c_int32, c_int64, c_void_p, c_size_t, c_void_p,
                          c_int32, c_int32],
    "kronecker_backward": [POINTER(Code), POINTER(Tokens), c_int64, c_void_p, c_size_t, c_void_p, c_int32, c_void_p,
                           c_int32, c_int32],
}
"""The arguments of the functions that return a status."""


def _opened() -> ctypes.CDLL:
    name = {"darwin": "libkronecker.dylib", "win32": "kronecker.dll"}.get(sys.platform, "libkronecker.so")
    library = ctypes.CDLL(os.environ.get("KRONECKER_LIBRARY") or str(Path(__file__).with_name(name)))
    for function, arguments in SIGNATURES.items():
        getattr(library, function).argtypes = arguments
    for function in ("kronecker_error_message", "kronecker_version"):
        getattr(library, function).restype = c_char_p
    library.kronecker_vocabulary_note.argtypes = [c_void_p, c_size_t]
    library.kronecker_vocabulary_note.restype = c_char_p
    for function in ("kronecker_close", "kronecker_vocabulary_close", "kronecker_use_pool"):
        getattr(library, function).argtypes = [c_void_p]
        getattr(library, function).restype = None
    for function in ("kronecker_vocab_size", "kronecker_d_model", "kronecker_vocabulary_size"):
        getattr(library, function).argtypes = [c_void_p]
    return library


library = _opened()


def version() -> str:
    """The version of the library."""
    text: bytes = library.kronecker_version()
    return text.decode()


def call(function: str, *arguments: object) -> None:
    """Calls a function that returns a status; what is wrong becomes an exception with the library's message."""
    status = getattr(library, function)(*arguments)
    if status != 0:
        raise ERRORS.get(status, RuntimeError)(library.kronecker_error_message().decode(errors="replace"))


def use_threads_of_openmp() -> None:
    """Has the library work on the threads of GNU's OpenMP, if the process has them, as PyTorch does on Linux: they wait for
    work by spinning, and a thread of the library's own would wait that long for their processors. Not in child processes
    of a fork, which have no such threads."""
    if not sys.platform.startswith("linux"):
        return
    pool = getattr(ctypes.CDLL(None), "GOMP_parallel", None)
    if pool is not None:
        library.kronecker_use_pool(ctypes.cast(pool, c_void_p))
        os.register_at_fork(after_in_child=lambda: library.kronecker_use_pool(None))


def opened(function: str, path: str | os.PathLike[str], *arguments: object) -> c_void_p:
    """The handle that a function which opens a file gives."""
    name = os.fsdecode(path).encode("utf-8", "surrogateescape")
    if b"\0" in name:
        raise ValueError(f"a path with a zero byte: {path!r}")
    handle = c_void_p()
    call(function, name, *arguments, byref(handle))
    return handle
