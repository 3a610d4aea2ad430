"""What an agent is shown of its past: which notes, how many, within how many tokens.

A note is what one step leaves behind: the agent's own state assessment, or its call. Only notes are ever cut; the
instruction and the screen are not in here. Not covered: screenshots of past steps, and summaries written by a model.
"""

import re
from collections.abc import Callable, Sequence

from zoo.schema import AgentSpec

__all__ = ["CountTokens", "about_tokens", "noted", "remembered"]

CountTokens = Callable[[str], int]
"""How many tokens a text has."""

_CLAUSE = re.compile(r"[.;\n]")
_CLAUSE_CHARACTERS = 48
_THEN = " > "


def about_tokens(text: str) -> int:
    """Tokens of a text as whoever has no tokenizer guesses them: four characters each, rounded up.

    >>> about_tokens("On Home; need Clock.")
    5
    """
    return -(-len(text) // 4)


def noted(spec: AgentSpec, assessment: str | None, call: str | None) -> str | None:
    """The note that a step leaves, None when it leaves none: an answer without what this memory keeps."""
    return (call if spec.memory == "actions" else assessment) or None


def remembered(spec: AgentSpec, notes: Sequence[str], count: CountTokens = about_tokens) -> list[str]:
    """The notes that the next prompt shows, oldest first.

    At most `spec.memory_steps`; of these, the newest whose tokens fit `spec.memory_tokens`. With the memory `folded`,
    what is older goes ahead of them as one line, which is itself cut at its old end to what room is left.

    >>> remembered(AgentSpec(memory="folded", memory_steps=1), ["On Home; need Clock.", "On Clock.", "On Alarm."])
    ['Before: On Home > On Clock', 'On Alarm.']
    """
    if spec.memory == "none" or not spec.memory_steps:
        return []
    shown = list(notes)[-spec.memory_steps :]
    while shown and not _fits(spec, shown, count):
        del shown[0]
    older = notes[: len(notes) - len(shown)]
    if spec.memory == "folded" and older and (line := _folded(spec, older, shown, count)):
        return [line, *shown]
    return shown


def _fits(spec: AgentSpec, shown: Sequence[str], count: CountTokens) -> bool:
    return spec.memory_tokens is None or sum(map(count, shown)) <= spec.memory_tokens


def _folded(spec: AgentSpec, older: Sequence[str], shown: Sequence[str], count: CountTokens) -> str | None:
    """The first clause of each older note, repeats in a row said once; None when there is no room for any."""
    clauses: list[str] = []
    for note in older:
        clause = _CLAUSE.split(note, maxsplit=1)[0].strip()[:_CLAUSE_CHARACTERS]
        if clause and clause not in clauses[-1:]:
            clauses.append(clause)
    for start in range(len(clauses)):
        cut = f"...{_THEN}" if start else ""
        line = f"Before: {cut}{_THEN.join(clauses[start:])}"
        if _fits(spec, [line, *shown], count):
            return line
    return None
