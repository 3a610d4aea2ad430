"""Is a chat the same prompt everywhere: in transformers, in llama.cpp's own Jinja, and on this project's prompt path.

A template may be equal letter by letter and still be rendered otherwise by another engine, and then the model is asked
what it was never trained on. Messages, systems, tools, a tool's call and its result are rendered by all three.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from zoo.errors import ExportError, ModelError
from zoo.serving import TorchRuntime, prompts
from zoo.serving.llama_server import ask, llama_server
from zoo.verify.check import Check

__all__ = ["CASES", "Case", "rendered_alike"]

_CONTEXT = 256
_TAP = {
    "type": "function",
    "function": {
        "name": "tap",
        "description": "Touch the element with this number.",
        "parameters": {"type": "object", "properties": {"index": {"type": "integer"}}, "required": ["index"]},
    },
}


@dataclass(frozen=True)
class Case:
    """A chat, and the tools that it may call."""

    name: str
    messages: tuple[Mapping[str, Any], ...]
    tools: tuple[Mapping[str, Any], ...] = ()


_SYSTEM = {"role": "system", "content": "You operate a phone."}
_ASKED = {"role": "user", "content": "Öffne 設定 12."}
_ANSWERED = {"role": "assistant", "content": "back()"}
_CALLED = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "call00001", "type": "function", "function": {"name": "tap", "arguments": {"index": 3}}}],
}
_RESULT = {"role": "tool", "tool_call_id": "call00001", "name": "tap", "content": '{"screen": "Settings"}'}

CASES = (
    Case("single turn", (_ASKED,)),
    Case("system", (_SYSTEM, _ASKED)),
    Case("multi turn", (_SYSTEM, _ASKED, _ANSWERED, {"role": "user", "content": "Call 555 0142."})),
    Case("answered", (_ASKED, _ANSWERED)),
    Case("tools", (_SYSTEM, _ASKED), (_TAP,)),
    Case("tool call and result", (_SYSTEM, _ASKED, _CALLED, _RESULT), (_TAP,)),
)


def rendered_alike(reference: TorchRuntime, file: Path, chats: Sequence[Sequence[Mapping[str, Any]]] = ()) -> Check:
    """Whether every case, and every chat besides, is the same text in all three. What the checkpoint's template refuses
    in transformers is left out and counted."""
    if not reference.chat_template:
        return Check("rendered prompts", None, "not run: the checkpoint has no chat template")
    cases = [*CASES, *(Case("held-out step", tuple(chat)) for chat in chats)]
    wanted = {
        index: text for index, case in enumerate(cases) if (text := _by_transformers(reference, case)) is not None
    }
    try:
        with llama_server(file, context=_CONTEXT) as address:
            wrong = list(_differences(reference, address, cases, wanted))
    except ExportError as error:
        return Check("rendered prompts", False, str(error))
    if wrong:
        return Check("rendered prompts", False, f"{len(wrong)} of {len(wanted)} differ; first {wrong[0]}")
    refused = len(cases) - len(wanted)
    left = f"; {refused} that the template itself refuses left out" if refused else ""
    return Check("rendered prompts", True, f"{len(wanted)} chats in transformers and llama.cpp{left}")


def _differences(
    reference: TorchRuntime, address: str, cases: Sequence[Case], wanted: Mapping[int, str]
) -> Iterator[str]:
    begin = str(reference.tokenizer.bos_token or "")
    for index, expected in wanted.items():
        case = cases[index]
        found = {"llama.cpp": _by_llama(address, case), "the project's prompt path": _by_us(reference, case)}
        for engine, text in found.items():
            # llama.cpp leaves the first BOS to its tokenizer
            if text.removeprefix(begin) != expected.removeprefix(begin):
                yield f"{case.name}, by {engine}: {_first_difference(text, expected)}"


def _by_transformers(reference: TorchRuntime, case: Case) -> str | None:
    try:
        text: str = reference.tokenizer.apply_chat_template(
            [dict(message) for message in case.messages],
            tools=[dict(tool) for tool in case.tools] or None,
            add_generation_prompt=_open(case),
            tokenize=False,
        )
        return text
    except (TemplateError, ValueError):  # ValueError: no template at all, which is another check's finding
        return None


def _by_us(reference: TorchRuntime, case: Case) -> str:
    try:
        return prompts.render(
            reference.chat_template, case.messages, reference.tokenizer.special_tokens_map, case.tools
        )
    except ModelError as error:
        return str(error)


def _by_llama(address: str, case: Case) -> str:
    body = {"messages": list(case.messages), "add_generation_prompt": _open(case)}
    try:
        return str(
            ask(address, "/apply-template", body | ({"tools": list(case.tools)} if case.tools else {}))["prompt"]
        )
    except ExportError as error:
        return str(error)


def _open(case: Case) -> bool:
    return bool(case.messages[-1]["role"] != "assistant")


def _first_difference(found: str, expected: str) -> str:
    pairs = zip(found, expected, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(found), len(expected)))
    return f"from character {at} {found[at : at + 50]!r}, in transformers {expected[at : at + 50]!r}"
