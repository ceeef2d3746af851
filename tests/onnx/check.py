"""Runs the models of onnx_cases in ONNX Runtime. Every token's vector must be the table's, which has the library's bits:
the same numbers where the metadata says so, else within 1e-6 of the vector's length. Ids come in many shapes, and those
that are out of range must be refused.

    python3 check.py FOLDER...      # needs onnx, onnxruntime and numpy
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime


def open_model(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4  # what is refused is expected
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def check_metadata(path):
    """The model's checks, and what it says of itself."""
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path)
    assert [(operators.domain, operators.version) for operators in model.opset_import] == [("", 13)], path
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    return {entry.key: entry.value for entry in model.metadata_props}


def check_model(path, table):
    metadata = check_metadata(path)
    vocab_size, d_model = int(metadata["vocab_size"]), int(metadata["d_model"])
    session = open_model(path)
    ids_input = session.get_inputs()[0]
    dtype, rank = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}[ids_input.type], len(ids_input.shape)

    def embed(ids):
        return session.run(None, {"input_ids": np.asarray(ids, dtype)})[0]

    random = np.random.default_rng(1)
    for shape in [(), (0,), (1,), (7,), (1, 1), (3, 50), (8, 512), (2, 3, 4), (1, 512, 1)]:
        if len(shape) != rank:
            continue
        ids = random.integers(0, vocab_size, shape)
        found = embed(ids)
        assert found.shape == shape + (d_model,) and found.dtype == np.float32, (path, shape, found.shape)
        assert np.all(np.abs(found - table[ids]) <= 1e-6 * np.linalg.norm(table[ids], axis=-1, keepdims=True)), path
    for id in [-1, -vocab_size, vocab_size, np.iinfo(dtype).max, np.iinfo(dtype).min]:
        try:
            embed(np.full((1,) * rank, id))
        except Exception as error:
            assert "out of data bounds" in str(error), error
        else:
            raise AssertionError(f"{path}: id {id} is not refused")
    if rank != 2:
        return

    greatest = 0.0
    for first in range(0, vocab_size, 2048):
        ids = np.arange(first, min(first + 2048, vocab_size))
        expected, found = table[ids], embed(ids[None])[0]
        length = np.linalg.norm(expected.astype(np.float64), axis=1, keepdims=True)
        difference = np.abs(found.astype(np.float64) - expected)
        assert np.all(difference[length[:, 0] == 0] == 0), path
        greatest = max(greatest, float(np.max(difference / np.maximum(length, 1e-30))))
    assert greatest <= (0 if metadata["bits"] == "the library's" else 1e-6), (path, greatest)

    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, {metadata['form']}, "
          f"greatest difference {greatest:.2g} of a vector's length ({metadata['bits']})")


for folder in map(pathlib.Path, sys.argv[1:]):
    for table_path in sorted(folder.glob("*.table.onnx")):
        table = onnx.numpy_helper.to_array(onnx.load(table_path).graph.initializer[0])
        for path in sorted(folder.glob(table_path.name.replace("table", "*"))):
            check_model(path, table)
