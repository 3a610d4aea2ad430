"""What the agent is asked in one step: its task, what it noted before, and the screen, as chat messages."""

import json
from collections.abc import Sequence

from zoo.actions import SIGNATURES
from zoo.schema import AgentSpec

__all__ = ["Chat", "messages", "system_text"]

Chat = list[dict[str, str]]
"""Messages with `role` and `content`."""

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

_OPENPHONE = "\n".join(
    (
        "You operate a phone. In every step you see the screen as a list of elements with numbers and call one of:",
        *(f"- {_CALLS[name]}: {meaning}" for name, meaning in _MEANINGS.items()),
        "Answer in this form and with nothing else:",
        "<REASONING>why this step is the right one</REASONING>",
        "<STATE_ASSESSMENT>Current State, Required Change, Action Need</STATE_ASSESSMENT>",
        "<CALLED_FUNCTION>one call</CALLED_FUNCTION>",
    )
)
_TERSE = "Phone: tap(n) text(s) long_press(n) swipe(n, direction, dist) back() home() wait(s) finish(message)"


def system_text(spec: AgentSpec) -> str:
    """The short function list, in the style of the recipe."""
    return _OPENPHONE if spec.style == "openphone" else _TERSE


def messages(spec: AgentSpec, instruction: str, history: Sequence[str], observation: str) -> Chat:
    """One step's chat: the system's text, then the user's, in the order of OpenPhone's prompt.

    `history` is the agent's own past state assessments, oldest first; the last `spec.memory_steps` are shown.

    >>> print(messages(AgentSpec(style="terse"), "Open Clock.", [], ";;Home")[1]["content"])
    Task: Open Clock.
    Past: none
    Screen:
    ;;Home
    """
    shown = list(history)[-spec.memory_steps :] if spec.memory_steps else []
    if spec.style == "openphone":
        past = json.dumps(shown, ensure_ascii=False)
        user = f"{instruction}\n\nHistory Information: {past}\n\nCurrent Information: {observation}"
    else:
        user = f"Task: {instruction}\nPast: {' '.join(shown) or 'none'}\nScreen:\n{observation}"
    return [{"role": "system", "content": system_text(spec)}, {"role": "user", "content": user}]
