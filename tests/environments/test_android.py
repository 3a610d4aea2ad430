from pathlib import Path

import pytest
from adb_server import SERIAL, Phone, Recorded, serving

from zoo.actions import Action
from zoo.agent import play
from zoo.environments.android import TEMPLATES, AndroidEnvironment, draw_tasks, read_hierarchy
from zoo.environments.android.device import Device, connect
from zoo.environments.line import screen_text
from zoo.errors import EnvironmentFailure, EpisodeLost
from zoo.schema import AgentSpec

pytest.importorskip("adbutils", reason="the extra `android` is not installed")

ROTATE_OFF = next(task for task in draw_tasks("held-out-parameters", 5, 0) if task.template == "settings.rotate")
VERSION = next(task for task in draw_tasks("train", 10, 0) if task.template == "settings.version")


@pytest.fixture
def phone(monkeypatch):
    phone = Phone()
    with serving(phone) as port:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        monkeypatch.delenv("ANDROID_SERIAL", raising=False)
        yield phone


@pytest.fixture
def environment(phone):
    def quickly():
        device = connect()
        device.sleep = lambda seconds: None
        return device

    return AndroidEnvironment(device=quickly)


def test_the_app_is_stopped_the_setting_undone_and_the_launcher_shown(phone, environment):
    phone.screen, phone.settings["accelerometer_rotation"] = "display", "0"
    screen = environment.reset(ROTATE_OFF)
    assert screen == ";;com.google.launcher\n [1] ;click,long-click; ;;Settings"
    assert phone.settings["accelerometer_rotation"] == "1"
    assert phone.asked[0] == "am force-stop com.android.settings"


def test_a_task_is_solved_by_touching_and_checked_on_the_device(phone, environment):
    environment.reset(ROTATE_OFF)
    screen = environment.step(Action("tap", (1,)))
    assert screen.splitlines()[1:] == [
        " ;;Settings",
        " [1] EditText ;click; focused ;;",
        " [2] RecyclerView ;scroll; ;;",
        " [3] ;click; ;;Display",
    ]
    assert environment.sub_goals() == (True, False)
    assert "[1] ;click; checked ;;Auto-rotate screen" in environment.step(Action("tap", (3,)))
    assert "[1] ;click; unchecked ;;Auto-rotate screen" in environment.step(Action("tap", (1,)))
    assert not environment.success()
    environment.step(Action("finish", ("Done.",)))
    assert environment.success()
    assert environment.sub_goals() == (True, True)


def test_a_query_is_answered_by_its_message_alone(environment):
    for message, right in (("Android 13.", True), ("13", True), ("12", False), ("12 or 13", False)):
        environment.reset(VERSION)
        environment.step(Action("finish", (message,)))
        assert environment.success() == right, message


def test_text_replaces_what_the_focused_field_holds(phone, environment):
    environment.reset(ROTATE_OFF)
    environment.step(Action("tap", (1,)))
    environment.step(Action("text", ("first one",)))
    assert phone.search == "first one"
    assert "focused ;;second" in environment.step(Action("text", ("second",)))
    environment.step(Action("back"))
    before = phone.search
    environment.step(Action("text", ("nowhere",)))
    assert phone.search == before


def test_what_is_typed_is_never_read_by_the_devices_shell(phone, environment):
    environment.reset(ROTATE_OFF)
    environment.step(Action("tap", (1,)))
    environment.step(Action("text", ("a'; settings put system accelerometer_rotation 0; '$(id) `id`",)))
    assert phone.settings["accelerometer_rotation"] == "1"
    assert phone.search == "a'; settings put system accelerometer_rotation 0; '$(id) `id`"


def test_text_that_adb_cannot_type_is_an_error_of_the_episode(environment):
    environment.reset(ROTATE_OFF)
    environment.step(Action("tap", (1,)))
    with pytest.raises(EpisodeLost, match="ASCII"):
        environment.step(Action("text", ("grün",)))


def test_swipes_follow_the_finger_from_the_middle_of_their_element(phone, environment):
    environment.reset(ROTATE_OFF)
    environment.step(Action("tap", (1,)))
    environment.step(Action("swipe", (2, "up", "long")))
    assert "input swipe 720 1800 720 720 400" in phone.asked
    environment.step(Action("swipe", (2, "down", "short")))
    assert "input swipe 720 1800 720 1908 400" in phone.asked


def test_a_number_that_is_not_there_changes_nothing_and_costs_a_step(phone, environment):
    before = environment.reset(ROTATE_OFF)
    assert environment.step(Action("tap", (9,))) == before
    assert environment.steps == 1
    assert not any(command.startswith("input tap") for command in phone.asked)


def test_marks_are_drawn_on_the_real_screenshot(environment):
    environment.reset(ROTATE_OFF)
    image = environment.screenshot(marks=True)
    assert image.size == (1440, 3120)
    assert image.getpixel((100, 1200)) == (255, 0, 0)
    assert image.getpixel((700, 200)) == (255, 255, 255)


def test_a_device_that_goes_away_ends_its_episode_as_an_error(phone, environment, monkeypatch):
    monkeypatch.setattr("zoo.agent.open_environment", lambda spec: environment)
    answers = iter(("<CALLED_FUNCTION>tap(1)</CALLED_FUNCTION>", "<CALLED_FUNCTION>tap(3)</CALLED_FUNCTION>"))

    def answer(situations):
        phone.dead = bool(situations[0].steps)
        return [next(answers)]

    (episode,) = play(AgentSpec(world="android"), [ROTATE_OFF], answer)
    assert (episode.ended, episode.success, len(episode.steps)) == ("error", False, 2)
    assert "the device did not answer" in episode.problem


def test_which_device_is_asked_is_said_or_there_is_only_one(phone, monkeypatch):
    assert isinstance(connect(), Device)
    monkeypatch.setenv("ANDROID_SERIAL", SERIAL)
    assert connect().shell("getprop ro.build.version.release") == "13"
    monkeypatch.setenv("ANDROID_SERIAL", "other")
    with pytest.raises(EnvironmentFailure, match=f"ANDROID_SERIAL=other: adb knows {SERIAL}"):
        connect()


def test_there_is_no_expert_and_the_message_says_who_may_act(environment):
    with pytest.raises(EnvironmentFailure, match="no expert"):
        environment.expert()


NESTED = """<hierarchy rotation="0"><node class="android.widget.FrameLayout" bounds="[0,0][100,200]">
<node class="android.view.View" bounds="[0,0][100,50]" text="Title" />
<node class="android.widget.LinearLayout" bounds="[0,50][100,100]" clickable="true">
  <node class="android.widget.TextView" bounds="[0,50][50,100]" text="Wi-Fi" />
  <node class="android.widget.TextView" bounds="[0,70][50,100]" text="Home net" />
  <node class="android.widget.ImageButton" bounds="[60,50][100,100]" clickable="true" content-desc="More" />
</node>
<node class="android.widget.Button" bounds="[0,100][50,150]" clickable="true" text="Under" />
<node class="android.widget.Button" bounds="[0,100][50,150]" clickable="true" text="Over" />
<node class="android.widget.Button" bounds="[0,150][50,180]" clickable="true" enabled="false" text="Grey" />
<node class="android.widget.Button" bounds="[200,150][250,180]" clickable="true" text="Outside" />
<node class="android.widget.TextView" bounds="[0,180][100,200]" text="two
 lines" selected="true" clickable="true" />
</node></hierarchy>"""


def test_a_dump_is_pruned_as_androidlab_prunes():
    assert screen_text("x", [node.line for node in read_hierarchy(NESTED)], "xml").splitlines() == [
        ";;x",
        " ;;Title",
        " [1] ;click; ;;Wi-Fi, Home net",
        " [2] ImageButton ;click; ;;More",
        " [3] Button ;click; ;;Over",
        " ;;Grey",
        " [4] ;click; selected ;;two lines",
    ]


@pytest.mark.parametrize("xml", ["", "ERROR: could not get idle state.", "<hierarchy>"])
def test_what_is_no_dump_ends_the_episode(xml):
    with pytest.raises(EpisodeLost, match="no XML"):
        read_hierarchy(xml)


def test_splits_do_not_overlap_and_say_how_much_they_have():
    drawn = {split: draw_tasks(split, 1, 0) for split in ("train", "held-out-parameters", "held-out-templates")}
    assert len({tasks[0].id for tasks in drawn.values()}) == 3
    every = []
    for split in drawn:
        with pytest.raises(ValueError, match="ask for at most"):
            draw_tasks(split, 1000, 0)
        most = next(count for count in range(1, 99) if not _has(split, count + 1))
        every += [task.id for task in draw_tasks(split, most, 0)]
    assert len(set(every)) == len(every) == sum(len(template.values) for template in TEMPLATES.values())


def _has(split, count):
    try:
        return bool(draw_tasks(split, count, 0))
    except ValueError:
        return False


DUMPS = {file.stem: file.read_text("utf-8") for file in (Path(__file__).parent / "dumps").glob("*.xml")}
"""Written by hand in the very form of Android's own dumper (`AccessibilityNodeInfoDumper`), not taken from a device."""


def lines_of(name):
    return screen_text("", [node.line for node in read_hierarchy(DUMPS[name])], "terse").splitlines()[1:]


def test_rows_are_read_with_their_summaries_and_the_state_of_the_switch_that_they_turn():
    assert len(DUMPS) == 6
    assert lines_of("settings")[:4] == [
        "Settings",
        "Profile picture, double tap to open Google Account [1]",
        "Search settings [2]",
        "list [3]",
    ]
    assert "Network & internet, Mobile, Wi\u2011Fi, hotspot [4]" in lines_of("settings")
    assert lines_of("display") == [
        "Navigate up [1]",
        "Display",
        "list [2]",
        "Brightness",
        "Brightness level, 0.52 Brightness [3]",
        "Adaptive brightness, Optimizes for available light [4] on",
        "Dark theme, Will never turn on automatically [5]",
        "Dark theme [6] off",
        "Auto-rotate screen [7] on",
        "Extra dim",
        "Unavailable while charging",
    ]


def test_names_of_all_scripts_doubles_and_what_has_no_words_are_read():
    contacts = lines_of("contacts")
    assert contacts.count('Quick contact for Ana María "Mia" Núñez [6]') == 1
    assert [line for line in contacts if line.startswith("Ana")] == [f'Ana María "Mia" Núñez [{at}]' for at in (5, 7)]
    assert {"Łukasz & Zoë <work> [9]", "李小龙 🐉 [11]", "Multi line name [13] chosen"} <= set(contacts)
    assert "overflow menu [3]" in contacts


def test_what_a_part_repeats_of_the_whole_around_it_is_said_once():
    assert lines_of("tabs") == [
        "Search people",
        "Basic",
        "Advanced [1]",
        "By ID [2]",
        "Basic",
        "With a picture [3] off",
    ]


def test_writing_from_right_to_left_has_no_hidden_marks():
    arabic = lines_of("arabic")
    assert arabic[3:] == ["الإنترنت, Home-5G [3]", "وضع الطيران [4] on", "الشبكة الافتراضية الخاصة (VPN), بدون [5]"]


def test_a_page_in_a_web_view_has_its_words_once_and_nothing_from_below_the_fold():
    assert lines_of("webview")[2:] == [
        "Sign in - Example [3]",
        "Sign in",
        "No account yet?",
        "Create one [4]",
        "ada@example.org [5] typing",
        "•••••• [6]",
        "Keep me signed in [7] on",
        "Sign in [8]",
        "logo",
    ]


def test_dumps_are_replayed_and_a_touch_lands_on_what_carries_the_number(monkeypatch):
    links = {("home", 100, 1000): "settings", ("settings", 0, 1900): "display", ("settings", 0, 760): "arabic"}
    home = Phone().dump()
    phone = Recorded(dumps={"home": home, **DUMPS}, links=links)
    with serving(phone) as port:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(port))
        monkeypatch.delenv("ANDROID_SERIAL", raising=False)
        device = connect()
        device.sleep = lambda seconds: None
        environment = AndroidEnvironment("terse", lambda: device)
        environment.reset(ROTATE_OFF)
        assert "Search settings [2]" in environment.step(Action("tap", (1,)))
        assert "Auto-rotate screen [7] on" in environment.step(Action("tap", (9,)))
        assert "Search settings [2]" in environment.step(Action("back"))
        assert "وضع الطيران [4] on" in environment.step(Action("tap", (4,)))
        assert list(environment.numbers) == [1, 2, 3, 4, 5]
        assert environment.screenshot(marks=True).size == (1440, 3120)
