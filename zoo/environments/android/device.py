"""A device as adb reaches it: shell commands, touches, its screen. What goes wrong ends the episode alone.

Which one: `ANDROID_SERIAL`, else the only one there is. Where adb's server runs: `ANDROID_ADB_SERVER_ADDRESS` and
`ANDROID_ADB_SERVER_PORT`, else loopback and 5037, as adb itself.
"""

import os
import shlex
import time
from collections.abc import Callable
from typing import Any

from zoo.errors import EnvironmentFailure, EpisodeLost

__all__ = ["Device", "connect"]

_PORT = 5037
_HOLD_MILLISECONDS = 1000
_SWIPE_MILLISECONDS = 400
_KEY_HOME, _KEY_BACK, _KEY_MOVE_END, _KEY_DELETE = 3, 4, 123, 67


def connect() -> "Device":
    """The device of the environment. Raises EnvironmentFailure when there is no adb, none, or more than one unnamed."""
    try:
        import adbutils
    except ModuleNotFoundError as error:
        raise EnvironmentFailure("adbutils is not installed; write: pip install 'edgezoo[android]'") from error
    host = os.environ.get("ANDROID_ADB_SERVER_ADDRESS", "127.0.0.1")
    client = adbutils.AdbClient(host=host, port=int(os.environ.get("ANDROID_ADB_SERVER_PORT", str(_PORT))))
    try:
        serials = [device.serial for device in client.device_list()]
    except (adbutils.AdbError, OSError) as error:
        raise EnvironmentFailure(f"adb's server does not answer: {error}; write: adb start-server") from error
    wanted = os.environ.get("ANDROID_SERIAL")
    if wanted is None and len(serials) != 1:
        raise EnvironmentFailure(f"adb knows {len(serials)} devices ({', '.join(serials)}); set ANDROID_SERIAL to one")
    if wanted is not None and wanted not in serials:
        raise EnvironmentFailure(f"ANDROID_SERIAL={wanted}: adb knows {', '.join(serials) or 'no device'}")
    return Device(client.device(wanted or serials[0]))


class Device:
    """One device. Every method raises EpisodeLost when adb fails."""

    def __init__(self, adb: Any, sleep: Callable[[float], None] = time.sleep) -> None:
        self._adb, self.sleep = adb, sleep

    def shell(self, command: str) -> str:
        """What a command prints."""
        return str(self._safely(lambda: self._adb.shell(command)))

    def hierarchy(self) -> str:
        """The screen as uiautomator's XML."""
        return str(self._safely(self._adb.dump_hierarchy))

    def picture(self) -> Any:
        """The screen as a `PIL.Image.Image`."""
        return self._safely(lambda: self._adb.screenshot(error_ok=False))

    def tap(self, left: int, top: int) -> None:
        """Touch a place, in pixels."""
        self.shell(f"input tap {left} {top}")

    def hold(self, left: int, top: int) -> None:
        """Touch a place for a second."""
        self.shell(f"input swipe {left} {top} {left} {top} {_HOLD_MILLISECONDS}")

    def swipe(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Move a finger from one place to another, as fast as AndroidLab's."""
        places = " ".join(str(pixels) for pixels in (*start, *end))
        self.shell(f"input swipe {places} {_SWIPE_MILLISECONDS}")

    def type(self, text: str, erase: int = 0) -> None:
        """Type into the field with the focus, after deleting so many characters before the cursor's end.

        Raises EpisodeLost for text beyond ASCII: Android's `input` command cannot type it.
        """
        if not text.isascii() or not text.isprintable():
            raise EpisodeLost(f"adb's input command types printable ASCII only, not {text!r}")
        if erase:
            self.shell(f"input keyevent {_KEY_MOVE_END} {' '.join([str(_KEY_DELETE)] * erase)}")
        if text:
            self.shell(f"input text {shlex.quote(text.replace(' ', '%s'))}")

    def back(self) -> None:
        """Press the back key."""
        self.shell(f"input keyevent {_KEY_BACK}")

    def home(self) -> None:
        """Press the home key."""
        self.shell(f"input keyevent {_KEY_HOME}")

    def _safely(self, work: Callable[[], Any]) -> Any:
        from adbutils import AdbError

        try:
            return work()
        except (AdbError, OSError, EOFError) as error:
            raise EpisodeLost(f"the device did not answer: {error}") from error
