from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest

from zoo.actions import Action, read_answer, write_answer
from zoo.agent import (
    REPEATS,
    expert_answers,
    messages,
    open_environment,
    play,
    random_answers,
    run_episodes,
)
from zoo.environments.phone import PhoneEnvironment, draw_tasks
from zoo.errors import EpisodeLost
from zoo.registry import ENVIRONMENTS
from zoo.schema import AgentSpec

TERSE = AgentSpec(style="terse")
TASKS = draw_tasks("train", 27, seed=0)


def says(action, assessment="Somewhere."):
    """A model that always gives the same answer."""
    return lambda chats: [write_answer("So.", assessment, action) for _ in chats]


def test_the_prompt_holds_the_calls_the_task_the_memory_and_the_screen():
    system, user = messages(AgentSpec(), "Open Clock.", ["On Home."], ";;Home")
    assert (system["role"], user["role"]) == ("system", "user")
    for call in ("tap(index)", "text(input_str)", "swipe(index, direction, dist)", "finish(message)"):
        assert call in system["content"]
    for call in ("tap(n)", "text(s)", "swipe(n, direction, dist)", "finish(message)"):
        assert call in messages(TERSE, "", [], "")[0]["content"]
    assert user["content"] == 'Open Clock.\n\nHistory Information: ["On Home."]\n\nCurrent Information: ;;Home'
    assert messages(TERSE, "Open Clock.", ["On Home."], ";;Home")[1]["content"] == (
        "Task: Open Clock.\nPast: On Home.\nScreen:\n;;Home"
    )


@pytest.mark.parametrize(("memory_steps", "shown"), [(0, []), (1, ["c"]), (2, ["b", "c"]), (9, ["a", "b", "c"])])
def test_only_the_latest_assessments_are_shown(memory_steps, shown):
    user = messages(AgentSpec(style="terse", memory_steps=memory_steps), "", ["a", "b", "c"], "")[1]["content"]
    assert f"Past: {' '.join(shown) or 'none'}\n" in user


def test_the_terse_prompt_is_the_shorter_one():
    def length(spec):
        return sum(len(message["content"]) for message in messages(spec, "Open Clock.", [], ";;Home"))

    assert length(TERSE) < length(AgentSpec()) / 3


def test_the_agent_remembers_its_own_assessments_and_sees_the_screen_that_it_made():
    asked = []

    def generate(chats):
        asked.append(chats[0][1]["content"])
        return [write_answer("So.", f"Note {len(asked)}.", Action("tap", (1,)))]

    run_episodes(AgentSpec(style="terse", rounds=3), TASKS[:1], generate)
    assert ["Past: none" in asked[0], "Past: Note 1.\n" in asked[1], "Past: Note 1. Note 2.\n" in asked[2]] == [
        True
    ] * 3
    assert ";;Home" in asked[0]
    assert ";;Home" not in asked[1]


def test_an_episode_ends_when_the_agent_finishes():
    episode = run_episodes(TERSE, TASKS[:1], says(Action("finish", ("Done.",))))[0]
    assert (episode.ended, len(episode.steps), episode.success) == ("finish", 1, False)


def test_an_episode_ends_after_the_rounds_of_the_recipe():
    answers = iter(range(1, 100))

    def generate(chats):
        return [write_answer("", "", Action("wait", (next(answers),))) for _ in chats]

    episode = run_episodes(AgentSpec(style="terse", rounds=7), TASKS[:1], generate)[0]
    assert (episode.ended, len(episode.steps)) == ("rounds", 7)


def test_five_identical_actions_end_an_episode():
    episode = run_episodes(TERSE, TASKS[:1], says(Action("wait", (5,))))[0]
    assert (episode.ended, len(episode.steps)) == ("repeat", REPEATS)


def test_unreadable_answers_cost_a_step_each_and_count_as_one_repeated_action():
    answers = iter(("What?", "Hm.", "tap(", "I do not know.", "No."))
    episode = run_episodes(TERSE, TASKS[:1], lambda chats: [next(answers)])[0]
    assert episode.ended == "repeat"
    assert [step.action for step in episode.steps] == [None] * 5
    assert len({step.observation for step in episode.steps}) == 1


def test_a_last_answer_on_the_last_round_still_counts():
    task = TASKS[0]
    spec = AgentSpec(style="terse", rounds=len(play(TERSE, [task], expert_answers(TERSE))[0].steps))
    assert play(spec, [task], expert_answers(spec))[0].success


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_the_batch_changes_nothing_but_the_order_of_work(batch):
    alone = play(TERSE, TASKS, random_answers(1), batch=1)
    together = play(TERSE, TASKS, random_answers(1), batch=batch)
    assert [episode.task for episode in together] == TASKS
    assert [[step.answer for step in one.steps] for one in together] == [
        [step.answer for step in one.steps] for one in alone
    ]


def test_the_batch_is_kept_full_while_tasks_are_waiting():
    sizes = []
    expert = expert_answers(TERSE)

    def answer(situations):
        sizes.append(len(situations))
        return expert(situations)

    episodes = play(TERSE, TASKS, answer, batch=4)
    started_late = sum(len(episode.steps) for episode in episodes[-4:])
    assert max(sizes) == 4
    assert sizes == sorted(sizes, reverse=True)
    assert sum(4 - size for size in sizes) < started_late


def test_a_model_that_loses_an_answer_is_a_bug_and_raises():
    with pytest.raises(ValueError, match="zip"):
        run_episodes(TERSE, TASKS[:2], lambda chats: ["back()"], batch=2)


def test_the_seconds_of_a_batch_are_shared_by_its_episodes():
    times = iter(range(0, 1000, 3))
    episodes = play(TERSE, TASKS[:3], expert_answers(TERSE), batch=3, clock=lambda: next(times))
    assert episodes[0].steps[0].seconds == 1.0


def test_progress_is_told_as_episodes_end():
    told = []
    play(TERSE, TASKS, expert_answers(TERSE), batch=8, progress=lambda *args, **fields: told.append((args, fields)))
    assert told[-1] == ((27, 27), {"successes": 27})


@pytest.mark.parametrize("style", ["terse", "openphone"])
def test_the_expert_as_an_agent_solves_everything_in_its_own_words(style):
    spec = AgentSpec(style=style)
    episodes = play(spec, TASKS, expert_answers(spec), batch=8)
    assert all(episode.success and all(episode.sub_goals) for episode in episodes)
    assert all(not read_answer(step.answer).extra_text for episode in episodes for step in episode.steps)


@pytest.mark.parametrize("split", ["train", "held-out-parameters", "held-out-templates"])
def test_chance_solves_next_to_nothing(split):
    episodes = play(TERSE, draw_tasks(split, 500, seed=0), random_answers(0), batch=50)
    assert sum(episode.success for episode in episodes) < 0.02 * len(episodes)
    assert {episode.ended for episode in episodes} >= {"finish", "rounds"}


def test_the_world_is_opened_by_its_name():
    environment = open_environment(AgentSpec(world="phone"))
    assert environment.reset(TASKS[0]).startswith(";;Home")


class Fragile:
    """A phone that breaks down on a given step of its tasks, or on their reset; counts how often it was closed."""

    broken: ClassVar[dict[str, int]] = {}
    closed: ClassVar[list["Fragile"]] = []

    def __init__(self, observation):
        self.inside = PhoneEnvironment(observation)

    def __getattr__(self, name):
        return getattr(self.inside, name)

    def reset(self, task):
        if self.broken.get(task.id) == 0:
            raise EpisodeLost("the browser did not start")
        return self.inside.reset(task)

    def step(self, action):
        if self.broken.get(self.inside.task.id) == self.inside.steps + 1:
            raise EpisodeLost("the browser crashed")
        return self.inside.step(action)

    def close(self):
        self.closed.append(self)


@pytest.fixture
def fragile(monkeypatch):
    monkeypatch.setitem(ENVIRONMENTS, "phone", "test_agent:Fragile")
    monkeypatch.setattr(Fragile, "broken", {TASKS[0].id: 0, TASKS[2].id: 2})
    monkeypatch.setattr(Fragile, "closed", [])


@pytest.mark.parametrize("batch", [1, 3])
def test_a_world_that_breaks_down_ends_its_own_episode_as_an_error(fragile, batch):
    episodes = play(TERSE, TASKS[:5], expert_answers(TERSE), batch=batch)
    assert [episode.ended for episode in episodes] == ["error", "finish", "error", "finish", "finish"]
    assert [episode.success for episode in episodes] == [False, True, False, True, True]
    assert [len(episodes[0].steps), len(episodes[2].steps)] == [0, 2]
    assert episodes[2].problem == "the browser crashed"


def test_a_world_that_is_gone_when_its_state_is_asked_for_ends_its_own_episode_alone(fragile, monkeypatch):
    def asked(self):
        if self.inside.task.id == TASKS[1].id:
            raise EpisodeLost("the device went away")
        return self.inside.success()

    monkeypatch.setattr(Fragile, "success", asked, raising=False)
    episodes = play(TERSE, TASKS[1:5:2], expert_answers(TERSE))
    assert [(episode.ended, episode.success) for episode in episodes] == [("error", False), ("finish", True)]
    assert (episodes[0].problem, bool(episodes[0].steps)) == ("the device went away", True)
    assert len({id(one) for one in Fragile.closed}) == len(Fragile.closed) == 2


def test_environments_are_used_again_and_all_are_closed_in_the_end(fragile):
    play(TERSE, TASKS[:9], expert_answers(TERSE), batch=2)
    assert len({id(one) for one in Fragile.closed}) == len(Fragile.closed) == 4


def test_environments_are_closed_although_whoever_answers_fails(fragile):
    def fail(situations):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(TERSE, TASKS[3:6], fail, batch=3)
    assert len(Fragile.closed) == 3


def test_an_episode_ends_when_its_time_is_over():
    times = iter(range(1000))
    spec = AgentSpec(style="terse", episode_seconds=12.0)
    said = iter(range(1, 100))

    def answer(situations):
        return [write_answer("", "", Action("wait", (next(said),))) for _ in situations]

    (episode,) = play(spec, TASKS[:1], answer, clock=lambda: next(times))
    assert episode.ended == "time"
    assert 1 < len(episode.steps) < 12


def test_each_episode_is_told_as_it_ends_with_its_number():
    told = []
    episodes = play(
        TERSE, TASKS[:6], expert_answers(TERSE), batch=3, on_end=lambda number, episode: told.append((number, episode))
    )
    assert sorted(told) == list(enumerate(episodes))


def test_worlds_that_wait_may_step_side_by_side():
    with ThreadPoolExecutor(4) as pool:
        together = play(TERSE, TASKS[:8], random_answers(1), batch=4, apply=pool.map)
    alone = play(TERSE, TASKS[:8], random_answers(1), batch=4)
    assert [[step.answer for step in one.steps] for one in together] == [
        [step.answer for step in one.steps] for one in alone
    ]
