"""Conversations of any dataset as rows: messages, ShareGPT's conversations, prompts with completions, instructions.

A row of `messages` teaches all turns of the assistant; with `turns: last` it becomes `prompt` and `completion` and
teaches the last. Tool calls and tool results stay messages of their own: a trainer masks what the assistant did not
say. Rows that a data stage wrote are read too, their `solution`, `task`, `template` and `step` kept. Pictures come
from `images` or `image`; `<image>` in a text is a mark and is taken out.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.data.pictures import UnusablePicture, pictures_of
from zoo.data.records import data_files, records
from zoo.data.samples import Dropped, Made, Sample, said_by
from zoo.errors import DataError

__all__ = ["chats"]

_ROLES = {
    "system": "system", "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant",
    "model": "assistant", "bot": "assistant", "tool": "tool", "function": "tool", "observation": "tool",
    "function_response": "tool", "ipython": "tool", "function_call": "call", "developer": "system",
}  # fmt: skip
_KEPT = ("solution", "task", "template", "step")
_MESSAGE_KEYS = ("tool_calls", "tool_call_id", "name", "reasoning_content")
_MARK = "<image>"


class _Unusable(Exception):
    """Why one row is dropped. It never leaves this module."""


def chats(source: Path, turns: str) -> Made:
    """Every conversation of a dataset's files. Raises DataError when a file has no column that is known."""
    root = source if source.is_dir() else source.parent
    for file in data_files(source):
        for number, record in enumerate(records(file), start=1):
            if number == 1:
                _check_columns(file, record)
            name = f"{file.relative_to(root).as_posix()}:{number}"
            try:
                yield _sample(record, name, turns, root, file.parent)
            except (_Unusable, UnusablePicture) as why:
                yield Dropped(str(why))


def _check_columns(file: Path, record: Mapping[str, Any]) -> None:
    known = ("messages", "conversations", "text")
    pairs = (("prompt", "completion"), ("instruction", "output"))
    if not any(name in record for name in known) and not any(set(pair) <= record.keys() for pair in pairs):
        raise DataError(
            f"{file} has the columns {', '.join(sorted(record))}; format chat reads messages, conversations, prompt "
            "and completion, instruction and output, or text"
        )


def _sample(record: Mapping[str, Any], name: str, turns: str, root: Path, folder: Path) -> Sample:
    row = _row(record, turns)
    about = {key: record[key] for key in _KEPT if record.get(key) is not None}
    row = {**row, "task": name, **about}
    pictures = tuple(pictures_of(dict(record), root, folder))
    marks = sum(text.count(_MARK) for text in said_by(row))
    if marks and marks != len(pictures):
        raise _Unusable(f"not as many pictures as {_MARK} marks")
    return Sample(_without_marks(row) if marks else row, pictures)


def _row(record: Mapping[str, Any], turns: str) -> dict[str, Any]:
    if isinstance(record.get("text"), str) and "prompt" not in record:
        return {"text": record["text"]}
    tools = {"tools": _loaded(record["tools"])} if record.get("tools") else {}
    if "prompt" in record and "completion" in record:
        return {**_pair(_turns_of(record["prompt"], "user"), _turns_of(record["completion"], "assistant")), **tools}
    if "messages" in record or "conversations" in record:
        return {**_conversation(record, turns), **tools}
    asked = "\n".join(str(record[key]) for key in ("instruction", "input") if record.get(key))
    system = [{"role": "system", "content": str(record["system"])}] if record.get("system") else []
    return _pair([*system, {"role": "user", "content": asked}], _turns_of(record["output"], "assistant"))


def _conversation(record: Mapping[str, Any], turns: str) -> dict[str, Any]:
    messages = _messages(record.get("messages") or record.get("conversations"))
    if record.get("system") and messages[0]["role"] != "system":
        messages = [{"role": "system", "content": str(record["system"])}, *messages]
    if messages[-1]["role"] != "assistant":
        raise _Unusable("a conversation that does not end with the assistant")
    return {"messages": messages} if turns == "all" else _pair(messages[:-1], messages[-1:])


def _pair(prompt: list[dict[str, Any]], completion: list[dict[str, Any]]) -> dict[str, Any]:
    if not prompt or len(completion) != 1 or completion[0]["role"] != "assistant":
        raise _Unusable("not a prompt and one answer of the assistant")
    if not completion[0]["content"] and "tool_calls" not in completion[0]:
        raise _Unusable("an empty answer")
    return {"prompt": prompt, "completion": completion}


def _turns_of(value: Any, role: str) -> list[dict[str, Any]]:
    return _messages(value) if isinstance(value, list) else [{"role": role, "content": str(value or "")}]


def _messages(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value:
        raise _Unusable("no messages")
    return [_message(one) for one in value]


def _message(one: Any) -> dict[str, Any]:
    if not isinstance(one, Mapping):
        raise _Unusable("a message that is no object")
    role = _ROLES.get(str(one.get("role") or one.get("from")).lower())
    if role is None:
        raise _Unusable(f"a message of the role {one.get('role') or one.get('from')!r}")
    content = one["content"] if "content" in one else one.get("value")
    if role == "call":
        return {"role": "assistant", "content": "", "tool_calls": [_call(content)]}
    extra = {key: one[key] for key in _MESSAGE_KEYS if one.get(key)}
    if "tool_calls" in extra:
        extra["tool_calls"] = [_call(call) for call in _loaded(extra["tool_calls"])]
    return {"role": role, "content": _text(content), **extra}


def _text(content: Any) -> str:
    """A text, or OpenAI's parts: what is a picture is told by a mark."""
    if not isinstance(content, list):
        return str(content or "")
    parts = []
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text":
            parts.append(str(part.get("text") or ""))
        elif kind in ("image", "image_url"):
            parts.append(_MARK)
        else:
            raise _Unusable(f"a part of the type {kind!r}")
    return "".join(parts)


def _call(value: Any) -> dict[str, Any]:
    """A tool call as chat templates read it: its arguments are an object, not a text."""
    given = _loaded(value)
    function = given.get("function", given) if isinstance(given, Mapping) else None
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise _Unusable("a tool call without a name")
    arguments = _loaded(function.get("arguments") or {})
    call = {"type": "function", "function": {"name": function["name"], "arguments": arguments}}
    return {**call, "id": given["id"]} if given.get("id") else call


def _loaded(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as error:
        raise _Unusable("a tool or tool call that is no JSON") from error


def _without_marks(row: dict[str, Any]) -> dict[str, Any]:
    def cleaned(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**one, "content": one["content"].replace(_MARK, "").strip()} for one in messages]

    named = ("prompt", "completion", "messages")
    return {key: cleaned(value) if key in named else value for key, value in row.items()}
