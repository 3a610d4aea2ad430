"""One headless Chromium with its driver and a profile of its own, thrown away when it is closed.

Covered: Debian's `chromium` and `chromium-driver`, whose versions match, and Google's under their usual names. Not
covered: downloading either; selenium's own manager, which would, is never asked.
"""

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from zoo.environments.miniwob.page import NOTE_LISTENERS
from zoo.errors import EnvironmentFailure, EpisodeLost

__all__ = ["Browser", "missing"]

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=500,340",
)
"""Nothing of this browser goes to a network: its pages are files. Its sandbox needs rights that containers lack."""
_PAGE_SECONDS = 20
_TRIES = 10
_DYING_SECONDS = 1.5
_HOLD_SECONDS = 0.7
"""Longer than what browsers take for a tap."""


def missing() -> str:
    """What of browser, driver and packages is not here; empty when all is."""
    if not any(map(shutil.which, _BROWSERS)) or not shutil.which("chromedriver"):
        return "chromium and chromedriver; on Debian: apt-get install chromium chromium-driver"
    try:
        import miniwob  # noqa: F401
        import selenium  # noqa: F401
    except ModuleNotFoundError as error:
        return f"the package {error.name}; write: pip install 'edgezoo[miniwob]'"
    return ""


class Browser:
    """A running Chromium. Every method but `close` raises EpisodeLost when it is gone."""

    def __init__(self) -> None:
        if lacking := missing():
            raise EnvironmentFailure(f"MiniWoB++ needs {lacking}")
        self._profile = Path(mkdtemp(prefix="edgezoo-browser-"))
        self._driver: Any = None
        self._start()

    def open(self, url: str) -> None:
        """Load a page anew."""
        self._safely(lambda: self._driver.get(url))

    def script(self, source: str, *arguments: Any) -> Any:
        """Run a script in the page; what it returns."""
        return self._safely(lambda: self._driver.execute_script(source, *arguments))

    def touch(self, left: float, top: float, hold: bool = False) -> None:
        """Press the pointer at a place of the window, in CSS pixels, and let go."""

        def press() -> None:
            chain = self._chain()
            pointer = chain.w3c_actions.pointer_action
            pointer.move_to_location(int(left), int(top))
            pointer.pointer_down()
            if hold:
                pointer.pause(_HOLD_SECONDS)
            pointer.pointer_up()
            chain.w3c_actions.perform()

        self._safely(press)

    def type(self, text: str) -> None:
        """Type into what has the focus, in place of what it holds; a line break presses Enter."""

        def keys() -> None:
            from selenium.webdriver.common.keys import Keys

            chain = self._chain()
            chain.key_down(Keys.CONTROL).send_keys("a").key_up(Keys.CONTROL).send_keys(Keys.DELETE)
            chain.send_keys(text.replace("\n", Keys.ENTER)).perform()

        self._safely(keys)

    def picture(self) -> bytes:
        """The window as PNG."""
        return bytes(self._safely(lambda: self._driver.get_screenshot_as_png()))

    def close(self) -> None:
        """End it and throw its profile away; may be called twice."""
        from selenium.common.exceptions import WebDriverException
        from urllib3.exceptions import HTTPError

        driver, self._driver = self._driver, None
        if driver:
            with suppress(WebDriverException, HTTPError, OSError):
                driver.quit()
            self._gone()
        self._throw_away()

    def _gone(self) -> None:
        """Wait until the process has ended. One whose driver died is killed: it would live on and write its profile."""
        for patience in (_DYING_SECONDS, _DYING_SECONDS):
            until = time.monotonic() + patience
            while _alive(self._process):
                if time.monotonic() > until:
                    with suppress(ProcessLookupError):
                        os.kill(self._process, signal.SIGKILL)
                    break
                time.sleep(_DYING_SECONDS / 100)

    def _throw_away(self) -> None:
        """Delete the profile until it stays away: a browser's helpers outlive it by a moment and write their caches."""
        away = 0
        for _ in range(_TRIES):
            shutil.rmtree(self._profile, ignore_errors=True)
            time.sleep(_DYING_SECONDS / _TRIES)
            away = 0 if self._profile.exists() else away + 1
            if away == 2:
                return

    def _start(self) -> None:
        from selenium import webdriver
        from selenium.common.exceptions import WebDriverException
        from selenium.webdriver.chrome.service import Service

        options = webdriver.ChromeOptions()
        options.binary_location = next(path for name in _BROWSERS if (path := shutil.which(name)))
        options.unhandled_prompt_behavior = "accept"
        for flag in (*_FLAGS, f"--user-data-dir={self._profile}"):
            options.add_argument(flag)
        try:
            self._driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
            self._process = int(self._driver.capabilities["goog:processID"])
            self._driver.set_page_load_timeout(_PAGE_SECONDS)
            self._driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": NOTE_LISTENERS})
        except WebDriverException as error:
            self.close()
            raise EpisodeLost(f"the browser did not start: {_first_line(error)}") from error

    def _chain(self) -> Any:
        from selenium.webdriver.common.action_chains import ActionChains

        return ActionChains(self._driver, duration=0)

    def _safely(self, work: Callable[[], Any]) -> Any:
        from selenium.common.exceptions import WebDriverException
        from urllib3.exceptions import HTTPError

        try:
            return work()
        except (WebDriverException, HTTPError, OSError, AttributeError) as error:
            if isinstance(error, AttributeError) and self._driver is not None:
                raise
            raise EpisodeLost(f"the browser broke down: {_first_line(error)}") from error


def _alive(process: int) -> bool:
    """Whether a process still runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text("utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
