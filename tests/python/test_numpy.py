"""The package with NumPy alone: vocabularies and saved embeddings."""

import gzip
import subprocess
import sys

import numpy as np
import pytest
from conftest import DATA, ROOT, golden, true_tokens

import kronecker_cpp

sys.path.insert(0, str(ROOT / "examples/python"))
import safetensors_file  # noqa: E402


@pytest.mark.parametrize("file, name", [("gpt2.tokenizer.json", "gpt2"), ("gpt2.gguf", "gpt2"), ("llama2.sentencepiece.model",
                                        "llama2_spm"), ("cl100k_base.tiktoken", "cl100k_base")])
def test_a_vocabulary_has_the_true_bytes(file, name):
    tokens = true_tokens(name)
    vocabulary = kronecker_cpp.Vocabulary.load(DATA / "vocab" / file)
    assert len(vocabulary) == len(tokens) or name == "cl100k_base"  # whose special tokens are not in the file
    assert all(vocabulary.bytes(id) == (tokens[id] or b"") for id in range(min(len(vocabulary), 100256)))


@pytest.mark.parametrize("pos_dim", [1, 4, 16, 32, 255])
def test_arrays_hold_tokens_cut_between_characters(pos_dim):
    vocabulary = kronecker_cpp.Vocabulary.load(ROOT / "examples/data/english_8k.model")
    token_bytes, lengths = vocabulary.to_arrays(pos_dim)
    assert token_bytes.shape == (8000, pos_dim) and token_bytes.dtype == lengths.dtype == np.uint8
    for id in range(len(vocabulary)):
        token = vocabulary.bytes(id)
        assert token.startswith(token_bytes[id, :lengths[id]].tobytes())
        assert not token_bytes[id, lengths[id]:].any()
        assert lengths[id] == len(token) or pos_dim - 3 <= lengths[id] <= pos_dim < len(token)


@pytest.mark.parametrize("name", ["gpt2", "mistral_v1", "llama3", "qwen2_5"])
def test_reference_text_differs_where_the_reference_does(name, tmp_path):
    tokens = true_tokens(f"{name}_spm.reference" if name == "mistral_v1" else f"{name}.reference")
    file = DATA / f"vocab/{name}.tokenizer.json"
    if not file.exists():
        packed = DATA / f"vocab/{name}.tokenizer.json.gz"
        file = tmp_path / "tokenizer.json"
        file.write_bytes(gzip.decompress(packed.read_bytes()))
    vocabulary = kronecker_cpp.Vocabulary.load(file, text="reference")
    assert [vocabulary.bytes(id) for id in range(len(vocabulary))] == tokens


def test_what_a_reader_assumed_or_misses_is_noted(tmp_path):
    ranks = tmp_path / "ranks"
    ranks.write_text("AQID 0\nYQ== 2\n")
    assert kronecker_cpp.Vocabulary.load(ranks).notes == ["ids without a token are read as empty ones: 1 of 3, from 1 to 1"]
    pieces = kronecker_cpp.Vocabulary.load(ROOT / "examples/data/english_8k.model")
    assert pieces.notes == []


def test_what_is_wrong_is_said():
    vocabulary = kronecker_cpp.Vocabulary.load(ROOT / "examples/data/english_8k.model")
    for id in (-1, 8000, 2**31):
        with pytest.raises(IndexError, match=f"token id {id} is outside the vocabulary of 8000 tokens"):
            vocabulary.bytes(id)
    with pytest.raises(ValueError, match="pos_dim 256 is outside 1 to 255"):
        vocabulary.to_arrays(256)
    with pytest.raises(ValueError, match="alphabet"):
        vocabulary.to_arrays(16, char_dim=100)
    with pytest.raises(ValueError, match="'raw' or 'reference'"):
        kronecker_cpp.Vocabulary.load(ROOT / "examples/data/english_8k.model", text="true")
    for load in (kronecker_cpp.Vocabulary.load, kronecker_cpp.KroneckerEmbedding.load):
        with pytest.raises(OSError, match="absent"):
            load("absent")
        with pytest.raises(OSError, match="README.md"):
            load(ROOT / "README.md")
        with pytest.raises(ValueError, match="zero byte"):
            load("README.md\0.json")


@pytest.fixture
def saved(tmp_path):
    """The golden embedding, as docs/model-file.md describes the file."""
    rows = golden("weight").T
    safetensors_file.write(tmp_path / "e.kron", {
        "projection.rows": np.ascontiguousarray(rows - rows.mean(0)), "token_bytes": golden("bytes").astype(np.uint8),
        "token_lengths": golden("lens").astype(np.uint8)}, {
        "format": "kronecker-embedding", "format_version": "1", "char_dim": "256", "pos_dim": "8", "length_normalize": "true",
        "z_normalize": "true", "epsilon": "1e-06", "truncated_tokens": "0"})
    return kronecker_cpp.KroneckerEmbedding.load(tmp_path / "e.kron")


def test_a_saved_embedding_has_the_reference_s_outputs(saved):
    assert (saved.vocab_size, saved.d_model) == (64, 8)
    for integer in (np.uint8, np.int16, np.int64, np.uint64):
        ids = golden("ids").astype(integer)
        np.testing.assert_allclose(saved(ids), golden("out_TT"), atol=2e-5)
        assert np.array_equal(saved(ids[:, ::2]), saved(ids)[:, ::2])
    assert saved([]).shape == (0, 8) and saved(3).shape == (8,)
    tokens = [row[:length].tobytes() for row, length in zip(golden("bytes").astype(np.uint8), golden("lens"))]
    assert np.array_equal(saved.embed_all(tokens), saved(np.arange(64)))
    assert np.array_equal(saved.embed(tokens[5]), saved(5))
    hidden = np.random.default_rng(1).standard_normal((3, 2, 8), np.float32)
    np.testing.assert_allclose(saved.logits(hidden), hidden @ golden("table_TT").T, atol=1e-4)
    assert np.array_equal(saved.embed_all([bytearray(tokens[5])]), saved([5]))
    for texts in ([5], [list(tokens[5])], tokens[5], "text"):
        with pytest.raises(TypeError):
            saved.embed_all(texts)
    with pytest.raises(IndexError, match="token id 64 at index 1 is outside the vocabulary of 64 tokens"):
        saved([0, 64])
    with pytest.raises(TypeError, match="float64"):
        saved([0.5])
    with pytest.raises(ValueError, match="d_model 8"):
        saved.logits(hidden[..., :7])


def test_pytorch_is_not_imported():
    subprocess.run([sys.executable, "-c", "import kronecker_cpp, sys; assert 'torch' not in sys.modules"], check=True)
