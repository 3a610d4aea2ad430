"""A checkpoint in transformers: batches that change nothing, and refusals that name the cause."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from zoo.errors import DataError, ModelError
from zoo.serving import TorchRuntime, open_torch

SHORT = [{"role": "user", "content": "Turn on Bluetooth."}]
LONG = [{"role": "user", "content": "Set an alarm for 7:30, then delete the note called milk and open the settings."}]


def copied(checkpoint: Path, folder: Path) -> Path:
    shutil.copytree(checkpoint, folder)
    return folder


def test_a_row_of_a_padded_batch_is_answered_as_alone(torch_runtime: TorchRuntime) -> None:
    together = torch_runtime.generate([SHORT, LONG, SHORT], 16)
    alone = [torch_runtime.generate([chat], 16)[0] for chat in (SHORT, LONG, SHORT)]
    assert [one.text for one in together] == [one.text for one in alone]
    assert [one.prompt_tokens for one in together] == [one.prompt_tokens for one in alone]
    assert together[0].prompt_tokens < together[1].prompt_tokens
    assert torch_runtime.generate([], 16) == []


def test_a_padded_batch_of_the_vision_language_model_is_answered_as_alone(tiny_vlm: Path) -> None:
    with open_torch(tiny_vlm) as runtime:
        together = runtime.generate([SHORT, LONG], 12)
        assert [one.text for one in together] == [runtime.generate([chat], 12)[0].text for chat in (SHORT, LONG)]
        assert runtime.logits(runtime.encode(SHORT)).shape == (len(runtime.encode(SHORT)), 687)


def said(runtime: TorchRuntime, chat: list[dict[str, str]], count: int) -> list[int]:
    """The most likely tokens, one forward pass each."""
    ids = runtime.encode(chat)
    answer: list[int] = []
    for _ in range(count):
        answer.append(int(runtime.logits(ids + answer)[-1].argmax()))
    return answer


def test_greedy_is_the_argmax_whatever_the_checkpoint_recommends(
    lively: Path, tmp_path: Path, torch_runtime: TorchRuntime
) -> None:
    folder = copied(lively, tmp_path / "model")
    settings = json.loads((folder / "generation_config.json").read_text("utf-8"))
    wild = {"do_sample": True, "temperature": 2.0, "repetition_penalty": 5.0, "top_k": 3, "max_new_tokens": 2}
    (folder / "generation_config.json").write_text(json.dumps(settings | wild), "utf-8")
    expected = said(torch_runtime, SHORT, 10)
    assert len(set(expected)) > 3
    with open_torch(folder) as runtime:
        assert runtime.generate([SHORT], 10)[0].text == runtime.decode(expected)


def test_a_row_that_stopped_is_timed_and_counted_to_its_stop(
    lively: Path, tmp_path: Path, torch_runtime: TorchRuntime
) -> None:
    early, late = said(torch_runtime, SHORT, 6), said(torch_runtime, LONG, 6)
    stop = next(token for token in early[1:] if token not in late)
    folder = copied(lively, tmp_path / "model")
    settings = json.loads((folder / "generation_config.json").read_text("utf-8"))
    (folder / "generation_config.json").write_text(json.dumps(settings | {"eos_token_id": stop}), "utf-8")
    with open_torch(folder) as runtime:
        short, long = runtime.generate([SHORT, LONG], 6)
    assert (short.tokens, long.tokens) == (early.index(stop), 6)
    assert short.first_token_seconds == long.first_token_seconds <= short.seconds < long.seconds


def test_bfloat16_is_close_to_float32(lively: Path, torch_runtime: TorchRuntime) -> None:
    ids = torch_runtime.encode(LONG)
    with open_torch(lively, dtype="bfloat16") as half:
        assert half.model.dtype == torch.bfloat16
        found = half.logits(ids)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - torch_runtime.logits(ids)).max() < 0.5


def test_missing_tensors_are_not_made_up(tiny_llama: Path, tmp_path: Path) -> None:
    folder = copied(tiny_llama, tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lacks 1 tensors.*up_proj"):
        open_torch(folder)


def test_truncated_weights_are_refused(tiny_llama: Path, tmp_path: Path) -> None:
    folder = copied(tiny_llama, tmp_path / "model")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_torch(folder)


def test_a_folder_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no config\.json"):
        open_torch(tmp_path)
    (tmp_path / "config.json").write_text("{", "utf-8")
    with pytest.raises(ModelError, match="no JSON"):
        open_torch(tmp_path)


def test_an_empty_prompt_is_refused(torch_runtime: TorchRuntime) -> None:
    with pytest.raises(DataError, match="empty prompt"):
        torch_runtime.logits([])
