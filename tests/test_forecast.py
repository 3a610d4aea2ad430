"""Tokens and time before a run: from rows and records that are there, and from nothing else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from training_rows import phone_row, write_rows

from zoo import estimate, machine
from zoo.cache import Cache
from zoo.errors import ModelError
from zoo.forecast import forecasts
from zoo.plan import PlannedStage, StageInput
from zoo.preflight import BaseModel
from zoo.records import Metric, StageRecord
from zoo.refs import parse
from zoo.schema import Accepts, DataSpec, SFTSpec

CONFIG: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True, "max_position_embeddings": 8192,
}  # fmt: skip
DATA, TRAINED = "d" * 8, "e" * 8


def record(kind: str, key: str, metrics: dict[str, float], **changes: Any) -> StageRecord:
    return StageRecord(
        name=kind, kind=kind, version=1, key=key, settings={"dtype": "bfloat16", "lora": {"r": 8}}, inputs={}, seed=0,
        metrics={name: Metric(value) for name, value in metrics.items()},
        notes={"parameters": estimate.parameters(CONFIG)}, files={}, versions={},
        hardware={**machine.hardware(), "device": "cpu"}, started="2026-01-01T00:00:00+00:00", seconds=1.0,
        peak_memory_bytes=1, **changes,
    )  # fmt: skip


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "home")


def with_rows(cache: Cache, count: int) -> None:
    write_rows(cache.begin(DATA), [phone_row(number) for number in range(count)])
    cache.finish(DATA, record("data", DATA, {"rows": count}))


def stages(**changes: Any) -> list[PlannedStage]:
    spec = SFTSpec(model="a/model", data="stage:demos", **{"lora": {"r": 16}, **changes})
    data = PlannedStage("demos", "data", 1, DataSpec(), 0, {}, DATA)
    inputs = {
        "model": StageInput(parse("a/model"), Accepts("model"), "a/model@0"),
        "data": StageInput(parse("stage:demos"), Accepts("rows"), f"stage:{DATA}"),
    }
    return [data, PlannedStage("sft", "sft", 1, spec, 0, inputs, "k")]


def look_up(_: Any) -> BaseModel:
    return BaseModel(CONFIG, True)


def test_nothing_is_said_of_what_is_not_there(cache: Cache) -> None:
    found = forecasts(stages(), cache, look_up)["sft"]
    assert (found.tokens, found.seconds, found.batch) == (None, None, None)


def test_tokens_are_those_of_the_rows_times_the_epochs(cache: Cache) -> None:
    with_rows(cache, 20)
    one, two = (forecasts(stages(trl={"num_train_epochs": n}), cache, look_up)["sft"].tokens for n in (1, 2))
    assert one and two and two == pytest.approx(2 * one, abs=1) and one > 20 * 50
    few = forecasts(stages(trl={"max_steps": 5, "per_device_train_batch_size": 2}), cache, look_up)["sft"].tokens
    assert few == pytest.approx(one / 2, abs=1)
    assert forecasts(stages(trl={"num_train_epochs": 1}), cache, look_up)["sft"].seconds is None


def test_time_is_told_by_a_stage_like_it_on_this_machine_only(cache: Cache) -> None:
    with_rows(cache, 20)
    trained = record("sft", TRAINED, {"tokens_per_second": 100.0})
    others = (
        replace(trained, tiny=True),
        replace(trained, hardware={**trained.hardware, "cpu": "another"}),
        replace(trained, notes={"parameters": 7}),
        replace(trained, settings={"dtype": "bfloat16", "lora": None}),
    )
    asked = stages(trl={"num_train_epochs": 1})
    for other in others:
        cache.begin(TRAINED)
        cache.finish(TRAINED, other)
        assert forecasts(asked, cache, look_up)["sft"].seconds is None
    cache.begin(TRAINED)
    cache.finish(TRAINED, trained)
    found = forecasts(asked, cache, look_up)["sft"]
    assert found.tokens and found.seconds == pytest.approx(found.tokens / 100)


def test_a_batch_is_shared_out_before_the_run_or_refused(cache: Cache) -> None:
    found = forecasts(stages(global_batch=16, trl={"max_length": 512}), cache, look_up, processes=2)["sft"].batch
    assert found and found.devices == 2 and found.devices * found.rows * found.passes == 16
    with pytest.raises(ModelError, match="cannot be shared out to 3 devices"):
        forecasts(stages(global_batch=16), cache, look_up, processes=3)
