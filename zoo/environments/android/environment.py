"""One episode on a device: the app is reset, the agent acts, and a shell command tells whether the task is done.

Between tasks the app is stopped and the setting of the task put where it is not done; other apps and settings stay as
they are, so an emulator with a snapshot of its own is the better place. There is no expert.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from zoo.actions import Action
from zoo.environments import ExpertStep, Observation, Split, Task
from zoo.environments.android.device import Device, connect
from zoo.environments.android.hierarchy import Node, read_hierarchy
from zoo.environments.android.tasks import draw_tasks, template_of
from zoo.environments.line import screen_text
from zoo.environments.phone import answers
from zoo.errors import EnvironmentFailure

__all__ = ["AndroidEnvironment"]

_REACH = {"short": 0.1, "medium": 0.2, "long": 1.0}
"""Of the element's half, how far a finger moves (AndroidLab: a tenth of the width, twice, ten times)."""
_SETTLE_SECONDS = 0.5
_SETTLE_TRIES = 4
_LONGEST_WAIT_SECONDS = 30.0


class AndroidEnvironment:
    """A device. See `zoo.environments.Environment` for the protocol."""

    def __init__(self, observation: Observation = "xml", device: Callable[[], Device] = connect) -> None:
        self.done = True
        self.steps = 0
        self._form, self._connect = observation, device
        self._device: Device | None = None

    def reset(self, task: Task) -> str:
        """Stop the app, undo the task, go home. Raises EpisodeLost when the device does not answer."""
        self.task = task
        self.device.shell(f"am force-stop {task.app}")
        if task.values["elsewhere"]:
            self.device.shell(task.values["elsewhere"])
        self.device.home()
        self.done, self.steps, self.message = False, 0, ""
        self._opened = False
        self._settle()
        return self.observation()

    def step(self, action: Action) -> str:
        """Act; the next observation, when the screen has come to rest. Raises RuntimeError when the episode is over."""
        if self.done:
            raise RuntimeError("the episode is over; call reset")
        self.steps += 1
        if action.name == "finish":
            self.done, self.message = True, str(action.arguments[0])
        else:
            self._act(action)
            self._settle()
        return self.observation()

    def observation(self) -> str:
        """The screen as text."""
        return screen_text(self._title, [node.line for node in self.nodes], self._form)

    def success(self) -> bool:
        """Whether the agent finished, and the device is (for a query: the message holds) what it should be."""
        return self.done and self._reached()

    def sub_goals(self) -> tuple[bool, ...]:
        """The app was opened; the state or the answer is right."""
        return (self._opened, self._reached())

    def expert(self) -> ExpertStep:
        """There is none. Raises EnvironmentFailure."""
        raise EnvironmentFailure("no expert knows a real device; write a model, an endpoint, or random")

    @property
    def numbers(self) -> list[int]:
        """Of what can be touched."""
        return [node.line.number for node in self.nodes if node.line.number]

    @property
    def stored(self) -> NoReturn:
        """Not there: a device's state cannot be compared."""
        raise NotImplementedError("a device's state cannot be compared")

    def copy(self) -> NoReturn:
        """Not there: a device cannot be copied."""
        raise NotImplementedError("a device cannot be copied")

    def screenshot(self, marks: bool = False) -> Any:
        """The real screenshot; with `marks`, the number of each element at its corner."""
        from PIL import ImageDraw, ImageFont

        image = self.device.picture().convert("RGB")
        if not marks:
            return image
        draw = ImageDraw.Draw(image)
        font = ImageFont.load_default(max(10, image.width // 36))
        for node in self.nodes:
            if node.line.number:
                left, top = node.bounds[:2]
                draw.rectangle(node.bounds, outline="red", width=max(1, image.width // 400))
                box = draw.textbbox((left, top), str(node.line.number), font=font)
                draw.rectangle(box, fill="red")
                draw.text((left, top), str(node.line.number), fill="white", font=font)
        return image

    @staticmethod
    def draw_tasks(split: Split, count: int, seed: int) -> list[Task]:
        """See `zoo.environments.android.tasks.draw_tasks`."""
        return list(draw_tasks(split, count, seed))

    @staticmethod
    def expert_knows(task: Task) -> bool:
        """Never: there is no expert."""
        return False

    @property
    def device(self) -> Device:
        """The device, connected when it is first needed."""
        if self._device is None:
            self._device = self._connect()
        return self._device

    def _settle(self) -> None:
        """Read the screen until two readings are the same; a screen that never rests is taken as it is."""
        before = ""
        for _ in range(_SETTLE_TRIES):
            self.device.sleep(_SETTLE_SECONDS)
            xml = self.device.hierarchy()
            if xml == before:
                break
            before = xml
        self.nodes: list[Node] = read_hierarchy(before)
        package = self.device.shell("dumpsys activity activities | grep -m1 -E 'topResumedActivity|mResumedActivity'")
        self._title = package.split("/")[0].rsplit(" ", 1)[-1] if "/" in package else "Home"
        self._opened = self._opened or self._title == self.task.app

    def _act(self, action: Action) -> None:
        match action.name:
            case "tap" | "long_press" | "swipe":
                self._touch(action)
            case "text":
                if field := next((node for node in self.nodes if node.typing), None):
                    self.device.type(str(action.arguments[0]), erase=len(field.line.text))
            case "back":
                self.device.back()
            case "home":
                self.device.home()
            case "wait":
                self.device.sleep(min(float(action.arguments[0]), _LONGEST_WAIT_SECONDS))

    def _touch(self, action: Action) -> None:
        number = int(action.arguments[0])
        node = next((node for node in self.nodes if node.line.number == number), None)
        if node is None:
            return
        if action.name == "tap":
            self.device.tap(*node.centre)
        elif action.name == "long_press":
            self.device.hold(*node.centre)
        else:
            self.device.swipe(node.centre, _end(node, str(action.arguments[1]), str(action.arguments[2])))

    def _reached(self) -> bool:
        template = template_of(self.task)
        found = self.device.shell(template.command).strip()
        if template.kind == "query":
            return self.done and bool(found) and answers(self.message, found, self.task.instruction)
        return found == self.task.values["expected"]


def _end(node: Node, direction: str, dist: str) -> tuple[int, int]:
    """Where a swipe that starts in the centre of an element ends: at most a twentieth short of its edge."""
    left, top, right, bottom = node.bounds
    x, y = node.centre
    reach = _REACH[dist] * 0.9
    across, along = int((right - left) / 2 * reach), int((bottom - top) / 2 * reach)
    return {"up": (x, y - along), "down": (x, y + along), "left": (x - across, y), "right": (x + across, y)}[direction]
