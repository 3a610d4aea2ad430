"""What the agent is asked in one step: its task, what it noted before, and the screen, as chat messages.

Where the agent sees a picture, it stands in front of the user's words, where TRL's trainers put that of a row; a row
keeps its words as they are (`messages`) and its picture beside them, a chat that is to be answered holds both
(`with_picture`).
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.actions import SIGNATURES
from zoo.dialects import dialect_of
from zoo.memory import CountTokens, about_tokens, remembered
from zoo.schema import AgentSpec

__all__ = ["Chat", "foresight", "messages", "pictures_in", "system_text", "with_picture", "words_of"]

Chat = list[dict[str, Any]]
"""Messages with `role` and `content`: a text, or parts, each a text or an image, as transformers' templates take them:
`{"type": "image", "image": <PIL.Image.Image>}`, `{"type": "text", "text": ...}`."""

_CALLS = {name: f"{name}({', '.join(parameter.name for parameter in SIGNATURES[name])})" for name in SIGNATURES}

_MEANINGS = {
    "tap": "touch the element with this number",
    "text": "type into the field that has the focus, in place of what it holds",
    "long_press": "touch the element with this number and hold it",
    "swipe": "move the list with this number: direction up, down, left or right; dist short, medium or long",
    "back": "leave this screen",
    "home": "go to the home screen",
    "wait": "do nothing for so many seconds",
    "finish": "end the task; for a question, the message is the answer",
}

_SEEN = {
    "none": "the screen as a list of elements with numbers",
    "plain": "a screenshot, and its elements as a list with numbers,",
    "marks": "a screenshot whose elements are marked with numbers",
}
_OPENPHONE = "\n".join(
    (
        "You operate a phone. In every step you see {seen} and call one of:",
        *(f"- {_CALLS[name]}: {meaning}" for name, meaning in _MEANINGS.items()),
        "Answer in this form and with nothing else:",
        "<REASONING>why this step is the right one</REASONING>",
        "<STATE_ASSESSMENT>Current State, Required Change, Action Need</STATE_ASSESSMENT>",
        "<CALLED_FUNCTION>one call</CALLED_FUNCTION>",
    )
)
_THEN = "Then the screen shows:"
_TERSE = "Phone: tap(n) text(s) long_press(n) swipe(n, direction, dist) back() home() wait(s) finish(message)"


def system_text(spec: AgentSpec) -> str:
    """The short function list, in the style of the recipe."""
    return _OPENPHONE.format(seen=_SEEN[spec.pictures]) if spec.style == "openphone" else _TERSE


def messages(
    spec: AgentSpec,
    instruction: str,
    history: Sequence[str],
    observation: str,
    count: CountTokens = about_tokens,
) -> Chat:
    """One step's chat: the system's text, then the user's, in the order of OpenPhone's prompt.

    `history` is what `zoo.memory.noted` kept of each step, oldest first; `zoo.memory.remembered` chooses what of it is
    shown, and `count` tells the tokens of a text where the memory is bounded by them. With `pictures: marks`, the
    screen is in the picture alone (`with_picture`) and not in the words. A world with a dialect of its own asks in it.

    >>> print(messages(AgentSpec(style="terse"), "Open Clock.", [], ";;Home")[1]["content"])
    Task: Open Clock.
    Past: none
    Screen:
    ;;Home
    """
    if ask := dialect_of(spec.world).ask:
        return ask(spec, instruction, observation)
    shown = remembered(spec, history, count)
    seen = spec.pictures == "marks"
    if spec.style == "openphone":
        past = json.dumps(shown, ensure_ascii=False)
        screen = "" if seen else f" {observation}"
        user = f"{instruction}\n\nHistory Information: {past}\n\nCurrent Information:{screen}"
    else:
        screen = "" if seen else f"\n{observation}"
        user = f"Task: {instruction}\nPast: {' '.join(shown) or 'none'}\nScreen:{screen}"
    return [{"role": "system", "content": system_text(spec)}, {"role": "user", "content": user}]


def foresight(chat: Chat, answer: str) -> Chat:
    """What a world model is asked: after this chat and the agent's answer to it, what is observed next.

    >>> [message["role"] for message in foresight([{"role": "user", "content": "Task: ..."}], "back()")]
    ['user', 'assistant', 'user']
    """
    return [*chat, {"role": "assistant", "content": answer}, {"role": "user", "content": _THEN}]


def with_picture(chat: Chat, picture: Any) -> Chat:
    """The same chat with a picture in front of the user's words."""
    *before, user = chat
    parts = [{"type": "image", "image": picture}, {"type": "text", "text": user["content"]}]
    return [*before, {**user, "content": parts}]


def words_of(message: Mapping[str, Any]) -> str:
    """The text of a message, whatever pictures it holds."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def pictures_in(chat: Sequence[Mapping[str, Any]]) -> list[Any]:
    """The pictures of a chat, in order."""
    parts = [part for message in chat if not isinstance(message["content"], str) for part in message["content"]]
    return [part["image"] for part in parts if part["type"] == "image"]
