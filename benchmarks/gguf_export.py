"""How long a checkpoint takes to become GGUF, and with how much memory, beside llama.cpp's converter and quantizer.

Run: python benchmarks/gguf_export.py CHECKPOINT [--converter PATH] [--quantizer PATH] [--rounds N]. CHECKPOINT is a
local folder. `--converter` is `convert_hf_to_gguf.py` of a llama.cpp tree (its `gguf-py` is put on the path);
`--quantizer` is the program `llama-quantize`, or a `libllama` shared object. Each export is a process of its own, so
imports count; the rounds take turns, so that a busy machine is busy for all. With both given, every tensor is compared
byte by byte.
"""

import argparse
import ctypes
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from zoo.formats import gguf_header

_OURS = """
import sys
from pathlib import Path
from zoo.exports.gguf import convert
convert(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
"""
_BY_LIBRARY = (
    "import sys; sys.path.insert(0, sys.argv[1]); import gguf_export as g; g.quantize_by_library(*sys.argv[2:])"
)
_FILE_TYPES = {"q4_k_m": 15, "q5_k_m": 17, "q6_k": 18, "q4_0": 2}  # enum llama_ftype of llama.h


class _QuantizeParameters(ctypes.Structure):
    """The beginning of `struct llama_model_quantize_params`, with room for what follows."""

    _fields_ = (("nthread", ctypes.c_int32), ("ftype", ctypes.c_int), ("rest", ctypes.c_uint8 * 1024))


def quantize_by_library(library: str, source: str, target: str, type_: str) -> None:
    """`llama_model_quantize` of a shared object; the ggml libraries that it needs lie beside it."""
    for name in sorted(Path(library).parent.glob("libggml-base*.so")) + sorted(
        Path(library).parent.glob("libggml.*so")
    ):
        ctypes.CDLL(str(name), mode=ctypes.RTLD_GLOBAL)
    llama = ctypes.CDLL(library)
    llama.llama_model_quantize_default_params.restype = _QuantizeParameters
    parameters = llama.llama_model_quantize_default_params()
    parameters.nthread, parameters.ftype = int(os.environ.get("OMP_NUM_THREADS", "2")), _FILE_TYPES[type_]
    failed = llama.llama_model_quantize(source.encode(), target.encode(), ctypes.byref(parameters))
    if failed:
        raise SystemExit(f"llama_model_quantize returned {failed}")


def measured(command: Sequence[str], **environment: str) -> tuple[float, float]:
    """Seconds and peak megabytes of a process."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"exit {process.returncode}: {' '.join(command)}")
    return time.perf_counter() - started, usage.ru_maxrss * 1024 / 1e6


def ours(checkpoint: Path, folder: Path, type_: str) -> tuple[float, float]:
    return measured([sys.executable, "-c", _OURS, str(checkpoint), str(folder / f"ours-{type_}.gguf"), type_])


def theirs(checkpoint: Path, folder: Path, type_: str, converter: Path, quantizer: Path | None) -> tuple[float, float]:
    """Converter, and for other than f16 the quantizer after it, on the float32 file that loses nothing."""
    first = "f16" if type_ == "f16" else "f32"
    file = folder / f"theirs-{first}.gguf"
    seconds, peak = measured(
        [sys.executable, str(converter), str(checkpoint), "--outfile", str(file), "--outtype", first],
        PYTHONPATH=str(converter.parent / "gguf-py"),
        HF_HUB_OFFLINE="1",
    )
    if type_ == "f16" or quantizer is None:
        return seconds, peak
    target = str(folder / f"theirs-{type_}.gguf")
    if quantizer.suffix == ".so":
        here = str(Path(__file__).parent)
        command = [sys.executable, "-c", _BY_LIBRARY, here, str(quantizer), str(file), target, type_]
    else:
        command = [str(quantizer), str(file), target, type_.upper()]
    more_seconds, more_peak = measured(command)
    return seconds + more_seconds, max(peak, more_peak)


def bytes_of(tensor: gguf_header.Tensor) -> bytes:
    """One at a time: a process that is started counts this one's memory as its own until it has begun."""
    with tensor.file.open("rb") as stream:
        stream.seek(tensor.offset)
        return stream.read(tensor.bytes)


def same_tensors(left: Path, right: Path) -> str:
    """How many tensors are the same byte for byte."""
    one, other = gguf_header.read(left), gguf_header.read(right)
    found = {tensor.name: tensor for tensor in other.tensors}
    twins = [(tensor, found.get(tensor.name)) for tensor in one.tensors]
    same = sum(
        twin is not None and tensor.type == twin.type and bytes_of(tensor) == bytes_of(twin) for tensor, twin in twins
    )
    return f"{same}/{len(other.tensors)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--converter", type=Path)
    parser.add_argument("--quantizer", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--types", nargs="+", default=["f16", "q4_k_m"])
    arguments = parser.parse_args()
    results = []
    for type_ in arguments.types:
        with TemporaryDirectory() as name:
            results.append(compared(type_, Path(name), arguments))
        print("  ".join(f"{key} {value}" for key, value in results[-1].items()), flush=True)
    print(json.dumps(results))


def compared(type_: str, folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """One type: medians of both, and what the comparison says."""
    beside = arguments.converter and (type_ == "f16" or arguments.quantizer)
    rounds: dict[str, list[tuple[float, float]]] = {"ours": [], "llama.cpp": []}
    for _ in range(arguments.rounds):
        rounds["ours"].append(ours(arguments.checkpoint, folder, type_))
        if beside:
            rounds["llama.cpp"].append(
                theirs(arguments.checkpoint, folder, type_, arguments.converter, arguments.quantizer)
            )
    row: dict[str, object] = {"type": type_, "rounds": arguments.rounds}
    for who, several in rounds.items():
        if several:
            row[f"{who} seconds"] = round(statistics.median(seconds for seconds, _ in several), 2)
            row[f"{who} peak MB"] = round(statistics.median(peak for _, peak in several))
    if beside:
        row["same tensors"] = same_tensors(folder / f"ours-{type_}.gguf", folder / f"theirs-{type_}.gguf")
    return row


if __name__ == "__main__":
    main()
