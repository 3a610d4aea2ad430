"""What cards call a world: where its agent acts, what is held back there, what to beware of. Words, no figures.

A publication is of the world that its own evaluation acted in, else of the one that its rows were made in; a model of
which no record names a world is not said to act at all.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from zoo.records import StageRecord

__all__ = ["WORLDS", "World", "world_of", "world_of_rows"]

_SPLITS = {
    "train": "the tasks that its demonstrations were drawn from",
    "held-out-parameters": "kinds of task that were demonstrated, with names, times and texts that were not",
    "held-out-templates": "kinds of task that were not demonstrated",
}
_SENDS = "Let a person confirm whatever pays, deletes, sends or signs in, and give it no account that it does not need."
_DEFENCELESS = "nothing here defends against instructions that"


@dataclass(frozen=True)
class World:
    """The words of one world."""

    place: str
    """Where it acts, with its article: `a simulated phone with four apps`."""
    where: str
    """The same with its preposition."""
    given: str
    """What it is given and what it answers, the beginning of a sentence."""
    task: str
    """What it does there, for a leaderboard."""
    rows: str
    """What the rows are that were made there."""
    made_up: str
    """Whose names and texts those rows hold."""
    tags: tuple[str, ...]
    cautions: tuple[str, ...]
    check: str
    """What to look at in place of the model's words."""
    says_nothing_of: str
    elsewhere: str
    """What was not measured, whatever was."""
    splits: Mapping[str, str] = field(default_factory=lambda: _SPLITS, compare=False)
    on_a_page: bool = False
    """Whether a Space can hold it."""
    remembers: bool = True
    """Whether the agent is shown what it noted of earlier steps."""


def _phone(apps: str) -> World:
    place = f"a simulated phone with {apps} apps"
    return World(
        place=place,
        where=f"on {place}",
        given=f"Given a task in words and the screen of {place}, it answers with one action a step",
        task=f"operating {place}",
        rows=f"steps on {place}",
        made_up="The phone is a simulation: the names, numbers and messages on it are invented.",
        tags=("agent", "phone"),
        cautions=(
            f"It taps, types and sends without asking. {_SENDS}",
            f"Text on the screen can steer it; {_DEFENCELESS} an app, a page or a message shows.",
        ),
        check="the state of the device",
        says_nothing_of="other apps",
        elsewhere="On a real phone, in other languages or in general conversation",
        splits={**_SPLITS, **({"held-out-app": "an app that was not demonstrated"} if apps == "ten" else {})},
        on_a_page=True,
    )


def _arithmetic(given: str, rows: str, caution: str) -> World:
    return World(
        place="generated arithmetic questions",
        where="on generated arithmetic questions",
        given=given,
        task="answering generated arithmetic questions",
        rows=rows,
        made_up="The questions are generated: nobody's data is in them.",
        tags=("agent", "reasoning", "arithmetic"),
        cautions=(caution, "It states a wrong result as surely as a right one."),
        check="the result",
        says_nothing_of="other questions",
        elsewhere="On questions that people wrote, in other languages or in general conversation",
        splits={
            "train": "the questions that its demonstrations were drawn from",
            "held-out-parameters": "kinds of question that were demonstrated, with numbers that were not",
            "held-out-templates": "kinds of question that were not demonstrated",
            "held-out-app": "a category of questions that was not demonstrated",
        },
        remembers=False,
    )


WORLDS: Mapping[str, World] = {
    "phone": _phone("four"),
    "phone-ten": _phone("ten"),
    "android": World(
        place="an Android device",
        where="on an Android device",
        given="Given a task in words and the screen of an Android device, it answers with one action a step",
        task="operating an Android device",
        rows="steps on an Android device",
        made_up="The rows hold what stood on a device's screens: look for personal data before passing them on.",
        tags=("agent", "phone", "android"),
        cautions=_phone("four").cautions,
        check="the state of the device",
        says_nothing_of="other apps",
        elsewhere="On other devices, in other languages or in general conversation",
    ),
    "miniwob": World(
        place="the small web pages of MiniWoB++",
        where="on the small web pages of MiniWoB++",
        given="Given a task in words and the elements of a web page, it answers with one action a step",
        task="operating the web pages of MiniWoB++",
        rows="steps on the web pages of MiniWoB++",
        made_up="The pages are a benchmark's: the names and texts on them are invented.",
        tags=("agent", "web", "miniwob"),
        cautions=(
            f"It clicks, types and submits without asking. {_SENDS}",
            f"Text on the page can steer it; {_DEFENCELESS} a page shows.",
        ),
        check="the state of the page",
        says_nothing_of="other pages",
        elsewhere="On pages of the open web, in other languages or in general conversation",
        splits={
            "train": "the pages that its demonstrations were drawn from",
            "held-out-parameters": "pages that were demonstrated, with contents that were not",
            "held-out-templates": "pages that were not demonstrated",
        },
    ),
    "desk": World(
        place="a simulated service desk",
        where="at a simulated service desk",
        given="Given a wish with its facts and what the clerk of a simulated service desk says, it answers with one "
        "action a step",
        task="asking at a simulated service desk",
        rows="steps at a simulated service desk",
        made_up="The desk is a simulation: the names and numbers that are told there are invented.",
        tags=("agent", "dialogue"),
        cautions=(
            "It tells a clerk whatever it is asked for: give it no fact that it must not pass on.",
            f"What the clerk says can steer it; {_DEFENCELESS} the other side gives.",
        ),
        check="what the clerk has noted",
        says_nothing_of="other desks",
        elsewhere="With people, in other languages or in general conversation",
        splits={
            "train": "the visits that its demonstrations were drawn from",
            "held-out-parameters": "topics that were demonstrated, with combinations of facts that were not",
            "held-out-templates": "topics that were not demonstrated",
        },
    ),
    "arithmetic": _arithmetic(
        "Given a question, it answers with a Python program, whose output it is shown, or with the result",
        "answers to generated arithmetic questions, with programs and what they print",
        "It writes programs that are meant to be run: run them in a sandbox, with no data and no rights of yours.",
    ),
    "arithmetic-alone": _arithmetic(
        "Given a question, it answers with the result",
        "answers to generated arithmetic questions",
        "It computes in words: check whatever rests on the result.",
    ),
}
"""World -> its words; the names are those of `zoo.registry.ENVIRONMENTS`."""


def world_of(score: StageRecord | None, records: Iterable[StageRecord]) -> World | None:
    """The world of a publication: of its evaluation, else the last that any record names."""
    named = [record.settings.get("agent", {}).get("world") for record in records]
    if score is not None:
        named.append(score.settings["agent"]["world"])
    return next((WORLDS[name] for name in reversed(named) if name in WORLDS), None)


def world_of_rows(record: StageRecord) -> World | None:
    """The world in which the rows of a data stage were made; None for rows that were made elsewhere."""
    if record.settings.get("source") not in ("expert", "agent"):
        return None
    return WORLDS.get(record.settings.get("agent", {}).get("world", ""))
