"""All tokens that a grammar allows, place by place: for whoever samples from what is left, and needs its whole mass.

It means what `zoo.serving.token_grammar` means, which looks for one token and is faster at that. All tokens are read
side by side, a letter at a time; where a grammar stands tells few letters apart, and only those are asked about. Masks
are bits, the first token the highest bit of the first byte.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError
from zoo.serving import gbnf
from zoo.serving.gbnf import Letters
from zoo.serving.token_grammar import END, Machine, Places

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Constrained", "Place", "Spelling", "TokenMasks"]

Place = tuple[Places, bytes]
"""Where an answer stands in a grammar, and the bytes of a letter that is not whole yet."""
_MOST_PLACES = 4096
"""Of one grammar, whose masks are kept: at 6 KB each for fifty thousand tokens."""
_NONE = -1


class Spelling:
    """What the tokens of a vocabulary write, as letters.

    `token_bytes`: see `zoo.serving.token_bytes`; `stops`: tokens that end an answer; `size`: the width of logits.
    """

    def __init__(self, token_bytes: Sequence[bytes | None], stops: Sequence[int], size: int) -> None:
        self.bytes, self.stops, self.size = token_bytes, frozenset(stops), size
        self.whole: list[int] = []
        """Tokens of whole letters."""
        self.broken: list[tuple[int, bytes]] = []
        """Tokens that hold a part of a letter."""
        self.texts: list[str] = []
        for token, said in enumerate(token_bytes[:size]):
            if not said or token in self.stops:
                continue
            try:
                self.texts.append(said.decode("utf-8"))
                self.whole.append(token)
            except UnicodeDecodeError:
                self.broken.append((token, said))

    @cached_property
    def letters(self) -> "Array":
        """The code points that its tokens are written in, in order."""
        import numpy as np

        return np.array(sorted({ord(letter) for text in self.texts for letter in text}), np.int64)

    @cached_property
    def columns(self) -> "Array":
        """The places in `letters` of the letters of `whole` [longest, W], -1 behind the last of each."""
        import numpy as np

        places = {code: place for place, code in enumerate(self.letters.tolist())}
        columns = np.full((max(map(len, self.texts), default=1), len(self.texts)), _NONE, np.int32)
        for token, text in enumerate(self.texts):
            columns[: len(text), token] = [places[ord(letter)] for letter in text]
        return columns


class TokenMasks:
    """A grammar over a vocabulary; keeps what it found.

    Raises DataError when the text is no grammar, see `zoo.serving.gbnf.read`.
    """

    def __init__(self, text: str, spelling: Spelling) -> None:
        self.spelling, self._machine = spelling, Machine(gbnf.read(text))
        self._masks: dict[Place, Array] = {}
        self._known: list[Places] = []
        self._numbers: dict[Places, int] = {}
        self._after: dict[int, Array] = {}
        self._holds: dict[Letters, Array] = {}

    def start(self) -> Place:
        """Before the first token."""
        return self._machine.start(), b""

    def after(self, place: Place, token: int) -> Place:
        """Behind a token that is allowed and ends nothing."""
        said = self.spelling.bytes[token]
        found = self._machine.read(place[0], place[1] + said) if said else None
        assert found is not None, "only what was allowed is accepted"
        return found

    def allowed(self, place: Place) -> "Array":
        """A bit for every token, uint8 [ceil(size / 8)].

        Raises DataError when no token is allowed: the vocabulary cannot write what comes next.
        """
        if place not in self._masks:
            if len(self._masks) >= _MOST_PLACES:
                self._masks.clear()
            self._masks[place] = self._found(place)
        return self._masks[place]

    def _found(self, place: Place) -> "Array":
        import numpy as np

        places, rest = place
        mask = np.zeros(self.spelling.size, bool)
        if not rest:  # a letter that was begun goes on with a token that begins amid one
            mask[self.spelling.whole] = self._readable(places)
        for token, said in self.spelling.broken:
            mask[token] = self._machine.read(places, rest + said) is not None
        if END in places and not rest:
            mask[sorted(self.spelling.stops)] = True
        if not mask.any():
            raise DataError("the grammar allows no token here; it asks for what the vocabulary cannot write")
        return np.packbits(mask)

    def _readable(self, places: Places) -> "Array":
        """Which tokens of whole letters [W] can be read from here: all of them at once, a letter at a time."""
        import numpy as np

        columns = self.spelling.columns
        readable = np.zeros(columns.shape[1], bool)
        alive, at = np.arange(columns.shape[1]), np.full(columns.shape[1], self._number(places))
        for column in columns:
            letters = column[alive]
            ended = letters == _NONE
            readable[alive[ended]] = True
            alive, at, letters = alive[~ended], at[~ended], letters[~ended]
            after = np.full(len(alive), _NONE)
            for number in np.unique(at).tolist():
                here = at == number
                after[here] = self._behind(number)[letters[here]]
            alive, at = alive[after != _NONE], after[after != _NONE]
            if not len(alive):
                return readable
        readable[alive] = True
        return readable

    def _behind(self, number: int) -> "Array":
        """Of some places, by their number: those behind each letter [letters of the vocabulary], -1 where none are."""
        import numpy as np

        if number not in self._after:
            places, letters = self._known[number], self.spelling.letters
            kinds = np.zeros(len(letters), np.int64)
            for one in self._machine.letters(places):  # letters that no set tells apart lead to the same places
                _, kinds = np.unique(kinds * 2 + self._held(one), return_inverse=True)
            _, examples, kinds = np.unique(kinds, return_index=True, return_inverse=True)
            found = [self._machine.read(places, chr(letters[place]).encode()) for place in examples.tolist()]
            numbers = [_NONE if one is None else self._number(one[0]) for one in found]
            self._after[number] = np.array(numbers)[kinds]
        return self._after[number]

    def _held(self, letters: Letters) -> "Array":
        """Which letters of the vocabulary are in a set."""
        import numpy as np

        if letters not in self._holds:
            codes = self.spelling.letters
            within = [(codes >= low) & (codes <= high) for low, high in letters.ranges]
            self._holds[letters] = np.logical_or.reduce(within) if within else np.zeros(len(codes), bool)
        return self._holds[letters]

    def _number(self, places: Places) -> int:
        if places not in self._numbers:
            self._numbers[places] = len(self._known)
            self._known.append(places)
        return self._numbers[places]


class Constrained:
    """A batch's answers kept to a grammar each, as a logits processor of transformers' `generate`.

    `allowed` is, of every row, what was allowed at each of its tokens, the stop token included.
    """

    def __init__(self, masks: Sequence[TokenMasks], prompt_width: int) -> None:
        self._masks, self._width = masks, prompt_width
        self._places: list[Place | None] = [one.start() for one in masks]
        self.allowed: list[list[Array]] = [[] for _ in masks]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Scores [B, V] with minus infinity for what is not allowed; a row that has ended is left as it is."""
        import numpy as np
        import torch

        if input_ids.shape[1] > self._width:
            self._go_on(input_ids[:, -1].tolist())
        rows = np.full((len(self._masks), (scores.shape[1] + 7) // 8), 0xFF, np.uint8)
        for row, (masks, place) in enumerate(zip(self._masks, self._places, strict=True)):
            if place is not None:
                rows[row] = masks.allowed(place)
                self.allowed[row].append(rows[row])
        bits = np.unpackbits(rows, axis=1, count=scores.shape[1]).astype(bool)
        return scores.masked_fill(~torch.from_numpy(bits).to(scores.device), float("-inf"))

    def _go_on(self, tokens: Sequence[int]) -> None:
        for row, (masks, place, token) in enumerate(zip(self._masks, self._places, tokens, strict=True)):
            if place is not None:
                self._places[row] = None if token in masks.spelling.stops else masks.after(place, token)
