"""Both servers speak to OpenAI's own client: whole answers, streamed ones, and clear refusals."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from exported_onnx import OnnxExport
from served_runtime import served

from zoo.errors import EnvironmentFailure, ExportError
from zoo.formats import onnx_files
from zoo.serving import LlamaRuntime, TorchRuntime, open_gguf, open_model
from zoo.serving.llama_server import ask, llama_server

openai = pytest.importorskip("openai")
httpx = pytest.importorskip("httpx")

CHAT = [{"role": "user", "content": "Set an alarm for 7:30. Turn on Bluetooth."}]


@pytest.fixture(scope="module")
def torch_address(torch_runtime: TorchRuntime) -> Iterator[str]:
    with served(torch_runtime) as address:
        yield address


@pytest.fixture(scope="module")
def onnx_address(onnx_export: OnnxExport) -> Iterator[str]:
    graph = onnx_export.folder / onnx_files.FILES["int8"]
    with open_model(graph, threads=1, lookup=True) as runtime, served(runtime) as address:
        yield address


@pytest.fixture(scope="module")
def llama_address(lively_file: Path) -> Iterator[str]:
    with llama_server(lively_file, context=512, name="lively") as address:
        yield address


def client(address: str) -> Any:
    return openai.OpenAI(base_url=f"{address}/v1", api_key="none", timeout=60, max_retries=0)


@pytest.mark.parametrize("server", ["torch_address", "llama_address"])
def test_openais_client_gets_the_runtimes_answer(
    server: str, torch_runtime: TorchRuntime, lively_file: Path, request: pytest.FixtureRequest
) -> None:
    with open_gguf(lively_file, threads=1, context=512) as llama_runtime:
        runtime = torch_runtime if server == "torch_address" else llama_runtime
        wanted = runtime.generate([CHAT], 12)[0]
    api = client(request.getfixturevalue(server))
    assert [model.id for model in api.models.list()] == ["lively"]
    asked = {"model": "lively", "messages": CHAT, "max_tokens": 12, "temperature": 0}
    whole = api.chat.completions.create(**asked)
    assert whole.choices[0].message.content == wanted.text
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (wanted.prompt_tokens, 12)
    assert whole.choices[0].finish_reason == "length"
    chunks = [chunk.choices[0] for chunk in api.chat.completions.create(**asked, stream=True) if chunk.choices]
    assert "".join(chunk.delta.content or "" for chunk in chunks) == wanted.text
    assert chunks[-1].finish_reason == "length" and len(chunks) > 3


def test_llama_cpps_server_answers_under_a_grammar(llama_address: str) -> None:
    asked = {"messages": CHAT, "max_tokens": 20, "grammar": 'root ::= "tap(" [0-9] ")"'}
    answer = ask(llama_address, "/v1/chat/completions", asked)["choices"][0]
    assert answer["message"]["content"].startswith("tap(") and answer["finish_reason"] == "stop"
    with pytest.raises(ExportError, match=r"llama\.cpp refuses /v1/chat/completions"):
        ask(llama_address, "/v1/chat/completions", {"max_tokens": 1})


CALL = r'root ::= "tap(" [1-9] ")" | "text(\"" [a-z]{1,4} "\")"'
SCHEMA = {
    "type": "object",
    "properties": {"name": {"enum": ["tap", "back"]}, "index": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["name", "index"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("server", ["torch_address", "onnx_address", "llama_address"])
def test_answers_are_kept_to_a_grammar_or_a_schema_whatever_serves(server: str, request: pytest.FixtureRequest) -> None:
    api = client(request.getfixturevalue(server))
    asked = {"model": "lively", "messages": CHAT, "max_tokens": 60, "temperature": 0}
    for name in ("grammar",) if server == "llama_address" else ("grammar", "guided_grammar"):
        limited = api.chat.completions.create(**asked, extra_body={name: CALL}).choices[0]
        assert re.fullmatch(r'tap\([1-9]\)|text\("[a-z]{1,4}"\)', limited.message.content)
        assert limited.finish_reason == "stop"
    if server == "llama_address":
        return  # its schemas leave room for white space, which this model fills it with until it is cut off
    described = {"type": "json_schema", "json_schema": {"name": "call", "schema": SCHEMA, "strict": True}}
    data = json.loads(api.chat.completions.create(**asked, response_format=described).choices[0].message.content)
    assert data["name"] in ("tap", "back") and 1 <= data["index"] <= 9
    stream = api.chat.completions.create(
        **asked, response_format=described, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert json.loads("".join(one.choices[0].delta.content or "" for one in chunks if one.choices)) == data
    assert sum(bool(one.choices and one.choices[0].delta.content) for one in chunks) > 3, "in parts, as they come"
    assert chunks[-1].usage.completion_tokens > 3


def test_a_graph_is_served_with_its_own_answers(onnx_address: str, onnx_export: OnnxExport) -> None:
    with open_model(onnx_export.folder / onnx_files.FILES["int8"], threads=1) as runtime:
        wanted = runtime.generate([CHAT], 12)[0].text
    asked = {"model": "lively", "messages": CHAT, "max_tokens": 12, "temperature": 0}
    for _ in range(2):
        answer = client(onnx_address).chat.completions.create(**asked)
        assert answer.choices[0].message.content == wanted


def test_a_grammar_that_does_not_read_is_refused_before_anything_is_said(onnx_address: str) -> None:
    for wrong in (
        {"grammar": "root ::= missing"},
        {"response_format": {"type": "yaml"}},
        {"response_format": {"type": "json_schema"}},
        {"guided_json": "{"},
        {"grammar": 3},
    ):
        answer = httpx.post(f"{onnx_address}/v1/chat/completions", json={"messages": CHAT, "stream": True, **wrong})
        assert answer.status_code == 400 and answer.json()["error"]["type"] == "invalid_request_error"


def test_the_command_serves_a_graph_with_measured_threads(onnx_export: OnnxExport) -> None:
    graph = onnx_export.folder / onnx_files.FILES["int8"]
    code = "from zoo.cli import main; main()"
    command = [sys.executable, "-c", code, "serve", str(graph), "--port", "0", "--lookup", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = json.loads(process.stdout.readline())
        answer = client(told["url"].removesuffix("/v1")).chat.completions.create(
            model=told["model"], messages=CHAT, max_tokens=4
        )
        process.terminate()
    assert told["runtime"] == "onnxruntime" and told["threads"] >= 1 and told["resident_bytes"] > 0
    assert answer.usage.completion_tokens == 4 and process.returncode == 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="the line that is shown asks with curl")
def test_what_the_command_shows_of_a_policys_server_is_answered_as_it_stands(tiny_llama: Path, tmp_path: Path) -> None:
    code = "from zoo.cli import main; main()"
    command = [sys.executable, "-u", "-c", code, "serve", str(tiny_llama), "--port", "0", "--adapters", str(tmp_path)]
    known = {**os.environ, "RECIPES_SERVE_KEY": "a key"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=known) as process:
        shown = ""
        for line in process.stdout:
            shown += line
            if "Ctrl-C" in line:
                break
        curl = shown[shown.index("  curl ") : shown.index("openai.OpenAI")]
        answer = subprocess.run(["bash", "-c", curl], env=known, capture_output=True, text=True, check=True)
        process.terminate()
    assert json.loads(answer.stdout)["choices"][0]["message"]["role"] == "assistant"
    assert 'os.environ["RECIPES_SERVE_KEY"]' in shown and "a key" not in shown


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"messages": CHAT, "temperature": 0.7}, "temperature: 0.7 is not covered"),
        ({"messages": CHAT, "tools": [{"type": "function"}]}, "tools"),
        ({"messages": []}, "a chat needs a message"),
        ({"prompt": "hi"}, "not a chat request"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "only text parts"),
    ],
)
def test_torch_refuses_what_it_does_not_cover(torch_address: str, body: dict[str, Any], said: str) -> None:
    answer = httpx.post(f"{torch_address}/v1/chat/completions", json=body)
    assert answer.status_code == 400 and said in answer.json()["error"]["message"]


def test_a_page_of_another_site_gets_no_answer(torch_address: str) -> None:
    other = httpx.get(f"{torch_address}/v1/models", headers={"Host": "elsewhere.example"})
    posted = httpx.post(
        f"{torch_address}/v1/chat/completions", content='{"messages": []}', headers={"Content-Type": "text/plain"}
    )
    assert other.status_code == posted.status_code == 400
    assert "application/json" in posted.json()["error"]["message"]


def test_a_port_that_is_taken_and_a_file_that_is_none_are_said(
    lively_file: Path, tmp_path: Path, llama_address: str
) -> None:
    port = int(llama_address.rpartition(":")[2])
    with pytest.raises(EnvironmentFailure, match=f"port {port}: .*--port"), llama_server(lively_file, port):
        pass
    (tmp_path / "none.gguf").write_bytes(b"GGUF")
    with pytest.raises(ExportError, match="ends inside its header"), llama_server(tmp_path / "none.gguf"):
        pass


def test_the_server_of_a_file_ends_with_its_block(lively_file: Path, llama: LlamaRuntime) -> None:
    with llama_server(lively_file, context=128) as address:
        assert ask(address, "/tokenize", {"content": "tap(3)"})["tokens"] == llama.encode("tap(3)")
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/health")
