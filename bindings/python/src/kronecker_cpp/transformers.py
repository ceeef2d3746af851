"""Models of Hugging Face's transformers with a Kronecker embedding as input.

    model = AutoModelForCausalLM.from_config(config)
    give_kronecker_input(model, tokenizer, pos_dim=16)     # train it: Trainer, generate and save_pretrained work
    model.save_pretrained("folder")
    model = load("folder")                                 # instead of from_pretrained, which raises
    tokenizer.add_tokens(["<tool>"]); add_tokens(model, tokenizer)     # instead of resize_token_embeddings
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file
from torch import Tensor, nn

from kronecker_cpp.torch import KroneckerEmbedding
from kronecker_cpp.vocabulary import Vocabulary

FOR_FROM_PRETRAINED = ("this model embeds tokens by their bytes; load it by kronecker_cpp.transformers.load(folder) instead of "
                       "from_pretrained")
"""Stands in config.json where from_pretrained looks for the name of a file with weights; it raises, and shows this."""

OPTIONS = ("char_dim", "pos_dim", "length_normalize", "z_normalize")


class KroneckerInput(KroneckerEmbedding):
    """A Kronecker embedding whose bytes and lengths are in its state_dict, and so in a model's files."""

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[f"{prefix}token_bytes"], destination[f"{prefix}token_lengths"] = self._byte_buffer, self._length_buffer

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, metadata: Any, strict: bool, missing: list[str],
                              *arguments: Any) -> None:
        names = [f"{prefix}token_bytes", f"{prefix}token_lengths"]
        if all(name in state_dict for name in names):
            self._set_tokens(*(state_dict.pop(name) for name in names))
        elif strict:
            missing.extend(name for name in names if name not in state_dict)
        super()._load_from_state_dict(state_dict, prefix, metadata, strict, missing, *arguments)


def give_kronecker_input(model: transformers.PreTrainedModel, tokenizer: Any, pos_dim: int = 32,
                         **options: Any) -> KroneckerInput:
    """Replaces the input table of a model by a new Kronecker embedding of the tokenizer's tokens, and returns that.

    Tokens have their true bytes; ids of the model that no token has, none. An output head that was tied to the table
    gets weights of its own, with a warning that says how many. `options` are those of KroneckerEmbedding.
    """
    table: Any = model.get_input_embeddings()
    vocab_size, d_model = table.weight.shape
    token_bytes, lengths = _tokens_of(tokenizer, vocab_size, pos_dim, options.get("char_dim", 256))
    embedding = KroneckerInput(vocab_size, d_model, pos_dim=pos_dim, byte_buffer=token_bytes, length_buffer=lengths,
                               device=table.weight.device, dtype=table.weight.dtype, **options)
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if head is not None and head.weight is table.weight:
        head.weight = nn.Parameter(table.weight.detach().clone(), table.weight.requires_grad)
        warnings.warn(f"the output head was tied to the input table of {table.weight.numel():,} parameters and now has as many "
                      f"of its own; the input has {embedding.projection.rows.numel():,} instead, so the model has that many "
                      f"more", stacklevel=2)
    _put(model, embedding)
    return embedding


def load(folder: str | os.PathLike[str], model_class: type[transformers.PreTrainedModel] | None = None,
         dtype: torch.dtype | None = None) -> transformers.PreTrainedModel:
    """The model with a Kronecker input that `save_pretrained` wrote into a folder, of the class that its configuration
    names or of `model_class`, in evaluation mode."""
    folder = Path(folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    options = getattr(config, "kronecker_input", None)
    if options is None:
        raise ValueError(f"{folder}/config.json has no kronecker_input: it was not saved with one; use from_pretrained")
    if hasattr(config, "transformers_weights"):
        del config.transformers_weights
    state = _state_of(folder)
    model = (model_class or getattr(transformers, config.architectures[0]))(config)
    table: Any = model.get_input_embeddings()
    vocab_size, d_model = table.weight.shape
    _put(model, KroneckerInput(vocab_size, d_model, byte_buffer=torch.zeros(vocab_size, options["pos_dim"]),
                               length_buffer=torch.zeros(vocab_size), **options))
    model.load_state_dict(state)
    stored = next(iter(tensor.dtype for tensor in state.values() if tensor.is_floating_point()))
    loaded: transformers.PreTrainedModel = nn.Module.to(model, dtype or stored).eval()
    return loaded


def add_tokens(model: transformers.PreTrainedModel, tokenizer: Any) -> int:
    """Gives the model the tokens that its tokenizer has and it has not, by their bytes, and returns how many ids that adds.

    The input's weights stay as they are. An output head gets a row for each new id, the mean of those that it has: make
    the optimizer anew.
    """
    embedding = model.get_input_embeddings()
    if not isinstance(embedding, KroneckerInput):
        raise TypeError(f"the input of this model is of type {type(embedding).__name__}: it has not been given a Kronecker "
                        "input; use resize_token_embeddings")
    vocab_size = max(len(tokenizer), embedding.vocab_size)
    added = vocab_size - embedding.vocab_size
    tokens = _tokens_of(tokenizer, vocab_size, embedding.pos_dim, embedding.char_dim)
    embedding.vocab_size = model.config.vocab_size = vocab_size
    embedding._set_tokens(*tokens)
    embedding._tokens(embedding.projection.rows.device)
    head: Any = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    if head is not None and added > 0:
        head.weight = _extended(head.weight, added)
        head.out_features = vocab_size
        if getattr(head, "bias", None) is not None:
            head.bias = _extended(head.bias, added)
    return added


def _put(model: transformers.PreTrainedModel, embedding: KroneckerInput) -> None:
    """Makes the embedding the model's input, and says so in the configuration, which is saved with the model."""
    model.set_input_embeddings(embedding)
    model.config.tie_word_embeddings = False
    model.all_tied_weights_keys = {}
    model.config.kronecker_input = {name: getattr(embedding, name) for name in OPTIONS}
    setattr(model, "resize_token_embeddings", _refuse_to_resize)
    setattr(model, "save_pretrained", functools.partial(_save_pretrained, model))


def _save_pretrained(model: transformers.PreTrainedModel, save_directory: str | os.PathLike[str], *arguments: Any,
                     **options: Any) -> None:
    if options.get("push_to_hub"):
        raise ValueError("push_to_hub is not supported here, since the folder is not complete yet: call model.push_to_hub")
    type(model).save_pretrained(model, save_directory, *arguments, **options)
    file = Path(save_directory) / "config.json"
    if options.get("is_main_process", True):
        config = json.loads(file.read_text(encoding="utf-8"))
        config["transformers_weights"] = FOR_FROM_PRETRAINED
        file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _refuse_to_resize(*arguments: Any, **options: Any) -> None:
    raise RuntimeError("this model embeds tokens by their bytes, so there is no table to resize: give it the tokens that were "
                       "added to the tokenizer by kronecker_cpp.transformers.add_tokens(model, tokenizer)")


def _tokens_of(tokenizer: Any, vocab_size: int, pos_dim: int, char_dim: int) -> tuple[Tensor, Tensor]:
    """Bytes and lengths of the first `vocab_size` ids of a tokenizer, with true bytes."""
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise TypeError(f"a {type(tokenizer).__name__} has no tokenizer.json from which to read the bytes of its tokens")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tokenizer.json")
        path.write_text(tokenizer.backend_tokenizer.to_str(), encoding="utf-8")
        token_bytes, lengths = Vocabulary.load(path).to_arrays(pos_dim, char_dim)
    if len(lengths) > vocab_size:
        raise ValueError(f"the tokenizer has {len(lengths)} tokens, the model {vocab_size}")
    missing = vocab_size - len(lengths)
    return (torch.from_numpy(np.pad(token_bytes, ((0, missing), (0, 0)))), torch.from_numpy(np.pad(lengths, (0, missing))))


def _extended(weight: nn.Parameter, added: int) -> nn.Parameter:
    values = weight.detach()
    return nn.Parameter(torch.cat([values, values.mean(0, keepdim=True).expand(added, *values.shape[1:])]),
                        weight.requires_grad)


def _state_of(folder: Path) -> dict[str, Tensor]:
    """All tensors of the safetensors files of a folder."""
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        raise FileNotFoundError(f"{folder} has no model.safetensors")
    return {name: tensor for file in files for name, tensor in load_file(file).items()}
