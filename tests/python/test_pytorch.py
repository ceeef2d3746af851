"""The module as a citizen of PyTorch 2: compiled, exported, transformed, cast, checkpointed, saved."""

import subprocess
import sys

import pytest
import safetensors.torch
import torch
from torch.utils.checkpoint import checkpoint
from torch_cases import assert_close, golden_module, tensor

from kronecker_cpp.torch import Code, embed

IDS = tensor("ids").long()
both_paths = pytest.mark.parametrize("kernels", [True, False])


def gradient(module, function, ids):
    module.zero_grad()
    out = function(ids)
    out.pow(2).sum().backward()
    return out.detach(), module.projection.rows.grad.clone()


@both_paths
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dynamic", [None, True])
def test_compile_without_graph_breaks(kernels, dtype, dynamic):
    torch._dynamo.reset()
    module = golden_module(kernels=kernels).to(dtype)
    compiled = torch.compile(module, fullgraph=True, dynamic=dynamic)
    for shape in ((2, 7), (3, 5), (1, 1), (4,)):
        ids = torch.randint(64, shape)
        (out, grad), (expected_out, expected_grad) = gradient(module, compiled, ids), gradient(module, module, ids)
        assert_close(out, expected_out, 1e-5 if dtype == torch.float32 else 0.02)
        assert_close(grad, expected_grad, (1e-6 if dtype == torch.float32 else 0.01) * expected_grad.abs().max())
    with torch.no_grad():
        module.projection.rows.data.mul_(2)
    assert_close(compiled(IDS), module(IDS), 1e-5 if dtype == torch.float32 else 0.02)


@both_paths
def test_compile_logits_and_overrides(kernels):
    torch._dynamo.reset()
    module, hidden = golden_module(kernels=kernels), torch.randn(2, 3, 8)
    assert_close(torch.compile(module.logits, fullgraph=True)(hidden), module.logits(hidden), 1e-5)
    inference = module.for_inference()
    assert_close(torch.compile(inference, fullgraph=True)(IDS), inference(IDS), 1e-5)


@both_paths
@pytest.mark.parametrize("strict", [False, True])
def test_export_saved_and_loaded_in_another_process(kernels, strict, tmp_path):
    if strict and torch.__version__.startswith("2.6"):
        pytest.skip("PyTorch 2.6 exports no autograd.Function with dynamic shapes by strict=True")
    module = golden_module(kernels=kernels)
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    program = torch.export.export(module, (IDS,), dynamic_shapes=({0: batch, 1: length},), strict=strict)
    torch.export.save(program, tmp_path / "program.pt2")
    torch.save((IDS[:1, :4], module(IDS[:1, :4]).detach()), tmp_path / "expected.pt")
    script = ("import torch, kronecker_cpp.torch; ids, out = torch.load('expected.pt')\n"
              "torch.testing.assert_close(torch.export.load('program.pt2').module()(ids), out, atol=1e-6, rtol=0)")
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("code", [Code(), Code(z_normalize=False), Code(centered=True)])
def test_opcheck(dtype, code):
    module = golden_module()
    tokens = (module._byte_buffer, module._length_buffer, IDS)
    rows = torch.randn(2048, 8, dtype=dtype, requires_grad=True)
    torch.library.opcheck(torch.ops.kronecker_cpp.embed, (rows, *tokens, *code, torch.float32))
    grad = torch.randn(2, 7, 8, dtype=dtype, requires_grad=True)
    torch.library.opcheck(torch.ops.kronecker_cpp.scatter, (grad, *tokens, *code, torch.float32))


def test_gradients_of_gradients():
    module = golden_module()
    rows = torch.randn(2048, 2, dtype=torch.float64, requires_grad=True)
    function = lambda rows: embed(rows, module._byte_buffer, module._length_buffer, IDS)  # noqa: E731
    assert torch.autograd.gradcheck(function, (rows,), fast_mode=True)
    assert torch.autograd.gradgradcheck(function, (rows,), fast_mode=True)
    module = golden_module()
    first, = torch.autograd.grad(module(IDS).pow(3).sum(), module.projection.rows, create_graph=True)
    second, = torch.autograd.grad(first.pow(2).sum(), module.projection.rows)
    plain = golden_module(kernels=False)
    first, = torch.autograd.grad(plain(IDS).pow(3).sum(), plain.projection.rows, create_graph=True)
    expected, = torch.autograd.grad(first.pow(2).sum(), plain.projection.rows)
    assert_close(second, expected, 1e-5 * expected.abs().max())


@both_paths
def test_functional_transformations(kernels):
    module = golden_module(kernels=kernels)
    parameters = {"projection.rows": module.projection.rows.detach()}

    def loss(parameters, ids):
        return torch.func.functional_call(module, parameters, (ids,)).pow(2).sum()

    _, expected = gradient(module, module, IDS)
    tolerance = 2e-6 * expected.abs().max()
    assert_close(torch.func.grad(loss)(parameters, IDS)["projection.rows"], expected, tolerance)
    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, IDS)["projection.rows"]
    assert_close(each.sum(0), expected, tolerance)
    for row in range(2):
        assert_close(each[row], gradient(module, module, IDS[row])[1], tolerance)
    assert torch.equal(torch.func.vmap(module)(IDS), module(IDS))
    assert torch.equal(torch.func.vmap(module, in_dims=1)(IDS), module(IDS.t()))
    ensemble = {"projection.rows": torch.randn(3, 2048, 8)}
    outputs = torch.func.vmap(lambda p: torch.func.functional_call(module, p, (IDS,)))(ensemble)
    for i in range(3):
        assert torch.equal(outputs[i], torch.func.functional_call(module, {"projection.rows": ensemble["projection.rows"][i]}, (IDS,)))
    jacobian = torch.func.jacrev(lambda rows: torch.func.functional_call(module, {"projection.rows": rows}, (IDS[0, :2],)))
    assert_close(jacobian(module.projection.rows.detach()),
                 torch.autograd.functional.jacobian(lambda rows: torch.func.functional_call(
                     module, {"projection.rows": rows}, (IDS[0, :2],)), module.projection.rows), 1e-5)


@both_paths
def test_forward_mode_is_refused(kernels):
    module = golden_module(kernels=kernels)
    rows = module.projection.rows.detach()
    call = lambda rows: torch.func.functional_call(module, {"projection.rows": rows}, (IDS,))  # noqa: E731
    with pytest.raises((NotImplementedError, RuntimeError), match="forward"):
        torch.func.jvp(call, (rows,), (rows,))
    with torch.autograd.forward_ad.dual_level(), pytest.raises((NotImplementedError, RuntimeError), match="forward"):
        call(torch.autograd.forward_ad.make_dual(rows, rows))


@both_paths
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_decides_the_type(kernels, dtype):
    torch._dynamo.reset()
    module = golden_module(kernels=kernels)
    with torch.autocast("cpu", dtype):
        out, logits = module(IDS), module.logits(torch.randn(2, 8))
        assert_close(torch.compile(module, fullgraph=True)(IDS), out, 0.02)
    assert out.dtype == logits.dtype == dtype
    assert torch.equal(out, module(IDS).to(dtype))
    out.float().sum().backward()
    assert module.projection.rows.grad.dtype == torch.float32
    with torch.autocast("cpu"):
        assert module.double()(IDS).dtype == torch.float64


@both_paths
def test_checkpointing_and_inference_mode(kernels):
    module = golden_module(kernels=kernels)
    _, expected = gradient(module, module, IDS)
    for reentrant in (False, True):
        _, grad = gradient(module, lambda ids: checkpoint(
            lambda ids, unused: module(ids), ids, torch.ones(1, requires_grad=True), use_reentrant=reentrant), IDS)
        assert torch.equal(grad, expected)
    with torch.inference_mode():
        assert torch.equal(module(IDS), golden_module(kernels=kernels)(IDS))


def test_files(tmp_path):
    module, other = golden_module(), golden_module(weight=tensor("weight") * 2)
    safetensors.torch.save_file(module.state_dict(), tmp_path / "state.safetensors")
    other.load_state_dict(safetensors.torch.load_file(tmp_path / "state.safetensors"))
    assert torch.equal(other(IDS), module(IDS))
    safetensors.torch.save_model(module, str(tmp_path / "model.safetensors"))
    safetensors.torch.load_model(other, str(tmp_path / "model.safetensors"))
    torch.save(module, tmp_path / "module.pt")
    assert torch.equal(torch.load(tmp_path / "module.pt", weights_only=False)(IDS), module(IDS))


@pytest.mark.parametrize("kernels", [True, False])
def test_the_error_of_gradients_does_not_grow_with_the_batch(kernels):
    count = 2 ** 16
    module = golden_module(kernels=kernels)
    ids, upstream = torch.randint(1, 64, (count,)), torch.rand(count, 8)
    module(ids).backward(upstream)
    exact = golden_module(kernels=False).double()
    exact(ids).backward(upstream.double())
    expected = exact.projection.rows.grad
    assert_close(module.projection.rows.grad, expected, 2e-6 * expected.abs().max())
