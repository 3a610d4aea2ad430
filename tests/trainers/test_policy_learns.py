"""Acting in a world makes a policy better: from chance, in a minute, by each of the ways to compare episodes."""

from pathlib import Path
from typing import Any

import pytest
from toy_policy import WAYS, learned, taught

from zoo import registry


@pytest.fixture(scope="module")
def tapper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return taught(tmp_path_factory.mktemp("tapper"))


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_success_rises_from_chance(tapper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setitem(registry.ENVIRONMENTS, "phone", "toy_world:ToyWorld")
    result: Any = learned(tmp_path, tapper, **WAYS[way])
    assert result.metrics["success_start"].value < 0.4
    assert result.metrics["success_end"].value > 0.8
