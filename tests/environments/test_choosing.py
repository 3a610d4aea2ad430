"""Tasks of certain templates: what fits, and what is said when too few do."""

import pytest

from zoo.environments.android import AndroidEnvironment
from zoo.environments.choosing import EXPERT, choose_tasks
from zoo.environments.phone import PhoneEnvironment
from zoo.errors import DataError


def test_without_patterns_they_are_what_the_world_draws():
    assert choose_tasks(PhoneEnvironment, "train", (), 40, seed=2) == PhoneEnvironment.draw_tasks("train", 40, 2)


def test_a_task_fits_one_pattern_or_another():
    chosen = choose_tasks(PhoneEnvironment(), "train", ("clock.add_*", "contacts.add"), 12, seed=0)
    assert {task.template for task in chosen} == {"clock.add_alarm", "clock.add_city", "contacts.add"}
    assert len({task.id for task in chosen}) == 12


def test_an_expert_that_knows_every_way_leaves_nothing_out():
    assert choose_tasks(PhoneEnvironment, "train", (EXPERT,), 9, 0) == PhoneEnvironment.draw_tasks("train", 9, 0)


def test_a_small_split_is_looked_through_whole_before_too_few_are_said_to_fit():
    (task,) = choose_tasks(AndroidEnvironment, "train", ("settings.rotate",), 1, seed=0)
    assert task.template == "settings.rotate"
    with pytest.raises(DataError, match=r"templates settings\.rotate: 1 tasks of train, 2 are too many"):
        choose_tasks(AndroidEnvironment, "train", ("settings.rotate",), 2, seed=0)
    with pytest.raises(DataError, match="0 tasks of train"):
        choose_tasks(AndroidEnvironment, "train", (EXPERT,), 1, seed=0)
    with pytest.raises(DataError, match="99 are too many"):
        choose_tasks(AndroidEnvironment, "train", (), 99, seed=0)
