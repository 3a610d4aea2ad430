"""One thing that is wrong with an option."""

from dataclasses import dataclass

__all__ = ["OptionProblem"]


@dataclass(frozen=True)
class OptionProblem:
    """One thing that is wrong with the options of a library."""

    path: str
    """Dotted place within the options, `models.0.parameters.weight`; empty when it is about all of them."""
    message: str
    """What is wrong, naming the value."""
    hint: str = ""
    """What to write instead."""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.message}" + (f"; {self.hint}" if self.hint else "")
