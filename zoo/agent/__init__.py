"""The agent: prompt, answer, act, until an episode ends. One loop for evaluation, rollouts, Spaces and the terminal.

`loop` plays episodes, whoever answers; `scripted` are the two who need no model.
"""

from zoo.agent.loop import (
    REPEATS,
    Answerer,
    Apply,
    End,
    Episode,
    Generate,
    Situation,
    Step,
    chat_of,
    open_environment,
    play,
    run_episodes,
)
from zoo.agent.scripted import expert_answers, random_answers
from zoo.prompt import Chat, messages

__all__ = [
    "REPEATS",
    "Answerer",
    "Apply",
    "Chat",
    "End",
    "Episode",
    "Generate",
    "Situation",
    "Step",
    "chat_of",
    "expert_answers",
    "messages",
    "open_environment",
    "play",
    "random_answers",
    "run_episodes",
]
