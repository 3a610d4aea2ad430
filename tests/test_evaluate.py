import json

import pytest

from zoo.actions import Action, write_answer
from zoo.agent import expert_answers, random_answers
from zoo.environments.phone import draw_tasks
from zoo.errors import DataError, ModelError
from zoo.evaluate import EPISODES_NAME, evaluate, evaluate_anybody, run
from zoo.records import StageContext
from zoo.schema import AgentSpec, EvaluateSpec

TERSE = AgentSpec(style="terse")


def spec(**settings):
    return EvaluateSpec(model="stage:sft", **{"tasks": 54, "agent": TERSE, **settings})


@pytest.fixture
def ctx(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    return StageContext(out, tmp_path, {}, seed=0)


def episodes_of(ctx):
    return [json.loads(line) for line in (ctx.out / EPISODES_NAME).read_text("utf-8").splitlines()]


def test_the_expert_reaches_every_upper_bound(ctx):
    result = evaluate_anybody(spec(), expert_answers(TERSE), ctx)
    success = result.metrics["success_rate"]
    assert (success.value, success.n) == (1.0, 54)
    assert 0.9 < success.low < success.high == 1.0
    assert result.metrics["sub_goal_rate"].value == 1.0
    assert result.metrics["valid_action_rate"].value == 1.0
    assert result.metrics["reversed_redundancy"].value == 100.0
    assert result.metrics["reversed_redundancy"].n == 54
    assert result.notes["ended"] == {"finish": 54}


def test_chance_is_near_the_lower_bound(ctx):
    result = evaluate_anybody(spec(tasks=200), random_answers(0), ctx)
    assert result.metrics["success_rate"].value < 0.03
    assert 0 < result.metrics["sub_goal_rate"].value < 0.5


def test_the_split_and_the_seed_choose_the_tasks(ctx):
    evaluate_anybody(spec(split="held-out-templates", tasks=12), expert_answers(TERSE), ctx)
    assert [episode["task"] for episode in episodes_of(ctx)] == [
        task.id for task in draw_tasks("held-out-templates", 12, seed=0)
    ]


def test_a_model_that_says_nothing_sensible_scores_zero_and_has_no_redundancy(ctx):
    result = evaluate(spec(tasks=10), lambda chats: ["Hello!"] * len(chats), ctx)
    assert result.metrics["success_rate"].value == 0.0
    assert result.metrics["valid_action_rate"].value == 0.0
    assert result.metrics["steps_per_episode"].value == 5.0
    assert "reversed_redundancy" not in result.metrics
    assert result.notes["ended"] == {"repeat": 10}


def test_steps_that_were_not_needed_lower_the_redundancy_and_nothing_else(ctx):
    expert = expert_answers(TERSE)

    def dawdle(situations):
        answers = expert(situations)
        wait = write_answer("", "", Action("wait", (1,)))
        return [wait if not one.steps else answer for one, answer in zip(situations, answers, strict=True)]

    result = evaluate_anybody(spec(), dawdle, ctx)
    assert result.metrics["success_rate"].value == 1.0
    steps = [len(episode["steps"]) for episode in episodes_of(ctx)]
    expected = 100 * sum((count - 1) / count for count in steps) / len(steps)
    assert result.metrics["reversed_redundancy"].value == pytest.approx(expected)


def test_every_step_of_every_episode_is_on_disk(ctx):
    result = evaluate_anybody(spec(tasks=20), random_answers(3), ctx)
    episodes = episodes_of(ctx)
    assert len(episodes) == 20
    assert sum(len(episode["steps"]) for episode in episodes) == result.metrics["valid_action_rate"].n
    step = episodes[0]["steps"][0]
    assert step["observation"].startswith(";;Home")
    assert {"observation", "answer", "action", "seconds", "tokens", "changed"} < set(step)
    assert {"task", "template", "kind", "instruction", "success", "sub_goals", "ended"} < set(episodes[0])


def test_the_notes_split_the_rate_by_template(ctx):
    result = evaluate_anybody(spec(), expert_answers(TERSE), ctx)
    table = result.notes["by_template"]
    assert len(table) == 27
    assert sum(line["n"] for line in table) == sum(line["successes"] for line in table) == 54
    json.dumps(dict(result.notes))


def test_more_tasks_than_there_are_is_said_before_anything_runs(ctx):
    with pytest.raises(DataError, match="ask for at most"):
        evaluate(spec(tasks=1_000_000), lambda chats: [], ctx)


def test_a_real_checkpoint_acts_through_its_chat_template(tiny_llama, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    ctx = StageContext(out, tmp_path, {"model": tiny_llama}, seed=0)
    agent = AgentSpec(style="terse", rounds=3, answer_tokens=8)
    result = run(spec(tasks=4, batch=3, agent=agent), ctx)
    assert result.metrics["success_rate"].n == 4
    assert all(len(episode["steps"]) <= 3 for episode in episodes_of(ctx))
    assert result.metrics["seconds_per_step"].value > 0


def test_a_checkpoint_with_eyes_is_measured_on_marked_screenshots_and_one_without_is_refused(
    tiny_vlm, tiny_llama, tmp_path
):
    out = tmp_path / "out"
    out.mkdir()
    agent = AgentSpec(world="phone-ten", pictures="marks", rounds=2, answer_tokens=8)
    result = run(spec(tasks=2, agent=agent), StageContext(out, tmp_path, {"model": tiny_vlm}, seed=0))
    assert result.metrics["success_rate"].n == 2
    # At most 64 tokens an image in the tiny twin, besides the words without the screen's text.
    assert result.metrics["prompt_tokens_per_step"].value > 64
    with pytest.raises(ModelError, match=r"agent\.pictures to none"):
        run(spec(tasks=2, agent=agent), StageContext(out, tmp_path, {"model": tiny_llama}, seed=0))
