"""What is known in general, measured the same before and after, and a gate on what is forgotten."""

import json
from pathlib import Path
from typing import Any

import pytest

from zoo import probe, tiny
from zoo.errors import DataError, GateError
from zoo.probe.scoring import answer, read
from zoo.records import StageContext, no_progress
from zoo.schema import ProbeSpec

FEW = 12


@pytest.fixture
def context(tmp_path: Path) -> Any:
    def make(**inputs: Path) -> StageContext:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        (folder / "out").mkdir(parents=True)
        (folder / "scratch").mkdir()
        return StageContext(folder / "out", folder / "scratch", inputs, seed=7)

    return make


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = probe.questions()[::FEW]
    monkeypatch.setattr(probe, "questions", lambda: asked)


class Knows:
    """A runtime that has learned some sentences by heart; a token is a letter."""

    def __init__(self, *sentences: str) -> None:
        self.sentences = sentences

    def encode(self, text: str) -> list[int]:
        return [ord(letter) % 128 for letter in text]

    def logits(self, ids: list[int], start: int = 0) -> Any:
        import numpy as np

        rows = np.zeros((len(ids) - start, 128), dtype=np.float32)
        for at in range(start, len(ids)):
            for sentence in map(self.encode, self.sentences):
                if sentence[: at + 1] == list(ids[: at + 1]) and len(sentence) > at + 1:
                    rows[at - start, sentence[at + 1]] += 10
        return rows


def test_whoever_knows_the_right_ends_answers_everything_right() -> None:
    from zoo.probe.questions import questions

    asked = questions()
    assert len(asked) >= 120 and all(len(set(question.choices)) == 4 for question in asked)
    assert len({question.text for question in asked}) == len(asked)
    assert {question.right for question in asked} == {0, 1, 2, 3}
    knows = Knows(*(question.text + question.choices[question.right] for question in asked))
    assert answer(knows, asked, no_progress).accuracy.value == 1.0  # type: ignore[arg-type]
    wrong = Knows(*(question.text + question.choices[question.right - 1] for question in asked))
    assert answer(wrong, asked, no_progress).accuracy.value == 0.0  # type: ignore[arg-type]


def test_the_loss_is_that_of_every_token_but_the_first() -> None:
    from math import exp, log

    losses = read(Knows("abc"), ["abc", "x"], no_progress)  # type: ignore[arg-type]
    expected = log(exp(10) + 127) - 10
    assert losses.nats == pytest.approx((expected, expected), abs=1e-6)
    assert losses.perplexity.value == pytest.approx(exp(expected), rel=1e-6) and losses.perplexity.n == 2


def test_a_model_against_itself_forgot_nothing(tiny_llama: Path, context: Any) -> None:
    ctx = context(model=tiny_llama, against=tiny_llama)
    result = probe.run(ProbeSpec(model="a/b", against="a/b", max_drop=0, max_perplexity_ratio=1.0), ctx)
    assert result.metrics["drop"].value == 0 and result.metrics["general_perplexity_ratio"].value == 1
    accuracy = result.metrics["accuracy"]
    assert accuracy.n == len(probe.questions()) and accuracy.low < accuracy.value < accuracy.high
    report = json.loads((ctx.out / "probe.json").read_text("utf-8"))
    assert [row["model"] for row in report["table"]] == ["before", "after"]


def test_what_was_forgotten_beyond_the_gate_stops_with_the_table(
    tiny_llama: Path, context: Any, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    tiny.make("llama", other, seed=1)
    ctx = context(model=other, against=tiny_llama)
    with pytest.raises(GateError) as caught:
        probe.run(ProbeSpec(model="a/b", against="a/b", max_perplexity_ratio=0.5), ctx)
    told = str(caught.value).splitlines()
    assert "general_perplexity_ratio is" in told[0] and "at most 0.5 is allowed" in told[0]
    assert told[1].split()[0] == "before" and told[2].split()[0] == "after" and "accuracy" in told[2]
    assert caught.value.exit_code == 3 and (ctx.scratch / "probe.json").is_file()


def test_text_of_the_recipe_is_read_beside(tiny_llama: Path, context: Any, tmp_path: Path) -> None:
    rows = tmp_path / "rows"
    rows.mkdir()
    (rows / "rows.jsonl").write_text("".join(json.dumps({"text": f"Alarm {n}."}) + "\n" for n in range(9)), "utf-8")
    result = probe.run(ProbeSpec(model="a/b", rows="stage:x", limit=4), context(model=tiny_llama, rows=rows))
    assert result.metrics["own_perplexity"].value > 1 and "drop" not in result.metrics
    (rows / "rows.jsonl").write_text('{"prompt": []}\n', "utf-8")
    with pytest.raises(DataError, match="have no `text`"):
        probe.run(ProbeSpec(model="a/b", rows="stage:x"), context(model=tiny_llama, rows=rows))


def test_a_gate_needs_something_to_compare_with() -> None:
    with pytest.raises(ValueError, match="max_drop compares with the model before; write against"):
        ProbeSpec(model="a/b", max_drop=3)
