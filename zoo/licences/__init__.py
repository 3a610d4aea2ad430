"""What licence a model may bear, given what it was made of: most restrictive wins, every obligation is listed. Pure.

Bases, merge parents, teachers and datasets count alike: what is made of them carries their terms. Whether the licence
of a dataset or a teacher reaches a model trained on it is disputed; here it does, since a publication is refused
more easily than it is taken back. This is a careful reading of licences by programmers and no legal advice.

Rules. (1) A source without a licence, or with one that is not in `TERMS`, is unknown: refused. (2) What forbids
derivatives is refused. (3) Some licences must be passed on as they are (`binds`): copyleft, and the agreements of
makers of models. One of them is the licence of the result; two different ones contradict each other, unless one says
that it may become the other (`becomes`). (4) A licence that forbids commercial use contradicts one that binds and
allows it. (5) Without one that binds, the highest `rank` is the licence of the result. The obligations of all sources
hold in each case. A recipe that knows better states `license` and `license_reason`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from zoo.licences.terms import TERMS, Terms, known

__all__ = ["TERMS", "Licence", "Refused", "Role", "Source", "Terms", "combine", "identifiers", "known", "licence_for"]

Role = Literal["base", "merge parent", "teacher", "dataset"]

_HEAD = re.compile(r"\A---\s*\n(?P<yaml>.*?)\n---\s*(?:\n|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """One thing that a model is made of, and the licences that its own card names."""

    name: str
    """`owner/name@commit`."""
    role: Role
    licences: tuple[str, ...]
    """As its card writes them; none when it names none."""


@dataclass(frozen=True)
class Licence:
    """What a model may bear, and what that asks of whoever publishes or uses it."""

    spdx: str
    obligations: tuple[str, ...]
    sources: tuple[Source, ...]
    reason: str = ""
    """Why the recipe's own word stands in place of the algebra; empty when the algebra decided."""


class Refused(ValueError):
    """There is no licence under which this could be published, or none that is known; the message says why."""


def identifiers(card: str) -> tuple[str, ...]:
    """The licences that a repository's README.md names; `other` gives way to its `license_name`.

    >>> identifiers("---\\nlicense: other\\nlicense_name: qwen-research\\n---\\n# A model")
    ('qwen-research',)
    """
    match = _HEAD.match(card)
    try:
        head: Any = yaml.safe_load(match["yaml"]) if match else None
    except yaml.YAMLError:
        return ()
    said = head.get("license") if isinstance(head, dict) else None
    names = [str(name).lower() for name in (said if isinstance(said, list) else [said]) if name]
    named = str(head.get("license_name") or "other").lower() if isinstance(head, dict) else "other"
    return tuple(named if name == "other" else name for name in names)


def combine(sources: Sequence[Source]) -> Terms | None:
    """The licence of what is made of all sources; None when there is none, so that its maker is free to choose.

    Raises Refused, naming the sources, when one is unknown, forbids derivatives, or two contradict each other.
    """
    terms = {source: _terms(source) for source in sources}
    together = list(dict.fromkeys(entry for entries in terms.values() for entry in entries))
    for source, entries in terms.items():
        if forbidding := next((entry for entry in entries if not entry.derivatives), None):
            raise Refused(f"{source.name} ({source.role}) is under {forbidding.spdx}, which forbids what is made of it")
    binding = _binding([entry for entry in together if entry.binds], terms)
    if binding is None:
        return max(together, key=lambda entry: entry.rank, default=None)
    if binding.commercial and (closed := next((entry for entry in together if not entry.commercial), None)):
        raise Refused(_contradiction(binding, closed, terms))
    return binding


def licence_for(sources: Sequence[Source], stated: str, reason: str | None) -> Licence:
    """The licence under which a recipe may publish: the one that it states, if the sources allow it.

    A stated licence is allowed when it is the computed one, or when nothing binds and it is at least as restrictive;
    with a `reason` it is taken at its word. Raises Refused with why not.
    """
    obligations = tuple(dict.fromkeys(duty for source in sources for duty in _obligations(source)))
    if reason:
        return Licence(stated, obligations, tuple(sources), reason)
    computed, own = combine(sources), known(stated)
    if computed is None or own == computed:
        return Licence(own.spdx if own else stated, obligations, tuple(sources))
    if own is None or computed.binds or own.rank < computed.rank or (own.commercial and not computed.commercial):
        made = ", ".join(f"{source.name} ({source.role}): {' and '.join(source.licences)}" for source in sources)
        raise Refused(f"what it is made of asks for {computed.spdx} ({made})")
    return Licence(own.spdx, obligations, tuple(sources))


def _terms(source: Source) -> tuple[Terms, ...]:
    if not source.licences:
        raise Refused(f"{source.name} ({source.role}) names no licence on its card")
    found = tuple(known(name) for name in source.licences)
    for name, terms in zip(source.licences, found, strict=True):
        if terms is None:
            raise Refused(f"{source.name} ({source.role}) is under {name!r}, whose terms are not known here")
    return tuple(terms for terms in found if terms)


def _obligations(source: Source) -> Iterable[str]:
    for name in source.licences:
        if terms := known(name):
            yield from (f"{terms.spdx} ({source.name.partition('@')[0]}): {duty}" for duty in terms.obligations)


def _binding(binding: list[Terms], terms: dict[Source, tuple[Terms, ...]]) -> Terms | None:
    """The one licence that all that bind may become."""
    if not binding:
        return None
    for candidate in binding:
        if all(other == candidate or candidate.hub in other.becomes for other in binding):
            return candidate
    raise Refused(_contradiction(binding[0], binding[1], terms))


def _contradiction(one: Terms, other: Terms, terms: dict[Source, tuple[Terms, ...]]) -> str:
    def where(wanted: Terms) -> str:
        return ", ".join(source.name for source, entries in terms.items() if wanted in entries)

    return f"{one.spdx} ({where(one)}) and {other.spdx} ({where(other)}) cannot both hold for one model"
