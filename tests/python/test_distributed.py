"""Two processes with the losses of one: DistributedDataParallel, FSDP2, distributed checkpoints, sharded weights."""

import os

import pytest
import torch
import torch.distributed.checkpoint as checkpoints
from torch import nn
from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch_cases import golden_module, tensor

IDS = tensor("ids").long()


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.input, self.body = golden_module(), nn.Linear(8, 8)

    def forward(self, ids):
        return self.body(self.input(ids))


def losses(model, ids, mean):
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=True)
    values = []
    for _ in range(8):
        optimizer.zero_grad()
        loss = model(ids).pow(2).mean()
        loss.backward()
        optimizer.step()
        values.append(mean(loss.detach()).item())
    return values


def end():
    """Without destroying the group, which in PyTorch 2.6 can wait forever, with Python's lock, for a thread that wants it."""
    torch.distributed.barrier()  # it also waits forever for a process that has gone before
    os._exit(0)


def in_parallel(rank, how, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)

    def mean(loss):
        torch.distributed.all_reduce(loss)
        return loss / 2

    model = Model()
    if how == "ddp":
        model = DistributedDataParallel(model)
    else:
        mesh = torch.distributed.init_device_mesh("cpu", (2,))
        if how == "fsdp2 in parts":
            fully_shard(model.input, mesh=mesh)
        fully_shard(model, mesh=mesh)
    values = losses(model, IDS[rank:rank + 1], mean)
    state = get_model_state_dict(model)
    checkpoints.save(state, checkpoint_id=f"{folder}/checkpoint")
    for value in state.values():
        value.zero_()
    checkpoints.load(state, checkpoint_id=f"{folder}/checkpoint")
    set_model_state_dict(model, state)
    values.append(mean(model(IDS[rank:rank + 1]).detach().pow(2).mean()).item())
    torch.save(values, f"{folder}/{rank}.pt")
    end()


@pytest.mark.parametrize("how", ["ddp", "fsdp2", "fsdp2 in parts"])
def test_two_processes_have_the_losses_of_one(how, tmp_path):
    if how != "ddp" and not hasattr(torch.cpu.current_stream(), "record_event"):
        pytest.skip("this PyTorch shards parameters on GPUs alone: FSDP2 asks the CPU's stream for an event")
    torch.multiprocessing.start_processes(in_parallel, (how, str(tmp_path)), nprocs=2, start_method="spawn")
    model = Model()
    expected = losses(model, IDS, lambda loss: loss)
    expected.append(model(IDS).detach().pow(2).mean().item())
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt") == pytest.approx(expected, rel=1e-4)


def sharded(rank, folder):
    from torch.distributed.tensor import Shard, distribute_tensor
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    mesh = torch.distributed.init_device_mesh("cpu", (2,))
    module = golden_module()
    expected = module(IDS).detach()
    module(IDS).pow(2).sum().backward()
    grad = module.projection.rows.grad
    for dim in (0, 1):
        module = golden_module()
        module.projection.rows = nn.Parameter(distribute_tensor(module.projection.rows.detach(), mesh, [Shard(dim)]))
        out = module(IDS)
        torch.testing.assert_close(out.full_tensor(), expected, atol=1e-5, rtol=0)
        out.pow(2).sum().backward()
        torch.testing.assert_close(module.projection.rows.grad.full_tensor(), grad, atol=1e-4, rtol=0)
    end()


def test_sharded_weights(tmp_path):
    torch.multiprocessing.start_processes(sharded, (str(tmp_path),), nprocs=2, start_method="spawn")
