"""What people come to the desk for, the facts that they bring, and which of these the clerk will want to know.

A task's instruction holds five facts; the clerk asks for two or three of them, one at a time, in an order that no
instruction tells. Held-out parameters are combinations of facts that are never trained on: each value by itself is,
so that a model of a few hundred words can do it. Held-out templates are other topics.
"""

from collections.abc import Mapping
from random import Random
from typing import NamedTuple
from zlib import crc32

from zoo.environments import Kind, Split, Task

__all__ = ["CHOSEN", "FACTS", "TOPICS", "Case", "Topic", "case_of", "draw_tasks"]

FACTS: Mapping[str, tuple[str, ...]] = {
    "order": ("1203", "1576", "2048", "2417", "3190", "3655", "4471", "4820", "5316", "6092", "7734", "8951"),
    "name": ("Anna", "Ben", "Carla", "David", "Elena", "Felix", "Grace", "Hugo", "Iris", "Jonas", "Karim", "Lena"),
    "town": ("Bergen", "Cork", "Delft", "Ghent", "Graz", "Leeds", "Lund", "Lyon", "Porto", "Riga", "Turin", "Vaduz"),
    "code": ("amber", "basil", "cedar", "delta", "ember", "fjord", "gamma", "hazel", "ivory", "jade", "kiwi", "lotus"),
    "colour": ("black", "blue", "green", "red", "white", "yellow"),
    "size": ("tiny", "small", "medium", "large", "wide", "huge"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"),
    "item": ("chair", "clock", "jacket", "kettle", "lamp", "shoes"),
}
"""Kind of datum -> its values."""
CHOSEN = frozenset({"colour", "size", "day", "item"})
"""Kinds that the clerk offers to choose from; the others have to be said."""

_BROUGHT = 5
_OFFERED = 4
_MOST_TASKS = 100_000
_HOURS = ("8:15", "9:30", "10:45", "11:20", "13:40", "14:50", "16:05", "17:35")
_PRICES = ("12 euros", "19 euros", "25 euros", "31 euros", "48 euros", "57 euros", "63 euros", "86 euros")


class Topic(NamedTuple):
    """What somebody may come for."""

    wishes: tuple[str, ...]
    tells: str = ""
    """What the clerk answers in the end, for a question."""
    answers: tuple[str, ...] = ()
    """What stands in its gap."""
    held_out: bool = False


TOPICS: Mapping[str, Topic] = {
    "Refund": Topic(("Get a refund", "Ask for a refund")),
    "Exchange": Topic(("Get an exchange", "Ask for an exchange")),
    "Return": Topic(("Announce a return", "Ask for a return")),
    "Invoice": Topic(("Get the invoice", "Ask for an invoice")),
    "Parcel": Topic(("When does the parcel come?", "Ask when the parcel comes"), "It comes at {}.", _HOURS),
    "Complaint": Topic(("Make a complaint", "File a complaint")),
    "Repair": Topic(("Order a repair", "Ask for a repair"), held_out=True),
    "Price": Topic(("What is the price?", "Ask for the price"), "It costs {}.", _PRICES, held_out=True),
}


class Case(NamedTuple):
    """A task, as the clerk knows it."""

    topic: str
    facts: Mapping[str, str]
    """All that the instruction tells."""
    wanted: tuple[str, ...]
    """The kinds that the clerk asks for, in this order."""
    topics: tuple[str, ...]
    """Those that the clerk offers."""
    offers: Mapping[str, tuple[str, ...]]
    """Kind to choose -> its choices, the right one among them."""
    tells: str
    """What the clerk says in the end."""
    answer: str | None
    """What `finish` must say, for a question."""


def case_of(task: Task) -> Case:
    """What a task's parameters and its world make of the desk."""
    rng = Random(f"desk {task.world}")
    topic, facts = task.template.partition(".")[2].capitalize(), task.values
    wanted = rng.sample(sorted(facts), rng.randint(2, 3))
    if CHOSEN.issuperset(wanted):  # what can only be said keeps taps alone from getting through
        wanted[0] = rng.choice(sorted(facts.keys() - CHOSEN))
    offers = {kind: _among(rng, facts[kind], FACTS[kind]) for kind in wanted if kind in CHOSEN}
    answer = rng.choice(TOPICS[topic].answers) if TOPICS[topic].answers else None
    tells = TOPICS[topic].tells.format(answer) if answer else "All is done."
    return Case(topic, facts, tuple(wanted), _among(rng, topic, tuple(TOPICS)), offers, tells, answer)


def draw_tasks(split: Split, count: int, seed: int) -> list[Task]:
    """So many distinct tasks, evenly over the topics of the split.

    Raises ValueError for more than 100,000, and for a split that the desk does not have.
    """
    if split == "held-out-app":
        raise ValueError("the desk has one app and none that is held out")
    if count > _MOST_TASKS:
        raise ValueError(f"the desk has {_MOST_TASKS} tasks of a split, not {count}")
    names = [name for name, topic in TOPICS.items() if topic.held_out == (split == "held-out-templates")]
    rng = Random(f"desk {split} {seed}")
    drawn: dict[str, Task] = {}
    while len(drawn) < count:
        task = _task(rng, names[len(drawn) % len(names)], split)
        drawn.setdefault(task.id, task)
    return list(drawn.values())


def _task(rng: Random, topic: str, split: Split) -> Task:
    while True:
        kinds = sorted(rng.sample(list(FACTS), _BROUGHT))
        places = {kind: rng.randrange(len(FACTS[kind])) for kind in kinds}
        held_out = sum(places.values()) % 4 == 3
        # Four kinds are chosen from, so that of five one at least has to be said.
        if split == "held-out-templates" or held_out == (split == "held-out-parameters"):
            break
    parameters = tuple((kind, FACTS[kind][place]) for kind, place in places.items())
    template = f"desk.{topic.lower()}"
    name = f"{template}.{'.'.join(f'{kind}={value}' for kind, value in parameters)}"
    world = crc32(name.encode())  # of the task alone: it is the same whoever draws it
    kind: Kind = "query" if TOPICS[topic].answers else "operation"
    return Task(f"{name}.{world}", template, kind, "desk", _instruction(topic, parameters, world), parameters,
                split, world)  # fmt: skip


def _instruction(topic: str, parameters: tuple[tuple[str, str], ...], world: int) -> str:
    rng = Random(f"words {world}")
    wish = rng.choice(TOPICS[topic].wishes)
    facts = ", ".join(f"{kind} {value}" for kind, value in rng.sample(parameters, len(parameters)))
    return f"{wish if wish.endswith('?') else f'{wish}.'} Facts: {facts}."


def _among(rng: Random, right: str, values: tuple[str, ...]) -> tuple[str, ...]:
    """The right value among others, in any order."""
    others = rng.sample([value for value in values if value != right], _OFFERED - 1)
    return tuple(rng.sample([right, *others], _OFFERED))
