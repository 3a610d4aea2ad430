"""The grammar of an agent's calls as files beside an export, for whoever decodes under it."""

import json
from pathlib import Path

from zoo.action_grammar import GRAMMAR_NAME, SCHEMA_NAME, grammar_files
from zoo.dialects import DEVICE, dialect_of
from zoo.errors import ExportError
from zoo.schema import AgentSpec

__all__ = ["text", "write"]


def text(agent: AgentSpec | None) -> str:
    """The GBNF that goes into a file's metadata; empty for a model of no agent."""
    return _files(agent)[GRAMMAR_NAME] if agent else ""


def write(folder: Path, agent: AgentSpec | None) -> list[str]:
    """Write `action.gbnf` and `action.schema.json`, each whole or not at all; the names that were written.

    Raises ExportError when the folder cannot be written to.
    """
    files = _files(agent) if agent else {}
    try:
        for name, content in files.items():
            part = folder / f"{name}.part"
            part.write_text(content, "utf-8")
            part.replace(folder / name)
    except OSError as error:
        raise ExportError(f"{folder}: the grammar of actions cannot be written: {error}") from error
    return list(files)


def _files(agent: AgentSpec) -> dict[str, str]:
    """As the agent of its world speaks."""
    dialect = dialect_of(agent.world)
    if dialect is DEVICE:
        return grammar_files(agent)
    schema = json.dumps(dialect.schema(None), indent=2, ensure_ascii=False)
    return {GRAMMAR_NAME: dialect.grammar(None, agent.answer_tokens), SCHEMA_NAME: f"{schema}\n"}
