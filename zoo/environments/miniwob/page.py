"""What a page shows: the scripts that read it in the browser, as text."""

from pathlib import Path

__all__ = ["AT_REST", "NOTE_LISTENERS", "READ_PAGE"]

_HERE = Path(__file__).parent
NOTE_LISTENERS = (_HERE / "note_listeners.js").read_text("utf-8")
"""Runs before the page's own scripts: notes which elements the page listens on, and what moves."""
AT_REST = (_HERE / "at_rest.js").read_text("utf-8")
"""Whether the page is at rest."""
READ_PAGE = (_HERE / "read_page.js").read_text("utf-8")
"""Reads the page; returns `entries` (as `zoo.environments.line.Line`), `boxes`, `instruction`, `done` and `reward`."""
