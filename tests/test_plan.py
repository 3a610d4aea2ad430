from pathlib import Path

import pytest
from test_recipe import GOOD, written

from zoo.plan import PlannedStage, lineage, lock, plan, selected
from zoo.recipe import load
from zoo.refs import HubRef, PathRef
from zoo.schema import Accepts

CHAIN = GOOD + (
    "  merged:\n    kind: merge\n    mergekit:\n      merge_method: linear\n      dtype: float32\n"
    "      base_model: owner/base@v1\n"
    "      models: [{model: 'stage:sft', parameters: {weight: 1.0}}]\n"
    "  score: {kind: evaluate, model: 'stage:merged'}\n"
)


def commit(ref: HubRef | PathRef, accepts: Accepts) -> str:
    return f"{ref}#0123"


def planned(folder: Path, text: str = CHAIN, *overrides: str) -> dict[str, PlannedStage]:
    stages = plan(load(written(folder, text), overrides).recipe, commit)
    return {stage.name: stage for stage in stages}


def keys(stages: dict[str, PlannedStage]) -> dict[str, str | None]:
    return {name: stage.key for name, stage in stages.items()}


def test_stages_come_after_what_they_read_whatever_their_order_in_the_file(tmp_path: Path) -> None:
    head, stages = GOOD.split("stages:\n")
    turned = head + "stages:\n  score: {kind: evaluate, model: 'stage:sft'}\n" + stages
    assert list(planned(tmp_path, turned)) == ["rows", "sft", "score"]


def test_a_key_ignores_names_comments_order_and_written_out_defaults(tmp_path: Path) -> None:
    same = CHAIN.replace("stages:\n", "# a comment\nstages:\n").replace(
        "{kind: data, tasks: 4}", "{tasks: 4, kind: data}"
    )
    same = same.replace("data: stage:rows", "data: stage:rows\n    checkpoint_steps: 50")
    renamed = same.replace("  rows:", "  demos:").replace("stage:rows", "stage:demos")
    before = list(keys(planned(tmp_path)).values())
    assert list(keys(planned(tmp_path, renamed)).values()) == before
    assert len(set(before)) == 4


@pytest.mark.parametrize(
    ("override", "changed"),
    [
        ("rows.tasks=5", {"rows", "sft", "merged", "score"}),
        ("sft.trl.learning_rate=2e-4", {"sft", "merged", "score"}),
        ("sft.model=owner/base@v2", {"sft", "merged", "score"}),
        ("merged.mergekit.models.0.parameters.weight=0.5", {"merged", "score"}),
        ("score.seed=3", {"score"}),
        ("seed=3", {"rows", "sft", "merged", "score"}),
        ("agent.rounds=3", {"rows", "score"} | {"sft", "merged"}),
        ("summary=another", set()),
        ("license=mit", set()),
    ],
)
def test_a_change_changes_the_keys_of_its_stage_and_of_what_rests_on_it(
    tmp_path: Path, override: str, changed: set[str]
) -> None:
    before, after = keys(planned(tmp_path)), keys(planned(tmp_path, CHAIN, override))
    assert {name for name in before if before[name] != after[name]} == changed


def test_what_a_hub_could_not_be_asked_for_has_no_key_and_neither_has_what_rests_on_it(tmp_path: Path) -> None:
    stages = plan(load(written(tmp_path, CHAIN)).recipe, lambda ref, accepts: None)
    assert {stage.name: stage.key is None for stage in stages} == {
        "rows": False, "sft": True, "merged": True, "score": True,
    }  # fmt: skip


def test_from_until_and_only_leave_what_their_words_say(tmp_path: Path) -> None:
    stages = list(planned(tmp_path).values())
    assert selected(stages) == ["rows", "sft", "merged", "score"]
    assert selected(stages, first="sft") == ["sft", "merged", "score"]
    assert selected(stages, last="sft") == ["rows", "sft"]
    assert selected(stages, first="sft", last="merged") == ["sft", "merged"]
    assert selected(stages, only=["merged"]) == ["merged"]
    assert selected(stages, only=["score", "sft"]) == ["sft", "score"]
    assert lineage(stages, "merged") == ["rows", "sft"]


def test_the_lock_names_every_commit_key_and_setting(tmp_path: Path) -> None:
    loaded = load(written(tmp_path, CHAIN))
    stages = plan(loaded.recipe, commit)
    locked = lock(loaded.recipe, stages, {"torch": "2.13.0"}, tiny=False)
    assert locked["stages"]["merged"]["inputs"]["mergekit.base_model"] == "owner/base@v1#0123"
    assert locked["stages"]["merged"]["inputs"]["mergekit.models.0.model"] == f"stage:{stages[1].key}"
    assert locked["stages"]["sft"]["settings"]["trl"] == {"learning_rate": 1e-4}
    assert locked["versions"] == {"torch": "2.13.0"}


def test_a_reference_inside_a_setting_is_an_input_like_any_other(tmp_path: Path) -> None:
    text = CHAIN + "  files: {kind: gguf, model: 'stage:sft', imatrix: {rows: 'stage:rows', count: 4}}\n"
    stage = planned(tmp_path, text)["files"]
    assert stage.upstream == ("sft", "rows")
    assert stage.settings["imatrix"] == {"rows": None, "count": 4}
    assert planned(tmp_path, text, "rows.tasks=5")["files"].key != stage.key
    # what the files call themselves is the recipe's, and so part of the key
    assert (stage.settings["name"], stage.settings["license"]) == ("small", "apache-2.0")
    assert planned(tmp_path, text, "license=mit")["files"].key != stage.key
    assert planned(tmp_path, text, "files.name=other")["files"].settings["name"] == "other"
