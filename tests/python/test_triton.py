"""The Triton kernels, in Triton's interpreter: in a process of its own, since that is chosen when Triton is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")
CASES = str(Path(__file__).with_name("triton_cases.py"))


def test_the_same_bits_as_on_the_cpu():
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    result = subprocess.run([sys.executable, CASES], env=environment, capture_output=True, text=True)
    if "only 0-dimensional arrays can be converted" in result.stderr:
        pytest.skip("the interpreter of this Triton (3.2) needs a NumPy before 2.4")
    assert result.returncode == 0, result.stderr
    assert "results have the same bits" in result.stdout


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_the_same_bits_on_a_gpu():
    result = subprocess.run([sys.executable, CASES, "cuda"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
