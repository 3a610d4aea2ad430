"""What the record of a data stage says of whoever was asked: which model, at which host, at what cost; never a key."""

from typing import Any

from zoo.answering import KeptAnswers, Spent
from zoo.data.reasoning import Teacher
from zoo.records import Metric
from zoo.schema import EndpointSpec, FilterSpec

__all__ = ["asked_note", "filter_note", "teacher_metrics", "teacher_notes"]


def asked_note(spec: EndpointSpec, kept: KeptAnswers) -> dict[str, Any]:
    """An endpoint and what it answered. That its answers cannot be made again is said, since a key does not show it."""
    spent = kept.spent()
    note: dict[str, Any] = {
        "model": spec.model,
        "host": spec.host,
        "reproducible": False,
        "answers": spent.answers,
        "prompt_tokens": spent.prompt_tokens,
        "answer_tokens": spent.answer_tokens,
    }
    if spent.uncounted:
        note["answers_of_unknown_length"] = spent.uncounted
    cost = _cost(spec, spent)
    return note if cost is None else {**note, "cost": cost}


def teacher_notes(teacher: Teacher) -> dict[str, Any]:
    """Who explained, and who wrote where that is another."""
    spec = teacher.spec
    notes = {"teacher": asked_note(spec.teacher, teacher.teacher)}
    notes["writer"] = asked_note(spec.writer or spec.teacher, teacher.writer)
    return notes


def teacher_metrics(teacher: Teacher) -> dict[str, Metric]:
    """Tokens of both together, and the cost where prices are given for both."""
    asked = [(teacher.spec.teacher, teacher.teacher.spent())]
    asked.append((teacher.spec.writer or teacher.spec.teacher, teacher.writer.spent()))
    metrics = {
        "teacher_answers": Metric(sum(spent.answers for _, spent in asked), "answers"),
        "teacher_prompt_tokens": Metric(sum(spent.prompt_tokens for _, spent in asked), "tokens"),
        "teacher_answer_tokens": Metric(sum(spent.answer_tokens for _, spent in asked), "tokens"),
    }
    costs = [cost for spec, spent in asked if (cost := _cost(spec, spent)) is not None]
    return {**metrics, "teacher_cost": Metric(sum(costs))} if len(costs) == len(asked) else metrics


def filter_note(filters: FilterSpec) -> dict[str, Any]:
    """The filters that say something, for a card."""
    said = filters.model_dump(mode="json", exclude_defaults=True)
    return {"filters": said} if said else {}


def _cost(spec: EndpointSpec, spent: Spent) -> float | None:
    cost = spent.cost(spec.prompt_price, spec.answer_price)
    return None if cost is None else round(cost, 6)
