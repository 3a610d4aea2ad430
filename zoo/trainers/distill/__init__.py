"""Distillation: the stages `distill`, a student that learns from a teacher, and `logits`, which stores what one says.

`rows` turns rows into tokens and masks, `divergence` holds the formulas, `store` keeps logits on disk, `capture` fills
it, `rollouts` lets the student answer, `trainer` puts the losses together, `stage` runs them.
"""

from zoo.trainers.distill.capture import capture
from zoo.trainers.distill.stage import run

__all__ = ["capture", "run"]
