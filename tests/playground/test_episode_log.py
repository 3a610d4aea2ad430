"""The log of an evaluation: one writer at a time, readers at any time, and what a kill leaves of it."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from threading import Event

import pytest
from click.testing import CliRunner
from openai_server import serving

from zoo.actions import Action, write_answer
from zoo.cli import command
from zoo.errors import DataError
from zoo.playground import EPISODES_NAME, EpisodeLog, EpisodeRecord, StepRecord
from zoo.playground.episodes import read_episodes

DONE = write_answer("a", "b", Action("finish", ("Done.",)))
EPISODES = 6
PATIENCE_SECONDS = 300


def record(number, answer=""):
    known = {"task": f"t{number}", "template": "clock.alarm", "kind": "operation", "app": "clock", "instruction": "Do."}
    steps = (StepRecord(";;Home", answer, "back()", 0.5),)
    return EpisodeRecord(number, **known, success=True, sub_goals=(True,), ended="finish", steps=steps)


def arguments(url, folder):
    return ["eval", url, "--episodes", str(EPISODES), "--batch", "1", "--out", str(folder), "--json"]


@contextmanager
def stuck_after(episodes, folder):
    """An endpoint, and a process that evaluates it and waits in the middle of its next episode; then it is killed."""
    asked, go_on = [], Event()

    def answer(body):
        asked.append(body)
        if len(asked) == episodes + 1:
            go_on.wait(PATIENCE_SECONDS)
        return DONE

    with serving(answer) as (url, _):
        code = "from zoo.cli import main; main()"
        environment = {**os.environ, "EDGEZOO_HOME": str(folder.parent / "home")}
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments(url, folder)], env=environment, stderr=subprocess.PIPE, text=True
        )
        try:
            for _ in range(PATIENCE_SECONDS * 10):
                if len(asked) > episodes or process.poll() is not None:
                    break
                time.sleep(0.1)
            assert process.poll() is None, process.stderr.read()
            yield url, process
        finally:
            go_on.set()
            process.kill()
            process.communicate()


def test_two_evaluations_never_write_the_same_episodes(tmp_path):
    folder = tmp_path / "out"
    with stuck_after(2, folder) as (url, process):
        before = (folder / EPISODES_NAME).read_bytes()
        again = CliRunner().invoke(command, arguments(url, folder), env={"EDGEZOO_HOME": str(tmp_path / "home")})
        assert isinstance(again.exception, DataError)
        assert f"process {process.pid} is writing these episodes; wait for it" in str(again.exception)
        assert str(folder) in str(again.exception)
        assert (folder / EPISODES_NAME).read_bytes() == before
        assert len(read_episodes(folder / EPISODES_NAME)) == 2


def test_a_killed_evaluation_leaves_no_lock_and_the_same_command_plays_what_is_left_once(tmp_path):
    folder = tmp_path / "out"
    with stuck_after(3, folder) as (url, process):
        process.kill()
        process.wait()
        with (folder / EPISODES_NAME).open("ab") as file:
            file.write('{"number": 3, "task": "cut ö'.encode()[:-1])
        result = CliRunner().invoke(command, arguments(url, folder), env={"EDGEZOO_HOME": str(tmp_path / "home")})
        assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (folder / EPISODES_NAME).read_text("utf-8").split("\n")[:-1]]
    assert [line["number"] for line in lines] == list(range(EPISODES))
    assert len({line["task"] for line in lines}) == EPISODES
    assert json.loads(result.stdout.splitlines()[-1])["episodes"] == EPISODES


def test_the_second_of_two_logs_waits_for_nobody_and_may_write_when_the_first_is_done(tmp_path):
    first, second = (EpisodeLog(tmp_path, {"seed": 1}) for _ in range(2))
    with first.held(), first.held():
        first.append(record(0))
        with pytest.raises(DataError, match=f"process {os.getpid()} is writing"), second.held():
            pass
        first.append(record(1))
    with second.held():
        assert sorted(second.finished) == [0, 1]
        second.append(record(2))
    assert [one.number for one in EpisodeLog(tmp_path, {"seed": 1}).records()] == [0, 1, 2]


def test_a_log_is_read_while_its_last_line_is_being_written(tmp_path):
    log = EpisodeLog(tmp_path, {})
    with log.held():
        log.append(record(0))
    whole = (tmp_path / EPISODES_NAME).read_bytes()
    for length in range(len(whole)):
        (tmp_path / EPISODES_NAME).write_bytes(whole + whole[:length])
        assert read_episodes(tmp_path / EPISODES_NAME) == [record(0)]


def test_an_answer_may_hold_every_mark_that_other_readers_take_for_the_end_of_a_line(tmp_path):
    said = "one\u2028two\u2029three\x85four\x0bfive\x0csix\x1cseven\r\neight"
    log = EpisodeLog(tmp_path, {})
    with log.held():
        log.append(record(0, said))
    assert [one.steps[0].answer for one in read_episodes(tmp_path / EPISODES_NAME)] == [said]


def test_opening_a_log_changes_nothing_on_disk(tmp_path):
    EpisodeLog(tmp_path / "out", {"seed": 1})
    assert not (tmp_path / "out").exists()
