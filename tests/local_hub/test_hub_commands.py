"""Whole programs of others, unmodified, told of the embedded Hub by three environment variables alone."""

import os
import subprocess
import sys
from pathlib import Path

from zoo.hub import Endpoint
from zoo.local_hub import client_environment

HF = str(Path(sys.executable).parent / "hf")


def run(endpoint: Endpoint, home: Path, *command: str) -> str:
    environment = {
        **os.environ,
        **client_environment(endpoint),
        "HF_HOME": str(home),
        "OMP_NUM_THREADS": "1",
        "NO_COLOR": "1",
    }
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    return outcome.stdout


def test_the_hf_command_uploads_and_downloads(endpoint: Endpoint, tmp_path: Path) -> None:
    folder = tmp_path / "content"
    folder.mkdir()
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / "w.safetensors").write_bytes(os.urandom(200_000))
    home = tmp_path / "home"
    assert "edgezoo" in run(endpoint, home, HF, "auth", "whoami")
    run(endpoint, home, HF, "upload", "someone/thing", str(folder), "--private")
    there = tmp_path / "there"
    run(endpoint, home, HF, "download", "someone/thing", "--local-dir", str(there))
    for path in folder.iterdir():
        assert (there / path.name).read_bytes() == path.read_bytes()


_TRANSFORMERS_AND_DATASETS = """
import torch
from datasets import Dataset, load_dataset
from transformers import LlamaConfig, LlamaForCausalLM

torch.manual_seed(0)
config = LlamaConfig(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
model = LlamaForCausalLM(config)
model.push_to_hub("someone/tiny", private=True)
back = LlamaForCausalLM.from_pretrained("someone/tiny")
assert all(torch.equal(a, b) for a, b in zip(model.parameters(), back.parameters(), strict=True))
print("parameters", sum(1 for _ in back.parameters()))

rows = Dataset.from_dict({"text": [f"row {number}" for number in range(10)]})
rows.push_to_hub("someone/rows")
assert load_dataset("someone/rows", split="train").to_dict() == rows.to_dict()
streamed = load_dataset("someone/rows", split="train", streaming=True)
print("rows", sum(1 for _ in streamed))
"""


def test_transformers_and_datasets_push_and_load(endpoint: Endpoint, tmp_path: Path) -> None:
    said = run(endpoint, tmp_path / "home", sys.executable, "-c", _TRANSFORMERS_AND_DATASETS)
    assert "parameters 21" in said
    assert "rows 10" in said
