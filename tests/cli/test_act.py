"""`recipes act`: whose agent a model is asked as."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from zoo.cli.act import _agent, act


def test_a_recipe_that_is_named_is_the_one_whose_agent_acts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEZOO_HOME", str(tmp_path))
    assert _agent("me/model", "dual-lora-desk-135m", offline=True).world == "desk"
    assert _agent("me/model", None, offline=True).world == "phone-ten"
    assert "Default: of a model of the zoo its own" in " ".join(CliRunner().invoke(act, ["--help"]).output.split())
