"""Times exported models in ONNX Runtime beside a plain Gather of the ordinary table, and measures their memory.

    benchmarks/onnx_runtime.py OUTPUT FOLDER=IDS.npy...     # writes OUTPUT.json and OUTPUT.md; scripts/check_onnx --bench does all

A FOLDER has the models of tests/onnx/cases.cpp, IDS.npy the ids of a text in the same vocabulary. A model and the Gather take
turns in one process, one thread each; times are medians of the quotients of such turns. Memory is what a process of its own
takes at most for loading a model and running 4,096 ids, beyond importing ONNX Runtime.
"""

from __future__ import annotations

import datetime
import json
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime

COUNTS = {1: 300, 64: 100, 512: 40, 4096: 16}  # ids, and how many turns


def open_model(path: pathlib.Path | str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def write_gather(folder: pathlib.Path) -> pathlib.Path:
    """The model of the table without the check of ids."""
    path = folder / "gather.onnx"
    if not path.exists():
        model = onnx.load(folder / "F32.table.onnx")
        del model.graph.node[:], model.graph.initializer[1:]
        names = [model.graph.initializer[0].name, model.graph.input[0].name]
        model.graph.node.append(onnx.helper.make_node("Gather", names, [model.graph.output[0].name]))
        onnx.save(model, path)
    return path


def seconds(session: onnxruntime.InferenceSession, ids: np.ndarray) -> float:
    feed = session.get_inputs()[0]
    ids = ids.astype(np.int32 if feed.type == "tensor(int32)" else np.int64)[None]
    start = time.perf_counter()
    session.run(None, {feed.name: ids})
    return time.perf_counter() - start


def peak_megabytes(path: pathlib.Path, ids: pathlib.Path) -> float:
    """Of a process of its own; its memory before is what Python and the library take."""
    program = [sys.executable, __file__, "--peak", str(path), str(ids)]
    return float(subprocess.run(program, check=True, capture_output=True, text=True).stdout)


def peak_bytes() -> int:
    (line,) = [line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def print_peak(path: str, ids: str) -> None:
    text = np.load(ids)[:4096]
    before = peak_bytes()
    seconds(open_model(path), text)
    print((peak_bytes() - before) / 1e6)


def measure(folder: pathlib.Path, ids: pathlib.Path) -> dict:
    text = np.load(ids)
    gather = open_model(folder / "gather.onnx")
    measured: dict = {"models": []}
    for name in ("gather", "F32.table", "F32.chunks", "F32.bytes", "F16.chunks", "F16.bytes", "I8.chunks", "I8.bytes"):
        path = folder / f"{name}.onnx"
        if not path.exists():
            continue
        session = open_model(path)
        metadata = session.get_modelmeta().custom_metadata_map
        measured.setdefault("size", [int(metadata[key]) for key in ("vocab_size", "pos_dim", "d_model")])
        result: dict = {"name": name, "form": metadata["form"], "file_megabytes": path.stat().st_size / 1e6,
                        "microseconds": {}, "times_gather": {}}
        for count, turns in COUNTS.items():
            pairs = []
            for turn in range(turns + 1):
                first = turn * 7919 % (len(text) - count)
                part = text[first:first + count]
                if turn % 2:
                    pairs.append((seconds(session, part), seconds(gather, part)))
                else:  # what runs second finds other things in the caches
                    pairs.append((seconds(gather, part), seconds(session, part))[::-1])
            del pairs[0]
            result["microseconds"][count] = statistics.median(pair[0] for pair in pairs) * 1e6
            result["times_gather"][count] = statistics.median(pair[0] / pair[1] for pair in pairs)
        del session
        result["peak_megabytes"] = peak_megabytes(path, ids)
        measured["models"].append(result)
        print(json.dumps(result), flush=True)
    return measured


def report(results: dict) -> str:
    lines = ["# ONNX Runtime", "",
             f"{results['processor']}, one thread, ONNX Runtime {results['onnxruntime']}; {results['date']}. "
             "`scripts/check_onnx --bench`: English prose,",
             "medians of turns. Times are relative to a plain Gather of a float32 table in the same process; memory is what "
             "loading a", "model and running 4,096 ids takes at most. bytes is the smallest form.", ""]
    for measured in results["measured"]:
        size = ", ".join(f"{number:,}" for number in measured["size"])
        lines += [f"## (V, pos_dim, d_model) = ({size})", "",
                  "| rows and form | 1 id | 64 | 512 | 4,096 | microseconds | file, MB | memory, MB |",
                  "|---|---|---|---|---|---|---|---|"]
        for model in measured["models"]:
            times = " | ".join(f"{value:.1f}" for value in model["times_gather"].values())
            spent = " / ".join(f"{value:,.0f}" for value in model["microseconds"].values())
            ends = model["form"].partition(" before ")[2].split(", ")
            chunks = "" if ends == [""] else f", {len(ends)} chunks"
            if 1 < len(ends) < 8:
                chunks += f", to before {', '.join(ends)}"
            lines.append(f"| {model['name']}{chunks} | {times} | {spent} | {model['file_megabytes']:,.1f} | "
                         f"{model['peak_megabytes']:,.0f} |")
        lines.append("")
    return "\n".join(lines)


def processor() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown processor"


def main() -> None:
    if sys.argv[1] == "--peak":
        return print_peak(*sys.argv[2:])
    output, pairs = pathlib.Path(sys.argv[1]), [argument.split("=") for argument in sys.argv[2:]]
    for folder, _ in pairs:
        write_gather(pathlib.Path(folder))
    results = {"processor": processor(), "onnxruntime": onnxruntime.__version__,
               "date": datetime.date.today().isoformat(),
               "measured": [measure(pathlib.Path(folder), pathlib.Path(ids)) for folder, ids in pairs]}
    output.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    output.with_suffix(".md").write_text(report(results))


if __name__ == "__main__":
    main()
