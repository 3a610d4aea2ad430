"""Episodes of models and endpoints as rows: which are kept, that a stage goes on, that chance can be repeated."""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lively_model
import pytest
import served_runtime
from openai_server import serving

from zoo.actions import parse
from zoo.data.played import Played
from zoo.data.player import chosen_file
from zoo.data.playing import chosen_episodes
from zoo.environments.phone import PhoneEnvironment, draw_tasks
from zoo.environments.pictures import as_png, screenshot_of
from zoo.errors import DataError, ModelError
from zoo.prompt import messages
from zoo.schema import AgentSpec
from zoo.serving import open_torch

TERSE = {"style": "terse", "observation": "terse", "rounds": 8, "answer_tokens": 24}
AGENT = AgentSpec.model_validate(TERSE)


class ExpertServer:
    """An endpoint that answers as the expert would, but for the tasks that it fails on purpose."""

    def __init__(self, tasks: int, fails: set[int]) -> None:
        self.known: dict[str, str] = {}
        for number, task in enumerate(draw_tasks("train", tasks, seed=0)):
            self._learn(task, number in fails)

    def _learn(self, task: Any, fails: bool) -> None:
        environment = PhoneEnvironment(AGENT.observation)
        observation, history = environment.reset(task), []
        while not environment.done:
            step = environment.expert()
            asked = messages(AGENT, task.instruction, history, observation)[-1]["content"]
            self.known[asked] = "I give up: finish()" if fails else step.answer("terse")
            history.append(step.assessment)
            observation = environment.step(step.action)

    def __call__(self, body: dict[str, Any]) -> str:
        return self.known.get(body["messages"][-1]["content"], "finish()")


def settings(url: str, **changes: Any) -> dict[str, Any]:
    endpoint = {"url": url, "model": "teacher-7b", "parallel": 2, "prompt_price": 1.0, "answer_price": 2.0}
    return {"source": "agent", "endpoint": endpoint, "tasks": 6, "batch": 3, "agent": TERSE, **changes}


def test_successful_episodes_of_an_endpoint_become_rows_and_failed_ones_are_counted(made: Any) -> None:
    with serving(ExpertServer(6, fails={1, 4})) as (url, asked):
        rows, result, _ = made(settings(url))
    tasks = draw_tasks("train", 6, seed=0)
    assert {row["task"] for row in rows} == {tasks[at].id for at in (0, 2, 3, 5)}
    assert all(str(parse(row["completion"][0]["content"])) == str(parse(row["solution"])) for row in rows)
    assert result.notes["episodes"] == {"failed: finish": 2, "kept": 4}
    assert result.metrics["success_rate"].value == pytest.approx(4 / 6) and result.metrics["success_rate"].n == 6
    player = result.notes["player"]
    assert (player["model"], player["reproducible"]) == ("teacher-7b", False)
    assert player["host"] == url.removeprefix("http://").removesuffix("/v1")
    assert player["answers"] == len(asked)
    assert player["cost"] == pytest.approx((100 * len(asked) + 2 * 7 * len(asked)) / 1e6)


def test_with_keep_all_failed_episodes_teach_too_and_an_answer_without_a_call_never_does(made: Any) -> None:
    with serving(lambda body: "I do not know.") as (url, _):
        with pytest.raises(DataError, match="no episode was kept: 2 failed: repeat"):
            made(settings(url, tasks=2))
        with pytest.raises(DataError, match=r"no row is left .* 10 no call in the answer"):
            made(settings(url, tasks=2, keep="all"))
    with serving(lambda body: "home()") as (url, _):
        rows, result, _ = made(settings(url, tasks=2, keep="all"))
    assert len(rows) == 10 and {row["solution"] for row in rows} == {"home()"}
    assert result.notes["episodes"] == {"kept": 2}


def test_a_stage_that_was_cut_off_pays_for_no_answer_twice_and_ends_with_the_same_rows(
    made: Any, tmp_path: Path
) -> None:
    expert = ExpertServer(6, fails=set())
    with serving(expert) as (url, asked):
        whole, _, _ = made(settings(url))
        needed = len(asked)
        left = iter(range(needed // 2))
        lock = threading.Lock()

        def dies(body: dict[str, Any]) -> str | int:
            with lock:
                return 401 if next(left, None) is None else expert(body)

    scratch = tmp_path / "scratch"
    answered: list[int] = []
    with serving(dies) as (url, asked), pytest.raises(ModelError, match="status 401"):
        made(settings(url), scratch=scratch)
    answered.append(needed // 2)
    log = scratch / "episodes.jsonl"
    if log.exists():
        log.write_text(log.read_text() + '{"cut off')
    with serving(expert) as (url, asked):
        rows, result, _ = made(settings(url), scratch=scratch)
    assert rows == whole
    assert len(asked) == needed - answered[0]
    assert result.notes["player"]["answers"] == needed


def test_the_key_is_sent_and_stands_in_no_record_note_or_file(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEACHER_KEY", "sk-very-secret")
    with serving(ExpertServer(1, fails=set())) as (url, asked):
        spec = settings(url, tasks=1)
        spec["endpoint"]["key_variable"] = "TEACHER_KEY"
        _, result, _ = made(spec)
    assert asked[0][0]["authorization"] == "Bearer sk-very-secret"
    written = "".join(file.read_text() for file in tmp_path.rglob("*") if file.is_file())
    assert "sk-very" not in written + json.dumps(result.notes)


def test_what_an_agent_with_eyes_was_shown_stands_beside_its_rows_and_in_what_was_asked(
    made: Any, tmp_path: Path
) -> None:
    agent = {**TERSE, "pictures": "marks", "constrained": True}
    said = json.dumps({"reasoning": "r", "state_assessment": "s", "call": {"name": "home", "arguments": {}}})
    with serving(lambda body: said) as (url, asked):
        spec = settings(url, tasks=2, keep="all", agent=agent)
        rows, result, out = made(spec, scratch=tmp_path)
        again, _, _ = made(spec, scratch=tmp_path)
    assert again == rows and len(rows) == result.notes["player"]["answers"] == len(asked)
    assert len(rows) == len(list((out / "images").iterdir()))
    environment = PhoneEnvironment(AGENT.observation)
    environment.reset(draw_tasks("train", 2, seed=0)[0])
    picture = (out / rows[0]["images"][0]).read_bytes()
    assert picture == as_png(screenshot_of(environment, "marks"))
    sent = [body["messages"][-1]["content"][0]["image_url"]["url"] for _, body in asked]
    assert all(body["response_format"]["type"] == "json_schema" for _, body in asked)
    assert sent.count("data:image/png;base64," + b64encode(picture).decode()) > 0


@pytest.fixture(scope="module")
def lively(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lively_model.make(tiny_llama, tmp_path_factory.mktemp("player") / "model")


def test_a_checkpoint_plays_each_try_differently_and_each_run_alike(made: Any, lively: Path) -> None:
    agent = {**TERSE, "rounds": 2, "answer_tokens": 8}
    spec = {"source": "agent", "model": "o/m", "tasks": 2, "tries": 2, "temperature": 1.0, "keep": "all"}
    texts = []
    for batch in (1, 4):
        try:
            made({**spec, "batch": batch, "agent": agent}, scratch=lively.parent / f"scratch-{batch}", model=lively)
        except DataError as error:  # a tiny model says nothing that is a call
            assert "no call in the answer" in str(error)
        lines = (lively.parent / f"scratch-{batch}" / "episodes.jsonl").read_text().splitlines()
        played = sorted((json.loads(line) for line in lines), key=lambda one: (one["attempt"], one["number"]))
        texts.append([step[1] for one in played for step in one["steps"]])
    assert texts[0] == texts[1]
    assert texts[0][:4] != texts[0][4:]


@pytest.fixture(scope="module")
def served(lively: Path) -> Iterator[str]:
    """`recipes serve` of a checkpoint, in this process."""
    with open_torch(lively) as runtime, served_runtime.served(runtime) as address:
        yield f"{address}/v1"


def test_a_model_behind_our_own_server_plays_as_it_does_at_hand(
    made: Any, lively: Path, served: str, tmp_path: Path
) -> None:
    agent = {**TERSE, "rounds": 2, "answer_tokens": 8}
    spec = {"source": "agent", "tasks": 2, "keep": "all", "agent": agent}
    there = {**spec, "endpoint": {"url": served, "model": "lively"}}
    with pytest.raises(DataError, match="no call in the answer"):
        made(there, scratch=tmp_path / "there")
    steps = [json.loads(line)["steps"] for line in (tmp_path / "there" / "episodes.jsonl").read_text().splitlines()]
    assert len(steps) == 2 and all(len(one) == 2 for one in steps)
    with open_torch(lively, dtype="float32") as runtime:
        chat = messages(AgentSpec.model_validate(agent), draw_tasks("train", 2, 0)[0].instruction, [], steps[0][0][0])
        wanted = runtime.generate([chat], 8)[0].text
    assert steps[0][0][1] == wanted


def played(number: int, attempt: int, success: bool, steps: int, ended: str = "finish") -> Played:
    return Played(attempt, number, f"t{number}", "x", "Do.", success, ended, (("s", "a", "back()"),) * steps, 0, 0)


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("successful", [(0, 0), (0, 1), (0, 2)]),
        ("best", [(0, 1)]),
        ("all", [(0, 0), (0, 1), (0, 2), (1, 0)]),
    ],
)
def test_which_episodes_are_kept(keep: str, kept: list[tuple[int, int]]) -> None:
    episodes = [
        played(0, 0, True, 5),
        played(0, 1, True, 3),
        played(0, 2, True, 3),
        played(1, 0, False, 8),
        played(1, 1, False, 1, "error"),
    ]
    chosen, fates = chosen_episodes(episodes, keep)
    assert [(one.number, one.attempt) for one in chosen] == kept
    assert fates.total() == 5 and fates["the world broke down"] == 1


def test_a_word_names_one_file_of_several(tmp_path: Path) -> None:
    for name in ("model-F16.gguf", "model-Q8_0.gguf", "mmproj-F16.gguf"):
        (tmp_path / name).write_bytes(b"")
    assert chosen_file(tmp_path, "q8_0").name == "model-Q8_0.gguf"
    with pytest.raises(ModelError, match=r"names 2 files; there is model-F16\.gguf, model-Q8_0\.gguf"):
        chosen_file(tmp_path, "")
    with pytest.raises(ModelError, match="names 0 files"):
        chosen_file(tmp_path, "q4")
