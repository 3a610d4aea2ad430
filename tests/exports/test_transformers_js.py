"""Exports in transformers.js under Node, as a browser would use them.

Runs where node is and `EDGEZOO_NODE_MODULES` names a `node_modules` with `@huggingface/transformers` in it
(`ONNXRUNTIME_NODE_INSTALL=skip npm install @huggingface/transformers@4.3.1`).
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import onnx_ir
import pytest
from exported_onnx import OnnxExport

from zoo.exports.onnx import layout
from zoo.formats import onnx_files
from zoo.serving import open_onnx, open_torch

CHAT = [{"role": "user", "content": 'Set an alarm for 7:30. Öffne 設定 <12> & "Bluetooth".'}]
DTYPES = {"fp32": "fp32", "fp16": "fp16", "q8": "int8", "q4": "int4"}


def node_modules() -> Path:
    named = os.environ.get("EDGEZOO_NODE_MODULES", "")
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    if not named or not (Path(named) / "@huggingface/transformers").is_dir():
        pytest.skip("EDGEZOO_NODE_MODULES names no node_modules with @huggingface/transformers")
    return Path(named).resolve()


def answers(export: Path, dtypes: str) -> dict[str, Any]:
    script = Path(__file__).with_name("transformers_js.mjs")
    arguments = [str(script), str(node_modules()), str(export.parent), export.name, json.dumps(CHAT), dtypes]
    done = subprocess.run(["node", *arguments], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_prompt_and_answers_are_those_of_python(onnx_export: OnnxExport) -> None:
    found = answers(onnx_export.folder, ",".join(DTYPES))
    with open_torch(onnx_export.checkpoint) as reference:
        ids = reference.encode(CHAT)
        assert found["prompt"] == reference.decode(ids)
        assert found["ids"] == ids
    for dtype, variant in DTYPES.items():
        with open_onnx(onnx_export.folder / onnx_files.FILES[variant], threads=1) as runtime:
            (answer,) = runtime.generate([CHAT], 12)
            # The cache holds all but the last token of the answer.
            assert found["answers"][dtype][: answer.tokens - 1] == runtime.cached[len(ids) :]
            assert answer.tokens > 4


def test_weights_beside_the_graph_are_found(onnx_export: OnnxExport, tmp_path: Path) -> None:
    export = tmp_path / "export"
    graph = onnx_files.FILES["fp32"]
    layout.save(onnx_ir.load(onnx_export.folder / graph), export / graph, inline_bytes=0)
    layout.write_descriptions(onnx_export.checkpoint, export)
    assert answers(export, "fp32")["answers"] == answers(onnx_export.folder, "fp32")["answers"]
