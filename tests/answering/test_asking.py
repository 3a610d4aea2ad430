"""An endpoint that is busy, slow or broken, asked at a pace, and whose answers are kept."""

import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from openai_server import Reply, serving
from pydantic import ValidationError

from zoo.answering import Endpoint, KeptAnswers, Pace, endpoint_of
from zoo.errors import ModelError
from zoo.schema import EndpointSpec

CHAT = [{"role": "user", "content": "hello"}]


class Clock:
    """Time that only passes in sleep."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds


def test_requests_are_spaced_evenly_and_a_pause_holds_all_of_them() -> None:
    clock = Clock()
    pace = Pace(30, clock)
    for _ in range(3):
        pace.wait(clock.sleep)
    assert clock.slept == [2.0, 2.0]
    pace.hold(10)
    pace.wait(clock.sleep)
    assert clock.slept[-1] == 10.0
    unlimited = Pace(None, clock)
    unlimited.wait(clock.sleep)
    assert len(clock.slept) == 3


@pytest.mark.parametrize("form", ["seconds", "date", "nonsense"])
def test_a_server_that_asks_for_a_pause_is_given_it(form: str) -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    said = {"seconds": "7", "date": later, "nonsense": "soon"}[form]
    replies = iter((Reply(status=429, headers={"Retry-After": said}),))
    clock = Clock()
    with serving(lambda body: next(replies, "ok")) as (url, asked):
        endpoint = Endpoint(url, "m", pace=Pace(None, clock))
        assert endpoint.complete(CHAT, 8, sleep=clock.sleep).text == "ok"
    assert len(asked) == 2
    low, high = {"seconds": (7, 7), "date": (50, 61), "nonsense": (1, 1)}[form]
    assert low <= sum(clock.slept) <= high


def test_a_server_out_of_quota_for_hours_is_said_at_once() -> None:
    reply = Reply(status=429, headers={"Retry-After": "7200"})
    with serving(lambda body: reply) as (url, asked), pytest.raises(ModelError, match="asks to wait 7200 s"):
        Endpoint(url, "m").complete(CHAT, 8)
    assert len(asked) == 1


def test_garbage_is_an_error_and_a_slow_answer_is_asked_for_again() -> None:
    garbage = "not as OpenAI's chat completions do: '<html>busy"
    with serving(lambda body: Reply(raw=b"<html>busy</html>")) as (url, _), pytest.raises(ModelError, match=garbage):
        Endpoint(url, "m").complete(CHAT, 8)
    replies = iter((Reply("late", seconds=1.0), Reply(status=500)))
    with serving(lambda body: next(replies, "ok")) as (url, asked):
        endpoint = Endpoint(url, "m", answer_seconds=0.2)
        assert endpoint.complete(CHAT, 8, sleep=lambda seconds: None).text == "ok"
    assert len(asked) == 3


def test_a_temperature_and_a_seed_are_sent_and_a_greedy_request_has_no_seed() -> None:
    with serving(lambda body: "ok") as (url, asked):
        endpoint_of(EndpointSpec(url=url, model="m")).complete(CHAT, 8, temperature=0.7, seed=5)
        endpoint_of(EndpointSpec(url=url, model="m")).complete(CHAT, 8)
    assert (asked[0][1]["temperature"], asked[0][1]["seed"]) == (0.7, 5)
    assert asked[1][1]["temperature"] == 0 and "seed" not in asked[1][1]


def test_what_was_answered_is_not_asked_for_again_even_by_another_process(tmp_path: Path) -> None:
    with serving(lambda body: f"{body['seed']}") as (url, asked):
        first = KeptAnswers(tmp_path, Endpoint(url, "m"))
        one = first.complete(CHAT, 8, temperature=1.0, seed=1)
        again = KeptAnswers(tmp_path, Endpoint(url, "m")).complete(CHAT, 8, temperature=1.0, seed=1)
        other = first.complete(CHAT, 8, temperature=1.0, seed=2)
    assert one == again and one.text == "1" and other.text == "2"
    assert len(asked) == 2
    assert not list(tmp_path.glob("*.part"))


def test_spending_counts_every_answer_and_costs_what_the_prices_say(tmp_path: Path) -> None:
    usage = iter((True, True, False))
    with serving(lambda body: Reply("ok", usage=next(usage))) as (url, _):
        kept = KeptAnswers(tmp_path, Endpoint(url, "m"))
        for seed in range(2):
            kept.complete(CHAT, 8, temperature=0, seed=seed)
        assert kept.spent().cost(10.0, 100.0) == pytest.approx((200 * 10 + 14 * 100) / 1e6)
        kept.complete(CHAT, 8, temperature=0, seed=2)
    spent = kept.spent()
    assert (spent.answers, spent.prompt_tokens, spent.answer_tokens, spent.uncounted) == (3, 200, 14, 1)
    assert spent.cost(10.0, 100.0) is None and KeptAnswers(tmp_path, Endpoint(url, "m")).spent() == spent


def test_threads_that_ask_the_same_at_once_leave_one_whole_answer(tmp_path: Path) -> None:
    with serving(lambda body: "ok") as (url, _):
        kept = KeptAnswers(tmp_path, Endpoint(url, "m"))
        same = {"temperature": 0, "seed": 0}
        threads = [threading.Thread(target=kept.complete, args=(CHAT, 8), kwargs=same) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert [file.suffix for file in tmp_path.iterdir()] == [".json"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "localhost:80"}, "http://host:port/v1"),
        ({"url": "http://user:word@localhost/v1"}, "holds no secret"),
        ({"url": "http://far.example/v1", "key_variable": "KEY"}, "in the clear"),
        ({"url": "http://localhost/v1", "key_variable": "sk-123"}, "key_variable"),
    ],
)
def test_an_address_that_would_give_a_secret_away_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        EndpointSpec(model="m", **settings)
