"""A checkpoint in the form of ONNX Runtime GenAI: the fastest of ours on a CPU, by the builder of that project.

The builder runs in a process of its own: it takes two and a half times the weights in float32, keeps them, and logs as
it likes. Its traps are closed here: sizes of the cache are written as numbers (it writes a name that transformers.js
takes for 0), threads are written into the settings (by default it used one of two cores), and the options that make an
invalid file of a checkpoint with a tied head are not offered.

A graph of GenAI counts the tokens of a row from its mask, from the left: it serves one row at a time, and a batch that
is padded on the left is wrong without a word. What opens these files here never makes one.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from zoo.errors import ExportError
from zoo.exports.onnx import layout
from zoo.formats import onnx_files

__all__ = ["build"]

_LOG_LINES_SHOWN = 12
_OPTIONS = {
    "genai-int8": ("int8", ()),
    # Layers mixed of 4 and 8 bits, head and embedding in 8: a third of the error of plain 4 bits.
    "genai-int4": ("int4", ("algo_config=k_quant_mixed",)),
}


def build(checkpoint: Path, folder: Path, variant: Literal["genai-int8", "genai-int4"], threads: int) -> None:
    """Write a GenAI folder, whole or not at all: graph, data, settings and tokenizer.

    `threads` is what the settings ask for; whoever opens the folder may say otherwise.

    Raises ExportError when the builder fails, with its last lines.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".part-") as part:
        out = Path(part) / "out"
        _run(checkpoint, out, Path(part) / "cache", variant)
        _mend_graph(out / "model.onnx", checkpoint)
        layout.write_tokenizer(checkpoint, out)
        _mend_settings(out / onnx_files.GENAI_CONFIG, threads)
        # An earlier folder survives whatever fails above.
        if folder.is_dir():
            folder.rename(Path(part) / "before")
        out.rename(folder)


def _run(checkpoint: Path, out: Path, cache: Path, variant: str) -> None:
    precision, options = _OPTIONS[variant]
    command = [
        sys.executable, "-m", "onnxruntime_genai.models.builder", "-i", str(checkpoint), "-o", str(out),
        "-p", precision, "-e", "cpu", "-c", str(cache), "--extra_options", "hf_token=false", *options,
    ]  # fmt: skip
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode or not (out / "model.onnx").is_file():
        lines = (done.stdout + done.stderr).strip().splitlines()[-_LOG_LINES_SHOWN:]
        raise ExportError("\n  ".join([f"{checkpoint}: GenAI's builder failed ({done.returncode}):", *lines]))


def _mend_graph(graph: Path, checkpoint: Path) -> None:
    """Numbers for the sizes of the cache. Only the graph file is written again; its data stays as it is."""
    import onnx
    from transformers import AutoConfig

    text = AutoConfig.from_pretrained(checkpoint).get_text_config()
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    model = onnx.load(str(graph), load_external_data=False)
    for value in (*model.graph.input, *model.graph.output):
        if value.name.startswith(("past_key_values.", "present.")):
            dims = value.type.tensor_type.shape.dim
            dims[1].dim_value, dims[3].dim_value = text.num_key_value_heads, head
    onnx.save(model, str(graph))


def _mend_settings(file: Path, threads: int) -> None:
    settings: dict[str, Any] = json.loads(file.read_text("utf-8"))
    settings["model"]["decoder"].setdefault("session_options", {})["intra_op_num_threads"] = threads
    file.write_text(json.dumps(settings, indent=2) + "\n", "utf-8")
