"""One licence, as far as whoever publishes what is made of it needs to know."""

from dataclasses import dataclass

__all__ = ["NOTICE", "NOT_SOLD", "Terms"]

NOTICE = "keep the copyright notice and the licence's text"
NOT_SOLD = "no commercial use"


@dataclass(frozen=True)
class Terms:
    """What one licence asks of whoever publishes something made of what it covers."""

    hub: str
    """The Hub's identifier; for what the Hub calls `other`, its `license_name`."""
    spdx: str
    """SPDX identifier; `LicenseRef-...` for what SPDX does not list."""
    rank: int
    """0 public domain, 1 permissive, 2 permissive with more to do, 3 rules of use, 4 copyleft, 5 no commercial use."""
    source: str
    """Where its text is."""
    obligations: tuple[str, ...] = ()
    binds: bool = False
    """Whether what is made of it must bear the same licence."""
    commercial: bool = True
    derivatives: bool = True
    becomes: tuple[str, ...] = ()
    """Licences (Hub identifiers) that what it covers may be given instead."""
    listed: bool = True
    """Whether the Hub has an identifier of its own for it (else `license: other` and a name)."""
