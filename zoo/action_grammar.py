"""The grammar of the calls and of the three-tag answer, as GBNF and as JSON Schema, generated from their signatures.

GBNF is what llama.cpp decodes under, JSON Schema what OpenAI-compatible endpoints take as `response_format`. Either
may be narrowed to the numbers on one screen, so that no call can miss. What a grammar lets through is what
`zoo.actions.write` writes and `zoo.actions.parse` reads; the lenient forms that the parser also reads are not in it.

Both travel with a published model (`grammar_files`), open in the numbers: who decodes under them replaces the one rule
`index` by the numbers on the screen.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.actions import LONGEST_WAIT_SECONDS, SIGNATURES, TAGS, Action, Parameter, parse, write_answer
from zoo.schema import AgentSpec

__all__ = [
    "GRAMMAR_KEY",
    "GRAMMAR_NAME",
    "SCHEMA_NAME",
    "answer_grammar",
    "answer_schema",
    "as_data",
    "call_grammar",
    "call_schema",
    "grammar_files",
    "numbers_below",
    "numbers_on",
    "read_data",
]

GRAMMAR_NAME, SCHEMA_NAME = "action.gbnf", "action.schema.json"
"""The files beside a published model."""
GRAMMAR_KEY = "edgezoo.action_grammar"
"""The key in a GGUF file's metadata that holds the same GBNF."""

_XML_NUMBER = re.compile(r"^[^\S\n]*\[n?([0-9]{1,6})\]", re.MULTILINE)
_TERSE_NUMBER = re.compile(r"^(?!.*;;).* \[([0-9]{1,6})\](?: [a-z ]+)?$", re.MULTILINE)
_MOST_INDEX_DIGITS = 18
_SECOND_DIGITS = 3


def numbers_on(text: str) -> list[int]:
    """The numbers of the elements of a screen, or of the screen in a prompt, in either form of it: those that begin a
    line, or follow its label.

    >>> numbers_on(";;Home\\n [1] ;click; ;;Clock\\n [2] ;click; ;;[7] Notes")
    [1, 2]
    """
    return sorted({int(number) for pattern in (_XML_NUMBER, _TERSE_NUMBER) for number in pattern.findall(text)})


def call_grammar(numbers: Sequence[int] | None = None) -> str:
    """GBNF of one call and nothing else; with `numbers`, an index is one of them (with none, no call has an index).

    >>> print(call_grammar([3]).splitlines()[1])
    call ::= "tap(" index ")" | "text(" string ")" | "long_press(" index ")" | "swipe(" index ", " direction ", " dist \
")" | "back()" | "home()" | "wait(" interval ")" | "finish(" string ")"
    """
    return "\n".join(("root ::= call", *_call_rules(numbers))) + "\n"


def answer_grammar(numbers: Sequence[int] | None = None, prose_characters: int | None = None) -> str:
    """GBNF of a whole three-tag answer.

    Prose may hold anything but `</`, and ends with no `<`. `prose_characters` bounds each of the two texts: a model
    that never comes to an end would otherwise spend its tokens before the call.
    """
    often = "*" if prose_characters is None else f"{{0,{prose_characters}}}"
    reasoning, assessment, called = TAGS
    root = (
        f'root ::= "<{reasoning}>" prose "</{reasoning}>\\n<{assessment}>" prose '
        f'"</{assessment}>\\n<{called}>" call "</{called}>"'
    )
    prose = (f"prose ::= letter{often}", 'letter ::= [^<] | "<"+ [^/<]')
    return "\n".join((root, *prose, *_call_rules(numbers))) + "\n"


def call_schema(numbers: Sequence[int] | None = None) -> dict[str, Any]:
    """JSON Schema of `{"name": ..., "arguments": {...}}`, every argument given."""
    return {"anyOf": [_call_object(name, numbers) for name in _callable(numbers)]}


def answer_schema(numbers: Sequence[int] | None = None) -> dict[str, Any]:
    """JSON Schema of a whole answer: `reasoning`, `state_assessment` and `call`, in this order."""
    text = {"type": "string"}
    return _object({"reasoning": text, "state_assessment": text, "call": call_schema(numbers)})


def grammar_files(agent: AgentSpec) -> dict[str, str]:
    """Name -> text of what travels with a model that was trained to answer this agent's prompts: the GBNF of its whole
    answer, which goes into a GGUF's metadata too, and the JSON Schema of the same.

    >>> list(grammar_files(AgentSpec()))
    ['action.gbnf', 'action.schema.json']
    """
    head = (
        "# Answers of this agent: three tags, the last of them one call. Before decoding, replace the rule `index`\n"
        '# by the numbers of the elements on the screen, so that no call can miss: index ::= "1" | "2" | "3"\n'
    )
    schema = json.dumps(answer_schema(), indent=2, ensure_ascii=False)
    return {GRAMMAR_NAME: head + answer_grammar(None, agent.answer_tokens), SCHEMA_NAME: f"{schema}\n"}


def as_data(action: Action) -> dict[str, Any]:
    """A call as `call_schema` has it.

    >>> as_data(Action("tap", (3,)))
    {'name': 'tap', 'arguments': {'index': 3}}
    """
    names = (parameter.name for parameter in SIGNATURES[action.name])
    return {"name": action.name, "arguments": dict(zip(names, action.arguments, strict=True))}


def read_data(text: str) -> str:
    """An answer in `answer_schema`'s form as the three-tag answer. What is none is handed back as it came: it is data.

    >>> print(read_data('{"reasoning": "a", "state_assessment": "b", "call": {"name": "back", "arguments": {}}}'))
    <REASONING>a</REASONING>
    <STATE_ASSESSMENT>b</STATE_ASSESSMENT>
    <CALLED_FUNCTION>back()</CALLED_FUNCTION>
    """
    try:
        data = json.loads(text)
        call = data["call"]
        said = ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in call["arguments"].items())
        action = parse(f"{call['name']}({said})")
        reasoning, assessment = str(data["reasoning"]), str(data["state_assessment"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return text
    return write_answer(reasoning, assessment, action) if action else text


def _callable(numbers: Sequence[int] | None) -> list[str]:
    """The calls that can hit something: without a number on screen, none that needs one."""
    return [
        name
        for name, parameters in SIGNATURES.items()
        if numbers is None or numbers or all(parameter.form != "index" for parameter in parameters)
    ]


def _call_rules(numbers: Sequence[int] | None) -> list[str]:
    names = _callable(numbers)
    rules = {_rule(parameter): _written(parameter, numbers) for name in names for parameter in SIGNATURES[name]}
    calls = " | ".join(_call(name) for name in names)
    return [f"call ::= {calls}", *(f"{name} ::= {rule}" for name, rule in rules.items()), *_STRING_RULES]


def _call(name: str) -> str:
    arguments = ' ", " '.join(_rule(parameter) for parameter in SIGNATURES[name])
    return f'"{name}(" {arguments} ")"' if arguments else f'"{name}()"'


def _rule(parameter: Parameter) -> str:
    """Its rule's name: arguments of one form share a rule, words have one each."""
    return parameter.form if parameter.form in ("index", "string") else parameter.name


_STRING_RULES = (
    r'character ::= [^"\\\x00-\x1f] | "\\" (["\\/bfnrt] | "u" [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F] [0-9a-fA-F])',
)
"""What JSON allows between two quotes."""


def _written(parameter: Parameter, numbers: Sequence[int] | None) -> str:
    match parameter.form:
        case "index" if numbers is None:
            return f"[1-9] [0-9]{{0,{_MOST_INDEX_DIGITS - 1}}}"
        case "index":
            return " | ".join(f'"{number}"' for number in numbers or ())
        case "seconds":
            below = " | ".join(numbers_below(LONGEST_WAIT_SECONDS))
            return f'({below}) ("." [0-9]{{1,{_SECOND_DIGITS}}})? | "{LONGEST_WAIT_SECONDS}"'
        case "word":
            return " | ".join(json.dumps(json.dumps(word)) for word in parameter.words)
    return r'"\"" character* "\""'


def numbers_below(limit: int) -> list[str]:
    """Every whole number from 0 to below `limit`, without leading zeros, digit by digit."""
    digits = str(limit)
    found = ['"0"', f"[1-9] [0-9]{{0,{len(digits) - 2}}}"] if len(digits) > 1 else ['"0"'] if limit else []
    for place, digit in enumerate(digits):
        lowest = "1" if place == 0 else "0"
        if digit > lowest:
            rest = len(digits) - place - 1
            before = f'"{digits[:place]}" ' if place else ""
            found.append(f"{before}[{lowest}-{int(digit) - 1}]" + (f" [0-9]{{{rest}}}" if rest else ""))
    return found


def _call_object(name: str, numbers: Sequence[int] | None) -> dict[str, Any]:
    arguments = {parameter.name: _described(parameter, numbers) for parameter in SIGNATURES[name]}
    return _object({"name": {"const": name}, "arguments": _object(arguments)})


def _described(parameter: Parameter, numbers: Sequence[int] | None) -> dict[str, Any]:
    match parameter.form:
        case "index" if numbers is None:
            return {"type": "integer", "minimum": 1}
        case "index":
            return {"enum": list(numbers or ())}
        case "seconds":
            return {"type": "number", "minimum": 0, "maximum": LONGEST_WAIT_SECONDS}
        case "word":
            return {"enum": list(parameter.words)}
    return {"type": "string"}


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }
