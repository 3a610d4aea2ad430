"""A dump of uiautomator as the numbered lines of a screen, by AndroidLab's pruning (`utils_mobile/xml_tool.py`).

Pruned: what is invisible, has no area or lies outside the display; what is covered by a later element of the same
place; layouts, whose class says nothing. Kept with a number: what can be touched, with the texts inside it that cannot
be touched themselves. Bounds are kept beside the text, not in it. Not covered: web views that hide their content.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from zoo.errors import EpisodeLost

__all__ = ["Node", "observation", "read_hierarchy"]

_BOUNDS = re.compile(r"\[(-?\d+),(-?\d+)\]\[(-?\d+),(-?\d+)\]")
_ACTIONS = {"clickable": "click", "scrollable": "scroll", "long-clickable": "long-click"}
_LAYOUTS = frozenset(
    {"View", "ViewGroup", "FrameLayout", "LinearLayout", "RelativeLayout", "ConstraintLayout", "TextView"}
)
_CHECKED = {"Switch", "CheckBox", "RadioButton", "ToggleButton", "CheckedTextView"}
Bounds = tuple[int, int, int, int]


@dataclass(frozen=True)
class Node:
    """One line of a screen."""

    number: int
    """From 1; 0 for what cannot be touched."""
    role: str
    does: tuple[str, ...]
    status: tuple[str, ...]
    text: str
    bounds: Bounds
    """Left, top, right, bottom in pixels."""
    focused: bool = False
    editable: bool = False

    @property
    def centre(self) -> tuple[int, int]:
        """Where a finger goes."""
        left, top, right, bottom = self.bounds
        return (left + right) // 2, (top + bottom) // 2

    @property
    def line(self) -> str:
        """As the embedded phone writes it: `[n] Class ;actions; status ;;text`."""
        if not self.number:
            return f" ;;{self.text}"
        head = f" [{self.number}]{f' {self.role}' if self.role else ''} ;{','.join(self.does)};"
        return f"{head}{f' {chr(44).join(self.status)}' if self.status else ''} ;;{self.text}"


def observation(title: str, nodes: Sequence[Node]) -> str:
    """The whole screen."""
    return "\n".join((f";;{title}", *(node.line for node in nodes)))


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
    nodes: list[Node] = []
    count = 0
    for node in kept:
        count += bool(node.does)
        nodes.append(_numbered(node, count if node.does else 0))
    return nodes


def _walk(element: ElementTree.Element, display: Bounds, inside: bool) -> Iterator[Node]:
    """Depth first. `inside` something touchable, bare texts are already part of its line."""
    bounds = _bounds(element)
    if bounds is None or element.get("visible-to-user") == "false" or not _overlap(bounds, display):
        return
    does = _does(element)
    text = _text(element)
    if does:
        yield _node(element, does, text or ("" if does == ("scroll",) else _inner_text(element)), bounds)
    elif text and not inside:
        yield _node(element, (), text, bounds)
    holds = inside or (bool(does) and does != ("scroll",))
    for child in element:
        yield from _walk(child, display, holds)


def _node(element: ElementTree.Element, does: tuple[str, ...], text: str, bounds: Bounds) -> Node:
    name = element.get("class", "").rsplit(".", 1)[-1]
    status = _status(element)
    role = "" if name in _LAYOUTS else name
    focused = element.get("focused") == "true"
    return Node(0, role, does, status, text, bounds, focused, "EditText" in name)


def _numbered(node: Node, number: int) -> Node:
    return Node(number, node.role, node.does, node.status, node.text, node.bounds, node.focused, node.editable)


def _does(element: ElementTree.Element) -> tuple[str, ...]:
    found = [word for attribute, word in _ACTIONS.items() if element.get(attribute) == "true"]
    if element.get("checkable") == "true" and "click" not in found:
        found.insert(0, "click")
    return tuple(found) if element.get("enabled") != "false" else ()


def _status(element: ElementTree.Element) -> tuple[str, ...]:
    """The state of what can be checked, the element's own or that of the switch inside its row."""
    states = []
    for part in element.iter():
        if part.get("checkable") == "true" or part.get("class", "").rsplit(".", 1)[-1] in _CHECKED:
            states.append("checked" if part.get("checked") == "true" else "unchecked")
            break
    if element.get("selected") == "true":
        states.append("selected")
    if element.get("focused") == "true" and "EditText" in element.get("class", ""):
        states.append("focused")
    return tuple(states)


def _text(element: ElementTree.Element) -> str:
    text, description = (" ".join((element.get(key) or "").split()) for key in ("text", "content-desc"))
    return text if not description or description == text else f"{text} {description}".strip()


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
    return bool(node.does) and any(other.does == node.does and other.bounds == node.bounds for other in later)
