"""Arithmetic with a real interpreter: gold programs, splits, errors that are told, and what is learned of it all."""

import sys

import pytest

pytest.importorskip("reasoning_gym", reason="the extra `reasoning` is not installed")

from zoo.actions import Action
from zoo.agent import expert_answers, play
from zoo.check.data import data_problems
from zoo.check.worlds import world_problems
from zoo.data.expert import expert_rows
from zoo.environments.interpreter import GENERATORS, AloneEnvironment, ArithmeticEnvironment, draw_tasks
from zoo.records import no_progress
from zoo.rewards import OutcomeReward
from zoo.schema import AgentSpec, DataSpec, GRPOSpec
from zoo.trainers.rollouts import Answered, columns, roll_out

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")
AGENT = AgentSpec(world="arithmetic", style="terse", memory="none", rounds=4)
SPLITS = ("train", "held-out-parameters", "held-out-templates", "held-out-app")


@pytest.mark.parametrize("split", SPLITS)
def test_the_expert_solves_every_kind_of_question(split: str) -> None:
    tasks = draw_tasks(split, 7, seed=1)  # type: ignore[arg-type]
    episodes = play(AGENT, tasks, expert_answers(AGENT), batch=7)
    assert [episode.success for episode in episodes] == [True] * 7
    assert all(len(episode.steps) == 2 and episode.sub_goals == (True, True) for episode in episodes)


def test_a_question_is_in_one_split_only_whatever_the_seeds() -> None:
    drawn = {split: {task.instruction for seed in (0, 1) for task in draw_tasks(split, 300, seed)} for split in SPLITS}
    assert all(len(questions) > 300 for questions in drawn.values())
    for one in SPLITS:
        for other in SPLITS:
            assert one == other or not drawn[one] & drawn[other], (one, other)
    assert draw_tasks("train", 20, 5) == draw_tasks("train", 20, 5) != draw_tasks("train", 20, 6)


def test_every_generator_is_drawn() -> None:
    templates = {task.template.split(".")[1] for split in SPLITS for task in draw_tasks(split, 21, 0)}
    assert templates == set(GENERATORS)


def opened() -> ArithmeticEnvironment:
    environment = ArithmeticEnvironment()
    environment.reset(draw_tasks("train", 1, 0)[0])
    return environment


def test_an_error_is_told_and_the_next_program_may_be_right() -> None:
    environment = opened()
    told = environment.step(Action("code", ("print(undefined)",)))
    assert "NameError: name 'undefined' is not defined" in told and environment.sub_goals() == (False, False)
    told = environment.step(environment.expert().action)
    assert told.count("<interpreter>") == 2 and environment.sub_goals() == (True, False)
    environment.step(environment.expert().action)
    assert environment.done and environment.success()


def test_a_wrong_answer_a_phone_call_and_a_copy() -> None:
    environment = opened()
    assert environment.step(Action("tap", (3,))) == "" and environment.steps == 1
    copied = environment.copy()
    copied.step(Action("finish", ("no idea",)))
    assert copied.done and not copied.success() and not environment.done


def test_without_an_interpreter_nothing_is_run() -> None:
    environment = AloneEnvironment()
    environment.reset(draw_tasks("train", 1, 0)[0])
    assert environment.step(Action("code", ("print(1)",))) == "" and not environment.runs
    environment.step(environment.expert().action)
    assert environment.success() and environment.sub_goals() == (True,)


def test_rows_of_the_expert_never_ask_to_say_what_the_interpreter_said() -> None:
    data = DataSpec(kind="data", source="expert", tasks=7, agent=AGENT)
    rows, _ = expert_rows(data, 3, no_progress)
    assert len(rows) == 14
    for row in rows:
        assert "<interpreter>" not in row.completion[0]["content"]
    assert sum("<interpreter>" in row.prompt[-1]["content"] for row in rows) == 7


def test_what_the_policy_is_trained_on_is_what_it_said_and_nothing_of_the_interpreter() -> None:
    """The tokens here are characters, so that what is in a sample can be read."""
    tasks = draw_tasks("train", 2, 4)
    programs = iter(["print(1)", "1/0"])
    said = [f"<code>\n{program}\n</code>" for program in programs]

    def sample(chats: object, numbers: object) -> list[Answered]:
        texts = [said[0], said[1]] if not sampled else ["<answer>1</answer>"] * 2
        sampled.extend(texts)
        prompts = ["".join(message["content"] for message in chat) for chat in chats]  # type: ignore[attr-defined]
        return [Answered(tuple(map(ord, p)), tuple(map(ord, t)), t) for p, t in zip(prompts, texts, strict=True)]

    sampled: list[str] = []
    made = roll_out(AGENT, tasks, sample, batch=2, workers=2)
    for rollout in made:
        first, second = rollout.answers
        assert "<interpreter>" in "".join(map(chr, second.prompt_ids)), "the output is shown"
        assert "interpreter" not in "".join(map(chr, (*first.completion_ids, *second.completion_ids)))
    seen = columns(made)
    assert seen["readable"] == [[True, True], [True, True]] and OutcomeReward()(**seen) == [-1.0, -1.0]
    assert "ZeroDivisionError" in made[1].episode.steps[1].observation


def test_settings_that_this_world_does_not_know_are_refused() -> None:
    spec = DataSpec(kind="data", tasks=1, detours=0.5, agent=replace_agent(memory="actions"))
    assert [key for key, *_ in world_problems(spec)] == ["agent.memory"]
    assert [key for key, *_ in data_problems(spec)] == ["detours"]
    policy = GRPOSpec.model_validate(
        {"model": "a/b", "environment": {}, "agent": AGENT.model_dump(), "rewards": [{"name": "format"}]}
    )
    assert [key for key, *_ in world_problems(policy)] == ["rewards.0.name"]


def replace_agent(**changes: str) -> AgentSpec:
    return AGENT.model_copy(update=changes)
