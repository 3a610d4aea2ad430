"""A dump of uiautomator as the numbered lines of a screen, by AndroidLab's pruning (`utils_mobile/xml_tool.py`).

Pruned: what is invisible, has no area or lies outside the display; what is covered by a later element of the same
place; layouts, whose class says nothing; marks of writing direction. Kept with a number: what can be touched, with the
texts inside it that cannot be touched themselves, and the state of the switch that only its row turns. What a part
repeats of the whole that it lies in is said once. What has no text at all is called by its resource's name. Bounds are
kept beside the text, not in it. Not covered: web views that hide their content.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count
from xml.etree import ElementTree

from zoo.environments.line import Line
from zoo.errors import EpisodeLost

__all__ = ["Node", "read_hierarchy"]

_BOUNDS = re.compile(r"\[(-?\d+),(-?\d+)\]\[(-?\d+),(-?\d+)\]")
_ACTIONS = {"clickable": "click", "scrollable": "scroll", "long-clickable": "long-click"}
_LAYOUTS = frozenset(
    {"View", "ViewGroup", "FrameLayout", "LinearLayout", "RelativeLayout", "ConstraintLayout", "TextView"}
)
_CHECKED = {"Switch", "CheckBox", "RadioButton", "ToggleButton", "CheckedTextView"}
_DIRECTION_MARKS = dict.fromkeys(
    map(ord, "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
)
Bounds = tuple[int, int, int, int]


@dataclass(frozen=True)
class Node:
    """One line of a screen, and where it lies on the display."""

    line: Line
    bounds: Bounds
    """Left, top, right, bottom in pixels."""
    typing: bool = False
    """Whether it is the field that has the focus."""

    @property
    def centre(self) -> tuple[int, int]:
        """Where a finger goes."""
        left, top, right, bottom = self.bounds
        return (left + right) // 2, (top + bottom) // 2


def read_hierarchy(xml: str) -> list[Node]:
    """The lines of a screen, in the order of the dump.

    Raises EpisodeLost when the text is no dump.
    """
    try:
        # Python's expat refuses entities that explode; a device that could send such owns the episode anyway.
        root = ElementTree.fromstring(xml)  # noqa: S314
    except ElementTree.ParseError as error:
        raise EpisodeLost(f"the device's screen is no XML: {error}") from error
    display = next((bounds for child in root if (bounds := _bounds(child))), (0, 0, 1 << 16, 1 << 16))
    found = [item for child in root for item in _walk(child, display, inside=False)]
    kept = [item for at, item in enumerate(found) if not _covered(item, found[at + 1 :])]
    numbers = count(1)
    return [replace(node, line=replace(node.line, number=next(numbers))) if node.line.does else node for node in kept]


def _walk(element: ElementTree.Element, display: Bounds, inside: bool, said: str = "") -> Iterator[Node]:
    """Depth first. `inside` something touchable, bare texts are already part of its line; `said` is what the text
    around it says: the word of a chosen tab stands in its description and once more in its text, in capitals."""
    bounds = _bounds(element)
    if bounds is None or element.get("visible-to-user") == "false" or not _overlap(bounds, display):
        return
    # A switch that is checkable and not clickable is turned by its row, whose line says its state.
    does = () if inside and element.get("clickable") != "true" and _is_checkable(element) else _does(element)
    text, scrolls = _text(element), does == ("scroll",)
    if does:
        yield _node(element, does, text or ("" if scrolls else _inner_text(element) or _resource(element)), bounds)
    elif text and not inside and text.casefold() != said.casefold():
        yield _node(element, (), text, bounds)
    holds = inside or (bool(does) and not scrolls)
    for child in element:
        yield from _walk(child, display, holds, text or said)


def _node(element: ElementTree.Element, does: tuple[str, ...], text: str, bounds: Bounds) -> Node:
    name = element.get("class", "").rsplit(".", 1)[-1]
    role = "" if name in _LAYOUTS else name
    line = Line(0, role, ",".join(does), ",".join(_status(element)), text)
    return Node(line, bounds, element.get("focused") == "true" and "EditText" in name)


def _does(element: ElementTree.Element) -> tuple[str, ...]:
    found = [word for attribute, word in _ACTIONS.items() if element.get(attribute) == "true"]
    if element.get("checkable") == "true" and "click" not in found:
        found.insert(0, "click")
    return tuple(found) if element.get("enabled") != "false" else ()


def _status(element: ElementTree.Element) -> tuple[str, ...]:
    """The state of what can be checked, the element's own or that of the switch inside its row."""
    states = []
    within = element.iter() if element.get("scrollable") != "true" else [element]
    if (part := next(filter(_is_checkable, within), None)) is not None:
        states.append("checked" if part.get("checked") == "true" else "unchecked")
    if element.get("selected") == "true":
        states.append("selected")
    if element.get("focused") == "true" and "EditText" in element.get("class", ""):
        states.append("focused")
    return tuple(states)


def _is_checkable(element: ElementTree.Element) -> bool:
    return element.get("checkable") == "true" or element.get("class", "").rsplit(".", 1)[-1] in _CHECKED


def _text(element: ElementTree.Element) -> str:
    """Its text and its description, said once where one holds the other."""
    text, description = (_plain(element.get(key) or "") for key in ("text", "content-desc"))
    if description in text or text in description:
        return max(text, description, key=len)
    return f"{text} {description}"


def _plain(text: str) -> str:
    return " ".join(text.translate(_DIRECTION_MARKS).split())


def _resource(element: ElementTree.Element) -> str:
    """`com.android.contacts:id/overflow_menu` is the overflow menu."""
    return (element.get("resource-id") or "").rpartition("/")[2].replace("_", " ")


def _inner_text(element: ElementTree.Element) -> str:
    """The texts of what is inside and cannot be touched itself, as a person reads a row."""
    texts = [_text(child) for child in element.iter() if child is not element and not _does(child)]
    return ", ".join(dict.fromkeys(text for text in texts if text))


def _bounds(element: ElementTree.Element) -> Bounds | None:
    """None for what has no area."""
    match = _BOUNDS.fullmatch(element.get("bounds", ""))
    if not match:
        return None
    left, top, right, bottom = map(int, match.groups())
    return (left, top, right, bottom) if right > left and bottom > top else None


def _overlap(a: Bounds, b: Bounds) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _covered(node: Node, later: Sequence[Node]) -> bool:
    """Whether something touchable was drawn over the very place of another."""
    places = (other.bounds for other in later if other.line.does == node.line.does)
    return bool(node.line.does) and node.bounds in places
