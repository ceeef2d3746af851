"""After every way of changing a weight, the outputs are those of a new module with that weight."""

import copy
import subprocess
import sys

import pytest
import torch
import torch.nn.utils.prune
from torch_cases import assert_close, fresh_outputs, golden_module, tensor

IDS = tensor("ids")


def assert_up_to_date(module, before):
    assert torch.equal(module(IDS), fresh_outputs(module, IDS))
    assert (module(IDS) - before).abs().max() > 1e-6


OPTIMIZERS = [(torch.optim.Adam, {}), (torch.optim.AdamW, {}), (torch.optim.SGD, {"momentum": 0.9}), (torch.optim.Adagrad, {}),
              (torch.optim.RMSprop, {}), (torch.optim.Adadelta, {}), (torch.optim.Adamax, {}), (torch.optim.NAdam, {}),
              (torch.optim.RAdam, {}), (torch.optim.ASGD, {}), (torch.optim.Rprop, {}), (torch.optim.LBFGS, {})]


@pytest.mark.parametrize("how", ["plain", "foreach", "fused", "compiled"])
@pytest.mark.parametrize("optimizer, options", OPTIMIZERS, ids=[o.__name__ for o, _ in OPTIMIZERS])
def test_optimizers(optimizer, options, how):
    if how == "compiled" and optimizer is not torch.optim.AdamW:
        pytest.skip("compiled: AdamW stands for all")
    module = golden_module()
    flags = {"plain": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}, "compiled": {}}[how]
    if optimizer is torch.optim.LBFGS:
        flags = {}
    try:
        optimizer = optimizer(module.parameters(), lr=0.1, **options, **flags)
    except TypeError as error:
        pytest.skip(str(error))

    def loss():
        optimizer.zero_grad()
        value = module(IDS).pow(2).sum()
        value.backward()
        return value

    step = torch.compile(optimizer.step) if how == "compiled" else optimizer.step
    for _ in range(3):
        before = module(IDS).detach()
        if isinstance(optimizer, torch.optim.LBFGS):
            optimizer.step(loss)
        else:
            loss()
            step()
    assert_up_to_date(module, before)


def data_write(module):
    module.projection.rows.data.mul_(2)


def data_replacement(module):
    module.projection.rows.data = module.projection.rows.data * 2


def numpy_view(module):
    module.projection.rows.detach().numpy()[...] *= 2


def new_parameter(module):
    module.projection.rows = torch.nn.Parameter(module.projection.rows.detach() * 2)


def foreach_average(module):
    other = copy.deepcopy(module)
    torch._foreach_add_([other.projection.rows.data], 1.0)
    torch._foreach_lerp_([p.data for p in module.parameters()], [p.data for p in other.parameters()], 0.5)
    module.projection.rows.data[0] += 1


def loaded_averages(module):
    averaged = torch.optim.swa_utils.AveragedModel(module, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5))
    averaged.update_parameters(module)
    with torch.no_grad():
        module.projection.rows[:100] += 1
    averaged.update_parameters(module)
    module.load_state_dict(averaged.module.state_dict())


def parameters_vector(module):
    vector = torch.nn.utils.parameters_to_vector(module.parameters())
    torch.nn.utils.vector_to_parameters(vector * 2, module.parameters())


def pruning(module):
    torch.nn.utils.prune.l1_unstructured(module.projection, "rows", 0.5)
    torch.nn.utils.prune.remove(module.projection, "rows")


def clipping(module):
    with torch.no_grad():
        torch.nn.utils.clip_grads_with_norm_(module.parameters(), 1.0, torch.tensor(1.0))
        module.projection.rows.clamp_(-0.01, 0.01)


def shared_memory(module):
    module.share_memory()
    context = torch.multiprocessing.get_context("fork")
    process = context.Process(target=lambda rows: rows.numpy().__imul__(2), args=(module.projection.rows.detach(),))
    process.start()
    process.join()


@pytest.mark.parametrize("change", [data_write, data_replacement, numpy_view, new_parameter, foreach_average, loaded_averages,
                                    parameters_vector, pruning, clipping, shared_memory], ids=lambda change: change.__name__)
def test_weights_that_are_written(change):
    module = golden_module()
    before = module(IDS).detach()
    change(module)
    assert_up_to_date(module, before)


def test_weight_norm_and_parametrizations_are_in_force():
    module = golden_module()
    before = module(IDS).detach()
    torch.nn.utils.parametrizations.weight_norm(module.projection, "rows")
    assert_close(module(IDS), before, 1e-5)
    with torch.no_grad():
        module.projection.parametrizations.rows.original0.mul_(2)
    assert_close(module(IDS), 2 * before, 1e-5)


def test_hooks_of_the_projection_are_called():
    module = golden_module()
    before = module(IDS).detach()
    module.projection.register_forward_hook(lambda projection, inputs, output: output * 3)
    assert torch.equal(module(IDS), before * 3)


def test_the_kernels_do_not_change_the_weights():
    module = golden_module()
    rows = module.projection.rows.detach().clone()
    module(IDS).sum().backward()
    module.logits(torch.randn(2, 8)).sum().backward()
    assert torch.equal(module.projection.rows, rows)


def test_a_loss_after_a_fork():
    """Of a module so large that threads work on it: OpenMP's in the parent process, which the child has not."""
    program = """
import os, torch
from kronecker_cpp.torch import KroneckerEmbedding
torch.set_num_threads(2)
draw = torch.Generator().manual_seed(1)
module = KroneckerEmbedding(100, 768, pos_dim=16, byte_buffer=torch.randint(256, (100, 16), generator=draw),
                            length_buffer=torch.randint(17, (100,), generator=draw))
upstream, ids = torch.randn(2000, 768, generator=draw), torch.arange(2000) % 100
def results():  # without operators of PyTorch's that would use threads
    module.projection.rows.grad = None
    out = module(ids)
    out.backward(upstream)
    return out.detach().numpy().tobytes() + module.projection.rows.grad.numpy().tobytes()
expected = results()
if (child := os.fork()) == 0:
    os._exit(results() != expected)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
