"""torch.ops.kronecker and its module against golden data from the PyTorch reference, autograd, pickling, and
DistributedDataParallel with two Gloo processes.

    torch_operators.py LIBRARY GOLDEN_FOLDER
"""

import copy
import json
import os
import sys
import tempfile

import numpy as np
import torch

library, golden = sys.argv[1:3]
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../bindings/python"))
torch.ops.load_library(library)
from kronecker_torch import KroneckerEmbedding  # noqa: E402


def load(name):
    return torch.from_numpy(np.load(f"{golden}/emb_d8_p8_{name}.npy"))


def golden_module(length_normalize=True, z_normalize=True):
    module = KroneckerEmbedding(64, 8, pos_dim=8, byte_buffer=load("bytes"), length_buffer=load("lens"),
                                length_normalize=length_normalize, z_normalize=z_normalize)
    module.load_state_dict({"projection.weight": load("weight")})
    return module


def close(a, b, tolerance):
    difference = (a.double() - b.double()).abs().max().item()
    assert difference <= tolerance, difference


def refused(message, call, *arguments, **options):
    try:
        call(*arguments, **options)
    except (RuntimeError, ValueError, IndexError) as error:
        assert message in str(error), error
    else:
        raise AssertionError(f"not refused: {message}")


ids, upstream = load("ids"), load("G")
for name, flags in {"TT": (True, True), "TF": (True, False), "FT": (False, True), "FF": (False, False)}.items():
    close(golden_module(*flags)(ids), load(f"out_{name}"), 2e-5)
    close(golden_module(*flags).double()(ids), load(f"out_{name}"), 2e-5)

module = golden_module()
assert list(module.state_dict()) == ["projection.weight"]
(module(ids) * upstream.view(2, 7, 8)).sum().backward()
expected = load("grad_TT")
close(module.projection.weight.grad, expected, 5e-5 * expected.abs().max().item())
assert torch.autograd.gradcheck(lambda weight: torch.ops.kronecker.embed(weight, module.tokens, ids[0]),
                                module.projection.weight.detach().double().requires_grad_())

hidden = torch.randn(5, 8)
table = module(torch.arange(64)).detach()
close(module.logits(hidden), hidden @ table.t(), 1e-5)

for entry in json.load(open(f"{golden}/embedding.json"))["config"]["overrides"]:
    overrides = {int(p): bytes.fromhex(text) for p, text in entry["override_hex"].items()}
    out = module.forward_with_byte_override(ids[1], overrides)
    expected = torch.from_numpy(np.load(f"{golden}/{entry['file']}")).view(7, 8)
    for row in range(7):  # the reference loses bytes that are not text when it cuts them
        if row not in overrides or not overrides[row] or expected[row].abs().max() > 0:
            close(out[row], expected[row], 2e-5)

for other in (copy.deepcopy(module), golden_module().load_state_dict(module.state_dict()) and golden_module()):
    assert torch.equal(other(ids), module(ids))


class Letters:
    def decode(self, token):
        return "aé漢字"[token[0]] * 3


letters = KroneckerEmbedding(4, 2, tokenizer=Letters(), pos_dim=5)
direct = KroneckerEmbedding(4, 2, pos_dim=5, length_buffer=torch.tensor([3, 4, 3, 3]), byte_buffer=torch.tensor(
    [list(text.encode().ljust(5, b"\0")) for text in ("aaa", "éé", "漢", "字")], dtype=torch.uint8))
direct.load_state_dict(letters.state_dict())
assert torch.equal(letters(torch.arange(4)), direct(torch.arange(4)))

refused("token id 64 at index 1 is outside the vocabulary of 64 tokens", module, torch.tensor([0, 64]))
refused("ids are of type Float", module, torch.zeros(2))
refused("override position 7 is past the end of the 7 tokens", module.forward_with_byte_override, ids[0], {7: b"x"})
refused("(63, 8)", KroneckerEmbedding, 64, 8, pos_dim=8, byte_buffer=load("bytes")[:63], length_buffer=load("lens"))
refused("has a length of 9 over pos_dim 8", KroneckerEmbedding, 1, 8, pos_dim=8,
        byte_buffer=torch.zeros(1, 8, dtype=torch.uint8), length_buffer=torch.tensor([9]))
refused("outside 0 to pos_dim", KroneckerEmbedding, 1, 8, pos_dim=8, byte_buffer=torch.zeros(1, 8, dtype=torch.uint8),
        length_buffer=torch.tensor([257]))
refused("outside the alphabet of char_dim 4", KroneckerEmbedding, 1, 8, pos_dim=2, char_dim=4,
        byte_buffer=torch.tensor([[3, 4]]), length_buffer=torch.tensor([2]))


def half_of_the_batch(rank, store, results):
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    parallel = torch.nn.parallel.DistributedDataParallel(golden_module())
    (parallel(ids[rank:rank + 1]) * upstream.view(2, 7, 8)[rank:rank + 1]).sum().backward()
    torch.save(parallel.module.projection.weight.grad, f"{results}/{rank}.pt")
    torch.distributed.destroy_process_group()


if torch.distributed.is_available() and torch.distributed.is_gloo_available() \
        if hasattr(torch.distributed, "is_gloo_available") else torch.distributed.is_available():
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(half_of_the_batch, (f"{folder}/store", folder), nprocs=2,
                                              start_method="fork")
        whole = module.projection.weight.grad
        for rank in range(2):
            close(2 * torch.load(f"{folder}/{rank}.pt"), whole, 1e-6 * whole.abs().max().item())
    print("two processes have the gradients of one")
print("torch.ops.kronecker: all as promised")
