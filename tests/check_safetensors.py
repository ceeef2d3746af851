"""Checks safetensors files by the format's own rules, with Python's standard library alone: another implementation
than the one under test. Prints the names of the tensors; fails with what is wrong.

    check_safetensors.py FILE...
"""

import json
import math
import struct
import sys

SIZES = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4, "F16": 2, "BF16": 2, "I16": 2, "U16": 2, "I8": 1,
         "U8": 1, "BOOL": 1}


def unique_keys(pairs):
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"a key is there twice: {keys}"
    return dict(pairs)


def check(path):
    content = open(path, "rb").read()
    (header_size,) = struct.unpack("<Q", content[:8])
    header = content[8:8 + header_size]
    assert len(header) == header_size and header.startswith(b"{"), "the header is cut short or no object"
    tensors = json.loads(header.decode("utf-8"), object_pairs_hook=unique_keys)
    metadata = tensors.pop("__metadata__", {})
    assert all(isinstance(value, str) for value in metadata.values()), "metadata must be strings"
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1]["data_offsets"]):
        begin, tensor_end = tensor["data_offsets"]
        assert begin == end, f"{name} starts at {begin}, not at {end}: a hole or an overlap"
        size = math.prod(tensor["shape"]) * SIZES[tensor["dtype"]]
        assert tensor_end - begin == size, f"{name} takes {tensor_end - begin} bytes instead of {size}"
        assert (8 + header_size + begin) % SIZES[tensor["dtype"]] == 0, f"{name} is not aligned"
        end = tensor_end
    assert 8 + header_size + end == len(content), "there are bytes after the last tensor"
    print(path, *tensors)


for file in sys.argv[1:]:
    check(file)
