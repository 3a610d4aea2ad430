"""Rows as tokens: which are asked for, which of them are reasoning, and which are only read.

A completion may be several messages: answers, results of tools, answers again. Only what the assistant says is learned;
what a tool or a user says between is read. Each piece is tokenized by itself, as it is when the model is asked. Not
covered: images.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.errors import DataError
from zoo.trainers.preflight import tools_of

__all__ = ["IGNORED", "TokenRow", "tokenize"]

IGNORED = -100
"""The label of a token that is not learned."""

_REASONING = re.compile(r"<(think|REASONING)>.*?</\1>", re.DOTALL)


@dataclass(frozen=True)
class TokenRow:
    """One row as a trainer wants it; three lists of one length."""

    input_ids: list[int]
    labels: list[int]
    """The token itself where it is learned, `IGNORED` where it is not."""
    reasoning: list[bool]
    """Whether it is a learned token of reasoning."""

    @property
    def prompt_tokens(self) -> int:
        """How many tokens come before the first that is learned."""
        return next(index for index, label in enumerate(self.labels) if label != IGNORED)

    @property
    def answer_tokens(self) -> int:
        """How many are learned."""
        return sum(label != IGNORED for label in self.labels)

    def digest(self) -> bytes:
        """Eight bytes that change with any token or any mask."""
        return hashlib.blake2b(repr((self.input_ids, self.labels)).encode(), digest_size=8).digest()


def tokenize(rows: Sequence[Mapping[str, Any]], tokenizer: Any) -> list[TokenRow]:
    """Every row as tokens.

    Raises DataError for a row with images, without an answer, or whose reasoning the chat template leaves out.
    """
    return [_row(row, tokenizer, f"row {number} ({row.get('task', 'no task')})") for number, row in enumerate(rows, 1)]


def _row(row: Mapping[str, Any], tokenizer: Any, where: str) -> TokenRow:
    if row.get("images"):
        raise DataError(f"{where} has images, which the distill stage does not read; take an sft stage for them")
    ids: list[int] = []
    labels: list[int] = []
    reasoning: list[bool] = []
    for text, learned in _pieces(row, tokenizer, where):
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=learned)
        piece = list(encoded["input_ids"])
        ids += piece
        labels += piece if learned else [IGNORED] * len(piece)
        reasoning += _within(encoded["offset_mapping"], text) if learned else [False] * len(piece)
    if all(label == IGNORED for label in labels):
        raise DataError(f"{where} has no answer of the assistant to learn; its completion needs one")
    return TokenRow(ids, labels, reasoning)


def _pieces(row: Mapping[str, Any], tokenizer: Any, where: str) -> Iterator[tuple[str, bool]]:
    """The rendered row in pieces, and whether each is learned."""
    messages, tools = list(row["prompt"]), tools_of(row)
    rendered = ""
    for message in row["completion"]:
        answers = message["role"] == "assistant"
        if answers:
            asked = _rendered(tokenizer, messages, tools, ask=True)
            yield _added(asked, rendered, where), False
            rendered = asked
        messages.append(message)
        said = _rendered(tokenizer, messages, tools, ask=False)
        piece = _added(said, rendered, where)
        if answers and (thought := message.get("reasoning_content")) and thought.strip() not in piece:
            raise DataError(f"{where} has reasoning that the chat template leaves out; put it into `content`")
        yield piece, answers
        rendered = said


def _rendered(tokenizer: Any, messages: list[Any], tools: Any, ask: bool) -> str:
    text: str = tokenizer.apply_chat_template(messages, tools=tools, tokenize=False, add_generation_prompt=ask)
    return text


def _added(longer: str, shorter: str, where: str) -> str:
    if not longer.startswith(shorter):
        raise DataError(
            f"{where}: the chat template rewrites earlier messages when a later one comes, so that what was asked is "
            "not known; make a row of each answer"
        )
    return longer.removeprefix(shorter)


def _within(offsets: Sequence[tuple[int, int]], text: str) -> list[bool]:
    """Which tokens begin inside a span of reasoning."""
    spans = [match.span() for match in _REASONING.finditer(text)]
    return [any(first <= start < last for first, last in spans) for start, _ in offsets]
