"""A service desk: a clerk who says which datum is missing, and an agent who has it among the facts of its task.

`cases` says what can be asked for and by whom, `environment` plays the clerk. Everything follows from a task; a step
takes microseconds. Not covered: a clerk who is wrong, who forgets, or who understands sentences.
"""

from zoo.environments.desk.cases import FACTS, TOPICS, Case, case_of, draw_tasks
from zoo.environments.desk.environment import DeskEnvironment

__all__ = ["FACTS", "TOPICS", "Case", "DeskEnvironment", "case_of", "draw_tasks"]
