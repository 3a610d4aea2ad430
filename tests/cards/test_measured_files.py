"""What a latency stage measured of each file, and what files were seen to solve, on the cards."""

from dataclasses import replace

import example_records as example
import pytest

from zoo.cards import CardData, Exports, gguf_card, model_card, pictures
from zoo.cards.plots import COST
from zoo.records import Metric, StageRecord


def latency(*types: str) -> StageRecord:
    metrics = {
        f"{type_}.{name}": Metric(value, unit)
        for type_ in types
        for name, value, unit in (
            ("load_seconds", 0.41, "s"),
            ("first_token_seconds", 0.152, "s"),
            ("prefill_tokens_per_second", 812.4, "tokens/s"),
            ("decode_tokens_per_second", 88.1, "tokens/s"),
            ("step_seconds", 0.53, "s"),
            ("peak_memory_bytes", 271 * 2**20, "bytes"),
            ("threads", 1, "threads"),
        )
    }
    hardware = {"cpu": "A phone's own", "cores": 8}
    return example.record("latency", "latency", {"export": "stage:key-of-gguf"}, metrics, hardware=hardware)


def measured(*types: str, acted: tuple[str, ...] = ()) -> CardData:
    data = example.data()
    assert data.gguf is not None
    score = {type_: example.evaluation(f"{type_}-score", "stage:key-of-gguf", 31) for type_ in acted}
    return replace(data, gguf=replace(data.gguf, latency=latency(*types), scores=score))


def row(card: str, first: str) -> list[str]:
    [line] = [line for line in card.splitlines() if line.startswith(f"| {first} ")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_every_file_has_its_row_with_the_machine_below() -> None:
    for card in (gguf_card(measured("f16", "q8_0")), model_card(measured("f16", "q8_0"))):
        assert row(card, "**Q8_0**")[1:8] == ["271.0 MiB", "0.41", "812", "88.1", "0.152", "0.53", "1"]
        assert "measured by stage `latency`, on:" in card
        assert "A phone's own, 8 cores" in card


def test_a_file_that_was_not_measured_says_so_in_each_cell() -> None:
    card = gguf_card(measured("q8_0"))
    assert set(row(card, "F16")[1:8]) == {"*not run*"}
    assert row(card, "**Q8_0**")[8:] == ["*not run*"] * 3


def test_success_of_the_files_themselves_has_its_n_and_interval() -> None:
    card = gguf_card(measured("f16", "q8_0", acted=("q8_0",)))
    assert row(card, "**Q8_0**")[8:] == ["31.0 %", "100", "22.8 to 40.6 %"]
    assert "Of the files themselves: see the table above." in card


def test_cost_against_success_is_drawn_of_two_files_or_more() -> None:
    assert COST not in pictures(measured("f16", "q8_0", acted=("q8_0",)))
    data = measured("f16", "q8_0", acted=("f16", "q8_0"))
    assert pictures(data)[COST].startswith(b"\x89PNG")
    assert f"]({COST})" in model_card(data)
    assert f"]({COST})" in gguf_card(data)


@pytest.mark.parametrize(
    ("graph", "name"), [("onnx/model_quantized.onnx", "onnx-int8"), ("genai/cpu-int8/model.onnx", "genai-int8")]
)
def test_graphs_are_found_under_the_names_that_latency_gives_them(graph: str, name: str) -> None:
    files = {graph: {"sha256": "ab" * 32, "bytes": 10}}
    record = example.record("graphs", "onnx", {}, {}, files=files)
    [file] = Exports("ONNX", "zoo/x-ONNX", record, {graph: graph}, latency=latency(name)).files
    assert file.step_seconds is not None
    assert file.step_seconds.value == 0.53


def test_shards_are_one_file() -> None:
    names = [f"model-Q8_0-0000{number}-of-00002.gguf" for number in (1, 2)]
    record = example.record("gguf", "gguf", {}, {}, files={name: {"sha256": "ab" * 32, "bytes": 10} for name in names})
    [file] = Exports("GGUF", "zoo/x-GGUF", record, {name: name for name in names}, scores={}).files
    assert (file.name, file.bytes, file.success) == (names[0], 20, None)
