"""Greedy decoding under a grammar in GBNF, for runtimes without a sampler of their own: torch, ONNX Runtime and GenAI.

It means what `zoo.serving.llama_grammar` means by the same text, and has the same two methods. Special tokens are never
said, whatever their text; the answer may stop where the grammar is at its end.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zoo.errors import DataError
from zoo.serving import gbnf
from zoo.serving.gbnf import Letters

if TYPE_CHECKING:
    import numpy as np

__all__ = ["END", "Machine", "Places", "TokenGrammar"]

_LIKELY = 16
"""Tokens that are asked for one by one before all of them are sorted out by their first byte."""
END = -1
"""The place behind everything: where a grammar may end."""
Places = frozenset[int]


class TokenGrammar:
    """Where one answer stands in a grammar.

    `token_bytes`: of every token what it writes, None for one that writes nothing; `stops`: tokens that end an answer.

    Raises DataError when the text is no grammar, see `zoo.serving.gbnf.read`.
    """

    def __init__(self, text: str, token_bytes: Sequence[bytes | None], stops: frozenset[int]) -> None:
        self._machine = Machine(gbnf.read(text))
        self._bytes, self._stops = token_bytes, sorted(stops)
        self._places, self._rest = self._machine.start(), b""
        """`_rest`: the bytes of a letter that is not whole yet."""

    def choose(self, logits: "np.ndarray[Any, Any]") -> int:
        """The most likely of the allowed tokens, by logits [V].

        Raises DataError when the grammar allows none, which happens when the vocabulary cannot write what comes next.
        """
        import numpy as np

        best = int(logits.argmax())
        if self._allows(best):
            return best
        likely = np.argpartition(logits, -_LIKELY)[-_LIKELY:] if len(logits) > _LIKELY else np.arange(len(logits))
        for token in likely[np.argsort(-logits[likely], kind="stable")]:
            if self._allows(int(token)):
                return int(token)
        for token in self._by_first_byte(logits):
            if self._allows(token):
                return token
        raise DataError("the grammar allows no token here; it asks for what the vocabulary cannot write")

    def accept(self, token: int) -> None:
        """The answer goes on with a token that `choose` gave and that is no stop token."""
        found = self._after(token)
        assert found is not None, "only what was allowed is accepted"
        self._places, self._rest = found

    def _allows(self, token: int) -> bool:
        if token in self._stops:
            return END in self._places and not self._rest
        return self._after(token) is not None

    def _after(self, token: int) -> tuple[Places, bytes] | None:
        said = self._bytes[token] if token < len(self._bytes) else None
        return self._machine.read(self._places, self._rest + said) if said else None

    def _by_first_byte(self, logits: "np.ndarray[Any, Any]") -> list[int]:
        """Every token that begins with a byte that can come next, and the stop tokens, the likeliest first."""
        import numpy as np

        going = [self._machine.read(self._places, self._rest + bytes([byte])) is not None for byte in range(256)]
        wanted = [token for token, said in enumerate(self._bytes[: len(logits)]) if said and going[said[0]]]
        candidates = np.array([*wanted, *self._stops], np.int64)
        return [int(token) for token in candidates[np.argsort(-logits[candidates], kind="stable")]]


class Machine:
    """The rules as a machine over letters: a set of places, each a stack of what is still to come, numbered once.

    A place is the number of (rest of an alternative, place behind it); the end of the grammar is the place -1.
    """

    def __init__(self, rules: gbnf.Rules) -> None:
        self._rules = rules
        self._numbers: dict[tuple[gbnf.Way, int], int] = {}
        self._stacks: list[tuple[gbnf.Way, int]] = []
        self._next: dict[tuple[Places, str], Places] = {}

    def start(self) -> Places:
        """Before the first letter."""
        return self._letters_at(("root",), END)

    def read(self, places: Places, data: bytes) -> tuple[Places, bytes] | None:
        """Where bytes lead to, and those of a letter that is not whole; None when they lead nowhere."""
        text, rest = _whole(data)
        if text is None:
            return None
        for letter in text:
            if (places, letter) not in self._next:
                self._next[places, letter] = self._step(places, ord(letter))
            places = self._next[places, letter]
            if not places:
                return None
        if rest and not any(self._letters(place).holds(*_span(rest)) for place in places if place != END):
            return None
        return places, rest

    def letters(self, places: Places) -> set[Letters]:
        """The sets of letters that can come next."""
        return {self._letters(place) for place in places if place != END}

    def _step(self, places: Places, code: int) -> Places:
        found: set[int] = set()
        for place in places:
            if place != END and self._letters(place).holds(code, code):
                way, behind = self._stacks[place]
                found |= self._letters_at(way[1:], behind)
        return frozenset(found)

    def _letters(self, place: int) -> Letters:
        symbol = self._stacks[place][0][0]
        assert isinstance(symbol, Letters)
        return symbol

    def _letters_at(self, way: gbnf.Way, behind: int) -> Places:
        """Every place that begins with letters, reached without reading one."""
        found, seen, pending = set[int](), set[tuple[gbnf.Way, int]](), [(way, behind)]
        while pending:
            way, behind = one = pending.pop()
            if one in seen:
                continue
            seen.add(one)
            if not way:
                if behind == END:
                    found.add(END)
                else:
                    pending.append(self._stacks[behind])
            elif isinstance(way[0], Letters):
                found.add(self._number(way, behind))
            else:
                # what ends with a rule needs no place to come back to: repetitions would pile them up
                after = self._number(way[1:], behind) if len(way) > 1 else behind
                pending += [(inner, after) for inner in self._rules[way[0]]]
        return frozenset(found)

    def _number(self, way: gbnf.Way, behind: int) -> int:
        if (way, behind) not in self._numbers:
            self._numbers[way, behind] = len(self._stacks)
            self._stacks.append((way, behind))
        return self._numbers[way, behind]


_SHORTEST = {2: 0x80, 3: 0x800, 4: 0x10000}
"""The first code point that needs so many bytes: what fits into fewer is no UTF-8."""
_LENGTHS = ((0xC2, 0xDF, 2), (0xE0, 0xEF, 3), (0xF0, 0xF4, 4))


def _whole(data: bytes) -> tuple[str | None, bytes]:
    """The letters of some bytes, and the bytes of one that is not whole yet; None for what is no UTF-8."""
    try:
        return data.decode("utf-8"), b""
    except UnicodeDecodeError as error:
        rest = data[error.start :]
        if error.end < len(data) or not rest or len(rest) >= _length(rest[0]):
            return None, b""
        return data[: error.start].decode("utf-8"), rest


def _length(first: int) -> int:
    """Bytes of a letter, by its first; 0 for a byte that begins none."""
    return next((length for low, high, length in _LENGTHS if low <= first <= high), 0)


def _span(rest: bytes) -> tuple[int, int]:
    """The first and last code point whose UTF-8 begins with these bytes; the last below the first where none does."""
    length = _length(rest[0])
    missing = length - len(rest)
    value = rest[0] & (0xFF >> (length + 1))
    for byte in rest[1:]:
        value = value << 6 | byte & 0x3F
    return max(value << 6 * missing, _SHORTEST[length]), (value + 1 << 6 * missing) - 1
