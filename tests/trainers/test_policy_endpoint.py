"""A policy that answers at an endpoint while it learns: ours on loopback, handed its adapter, lagging, stale, dead."""

import json
import math
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch
import uvicorn
from openai_server import Reply, serving
from pydantic import ValidationError
from safetensors.torch import load_file
from toy_policy import policy_spec, taught
from toy_world import ToyWorld
from training_rows import Context

from zoo import registry
from zoo.errors import EnvironmentFailure, ModelError
from zoo.schema import GRPOSpec
from zoo.schema.settings import IDENTITY
from zoo.serving import open_torch
from zoo.serving.policy_server import policy_application
from zoo.trainers import grpo, preflight
from zoo.trainers.policy_endpoint import check_endpoint

KEY = "only-for-this-test"
LORA = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"}


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.ENVIRONMENTS, "phone", "toy_world:ToyWorld")
    monkeypatch.setenv("TOY_KEY", KEY)
    # A server that is gone is asked again at once.
    monkeypatch.setattr("zoo.answering.endpoint._FIRST_WAIT_SECONDS", 0.01)


@pytest.fixture(scope="module")
def tapper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Knows how to tap, and on which button by chance. Only read."""
    return taught(tmp_path_factory.mktemp("tapper"))


@contextmanager
def served(model: Path, adapters: Path) -> Iterator[tuple[str, uvicorn.Server]]:
    """The address of our own server of a checkpoint, and the server."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()  # who calls before the thread is up waits
    with open_torch(model) as runtime:
        app = policy_application(runtime, "tapper", adapters, KEY)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1", server
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def address(tapper: Path, tmp_path: Path) -> Iterator[str]:
    with served(tapper, tmp_path / "adapters") as (url, _):
        yield url


def spec(url: str, folder: Path, endpoint: Any = (), **changes: Any) -> GRPOSpec:
    trl = {"max_steps": 3, "per_device_train_batch_size": 8, "learning_rate": 2e-2, **changes.pop("trl", {})}
    given = {"url": url, "model": "tapper", "folder": str(folder), "key_variable": "TOY_KEY", **dict(endpoint)}
    usual = {"agent": {"rounds": 2}, "checkpoint_steps": 1}
    return policy_spec(lora=LORA, endpoint=given, trl=trl, **{**usual, **changes})


def ask(url: str, route: str, body: Any, key: str = KEY) -> httpx.Response:
    return httpx.post(f"{url}{route}", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=60)


def trainer_of(trained: GRPOSpec, model: Path, context: Context, name: str = "run") -> Any:
    tasks = ToyWorld.draw_tasks("train", 8, 7)
    rows, _ = grpo._rows_of(tasks)
    made = grpo._trainer(trained, context(model, model, name), rows, preflight.load_processor(model), tasks)
    made.model.train()
    return made


def test_what_an_endpoint_tells_is_what_the_trainer_computes(
    address: str, tapper: Path, tmp_path: Path, context: Context
) -> None:
    trainer = trainer_of(spec(address, tmp_path / "adapters"), tapper, context)
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:  # an adapter that says something
            torch.nn.init.normal_(parameter, std=0.1)
    batch = trainer._generate_and_score_completions([dict(trainer.train_dataset[n]) for n in (0, 1) for _ in range(4)])
    learned = (batch["completion_mask"] * batch["tool_mask"]).bool()
    apart = (batch["old_per_token_logps"] - batch["sampling_per_token_logps"])[learned]
    assert learned.any() and float(apart.abs().max()) < 1e-4
    torch.testing.assert_close(batch["importance_sampling_ratio"][learned], torch.ones(len(apart)), atol=1e-4, rtol=0)
    assert trainer._metrics["train"]["endpoint/lag"] == [0.0]
    trainer.close()
    assert not list((tmp_path / "adapters").iterdir())
    assert len(httpx.get(f"{address}/models").json()["data"]) == 1
    again = trainer_of(spec(address, tmp_path / "adapters"), tapper, context, "again")
    again._actor.endpoint.sync_weights()
    known = [one["id"] for one in httpx.get(f"{address}/models").json()["data"]]
    assert len(known) == 2 and known[1].startswith("policy-") and known[1].endswith("-0")
    again.close()


@pytest.mark.parametrize(
    ("endpoint", "lags"),
    [({}, [0, 0, 0]), ({"sync_steps": 2}, [0, 1, 0]), ({"asynchronous": True}, [0, 1, 1])],
    ids=["every step", "every other step", "one batch ahead"],
)
def test_a_run_learns_and_knows_how_far_its_endpoint_lags(
    address: str, tapper: Path, tmp_path: Path, context: Context, endpoint: Any, lags: list[int]
) -> None:
    ctx = context(tapper, tapper)
    result = grpo.run(spec(address, tmp_path / "adapters", endpoint), ctx)
    history = result.notes["history"]
    assert [point["endpoint/lag"] for point in history] == lags
    for point, lag in zip(history, lags, strict=True):
        apart = point["sampling/sampling_logp_difference/mean"]
        assert apart > 1e-3 if lag else apart < 1e-3
        assert point["sampling/importance_sampling_ratio/max"] <= 3.0
    before, after = load_file(tapper / "model.safetensors"), load_file(ctx.out / "model.safetensors")
    assert any(not torch.equal(before[name], after[name]) for name in before)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["in step", "one batch ahead"])
def test_success_rises_from_chance(
    address: str, tapper: Path, tmp_path: Path, context: Context, asynchronous: bool
) -> None:
    trl = {
        "max_steps": 60, "per_device_train_batch_size": 16, "num_generations": 8, "learning_rate": 5e-3,
        "lr_scheduler_type": "constant",
    }  # fmt: skip
    trained = spec(address, tmp_path / "adapters", {"asynchronous": asynchronous}, trl=trl, agent={"rounds": 3})
    result = grpo.run(trained.model_copy(update={"checkpoint_steps": 60}), context(tapper, tapper))
    success = [point["success"] for point in result.notes["history"]]
    assert sum(success[:5]) / 5 < 0.3
    assert sum(success[-10:]) / 10 > 0.4


def test_a_dead_endpoint_ends_in_one_message_and_the_run_goes_on_from_its_checkpoint(
    tapper: Path, tmp_path: Path, context: Context
) -> None:
    ctx, adapters = context(tapper, tapper), tmp_path / "adapters"
    ended: list[int] = []
    with served(tapper, adapters) as (url, server):

        def progress(done: int, total: int, **_: Any) -> None:
            if done == 1 and not ended:
                ended.append(done)
                server.should_exit = True
                server.force_exit = True

        dying = type(ctx)(ctx.out, ctx.scratch, ctx.inputs, ctx.seed, progress=progress)
        with pytest.raises(ModelError, match=r"no answer after 5 tries.*run the same command.*last checkpoint"):
            grpo.run(spec(url, adapters), dying)
    with served(tapper, adapters) as (url, _):
        result = grpo.run(spec(url, adapters), ctx)
    assert [point["step"] for point in result.notes["history"]] == [1, 2, 3]
    assert not list(adapters.iterdir())


def test_an_endpoint_that_answers_for_another_model_is_stale(tapper: Path, tmp_path: Path, context: Context) -> None:
    """A server that knows no adapters, and answers whatever it is asked for."""
    with stand_in(lambda body: "stand-in", tmp_path) as url:
        trainer = trainer_of(spec(url, tmp_path / "adapters"), tapper, context)
        with pytest.raises(ModelError, match=r"answers as 'stand-in', and 'policy-\w+-0' was asked.*--enable-lora"):
            trainer._generate_and_score_completions([dict(trainer.train_dataset[0])] * 4)


def test_an_endpoint_that_lies_about_its_weights_is_noticed(tapper: Path, tmp_path: Path, context: Context) -> None:
    """It calls itself as it is asked to, and its log-probabilities are of something else."""
    said = [{"token": "tap", "logprob": -9.0}] * 40

    def lie(body: dict[str, Any]) -> dict[str, Any]:
        rng = len(asked)
        asked.append(body["seed"])
        ids = trainer._tokenizer(f"tap({1 + rng % 4})", add_special_tokens=False)["input_ids"]
        choice = {"message": {"content": ""}, "token_ids": ids, "logprobs": {"content": said}, "finish_reason": "stop"}
        return {"model": body["model"], "choices": [choice]}

    asked: list[int] = []
    with stand_in(lie, tmp_path) as url:
        trained = spec(url, tmp_path / "adapters", {"parallel": 1})
        trainer = trainer_of(trained, tapper, context)
        with pytest.raises(ModelError, match=r"nats from the stage's own.*serves something else"):
            trainer._generate_and_score_completions(
                [dict(trainer.train_dataset[number]) for number in range(8) for _ in range(4)]
            )
    assert len(set(asked)) == len(asked) > 8, "every answer has a seed of its own"


def test_an_endpoint_with_another_template_is_refused(tapper: Path, tmp_path: Path, context: Context) -> None:
    def other(body: dict[str, Any]) -> dict[str, Any]:
        choice = {"message": {"content": "tap(3)"}, "finish_reason": "stop"}
        return {"model": body["model"], "choices": [choice], "prompt_token_ids": [1, 2, 3]}

    with stand_in(other, tmp_path) as url:
        trainer = trainer_of(spec(url, tmp_path / "adapters"), tapper, context)
        with pytest.raises(ModelError, match="reads a chat as 3 tokens that are not the stage's"):
            trainer._generate_and_score_completions([dict(trainer.train_dataset[0])] * 4)


def test_an_endpoint_that_tells_words_alone_is_believed_without_correction(
    tapper: Path, tmp_path: Path, context: Context
) -> None:
    count = [0]

    def plain(body: dict[str, Any]) -> dict[str, Any]:
        count[0] += 1
        choice = {"message": {"content": f"tap({1 + count[0] % 4})"}, "finish_reason": "stop"}
        return {"model": body["model"], "choices": [choice]}

    with stand_in(plain, tmp_path) as url:
        trainer = trainer_of(spec(url, tmp_path / "adapters", {"parallel": 1}), tapper, context)
        batch = trainer._generate_and_score_completions(
            [dict(trainer.train_dataset[number]) for number in range(4) for _ in range(4)]
        )
    learned = (batch["completion_mask"] * batch["tool_mask"]).bool()
    assert learned.any() and batch["sampling_per_token_logps"][learned].isnan().all()
    assert (batch["importance_sampling_ratio"][learned] == 1).all()
    ends = [one.answer.completion_ids[-1] in trainer.eos_token_ids for one in trainer._handed]
    assert all(ends)


@contextmanager
def stand_in(answer: Any, tmp_path: Path) -> Iterator[str]:
    """A server that takes every adapter, and answers a chat with a name for the model, or with a whole reply."""

    def reply(body: dict[str, Any]) -> Reply:
        made = answer(body) if "messages" in body else {}
        if isinstance(made, str):
            choice = {"message": {"content": "tap(1)"}, "finish_reason": "stop"}
            made = {"model": made, "choices": [choice]}
        return Reply(raw=json.dumps(made).encode())

    with serving(reply, {"/v1/load_lora_adapter", "/v1/unload_lora_adapter"}) as (url, _):
        yield url


def test_the_server_reads_adapters_from_its_folder_alone_and_for_who_has_the_key(
    address: str, tapper: Path, tmp_path: Path
) -> None:
    chat = {"model": "tapper", "messages": [{"role": "user", "content": "red"}], "max_tokens": 4}
    for route, body in (("/chat/completions", chat), ("/load_lora_adapter", {"lora_name": "a", "lora_path": "/"})):
        assert ask(address, route, body, "another").status_code == 401
    outside = ask(address, "/load_lora_adapter", {"lora_name": "a", "lora_path": str(tmp_path / "elsewhere")})
    assert outside.status_code == 400 and "from within adapters" in outside.json()["error"]["message"]
    empty = ask(address, "/load_lora_adapter", {"lora_name": "a", "lora_path": str(tmp_path / "adapters" / "none")})
    assert empty.status_code == 404 and "adapter_model.safetensors" in empty.json()["error"]["message"]
    assert ask(address, "/unload_lora_adapter", {"lora_name": "a"}).status_code == 404
    assert ask(address, "/chat/completions", {**chat, "model": "policy-x-3"}).status_code == 404
    assert "stop" in ask(address, "/chat/completions", {**chat, "stop": ["x"]}).json()["error"]["message"]
    assert ask(address, "/chat/completions", {"messages": []}).status_code == 400
    elsewhere = {"Host": "elsewhere.example"}
    assert httpx.get(f"{address}/models", headers=elsewhere).status_code == 400


def test_a_draw_is_the_same_for_the_same_seed_and_fair(address: str) -> None:
    chat = {"messages": [{"role": "user", "content": "red"}], "max_tokens": 8, "logprobs": True}
    first, again, other = (
        ask(address, "/chat/completions", {**chat, "seed": seed, "return_token_ids": True}).json()["choices"][0]
        for seed in (3, 3, 4)
    )
    assert first == again and first["token_ids"] != other["token_ids"]
    chances = [one["logprob"] for one in first["logprobs"]["content"]]
    assert len(chances) == len(first["token_ids"]) and all(-math.inf < chance <= 0 for chance in chances)


@pytest.mark.parametrize("what", ["nobody", "another model", "no folder"])
def test_an_endpoint_is_looked_for_before_weights_are_loaded(
    address: str, tapper: Path, tmp_path: Path, context: Context, what: str
) -> None:
    url, folder, given, said = address, tmp_path / "adapters", {}, "serves tapper, and no other"
    if what == "nobody":
        url, said = "http://127.0.0.1:9/v1", "is not there, or no endpoint.*recipes serve CHECKPOINT --adapters"
    elif what == "no folder":
        (tmp_path / "file").write_text("")
        folder, said = tmp_path / "file" / "below", "name one that this machine can write"
    else:
        given = {"model": "other"}
    with pytest.raises(EnvironmentFailure, match=said):
        grpo.run(spec(url, folder, given), context(tapper, tapper))


def test_how_an_endpoint_is_reached_is_in_no_key() -> None:
    plain = spec("http://127.0.0.1:1/v1", Path("adapters")).model_dump(mode="json", context=IDENTITY)["endpoint"]
    assert not {"folder", "key_variable", "parallel"} & plain.keys()
    assert {"url", "model", "sync_steps", "asynchronous"} <= plain.keys()
    assert "endpoint" not in policy_spec().model_dump(mode="json")
    with pytest.raises(ValidationError, match="no address of an endpoint"):
        spec("localhost", Path("adapters"))


def test_check_endpoint_leaves_nothing_behind(address: str, tmp_path: Path) -> None:
    trained = spec(address, tmp_path / "adapters")
    assert trained.endpoint
    check_endpoint(trained.endpoint)
    assert not list((tmp_path / "adapters").iterdir())
