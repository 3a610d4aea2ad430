"""General text: passages that have nothing to do with any agent, to show what an export does to the rest of a model.

They come with Python: topics of its reference manual (`pydoc_data.topics`), the beginning of each, in the order below.
The text differs a little between versions of Python, so a report says by a digest which text was read.
"""

from zoo.fingerprint import of_data

__all__ = ["MOST_TOKENS", "TOPICS", "digest", "general_texts"]

TOPICS = (
    "assignment", "objects", "strings", "import", "customization", "comparisons", "try", "naming",
    "typesmapping", "with", "calls", "identifiers", "async", "execmodel", "raise", "sequence-types",
)  # fmt: skip
"""Prose and code in turns, in every Python from 3.11 on."""
MOST_TOKENS = 512
"""Of one passage."""
_LETTERS = 2800
"""Of one passage: about 700 tokens, so that it is the tokens that end it."""


def general_texts(count: int) -> tuple[str, ...]:
    """The first `count` passages. Raises ValueError when there are not so many."""
    from pydoc_data.topics import topics

    if count > len(TOPICS):
        raise ValueError(f"there are {len(TOPICS)} passages, not {count}")
    return tuple(topics[name][:_LETTERS] for name in TOPICS[:count])


def digest(texts: tuple[str, ...]) -> str:
    """Names a selection of passages, whatever Python it came from."""
    return of_data(list(texts))
