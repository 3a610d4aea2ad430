"""Dynamic sampling over two processes (gloo): both stay in step, and every group that is kept teaches."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from training_rows import phone_row, write_rows

WORK = """
import json, os, sys
from pathlib import Path
sys.path[:0] = sys.argv[5:]
from zoo import registry
registry.REWARDS["by-task"] = "toy_rewards:ByTask"
from zoo.records import StageContext
from zoo.schema import GRPOSpec
from zoo.trainers import grpo, preflight
model, data, folder, answers = map(Path, sys.argv[1:5])
rank = os.environ["RANK"]
trl = {
    "max_steps": 2, "per_device_train_batch_size": 4, "num_generations": 4, "max_completion_length": 12,
    "learning_rate": 1e-3, "ddp_backend": "gloo",
}
spec = GRPOSpec.model_validate({
    "model": "a/b", "data": "stage:rows", "dtype": "float32", "trl": trl, "rewards": [{"name": "by-task"}],
    "dynamic_sampling": {"rounds": 8},
})
ctx = StageContext(folder / rank, folder / rank / "scratch", {"model": model, "data": data}, seed=7)
rows = preflight.read_rows(data, ("prompt", "solution"))
trainer = grpo._trainer(spec, ctx, rows, preflight.load_processor(model), ())
trainer.train()
history = [entry for entry in trainer.state.log_history if "reward" in entry]
weights = sum(float(p.detach().double().sum()) for p in trainer.accelerator.unwrap_model(trainer.model).parameters())
(answers / f"{rank}.json").write_text(json.dumps({"history": history, "weights": weights}))
"""


@pytest.mark.slow
def test_two_processes_refill_together(taught_llama: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "data", [phone_row(number) for number in range(24)])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    here = Path(__file__).parent
    command = [sys.executable, "-c", WORK, str(taught_llama), str(data), str(tmp_path), str(tmp_path), str(here)]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
    processes = [
        subprocess.Popen(command, env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]
    assert [process.wait(timeout=500) for process in processes] == [0, 0]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    assert first["weights"] == second["weights"]
    assert len(first["history"]) == 2
    for entry in first["history"]:
        assert entry["sampling/filled"] == 1.0 and entry["sampling/groups"] % 2 == 0
