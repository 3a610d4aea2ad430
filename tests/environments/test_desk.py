"""The service desk: tasks, the clerk's words, what counts as success, and how far chance gets."""

import pytest

from zoo.actions import Action
from zoo.agent import play, random_answers
from zoo.environments import Environment
from zoo.environments.desk import FACTS, TOPICS, DeskEnvironment, case_of, draw_tasks
from zoo.environments.desk.cases import CHOSEN
from zoo.registry import ENVIRONMENTS, load
from zoo.schema import AgentSpec

SPLITS = ("train", "held-out-parameters", "held-out-templates")


def at(task, observation="terse"):
    environment = DeskEnvironment(observation)
    environment.reset(task)
    return environment


def solved(environment):
    steps = 0
    while not environment.done:
        environment.step(environment.expert().action)
        steps += 1
    return steps


def asking(kind):
    """A visit that has come to the question for this kind of datum."""
    for task in draw_tasks("train", 300, seed=4):
        environment = at(task)
        if kind in case_of(task).wanted and task.kind == "operation":
            while environment._asked != kind:
                environment.step(environment.expert().action)
            return environment
    raise AssertionError(f"no task asks for {kind}")


def test_the_registry_opens_the_desk():
    assert load(ENVIRONMENTS["desk"]) is DeskEnvironment
    world: Environment = DeskEnvironment("xml")
    assert world.reset(draw_tasks("train", 1, 0)[0]).splitlines()[2].startswith(" [1] Button ;click; ;;")


@pytest.mark.parametrize("split", SPLITS)
def test_the_expert_solves_every_task_and_reaches_every_sub_goal(split):
    tasks = draw_tasks(split, 600, seed=7)
    assert len({task.id for task in tasks}) == 600
    for task in tasks:
        environment = at(task)
        assert not environment.success()
        assert 4 <= solved(environment) <= 5
        assert environment.success() and all(environment.sub_goals()), task.id


def test_the_expert_comes_back_from_a_wrong_topic():
    environment = at(draw_tasks("train", 1, seed=0)[0])
    wrong = next(number for number in environment.numbers if environment._choices[number - 1] != environment.case.topic)
    environment.step(Action("tap", (wrong,)))
    solved(environment)
    assert environment.success() and environment.mistakes == 0


def test_a_combination_that_is_held_out_is_never_trained_on_and_every_value_is():
    of = {split: {task.parameters for task in draw_tasks(split, 2000, seed=1)} for split in SPLITS[:2]}
    assert not of["train"] & of["held-out-parameters"]
    seen = {value for parameters in of["train"] for _, value in parameters}
    assert seen == {value for values in FACTS.values() for value in values}


def test_held_out_templates_are_topics_of_their_own():
    held_out = {task.template for task in draw_tasks("held-out-templates", 50, seed=0)}
    assert held_out == {"desk.repair", "desk.price"}
    trained = {task.template for split in SPLITS[:2] for task in draw_tasks(split, 60, seed=0)}
    assert len(trained) == len(TOPICS) - 2 and not trained & held_out


def test_a_task_is_the_same_whoever_draws_it():
    assert draw_tasks("train", 100, seed=3) == draw_tasks("train", 100, seed=3)
    assert draw_tasks("train", 100, seed=3) != draw_tasks("train", 100, seed=5)


def test_the_desk_says_what_it_does_not_have():
    with pytest.raises(ValueError, match="none that is held out"):
        draw_tasks("held-out-app", 1, seed=0)
    with pytest.raises(ValueError, match="has 100000 tasks"):
        draw_tasks("train", 100_001, seed=0)


def test_no_value_is_of_two_kinds_so_that_the_clerk_can_name_it():
    every = [value.casefold() for values in FACTS.values() for value in values]
    assert len(set(every)) == len(every)
    assert len(FACTS) - len(CHOSEN) >= 4 and len(CHOSEN) == 4


def test_the_clerk_says_what_was_wrong_and_what_is_missing():
    environment = asking("town")
    right = environment.case.facts["town"]
    other = next(value for value in FACTS["town"] if value != right)
    assert "That is a colour. I need the town." in environment.step(Action("text", ("red",)))
    assert f"I find no {other}. I need the town." in environment.step(Action("text", (other,)))
    assert "I need the town" not in environment.step(Action("text", (right.lower(),)))
    assert not environment.done and environment.mistakes == 2


def test_the_third_mistake_ends_the_visit():
    environment = asking("order")
    for _ in range(3):
        screen = environment.step(Action("text", ("nothing",)))
    assert environment.done and "Goodbye." in screen and not environment.success()
    with pytest.raises(RuntimeError, match="over"):
        environment.step(Action("back"))


def test_what_is_to_be_chosen_cannot_be_said_and_a_tap_on_nothing_changes_nothing():
    environment = asking("colour")
    before = environment.stored
    environment.step(Action("text", (environment.case.facts["colour"],)))
    environment.step(Action("tap", (9,)))
    assert environment.stored == before and environment._asked == "colour"


def test_to_leave_the_topic_forgets_what_was_given():
    environment = asking("name")
    environment.step(environment.expert().action)
    assert environment.given and any(environment.sub_goals())
    assert "How can I help?" in environment.step(Action("back"))
    assert not environment.given and not any(environment.sub_goals())


def test_to_finish_early_or_with_the_wrong_answer_is_no_success():
    early = at(draw_tasks("train", 1, seed=0)[0])
    early.step(Action("finish", ("done",)))
    assert early.done and not early.success()
    question = at(next(task for task in draw_tasks("train", 12, seed=0) if task.kind == "query"))
    while question.expert().action.name != "finish":
        question.step(question.expert().action)
    wrong = question.copy()
    wrong.step(Action("finish", ("7:00",)))
    question.step(Action("finish", (f"It comes at {question.case.answer}.",)))
    assert question.success() and not wrong.success() and wrong.done


def test_a_copy_goes_its_own_way():
    environment = at(draw_tasks("train", 1, seed=0)[0])
    other = environment.copy()
    solved(other)
    assert other.success() and not environment.done and environment.steps == 0


@pytest.mark.parametrize("split", SPLITS)
def test_chance_solves_less_than_one_task_in_a_hundred(split):
    tasks = draw_tasks(split, 600, seed=2)
    episodes = play(AgentSpec(world="desk", rounds=25), tasks, random_answers(0), batch=64)
    assert sum(episode.success for episode in episodes) < 6
    assert any(any(episode.sub_goals) for episode in episodes)
