"""A person's whole way through each tab in a real browser: Debian's chromium, headless, wide and phone-sized."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium", reason="selenium is not installed: extra miniwob")
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium or no chromedriver on this machine"),
]
SECONDS = float(os.environ.get("PAGE_SECONDS", "180"))
BUTTONS = """
return [...document.querySelectorAll('button')].filter(
  (e) => e.getClientRects().length && e.innerText.trim() === arguments[0]);
"""
NAMELESS = """
const seen = (e) => e.getClientRects().length && getComputedStyle(e).visibility !== 'hidden';
const name = (e) => (e.getAttribute('aria-label') || e.innerText || e.title || e.placeholder ||
  (e.labels && [...e.labels].map((l) => l.innerText).join('')) ||
  (e.getAttribute('aria-labelledby') && 'labelled') || '').trim();
return [...document.querySelectorAll('button, input, textarea, a[href], [role=tab], img')]
  .filter(seen).filter((e) => !(e.tagName === 'IMG' ? e.alt : name(e))).map((e) => e.outerHTML.slice(0, 160));
"""


FOCUSED = "const e = document.activeElement; return (e.getAttribute('aria-label') || e.innerText || '').trim();"


class Person:
    """Who looks at the page."""

    def __init__(self, url: str, width: int, height: int, downloads: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
        self.width = width
        self.driver = webdriver.Chrome(options, webdriver.ChromeService(DRIVER))
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get(url)
        self.until(lambda: self.all(".phone .spot"))

    def all(self, css: str) -> list[Any]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def text(self, css: str) -> str:
        return self.driver.find_element(By.CSS_SELECTOR, css).text

    def until(self, done: Callable[[], Any]) -> Any:
        return WebDriverWait(self.driver, SECONDS).until(lambda _: done())

    def press(self, name: str) -> None:
        self.until(lambda: self._clicked(name))

    def choose(self, css: str, value: str) -> None:
        box = self.all(f"{css} input")[0]
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
        box.click()
        self.until(lambda: self._option(value))
        self._option(value)[0].click()

    def tab_to(self, name: str, most: int = 80) -> None:
        """Press the tab key until something of this name has the focus."""
        for _ in range(most):
            self.driver.switch_to.active_element.send_keys(Keys.TAB)
            if self.driver.execute_script(FOCUSED) == name:
                return
        raise AssertionError(f"{name} cannot be reached by the tab key")

    def enter(self) -> None:
        self.driver.switch_to.active_element.send_keys(Keys.ENTER)

    def errors(self) -> list[str]:
        """What the browser's console complained about."""
        return [one["message"] for one in self.driver.get_log("browser") if one["level"] == "SEVERE"]

    def _button(self, name: str) -> list[Any]:
        """Found in one look, since the page may be drawn anew between two."""
        return self.driver.execute_script(BUTTONS, name)

    def _option(self, value: str) -> list[Any]:
        return [one for one in self.all("[role=option]") if value in one.text]

    def _clicked(self, name: str) -> bool:
        try:
            (button,) = self._button(name)
            self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
            if not button.is_enabled():
                return False
            button.click()
        except (WebDriverException, ValueError):  # it moved, or is not there yet
            return False
        return True


@pytest.fixture(params=[(1280, 900, "light"), (375, 812, "dark")], ids=["wide", "phone-sized"])
def person(page_url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Person]:
    width, height, theme = request.param
    person = Person(f"{page_url}/?__theme={theme}", width, height, tmp_path)
    person.downloads = tmp_path
    yield person
    person.driver.quit()


def saved(person: Person, name: str) -> bytes:
    file = person.downloads / name
    person.until(lambda: file.exists() and file.stat().st_size)
    return file.read_bytes()


def test_watch_step_through_tap_hand_over_and_keep(person: Person) -> None:
    person.press("Run")
    person.until(lambda: person.all(".steps li"))
    person.until(lambda: person.all("#status .solved, #status .missed"))
    assert "tokens" in person.text(".steps .cost")
    person.choose("#who", "The scripted expert (no model)")
    person.driver.execute_script("arguments[0].click()", person.all("#hand button")[0])
    person.press("Start over")
    person.until(lambda: person.all(".phone .spot"))
    spot = person.until(
        lambda: [one for one in person.all(".spot") if one.get_attribute("aria-label") == "Tap Contacts"]
    )
    spot[0].send_keys(Keys.ENTER)  # by keyboard
    person.until(lambda: len(person.all(".steps li")) == 1)
    assert "you" in person.text(".steps .cost")
    person.press("Hand over")
    person.until(lambda: person.all("#status .solved"))
    count = len(person.all(".steps li"))
    assert count > 2
    person.all(".steps button")[0].click()
    person.until(lambda: person.all(".phone .touch"))
    assert not person.all(".spot")  # the past cannot be touched
    for name in ("episode.json", "episode (1).json"):  # the same again is a file again
        person.press("Save as JSON")
        assert len(json.loads(saved(person, name))["steps"]) == count
    person.press("Save as GIF")
    assert saved(person, "episode.gif")[:4] == b"GIF8"
    assert not person.errors()


def test_a_keyboard_alone_runs_an_episode_looks_back_and_turns_the_tabs(person: Person) -> None:
    person.choose("#who", "The scripted expert (no model)")
    person.tab_to("Run")
    person.enter()
    person.until(lambda: person.all("#status .solved"))
    count = len(person.all(".steps li"))
    person.tab_to(person.driver.execute_script("return document.querySelector('.steps button').innerText.trim()"))
    person.enter()
    person.until(lambda: person.all(".steps li.shown"))
    assert len(person.all(".steps li")) == count
    person.driver.execute_script("document.querySelector('[role=tab]').focus()")
    person.tab_to("Side by side")
    person.enter()
    person.until(lambda: [one for one in person._button("Compare") if one.is_displayed()])
    assert not person.errors()


def test_recorded_episodes_play_and_a_task_can_be_written(person: Person) -> None:
    chip = person.all(".chips button")[0]
    person.driver.execute_script("arguments[0].click()", chip)
    person.until(lambda: person.all("#status .solved, #status .missed"))
    assert "recorded" in person.text(".steps .cost")
    task = person.all("#task input")[0]
    person.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", task)
    task.click()
    task.send_keys(Keys.CONTROL, "a")
    task.send_keys("Paint <b>the</b> house", Keys.ENTER)
    person.press("Run")
    person.until(lambda: "No check" in person.text("#status"))
    assert not person.errors()


def test_files_are_compared_side_by_side(person: Person) -> None:
    person.driver.execute_script("arguments[0].click()", person.all("[role=tab]")[1])
    person.press("Compare")
    person.until(lambda: "Measured" in person.text("#compared-status"))
    assert "Tiny Q8_0" in person.text("#compared")
    assert person.all("#compared-bars .fill")
    person.until(lambda: person.all("#replay pre")[0].get_property("textContent"))
    person.press("Save as CSV")
    assert b"step_seconds" in saved(person, "comparison.csv")
    person.press("Save as picture")
    assert saved(person, "comparison.png")[:4] == b"\x89PNG"
    assert not person.errors()


def test_the_numbers_are_the_records(person: Person) -> None:
    person.driver.execute_script("arguments[0].click()", person.all("[role=tab]")[2])
    person.until(lambda: "Success by stage" in person.driver.page_source)
    assert "after nothing" in person.driver.page_source
    assert not person.errors()


def test_nothing_is_nameless_or_wider_than_the_page(person: Person) -> None:
    for tab in range(3):
        person.driver.execute_script("arguments[0].click()", person.all("[role=tab]")[tab])
        time.sleep(0.5)
        assert not person.driver.execute_script(NAMELESS)
        # A phone's browser widens its window to what a page needs: only the width that was asked for is a measure.
        assert person.driver.execute_script("return document.documentElement.scrollWidth") <= person.width
        assert not _axe(person)


def _axe(person: Person) -> list[str]:
    """What axe-core finds, where `AXE_CORE` names its axe.min.js; it is not ours to carry."""
    file = os.environ.get("AXE_CORE")
    if not file:
        return []
    person.driver.execute_script(Path(file).read_text("utf-8"))
    found = person.driver.execute_async_script("const done = arguments[0]; axe.run().then((r) => done(r.violations));")
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:200]}" for one in found for node in one["nodes"]
    ]
