"""Where a training run is followed while it runs: trackio, in a folder of this machine.

`trackio show` in that folder draws it. Nothing leaves the machine unless trackio's own variables say so. Off with
`EDGEZOO_TRACKING=none`, without trackio, and for a stage that no run started; `history.jsonl` is written in any case.
"""

import os
from collections.abc import Callable
from importlib.util import find_spec

from zoo.errors import EnvironmentFailure
from zoo.records import StageContext

__all__ = ["PROJECT", "options"]

PROJECT = "edgezoo"
_WAYS = ("trackio", "none")


def options(ctx: StageContext, find: Callable[[str], object | None] = find_spec) -> dict[str, str]:
    """TRL's options for it.

    Raises EnvironmentFailure for another `EDGEZOO_TRACKING` than `trackio` or `none`, and when it says `trackio` and
    there is none.
    """
    asked = os.environ.get("EDGEZOO_TRACKING")
    if asked and asked not in _WAYS:
        raise EnvironmentFailure(f"EDGEZOO_TRACKING is {asked!r}; write {' or '.join(_WAYS)}")
    there = find("trackio") is not None
    if asked == "trackio" and not there:
        raise EnvironmentFailure(
            "EDGEZOO_TRACKING is trackio, which is not installed; run: pip install 'edgezoo[track]'"
        )
    if asked == "none" or not there or not ctx.name:
        return {"report_to": "none"}
    return {"report_to": "trackio", "project": PROJECT, "run_name": f"{ctx.name}-{ctx.scratch.name[:10]}"}
