"""Small questions of general knowledge with four answers to choose from, made of tables of facts.

Each question is a sentence to be finished; its wrong ends are the right ends of other questions of the same table, so
that they fit the sentence just as well. The facts were written down for this package. What a model answers by chance
is 25 %.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

__all__ = ["Question", "questions"]

_CHOICES = 4

_CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Germany": "Berlin", "Spain": "Madrid", "Japan": "Tokyo", "China": "Beijing",
    "Egypt": "Cairo", "Greece": "Athens", "Russia": "Moscow", "Austria": "Vienna", "Poland": "Warsaw",
    "Portugal": "Lisbon", "Ireland": "Dublin", "Norway": "Oslo", "Sweden": "Stockholm", "Cuba": "Havana",
    "Peru": "Lima", "Kenya": "Nairobi", "Thailand": "Bangkok", "Hungary": "Budapest",
}  # fmt: skip
_OPPOSITES = {
    "hot": "cold", "big": "small", "old": "young", "fast": "slow", "dark": "light", "wet": "dry", "full": "empty",
    "hard": "soft", "rich": "poor", "strong": "weak", "early": "late", "happy": "sad", "loud": "quiet",
    "cheap": "expensive", "open": "closed", "long": "short", "true": "false", "thick": "thin", "left": "right",
    "first": "last",
}  # fmt: skip
_PLURALS = {
    "child": "children", "mouse": "mice", "foot": "feet", "tooth": "teeth", "man": "men", "woman": "women",
    "goose": "geese", "leaf": "leaves", "knife": "knives", "wolf": "wolves", "baby": "babies", "city": "cities",
    "box": "boxes", "hero": "heroes", "person": "people", "life": "lives",
}  # fmt: skip
_PASTS = {
    "go": "went", "see": "saw", "eat": "ate", "take": "took", "write": "wrote", "run": "ran", "come": "came",
    "buy": "bought", "think": "thought", "give": "gave", "find": "found", "sing": "sang", "drink": "drank",
    "break": "broke", "fly": "flew", "know": "knew", "speak": "spoke", "teach": "taught", "sleep": "slept",
    "begin": "began",
}  # fmt: skip
_YOUNG = {
    "dog": "puppy", "cat": "kitten", "cow": "calf", "horse": "foal", "sheep": "lamb", "bear": "cub", "hen": "chick",
    "frog": "tadpole", "duck": "duckling", "goat": "kid", "pig": "piglet", "kangaroo": "joey",
}  # fmt: skip
_SYMBOLS = {
    "hydrogen": "H", "oxygen": "O", "gold": "Au", "silver": "Ag", "iron": "Fe", "sodium": "Na", "carbon": "C",
    "copper": "Cu", "lead": "Pb", "helium": "He", "nitrogen": "N", "calcium": "Ca", "potassium": "K", "tin": "Sn",
}  # fmt: skip
_COLOURS = {
    "grass": "green", "the clear sky": "blue", "snow": "white", "coal": "black", "blood": "red", "a ripe banana":
    "yellow", "an orange": "orange", "chocolate": "brown",
}  # fmt: skip
_WORKERS = {
    "bakes bread": "baker", "flies a plane": "pilot", "catches fish": "fisherman", "cuts hair": "barber",
    "puts out fires": "firefighter", "repairs teeth": "dentist", "writes books": "author", "grows crops": "farmer",
    "paints pictures": "artist", "builds houses": "builder", "treats the sick": "doctor", "sails a ship": "sailor",
}  # fmt: skip
_SUMMANDS = (
    (1, 1), (2, 1), (2, 3), (4, 2), (3, 4), (5, 3), (6, 3), (5, 5), (7, 4), (8, 4), (9, 4), (10, 5), (9, 9), (20, 10),
)  # fmt: skip
_SUMS = {f"{first} plus {second}": str(first + second) for first, second in _SUMMANDS}
_TABLES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "capitals": ("The capital city of {} is", _CAPITALS),
    "opposites": ("The opposite of {} is", _OPPOSITES),
    "plurals": ("One {}, two", _PLURALS),
    "past tenses": ("Today I {}, and yesterday I", _PASTS),
    "young animals": ("A young {} is called a", _YOUNG),
    "chemical symbols": ("The chemical symbol of {} is", _SYMBOLS),
    "colours": ("The colour of {} is", _COLOURS),
    "professions": ("A person who {} for a living is called a", _WORKERS),
    "sums": ("{} is", _SUMS),
}  # fmt: skip


@dataclass(frozen=True)
class Question:
    """A sentence without its end, and four ends of which one is right."""

    table: str
    text: str
    choices: tuple[str, ...]
    """Each with the space before it, as it follows the text."""
    right: int


def questions() -> list[Question]:
    """Every question, always the same and in the same order."""
    return list(_made(Random("general questions")))


def _made(rng: Random) -> Iterator[Question]:
    for name, (text, facts) in _TABLES.items():
        ends = sorted(set(facts.values()))
        for what, end in facts.items():
            wrong = rng.sample([other for other in ends if not _begins(other, end)], _CHOICES - 1)
            right = rng.randrange(_CHOICES)
            choices = [*wrong[:right], end, *wrong[right:]]
            yield Question(name, text.format(what), tuple(f" {choice}" for choice in choices), right)


def _begins(one: str, other: str) -> bool:
    """Whether one end is the beginning of the other, as C is of Cu: what is shorter would always be likelier."""
    return one.startswith(other) or other.startswith(one)
