"""Rows as the data stage writes them, for tests that train."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.records import StageContext

Rows = Callable[..., Path]
Context = Callable[..., StageContext]


def phone_row(number: int) -> dict[str, Any]:
    """A step in which the instruction names the button to tap."""
    index = number % 5 + 1
    said = f"<STATE_ASSESSMENT>home</STATE_ASSESSMENT><CALLED_FUNCTION>tap({index})</CALLED_FUNCTION>"
    return {
        "prompt": [
            {"role": "system", "content": "You operate a phone."},
            {"role": "user", "content": f"Tap button {index}."},
        ],
        "completion": [{"role": "assistant", "content": f"<REASONING>button {index}</REASONING>{said}"}],
        "solution": f"tap({index})",
        "task": f"tap-{number}",
        "template": "tap",
        "step": 0,
    }


def write_rows(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return folder
