"""How far every type of exported file is from the checkpoint that it was made of, by what `recipes verify` compares.

    python benchmarks/exports/agreement.py CHECKPOINT WORK_FOLDER [--rows DEMOS] [--types q4_k_m int4 ...]

`TYPE+imatrix` quantizes under an importance matrix of 64 rows of DEMOS, a finished data stage with the agent's own
prompts. Every file is exported into WORK_FOLDER, compared with the checkpoint in torch and float32, and deleted; what
was measured stays there as one JSON file a type, so that a run that was stopped goes on. Printed: a table over the
held-out steps of pocket-135m's agent and over general text, and one JSON line. The gate column is the type's default.
"""

import argparse
import json
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

from zoo import machine, shipped
from zoo.exports import gguf, onnx
from zoo.formats import gguf_header
from zoo.formats.gguf_names import file_name
from zoo.formats.onnx_files import FILES
from zoo.recipe import load
from zoo.schema import VerifySpec
from zoo.verify import examine, plain

GGUF = ("f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0")
GUIDED = tuple(f"{type_}+imatrix" for type_ in ("q6_k", "q5_k_m", "q4_k_m", "q4_0"))
CALIBRATION_ROWS = 64
SEED = 7


def main() -> None:
    every = [*GGUF, *GUIDED, *FILES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=Path, help="a finished data stage, for the types with +imatrix")
    parser.add_argument("--types", nargs="+", choices=every, metavar="TYPE")
    parser.add_argument("--prompts", type=int, default=24, help="held-out steps; default: %(default)s")
    parser.add_argument("--texts", type=int, default=8, help="general passages; default: %(default)s")
    parser.add_argument("--actions", type=int, default=12, help="steps that both answer; default: %(default)s")
    parser.add_argument("--side-by-side", type=int, default=6, help="files that are open at a time; %(default)s")
    options = parser.parse_args()
    chosen = options.types or [name for name in every if options.rows or name not in GUIDED]
    rows = options.folder / f"rows-{options.prompts}-{options.texts}-{options.actions}"
    rows.mkdir(parents=True, exist_ok=True)
    missing = [name for name in chosen if not (rows / f"{name}.json").is_file()]
    for first in range(0, len(missing), options.side_by_side):
        measure(options, missing[first : first + options.side_by_side], rows)
    found = [json.loads((rows / f"{name}.json").read_text("utf-8")) for name in chosen]
    print_table(found)
    versions = machine.versions(("torch", "xllamacpp", "onnxruntime", "onnxruntime-genai"))
    print(json.dumps({"machine": machine.hardware(), "versions": versions, "rows": found}))


def measure(options: argparse.Namespace, names: list[str], rows: Path) -> None:
    """Export some types, compare them side by side so that the checkpoint reads each text once, note the figures."""
    work = options.folder / "files"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    written = {write(options, name, work): name for name in names}
    files = {file: name.partition("+")[0] for file, name in written.items()}
    agent = load(shipped.folder("recipes") / "pocket-135m.yaml").recipe.agent
    spec = VerifySpec.model_validate({
        "export": "stage:export", "against": "stage:model", "prompts": options.prompts, "texts": options.texts,
        "actions": options.actions, "agent": agent,
    })  # fmt: skip

    def progress(step: int, total: int | None = None, **fields: float | str) -> None:
        print(f"{fields.get('comparing', '')} {step}/{total}", file=sys.stderr, flush=True)

    data, _ = examine(spec, files, options.checkpoint, SEED, progress=progress)
    for file, row in zip(files, plain(data)["files"], strict=True):
        kept = {key: value for key, value in row.items() if key != "curves"}
        bits = gguf_header.read(file).bits_per_weight if file.suffix == ".gguf" else None
        part = rows / f"{written[file]}.part"
        part.write_text(json.dumps({"name": written[file], "bits_per_weight": bits, **kept}), "utf-8")
        part.replace(rows / f"{written[file]}.json")
    shutil.rmtree(work)


def write(options: argparse.Namespace, name: str, work: Path) -> Path:
    """One exported file."""
    print(f"exporting {name}", file=sys.stderr, flush=True)
    type_, _, guided = name.partition("+")
    if type_ in FILES:
        onnx.convert(options.checkpoint, work, type_)
        return work / FILES[type_]
    file = work / file_name(type_, "model-imatrix" if guided else "model")
    gguf.convert(options.checkpoint, file, type_, options=gguf.Options(importance=importance(options, guided)))
    return file


@cache
def _measured(checkpoint: Path, rows: Path) -> gguf.Importance:
    return gguf.measure(checkpoint, gguf.token_rows(rows, checkpoint, CALIBRATION_ROWS, SEED))


def importance(options: argparse.Namespace, guided: str) -> gguf.Importance | None:
    """Measured once for all types that want it."""
    return _measured(options.checkpoint, options.rows) if guided else None


def print_table(rows: list[dict[str, Any]]) -> None:
    """In Markdown; on the agent's held-out steps, and on general text."""
    columns = ("same top-1", "mean KL", "p99 KL", "perplexity")
    header = ["type", "MB", "bits a weight", *(f"{name}, steps" for name in columns)]
    header += [*(f"{name}, general" for name in columns), "same call", "gate of the type"]
    print(f"| {' | '.join(header)} |")
    print(f"| --- | {' | '.join(['---:'] * (len(header) - 2))} | --- |")
    for row in rows:
        bits = f"{row['bits_per_weight']:.2f}" if row["bits_per_weight"] else ""
        cells = [row["name"], f"{row['bytes'] / 1e6:.0f}", bits, *agreed(row["agreement"]), *agreed(row["general"])]
        actions = row["actions"]
        cells += [f"{actions['same']} of {actions['called']}", "kept" if row["passed"] else "not kept"]
        print(f"| {' | '.join(cells)} |")


def agreed(measured: dict[str, Any]) -> list[str]:
    """The cells of one kind of text."""
    kls = [f"{measured[name]:.1e}" for name in ("mean_kl", "p99_kl")]
    return [f"{measured['top1']:.2%}", *kls, f"x {measured['perplexity_ratio']:.3f}"]


if __name__ == "__main__":
    main()
