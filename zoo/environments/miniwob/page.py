"""What a page shows, as the numbered lines of a screen: the scripts that read it, and the text of what they find."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["NOTE_LISTENERS", "READ_PAGE", "Entry", "observation"]

_HERE = Path(__file__).parent
NOTE_LISTENERS = (_HERE / "note_listeners.js").read_text("utf-8")
"""A script that runs before the page's own: which elements the page listens on."""
READ_PAGE = (_HERE / "read_page.js").read_text("utf-8")
"""A script that reads the page; returns `entries`, `boxes`, `instruction`, `done` and `reward`."""


@dataclass(frozen=True)
class Entry:
    """One line of a screen."""

    number: int
    """From 1; 0 for what cannot be touched."""
    role: str
    does: str
    status: str
    text: str

    @property
    def line(self) -> str:
        """As the phone writes it: `[n] Class ;actions; status ;;text`."""
        if not self.number:
            return f" ;;{self.text}"
        head = f" [{self.number}] {self.role} ;{self.does};" if self.role else f" [{self.number}] ;{self.does};"
        return f"{head} {self.status} ;;{self.text}" if self.status else f"{head} ;;{self.text}"


def observation(title: str, entries: Sequence[Entry]) -> str:
    """The whole screen."""
    return "\n".join((f";;{title}", *(entry.line for entry in entries)))
