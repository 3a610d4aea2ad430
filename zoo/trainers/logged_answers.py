"""Answers to logged steps with their rewards, as attempts that can be credited and as lines that are kept."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from zoo.trainers.advantages import Attempt, Turn
from zoo.trainers.groups import Row
from zoo.trainers.judged import named

__all__ = ["LoggedAnswer", "logged_answers"]


@dataclass(frozen=True)
class LoggedAnswer:
    """What the policy answered to one logged step."""

    text: str
    cut: bool
    """Whether it ended by its length alone."""
    rewards: tuple[float, ...]
    """One a reward, unweighted; NaN for one that was not given."""
    score: float
    """Their weighted sum; NaN where none was given."""

    def attempt(self, readable: Callable[[str], bool]) -> Attempt:
        """As the rules of `zoo.trainers.advantages` see it; it has won when the first reward is above 0.5:
        AgentCPM takes 0.5 itself for a failure."""
        return Attempt(
            None if math.isnan(self.score) else self.score,
            self.rewards[0] > 0.5,
            "length" if self.cut else "finish",
            (Turn(readable=readable(self.text)),),
        )

    def plain(self, row: Row, prompt: Any, names: Sequence[str]) -> dict[str, Any]:
        """As a line of JSON."""
        rewards = named(names, self.rewards)
        return {"task": row.get("task"), "prompt": _last_text(prompt), "answers": [self.text], "rewards": rewards}


def logged_answers(
    completions: Sequence[Any], ids: Sequence[Sequence[int]], rewards: torch.Tensor, weights: torch.Tensor, ends: Any
) -> list[LoggedAnswer]:
    """Of completions as TRL has them, with their tokens and their rewards [B, R]; `ends` are tokens that end one."""
    total = (rewards * weights).nansum(dim=1)
    total[rewards.isnan().all(dim=1)] = math.nan
    texts = [one if isinstance(one, str) else one[-1]["content"] for one in completions]
    return [
        LoggedAnswer(text, not tokens or tokens[-1] not in ends, tuple(worth), score)
        for text, tokens, worth, score in zip(texts, ids, rewards.tolist(), total.tolist(), strict=True)
    ]


def _last_text(prompt: Any) -> str:
    content = prompt if isinstance(prompt, str) else prompt[-1]["content"]
    return content if isinstance(content, str) else "".join(block.get("text", "") for block in content)
