import json
from base64 import b64decode
from io import BytesIO

import pytest
from openai_server import serving
from PIL import Image

from zoo.actions import Action, read_answer, write_answer
from zoo.errors import EnvironmentFailure, ModelError
from zoo.playground import Endpoint, Judge, ask_endpoint
from zoo.playground.episodes import EpisodeRecord, StepRecord
from zoo.playground.judge import question
from zoo.prompt import with_picture
from zoo.schema import AgentSpec

CHAT = [{"role": "system", "content": "Operate."}, {"role": "user", "content": "Task: x\nScreen:\n [1] ;click; ;;A"}]
SPEC = AgentSpec(style="terse", answer_tokens=32)
PICTURE = Image.new("RGB", (28, 56), "teal")


def no_sleep(seconds):
    """Tests do not wait."""


def test_a_chat_is_answered_with_its_cost_and_several_keep_their_order():
    with serving(lambda body: body["messages"][-1]["content"].upper()) as (url, asked):
        chats = [[{"role": "user", "content": f"say {number}"}] for number in range(6)]
        answers = ask_endpoint(SPEC, Endpoint(url, "small"))(chats)
    assert [answer.text for answer in answers] == [f"SAY {number}" for number in range(6)]
    assert {(answer.tokens, answer.prompt_tokens) for answer in answers} == {(7, 100)}
    body = asked[0][1]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("small", 32, 0)
    assert "response_format" not in body


def test_the_key_comes_from_the_environment_and_no_other_credential_is_sent(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_never_to_be_sent")
    monkeypatch.setenv("SOME_KEY", "sk-1")
    with serving(lambda body: "ok") as (url, asked):
        Endpoint(url, "m", "SOME_KEY").complete(CHAT, 8)
        Endpoint(url, "m", "NOT_SET").complete(CHAT, 8)
    assert asked[0][0]["authorization"] == "Bearer sk-1"
    assert "authorization" not in asked[1][0]
    assert not any("hf_never" in value for headers, _ in asked for value in headers.values())
    assert "sk-1" not in repr(Endpoint(url, "m", "SOME_KEY"))


def test_a_busy_server_is_asked_again_and_a_refusal_is_not():
    statuses = iter((429, 503))
    with serving(lambda body: next(statuses, "ok")) as (url, asked):
        assert Endpoint(url, "m").complete(CHAT, 8, sleep=no_sleep).text == "ok"
        assert len(asked) == 3
    with serving(lambda body: 401) as (url, asked), pytest.raises(ModelError, match="refuses model 'm'"):
        Endpoint(url, "m").complete(CHAT, 8, sleep=no_sleep)
    assert len(asked) == 1


def test_a_server_that_stays_busy_or_is_not_there_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with serving(lambda body: 503) as (url, asked), pytest.raises(ModelError, match="after 5 tries") as error:
        Endpoint(url, "m").complete(CHAT, 8, sleep=no_sleep)
    assert len(asked) == 5
    assert asked[0][0]["authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in str(error.value)
    with pytest.raises(ModelError, match="after 5 tries"):
        Endpoint(url, "m").complete(CHAT, 8, sleep=no_sleep)


def test_a_constrained_agent_sends_the_schema_of_its_screen_and_reads_data():
    call = {"name": "tap", "arguments": {"index": 1}}
    data = {"reasoning": "So.", "state_assessment": "On Home.", "call": call}
    with serving(lambda body: json.dumps(data)) as (url, asked):
        (answer,) = ask_endpoint(SPEC.model_copy(update={"constrained": True}), Endpoint(url, "m"))([CHAT])
    assert answer.text == write_answer("So.", "On Home.", Action("tap", (1,)))
    schema = asked[0][1]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["call"]["anyOf"][0]["properties"]["arguments"]["properties"]["index"] == {"enum": [1]}


def test_what_is_no_url_is_refused_before_anything_is_asked():
    with pytest.raises(EnvironmentFailure, match="http://host:port/v1"):
        ask_endpoint(SPEC, Endpoint("localhost:8080", "m"))


def record(**fields):
    steps = tuple(
        StepRecord(f";;Screen {at}", write_answer("a", f"Note {at}.", Action("back")), "back()", 0.1) for at in range(5)
    )
    settings = {"number": 0, "task": "t", "template": "clock.alarm", "kind": "operation", "app": "clock"}
    return EpisodeRecord(
        **settings, instruction="Set it.", success=True, sub_goals=(True,), ended="finish", steps=steps, **fields
    )


def test_the_judge_sees_the_task_all_calls_and_the_last_screens_but_not_the_verdict_of_the_state():
    text = question(record())[1]["content"]
    assert "Set it." in text
    assert text.count("back()") == 5
    assert [f";;Screen {at}" in text for at in range(5)] == [False, False, True, True, True]
    assert "true" not in text.lower()
    assert read_answer(text).action == Action("back")


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ("SUCCESS\nIt was set.", True),
        ("**Failure**.\nNo.", False),
        ("SUCCESS or FAILURE?", None),
        ("I cannot say.", None),
        ("", None),
    ],
)
def test_a_verdict_is_read_from_the_first_line_or_left_open(said, verdict):
    with serving(lambda body: said) as (url, _):
        assert Judge(Endpoint(url, "m")).opinion(record()) == {"verdict": verdict, "text": said}


def test_a_server_of_another_kind_is_an_error_that_shows_what_it_said():
    with serving(lambda body: "ok") as (url, _), pytest.raises(ModelError, match="status 404"):
        Endpoint(url.removesuffix("/v1"), "m").complete(CHAT, 8, sleep=no_sleep)


def test_a_picture_is_sent_as_a_png_in_a_data_url_and_numbers_that_are_known_narrow_the_schema():
    chat = with_picture([{"role": "system", "content": "Operate."}, {"role": "user", "content": "Task: x"}], PICTURE)
    with serving(lambda body: "ok") as (url, asked):
        ask_endpoint(SPEC.model_copy(update={"constrained": True}), Endpoint(url, "m"))([chat], [[4, 7]])
    image, words = asked[0][1]["messages"][1]["content"]
    head, _, data = image["image_url"]["url"].partition(",")
    assert (head, words) == ("data:image/png;base64", {"type": "text", "text": "Task: x"})
    assert Image.open(BytesIO(b64decode(data))).tobytes() == PICTURE.tobytes()
    assert '"enum": [4, 7]' in json.dumps(asked[0][1]["response_format"])
