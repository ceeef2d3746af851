"""What the tests share: golden data from the PyTorch reference, and real vocabularies where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("KRONECKER_DATA_DIR", ROOT.parent / "shared/data"))


def golden(name):
    """An array of tests/golden, as NumPy has it."""
    return np.load(ROOT / f"tests/golden/emb_d8_p8_{name}.npy")


def true_tokens(name):
    """The bytes of all tokens of a vocabulary, as other tools have them; None for holes."""
    path = DATA / f"truth/{name}.tokens.bin"
    if not path.exists():
        pytest.skip(f"no {path}")
    content, tokens, at = path.read_bytes(), [], 4
    for _ in range(int.from_bytes(content[:4], "little")):
        length = int.from_bytes(content[at + 1:at + 3], "little")
        tokens.append(None if content[at] == 2 else content[at + 3:at + 3 + length])
        at += 3 + length
    return tokens
