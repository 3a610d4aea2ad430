"""A phone of our own: four apps, or ten, with state behind them, tasks with a judge that reads it, and an expert.

`state` says what a phone and a screen are made of, `apps` what is on it, `machine` shows and changes it, `tasks` what
is to be done, `expert` how, and `environment` puts them together. No image, no network, no clock: everything follows
from a task.
"""

from zoo.environments.phone.environment import PhoneEnvironment, TenAppPhone, answers
from zoo.environments.phone.tasks import FOUR, TEMPLATES, TEN, draw_tasks, task_count

__all__ = ["FOUR", "TEMPLATES", "TEN", "PhoneEnvironment", "TenAppPhone", "answers", "draw_tasks", "task_count"]
