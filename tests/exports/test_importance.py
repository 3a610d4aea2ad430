"""The importance matrix: what each column of each layer sees of the recipe's own rows."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_rows import phone_row, write_rows
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

from zoo.errors import DataError
from zoo.exports.gguf import Options, convert, file_name, measure, run, token_rows
from zoo.formats import gguf_header
from zoo.records import StageContext
from zoo.schema import GGUFSpec, ImportanceSpec
from zoo.serving import open_gguf, open_torch

ROWS = [[5, 9, 300, 41, 7, 7, 120], [12, 13, 14], list(range(100, 160))]


def seen_by_torch(checkpoint: Path, vision: bool) -> dict[str, np.ndarray]:
    """The same, of the whole model at once."""
    kind = AutoModelForImageTextToText if vision else AutoModelForCausalLM
    model = kind.from_pretrained(checkpoint, dtype=torch.float32).eval()
    sums: dict[str, Any] = {}

    def watch(name: str) -> Any:
        def hook(_: Any, inputs: tuple[Any, ...], __: Any) -> None:
            sums[name] = sums.get(name, 0) + inputs[0][0].double().square().sum(0)

        return hook

    for name, part in model.named_modules():
        if isinstance(part, torch.nn.Linear) and ".layers." in name:
            part.register_forward_hook(watch(name))
    with torch.inference_mode():
        for row in ROWS:
            model(input_ids=torch.tensor([row]))
    tokens = sum(len(row) for row in ROWS)
    return {name: (total / tokens).float().numpy() for name, total in sums.items()}


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_vlm"])
def test_layer_by_layer_sees_what_the_whole_model_sees(name: str, request: pytest.FixtureRequest) -> None:
    checkpoint = request.getfixturevalue(name)
    found = measure(checkpoint, ROWS)
    expected = seen_by_torch(checkpoint, name == "tiny_vlm")
    short = {"q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output", "gate_proj":
             "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down"}  # fmt: skip
    assert len(found.columns) == len(expected) == 14
    assert (found.rows, found.tokens) == (3, 70)
    for path, values in expected.items():
        layer, part = path.split(".layers.")[1].split(".")[0], path.rpartition(".")[2]
        np.testing.assert_allclose(found.columns[f"blk.{layer}.{short[part]}.weight"], values, rtol=1e-3, atol=1e-7)


def test_a_guided_file_is_nearer_on_the_rows_that_guided_it(wide: Path, tmp_path: Path) -> None:
    importance = measure(wide, ROWS)
    error = {}
    with open_torch(wide) as reference:
        expected = [reference.logits(row) for row in ROWS]
    for name, guide in (("plain", None), ("guided", importance)):
        notes = convert(wide, tmp_path / f"{name}.gguf", "q4_k_m", options=Options(importance=guide))
        assert ("imatrix" in notes) == (guide is not None)
        with open_gguf(tmp_path / f"{name}.gguf", threads=1, context=256, exact=True) as candidate:
            pairs = [(candidate.logits(row), right) for row, right in zip(ROWS, expected, strict=True)]
            error[name] = sum(float(np.square(found - right).sum()) for found, right in pairs)
    assert error["guided"] < error["plain"]
    data = gguf_header.read(tmp_path / "guided.gguf").metadata
    assert data["quantize.imatrix.entries_count"] == 56


def test_types_that_cannot_be_guided_are_the_same_file_with_and_without(wide: Path, tmp_path: Path) -> None:
    importance = measure(wide, ROWS[:1])
    for name, guide in (("plain", None), ("guided", importance)):
        notes = convert(wide, tmp_path / f"{name}.gguf", "q8_0", options=Options(importance=guide))
        assert "imatrix" not in notes
    assert (tmp_path / "plain.gguf").read_bytes() == (tmp_path / "guided.gguf").read_bytes()


def test_a_column_that_nothing_excites_still_counts(tiny_llama: Path) -> None:
    for values in measure(tiny_llama, [[5]]).columns.values():
        assert values.min() >= 0.99e-4 * values.mean() > 0


def test_rows_are_drawn_with_the_seed_and_read_as_in_training(tiny_llama: Path, tmp_path: Path) -> None:
    folder = write_rows(tmp_path / "rows", [phone_row(number) for number in range(20)])
    drawn = token_rows(folder, tiny_llama, 8, seed=1)
    assert len(drawn) == 8
    assert drawn == token_rows(folder, tiny_llama, 8, seed=1) != token_rows(folder, tiny_llama, 8, seed=2)
    with open_torch(tiny_llama) as runtime:
        whole = {tuple(runtime.encode([*row["prompt"], *row["completion"]])) for row in map(phone_row, range(20))}
        assert {tuple(row) for row in drawn} <= whole
    assert len(token_rows(folder, tiny_llama, 99, seed=1)) == 20
    (folder / "rows.jsonl").write_text("")
    with pytest.raises(DataError, match="no rows"):
        token_rows(folder, tiny_llama, 8, seed=1)


def test_the_stage_measures_once_and_says_with_what(tiny_llama: Path, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows", [phone_row(number) for number in range(20)])
    out = tmp_path / "out"
    out.mkdir()
    ctx = StageContext(out, tmp_path, {"model": tiny_llama, "imatrix.rows": rows}, 0, log=logging.getLogger("test"))
    guide = ImportanceSpec(rows="stage:demos", count=6)
    spec = GGUFSpec(model="stage:grpo", types=("q4_0", "q8_0"), imatrix=guide, tensors={"*.ffn_down.weight": "q5_0"})
    result = run(spec, ctx)
    first, second = result.notes["files"]
    assert first["imatrix"]["rows"] == 6 and first["imatrix"]["tensors"] == 14 and first["imatrix"]["tokens"] > 100
    assert first["tensor_types"] == {"F32": 5, "Q4_0": 12, "Q5_0": 2, "Q8_0": 1}
    assert second["imatrix"] == first["imatrix"]  # its q5_0 tensors are guided too
    assert sorted(file.name for file in out.iterdir()) == [file_name("q4_0"), file_name("q8_0")]
    json.dumps(result.notes)
    shutil.rmtree(out)
