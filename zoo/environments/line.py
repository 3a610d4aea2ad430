"""A line of a screen that was read from somewhere else, in both forms that the embedded phone writes."""

from collections.abc import Sequence
from dataclasses import dataclass

from zoo.environments import Observation

__all__ = ["Line", "screen_text"]

_STATUS_WORDS = {"checked": "on", "unchecked": "off", "selected": "chosen", "focused": "typing"}


@dataclass(frozen=True)
class Line:
    """One element of a screen."""

    number: int
    """From 1; 0 for what cannot be touched."""
    role: str
    does: str
    """What can be done with it: `click`, `click,scroll`, ..."""
    status: str
    text: str

    @property
    def xml(self) -> str:
        """AndroidLab's compressed XML: `[n] Class ;actions; status ;;text`."""
        if not self.number:
            return f" ;;{self.text}"
        head = f" [{self.number}] {self.role} ;{self.does};" if self.role else f" [{self.number}] ;{self.does};"
        return f"{head} {self.status} ;;{self.text}" if self.status else f"{head} ;;{self.text}"

    @property
    def terse(self) -> str:
        """The same in few tokens: `label [n] status`."""
        if not self.number:
            return self.text
        label = self.text or ("list" if "scroll" in self.does else self.role or "blank")
        words = " ".join(_STATUS_WORDS.get(status, status) for status in self.status.split(",") if status)
        return f"{label} [{self.number}]{f' {words}' if words else ''}"


def screen_text(title: str, lines: Sequence[Line], form: Observation) -> str:
    """A whole screen.

    >>> screen_text("Clock", [Line(1, "Button", "click", "", "Start")], "terse")
    'Clock\\nStart [1]'
    """
    if form == "terse":
        return "\n".join((title, *(line.terse for line in lines)))
    return "\n".join((f";;{title}", *(line.xml for line in lines)))
