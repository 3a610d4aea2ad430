"""Models that answer in the agent's loop: a loaded one (`models`) or one behind an endpoint (`endpoint`), greedy
or by chance (`drawing`).

Evaluation, data and the terminal ask through here. Importing this imports nothing heavy.
"""

from zoo.answering.drawing import Draw, draw_endpoint, draw_runtime, seed_number
from zoo.answering.endpoint import Endpoint, answered, ask_endpoint, endpoint_of
from zoo.answering.kept import KeptAnswers, Spent
from zoo.answering.models import Ask, ModelAgent, Numbers, ask_runtime, grammar_for
from zoo.answering.pace import Pace

__all__ = [
    "Ask",
    "Draw",
    "Endpoint",
    "KeptAnswers",
    "ModelAgent",
    "Numbers",
    "Pace",
    "Spent",
    "answered",
    "ask_endpoint",
    "ask_runtime",
    "draw_endpoint",
    "draw_runtime",
    "endpoint_of",
    "grammar_for",
    "seed_number",
]
