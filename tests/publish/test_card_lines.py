"""The lines that a card offers, executed as they stand on it, against the Hub that it is on: with real GGUF files.

Not executed: `ollama run` and `llama-server -hf`, since neither program comes as a package; the file that they would
fetch is served by llama.cpp's own server, from the wheel.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import lively_model
import publications
import pytest

from zoo import publish, shipped
from zoo.cli import main
from zoo.cli.models import resolve_model
from zoo.exports.gguf import convert
from zoo.hub import Endpoint
from zoo.local_hub import running

EXPORTS = "zoo/pocket-135m-GGUF"


@pytest.fixture(scope="module")
def laid_out(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("lines")
    context = publications.context_of(place, lively_model.make(tiny_llama, place / "lively"))
    export = place / "real"
    export.mkdir()
    for type_ in ("f16", "q8_0"):
        convert(context.inputs["model"], export / f"model-{type_.upper()}.gguf", type_)
    files = {**context.recipe_files, "recipe.yaml": (shipped.folder("recipes") / "pocket-135m.yaml").read_text("utf-8")}
    publish.run(publications.SPEC, replace(context, inputs={**context.inputs, "export": export}, recipe_files=files))
    return context.out


@pytest.fixture
def endpoint(laid_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("EDGEZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.chdir(tmp_path)
    with running(tmp_path / "home" / "hub") as served:
        publications.push(laid_out, served)
        yield served


def line(laid_out: Path, command: str) -> list[str]:
    """The words of the card's only line that begins with a command."""
    card = (laid_out / "GGUF" / "README.md").read_text()
    blocks = "".join(re.findall(r"```sh\n(.+?)```", card, re.DOTALL))
    [found] = re.findall(rf"^{re.escape(command)} .+$", blocks, re.MULTILINE)
    return shlex.split(found)


def run(words: list[str]) -> int:
    assert words[0] == "recipes"
    with pytest.raises(SystemExit) as ended:
        main(words[1:])
    return int(ended.value.code or 0)


def test_the_model_is_let_act(endpoint: Endpoint, laid_out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch = line(laid_out, "hf download")
    hub = {**os.environ, "HF_ENDPOINT": endpoint.url, "HF_TOKEN": str(endpoint.token)}
    subprocess.run([str(Path(sys.executable).parent / fetch[0]), *fetch[1:]], check=True, env=hub)
    assert run([*line(laid_out, "recipes act"), "--threads", "1", "--offline"]) == 0
    assert re.search(r"\d+ steps, [\d.]+ s a step, ended by", capsys.readouterr().out)


def test_the_file_is_compared_with_the_checkpoint(
    endpoint: Endpoint, laid_out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["--prompts", "1", "--texts", "1", "--actions", "0", "--threads", "1", "--offline", "--json"]
    # 3: random weights are undecided everywhere and need not keep the gate of real ones.
    assert run([*line(laid_out, "recipes verify"), *quick]) in (0, 3)
    assert '"file": "Pocket-135M-Q8_0.gguf"' in capsys.readouterr().out


def test_llama_cpps_own_server_serves_the_published_file(endpoint: Endpoint, laid_out: Path) -> None:
    from zoo.serving.llama_server import ask, llama_server

    assert line(laid_out, "llama-server") == ["llama-server", "-hf", f"{EXPORTS}:Q8_0"]
    file = resolve_model(EXPORTS, "q8_0", offline=True)
    with llama_server(file) as address:
        chat = {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
        answer = ask(address, "/v1/chat/completions", chat)
    assert answer["choices"][0]["message"]["role"] == "assistant"
