"""Reads and writes safetensors files with NumPy alone: how weights get from here to Python and back.

    weights = read("model.safetensors")           # name -> array; bfloat16 comes as float32
    write("projection.safetensors", {"projection.weight": weights["wte.projection.weight"]})
"""

import json
import os

import numpy as np

TYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "I64": np.int64, "I32": np.int32, "I16": np.int16,
         "I8": np.int8, "U8": np.uint8, "BOOL": np.bool_}
NAMES = {np.dtype(array_type): name for name, array_type in TYPES.items()}


def read(path):
    """All tensors of a file, as arrays that are mapped from it. Raises ValueError if it is cut short."""
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        header_size = int.from_bytes(file.read(8), "little")
        if header_size > size - 8:
            raise ValueError(f"{path}: the header is said to take {header_size} bytes of a file of {size}")
        header = json.loads(file.read(header_size))
    header.pop("__metadata__", None)
    tensors = {}
    for name, tensor in header.items():
        begin, end = tensor["data_offsets"]
        if 8 + header_size + end > size:
            raise ValueError(f"{path}: tensor '{name}' ends at byte {8 + header_size + end} of a file of {size}")
        is_bfloat16 = tensor["dtype"] == "BF16"
        if end == begin:
            tensors[name] = np.zeros(tensor["shape"], np.float32 if is_bfloat16 else TYPES[tensor["dtype"]])
            continue
        stored = np.memmap(path, np.uint16 if is_bfloat16 else TYPES[tensor["dtype"]], "r", 8 + header_size + begin,
                           tuple(tensor["shape"]))
        tensors[name] = (stored.astype(np.uint32) << 16).view(np.float32) if is_bfloat16 else stored
    return tensors


def write(path, tensors, metadata=None):
    """Writes arrays under their names; an old file is replaced only when the new one is complete."""
    header, end = ({"__metadata__": metadata} if metadata else {}), 0
    for name, array in tensors.items():
        header[name] = {"dtype": NAMES[array.dtype], "shape": array.shape, "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with open(f"{path}.new", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).tobytes())
    os.replace(f"{path}.new", path)
