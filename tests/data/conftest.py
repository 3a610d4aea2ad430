import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo.data import read_rows, run
from zoo.records import StageContext, StageResult
from zoo.schema import DataSpec

Made = tuple[list[dict[str, Any]], StageResult, Path]


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Made]:
    """Run a data stage: (settings, seed, scratch, **inputs) -> rows, result, folder."""
    count = iter(range(100))

    def go(settings: dict[str, Any], seed: int = 0, scratch: Path | None = None, **inputs: Path) -> Made:
        number = next(count)
        out = tmp_path / f"out-{number}"
        out.mkdir()
        kept = scratch or tmp_path / f"scratch-{number}"
        kept.mkdir(exist_ok=True)
        places = {name.replace("__", "."): path for name, path in inputs.items()}
        context = StageContext(out, kept, places, seed, log=logging.getLogger("test"))
        result = run(DataSpec.model_validate(settings), context)
        return list(read_rows(out)), result, out

    return go
