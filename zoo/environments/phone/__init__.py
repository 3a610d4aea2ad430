"""A phone of our own: four apps with state behind them, tasks with a judge that reads it, and an expert.

`state` says what a phone and a screen are made of, `apps` what is on it, `machine` shows and changes it, `tasks` what
is to be done, `expert` how, and `environment` puts them together. No image, no network, no clock: everything follows
from a task.
"""

from zoo.environments.phone.environment import PhoneEnvironment, answers
from zoo.environments.phone.tasks import TEMPLATES, draw_tasks, task_count

__all__ = ["TEMPLATES", "PhoneEnvironment", "answers", "draw_tasks", "task_count"]
