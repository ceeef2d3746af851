"""The bytes of a tokenizer's tokens as the PyTorch reference takes them, and where long ones are cut."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor

BYTE_TOKEN = re.compile(r"^<0x([0-9A-Fa-f]{2})>$")


def utf8_safe_prefix(text: bytes, max_bytes: int) -> bytes:
    """`text`, cut to at most `max_bytes` bytes, between characters where it is text."""
    if len(text) <= max_bytes:
        return text
    for end in range(max_bytes, max(max_bytes - 4, -1), -1):
        try:
            text[:end].decode()
        except UnicodeDecodeError:
            continue
        if end > 0:
            return text[:end]
    return text[:max_bytes]


def reference_bytes(tokenizer: Any, id: int, special_ids: frozenset[int]) -> bytes:
    """What the reference encodes for a token of a transformers tokenizer: `<0xNN>` is that byte, special tokens are
    literal, of all others it is what the tokenizer decodes from the single id."""
    piece = tokenizer.convert_ids_to_tokens(id)
    if piece and (byte_token := BYTE_TOKEN.match(piece)):
        return bytes([int(byte_token[1], 16)])
    if id in special_ids:
        return (piece or "").encode()
    try:
        text = tokenizer.decode([id], skip_special_tokens=False, clean_up_tokenization_spaces=False)
    except Exception:  # of whatever kind a tokenizer raises for an id that no token has
        text = piece
    return (text or "").encode()


def reference_tokens(tokenizer: Any, pos_dim: int) -> tuple[Tensor, Tensor]:
    """Bytes (V, pos_dim) and lengths (V) of all tokens of a transformers tokenizer, with the reference's strings."""
    ids = tokenizer.get_vocab().values()
    if not ids:
        raise ValueError("the tokenizer has no tokens: get_vocab() is empty")
    special_ids = frozenset(getattr(tokenizer, "all_special_ids", None) or ())
    return packed([reference_bytes(tokenizer, id, special_ids) for id in range(max(ids) + 1)], pos_dim)


def packed(tokens: list[bytes], pos_dim: int) -> tuple[Tensor, Tensor]:
    """Bytes (V, pos_dim), zero after a token's end, and lengths (V) of tokens."""
    tokens = [utf8_safe_prefix(token, pos_dim) for token in tokens]
    padded = bytearray(b"".join(token.ljust(pos_dim, b"\0") for token in tokens))
    return (torch.frombuffer(padded, dtype=torch.uint8).reshape(len(tokens), pos_dim),
            torch.tensor([len(token) for token in tokens], dtype=torch.uint8))
