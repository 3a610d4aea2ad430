"""A stage's context and its finished publication, made anew for each test."""

from pathlib import Path

import publications
import pytest

from zoo import publish
from zoo.records import StageContext


@pytest.fixture
def context(tmp_path: Path, tiny_llama: Path) -> StageContext:
    return publications.context_of(tmp_path, tiny_llama)


@pytest.fixture
def publication(context: StageContext) -> Path:
    """A finished publication, as it lies in the cache."""
    publish.run(publications.SPEC, context)
    (context.out / "stage.json").write_text("{}")
    return context.out
