"""Whole tasks: what a file loses is counted on the same tasks, and answers that never end are noticed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zoo.agent import expert_answers, open_environment, play
from zoo.prompt import messages
from zoo.schema import AgentSpec
from zoo.serving import Chat, Generation
from zoo.verify.comparison import compare_actions
from zoo.verify.inspection import SPLIT, _ends
from zoo.verify.tasks import compare_tasks

AGENT = AgentSpec(style="terse", rounds=8)
TASKS = open_environment(AGENT).draw_tasks(SPLIT, 6, 3)


@dataclass
class Scripted:
    """A runtime that knows the answer to some prompts by heart."""

    answers: dict[str, str] = field(default_factory=dict)
    chat_template: str = ""
    cut_off: bool = False

    def encode(self, chat_or_text: Chat | str) -> list[int]:
        return [1]

    def generate(self, chats: Sequence[Chat], max_new_tokens: int) -> list[Generation]:
        tokens = max_new_tokens if self.cut_off else 1
        return [Generation(self.answers.get(str(chat), "hm"), tokens, 1, 0.1, 0.1) for chat in chats]

    def logits(self, token_ids: Sequence[int], start: int = 0) -> np.ndarray[Any, Any]:
        raise NotImplementedError

    def close(self) -> None: ...


def expert(without: int = 0) -> Scripted:
    """Solves all tasks but the first few."""
    runtime = Scripted()

    def answer(situations: Sequence[Any]) -> list[str]:
        said = list(expert_answers(AGENT)(situations))
        for one, text in zip(situations, said, strict=True):
            chat = messages(AGENT, one.task.instruction, one.history, one.observation)
            runtime.answers[str(chat)] = text
        return said

    assert all(episode.success for episode in play(AGENT, TASKS[without:], answer))
    return runtime


def test_the_loss_is_counted_on_the_same_tasks() -> None:
    told: list[str] = []
    found = compare_tasks(
        AGENT, expert(), {"same": expert(), "worse": expert(without=3), "mute": Scripted()}, TASKS,
        progress=lambda step, total=None, **fields: told.append(str(fields["comparing"])),
    )  # fmt: skip
    assert [(one.successes, one.same_outcome) for one in found.values()] == [(6, 6), (3, 3), (0, 0)]
    assert [one.drop for one in found.values()] == [0.0, 50.0, 100.0]
    rate = found["worse"].success_rate
    assert rate.low is not None and rate.high is not None and rate.low < 0.5 < rate.high
    assert "tasks, worse" in told


def test_without_tasks_nothing_is_run() -> None:
    assert compare_tasks(AGENT, Scripted(), {"f": Scripted()}, []) == {}


def test_a_file_that_never_comes_to_an_end_is_noticed() -> None:
    prompts = [[{"role": "user", "content": "x"}]] * 4
    found = compare_actions(Scripted(), {"sound": Scripted(), "endless": Scripted(cut_off=True)}, prompts, 8)
    assert [check.passed for name in found for check in _ends(found[name])] == [True, False]
    endless = compare_actions(Scripted(cut_off=True), {"f": Scripted(cut_off=True)}, prompts, 8)["f"]
    assert _ends(endless) == [], "a checkpoint that does not end itself asks nothing of its file"
