"""The rows and the model of the small desk: every call is right, and a fact is one token wherever it stands."""

from pathlib import Path
from typing import Any

import pytest
from desk_rows import AGENT, foreseen, shown
from small_model import make

from zoo.actions import read_answer
from zoo.agent import play
from zoo.environments.desk import FACTS, draw_tasks
from zoo.prompt import Chat


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("small-model")
    assert make(folder)["parameters"] < 1_000_000
    return AutoTokenizer.from_pretrained(folder)


def test_the_answers_of_the_rows_solve_their_tasks() -> None:
    tasks = draw_tasks("train", 30, seed=5)
    answers = {
        (row.task, row.prompt[1]["content"]): row.completion[0]["content"] for task in tasks for row in shown(task)
    }
    acted = play(AGENT, tasks, lambda seen: [answers[one.task.id, _asked(one)] for one in seen])
    assert [episode.success for episode in acted] == [True] * 30


def test_an_answer_names_the_thing_before_the_call() -> None:
    rows = [row for task in draw_tasks("train", 30, seed=5) for row in shown(task)]
    taps = [row for row in rows if row.solution.startswith("tap")]
    assert len(taps) > 30
    for row in taps:
        answer = read_answer(row.completion[0]["content"])
        assert answer.action is not None
        assert answer.assessment.endswith(f" [{answer.action.arguments[0]}]")
        assert answer.assessment in row.prompt[1]["content"].splitlines()


def test_the_hasty_often_give_the_first_thing_at_hand_and_mostly_get_through_all_the_same() -> None:
    tasks = draw_tasks("train", 60, seed=5)
    expert, hasty = ([row for task in tasks for row in shown(task, haste)] for haste in (0.0, 0.6))
    firsts = [sum(row.solution == "tap(1)" for row in rows) / len(rows) for rows in (expert, hasty)]
    assert firsts[1] > 1.5 * firsts[0]
    assert len(hasty) > len(expert)  # what was wrong is mended, step by step
    ended = {row.task for row in hasty if row.solution.startswith("finish")}
    assert 5 < len(ended) < len(tasks)  # the third wrong datum ends a visit


def test_a_world_models_rows_show_what_other_calls_lead_to() -> None:
    rows = [row for task in draw_tasks("train", 30, seed=5) for row in foreseen(task)]
    observed = [row.completion[0]["content"] for row in rows]
    assert any("I find no" in one or "That is a" in one for one in observed)
    assert sum(one.startswith("Desk: ") for one in observed) > 90


def test_a_prompt_is_the_beginning_of_its_row(tokenizer: Any) -> None:
    for row in (row for task in draw_tasks("train", 10, seed=5) for row in (*shown(task), *foreseen(task))):
        asked = _ids(tokenizer, row.prompt, add_generation_prompt=True)
        assert _ids(tokenizer, [*row.prompt, *row.completion])[: len(asked)] == asked


def test_a_fact_is_the_same_single_token_in_prompt_and_answer(tokenizer: Any) -> None:
    for value in (value for values in FACTS.values() for value in values):
        (alone,) = _tokens(tokenizer, value)
        assert alone in _tokens(tokenizer, f"Facts: kind {value}, day Monday.")
        assert alone in _tokens(tokenizer, f'text("{value}")')


def test_an_answer_survives_its_tokens(tokenizer: Any) -> None:
    for row in (row for task in draw_tasks("train", 10, seed=5) for row in shown(task)):
        answer = row.completion[0]["content"]
        ids = _tokens(tokenizer, answer)
        assert len(ids) < AGENT.answer_tokens
        assert read_answer(tokenizer.decode(ids)).action == read_answer(answer).action


def test_the_same_model_is_made_every_time(tmp_path: Path) -> None:
    for name in ("one", "other"):
        make(tmp_path / name)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "other")]
    assert weights[0] == weights[1]
    assert (tmp_path / "one" / "tokenizer.json").read_bytes() == (tmp_path / "other" / "tokenizer.json").read_bytes()


def _asked(situation: Any) -> str:
    return f"Task: {situation.task.instruction}\nPast: none\nScreen:\n{situation.observation}"


def _ids(tokenizer: Any, chat: Chat, **options: Any) -> list[int]:
    ids: list[int] = tokenizer.apply_chat_template(chat, return_dict=True, **options)["input_ids"]
    return ids


def _tokens(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
