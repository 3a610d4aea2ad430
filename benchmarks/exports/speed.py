"""Speed and memory of every type of exported file beside torch in bfloat16, on this machine.

    python benchmarks/exports/speed.py CHECKPOINT WORK_FOLDER [--types q8_0 genai-int4 ...] [--threads N] [--repeats 10]

Files that are not in WORK_FOLDER yet are exported there first, by what `recipes export` calls. Each is then measured by
the stage `latency` in a process of its own (fixed lengths, and steps of the phone's agent as the expert walks through
them); a run that is stopped goes on with the next file. Printed: a table, and one JSON line.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from zoo import latency, machine, shipped
from zoo.exports import gguf, onnx
from zoo.formats.gguf_names import file_name
from zoo.formats.onnx_files import FILES
from zoo.recipe import load
from zoo.records import StageContext
from zoo.schema import LatencySpec

GGUF = ("f32", "f16", "bf16", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--types", nargs="+", default=[*GGUF, *FILES], choices=[*GGUF, *FILES], metavar="TYPE")
    parser.add_argument("--threads", type=int, help="by default as many as decode each file fastest")
    parser.add_argument("--repeats", type=int, default=10, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--lookup", action="store_true", help="guess tokens in the agent's steps")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for form, types in (("gguf", GGUF), ("onnx", FILES)):
        chosen = [type_ for type_ in types if type_ in options.types]
        export = options.folder / form
        export.mkdir(parents=True, exist_ok=True)
        for type_ in chosen:
            exported(options.checkpoint, export, form, type_)
        if chosen:
            rows += measured(options, export, form, chosen, with_torch=not rows)
    table(rows)
    versions = machine.versions(("torch", "xllamacpp", "onnxruntime", "onnxruntime-genai"))
    print(json.dumps({"machine": machine.hardware(), "versions": versions, "rows": rows}))


def exported(checkpoint: Path, export: Path, form: str, type_: str) -> None:
    """One file, unless it is there."""
    target = export / (file_name(type_) if form == "gguf" else FILES[type_])
    if target.is_file():
        return
    print(f"exporting {type_}", file=sys.stderr)
    if form == "gguf":
        gguf.convert(checkpoint, target, type_)
    else:
        onnx.convert(checkpoint, export, type_)


def measured(
    options: argparse.Namespace, export: Path, form: str, types: list[str], with_torch: bool
) -> list[dict[str, Any]]:
    """The stage's own rows."""
    agent = load(shipped.folder("recipes") / "pocket-135m.yaml").recipe.agent
    spec = LatencySpec.model_validate({
        "export": "stage:export", "model": "stage:model" if with_torch else None, "types": types, "agent": agent,
        "threads": options.threads, "repeats": options.repeats, "steps": options.steps, "lookup": options.lookup,
    })  # fmt: skip
    out, scratch = options.folder / "out", options.folder / f"measured-{form}"
    for folder in (out, scratch):
        folder.mkdir(exist_ok=True)

    def progress(step: int, total: int | None = None, **fields: float | str) -> None:
        print(f"{form} {step} % {fields.get('measuring', '')}      ", end="\r", file=sys.stderr, flush=True)

    inputs = {"export": export, "model": options.checkpoint}
    found: list[dict[str, Any]] = latency.run(
        spec, StageContext(out, scratch, inputs, seed=0, progress=progress)
    ).notes["rows"]
    return found


def table(rows: list[dict[str, Any]]) -> None:
    """In Markdown, ratios to torch beside each figure."""
    base = next(row for row in rows if row["type"] == latency.TORCH)
    columns = {
        "decode_tokens_per_second": "decode, tokens/s",
        "prefill_tokens_per_second": "prefill, tokens/s",
        "first_token_seconds": "first token, s",
        "step_seconds": "agent step, s",
        "load_seconds": "load, s",
    }
    header = ["type", "runtime", "threads", "MiB", "peak memory, MiB", *columns.values(), "decode, times torch"]
    print(f"| {' | '.join(header)} |\n| --- | --- |{' ---: |' * (len(header) - 2)}")
    for row in rows:
        figures = [f"{row[name]:.{0 if 'tokens' in name and 'first' not in name else 3}f}" for name in columns]
        sizes = [f"{row['bytes'] / 2**20:.0f}", f"{row['peak_memory_bytes'] / 2**20:.0f}"]
        ratio = f"{row['decode_tokens_per_second'] / base['decode_tokens_per_second']:.2f}"
        print(f"| {' | '.join([row['type'], row['runtime'], str(row['threads']), *sizes, *figures, ratio])} |")


if __name__ == "__main__":
    main()
