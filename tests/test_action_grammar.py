import json
import random
import re

import pytest
from grammar_check import accepts
from jsonschema import Draft202012Validator

from zoo.action_grammar import (
    answer_grammar,
    answer_schema,
    as_data,
    call_grammar,
    call_schema,
    grammar_files,
    numbers_on,
    read_data,
)
from zoo.actions import SIGNATURES, Action, parse, read_answer, write, write_answer
from zoo.environments.phone import PhoneEnvironment, draw_tasks
from zoo.environments.phone.machine import touchable
from zoo.exports.gguf import convert
from zoo.schema import AgentSpec
from zoo.serving import open_gguf

_LETTERS = "abc XYZ 019 \"'\\/()[]<>{}.,;:äß€語😀\n\t"
SCREEN = [2, 3, 17]


def text(rng, letters=_LETTERS):
    return "".join(rng.choices(letters, k=rng.randrange(12)))


def action(rng, numbers=None):
    index = rng.choice(numbers or [1, 7, 42, 999])
    choices = {
        "tap": (index,),
        "text": (text(rng),),
        "long_press": (index,),
        "swipe": (index, rng.choice(("up", "down", "left", "right")), rng.choice(("short", "medium", "long"))),
        "back": (),
        "home": (),
        "wait": (rng.choice((0, 1, 5, 0.25, 2.5, 600, 9999, 10000, 86399, 86400, 86399.5)),),
        "finish": (text(rng),),
    }
    name = rng.choice(list(choices))
    return Action(name, choices[name])


def prose(rng):
    return re.sub("<+/", "/", text(rng)).rstrip("<")


@pytest.fixture(scope="module")
def llama(tiny_llama, tmp_path_factory):
    file = tmp_path_factory.mktemp("gguf") / "model-F16.gguf"
    convert(tiny_llama, file, "f16")
    with open_gguf(file, threads=1, context=64) as runtime:
        yield runtime


def test_every_written_call_is_in_the_grammar(llama):
    rng = random.Random(0)
    for _ in range(150):
        call = write(action(rng))
        assert accepts(llama, call_grammar(), call), call


def test_every_written_answer_is_in_the_grammar_and_nothing_may_stand_around_it(llama):
    rng = random.Random(1)
    for _ in range(60):
        answer = write_answer(prose(rng), prose(rng), action(rng))
        assert accepts(llama, answer_grammar(), answer), answer
        assert not accepts(llama, answer_grammar(), "Sure! " + answer)
        assert not accepts(llama, answer_grammar(), answer + "\n")


@pytest.mark.parametrize(
    "junk",
    [
        "",
        "tap",
        "tap(",
        "tap()",
        "tap(0)",
        "tap(01)",
        "tap(-1)",
        "tap(1.5)",
        "tap(1, 2)",
        "tap(index=1)",
        "press(3)",
        "swipe(1)",
        'swipe(1, "sideways", "long")',
        'swipe(1, "up", "far")',
        "text(milk)",
        'text("a"b")',
        'text("a\nb")',
        "wait(86401)",
        "wait(86400.5)",
        "wait(-1)",
        "wait(1e3)",
        "back(1)",
        "back() back()",
        " back()",
    ],
)
def test_junk_is_not_in_the_grammar(llama, junk):
    assert not accepts(llama, call_grammar(), junk)


def test_what_the_grammar_lets_through_is_what_the_parser_reads(llama):
    rng = random.Random(2)
    pieces = [*SIGNATURES, "(", ")", ", ", '"', "\\", "3", "0", ".", '"up"', '"long"', "86400", "a"]
    through = 0
    for _ in range(400):
        candidate = rng.choice(list(SIGNATURES)) + "(" + "".join(rng.choices(pieces, k=rng.randrange(5))) + ")"
        if accepts(llama, call_grammar(), candidate):
            through += 1
            assert (found := parse(candidate)) and write(found) == write(parse(write(found)))
    assert through > 20


def test_on_a_screen_no_call_can_miss(llama):
    rng = random.Random(3)
    grammar = call_grammar(SCREEN)
    for _ in range(60):
        assert accepts(llama, grammar, write(action(rng, SCREEN)))
    for number in (1, 4, 22, 170):
        assert not accepts(llama, grammar, f"tap({number})")


def test_on_an_empty_screen_only_calls_without_a_number_are_left(llama):
    grammar = call_grammar([])
    assert accepts(llama, grammar, "back()")
    assert not accepts(llama, grammar, "tap(1)")


def test_bounded_prose_leaves_room_for_the_call(llama):
    grammar = answer_grammar(prose_characters=8)
    assert accepts(llama, grammar, write_answer("a" * 8, "< b <c", Action("back")))
    assert not accepts(llama, grammar, write_answer("a" * 9, "b", Action("back")))


def test_every_call_and_answer_as_data_fits_the_schema_and_comes_back():
    rng = random.Random(4)
    call, answer = Draft202012Validator(call_schema()), Draft202012Validator(answer_schema())
    for _ in range(300):
        one = action(rng)
        call.validate(as_data(one))
        data = {"reasoning": "So.", "state_assessment": "On Home.", "call": as_data(one)}
        answer.validate(data)
        assert read_answer(read_data(json.dumps(data))).action == one
        assert not read_answer(read_data(json.dumps(data))).extra_text


@pytest.mark.parametrize(
    "junk",
    [
        {},
        {"name": "press", "arguments": {}},
        {"name": "tap", "arguments": {}},
        {"name": "tap", "arguments": {"index": 4}},
        {"name": "tap", "arguments": {"index": 2, "finger": 1}},
        {"name": "swipe", "arguments": {"index": 2, "direction": "up"}},
        {"name": "wait", "arguments": {"interval": -1}},
        {"name": "back", "arguments": {"index": 2}},
    ],
)
def test_junk_does_not_fit_the_schema(junk):
    assert not Draft202012Validator(call_schema(SCREEN)).is_valid(junk)


@pytest.mark.parametrize("answer", ["", "{}", "[1]", "null", '{"call": 3}', "tap(3)", '{"call": {"name": "tap"}}'])
def test_an_answer_that_is_no_data_is_handed_back_as_it_came(answer):
    assert read_data(answer) == answer


def test_the_numbers_of_a_terse_screen_follow_their_labels():
    screen = "Task: Open it [9].\nPast: none\nScreen:\nSettings\nWi-Fi [1] on\nText without\nSave [2]\nlist [13]"
    assert numbers_on(screen) == [1, 2, 13]


@pytest.mark.parametrize("form", ["xml", "terse"])
def test_every_number_of_the_phones_own_screens_is_found(form):
    for task in draw_tasks("train", 27, seed=0):
        environment = PhoneEnvironment(form)
        environment.reset(task)
        while not environment.done:
            assert numbers_on(environment.observation()) == list(range(1, len(touchable(environment.elements)) + 1))
            environment.step(environment.expert().action)


def test_the_numbers_of_a_screen_are_those_that_begin_a_line():
    screen = ";;Home\n [1] ;click; ;;Clock [9]\n  [12] ListView ;scroll; ;;\n ;;[8] is text\n[n3] Button ;click; ;;OK"
    assert numbers_on(screen) == [1, 3, 12]
    assert numbers_on("nothing here") == []


def test_there_is_a_rule_for_every_argument_of_every_signature():
    rules = set(re.findall(r"^([a-z]+) ::=", call_grammar(), re.MULTILINE))
    assert {"root", "call", "index", "string", "direction", "dist", "interval", "character"} == rules
    assert len(call_schema()["anyOf"]) == len(SIGNATURES) == 8


def test_what_travels_with_a_model_is_the_grammar_of_its_agent_open_in_the_numbers(llama):
    files = grammar_files(AgentSpec(answer_tokens=64))
    grammar = files["action.gbnf"]
    rng = random.Random(5)
    for number in (1, 77, 4096):
        answer = write_answer(prose(rng), prose(rng), Action("tap", (number,)))
        assert accepts(llama, grammar, answer)
        assert Draft202012Validator(json.loads(files["action.schema.json"])).is_valid(
            {"reasoning": "", "state_assessment": "", "call": as_data(Action("tap", (number,)))}
        )
    assert not accepts(llama, grammar, write_answer("x" * 65, "", Action("back")))
    # The one rule that its head names is enough to narrow it to a screen.
    narrowed = re.sub(r"^index ::= .*$", 'index ::= "2" | "3"', grammar, flags=re.MULTILINE)
    taps = {number: accepts(llama, narrowed, write_answer("", "", Action("tap", (number,)))) for number in (1, 2, 3)}
    assert taps == {1: False, 2: True, 3: True}


def test_the_numbers_of_a_constrained_agent_are_those_of_the_elements_whatever_a_text_says():
    environment = PhoneEnvironment("terse")
    environment.reset(draw_tasks("train", 1, seed=0)[0])
    assert list(environment.numbers) == [1, 2, 3, 4]
    for task in draw_tasks("train", 27, seed=1):
        environment.reset(task)
        while not environment.done:
            assert list(environment.numbers) == list(range(1, len(touchable(environment.elements)) + 1))
            environment.step(environment.expert().action)
