"""Which of MiniWoB++'s pages are tasks here, which are not and why, and how a split draws from them.

The rule: a page is used when someone who reads the numbered elements as text, and taps, types, swipes and waits, can
solve it. Splits: `train` and `held-out-parameters` share pages and differ in seeds (even, odd); `held-out-templates`
has pages of its own. A training split that the expert can demonstrate, and its held-out seeds and pages, are these with
the template pattern `expert` (`zoo.environments.choosing`), which leaves those pages whose way it knows.
"""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from random import Random

from zoo.environments import Split, Task
from zoo.errors import EnvironmentFailure

__all__ = ["HELD_OUT", "LEFT_OUT", "draw_tasks", "html_folder", "page_names"]

_PLACE = "asks for a place on a canvas, not for an element"
_DRAG = "asks to drag"
_SEE = "asks for what is only drawn: a shape, a colour, a picture"
_TIME = "asks to act at the right moment; an agent here takes a step at a time"
_SELECT = "asks to mark text with the pointer"
_NATIVE = "has the browser's own date or time field, which opens outside the page"
_SLIDER = "has a slider that only dragging moves"

LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(("bisect-angle", "circle-center", "find-midpoint", "right-angle", "grid-coordinate"), _PLACE),
    **dict.fromkeys(("draw-circle", "draw-line", "resize-textarea"), _DRAG),
    **dict.fromkeys(("drag-box", "drag-circle", "drag-cube", "drag-items", "drag-items-grid", "drag-shapes"), _DRAG),
    **dict.fromkeys(("drag-shapes-2", "drag-single-shape", "drag-sort-numbers", "daily-calendar"), _DRAG),
    **dict.fromkeys(("click-color", "click-shades", "click-shape", "count-shape", "count-sides", "hot-cold"), _SEE),
    **dict.fromkeys(("identify-shape", "number-checkboxes", "visual-addition", "use-colorwheel"), _SEE),
    **dict.fromkeys(("use-colorwheel-2", "click-pie", "click-pie-nodelay"), _SEE),
    **dict.fromkeys(("chase-circle", "hover-shape", "moving-items", "simon-says", "stock-market"), _TIME),
    **dict.fromkeys(("highlight-text", "highlight-text-2", "text-editor"), _SELECT),
    **dict.fromkeys(("enter-date", "enter-time"), _NATIVE),
    **dict.fromkeys(("use-slider", "use-slider-2", "form-sequence"), _SLIDER),
    "terminal": "listens for single keys of a keyboard and has no field",
}
"""Page -> why it is no task."""

HELD_OUT: tuple[str, ...] = (
    "choose-date-easy", "click-button-sequence", "click-checkboxes-soft", "click-tab-2", "email-inbox-reply",
    "enter-text-2", "find-greatest", "focus-text-2", "login-user-popup", "multi-layouts", "phone-book", "read-table-2",
    "simple-algebra", "social-media-some", "use-autocomplete-nodelay",
)  # fmt: skip
"""Pages of the split `held-out-templates`."""

_SEEDS = 1 << 30


@cache
def html_folder() -> Path:
    """Where the package keeps its pages. Raises EnvironmentFailure when it is not installed."""
    spec = find_spec("miniwob")
    if spec is None or not spec.origin:
        raise EnvironmentFailure("MiniWoB++ is not installed; write: pip install 'edgezoo[miniwob]'")
    return Path(spec.origin).parent / "html" / "miniwob"


@cache
def page_names() -> tuple[str, ...]:
    """The pages that are tasks here, of those that the installed package has."""
    return tuple(sorted(file.stem for file in html_folder().glob("*.html") if file.stem not in LEFT_OUT))


def draw_tasks(split: Split, count: int, seed: int) -> Sequence[Task]:
    """So many distinct tasks, page after page; same arguments, same tasks.

    A task's instruction is written by its page and is known when it has been set up (`Environment.task`).

    Raises ValueError, with the maximum, when the split does not have so many, and EnvironmentFailure without MiniWoB++.
    """
    if split == "held-out-app":
        raise ValueError(f"{split} has no task: every page is an app of its own; ask for held-out-templates")
    pages = [name for name in page_names() if (name in HELD_OUT) == (split == "held-out-templates")]
    most = len(pages) * _SEEDS // 2
    if count > most:
        raise ValueError(f"{split} has {most} tasks; ask for at most so many")
    rng = Random(f"miniwob {split} {seed}")
    rng.shuffle(pages)
    odd = split != "train"
    drawn: dict[str, Task] = {}
    names = cycle(pages)
    while len(drawn) < count:
        name, world = next(names), 2 * rng.randrange(_SEEDS // 2) + odd
        task = Task(f"miniwob.{name}#{world}", f"miniwob.{name}", "operation", name, "", (), split, world)
        drawn.setdefault(task.id, task)
    return list(drawn.values())
