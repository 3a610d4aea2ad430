"""The grammar beside an export: the one that the agent of the recipe's world speaks."""

from pathlib import Path

from zoo.exports import grammar
from zoo.schema import AgentSpec


def test_an_export_carries_the_grammar_of_its_world(tmp_path: Path) -> None:
    phone, reckoner = AgentSpec(), AgentSpec(world="arithmetic")
    assert "CALLED_FUNCTION" in grammar.text(phone)
    assert "CALLED_FUNCTION" not in grammar.text(reckoner)
    assert "<answer>" in grammar.text(reckoner)
    assert grammar.write(tmp_path, reckoner) == ["action.gbnf", "action.schema.json"]
    assert (tmp_path / "action.gbnf").read_text("utf-8") == grammar.text(reckoner)
    assert grammar.write(tmp_path, None) == [] and grammar.text(None) == ""
