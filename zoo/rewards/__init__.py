"""What an answer or an episode is worth: small picklable callables in TRL's signature.

`answers` holds OpenPhone's two for logged steps, `length` the shaping of long answers, `episodes` what whole episodes
in a world are worth. Each is called as `reward(completions=..., **columns)` with lists of one length and returns one
number each. Options of another name or type are a pydantic ValidationError. Their names in a recipe are in
`zoo.registry.REWARDS` and `EPISODE_REWARDS`.
"""

from zoo.rewards.answers import ActionReward, FormatReward, same_words
from zoo.rewards.episodes import (
    EpisodeFormatReward,
    EpisodeOverlongReward,
    OutcomeReward,
    ReadableReward,
    SubGoalReward,
    SuccessReward,
)
from zoo.rewards.length import OverlongReward

__all__ = [
    "ActionReward",
    "EpisodeFormatReward",
    "EpisodeOverlongReward",
    "FormatReward",
    "OutcomeReward",
    "OverlongReward",
    "ReadableReward",
    "SubGoalReward",
    "SuccessReward",
    "same_words",
]
