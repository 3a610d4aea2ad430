"""What a task template is: words, the values they take, the phone they make sense on, and what is right in the end."""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, NamedTuple

from zoo.environments import Kind, Split
from zoo.environments.phone.state import Data
from zoo.environments.phone.values import is_held_out

__all__ = ["Changes", "Look", "Pool", "Template", "Values", "cases", "pool"]

Values = Mapping[str, str]
"""Parameter -> its value in one task."""
Changes = dict[str, Any]
"""Key of `data` -> its new value."""


class Pool(NamedTuple):
    """The values of one parameter, or of some that are only drawn together."""

    names: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    closed: bool = False
    """Whether there is nothing else to draw, as with Yes and No, so that no value can be kept out of training."""


class Look(NamedTuple):
    """Something that has to be read from a screen before the task can be done honestly."""

    places: tuple[tuple[str, str], ...]
    """The way there, as in `Want.places`."""
    label: str
    """The line that shows it."""
    fact: str
    """What it says: the answer of a query, or what an operation needs from elsewhere."""


def _nothing(data: Data, values: Values) -> Changes:
    return {}


class Template(NamedTuple):
    """One kind of task. A query has a `look` and no `change`; its answer is the fact that it looks at."""

    name: str
    kind: Kind
    instructions: tuple[str, ...]
    """Two or three wordings, with the parameters in braces."""
    pools: tuple[Pool, ...]
    prepare: Callable[[Data, Values], Changes] = _nothing
    """What must be different on the drawn phone for the task to make sense."""
    change: Callable[[Data, Values], Changes] = _nothing
    """What is different when it is done; nothing else may be."""
    look: Callable[[Data, Values], Look] | None = None
    show: Callable[[Values], Values] = lambda values: values
    """The parameters as the instruction writes them: `do_not_disturb` -> `Do not disturb`."""
    held_out: bool = False
    """Whether it is kept for the split `held-out-templates`."""

    @property
    def app(self) -> str:
        """The app that it is about, or ends in."""
        return self.name.partition(".")[0]


def pool(name: str, values: tuple[str, ...]) -> Pool:
    """The values of one parameter."""
    return Pool((name,), tuple((value,) for value in values))


def cases(template: Template, split: Split) -> list[tuple[tuple[str, str], ...]]:
    """Every combination of values that a split may use, as (name, value) pairs.

    In train and held-out-parameters, a value of the one never occurs in the other. No combination gives two parameters
    the same value: nobody sends somebody's number to themselves.
    """
    parts = [_part(one, split) for one in template.pools]
    names = [name for one in template.pools for name in one.names]
    flat = (tuple(value for part in combination for value in part) for combination in product(*parts))
    return [tuple(zip(names, one, strict=True)) for one in flat if len(set(one)) == len(one)]


def _part(one: Pool, split: Split) -> list[tuple[str, ...]]:
    if split in ("held-out-templates", "held-out-app") or one.closed:
        return list(one.values)
    wanted = split == "held-out-parameters"
    return [value for position, value in enumerate(one.values) if is_held_out(position) == wanted]
