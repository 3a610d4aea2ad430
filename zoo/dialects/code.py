"""ReTool's words (arXiv 2504.11536): prose, then a program in <code> or the result in <answer>.

The interpreter's output comes back as <interpreter> in the next prompt, after the program that it is of, so that what a
model learns to say never holds what the interpreter said. The reader is lenient where a model that was not taught these
tags would otherwise never be heard: a fenced block of Python is a program, a `\\boxed{}` is a result. It evaluates
nothing. What comes first counts; all that follows it is not heard.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.actions import Action, Answer
from zoo.dialects import Dialect
from zoo.schema import AgentSpec

__all__ = ["ALONE", "WITH_INTERPRETER"]

_FENCE = re.compile(r"\A```(?:python|py)?[ \t]*\n(.*?)\n?```\Z", re.DOTALL)
_BOXED = re.compile(r"\\boxed\{([^{}]*)\}")
_FORMS = (
    ("code", re.compile(r"<code>(.*?)</code>", re.DOTALL)),
    ("finish", re.compile(r"<answer>(.*?)</answer>", re.DOTALL)),
)
_LENIENT = (("code", re.compile(r"```(?:python|py)[ \t]*\n(.*?)```", re.DOTALL)), ("finish", _BOXED))

_TASK = "Solve the task with Python."
_BOTH = (
    "Write <code>a program that prints the result</code>, and you are shown what it prints, or "
    "<answer>the result</answer>."
)
_ALONE = "Solve the task. Write <answer>the result</answer>."
_THINK = "Think in words first."


def _ask(system: str) -> Any:
    def ask(spec: AgentSpec, instruction: str, observation: str) -> list[dict[str, Any]]:
        told = f"{system} {_THINK}" if spec.style == "openphone" else system
        asked = f"{instruction.strip()}\n\n{observation}" if observation else instruction.strip()
        return [{"role": "system", "content": told}, {"role": "user", "content": asked}]

    return ask


def _reader(names: Sequence[str]) -> Any:
    def read(text: str) -> Answer:
        for forms in (_FORMS, _LENIENT):
            found = [
                (match.start(), name, match) for name, form in forms if name in names for match in form.finditer(text)
            ]
            for _, name, match in sorted(found, key=lambda one: one[0]):
                if content := _content(name, match[1]):
                    outside = bool(text[match.end() :].strip())
                    return Answer(
                        text[: match.start()].strip() or None, None, content, Action(name, (content,)), outside
                    )  # fmt: skip
        return Answer(None, None, None, None, bool(text.strip()))

    return read


def _content(name: str, inside: str) -> str:
    """A program without its fence, a result without its box."""
    inside = inside.strip("\n") if name == "code" else inside.strip()
    if name == "code":
        return match[1] if (match := _FENCE.match(inside.strip())) else inside if inside.strip() else ""
    return match[1].strip() if (match := _BOXED.search(inside)) else inside


def _write(reasoning: str, assessment: str, action: Action) -> str:
    """The answer; an assessment has no place in it."""
    head = f"{reasoning}\n" if reasoning else ""
    said = str(action.arguments[0])
    return f"{head}<code>\n{said}\n</code>" if action.name == "code" else f"{head}<answer>{said}</answer>"


_LETTERS = (r'letter ::= [^<] | "<"+ [^/<]',)


def _grammar(names: Sequence[str]) -> Any:
    def grammar(numbers: Sequence[int] | None = None, prose_characters: int | None = None) -> str:
        often = "*" if prose_characters is None else f"{{0,{prose_characters}}}"
        forms = {
            "code": '"<code>\\n" letter+ "\\n</code>"',
            "finish": '"<answer>" letter+ "</answer>"',
        }  # fmt: skip
        root = f"root ::= prose ({' | '.join(forms[name] for name in names)})"
        return "\n".join((root, f"prose ::= word{often}", "word ::= [^<]", *_LETTERS)) + "\n"

    return grammar


_ARGUMENT = {"code": "source", "finish": "message"}


def _schema(names: Sequence[str]) -> Any:
    def schema(numbers: Sequence[int] | None = None) -> Mapping[str, Any]:
        calls = [_object({"name": {"const": name}, _ARGUMENT[name]: {"type": "string"}}) for name in names]
        return _object({"reasoning": {"type": "string"}, "call": {"anyOf": calls}})

    return schema


def _read_data(text: str) -> str:
    """An answer under the schema as the tags have it; what is none is handed back as it came: it is data."""
    try:
        data = json.loads(text)
        call = data["call"]
        said = str(call[_ARGUMENT[call["name"]]])
        return _write(str(data["reasoning"]), "", Action(call["name"], (said,)))
    except (ValueError, KeyError, TypeError):
        return text


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object", "properties": dict(properties), "required": list(properties), "additionalProperties": False,
    }  # fmt: skip


def _dialect(names: Sequence[str], system: str) -> Dialect:
    return Dialect(_reader(names), _write, _grammar(names), _schema(names), _read_data, _ask(system))


WITH_INTERPRETER = _dialect(("code", "finish"), f"{_TASK} {_BOTH}")
"""`code(source)` and `finish(message)`."""
ALONE = _dialect(("finish",), _ALONE)
"""`finish(message)` alone: the same tasks in the head."""
