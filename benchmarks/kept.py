"""What a benchmark measured once, kept in a file, so that a stopped run goes on where it was."""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["once"]


def once(file: Path, measure: Callable[[], Any]) -> Any:
    """What `measure` returned, as JSON holds it: called now, or read from `file` when it is there."""
    if not file.is_file():
        started = time.perf_counter()
        part = file.with_suffix(".part")
        part.write_text(json.dumps(measure()), "utf-8")
        part.replace(file)
        print(f"{file.stem}: {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    return json.loads(file.read_text("utf-8"))
