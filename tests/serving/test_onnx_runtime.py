"""Graphs in ONNX Runtime and GenAI: the prompts, answers and logits of torch, and a cache between prompts."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from exported_onnx import OnnxExport

from zoo.errors import DataError, ExportError
from zoo.formats import onnx_files
from zoo.serving import GenaiRuntime, OnnxRuntime, TorchRuntime, open_genai, open_onnx, open_torch

CHATS = [
    [{"role": "user", "content": "Turn on Bluetooth."}],
    [{"role": "user", "content": "Set an alarm for 7:30."}, {"role": "assistant", "content": "back()"}],
    [{"role": "system", "content": "You operate a phone."}, {"role": "user", "content": "Öffne 設定 12"}],
]


@pytest.fixture(scope="module")
def reference(onnx_export: OnnxExport) -> Iterator[TorchRuntime]:
    with open_torch(onnx_export.checkpoint) as runtime:
        yield runtime


@pytest.fixture(params=["onnx", "genai"])
def runtime(request: pytest.FixtureRequest, onnx_export: OnnxExport) -> Iterator[OnnxRuntime | GenaiRuntime]:
    graph = onnx_export.folder / onnx_files.FILES["fp32" if request.param == "onnx" else "genai-int8"]
    opened = open_onnx(graph, threads=1) if request.param == "onnx" else open_genai(graph.parent, threads=1)
    with opened:
        yield opened


def test_prompts_are_those_of_training(runtime: OnnxRuntime | GenaiRuntime, reference: TorchRuntime) -> None:
    assert runtime.chat_template == reference.chat_template
    for chat in CHATS:
        ids = reference.encode(chat)
        assert runtime.encode(chat) == ids
        assert runtime.decode(ids) == reference.decode(ids)
    assert runtime.stop_ids == reference.stop_ids


def test_logits_are_torchs(runtime: OnnxRuntime | GenaiRuntime, reference: TorchRuntime) -> None:
    ids = reference.encode(CHATS[2]) * 12
    assert len(ids) > 256
    expected = reference.logits(ids)
    found = runtime.logits(ids)
    assert found.dtype == np.float32 and found.shape == expected.shape
    assert (found.argmax(1) == expected.argmax(1)).mean() > (0.999 if isinstance(runtime, OnnxRuntime) else 0.9)
    for start in (1, 255, 256, 300):
        assert np.abs(runtime.logits(ids, start) - found[start:]).max() < 1e-4


def test_answers_of_the_exact_graph_are_torchs(onnx_export: OnnxExport, reference: TorchRuntime) -> None:
    with open_onnx(onnx_export.folder / onnx_files.FILES["fp32"], threads=1) as runtime:
        found = runtime.generate(CHATS, 12)
    expected = [reference.generate([chat], 12)[0] for chat in CHATS]
    assert [one.text for one in found] == [one.text for one in expected]
    assert [(one.tokens, one.prompt_tokens) for one in found] == [(one.tokens, one.prompt_tokens) for one in expected]
    assert len({one.text for one in found}) > 1
    assert all(0 < one.first_token_seconds <= one.seconds for one in found)


def test_what_two_prompts_share_is_computed_once(runtime: OnnxRuntime | GenaiRuntime) -> None:
    chat = CHATS[2]
    (fresh,) = runtime.generate([chat], 8)
    assert runtime.prefilled_tokens == fresh.prompt_tokens
    (again,) = runtime.generate([chat], 8)
    assert again.text == fresh.text and runtime.prefilled_tokens == 1
    longer = [*chat, {"role": "assistant", "content": "wait(5)"}, {"role": "user", "content": "Now?"}]
    (continued,) = runtime.generate([longer], 8)
    assert runtime.prefilled_tokens < continued.prompt_tokens - 10
    runtime.generate([CHATS[0]], 2)
    assert runtime.generate([longer], 8)[0].text == continued.text


def test_an_answer_ends_at_the_stop_token(onnx_export: OnnxExport, tmp_path: Path) -> None:
    folder = shutil.copytree(
        onnx_export.folder, tmp_path / "export", ignore=shutil.ignore_patterns("genai", "*_*.onnx")
    )
    with open_onnx(folder / onnx_files.FILES["fp32"], threads=1) as runtime:
        (whole,) = runtime.generate([CHATS[0]], 6)
        third = runtime.cached[whole.prompt_tokens + 2]
        earlier = runtime.cached[whole.prompt_tokens : whole.prompt_tokens + 2]
    file = folder / "generation_config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | {"eos_token_id": [2, third]}), "utf-8")
    with open_onnx(folder / onnx_files.FILES["fp32"], threads=1) as runtime:
        (stopped,) = runtime.generate([CHATS[0]], 6)
    assert stopped.tokens == (2 if third not in earlier else earlier.index(third))
    assert whole.tokens == 6


def test_an_empty_prompt_is_refused(runtime: OnnxRuntime | GenaiRuntime) -> None:
    with pytest.raises(DataError, match="empty prompt"):
        runtime.logits([])


def test_a_prompt_beyond_the_context_of_genai_is_refused(onnx_export: OnnxExport) -> None:
    folder = (onnx_export.folder / onnx_files.FILES["genai-int8"]).parent
    with open_genai(folder, threads=1, context=32) as runtime, pytest.raises(DataError, match="context of 32"):
        runtime.generate([CHATS[2]], 30)


def set_cache_name(folder: Path) -> None:
    """What GenAI's builder writes: a name where transformers.js wants a number."""
    file = folder / "onnx/model.onnx"
    model = onnx.load(str(file))
    for value in model.graph.input:
        if value.name.startswith("past_key_values."):
            value.type.tensor_type.shape.dim[3].dim_param = "kv_cache_dim"
    onnx.save(model, str(file))


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer beside the graph"),
    "half a graph": (
        lambda folder: (folder / "onnx/model.onnx").write_bytes((folder / "onnx/model.onnx").read_bytes()[:99_999]),
        "does not load it",
    ),
    "no graph": (lambda folder: (folder / "onnx/model.onnx").unlink(), "does not load it"),
    "a cache without numbers": (set_cache_name, "must be numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_export_that_is_not_whole_is_one_clear_error(onnx_export: OnnxExport, tmp_path: Path, case: str) -> None:
    change, message = BAD[case]
    folder = shutil.copytree(
        onnx_export.folder, tmp_path / "export", ignore=shutil.ignore_patterns("genai", "*_*.onnx")
    )
    change(folder)
    with pytest.raises(ExportError, match=message):
        open_onnx(folder / "onnx/model.onnx")


def test_a_genai_folder_that_is_not_whole_is_one_clear_error(onnx_export: OnnxExport, tmp_path: Path) -> None:
    folder = shutil.copytree(onnx_export.folder / "genai/cpu-int8", tmp_path / "genai")
    (folder / "model.onnx.data").unlink()
    with pytest.raises(ExportError, match="GenAI does not load it"):
        open_genai(folder)
    (folder / "genai_config.json").unlink()
    with pytest.raises(ExportError, match="GenAI does not load it"):
        open_genai(folder)
