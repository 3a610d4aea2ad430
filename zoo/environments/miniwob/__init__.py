"""MiniWoB++ in a real browser: DOM elements as the numbered elements of a screen, taps and text as on the phone.

A third-party benchmark (package `miniwob`, Farama; Liu et al., arXiv 1802.08802) driven by `selenium` in a headless
Chromium. `tasks` says which of its pages are used and why others are not, `page` reads a screen, `browser` holds a
Chromium, `expert` knows the way through the simpler pages, `environment` puts them together.
"""

from zoo.environments.miniwob.environment import MiniwobEnvironment
from zoo.environments.miniwob.expert import EXPERT_TASKS
from zoo.environments.miniwob.tasks import HELD_OUT, LEFT_OUT, draw_tasks, page_names

__all__ = ["EXPERT_TASKS", "HELD_OUT", "LEFT_OUT", "MiniwobEnvironment", "draw_tasks", "page_names"]
