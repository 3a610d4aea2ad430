"""OpenPhone's eight calls, as text and as data: the only parser and the only formatter of them.

The parser is lenient in OpenPhone's order (tag, then an `Action:` or `Function:` line, then a bare call) and never
evaluates anything: a call is a name and literals, matched by a regular grammar. What it cannot read is `None`, which is
data. It does not know what is on a screen: whether `tap(9)` hits something is the environment's business.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "DEFAULT_FINISH",
    "LONGEST_WAIT_SECONDS",
    "SIGNATURES",
    "TAGS",
    "Action",
    "Answer",
    "Form",
    "Parameter",
    "Value",
    "parse",
    "read_answer",
    "read_call",
    "same",
    "write",
    "write_answer",
]

Value = int | float | str
Form = Literal["index", "string", "seconds", "word"]

DEFAULT_FINISH = "The task has been finished."
"""What `finish()` says when it is given nothing to say."""


@dataclass(frozen=True)
class Action:
    """One call, with every argument in the order of its signature, defaults filled in."""

    name: str
    arguments: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Parameter:
    """One argument of a call."""

    name: str
    read: Callable[[Value], Value | None]
    """The argument as it is kept, or None when the call may not say this."""
    default: Value | None = None
    """None when it must be given."""
    form: Form = "string"
    """What a grammar may write here; `read` may take more."""
    words: tuple[str, ...] = ()
    """The words of a `word`."""


@dataclass(frozen=True)
class Answer:
    """An agent's three-tag answer, taken apart."""

    reasoning: str | None
    """The text between the tags, stripped; None when the tag is missing or not closed."""
    assessment: str | None
    called: str | None
    """What stands in CALLED_FUNCTION, whether it is a call or not."""
    action: Action | None
    """The call, wherever the lenient parser found it."""
    extra_text: bool
    """Whether anything but space stands outside the tags."""


LONGEST_WAIT_SECONDS = 86_400


def _index(value: Value) -> Value | None:
    number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,6}", value) else value
    return number if isinstance(number, int) and number >= 1 else None


def _string(value: Value) -> Value | None:
    return str(value)


def _seconds(value: Value) -> Value | None:
    if isinstance(value, str) or not 0 <= value <= LONGEST_WAIT_SECONDS:
        return None
    return int(value) if value == int(value) else round(value, 3)


def _one_of(*words: str) -> Callable[[Value], Value | None]:
    def read(value: Value) -> Value | None:
        word = str(value).lower()
        return word if word in words else None

    return read


def _word(name: str, words: tuple[str, ...], default: str | None = None) -> Parameter:
    return Parameter(name, _one_of(*words), default, "word", words)


_INDEX = Parameter("index", _index, form="index")

SIGNATURES: dict[str, tuple[Parameter, ...]] = {
    "tap": (_INDEX,),
    "text": (Parameter("input_str", _string),),
    "long_press": (_INDEX,),
    "swipe": (
        _INDEX,
        _word("direction", ("up", "down", "left", "right")),
        _word("dist", ("short", "medium", "long"), "medium"),
    ),
    "back": (),
    "home": (),
    "wait": (Parameter("interval", _seconds, 5, "seconds"),),
    "finish": (Parameter("message", _string, DEFAULT_FINISH),),
}
"""Name -> its arguments. An index is the number of an element on screen, from 1; an interval is in seconds."""

_STRING = r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'"
_LITERAL = rf"(?:{_STRING}|-?[0-9]+(?:\.[0-9]+)?|[A-Za-z]\w*)"
_ARGUMENT = rf"(?:[a-z_]+\s*=\s*)?{_LITERAL}"
_CALL = re.compile(
    rf"\b(?P<name>{'|'.join(SIGNATURES)})\s*\(\s*(?P<arguments>(?:{_ARGUMENT}(?:\s*,\s*{_ARGUMENT})*)?)\s*,?\s*\)",
    re.DOTALL,
)
_NAMED = re.compile(rf"(?:(?P<name>[a-z_]+)\s*=\s*)?(?P<literal>{_LITERAL})", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_LINE = re.compile(r"^[ \t*]*(?:Action|Function)[ \t*]*:(?P<rest>.*)$", re.IGNORECASE | re.MULTILINE)
_OPEN_CALLED = re.compile(r"<CALLED_FUNCTION>(.*?)(?:</CALLED_FUNCTION>|\Z)", re.DOTALL)
TAGS = ("REASONING", "STATE_ASSESSMENT", "CALLED_FUNCTION")
"""Of an answer, in OpenPhone's order."""
_CLOSED = {tag: re.compile(rf"<{tag}>(.*?)</{tag}>", re.DOTALL) for tag in TAGS}


def parse(text: str) -> Action | None:
    """The first call in the tag, else in an `Action:` or `Function:` line, else anywhere; None when there is none.

    A tag or a line that holds no readable call does not hide one that stands elsewhere. Never raises.

    >>> parse('Action: tap(index=3)')
    Action(name='tap', arguments=(3,))
    >>> parse("swipe(2, 'up')").arguments
    (2, 'up', 'medium')
    """
    candidates = [
        *(match[1] for match in _OPEN_CALLED.finditer(text)),
        *(match["rest"] for match in _LINE.finditer(text)),
        text,
    ]
    return next((action for candidate in candidates if (action := _first_call(candidate))), None)


def write(action: Action) -> str:
    """The canonical text of a call: positional, strings in double quotes.

    >>> write(Action("text", ("milk",)))
    'text("milk")'
    """
    return f"{action.name}({', '.join(json.dumps(value, ensure_ascii=False) for value in action.arguments)})"


def read_call(text: str) -> Action | None:
    """What `write` wrote, whatever the call is named; None for any other text.

    >>> read_call('code("print(1)")')
    Action(name='code', arguments=('print(1)',))
    """
    name, _, rest = text.partition("(")
    try:
        arguments = json.loads(f"[{rest[:-1]}]") if rest.endswith(")") else None
    except json.JSONDecodeError:
        return None
    return None if arguments is None else Action(name, tuple(arguments))


def same(a: Action | None, b: Action | None) -> bool:
    """Whether both call the same function with the same arguments; what could not be read equals nothing."""
    return a is not None and a == b


def read_answer(text: str) -> Answer:
    """Take an agent's answer apart. Never raises: what is missing is None."""
    parts = {tag: match[1].strip() if (match := _CLOSED[tag].search(text)) else None for tag in TAGS}
    outside = text
    for pattern in _CLOSED.values():
        outside = pattern.sub("", outside, count=1)
    reasoning, assessment, called = (parts[tag] for tag in TAGS)
    return Answer(reasoning, assessment, called, parse(text), bool(outside.strip()))


def write_answer(reasoning: str, assessment: str, action: Action) -> str:
    """The three-tag answer, one tag after the other in OpenPhone's order."""
    return "\n".join(
        f"<{tag}>{content}</{tag}>" for tag, content in zip(TAGS, (reasoning, assessment, write(action)), strict=True)
    )


def _first_call(text: str) -> Action | None:
    for match in _CALL.finditer(text):
        if action := _bind(match["name"], match["arguments"]):
            return action
    return None


def _bind(name: str, arguments: str) -> Action | None:
    """Arguments, by position or by name, in the order of the signature; None when one is missing, twice or too many."""
    parameters = SIGNATURES[name]
    given: dict[str, Value] = {}
    for position, match in enumerate(_NAMED.finditer(arguments)):
        key = match["name"] or (parameters[position].name if position < len(parameters) else "")
        if key in given or all(key != parameter.name for parameter in parameters):
            return None
        given[key] = _literal(match["literal"])
    values = [
        parameter.read(given[parameter.name]) if parameter.name in given else parameter.default
        for parameter in parameters
    ]
    kept = tuple(value for value in values if value is not None)
    return Action(name, kept) if len(kept) == len(parameters) else None


def _literal(token: str) -> Value:
    if token[0] in "\"'":
        return _ESCAPE.sub(_unescape, token[1:-1])
    if re.fullmatch(r"-?[0-9]{1,18}", token):
        return int(token)
    return float(token) if re.fullmatch(r"-?[0-9.]+", token) else token


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) == 5:
        return chr(int(code[1:], 16))
    return {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}.get(code, code)
