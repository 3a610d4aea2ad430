"""Screens as pictures: what a model with eyes is shown, and when two of them are one screen."""

from dataclasses import replace

import pytest
from PIL import Image, ImageDraw

from zoo.agent import chat_of, expert_answers, open_environment, play
from zoo.environments.pictures import MOST_PIXELS, nearly_same, screenshot_of
from zoo.errors import EnvironmentFailure
from zoo.playground import EpisodeLog, ModelAgent, Session, choose_tasks, measures
from zoo.prompt import messages, pictures_in, words_of
from zoo.schema import AgentSpec
from zoo.serving import Generation

MARKED = AgentSpec(pictures="marks")
TASKS = choose_tasks(MARKED, "train", (), 3, seed=0)


def screen(width=200, height=400, ink=((20, 20, 180, 380),)):
    image = Image.new("RGB", (width, height), "white")
    for box in ink:
        ImageDraw.Draw(image).rectangle(box, fill="black")
    return image


def test_two_pictures_are_one_screen_when_all_but_a_thousandth_of_what_is_not_white_is_equal():
    first = screen()
    assert nearly_same(first, screen())
    assert nearly_same(first, screen(ink=((20, 20, 180, 380), (190, 390, 195, 396))))
    assert not nearly_same(first, screen(ink=((20, 20, 180, 380), (190, 350, 195, 396))))
    assert not nearly_same(first, screen(width=201))


def test_white_does_not_drown_what_changed_on_a_bright_screen():
    mark, moved = (10, 10, 14, 14), (30, 30, 34, 34)
    assert not nearly_same(screen(ink=(mark,)), screen(ink=(moved,)))
    assert nearly_same(screen(ink=()), screen(ink=()))


class Wall:
    def __init__(self, width, height):
        self.image = Image.new("RGB", (width, height))

    def screenshot(self, marks=False):
        return self.image


def test_a_picture_is_shrunk_to_what_the_paper_trains_on_and_no_further():
    assert screenshot_of(Wall(540, 1170), "plain").size == (540, 1170)
    width, height = screenshot_of(Wall(1440, 3120), "plain").size
    assert width * height <= MOST_PIXELS < (width + 3) * (height + 6)
    assert width / height == pytest.approx(1440 / 3120, rel=0.01)


def test_a_world_without_pictures_says_what_to_write():
    with pytest.raises(EnvironmentFailure, match=r"set agent\.pictures to none"):
        screenshot_of(object(), "marks")


def test_marks_stand_in_place_of_the_text_and_a_plain_picture_beside_it():
    for pictures, says_screen in (("marks", False), ("plain", True)):
        for style in ("openphone", "terse"):
            spec = AgentSpec(pictures=pictures, style=style)
            chats = []
            play(spec, TASKS[:1], lambda situations, spec=spec, chats=chats: _kept(spec, situations, chats))
            words = words_of(chats[0][-1])
            assert (";;Home" in words) == says_screen
            assert words.startswith(TASKS[0].instruction if style == "openphone" else "Task: ")
            (picture,) = pictures_in(chats[0])
            assert picture.size == (540, 1170)
            assert chats[0][-1]["content"][0]["type"] == "image"


def _kept(spec, situations, chats):
    chats.extend(chat_of(spec, one) for one in situations)
    return expert_answers(spec)(situations)


def test_without_pictures_a_prompt_is_what_it_was():
    assert "pictures" not in AgentSpec().model_dump()
    assert AgentSpec(pictures="plain").model_dump()["pictures"] == "plain"
    assert "list of elements with numbers and call" in messages(AgentSpec(), "", [], "")[0]["content"]
    assert "marked with numbers and call" in messages(MARKED, "", [], "")[0]["content"]


def test_marked_and_plain_pictures_differ_by_their_marks():
    environment = open_environment(MARKED)
    environment.reset(TASKS[0])
    assert screenshot_of(environment, "marks") == environment.screenshot(marks=True)
    assert screenshot_of(environment, "plain") == environment.screenshot() != environment.screenshot(marks=True)


def test_reasonable_operations_are_counted_by_the_pictures_that_were_seen(tmp_path):
    answers = iter(("tap(1)", "wait(1)", "What?", "home()", 'finish("x")'))

    def ask(chats, numbers=None):
        return [Generation(f"<CALLED_FUNCTION>{next(answers)}</CALLED_FUNCTION>", 1, 1, 0.0, 0.0) for _ in chats]

    records = Session(MARKED, TASKS[:1], ModelAgent(MARKED, ask), EpisodeLog(tmp_path, {})).run()
    assert [step.changed for step in records[0].steps] == [None, True, False, False, True]
    assert measures(records)["reasonable_operations"].value == 50.0


def test_pictures_that_are_kept_are_those_that_the_agent_saw_and_count_as_well(tmp_path):
    text = AgentSpec()
    records = Session(text, TASKS[:1], expert_answers(text), EpisodeLog(tmp_path / "text", {}), pictures=True).run()
    assert [step.changed for step in records[0].steps] == [None, *[True] * (len(records[0].steps) - 1)]
    seen = []
    spec = AgentSpec(pictures="plain")

    def answer(situations):
        seen.extend(one.picture for one in situations)
        return expert_answers(spec)(situations)

    records = Session(spec, TASKS[:1], answer, EpisodeLog(tmp_path / "plain", {}), pictures=True).run()
    kept = [Image.open(tmp_path / "plain" / step.picture) for step in records[0].steps]
    assert all(list(a.getdata()) == list(b.getdata()) for a, b in zip(kept, seen, strict=True))


def test_pictures_of_tasks_that_differ_only_in_the_end_of_a_long_name_lie_apart(tmp_path):
    text = AgentSpec(rounds=1)
    tasks = [replace(TASKS[0], id=f"{'a long name ' * 12}{end}") for end in "ab"]
    records = Session(text, tasks, expert_answers(text), EpisodeLog(tmp_path, {}), pictures=True).run()
    assert len({record.steps[0].picture for record in records}) == 2
    assert len(list(tmp_path.rglob("*.png"))) == 2
