"""Two processes on loopback that train one model, started, watched and resumed like one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from training_rows import phone_row, write_rows

from zoo.cache import Cache, Finished
from zoo.errors import DataError
from zoo.plan import PlannedStage, StageInput
from zoo.refs import parse
from zoo.runner import Runner
from zoo.schema import Accepts, SFTSpec


class Quiet:
    """Whoever does not watch."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def stage(key: str, **changes: Any) -> PlannedStage:
    trl = {"max_steps": 3, "learning_rate": 1e-2}
    settings: dict[str, Any] = {"dtype": "float32", "save_dtype": "float32", "checkpoint_steps": 2, "trl": trl}
    spec = SFTSpec(model="a/model", data="a/data", **{**settings, **changes})
    inputs = {
        name: StageInput(parse(f"a/{name}"), Accepts(produces), f"a/{name}@0") for name, produces in
        (("model", "model"), ("data", "rows"))
    }  # fmt: skip
    return PlannedStage("sft", "sft", 1, spec, 7, inputs, key)


@pytest.fixture
def run(tmp_path: Path, tiny_llama: Path) -> Any:
    data = write_rows(tmp_path / "data", [phone_row(number) for number in range(24)])

    def of(planned: PlannedStage, processes: int, rows: Path = data) -> Finished:
        folders = {"model": tiny_llama, "data": rows}
        cache = Cache(tmp_path / f"home-{processes}")
        fetch = lambda item: folders[str(item.ref).partition("/")[2].partition("@")[0]]  # noqa: E731
        return Runner(cache, fetch, Quiet(), processes=processes).run([planned], ["sft"])["sft"]

    return of


def test_two_processes_make_the_model_of_one(run: Any) -> None:
    alone, together = (run(stage("k1", global_batch=8), processes) for processes in (1, 2))
    assert together.record.notes["batch"] == {"devices": 2, "rows": 4, "passes": 1}
    assert alone.record.notes["batch"] == {"devices": 1, "rows": 8, "passes": 1}
    assert together.record.metrics["tokens"].value == alone.record.metrics["tokens"].value
    assert together.record.metrics["steps"].value == 3
    one, two = (load_file(found.folder / "model.safetensors") for found in (alone, together))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-3, atol=1e-4)


def test_a_stage_without_a_global_batch_stays_one_process(run: Any) -> None:
    trl = {"max_steps": 1, "per_device_train_batch_size": 4}
    assert "batch" not in run(stage("k2", trl=trl), 2).record.notes


def test_a_mistake_that_both_meet_is_told_once(run: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="fine-tuning reads"):
        run(stage("k3", global_batch=8), 2, write_rows(tmp_path / "odd", [{"speech": "x"}]))
