"""Chats to prompt text: the one place that renders a chat template.

The environment behaves like the one of transformers' `apply_chat_template` (sandboxed Jinja, `trim_blocks`,
`lstrip_blocks`, loop controls, `raise_exception`, `strftime_now`, a `tojson` that keeps Unicode), so that a prompt here
is the prompt of training. Not covered: `{% generation %}`, a mark for trainers that llama.cpp does not read either.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NoReturn

from jinja2 import Template, TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from zoo.errors import ModelError
from zoo.serving.runtime import Chat

__all__ = ["render"]


def render(
    source: str,
    chat: Chat,
    special_tokens: Mapping[str, str] | None = None,
    tools: Sequence[Mapping[str, Any]] | None = None,
) -> str:
    """Render a chat with the template `source`; one that does not end with an answer is made ready for one.

    `special_tokens` are the variables that templates may use: `bos_token`, `eos_token`, ... `tools` are functions in
    OpenAI's form, None where there are none.

    Raises ModelError when there is no template, when it does not compile, or when it refuses the chat.

    >>> render("{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}", [{"role": "user", "content": "hi"}])
    '<user>hi'
    """
    if not source:
        raise ModelError("the model has no chat template; put chat_template.jinja beside its tokenizer")
    answered = bool(chat) and chat[-1]["role"] == "assistant"
    try:
        return _compile(source).render(
            messages=list(chat),
            add_generation_prompt=not answered,
            tools=list(tools) if tools else None,
            **(special_tokens or {}),
        )
    except TemplateError as error:
        raise ModelError(f"the chat template does not take this chat: {error}") from error


@lru_cache(maxsize=8)
def _compile(source: str) -> Template:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals.update(raise_exception=_raise, strftime_now=_now)
    return environment.from_string(source)


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    """Jinja's own filter escapes HTML, which a prompt must not."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)


def _now(form: str) -> str:
    return datetime.now().strftime(form)
