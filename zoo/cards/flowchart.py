"""A mermaid flowchart as SVG, drawn without a script: for pages on which none may run.

Covered: what cards' drawings of lineage are made of (`graph LR`, nodes with a quoted label in `[...]`, `([...])` or
`[[...]]`, plain arrows). Anything else is no flowchart here, and whoever asked shows its source. Columns are longest
paths from the beginnings; an arrow that passes a column gets a place in it (Sugiyama, Tagawa and Toda, "Methods for
visual understanding of hierarchical system structures", 1981), ordered by one sweep of barycentres.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from markupsafe import Markup

__all__ = ["draw"]

_HEAD = re.compile(r"^graph LR;?$")
_NODE = re.compile(r'^(?P<id>\w{1,40})(?P<open>\(\[|\[\[|\[)"(?P<label>[^"]{1,200})"(?:\]\)|\]\]|\])$')
_EDGE = re.compile(r"^(?P<start>\w{1,40}) --> (?P<end>\w{1,40})$")
_BREAK = re.compile(r"<br\s*/?>")
_MOST_NODES, _MOST_EDGES = 200, 400

# Pixels of the drawing, which is scaled to its place.
_LETTER, _LINE, _PAD, _GAP_X, _GAP_Y, _MARGIN = 7.0, 17, 10, 46, 16, 8
_ROUND = {"([": 18, "[[": 3, "[": 5}


@dataclass(frozen=True)
class _Node:
    shape: str
    """How its mermaid begins; empty for an arrow's place in a column that it only passes."""
    lines: tuple[str, ...]
    column_width: float = 0.0
    """Of an arrow's place: it leads straight through the column, beside the boxes."""

    @property
    def width(self) -> float:
        return self.column_width or max(len(line) for line in self.lines) * _LETTER + 2 * _PAD

    @property
    def height(self) -> float:
        return len(self.lines) * _LINE + _PAD


_PASSING = _Node("", ("",))


def draw(source: str) -> Markup | None:
    """The drawing, or None for what is no flowchart of this kind, has a circle, or is too large to be one of ours."""
    nodes: dict[str, _Node] = {}
    edges: list[tuple[str, str]] = []
    head, *lines = [line.strip() for line in source.strip().splitlines()] or [""]
    for line in lines:
        if match := _NODE.match(line):
            nodes[match["id"]] = _Node(match["open"], tuple(_BREAK.split(match["label"])))
        elif match := _EDGE.match(line):
            edges.append((match["start"], match["end"]))
        elif line:
            return None
    named = {name for edge in edges for name in edge} <= nodes.keys()
    if not (_HEAD.match(head) and nodes and named) or len(nodes) > _MOST_NODES or len(edges) > _MOST_EDGES:
        return None
    try:
        columns = _columns(nodes, edges)
    except CycleError:
        return None
    return _svg(*_placed(nodes, edges, columns))


def _columns(nodes: Mapping[str, _Node], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Node -> how many arrows the longest way to it has."""
    before: dict[str, list[str]] = {name: [] for name in nodes}
    for start, end in edges:
        before[end].append(start)
    found: dict[str, int] = {}
    for name in TopologicalSorter(before).static_order():
        found[name] = max((found[earlier] + 1 for earlier in before[name]), default=0)
    # A beginning that is used late stands beside its use, and not at the far left.
    after = {start: min(found[end] for other, end in edges if other == start) for start, _ in edges}
    return {name: after[name] - 1 if not before[name] and name in after else column for name, column in found.items()}


def _placed(
    nodes: Mapping[str, _Node], edges: Sequence[tuple[str, str]], columns: Mapping[str, int]
) -> tuple[dict[str, tuple[_Node, float, float]], list[list[str]]]:
    """Every node with the middle of its left side; and each arrow as the nodes that it leads along."""
    all_nodes, column_of, ways = dict(nodes), dict(columns), []
    for start, end in edges:
        passed = [f"{start} {end} {column}" for column in range(columns[start] + 1, columns[end])]
        all_nodes |= dict.fromkeys(passed, _PASSING)
        column_of |= {name: columns[start] + 1 + place for place, name in enumerate(passed)}
        ways.append([start, *passed, end])
    order = [[name for name in all_nodes if column_of[name] == number] for number in range(max(column_of.values()) + 1)]
    _untangle(order, ways)
    heights = [sum(all_nodes[name].height + _GAP_Y for name in names) for names in order]
    places: dict[str, tuple[_Node, float, float]] = {}
    x = float(_MARGIN)
    for names, height in zip(order, heights, strict=True):
        y = _MARGIN + (max(heights) - height) / 2
        width = max(all_nodes[name].width for name in names)
        for name in names:
            node = all_nodes[name] if all_nodes[name].shape else replace(_PASSING, column_width=width)
            places[name] = (node, x, y + node.height / 2)
            y += node.height + _GAP_Y
        x += width + _GAP_X
    return places, ways


def _untangle(order: list[list[str]], ways: Sequence[Sequence[str]]) -> None:
    """Sort each column by the mean place of what leads to it, in place."""
    before: dict[str, list[str]] = {}
    for way in ways:
        for earlier, later in pairwise(way):
            before.setdefault(later, []).append(earlier)
    for number in range(1, len(order)):
        place = {name: index / max(1, len(order[number - 1])) for index, name in enumerate(order[number - 1])}

        def weight(name: str, place: dict[str, float] = place) -> float:
            found = [place[earlier] for earlier in before.get(name, []) if earlier in place]
            return sum(found) / len(found) if found else 0.5

        order[number].sort(key=weight)


def _svg(places: Mapping[str, tuple[_Node, float, float]], ways: Sequence[Sequence[str]]) -> Markup:
    width = max(x + node.width for node, x, _ in places.values()) + _MARGIN
    height = max(y + node.height / 2 for node, _, y in places.values()) + _MARGIN
    arrows = Markup("").join(_arrow([places[name] for name in way]) for way in ways)
    boxes = Markup("").join(_box(*place) for place in places.values() if place[0].shape)
    return Markup(
        '<figure class="drawing"><svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{label}">'
        '<g fill="none" stroke="currentColor" stroke-width="1.2" opacity="0.55">{arrows}</g>{boxes}</svg></figure>\n'
    ).format(w=round(width), h=round(height), label=_words(places, ways), arrows=arrows, boxes=boxes)


def _words(places: Mapping[str, tuple[_Node, float, float]], ways: Sequence[Sequence[str]]) -> str:
    """For whoever cannot see it: each arrow as words."""
    return "; ".join(f"{places[way[0]][0].lines[0]} to {places[way[-1]][0].lines[0]}" for way in ways)


def _arrow(way: Sequence[tuple[_Node, float, float]]) -> Markup:
    node, x, y = way[0]
    path = [f"M{x + node.width:.0f} {y:.0f}"]
    at = x + node.width
    for other, left, middle in way[1:]:
        bend = (at + left) / 2
        path.append(f"C{bend:.0f} {y:.0f} {bend:.0f} {middle:.0f} {left:.0f} {middle:.0f}")
        at, y = left + other.width, middle
        if not other.shape:
            path.append(f"H{at:.0f}")
    _, x, y = way[-1]
    path.append(f"m-6 -3.5l6 3.5l-6 3.5M{x:.0f} {y:.0f}")
    return Markup('<path d="{}"/>').format(" ".join(path))


def _box(node: _Node, x: float, y: float) -> Markup:
    top = y - node.height / 2
    lines = Markup("").join(
        Markup('<text x="{}" y="{}" text-anchor="middle" fill="currentColor"{}>{}</text>').format(
            round(x + node.width / 2),
            round(top + _PAD / 2 + _LINE * (row + 0.75)),
            Markup(' opacity="0.65"') if row else "",
            line,
        )
        for row, line in enumerate(node.lines)
    )
    return Markup(
        '<rect x="{}" y="{}" width="{}" height="{}" rx="{}" fill="currentColor" fill-opacity="{}" stroke="currentColor"'
        ' stroke-opacity="0.5"/>{}'
    ).format(
        round(x),
        round(top),
        round(node.width),
        round(node.height),
        _ROUND[node.shape],
        0.16 if node.shape == "[[" else 0.05,
        lines,
    )
