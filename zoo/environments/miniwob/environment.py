"""One episode on a MiniWoB++ page: reset, act, and be judged by the page's own reward.

Success is the page's raw reward of 1, without its time penalty; what it gives for half a solution is none. The page's
clock is stopped, so that a slow model is not punished for the machine. An instance holds one browser, which starts
with the first `reset` and is to be given back by `close`.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any, NoReturn

from zoo.actions import Action
from zoo.environments import ExpertStep, Observation, Split, Task
from zoo.environments.line import Line, screen_text
from zoo.environments.miniwob.browser import Browser
from zoo.environments.miniwob.expert import EXPERT_TASKS, next_step
from zoo.environments.miniwob.page import AT_REST, READ_PAGE
from zoo.environments.miniwob.tasks import draw_tasks, html_folder
from zoo.errors import EpisodeLost

__all__ = ["MiniwobEnvironment"]

# On busy cores the driver comes back before the page's own script has run.
_LOADED = "return document.readyState === 'complete' && typeof genProblem === 'function';"
_BEGIN = """
core.EPISODE_MAX_TIME = 2000000000;
Math.seedrandom(arguments[0]);
core.setDataMode('train');
core.startEpisodeReal();
"""
_CHOOSE = """
const el = window.zooTouchable[arguments[0] - 1];
if (el.tagName !== 'OPTION') return false;
const list = el.closest('select');
if (list.multiple) el.selected = !el.selected; else el.selected = true;
list.dispatchEvent(new Event('input', {bubbles: true}));
list.dispatchEvent(new Event('change', {bubbles: true}));
return true;
"""
"""An open drop-down list is drawn by the system and out of reach, so its rows are chosen as a screen reader would."""
_AIM = """
const el = window.zooTouchable[arguments[0] - 1], [left, top, right, bottom] = arguments[1];
for (const down of [0.5, 0.25, 0.75, 0.1, 0.9]) for (const across of [0.5, 0.25, 0.75, 0.1, 0.9]) {
  const x = left + across * (right - left), y = top + down * (bottom - top);
  const hit = document.elementFromPoint(x, y);
  if (hit && el.contains(hit)) return [x, y];
}
return [(left + right) / 2, (top + bottom) / 2];
"""
"""Where a finger goes: to the middle, unless something lies over it and another part of the element is free."""
_SCROLL = "window.zooTouchable[arguments[0] - 1].scrollBy(arguments[1], arguments[2]);"
_EDITABLE = """
const el = document.activeElement;
return !!el && (el.tagName === 'TEXTAREA' || el.isContentEditable || el.tagName === 'INPUT'
  && !['checkbox', 'radio', 'button', 'submit'].includes(el.type));
"""
_DISTANCE = {"short": 40, "medium": 80, "long": 160}
"""Pixels of a swipe; the task's area is 160 wide and high."""
_READY_SECONDS = 2.0
_SETTLE_SECONDS = 0.02
_LONGEST_SETTLE_SECONDS = 2.0
"""A page that moves for longer is taken as it is."""
_LONGEST_WAIT_SECONDS = 10.0
_SUCCESS = 1.0


class MiniwobEnvironment:
    """A MiniWoB++ page. See `zoo.environments.Environment` for the protocol."""

    def __init__(
        self,
        observation: Observation = "xml",
        browser: Callable[[], Browser] = Browser,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.done = True
        self.steps = 0
        self._form, self._open, self._sleep = observation, browser, sleep
        self._browser: Browser | None = None

    def reset(self, task: Task) -> str:
        """Load the task's page with its seed. Raises EpisodeLost when the browser does."""
        if self._browser is None:
            self._browser = self._open()
        self._browser.open((html_folder() / f"{task.app}.html").as_uri())
        self._until(_LOADED)
        self._browser.script(_BEGIN, str(task.world))
        self._until("return WOB_TASK_READY;")
        self._settle()
        self.done, self.steps, self.reward = False, 0, 0.0
        self.touched: list[str] = []
        self.task: Task = task
        self._read()
        self.task = replace(task, instruction=self._instruction)
        return self.observation()

    def step(self, action: Action) -> str:
        """Act; the next observation. Raises RuntimeError when the episode is over, EpisodeLost when the browser is."""
        if self.done:
            raise RuntimeError("the episode is over; call reset")
        self.steps += 1
        self._act(action)
        self._settle()
        self._read()
        self.done = self.done or action.name == "finish"
        return self.observation()

    def observation(self) -> str:
        """The page as text."""
        return screen_text(self.task.app, self.entries, self._form)

    def success(self) -> bool:
        """Whether the page gave its full reward."""
        return self.done and self.reward >= _SUCCESS

    def sub_goals(self) -> tuple[bool, ...]:
        """A page has one goal."""
        return (self.success(),)

    def expert(self) -> ExpertStep:
        """The next step on a page that the expert knows. Raises EnvironmentFailure on another."""
        return next_step(self.task, self.entries, self.touched)

    @property
    def numbers(self) -> range:
        """Of what can be touched."""
        return range(1, len(self.boxes) + 1)

    @property
    def stored(self) -> NoReturn:
        """Not there: nobody but the page knows its state."""
        raise NotImplementedError("a page's state cannot be compared")

    def copy(self) -> NoReturn:
        """Not there: a browser cannot be copied, so detours of the expert are not made here."""
        raise NotImplementedError("a page cannot be copied; set detours: 0")

    def screenshot(self, marks: bool = False) -> Any:
        """The window as an image; with `marks`, the number of each element beside it."""
        from PIL import Image, ImageDraw

        image = Image.open(BytesIO(self._held.picture())).convert("RGB")
        if not marks:
            return image
        draw = ImageDraw.Draw(image)
        for number, (left, top, right, bottom) in enumerate(self.boxes, start=1):
            draw.rectangle((left, top, right, bottom), outline="red")
            draw.text((right + 1, top), str(number), fill="red")
        return image

    def close(self) -> None:
        """Give the browser back; may be called twice."""
        browser, self._browser = self._browser, None
        if browser:
            browser.close()

    @staticmethod
    def draw_tasks(split: Split, count: int, seed: int) -> list[Task]:
        """See `zoo.environments.miniwob.tasks.draw_tasks`."""
        return list(draw_tasks(split, count, seed))

    @staticmethod
    def expert_knows(task: Task) -> bool:
        """Whether the expert knows the task's page."""
        return task.app in EXPERT_TASKS

    @property
    def _held(self) -> Browser:
        if self._browser is None:
            raise EpisodeLost("the browser was closed")
        return self._browser

    def _until(self, condition: str) -> None:
        """Wait until a script returns true. Raises EpisodeLost when that takes too long."""
        waited = 0.0
        while not self._held.script(condition):
            if waited >= _READY_SECONDS:
                raise EpisodeLost("the page did not get ready")
            self._sleep(_SETTLE_SECONDS)
            waited += _SETTLE_SECONDS

    def _settle(self) -> None:
        """Wait until the page is at rest: menus that unfold, answers that a page delays."""
        waited = 0.0
        while waited < _LONGEST_SETTLE_SECONDS:
            self._sleep(_SETTLE_SECONDS)
            waited += _SETTLE_SECONDS
            if self._held.script(AT_REST):
                return

    def _read(self) -> None:
        found = self._held.script(READ_PAGE)
        self.entries = [Line(**entry) for entry in found["entries"]]
        self.boxes = found["boxes"]
        said = found["instruction"]
        self._instruction = str(said["utterance"] if isinstance(said, dict) else said)
        self.done, self.reward = bool(found["done"]), float(found["reward"])

    def _act(self, action: Action) -> None:
        match action.name:
            case "tap" | "long_press" | "swipe":
                number = int(action.arguments[0])
                if number <= len(self.boxes):
                    self._touch(action, number)
            case "text":
                if self._held.script(_EDITABLE):
                    self._held.type(str(action.arguments[0]))
            case "wait":
                self._sleep(min(float(action.arguments[0]), _LONGEST_WAIT_SECONDS))

    def _touch(self, action: Action, number: int) -> None:
        if action.name == "swipe":
            direction, pixels = str(action.arguments[1]), _DISTANCE[str(action.arguments[2])]
            # As on a phone, the content follows the finger: `up` shows what comes later.
            along = {"up": (0, pixels), "down": (0, -pixels), "left": (pixels, 0), "right": (-pixels, 0)}[direction]
            self._held.script(_SCROLL, number, *along)
            return
        self.touched.append(next(entry.text for entry in self.entries if entry.number == number))
        if not self._held.script(_CHOOSE, number):
            x, y = self._held.script(_AIM, number, self.boxes[number - 1])
            self._held.touch(x, y, hold=action.name == "long_press")
