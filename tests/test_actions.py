import json
import random
import string

import pytest

from zoo.actions import (
    DEFAULT_FINISH,
    SIGNATURES,
    Action,
    parse,
    read_answer,
    same,
    write,
    write_answer,
)

_ALPHABET = string.printable + "äß€語😀'\"\\\u2028"


def _text(rng):
    return "".join(rng.choices(_ALPHABET, k=rng.randrange(12)))


def _action(rng):
    index = rng.randint(1, 99)
    arguments = {
        "tap": (index,),
        "text": (_text(rng),),
        "long_press": (index,),
        "swipe": (index, rng.choice(("up", "down", "left", "right")), rng.choice(("short", "medium", "long"))),
        "back": (),
        "home": (),
        "wait": (rng.choice((0, 1, 5, 0.25, 2.5, 600)),),
        "finish": (_text(rng),),
    }
    name = rng.choice(list(arguments))
    return Action(name, arguments[name])


def test_there_are_the_eight_calls_of_openphone():
    assert sorted(SIGNATURES) == ["back", "finish", "home", "long_press", "swipe", "tap", "text", "wait"]


def test_what_is_written_is_read_back_as_the_same_action():
    rng = random.Random(0)
    for _ in range(3000):
        action = _action(rng)
        assert parse(write(action)) == action
        assert same(parse(f"I think {write(action)} is right."), action)


def test_an_answer_is_read_back_part_by_part():
    rng = random.Random(1)
    for _ in range(1000):
        action = _action(rng)
        answer = read_answer(write_answer("Open it.", "On Home; need it.", action))
        assert (answer.reasoning, answer.assessment, answer.action) == ("Open it.", "On Home; need it.", action)
        assert answer.called == write(action).strip()
        assert not answer.extra_text


def test_junk_is_none_and_never_raises():
    rng = random.Random(2)
    pieces = [*SIGNATURES, "(", ")", ",", "=", '"', "'", "\\", "index", "3", "-1", "1e9", "<CALLED_FUNCTION>"]
    pieces += ["</CALLED_FUNCTION>", "Action:", "\n", "\x00", "\ud800", "None", "__import__('os')", "()" * 50]
    for _ in range(5000):
        junk = "".join(rng.choices(pieces, k=rng.randrange(20)))
        action = parse(junk)
        assert action is None or parse(write(action)) == action
        read_answer(junk)


def test_a_long_string_that_is_never_closed_is_read_in_reasonable_time():
    assert parse('text("' * 2000) is None
    assert parse("tap(" + "1," * 5000) is None


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("tap(3)", Action("tap", (3,))),
        ("tap( index = 3 )", Action("tap", (3,))),
        ('tap("3")', Action("tap", (3,))),
        ("Tap(3)", None),
        ("text('milk')", Action("text", ("milk",))),
        ('text(input_str="milk, (two)")', Action("text", ("milk, (two)",))),
        (r'text("say \"hi\"\n")', Action("text", ('say "hi"\n',))),
        ("text(milk)", Action("text", ("milk",))),
        ("text(42)", Action("text", ("42",))),
        ("swipe(1, 'Up')", Action("swipe", (1, "up", "medium"))),
        ("swipe(dist='long', direction='down', index=2)", Action("swipe", (2, "down", "long"))),
        ("wait()", Action("wait", (5,))),
        ("wait(interval=2.5)", Action("wait", (2.5,))),
        ("finish()", Action("finish", (DEFAULT_FINISH,))),
        ("finish(message='63%')", Action("finish", ("63%",))),
        ("back()", Action("back")),
        ("home( )", Action("home")),
    ],
)
def test_lenient_forms_mean_what_they_say(text, action):
    assert parse(text) == action


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tap()",
        "tap(0)",
        "tap(-1)",
        "tap(1.5)",
        "tap(1, 2)",
        "tap(finger=1)",
        "tap(1, index=2)",
        "swipe(1)",
        "swipe(1, 'sideways')",
        "swipe(1, 'up', 'far')",
        "wait(-1)",
        "wait('soon')",
        "back(1)",
        "text()",
        "context('milk')",
        "press(3)",
    ],
)
def test_a_call_that_breaks_its_signature_is_no_call(text):
    assert parse(text) is None


def test_the_tag_goes_before_the_line_and_the_line_before_a_bare_call():
    assert parse("tap(1)\nAction: tap(2)\n<CALLED_FUNCTION>tap(3)</CALLED_FUNCTION>") == Action("tap", (3,))
    assert parse("tap(1)\nFunction: tap(2)") == Action("tap", (2,))
    assert parse("tap(1), then tap(2)") == Action("tap", (1,))


def test_a_tag_that_was_cut_off_still_counts():
    assert parse("tap(1) <CALLED_FUNCTION>tap(2)") == Action("tap", (2,))


def test_a_tag_without_a_call_does_not_hide_one_elsewhere():
    assert parse("Action: back()\n<CALLED_FUNCTION>go back</CALLED_FUNCTION>") == Action("back")


def test_missing_tags_and_text_outside_them_are_seen():
    answer = read_answer("Sure! <REASONING>So.</REASONING><CALLED_FUNCTION>press</CALLED_FUNCTION>")
    assert (answer.reasoning, answer.assessment, answer.called, answer.action) == ("So.", None, "press", None)
    assert answer.extra_text
    assert not read_answer("<REASONING>So.</REASONING>\n").extra_text


def test_a_tag_that_is_said_twice_is_text_outside():
    once = write_answer("a", "b", Action("back"))
    assert not read_answer(once).extra_text
    assert read_answer(once + once).extra_text


def test_an_unreadable_call_is_the_same_as_nothing():
    assert not same(None, None)
    assert not same(None, Action("back"))
    assert same(parse("tap(index=3)"), parse("tap(3)"))
    assert not same(parse("tap(3)"), parse("long_press(3)"))


def test_strings_are_written_as_json_so_that_every_reader_agrees():
    assert write(Action("text", ('a "b" ü',))) == 'text("a \\"b\\" ü")'
    assert json.loads(write(Action("text", ("tab\t",)))[5:-1]) == "tab\t"
