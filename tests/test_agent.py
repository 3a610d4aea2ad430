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
from zoo.environments.phone import draw_tasks
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
