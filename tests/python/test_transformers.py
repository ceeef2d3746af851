"""A model of transformers with this input: trained by Trainer, compiled, generating, saved and loaded."""

import copy
import pickle
import warnings

import pytest
import torch
from conftest import DATA

transformers = pytest.importorskip("transformers", minversion="5")
from torch_cases import assert_close  # noqa: E402

from kronecker_cpp.transformers import KroneckerInput, add_tokens, give_kronecker_input, load  # noqa: E402


@pytest.fixture(scope="module")
def tokenizer():
    file = DATA / "vocab/gpt2.tokenizer.json"
    if not file.exists():
        pytest.skip(f"no {file}")
    return transformers.PreTrainedTokenizerFast(tokenizer_file=str(file), eos_token="<|endoftext|>", pad_token="<|endoftext|>")


def gpt2():
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=32))


def llama():
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=50304, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, tie_word_embeddings=False))


@pytest.fixture(params=[gpt2, llama])
def model(request, tokenizer):
    torch.manual_seed(1)
    model = request.param()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        give_kronecker_input(model, tokenizer, pos_dim=16)
    return model


def logits(model, ids):
    with torch.no_grad():
        return model.eval()(ids).logits


IDS = torch.tensor([[464, 2068, 7586, 21831]])


def test_a_tied_head_is_untied_and_the_price_said(tokenizer):
    model = gpt2()
    with pytest.warns(UserWarning, match="804,112 parameters and now has as many of its own; the input has 65,536 instead"):
        embedding = give_kronecker_input(model, tokenizer, pos_dim=16)
    assert bytes(embedding._byte_buffer[464, :embedding._length_buffer[464]].tolist()) == b"The"
    before = model.get_output_embeddings().weight.detach().clone()
    model.tie_weights()
    assert torch.equal(model.get_output_embeddings().weight, before)


def test_trainer_with_its_defaults(model, tokenizer, tmp_path):
    examples = [{"input_ids": ids, "labels": ids} for ids in torch.randint(50257, (8, 12)).tolist()]
    settings = transformers.TrainingArguments(str(tmp_path), num_train_epochs=2, per_device_train_batch_size=4, use_cpu=True,
                                              learning_rate=1e-2, report_to=[], save_steps=2, logging_steps=1)
    rows = model.get_input_embeddings().projection.rows.detach().clone()
    trainer = transformers.Trainer(model, settings, train_dataset=examples)
    trainer.train()
    changed = model.get_input_embeddings()
    assert (changed.projection.rows - rows).abs().max() > 1e-3
    saved = load(tmp_path / "checkpoint-2")
    assert isinstance(saved, type(model))
    ids = torch.tensor([example["input_ids"] for example in examples])
    trainer.save_model(tmp_path / "end")
    assert_close(logits(load(tmp_path / "end"), ids), logits(model, ids), 1e-5)
    assert torch.equal(copy.deepcopy(changed)(ids), changed(ids))
    again = transformers.Trainer(load(tmp_path / "checkpoint-2"), settings, train_dataset=examples)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert_close(logits(again.model, ids), logits(model, ids), 1e-4)


def test_generate(model):
    tokens = model.eval().generate(IDS, max_new_tokens=4, do_sample=False, pad_token_id=0)
    assert tokens.shape == (1, 8)
    assert torch.equal(tokens[:, :4], IDS)


@pytest.mark.skipif(not hasattr(torch.compiler, "is_exporting"),
                    reason="this transformers asks what PyTorch 2.7 has when it is compiled")
def test_compiled(model):
    with torch.no_grad():
        assert_close(torch.compile(model.eval())(IDS).logits, logits(model, IDS), 1e-4)


def test_saved_and_loaded(model, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = load(tmp_path)
    assert torch.equal(logits(loaded, IDS), logits(model, IDS))
    assert isinstance(loaded.get_input_embeddings(), KroneckerInput)
    loaded.save_pretrained(tmp_path / "again")
    assert torch.equal(logits(load(tmp_path / "again", dtype=torch.float32), IDS), logits(model, IDS))
    half = load(tmp_path, dtype=torch.bfloat16)
    assert logits(half, IDS).dtype == torch.bfloat16


def test_from_pretrained_raises(model, tmp_path):
    model.save_pretrained(tmp_path)
    load(tmp_path).save_pretrained(tmp_path / "again")
    for folder in (tmp_path, tmp_path / "again"):
        for each in (type(model), transformers.AutoModelForCausalLM):
            with pytest.raises(ValueError, match=r"load it by kronecker_cpp.transformers.load\(folder\)"):
                each.from_pretrained(folder)
    assert not hasattr(load(tmp_path).config, "transformers_weights")


def test_models_are_copied_and_pickled(model, tmp_path):
    expected = logits(model, IDS)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        with torch.no_grad():
            other.get_input_embeddings().projection.rows.mul_(2)
        other.save_pretrained(tmp_path)
        assert torch.equal(logits(load(tmp_path), IDS), logits(other, IDS))
        assert (logits(other, IDS) - expected).abs().max() > 1e-4
    assert torch.equal(logits(model, IDS), expected)


def test_folders_without_such_an_input_are_refused(tmp_path):
    gpt2().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="kronecker_input"):
        load(tmp_path)


def test_tokens_are_added_by_their_bytes(model, tokenizer, tmp_path):
    tokenizer = copy.deepcopy(tokenizer)
    before, old_size = logits(model, IDS), model.config.vocab_size
    names = [f"<tool {i}>" for i in range(60)]
    tokenizer.add_tokens(names)
    with pytest.raises(RuntimeError, match=r"kronecker_cpp.transformers.add_tokens\(model, tokenizer\)"):
        model.resize_token_embeddings(len(tokenizer))
    assert add_tokens(model, tokenizer) == len(tokenizer) - old_size
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(names)])
    embedding = model.get_input_embeddings()
    direct = embedding.forward_with_byte_override(ids, {i: name.encode() for i, name in enumerate(names)})
    assert torch.equal(embedding(ids), direct)
    assert_close(logits(model, IDS)[..., :old_size], before, 1e-6)
    assert logits(model, ids[:, :8]).shape == (1, 8, len(tokenizer))
    model.save_pretrained(tmp_path)
    assert torch.equal(logits(load(tmp_path), ids[:, :8]), logits(model, ids[:, :8]))
    with pytest.raises(TypeError, match="resize_token_embeddings"):
        add_tokens(gpt2(), tokenizer)


def test_tokens_that_cannot_be_added_change_nothing(model):
    class WithoutFile:
        def __len__(self):
            return 10**6

    before = logits(model, IDS)
    with pytest.raises(TypeError, match="WithoutFile"):
        add_tokens(model, WithoutFile())
    assert model.get_input_embeddings().vocab_size == model.config.vocab_size < 10**6
    assert torch.equal(logits(model, IDS), before)
