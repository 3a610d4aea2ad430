"""Who came from whom: the graph that the records' inputs draw, and its beginnings on a Hub."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from graphlib import TopologicalSorter

from zoo.records import StageRecord

__all__ = ["ancestors", "datasets", "drawing", "hub_repo", "is_rows", "models", "ordered"]

_HUB = re.compile(r"^(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)$")
_SHORT_COMMIT = 7


def ordered(records: Mapping[str, StageRecord]) -> dict[str, StageRecord]:
    """The records so that each comes after what it was made of; otherwise in the order given."""
    names = {record.key: name for name, record in records.items()}
    graph: TopologicalSorter[str] = TopologicalSorter()
    for name, record in records.items():
        graph.add(name, *(names[key] for key in _keys(record) if key in names))
    return {name: records[name] for name in graph.static_order()}


def ancestors(records: Mapping[str, StageRecord], start: str) -> dict[str, StageRecord]:
    """What `start` (`stage:KEY` or `repo@commit`) was made of, itself included; a Hub reference has none."""
    by_key = {record.key: record for record in records.values()}
    pending, found = [start.removeprefix("stage:")], set()
    while pending:
        key = pending.pop()
        if key in by_key and key not in found:
            found.add(key)
            pending.extend(_keys(by_key[key]))
    return {name: record for name, record in ordered(records).items() if record.key in found}


def hub_repo(source: str) -> tuple[str, str] | None:
    """Repository and revision of a resolved input, or None when it came from elsewhere.

    >>> hub_repo("owner/name@0a1b2c"), hub_repo("stage:0a1b2c")
    (('owner/name', '0a1b2c'), None)
    """
    match = _HUB.match(source)
    return (match["repo"], match["revision"]) if match else None


def models(records: Mapping[str, StageRecord], start: str) -> dict[str, str]:
    """The models on a Hub that `start` began from -> their revision; a teacher is none that it began from, nor is who
    played the episodes that it learned."""
    made_of = {
        name: replace(record, inputs={place: source for place, source in record.inputs.items() if not _taught(place)})
        for name, record in records.items()
    }
    made = {name: record for name, record in ancestors(made_of, start).items() if record.kind != "data"}
    sources = [start, *(source for place, source in _inputs(made) if not is_rows(place))]
    return dict(filter(None, map(hub_repo, sources)))


def datasets(records: Mapping[str, StageRecord], start: str) -> dict[str, str]:
    """The datasets on a Hub that `start` was trained on -> their revision."""
    sources = (source for place, source in _inputs(ancestors(records, start)) if is_rows(place))
    return dict(filter(None, map(hub_repo, sources)))


def drawing(records: Mapping[str, StageRecord], publications: Mapping[str, str]) -> str:
    """A mermaid graph of every record, what each began from, and where each publication (repository -> resolved
    source) went. Nodes are numbered, since a stage may bear a name that mermaid reserves, such as `end`."""
    records = ordered(records)
    nodes = {f"stage:{record.key}": f'["{name}<br/>({record.kind})"]' for name, record in records.items()}
    edges = []
    for record in records.values():
        for source in dict.fromkeys(record.inputs.values()):
            nodes.setdefault(source, f'(["{_origin(source)}"])')
            edges.append((source, f"stage:{record.key}"))
    for repo, source in publications.items():
        nodes.setdefault(source, f'(["{_origin(source)}"])')
        nodes[f"published:{repo}"] = f'[["{repo}"]]'
        edges.append((source, f"published:{repo}"))
    number = {node: f"n{index}" for index, node in enumerate(nodes)}
    lines = [f"  {number[node]}{shape}" for node, shape in nodes.items()]
    return "\n".join(["graph LR", *lines, *(f"  {number[start]} --> {number[end]}" for start, end in edges)])


def _origin(source: str) -> str:
    """How an input that is no stage of this lineage is named in the drawing: never by a path of some machine."""
    hub = hub_repo(source)
    return f"{hub[0]}<br/>@{hub[1][:_SHORT_COMMIT]}" if hub else source.split(":")[0] + " input"


def _inputs(records: Mapping[str, StageRecord]) -> Iterator[tuple[str, str]]:
    for record in records.values():
        yield from record.inputs.items()


def _keys(record: StageRecord) -> list[str]:
    return [value.removeprefix("stage:") for value in record.inputs.values() if value.startswith("stage:")]


def is_rows(place: str) -> bool:
    """Whether an input, by its place in the settings, is rows and no model."""
    return place in ("data", "dataset") or re.fullmatch(r"mix\.\d+\.rows", place) is not None


def _taught(place: str) -> bool:
    return place in ("teacher", "logits")
