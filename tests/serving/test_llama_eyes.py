"""A GGUF file with its vision tower beside it: llama.cpp says of a screenshot what torch says."""

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file, save_file

from zoo import hub
from zoo.agent import open_environment, play
from zoo.cli import command
from zoo.cli.models import resolve_model
from zoo.environments.pictures import as_png, screenshot_of
from zoo.errors import DataError, ModelError
from zoo.exports.gguf import convert, vision
from zoo.local_hub import running
from zoo.playground import ModelAgent, ask_runtime
from zoo.prompt import messages, with_picture
from zoo.schema import AgentSpec
from zoo.serving import LlamaRuntime, TorchRuntime, open_gguf, open_model, open_torch
from zoo.serving.llama_server import ask, llama_server
from zoo.serving.stepwise import answer

SPEC = AgentSpec(style="terse", pictures="marks", rounds=2, answer_tokens=8)
WORDS = messages(SPEC, "Tap the red button.", [], "")
RED, BLUE = (with_picture(WORDS, Image.new("RGB", (112, 84), colour)) for colour in ("red", "blue"))
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 170, 3), np.uint8))


@pytest.fixture(scope="module")
def checkpoint(tiny_vlm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Loud, so that answers vary; its embeddings are large, since llama.cpp takes 0 for the epsilon of their norm."""
    folder = tmp_path_factory.mktemp("seeing") / "model"
    shutil.copytree(tiny_vlm, folder)
    tensors = load_file(folder / "model.safetensors")
    for name in tensors:
        if "embed_tokens" in name or "merger.mlp.2" in name:
            tensors[name] *= 50
        elif "_proj.weight" in name and "visual" not in name:
            tensors[name] *= 8
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def file(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model in float32 with its tower beside it."""
    folder = tmp_path_factory.mktemp("files")
    convert(checkpoint, folder / "model-F32.gguf", "f32")
    vision.convert(checkpoint, folder / "mmproj-F32.gguf", "f32")
    return folder / "model-F32.gguf"


@pytest.fixture(scope="module")
def torch_model(checkpoint: Path) -> Iterator[TorchRuntime]:
    with open_torch(checkpoint) as runtime:
        yield runtime


@pytest.fixture
def llama_model(file: Path) -> Iterator[LlamaRuntime]:
    with open_gguf(file, threads=1, context=1024, exact=True) as runtime:
        yield runtime


def test_what_is_said_about_pictures_is_what_torch_says(llama_model: LlamaRuntime, torch_model: TorchRuntime) -> None:
    later = [*RED, {"role": "assistant", "content": "tap(1)"}, *with_picture(WORDS, NOISE)[1:]]
    chats = [RED, BLUE, WORDS, RED, later]
    found = llama_model.generate(chats, 12)
    expected = torch_model.generate(chats, 12)
    assert [(one.text, one.prompt_tokens) for one in found] == [(one.text, one.prompt_tokens) for one in expected]
    assert len({one.text for one in found}) >= 3, "the picture decides"


def test_the_logits_behind_a_screenshot_are_torchs(llama_model: LlamaRuntime, torch_model: TorchRuntime) -> None:
    """Up to the float16 of llama.cpp's tower. The screen is shrunk to the 64 tokens that the checkpoint allows."""
    environment = open_environment(SPEC)
    environment.reset(environment.draw_tasks("train", 1, 0)[0])
    chat = with_picture(WORDS, screenshot_of(environment, "marks"))
    with torch.inference_mode():
        expected = torch_model.model(**torch_model._seen([chat])).logits[0, -1].numpy()
    tokens = llama_model.encode(chat)
    assert sum(token < 0 for token in tokens) == 5 * 11
    found = llama_model.feed(tokens, 1)[0]
    assert np.abs(found - expected).max() < 0.01 * expected.std()


def test_what_prompts_share_is_kept_with_the_picture_in_it(llama_model: LlamaRuntime) -> None:
    (first,) = llama_model.generate([RED], 8)
    further = [*RED, {"role": "assistant", "content": first.text}, {"role": "user", "content": "And then?"}]
    (warm,) = llama_model.generate([further], 8)
    assert llama_model.prefilled_tokens < warm.prompt_tokens - first.prompt_tokens + 2
    (blue,) = llama_model.generate([BLUE], 8)
    assert llama_model.prefilled_tokens > 12, "another picture is looked at"
    llama_model.reuse = False
    assert [one.text for one in llama_model.generate([further, BLUE], 8)] == [warm.text, blue.text]


def test_an_answer_about_a_picture_is_streamed_kept_to_a_grammar_and_guessed_ahead(llama_model: LlamaRuntime) -> None:
    whole = llama_model.generate([RED], 12)[0].text
    assert "".join(token.text for token in llama_model.stream(RED, 12)) == whole
    grammar = 'root ::= "tap(" [0-9] ")"'
    assert re.fullmatch(r"tap\(\d\)", llama_model.generate([RED], 12, grammar)[0].text)
    assert re.fullmatch(r"tap\(\d\)", "".join(token.text for token in llama_model.stream(BLUE, 12, grammar)))
    llama_model.lookup = True
    assert [llama_model.generate([RED], 12)[0].text for _ in range(2)] == [whole, whole]


def test_a_picture_larger_than_a_batch_of_llama_cpp_is_seen_whole(file: Path, tmp_path: Path) -> None:
    """A tower whose file tells no limits takes llama.cpp's: a phone's screen is then some 800 tokens."""
    data = (file.parent / "mmproj-F32.gguf").read_bytes()
    for name in ("min", "max"):
        data = data.replace(f"clip.vision.image_{name}_pixels".encode(), f"clip.vision.other_{name}_pixels".encode())
    (tmp_path / "mmproj-F32.gguf").write_bytes(data)
    shutil.copy(file, tmp_path)
    chat = with_picture(WORDS, NOISE.resize((540, 1170)))
    with open_gguf(tmp_path / file.name, threads=1, context=2048) as runtime:
        tokens = runtime.encode(chat)
        assert sum(token < 0 for token in tokens) == 19 * 42
        assert answer(runtime, tokens, 8).tokens == 8
        assert runtime.prefilled_tokens == len(tokens)


def test_an_agent_acts_on_screenshots_by_a_file(file: Path) -> None:
    tasks = open_environment(SPEC).draw_tasks("train", 2, 0)
    for constrained in (False, True):
        spec = SPEC.model_copy(update={"constrained": constrained, "answer_tokens": 200})
        with open_model(file, threads=1) as runtime:
            episodes = play(spec, tasks, ModelAgent(spec, ask_runtime(spec, runtime)), batch=2)
        actions = [step.action for episode in episodes for step in episode.steps]
        assert len(actions) == 4 and any(actions) is constrained


def test_the_command_evaluates_a_file_with_eyes(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEZOO_HOME", str(tmp_path / "home"))
    settings = [f"--set={one}" for one in ("pictures=marks", "rounds=2", "answer_tokens=8")]
    result = CliRunner().invoke(command, ["eval", str(file), "--episodes", "2", *settings, "--threads", "1", "--json"])
    measured = json.loads(result.stdout.splitlines()[-1])["table"][0]["measures"]
    assert measured["success_rate"]["n"] == 2 and measured["prompt_tokens_per_step"]["value"] > 60 + 30


def test_without_its_tower_a_file_refuses_pictures_and_so_it_does_with_two(file: Path, tmp_path: Path) -> None:
    shutil.copy(file, tmp_path)
    alone = tmp_path / file.name
    with open_gguf(alone, threads=1, context=256) as runtime:
        assert not runtime.sees_pictures
        with pytest.raises(ModelError, match="put its mmproj file beside it"):
            runtime.generate([RED], 4)
        with pytest.raises(ModelError, match="mmproj beside it"):
            ask_runtime(SPEC, runtime)
    for name in ("mmproj-a-F32.gguf", "mmproj-b-F32.gguf"):
        shutil.copy(file.parent / "mmproj-F32.gguf", tmp_path / name)
    with open_gguf(alone, threads=1, context=256) as runtime:
        assert runtime.generate([WORDS], 2)[0].tokens == 2, "words need no tower"
        with pytest.raises(ModelError, match=r"mmproj-a-F32\.gguf, mmproj-b-F32\.gguf; leave the one"):
            runtime.generate([RED], 4)
    (tmp_path / "mmproj-b-F32.gguf").rename(tmp_path / "mmproj-model-F16.gguf")
    with open_gguf(alone, threads=1, context=256) as runtime:
        assert runtime.generate([RED], 4)[0].tokens > 0, "the one that bears its name"


def test_a_file_fetched_from_a_hub_brings_its_tower(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    with running(tmp_path / "home" / "hub") as served:
        hub.upload(served, "zoo/eyes-GGUF", "model", file.parent, "eyes", private=False)
        found = resolve_model("zoo/eyes-GGUF", "f32", offline=True)
    with open_model(found, threads=1, context=512) as runtime:
        assert runtime.sees_pictures
        assert runtime.generate([RED], 4)[0].tokens > 0


def test_logits_of_pictures_are_refused_and_a_mark_that_somebody_wrote_is_no_picture(llama_model: LlamaRuntime) -> None:
    with pytest.raises(DataError, match="leave the picture out"):
        llama_model.logits(llama_model.encode(RED))
    said = with_picture([{"role": "user", "content": "<__media__>"}], NOISE)
    assert sum(token < 0 for token in llama_model.encode(said)) == 6 * 10


def test_the_server_answers_about_a_picture_in_openais_parts(file: Path, llama_model: LlamaRuntime) -> None:
    def request(chat: list[dict[str, object]], **more: object) -> dict[str, object]:
        return {"messages": chat, "max_tokens": 8, "temperature": 0, **more}

    def sent(chat: list[dict[str, object]]) -> list[dict[str, object]]:
        picture, words = chat[1]["content"]
        data = base64.b64encode(as_png(picture["image"])).decode()
        url = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
        return [chat[0], {"role": "user", "content": [url, words]}]

    with llama_server(file, context=1024, tower=file.parent / "mmproj-F32.gguf") as address:
        red, blue = (ask(address, "/v1/chat/completions", request(sent(chat))) for chat in (RED, BLUE))
        kept = ask(address, "/v1/chat/completions", request(sent(RED), grammar='root ::= "tap(" [0-9] ")"'))
    expected = llama_model.generate([RED, BLUE], 8)
    assert [one["usage"]["prompt_tokens"] for one in (red, blue)] == [one.prompt_tokens for one in expected]
    assert [one["choices"][0]["message"]["content"] for one in (red, blue)] == [one.text for one in expected]
    assert re.fullmatch(r"tap\(\d\)", kept["choices"][0]["message"]["content"])
