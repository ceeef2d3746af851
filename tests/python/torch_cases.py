"""Modules of this package and of the PyTorch reference with the same weights."""

import kronecker_embeddings
import torch
from conftest import golden

from kronecker_cpp.torch import KroneckerEmbedding

MODES = {"TT": (True, True), "TF": (True, False), "FT": (False, True), "FF": (False, False)}


def tensor(name):
    return torch.from_numpy(golden(name))


def golden_module(mode="TT", kernels=True, kind=KroneckerEmbedding, weight=None):
    """The golden module in one of the four modes, of this package or (`kind`) of the reference."""
    length_normalize, z_normalize = MODES[mode]
    module = kind(64, 8, pos_dim=8, byte_buffer=tensor("bytes"), length_buffer=tensor("lens"),
                  length_normalize=length_normalize, z_normalize=z_normalize)
    module.load_state_dict({"projection.weight": tensor("weight") if weight is None else weight})
    if not kernels:
        module.projection.kernels = False
    return module


def reference_module(mode="TT", weight=None):
    return golden_module(mode, kind=kronecker_embeddings.KroneckerEmbedding, weight=weight)


def fresh_outputs(module, ids):
    """What a new module with the weights of this one gives."""
    return golden_module(weight=module.reference_state_dict()["projection.weight"].clone())(ids)


def assert_close(a, b, tolerance):
    torch.testing.assert_close(a, b, atol=tolerance, rtol=0, check_dtype=False)
