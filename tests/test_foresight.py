"""Rows that tell what is observed after a call, and that a trainer can learn from them."""

from pathlib import Path

import pytest
from test_data import TERSE

from zoo import tiny
from zoo.actions import parse, same
from zoo.data import read_rows, run
from zoo.environments.desk import DeskEnvironment, draw_tasks
from zoo.records import StageContext
from zoo.schema import DataSpec, SFTSpec
from zoo.trainers import sft

AGENT = TERSE.model_copy(update={"world": "desk", "observation": "terse", "memory": "none"})


def rows_of(folder: Path, **settings: object) -> list[dict[str, object]]:
    folder.mkdir()
    spec = DataSpec.model_validate({"tasks": 6, "agent": AGENT, "predict": "observation", **settings})
    run(spec, StageContext(folder, folder, {}, seed=3))
    return list(read_rows(folder))


def test_each_row_tells_what_the_world_shows_after_the_call(tmp_path: Path) -> None:
    rows = rows_of(tmp_path / "rows", alternatives=2)
    at_one_state: dict[tuple[str, int], list[str]] = {}
    for row in rows:
        at_one_state.setdefault((row["task"], row["step"]), []).append(row["solution"])
        *_, asked, said, question = row["prompt"]
        assert (asked["role"], said["role"], question["role"]) == ("user", "assistant", "user")
        assert same(parse(said["content"]), parse(row["solution"]))
        assert row["completion"][0]["role"] == "assistant"
    for task in draw_tasks("train", 6, seed=3):
        environment = DeskEnvironment("terse")
        environment.reset(task)
        for number in range(2):
            calls = at_one_state[task.id, number]
            outcomes = {row["solution"]: row["completion"][0]["content"] for row in rows
                        if (row["task"], row["step"]) == (task.id, number)}  # fmt: skip
            assert len(calls) == len(set(calls)) <= 3 and same(parse(calls[0]), environment.expert().action)
            for call, outcome in outcomes.items():
                assert environment.copy().step(parse(call)) == outcome
            environment.step(environment.expert().action)
    assert max(map(len, at_one_state.values())) == 3


def test_without_alternatives_there_is_a_row_for_each_step_of_the_expert(tmp_path: Path) -> None:
    told = rows_of(tmp_path / "told")
    acted = rows_of(tmp_path / "acted", predict="action")
    assert [row["solution"] for row in told] == [row["solution"] for row in acted]


def test_a_data_stage_without_them_keeps_its_key() -> None:
    assert {"predict", "alternatives"}.isdisjoint(DataSpec().model_dump())
    assert DataSpec(predict="observation").model_dump()["predict"] == "observation"


@pytest.mark.parametrize("detours", [0.0, 1.0])
def test_fine_tuning_learns_to_tell(tmp_path: Path, detours: float) -> None:
    rows_of(tmp_path / "rows", alternatives=1, detours=detours)
    tiny.make("llama", tmp_path / "base", seed=0)
    (tmp_path / "out").mkdir()
    trl = {"max_steps": 12, "per_device_train_batch_size": 8, "learning_rate": 1e-2}
    spec = SFTSpec(model="a/b", data="stage:rows", dtype="float32", checkpoint_steps=12, trl=trl)
    inputs = {"model": tmp_path / "base", "data": tmp_path / "rows"}
    result = sft.run(spec, StageContext(tmp_path / "out", tmp_path / "scratch", inputs, seed=0))
    losses = [point["loss"] for point in result.notes["loss"]]
    assert losses[-1] < losses[0] - 1
