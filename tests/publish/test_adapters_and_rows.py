"""Adapters and datasets that a run publishes beside its model."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import example_records as example
import pytest
from huggingface_hub import DatasetCard, ModelCard
from publications import SPEC, names, push

from zoo import hub, publish
from zoo.errors import ModelError
from zoo.local_hub import running
from zoo.records import StageContext
from zoo.refs import HubRef, StageRef
from zoo.schema import PublishSpec


def with_adapter_and_rows(context: StageContext) -> tuple[PublishSpec, StageContext]:
    """The same publication with the adapter of its SFT stage and the rows of its demonstrations."""
    sft = context.out.parent / "sft"
    shutil.copytree(context.inputs["model"], sft)
    (sft / "adapter").mkdir()
    (sft / "adapter" / "adapter_model.safetensors").write_bytes(b"an adapter")
    (sft / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "here", "r": 4}')
    demos = context.out.parent / "demos"
    demos.mkdir()
    (demos / "rows.jsonl").write_text('{"prompt": [], "completion": [], "template": "clock.add_alarm"}\n')
    scores = {**SPEC.scores, "after SFT": StageRef("sft-score")}
    spec = SPEC.model_copy(update={"adapter": StageRef("sft"), "datasets": (StageRef("demos"),), "scores": scores})
    return spec, replace(context, inputs={**context.inputs, "adapter": sft, "datasets.0": demos})


def test_an_adapter_names_its_base_as_the_hub_knows_it(context: StageContext) -> None:
    spec, context = with_adapter_and_rows(context)
    publish.run(spec, context)
    folder = context.out / "adapter"
    assert {"README.md", "adapter_config.json", "adapter_model.safetensors", "records/card.md"} <= names(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == tuple(example.BASE.split("@"))
    card = ModelCard.load(folder / "README.md")
    assert (card.data.base_model, card.data.base_model_relation) == (example.BASE.split("@")[0], "adapter")
    assert card.data.library_name == "peft"
    assert "61.0 %" in card.text


def test_an_adapter_on_a_model_that_is_not_published_is_refused(context: StageContext) -> None:
    spec, context = with_adapter_and_rows(context)
    (context.inputs["model"] / "adapter").mkdir()
    (context.inputs["model"] / "adapter" / "adapter_model.safetensors").write_bytes(b"an adapter")
    with pytest.raises(ModelError, match="belongs on stage merged, which is not published"):
        publish.run(spec.model_copy(update={"adapter": True}), context)


def test_a_stage_without_an_adapter_says_so(context: StageContext) -> None:
    with pytest.raises(ModelError, match=r"stage grpo \(grpo\) left no adapter"):
        publish.run(SPEC.model_copy(update={"adapter": True}), context)


def test_rows_are_a_dataset_that_the_library_loads(context: StageContext, tmp_path: Path) -> None:
    import datasets

    spec, context = with_adapter_and_rows(context)
    publish.run(spec, context)
    card = DatasetCard.load(context.out / "data" / "README.md")
    assert card.data.configs[0]["config_name"] == "demos"
    assert "`template` (text)" in card.text
    with running(tmp_path / "hub") as endpoint:
        published = push(context.out, endpoint)
        assert [(done.repo, done.kind) for done in published] == [
            ("zoo/pocket-135m", "model"),
            ("zoo/pocket-135m-GGUF", "model"),
            ("zoo/pocket-135m-adapter", "model"),
            ("zoo/pocket-135m-data", "dataset"),
        ]
        pinned = hub.pin(HubRef("zoo/pocket-135m-data"), "dataset", [endpoint])
        folder = hub.fetch(pinned, tmp_path / "rows")
    loaded = datasets.load_dataset(str(folder), "demos", split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded[0]["template"] == "clock.add_alarm"
