"""Every ablation that is committed can be run, and its curve says when a level was reached and what that cost."""

import json
from pathlib import Path

import pytest
from curves import Curve, of_arms, reached
from run import HERE as ABLATIONS
from run import cell, read

NAMES = sorted(file.stem for file in ABLATIONS.glob("*.yaml") if not file.stem.endswith("-recipe"))
CURVE = Curve("grpo", "success", level=0.5, over=2, group=8, episodes=32)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the small model and its rows lie."""
    rows = ("demos", "hasty", "foresight", "demos-foreseen", "hasty-foreseen")
    for name in ("small-model", *(f"small-{one}" for one in rows)):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / "small-model" / "config.json").write_text("{}", "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_ablations() -> None:
    assert {"dual-lora", "dapo", "denoising"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_arm_is_a_recipe_without_mistakes(made: Path, name: str) -> None:
    ablation = read(ABLATIONS / f"{name}.yaml")
    assert len(ablation.arms) > 1
    assert ablation.question.endswith("?") or "?" in ablation.question


def test_a_metric_of_a_stage_that_no_recipe_has_is_refused(made: Path) -> None:
    text = (ABLATIONS / "dapo.yaml").read_text("utf-8").replace("eval-grpo:", "eval-gone:")
    wrong = made / "dapo.yaml"
    wrong.write_text(text.replace("recipe: ", f"recipe: {ABLATIONS}/"), "utf-8")
    with pytest.raises(SystemExit, match="eval-gone"):
        read(wrong)


def test_a_level_counts_once_the_mean_of_its_steps_is_there() -> None:
    successes = [0.0, 0.6, 0.3, 0.8, 0.9]
    assert reached(CURVE, [{"success": one} for one in successes]) == (4, 4 * 32)


def test_the_episodes_of_further_rounds_count() -> None:
    entries = [{"success": 0.5, "sampling/groups": groups} for groups in (4, 7)]
    assert reached(CURVE, entries) == (2, (4 + 7) * 8)


def test_a_level_that_was_never_reached_is_said_so(tmp_path: Path) -> None:
    for name, value in (("low", 0.1), ("high", 0.7)):
        (tmp_path / name).mkdir()
        lines = [json.dumps({"step": step, "success": value}) for step in range(1, 5)]
        (tmp_path / name / "history.jsonl").write_text("\n".join(lines), "utf-8")
    text = "\n".join(of_arms(CURVE, {"weak": [tmp_path / "low"], "strong": [tmp_path / "high"]}))
    assert "| weak | not reached | not reached | 9.4% (" in text  # 6 of 64 episodes
    assert "| strong | 2 | 64 | 70.3% (" in text
    assert "| weak | 0.10 | 0.10 |" in text


def test_steps_that_learn_from_episodes_once_more_are_no_batches(tmp_path: Path) -> None:
    lines = [json.dumps({"step": 1, "success": 0.75}), json.dumps({"step": 2, "loss": 0.1})] * 2
    (tmp_path / "history.jsonl").write_text("\n".join(lines), "utf-8")
    text = "\n".join(of_arms(CURVE, {"twice": [tmp_path]}))
    assert "| twice | 2 | 64 | 75.0% (" in text


def test_rates_are_pooled_over_the_seeds_and_other_values_averaged() -> None:
    rates = [{"value": one, "n": 100, "low": 0.0, "high": 1.0, "unit": ""} for one in (0.2, 0.4)]
    assert cell(rates).startswith("30.0% (")
    assert cell(rates).endswith("n=200")
    losses = [{"value": one, "n": None, "low": None, "high": None, "unit": "nats"} for one in (1.0, 3.0)]
    assert cell(losses) == "2 (1 to 3)"
    assert cell([None]) == "not run"
