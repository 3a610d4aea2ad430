"""llama.cpp through ctypes: the same tokens, logits and answers as torch, and refusals instead of crashes."""

import ctypes
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zoo.errors import DataError, EnvironmentFailure, ExportError
from zoo.exports.gguf import convert
from zoo.serving import LlamaRuntime, TorchRuntime, llama_library, open_gguf, open_torch
from zoo.serving.threads import default_threads

CHAT = [{"role": "user", "content": "Set an alarm for 7:30. Turn on Bluetooth."}]
OTHER = [{"role": "user", "content": "Set an alarm for 8:15, then delete the note called milk."}]


def test_both_runtimes_read_the_same_tokens(llama: LlamaRuntime, torch_runtime: TorchRuntime) -> None:
    for item in (CHAT, OTHER, "plain text 123", "", "<|im_start|>"):
        assert llama.encode(item) == torch_runtime.encode(item)
    assert llama.decode(llama.encode(CHAT)) == torch_runtime.decode(torch_runtime.encode(CHAT))


def test_logits_of_every_position_are_those_of_torch(lively_file: Path, torch_runtime: TorchRuntime) -> None:
    """A known answer: a binding that reads the wrong memory cannot give it. Longer than one batch of llama.cpp."""
    ids = (torch_runtime.encode(CHAT) * 40)[:700]
    expected = torch_runtime.logits(ids)
    for exact, allowed in ((True, 1e-5), (False, 5e-2)):
        with open_gguf(lively_file, threads=1, exact=exact) as runtime:
            found = runtime.logits(ids)
        assert found.shape == (700, runtime.vocabulary_size) and found.dtype == np.float32
        assert np.abs(found - expected).max() < allowed


def test_logits_may_begin_later(llama: LlamaRuntime, torch_runtime: TorchRuntime) -> None:
    ids = torch_runtime.encode(CHAT) * 10
    assert len(ids) > 200
    for runtime in (llama, torch_runtime):
        whole, part = runtime.logits(ids), runtime.logits(ids, start=150)
        assert part.shape == (len(ids) - 150, whole.shape[1])
        assert np.allclose(part, whole[150:], atol=1e-5)


def test_greedy_answers_are_those_of_torch(llama: LlamaRuntime, torch_runtime: TorchRuntime) -> None:
    ours, theirs = llama.generate([CHAT, OTHER], 24), torch_runtime.generate([CHAT, OTHER], 24)
    assert [one.text for one in ours] == [one.text for one in theirs]
    assert [one.tokens for one in ours] == [one.tokens for one in theirs]
    assert [one.prompt_tokens for one in ours] == [len(llama.encode(CHAT)), len(llama.encode(OTHER))]
    for one in (*ours, *theirs):
        assert 0 < one.first_token_seconds <= one.seconds


def test_a_shared_prefix_is_not_computed_again_and_changes_nothing(lively_file: Path, llama: LlamaRuntime) -> None:
    llama.generate([CHAT], 8)
    warm = llama.generate([OTHER], 16)[0]
    assert 1 < llama.prefilled_tokens < warm.prompt_tokens
    with open_gguf(lively_file, threads=1) as fresh:
        assert fresh.generate([OTHER], 16)[0].text == warm.text
        assert fresh.prefilled_tokens == warm.prompt_tokens
    assert llama.generate([OTHER], 16)[0].text == warm.text
    assert llama.prefilled_tokens == 1


def test_every_stop_token_stops_both(lively: Path, tmp_path: Path, torch_runtime: TorchRuntime) -> None:
    """The second stop token is one that the model does say, third in its answer."""
    said = greedy(torch_runtime, CHAT, 3)
    folder = tmp_path / "model"
    shutil.copytree(lively, folder)
    settings = json.loads((folder / "generation_config.json").read_text("utf-8"))
    stops = {"eos_token_id": [2, said[2]]}
    (folder / "generation_config.json").write_text(json.dumps(settings | stops), "utf-8")
    convert(folder, tmp_path / "model.gguf", "f32")
    with open_torch(folder) as torch_side, open_gguf(tmp_path / "model.gguf", threads=1) as llama_side:
        for runtime in (torch_side, llama_side):
            (answer,) = runtime.generate([CHAT], 8)
            assert (answer.tokens, answer.text) == (2, torch_runtime.decode(said[:2]))


def greedy(runtime: TorchRuntime, chat: list[dict[str, str]], count: int) -> list[int]:
    """The most likely tokens, one forward pass each; all different, else the test would test nothing."""
    ids = runtime.encode(chat)
    said: list[int] = []
    for _ in range(count):
        said.append(int(runtime.logits(ids + said)[-1].argmax()))
    assert len(set(said)) == count
    return said


def test_a_beginning_token_is_never_doubled(tiny_llama: Path, tmp_path: Path) -> None:
    """A tokenizer that puts BOS in front and a template that writes it too: one BOS in both runtimes."""
    folder = with_bos(tiny_llama, tmp_path / "model", in_template=True)
    convert(folder, tmp_path / "model.gguf", "f32")
    with open_torch(folder) as torch_side, open_gguf(tmp_path / "model.gguf", threads=1) as llama_side:
        for runtime in (torch_side, llama_side):
            assert runtime.encode(CHAT)[:2].count(0) == 1
            assert runtime.encode("milk")[0] == 0
        assert torch_side.encode(CHAT) == llama_side.encode(CHAT)


def with_bos(checkpoint: Path, folder: Path, in_template: bool) -> Path:
    """The checkpoint with a tokenizer that puts token 0 before every text."""
    shutil.copytree(checkpoint, folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    name = tokenizer["added_tokens"][0]["content"]
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [0], "tokens": [name]}},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    settings = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "bos_token": name}), "utf-8")
    if in_template:
        template = folder / "chat_template.jinja"
        template.write_text("{{ bos_token }}" + template.read_text("utf-8"), "utf-8")
    return folder


def test_a_prompt_beyond_the_context_is_refused(lively_file: Path) -> None:
    with open_gguf(lively_file, threads=1, context=256) as runtime:
        with pytest.raises(DataError, match="larger context"):
            runtime.generate([CHAT], runtime.context)
        with pytest.raises(DataError, match="exceed the context of 256"):
            runtime.logits([1] * (runtime.context + 1))
        with pytest.raises(DataError, match="empty prompt"):
            runtime.logits([])
        assert runtime.generate([CHAT], 4)[0].tokens <= 4


def test_closing_twice_is_harmless(lively_file: Path) -> None:
    runtime = open_gguf(lively_file, threads=1)
    runtime.close()
    runtime.close()


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.2, 0.5, 0.95, 0.9999])
def test_a_truncated_file_is_refused(lively_file: Path, tmp_path: Path, kept: float) -> None:
    data = lively_file.read_bytes()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(ExportError, match=r"cut\.gguf"):
        open_gguf(cut)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04" * 100, b"GGUF" + b"\xff" * 400, b"GGUF\x02\x00\x00\x00" + b"\0" * 99]
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "foreign.gguf"
    file.write_bytes(content)
    with pytest.raises(ExportError, match=r"foreign\.gguf"):
        open_gguf(file)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"nothing\.gguf"):
        open_gguf(tmp_path / "nothing.gguf")


def test_another_version_of_the_wheel_is_refused() -> None:
    with pytest.raises(EnvironmentFailure, match=rf"2025\.1\.1 is installed.*xllamacpp=={llama_library.PINNED_WHEEL}"):
        llama_library.shared_object(lambda _: "2025.1.1")


def test_a_field_that_moved_is_noticed() -> None:
    library = llama_library.load()
    model, context = library.llama_model_default_params(), library.llama_context_default_params()
    llama_library.check_layout(model, context)
    with pytest.raises(EnvironmentFailure, match="memory layout"):
        llama_library.check_layout(model, shifted(context, by=8))
    with pytest.raises(EnvironmentFailure, match="memory layout"):
        llama_library.check_layout(shifted(model, by=4), context)


def shifted(structure: Any, by: int) -> Any:
    """The same bytes, read as if the second half of the structure began `by` bytes later."""
    data = bytes(structure)
    half = len(data) // 2 // 8 * 8
    return type(structure).from_buffer_copy(data[:half] + bytes(by) + data[half : len(data) - by])


def test_the_declared_structures_are_as_long_as_the_librarys() -> None:
    """Two memories filled differently: what the library writes is what is equal afterwards."""
    library = ctypes.CDLL(str(llama_library.shared_object()))
    for name, declared in (
        ("llama_model_default_params", llama_library.ModelParameters),
        ("llama_context_default_params", llama_library.ContextParameters),
    ):
        function = library[name]
        function.restype, function.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
        memories = [ctypes.create_string_buffer(bytes([fill]) * 512, 512) for fill in (0xAB, 0xCD)]
        for memory in memories:
            function(ctypes.addressof(memory))
        first, second = (memory.raw for memory in memories)
        written = max(index for index in range(512) if first[index] == second[index]) + 1
        assert -(-written // 8) * 8 == ctypes.sizeof(declared)


def test_threads_follow_the_users_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert default_threads() == 3
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert 1 <= default_threads() <= 4
