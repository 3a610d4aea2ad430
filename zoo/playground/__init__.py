"""The evaluation playground: anybody acts in any world, episode by episode, resumable, with tables in the end.

`session` lets one act and writes `episodes.jsonl`, `scores` measures, `sheets` writes tables, `judge` asks a model for
its opinion; `zoo.answering` makes agents of models and endpoints. Importing this imports nothing heavy.
"""

from zoo.answering import Ask, Endpoint, ModelAgent, ask_endpoint, ask_runtime
from zoo.playground.episodes import EPISODES_NAME, EpisodeLog, EpisodeRecord, StepRecord
from zoo.playground.judge import Judge
from zoo.playground.scores import Group, groups, measures
from zoo.playground.session import Session, choose_tasks, recorded
from zoo.playground.sheets import require_xlsx, write_csv, write_xlsx

__all__ = [
    "EPISODES_NAME",
    "Ask",
    "Endpoint",
    "EpisodeLog",
    "EpisodeRecord",
    "Group",
    "Judge",
    "ModelAgent",
    "Session",
    "StepRecord",
    "ask_endpoint",
    "ask_runtime",
    "choose_tasks",
    "groups",
    "measures",
    "recorded",
    "require_xlsx",
    "write_csv",
    "write_xlsx",
]
