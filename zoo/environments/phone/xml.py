"""A screen as AndroidLab's compressed XML with bounds: `[n] Class ;actions; status ;;text bounds`, a node a line.

As in `utils_mobile/xml_tool.py` of AndroidLab (arXiv 2410.24024): classes that only lay out are blank, actions are
click, long-click, scroll, check and focusable, bounds are pixels of the display, and what hangs in a list is indented.
Unlike there, a node has the number that `tap` takes for its id, and what cannot be touched has none.
"""

from zoo.environments.phone.layout import HEIGHT, WIDTH, Box, Layout
from zoo.environments.phone.screen import Element

__all__ = ["compressed_xml"]

_CHECKED = ("Switch", "RadioButton")


def compressed_xml(layout: Layout) -> str:
    """The visible screen; rows of a list that scrolls hang below it.

    >>> from zoo.environments.phone import TenAppPhone, draw_tasks
    >>> environment = TenAppPhone()
    >>> task = draw_tasks("train", 1, seed=0)[0]
    >>> _ = environment.reset(task)
    >>> compressed_xml(environment.layout()).splitlines()[0]
    ' ;; ;;Home [0,0][540,1170]'
    """
    frame = layout.dialog or Box(0, 0, WIDTH, HEIGHT)
    lines = [f" ;; ;;{layout.screen.title}{_bounds(frame)}"]
    number = 0
    listed = set(map(id, layout.screen.rows)) if any(one.role == "ListView" for one in layout.elements) else set()
    for element, box in zip(layout.elements, layout.boxes, strict=True):
        depth = 2 if id(element) in listed else 1
        number += bool(element.on_tap or element.role)
        head = f"[{number}] {element.role}" if element.on_tap or element.role else ""
        lines.append(f"{' ' * depth}{head} ;{_actions(element)}; {element.status} ;;{_text(element)}{_bounds(box)}")
    return "\n".join(lines)


def _actions(element: Element) -> str:
    words = ["click"] if element.on_tap else ["scroll"] if element.role else []
    words += ["long-click"] if element.on_hold else []
    words += ["check"] if element.role in _CHECKED else []
    words += ["focusable"] if element.role == "EditText" else []
    return ",".join(words)


def _text(element: Element) -> str:
    return element.label if element.value is None else f"{element.label}: {element.value}".rstrip()


def _bounds(box: Box) -> str:
    return f" [{box.left},{box.top}][{box.right},{box.bottom}]"
