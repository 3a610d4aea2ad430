"""Arithmetic with a code interpreter as tool, after ReTool (arXiv 2504.11536), on generated questions.

Package `reasoning-gym` (Apache-2.0) writes the questions and scores the answers. `programs` says which of its
generators are used and what program computes each, `tasks` draws and splits, `environment` runs programs in
`zoo.sandbox`. The agent's words are those of `zoo.dialects.code`.
"""

from zoo.environments.interpreter.environment import AloneEnvironment, ArithmeticEnvironment
from zoo.environments.interpreter.programs import GENERATORS
from zoo.environments.interpreter.tasks import draw_tasks

__all__ = ["GENERATORS", "AloneEnvironment", "ArithmeticEnvironment", "draw_tasks"]
