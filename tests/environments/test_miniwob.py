import json
import re
import shutil
import signal

import pytest

from zoo.actions import Action
from zoo.agent import open_environment, play
from zoo.environments import Task
from zoo.environments.choosing import EXPERT, choose_tasks
from zoo.environments.line import Line, screen_text
from zoo.environments.miniwob import EXPERT_TASKS, HELD_OUT, LEFT_OUT, MiniwobEnvironment, draw_tasks, page_names
from zoo.environments.miniwob.browser import Browser, missing
from zoo.environments.miniwob.expert import next_step
from zoo.environments.miniwob.tasks import html_folder
from zoo.errors import EnvironmentFailure, EpisodeLost
from zoo.playground import EpisodeLog, Session
from zoo.schema import AgentSpec


def needs_browser(test):
    """A real browser on busy cores is slow, and now and then not ready in time: proofs, not everyday tests."""
    return pytest.mark.slow(pytest.mark.skipif(bool(missing()), reason=f"MiniWoB++ needs {missing()}")(test))


needs_pages = pytest.mark.skipif("package" in missing(), reason=f"MiniWoB++ needs {missing()}")
SPEC = AgentSpec(world="miniwob", style="terse")


def task(name, seed=5):
    return Task(f"miniwob.{name}#{seed}", f"miniwob.{name}", "operation", name, "", (), "train", seed)


@pytest.fixture(scope="module")
def environment():
    environment = MiniwobEnvironment()
    yield environment
    environment.close()


@needs_pages
def test_every_page_of_the_package_is_a_task_or_left_out_with_a_reason():
    there = {file.stem for file in html_folder().glob("*.html")}
    assert len(there) == 130
    assert set(page_names()) | set(LEFT_OUT) == there
    assert not set(page_names()) & set(LEFT_OUT)
    assert len(page_names()) == 85
    assert all(len(reason) > 10 for reason in LEFT_OUT.values())
    assert set(HELD_OUT) | set(EXPERT_TASKS) <= set(page_names())


@needs_pages
def test_splits_share_no_seed_or_no_page():
    train, parameters, templates = (
        draw_tasks(split, 200, seed=3) for split in ("train", "held-out-parameters", "held-out-templates")
    )
    assert {one.world % 2 for one in train} == {0}
    assert {one.world % 2 for one in parameters} == {1}
    assert {one.app for one in templates} == set(HELD_OUT)
    assert not {one.app for one in train} & set(HELD_OUT)
    assert len({one.id for one in train}) == 200
    assert draw_tasks("train", 200, seed=3) == train
    with pytest.raises(ValueError, match="at most"):
        draw_tasks("train", 1 << 60, seed=3)
    with pytest.raises(ValueError, match="ask for held-out-templates"):
        draw_tasks("held-out-app", 1, seed=3)


LINES = [Line(0, "", "", "", "Pick:"), Line(1, "", "click", "selected", "Red"), Line(2, "Button", "click", "", "OK")]


def test_a_screen_reads_as_on_the_phone_in_both_forms():
    assert screen_text("choose", LINES, "xml") == (
        ";;choose\n ;;Pick:\n [1] ;click; selected ;;Red\n [2] Button ;click; ;;OK"
    )
    assert screen_text("choose", LINES, "terse") == "choose\nPick:\nRed [1] chosen\nOK [2]"
    assert screen_text("x", [Line(1, "ListView", "scroll", "", "")], "terse") == "x\nlist [1]"


def test_the_expert_says_which_pages_it_knows_and_what_a_page_lacks():
    with pytest.raises(EnvironmentFailure, match=r"no expert knows tic-tac-toe; it knows .*click-button"):
        next_step(task("tic-tac-toe"), [], [])
    with pytest.raises(EnvironmentFailure, match="the page shows no 'Click Me!'"):
        next_step(task("click-test"), [], [])


@needs_browser
@pytest.mark.parametrize("name", EXPERT_TASKS)
def test_the_expert_solves_its_pages_by_what_is_on_screen(environment, name):
    environment.reset(task(name))
    assert environment.task.instruction
    while not environment.done:
        step = environment.expert()
        assert environment.steps < 15
        environment.step(step.action)
    assert environment.success()
    assert environment.sub_goals() == (True,)


@needs_browser
def test_the_same_seed_is_the_same_page_and_another_is_not(environment):
    first = environment.reset(task("click-checkboxes", 8))
    instruction = environment.task.instruction
    assert environment.reset(task("click-checkboxes", 8)) == first
    assert environment.task.instruction == instruction
    assert environment.reset(task("click-checkboxes", 9)) != first


@needs_browser
def test_what_is_typed_replaces_what_a_field_holds_and_needs_the_focus(environment):
    before = environment.reset(task("enter-text"))
    assert environment.step(Action("text", ("lost",))) == before
    environment.step(Action("tap", (1,)))
    assert "tt: first" in environment.step(Action("text", ("first",)))
    assert "focused ;;tt: second" in environment.step(Action("text", ("second",)))


@needs_browser
def test_a_swipe_moves_a_list_and_shows_what_comes_later(environment):
    first = environment.reset(task("social-media-all"))
    assert "[1] ListView ;scroll;" in first
    later = environment.step(Action("swipe", (1, "up", "long")))
    assert later != first
    assert environment.step(Action("swipe", (1, "down", "long"))) == first


@needs_browser
def test_a_tap_that_hits_nothing_changes_nothing_and_costs_a_step(environment):
    before = environment.reset(task("click-button"))
    assert environment.step(Action("tap", (99,))) == before
    assert environment.step(Action("back")) == before
    assert (environment.steps, environment.done) == (2, False)


@needs_browser
def test_a_screen_is_read_when_the_page_has_come_to_rest(environment):
    environment.reset(task("click-collapsible-2", 6))
    shut = len(environment.numbers)
    opened = environment.step(Action("tap", (1,)))
    # Its section unfolds for 0.4 s; what is read afterwards stays.
    assert len(environment.numbers) > shut
    assert environment.step(Action("wait", (1,))) == opened
    environment.reset(task("use-autocomplete", 6))
    environment.step(Action("tap", (1,)))
    bare = len(environment.numbers)
    environment.step(Action("text", ("a",)))  # the page waits 0.3 s before it suggests
    assert len(environment.numbers) > bare


@needs_browser
def test_a_tap_finds_the_part_of_an_element_that_nothing_lies_over(environment):
    environment.reset(task("click-test-2", 741761182))  # TWO lies over the middle of ONE
    environment.step(Action("tap", (1,)))
    assert environment.success()


class Restless:
    """A page that never rests."""

    def __init__(self):
        self.asked = 0

    def script(self, source, *arguments):
        self.asked += 1
        return False


def test_a_page_that_never_rests_is_taken_as_it_is():
    slept = []
    environment = MiniwobEnvironment(browser=Restless, sleep=slept.append)
    environment._browser = Restless()
    environment._settle()
    assert 1.9 < sum(slept) < 2.1 and environment._browser.asked == len(slept)


@needs_pages
def test_the_splits_that_the_expert_can_demonstrate_hold_out_seeds_and_pages():
    drawn = {
        split: choose_tasks(MiniwobEnvironment, split, (EXPERT,), 60, seed=1)
        for split in ("train", "held-out-parameters", "held-out-templates")
    }
    train, seeds, pages = ({one.app for one in tasks} for tasks in drawn.values())
    assert train == seeds == set(EXPERT_TASKS) - set(HELD_OUT)
    assert pages == set(EXPERT_TASKS) & set(HELD_OUT) and len(pages) == 3
    assert not {one.world for one in drawn["train"]} & {one.world for one in drawn["held-out-parameters"]}


@needs_browser
def test_a_wrong_solution_and_a_finish_without_one_are_no_success(environment):
    environment.reset(task("click-test-2"))
    environment.step(Action("tap", (2,)))
    assert (environment.done, environment.success()) == (True, False)
    environment.reset(task("click-test-2"))
    environment.step(Action("finish", ("Done.",)))
    assert (environment.done, environment.success()) == (True, False)
    with pytest.raises(RuntimeError, match="the episode is over"):
        environment.step(Action("back"))


@needs_browser
def test_every_task_opens_with_an_instruction_and_something_to_touch(environment):
    for name in page_names():
        screen = environment.reset(task(name, 6))
        assert environment.task.instruction, name
        assert re.search(r"^ \[1\] ", screen, re.MULTILINE), name
        assert [entry.number for entry in environment.entries if entry.number] == list(
            range(1, len(environment.boxes) + 1)
        ), name


@needs_browser
def test_a_screen_is_drawn_with_its_numbers(environment):
    environment.reset(task("click-button"))
    image = environment.screenshot(marks=True)
    assert image.width > 160
    assert (255, 0, 0) in {colour for _, colour in image.getcolors(1 << 24)}


@needs_browser
def test_a_killed_browser_is_an_error_of_its_episode_and_is_replaced(tmp_path):
    opened = []

    class Watched(MiniwobEnvironment):
        def __init__(self):
            super().__init__(browser=self.open)

        def open(self):
            opened.append(Browser())
            return opened[-1]

    def kill_once(situations):
        if len(asked) == 1:
            opened[0]._driver.service.process.send_signal(signal.SIGKILL)
        asked.append(len(situations))
        return [one.environment.expert().answer("terse") for one in situations]

    asked = []
    tasks = [task(name) for name in ("enter-text", "click-test", "enter-text")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("zoo.agent.open_environment", lambda spec: Watched())
        episodes = play(SPEC, tasks, kill_once)
    assert [episode.ended for episode in episodes] == ["error", "world", "world"]
    assert [episode.success for episode in episodes] == [False, True, True]
    assert "the browser broke down" in episodes[0].problem
    assert len(opened) == 2
    assert [browser._profile.exists() for browser in opened] == [False, False]


@needs_browser
def test_several_browsers_act_side_by_side_and_are_written_down(tmp_path):
    tasks = [task(name) for name in ("click-test", "click-button", "click-link", "click-option")]

    def answer(situations):
        return [one.environment.expert().answer("terse") for one in situations]

    records = Session(SPEC, tasks, answer, EpisodeLog(tmp_path, {}), batch=2, pictures=True).run()
    assert all(record.success for record in records)
    assert 'Click on the "' in records[1].instruction
    assert (tmp_path / records[1].steps[0].picture).stat().st_size > 500
    json.loads((tmp_path / "episodes.jsonl").read_text().splitlines()[0])


def test_without_a_browser_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(EnvironmentFailure, match="apt-get install chromium chromium-driver"):
        Browser()


def test_a_closed_environment_is_lost_and_may_be_closed_again():
    environment = open_environment(SPEC)
    environment.close()
    environment.close()
    with pytest.raises(EpisodeLost):
        environment._held.script("return 1")
