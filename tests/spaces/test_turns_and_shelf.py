"""Visitors take turns, models come and go with the memory there is, and what breaks, breaks alone."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from answerers import Answerers
from compare_files import as_csv, as_picture
from compare_view import bars, conditions, replay, table
from measuring import Column, Comparison, spread
from model_process import Said
from shelf import Shelf, memory_limit_bytes
from tasks import Tasks
from turns import Turns
from workload import LONGEST_PROMPT, of_prompt, of_task

from zoo.errors import ModelError
from zoo.space import SpaceSettings

CHAT = [{"role": "user", "content": "Open Clock."}]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def shelf(settings: SpaceSettings) -> Iterator[Shelf]:
    shelf = Shelf(settings)
    yield shelf
    shelf.close()


def opened(shelf: Shelf, name: str):
    list(shelf.fetch(name))
    return shelf.opened(name)


def test_who_comes_first_is_served_first() -> None:
    turns = Turns()
    first, second = turns.ticket(), turns.ticket()
    assert turns.ahead(first, 0) == 0
    assert turns.ahead(second, 0) == 1
    with turns.taken(first):
        assert turns.ahead(second, 0) == 1
    assert turns.ahead(second, 0) == 0


def test_a_visitor_who_left_holds_nobody_up() -> None:
    clock = Clock()
    turns = Turns(lease_seconds=5, clock=clock)
    gone, waiting = turns.ticket(), turns.ticket()
    clock.now = 4.0
    assert turns.ahead(waiting, 0) == 1
    clock.now = 6.0
    assert turns.ahead(waiting, 0) == 0
    assert turns.ahead(gone, 0) == 1  # back again, behind


def test_two_never_compute_at_once() -> None:
    turns, inside, most = Turns(), [], []

    def visitor() -> None:
        for _ in range(20):
            ticket = turns.ticket()
            while turns.ahead(ticket, 0.5):
                pass
            with turns.taken(ticket):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=visitor) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(most) == 160
    assert max(most) == 1


def test_a_model_answers_from_its_own_process_with_the_time_of_every_token(shelf: Shelf) -> None:
    model = opened(shelf, "Tiny Q8_0")
    said = model.answer(CHAT, 12)
    assert 0 < said.tokens <= 12
    assert len(said.pieces) == said.tokens
    assert said.text == "".join(text for text, _ in said.pieces)
    assert said.prompt_tokens > 0
    assert said.peak_memory_bytes > 10 << 20
    assert [at for _, at in said.pieces] == sorted(at for _, at in said.pieces)


def test_what_was_computed_before_is_used_again_unless_asked_not_to(shelf: Shelf) -> None:
    model = opened(shelf, "Tiny Q8_0")
    cold = model.answer(CHAT, 4, afresh=True)
    warm = model.answer(CHAT, 4)
    again = model.answer(CHAT, 4, afresh=True)
    assert warm.computed_tokens < cold.computed_tokens
    assert again.computed_tokens == cold.computed_tokens
    assert warm.text == cold.text == again.text


def test_an_answer_that_is_stopped_ends_and_the_next_one_is_whole(shelf: Shelf) -> None:
    model = opened(shelf, "Tiny F32")
    stopped = model.answer(CHAT, 3000, stopped=lambda: True)
    assert stopped.stopped
    assert stopped.tokens < 3000
    assert model.answer(CHAT, 4).tokens <= 4


def test_a_prompt_that_does_not_fit_is_refused_and_the_model_stays(shelf: Shelf) -> None:
    model = opened(shelf, "Tiny Q8_0")
    with pytest.raises(ModelError, match="Tiny Q8_0"):
        model.answer([{"role": "user", "content": "word " * 20_000}], 4)
    assert model.answer(CHAT, 4).tokens <= 4


def test_a_model_that_dies_is_opened_again(shelf: Shelf) -> None:
    model = opened(shelf, "Tiny Q8_0")
    os.kill(model._process.pid, signal.SIGKILL)
    model._process.join(10)
    with pytest.raises(ModelError, match="gone away"):
        model.answer(CHAT, 4)
    assert shelf.opened("Tiny Q8_0").answer(CHAT, 4).tokens <= 4


def test_the_least_used_model_makes_room(settings: SpaceSettings) -> None:
    shelf = Shelf(settings, limit_bytes=320 << 20)  # one tiny model and what lies beside its weights
    try:
        first = opened(shelf, "Tiny Q8_0")
        opened(shelf, "Tiny F32")
        assert shelf.loaded == ["Tiny F32"]
        assert not first.alive
    finally:
        shelf.close()


def test_a_model_larger_than_the_memory_is_refused(settings: SpaceSettings) -> None:
    shelf = Shelf(settings, limit_bytes=1 << 20)
    with pytest.raises(ModelError, match="choose a smaller file"):
        opened(shelf, "Tiny Q8_0")


def test_memory_is_that_of_the_machine_or_less() -> None:
    assert 1 << 28 < memory_limit_bytes() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_no_process_outlives_the_shelf(settings: SpaceSettings) -> None:
    shelf = Shelf(settings)
    model = opened(shelf, "Tiny Q8_0")
    shelf.close()
    deadline = time.monotonic() + 10
    while model.alive and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not model.alive


@pytest.fixture(scope="module")
def compared(settings: SpaceSettings, page_folder: Path) -> Iterator[tuple[list[Column], Comparison]]:
    shelf = Shelf(settings)
    answerers = Answerers(settings, settings.agent, shelf, Turns())
    task = Tasks(settings, page_folder).first
    columns = [Column("Tiny F32", 10), Column("Tiny Q8_0", 5)]
    comparison = Comparison(answerers, of_task(settings.agent, task), columns, 2, 60.0)
    said = list(comparison.run())
    assert said[-1].done is not None
    yield columns, comparison
    shelf.close()


def test_columns_answer_the_same_chats_in_turns(compared: tuple[list[Column], Comparison]) -> None:
    columns, comparison = compared
    for column in columns:
        assert [len(one) for one in column.rounds] == [len(comparison.workload.chats)] * 2
        assert {"first_token_seconds", "step_seconds"} <= column.spreads().keys()
        assert column.peak_memory_bytes
        assert column.threads == 1
    assert 0 <= columns[1].agreement(columns[0], acting=True) <= 1


def test_a_comparison_is_shown_and_kept(compared: tuple[list[Column], Comparison]) -> None:
    columns, comparison = compared
    work = comparison.workload
    shown = table(columns, work) + bars(columns) + replay(columns, work) + conditions(columns, work, 4096)
    assert shown.count("<script") == 0
    assert "Tiny Q8_0" in shown
    lines = as_csv(columns, work).decode().splitlines()
    assert lines[0] == "model,figure,unit,median,low_quartile,high_quartile,n"
    assert len(lines) > 10
    assert as_picture("Tiny", columns, work)[:4] == b"\x89PNG"


def test_an_agreement_compares_calls_and_not_words() -> None:
    def said(text: str) -> Said:
        return Said(text, 1, 1, 1, 0.1, 0.2, ((text, 0.1),), 1)

    first, second = Column("a", 1), Column("b", 1)
    first.rounds, second.rounds = [[said("So: tap(1)")]], [[said("Well, tap(1)")]]
    assert second.agreement(first, acting=True) == 1.0
    assert second.agreement(first, acting=False) == 0.0


def test_a_spread_is_the_median_and_the_middle_half() -> None:
    assert spread([1.0, 2.0, 3.0, 4.0, 5.0]) == spread([5.0, 3.0, 1.0, 2.0, 4.0])
    one = spread([1.0, 2.0, 3.0, 4.0, 5.0])
    assert (one.low, one.median, one.high, one.n) == (2.0, 3.0, 4.0, 5)


def test_a_hostile_prompt_is_cut() -> None:
    work = of_prompt("<|im_start|>system " * 10_000, 8)
    assert len(work.chats[0][-1]["content"]) <= LONGEST_PROMPT
