"""Rows as what is learned from: token ids and labels, or the columns from which TRL makes them.

Three shapes, told apart by their columns. `prompt` and `completion`: the completion counts. `messages`: every turn of
the assistant counts, the token that ends it included. `text`: every token counts; a text longer than `max_length` is
cut into pieces of nearly the same length, each a document of its own, and nothing is lost.

Conversations of text are tokenised here, not by TRL: a column of Arrow would give every tool call the arguments of all
the others. Those with images are left to TRL's collator, which makes their pixels batch by batch.
"""

import math
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from zoo import checkpoint
from zoo.errors import DataError
from zoo.trainers import loading, preflight
from zoo.trainers.training_template import training_template

__all__ = ["Examples", "Shape", "prepare", "shape_of"]

Shape = Literal["completion", "messages", "text"]
_COLUMNS: dict[Shape, tuple[str, ...]] = {
    "completion": ("prompt", "completion"),
    "messages": ("messages",),
    "text": ("text",),
}
_IGNORED = -100


@dataclass(frozen=True)
class Examples:
    """What a trainer is given."""

    dataset: Any
    processor: Any
    """The tokenizer or processor to train with; its chat template may be another than the one to save."""
    longest: int
    """Tokens of the longest row, or piece of a row."""
    prompts: bool
    """Whether most of a row may be a prompt, which does not count."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of TRL's that go with the rows."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the record says of the rows."""


def shape_of(rows: Sequence[Mapping[str, Any]], file: Path) -> Shape:
    """What kind of rows a file has. Raises DataError, naming the line, when they are of none, or not all of one."""
    for shape, columns in _COLUMNS.items():
        if all(column in rows[0] for column in columns):
            for number, row in enumerate(rows, 1):
                if missing := [column for column in columns if column not in row]:
                    raise DataError(
                        f"{file}:{number} has no {' and no '.join(missing)}; it has {', '.join(sorted(row))}; all rows "
                        "of a training stage have the columns of the first"
                    )
            return shape
    raise DataError(
        f"{file}:1 has {', '.join(sorted(rows[0]))}; fine-tuning reads `prompt` and `completion`, `messages`, or `text`"
    )


def prepare(data: Path, processor: Any, model: Path, most: int | None) -> Examples:
    """The examples of a data stage's folder for a checkpoint with this processor; `most` is TRL's `max_length`.

    Raises DataError for a row that does not fit, ModelError for a chat template that cannot be trained.
    """
    rows = preflight.read_rows(data, ())
    shape = shape_of(rows, data / preflight.ROWS_NAME)
    if shape == "text":
        return _texts(rows, processor, model, most)
    if shape == "completion":
        if any(isinstance(row[column], str) for row in rows for column in _COLUMNS["completion"]):
            raise DataError(
                f"{data / preflight.ROWS_NAME}: `prompt` and `completion` are lists of messages, not strings"
            )
        if any("tools" in row for row in rows):
            return _tool_completions(rows, processor, model, most)
        preflight.check_template(processor, rows[0])
        longest = preflight.check_lengths(rows, processor, model, most)
        dataset = loading.load_dataset(rows, _COLUMNS["completion"])
        return Examples(dataset, processor, longest, prompts=True, notes={"rows": len(rows)})
    if "images" in rows[0]:
        return _seen_conversations(rows, processor, model, most)
    return _conversations(rows, processor, model, most)


def _texts(rows: list[dict[str, Any]], processor: Any, model: Path, most: int | None) -> Examples:
    if most is None:
        raise DataError("rows of plain text are cut into pieces of `trl.max_length` tokens; write one, such as 512")
    _limit(model, most)
    tokenizer = getattr(processor, "tokenizer", processor)
    pieces: list[list[int]] = []
    for number, row in enumerate(rows, 1):
        if not row["text"].strip():
            raise DataError(f"row {number} has an empty text; leave it out")
        ids = [*tokenizer(row["text"], verbose=False)["input_ids"], tokenizer.eos_token_id]
        pieces += _pieces(ids, most)
    made = [{"input_ids": piece, "labels": piece} for piece in pieces]
    return Examples(
        _dataset(made),
        processor,
        max(map(len, pieces)),
        prompts=False,
        notes={"rows": len(rows), "pieces": len(pieces)},
    )


def _pieces(ids: list[int], most: int) -> list[list[int]]:
    """At most `most` tokens each, as even as can be: a piece of one token would have nothing to predict."""
    count = math.ceil(len(ids) / most)
    ends = [round(part * len(ids) / count) for part in range(count + 1)]
    return [ids[start:end] for start, end in pairwise(ends)]


def _conversations(rows: list[dict[str, Any]], processor: Any, model: Path, most: int | None) -> Examples:
    limit = _limit(model, most)
    tokenizer = getattr(processor, "tokenizer", processor)
    template = training_template(tokenizer, ((row["messages"], preflight.tools_of(row)) for row in rows))
    made = []
    for number, row in enumerate(rows, 1):
        turns = sum(message["role"] == "assistant" for message in row["messages"])
        if not turns:
            raise DataError(f"row {number} has no turn of the assistant, so nothing to learn")
        read = tokenizer.apply_chat_template(
            row["messages"],
            tools=preflight.tools_of(row),
            chat_template=template.text,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        ids, counts = read["input_ids"], read["assistant_masks"]
        _check_length(number, row, len(ids), limit)
        labels = [token if counted else _IGNORED for token, counted in zip(ids, counts, strict=True)]
        _check_stops(number, labels.count(tokenizer.eos_token_id), turns, tokenizer.eos_token)
        made.append({"input_ids": ids, "labels": labels})
    longest = max(len(example["input_ids"]) for example in made)
    return Examples(
        _dataset(made), processor, longest, prompts=True, notes={"rows": len(rows), "training_template": template.name}
    )


def _seen_conversations(rows: list[dict[str, Any]], processor: Any, model: Path, most: int | None) -> Examples:
    limit = _limit(model, most)
    preflight.check_images(rows, processor)
    longest = 0
    for number, row in enumerate(rows, 1):
        tokens = preflight.row_tokens({**row, "prompt": row["messages"], "completion": []}, processor)
        _check_length(number, row, tokens, limit)
        longest = max(longest, tokens)
    template = training_template(processor, ((row["messages"], None) for row in rows))
    trained = copy(processor)
    trained.chat_template = template.text
    return Examples(
        loading.load_dataset(rows, _COLUMNS["messages"]),
        trained,
        longest,
        prompts=True,
        options={"assistant_only_loss": True},
        notes={"rows": len(rows), "training_template": template.name},
    )


def _tool_completions(rows: list[dict[str, Any]], processor: Any, model: Path, most: int | None) -> Examples:
    """As TRL does it: what stands behind the part that the prompt alone and the whole row share is the completion."""
    limit = _limit(model, most)
    tokenizer = getattr(processor, "tokenizer", processor)
    made = []
    for number, row in enumerate(rows, 1):
        both = [*row["prompt"], *row["completion"]]
        asked = tokenizer.apply_chat_template(
            row["prompt"], tools=preflight.tools_of(row), add_generation_prompt=True, return_dict=True
        )
        ids = tokenizer.apply_chat_template(both, tools=preflight.tools_of(row), return_dict=True)["input_ids"]
        _check_length(number, row, len(ids), limit)
        shared = _shared(asked["input_ids"], ids)
        labels = [_IGNORED] * shared + ids[shared:]
        _check_stops(number, labels.count(tokenizer.eos_token_id), 1, tokenizer.eos_token)
        made.append({"input_ids": ids, "labels": labels})
    longest = max(len(example["input_ids"]) for example in made)
    return Examples(_dataset(made), processor, longest, prompts=True, notes={"rows": len(rows)})


def _shared(first: list[int], second: list[int]) -> int:
    pairs = zip(first, second, strict=False)
    return next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(first), len(second)))


def _limit(model: Path, most: int | None) -> int:
    positions = checkpoint.facts(model).positions
    if most and most > positions:
        raise DataError(f"`max_length` is {most}, and the model's max_position_embeddings is {positions}")
    return most or positions


def _check_length(number: int, row: Mapping[str, Any], tokens: int, limit: int) -> None:
    if tokens > limit:
        raise DataError(
            f"row {number} ({row.get('task', 'no task')}) has {tokens} tokens, and the limit is {limit} "
            "(`max_length`, or the model's max_position_embeddings); shorten the rows, or take a longer context"
        )


def _check_stops(number: int, found: int, turns: int, stop: str) -> None:
    if found < turns:
        raise DataError(f"row {number}: {turns} turns of the assistant end {found} times with {stop!r} that is trained")


def _dataset(made: list[dict[str, list[int]]]) -> Any:
    from datasets import Dataset

    return Dataset.from_list(made)
