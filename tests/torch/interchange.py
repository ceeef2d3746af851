"""Weights go from Python into the LibTorch module and back, bit for bit, and give the golden outputs there.

    interchange.py PROGRAM GOLDEN_FOLDER SCRATCH_FOLDER
"""

import os
import subprocess
import sys

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../../examples/python"))
import safetensors_file  # noqa: E402

program, golden, scratch = sys.argv[1:]
os.makedirs(scratch, exist_ok=True)
weight = np.load(f"{golden}/emb_d8_p8_weight.npy")
safetensors_file.write(f"{scratch}/in.safetensors",
                       {"wte.projection.weight": weight, "h.0.bias": np.zeros(3, np.float16)}, {"from": "Python"})
subprocess.run([program, f"{scratch}/in.safetensors", f"{scratch}/out.npy", f"{scratch}/out.safetensors"], check=True)

outputs = np.load(f"{scratch}/out.npy")
expected = np.load(f"{golden}/emb_d8_p8_out_TT.npy").reshape(outputs.shape)
assert np.abs(outputs - expected).max() <= 2e-5, np.abs(outputs - expected).max()
back = safetensors_file.read(f"{scratch}/out.safetensors")
assert list(back) == ["model.wte.projection.weight"], list(back)
assert np.array_equal(back["model.wte.projection.weight"].view(np.uint32), weight.view(np.uint32))
