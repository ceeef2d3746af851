"""PEFT's LoRA and accelerate's offloading: in force, or refused with a reason."""

import pytest
import torch
from torch import nn
from torch_cases import assert_close, fresh_outputs, golden_module, tensor

peft = pytest.importorskip("peft")
accelerate = pytest.importorskip("accelerate")
IDS = tensor("ids").long()


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.input, self.body = golden_module(), nn.Linear(8, 8)

    def forward(self, ids):
        return self.body(self.input(ids))


@pytest.mark.parametrize("target", ["projection", "input"])
def test_lora_on_the_module_is_refused(target):
    with pytest.raises(ValueError, match="is not supported"):
        peft.get_peft_model(Model(), peft.LoraConfig(target_modules=[target]))


def test_lora_on_the_parameter_is_in_force():
    model = Model()
    before = model.input(IDS).detach()
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_parameters=["projection.rows"], target_modules=[]))
    adapter = {name: parameter for name, parameter in adapted.named_parameters() if parameter.requires_grad}
    assert adapter and all("lora" in name for name in adapter)
    optimizer = torch.optim.AdamW(adapter.values(), lr=1e-1, fused=True)
    for _ in range(3):
        optimizer.zero_grad()
        adapted(IDS).pow(2).sum().backward()
        assert all(parameter.grad is not None for parameter in adapter.values())
        optimizer.step()
    trained = adapted(IDS).detach()
    merged = adapted.merge_and_unload()
    assert_close(merged(IDS), trained, 1e-4)
    assert (merged.input(IDS) - before).abs().max() > 1e-3
    assert torch.equal(merged.input(IDS), fresh_outputs(merged.input, IDS))


def test_full_copies_of_the_module_are_trained():
    adapted = peft.get_peft_model(Model(), peft.LoraConfig(r=2, target_modules=["body"], modules_to_save=["input"]))
    before = adapted(IDS).detach()
    optimizer = torch.optim.AdamW((p for n, p in adapted.named_parameters() if "input" in n and p.requires_grad), lr=1e-1)
    adapted(IDS).pow(2).sum().backward()
    optimizer.step()
    assert (adapted(IDS) - before).abs().max() > 1e-3
    assert_close(adapted.merge_and_unload()(IDS), adapted(IDS), 1e-5)


@pytest.mark.parametrize("how", ["memory", "disk"])
def test_offloaded_weights_are_fetched(how, tmp_path):
    model, expected = Model(), None
    expected, hidden = model(IDS).detach(), torch.randn(3, 8)
    logits = model.input.logits(hidden).detach()
    if how == "memory":
        accelerate.cpu_offload(model, execution_device=torch.device("cpu"))
    else:
        accelerate.disk_offload(model, tmp_path, execution_device=torch.device("cpu"))
    assert model.input.projection.rows.is_meta
    for _ in range(2):
        assert torch.equal(model(IDS), expected)
        assert torch.equal(model.input.logits(hidden), logits)


def test_accelerator_trains_it():
    accelerator = accelerate.Accelerator(cpu=True)
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model, optimizer = accelerator.prepare(model, optimizer)
    before = model(IDS).detach()
    accelerator.backward(model(IDS).pow(2).sum())
    accelerator.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    assert (model(IDS) - before).abs().max() > 1e-3
