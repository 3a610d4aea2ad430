"""A checkpoint as ONNX: a portable graph in several precisions, and folders for ONNX Runtime GenAI.

Covered: text, for the architectures of `zoo.formats.onnx_files`. Not covered: images (see `portable`), GPUs, LoRA.
"""

import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from zoo.errors import ExportError
from zoo.exports import grammar, tokenizer
from zoo.exports.onnx import genai, layout, portable, quantize
from zoo.exports.onnx.inspection import inspect
from zoo.exports.onnx.portable import Exporter
from zoo.formats import onnx_files, weights
from zoo.records import Metric, Progress, StageContext, StageResult, no_progress
from zoo.schema import ONNXSpec
from zoo.serving.torch_runtime import read_config

__all__ = ["NO_IMAGES", "convert", "run"]

_DTYPES = {"fp32": "float32", "fp16": "float16"}
NO_IMAGES = (
    "Images are not part of these files: they answer text. An exported vision tower is exact only for images whose "
    "sides are multiples of the attention window, and off by 17 % for others (measured: 140 x 196 pixels). The vision "
    "tower is exported for llama.cpp alone, as the `mmproj` file among the GGUF files."
)


def run(spec: ONNXSpec, ctx: StageContext) -> StageResult:
    """Write every variant into `ctx.out`, in the layout of `zoo.formats.onnx_files`.

    Raises ModelError for a checkpoint that cannot be read, ExportError for one that has no ONNX form.
    """
    rows = []
    # fp32 first: the quantized variants are made of it, and so it is traced once.
    for index, variant in enumerate(sorted(spec.variants, key=list(onnx_files.FILES).index)):
        progress = partial(ctx.progress, variant=variant, variants=f"{index + 1}/{len(spec.variants)}")
        source = ctx.out if "fp32" in spec.variants else ctx.scratch / "traced"
        rows.append(
            convert(ctx.inputs["model"], ctx.out, variant, progress, spec.exporter, spec.threads, traced_in=source)
        )
    metrics = {f"{row['variant']}.bytes": Metric(row["bytes"], "bytes") for row in rows}
    metrics |= {f"{row['variant']}.seconds": Metric(row["seconds"], "s") for row in rows}
    multimodal = "vision_config" in read_config(ctx.inputs["model"])
    named = grammar.write(ctx.out, spec.agent)
    beside = {**({"images": NO_IMAGES} if multimodal else {}), **({"grammar": named} if named else {})}
    return StageResult(metrics, {"files": rows, **beside})


def convert(
    checkpoint: Path,
    folder: Path,
    variant: str,
    progress: Progress = no_progress,
    exporter: Exporter = "transformers",
    threads: int = 2,
    *,
    traced_in: Path | None = None,
) -> dict[str, Any]:
    """Write one variant of a checkpoint, and what belongs beside it, into an export's folder.

    `exporter` is who traces the portable graph; `threads` is what GenAI's settings ask for. A quantized variant is made
    of the fp32 graph that lies under `traced_in` (`folder` by default); without one there, it is traced and, unless
    `traced_in` was given, not kept.

    Returns plain data for a record: variant, file, bytes, seconds, opsets, operators, tensor types.
    Raises ModelError and ExportError as `run`.

    >>> convert(Path("checkpoint"), Path("export"), "int8")["file"]  # doctest: +SKIP
    'onnx/model_quantized.onnx'
    """
    if variant not in onnx_files.FILES:
        raise ExportError(f"no ONNX variant {variant!r} here; known: {', '.join(onnx_files.FILES)}")
    _check(checkpoint, variant)
    started = time.perf_counter()
    graph = folder / onnx_files.FILES[variant]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        progress(0, 3, doing="build")
        if variant in _DTYPES:
            _trace(checkpoint, graph, variant, exporter)
        elif variant.startswith("genai-"):
            genai.build(checkpoint, graph.parent, variant, threads)  # type: ignore[arg-type]  # checked above
        else:
            _quantize(checkpoint, graph, variant, exporter, traced_in or folder, keep=traced_in is not None)
        progress(1, 3, doing="check")
        found = inspect(graph)
        progress(2, 3, doing="describe")
        layout.write_descriptions(checkpoint, folder)
        progress(3, 3, doing="done")
    except OSError as error:
        raise ExportError(f"{graph}: cannot be written: {error}") from error
    seconds = round(time.perf_counter() - started, 3)
    how = "genai" if variant.startswith("genai-") else exporter
    return {"variant": variant, "file": onnx_files.FILES[variant], "exporter": how, "seconds": seconds, **found}


def _check(checkpoint: Path, variant: str) -> None:
    """What would be wrong with every graph is said before the minutes of a trace; GenAI's builder would not say it."""
    config = read_config(checkpoint)
    onnx_files.supported(config, (variant,))
    stored = weights.index(checkpoint)
    text = config["text_config"] if isinstance(config.get("text_config"), dict) else config
    layout.check_tokenizer_files(checkpoint)
    tokenizer.open_tokenizer(checkpoint, text["vocab_size"])
    if variant.startswith("genai-"):
        for tensor in stored:
            tensor.load()


def _trace(checkpoint: Path, graph: Path, variant: str, exporter: Exporter) -> None:
    from transformers import AutoConfig

    model = portable.trace(checkpoint, _DTYPES[variant], exporter)  # type: ignore[arg-type]
    layout.repair(model, AutoConfig.from_pretrained(checkpoint).get_text_config())
    layout.save(model, graph)


def _quantize(checkpoint: Path, graph: Path, variant: str, exporter: Exporter, traced_in: Path, keep: bool) -> None:
    import onnx
    import onnx_ir

    with tempfile.TemporaryDirectory(dir=graph.parent.parent, prefix=".part-") as part:
        source = traced_in / onnx_files.FILES["fp32"]
        if not source.is_file():
            source = (traced_in if keep else Path(part)) / onnx_files.FILES["fp32"]
            _trace(checkpoint, source, "fp32", exporter)
        model = quantize.quantize(onnx.load(str(source)), variant)  # type: ignore[arg-type]
        layout.save(onnx_ir.from_proto(model), graph)
