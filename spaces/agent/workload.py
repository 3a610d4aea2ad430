"""What a comparison asks of every column: one prompt, or every screen of a task on the expert's way."""

from dataclasses import dataclass

from course import Over, after, expert_course

from zoo.agent import Chat, chat_of
from zoo.environments import Task
from zoo.schema import AgentSpec

__all__ = ["LONGEST_PROMPT", "Workload", "of_prompt", "of_task"]

LONGEST_PROMPT = 2000
"""Characters."""
_MOST_SCREENS = 6
_SYSTEM = "You are a helpful assistant."


@dataclass(frozen=True)
class Workload:
    """Chats that every column answers, in this order, in every round."""

    name: str
    chats: tuple[Chat, ...]
    tokens: int
    """The longest answer."""
    acting: bool
    """Whether answers are calls, so that agreement means the same call; else it means the same text."""


def of_prompt(prompt: str, tokens: int) -> Workload:
    """One question, asked of the bare model."""
    words = prompt.strip()[:LONGEST_PROMPT] or "Say hello."
    chat: Chat = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": words}]
    return Workload(words, (chat,), tokens, acting=False)


def of_task(spec: AgentSpec, task: Task) -> Workload:
    """The screens that the expert sees on its way, so that every column answers the very same chats."""
    way = expert_course(spec, task)
    chats: list[Chat] = []
    for step in range(min(len(way), _MOST_SCREENS)):
        now = after(spec, task, way[:step])
        if isinstance(now, Over):
            break
        chats.append(chat_of(spec, now))
    return Workload(task.instruction, tuple(chats), spec.answer_tokens, acting=True)
