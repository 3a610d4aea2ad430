"""Models that answer in the agent's loop: a loaded one (`models`) or one behind an endpoint (`endpoint`).

Evaluation, data and the terminal ask through here. Importing this imports nothing heavy.
"""

from zoo.answering.endpoint import Endpoint, ask_endpoint
from zoo.answering.models import Ask, ModelAgent, ask_runtime, grammar_for

__all__ = ["Ask", "Endpoint", "ModelAgent", "ask_endpoint", "ask_runtime", "grammar_for"]
