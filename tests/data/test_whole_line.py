"""A recipe whose rows are a mixture, and whose exported file then plays: through the runner, each stage a process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

RECIPE = """name: plays
summary: Rows are mixed and learned, and what came out plays.
license: apache-2.0
agent: {style: terse, observation: terse, rounds: 3, answer_tokens: 48}
stages:
  demos: {kind: data, tasks: 6}
  more: {kind: data, tasks: 6, seed: 2}
  both: {kind: data, source: mix, mix: {stage:demos: 0.5, stage:more: 0.5}, limit: 8}
  sft: {kind: sft, model: owner/base@main, data: stage:both, trl: {max_steps: 1, per_device_train_batch_size: 2}}
  gguf: {kind: gguf, model: stage:sft, types: [f16]}
  played:
    kind: data
    source: agent
    export: stage:gguf
    file: f16
    tasks: 3
    tries: 2
    temperature: 1.0
    keep: all
    agent: {constrained: true}
tiny: {replace: {owner/base: llama}}
"""


@pytest.mark.slow
def test_a_mixture_is_learned_and_a_file_that_says_nothing_readable_leaves_no_rows(tmp_path: Path) -> None:
    recipe = tmp_path / "plays.yaml"
    recipe.write_text(RECIPE)
    home = tmp_path / "home"
    command = [sys.executable, "-c", "from zoo.cli import main; main()", "run", str(recipe), "--tiny"]
    environment = {**os.environ, "EDGEZOO_HOME": str(home)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    records = [json.loads(file.read_text()) for file in home.glob("stages/*/stage.json")]
    by_name = {record["name"]: record for record in records}
    # Two random layers under a grammar spend their tokens on prose: 3 tasks, 2 tries, 3 rounds, and no call.
    assert done.returncode == 1 and "18 no call in the answer" in " ".join((done.stdout + done.stderr).split())
    assert "gguf" in by_name and "played" not in by_name
    assert [line["rows"] for line in by_name["both"]["notes"]["mix"]] == [4, 4]
    assert by_name["sft"]["notes"]["rows"] == 8
    assert str(tmp_path) not in json.dumps(by_name["both"])
