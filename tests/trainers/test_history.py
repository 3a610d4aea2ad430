"""The lines of a run's steps, and a loss that rises for good."""

import json
from pathlib import Path
from typing import Any

import pytest
from training_rows import Context, Rows

from zoo.errors import EnvironmentFailure, ModelError
from zoo.schema import SFTSpec
from zoo.trainers import history, sft, tracking
from zoo.trainers.history import Rise


def spec(**trl: Any) -> SFTSpec:
    usual = {"max_steps": 4, "per_device_train_batch_size": 4, "learning_rate": 1e-2}
    return SFTSpec(
        model="a/b", data="stage:rows", dtype="float32", save_dtype="float32", checkpoint_steps=5, trl={**usual, **trl}
    )  # fmt: skip


def test_a_spike_passes_and_a_rise_is_dated_by_its_first_step() -> None:
    rise = Rise()
    losses = [3.0] * 5 + [9.0] * (Rise.STEPS - 1) + [2.0] + [7.0] * Rise.STEPS
    found = [rise.add(step, loss) for step, loss in enumerate(losses, 1)]
    assert (rise.start, rise.bound) == (3.0, 6.0)
    assert found == [None] * (len(losses) - 1) + [5 + Rise.STEPS + 1]


def test_a_small_loss_may_double_many_times_before_it_counts_as_risen() -> None:
    rise = Rise()
    assert [rise.add(step, 0.01 if step < 6 else 0.9) for step in range(1, 60)] == [None] * 59


def test_what_depends_on_the_clock_is_in_no_line(tmp_path: Path) -> None:
    logged = [
        {"loss": 1.0, "step_time": 3.2, "tokens_per_second": 4.0, "epoch": 0.5, "step": 1},
        {"train_runtime": 9.0},
    ]
    history.write(logged, tmp_path)
    assert (tmp_path / "history.jsonl").read_text("utf-8") == '{"step": 1, "loss": 1.0, "epoch": 0.5}\n'


def test_every_step_is_a_line_of_the_artifact(tiny_llama: Path, rows: Rows, context: Context) -> None:
    ctx = context(tiny_llama, rows())
    result = sft.run(spec(), ctx)
    lines = [json.loads(line) for line in (ctx.out / "history.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert [line["loss"] for line in lines] == [point["loss"] for point in result.notes["loss"]]
    assert {"grad_norm", "learning_rate"} <= lines[0].keys()
    assert (ctx.scratch / "history.jsonl").read_bytes() == (ctx.out / "history.jsonl").read_bytes()


def test_a_loss_that_rises_for_good_stops_and_names_the_checkpoint_before_it(
    tiny_llama: Path, rows: Rows, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rise, "STEPS", 4)
    ctx = context(tiny_llama, rows())
    wild = spec(max_steps=40, learning_rate=3.0, warmup_steps=5, lr_scheduler_type="constant_with_warmup")
    with pytest.raises(
        ModelError, match=r"above .* since step \d+, and began at .*diverges; .*; lower `learning_rate`"
    ):
        sft.run(wild, ctx)
    assert list(ctx.out.iterdir()) == []


def test_tracking_is_off_where_nobody_runs_a_recipe_and_where_it_is_told_so(
    tiny_llama: Path, rows: Rows, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.delenv("EDGEZOO_TRACKING", raising=False)
    ctx = context(tiny_llama, rows())
    named = replace(ctx, name="sft")
    assert tracking.options(ctx) == {"report_to": "none"}
    on = tracking.options(named, find=lambda name: object())
    assert (on["report_to"], on["project"], on["run_name"]) == ("trackio", "edgezoo", "sft-scratch")
    assert tracking.options(named, find=lambda name: None) == {"report_to": "none"}
    monkeypatch.setenv("EDGEZOO_TRACKING", "none")
    assert tracking.options(named, find=lambda name: object()) == {"report_to": "none"}
    monkeypatch.setenv("EDGEZOO_TRACKING", "trackio")
    with pytest.raises(EnvironmentFailure, match=r"pip install 'edgezoo\[track\]'"):
        tracking.options(named, find=lambda name: None)
    monkeypatch.setenv("EDGEZOO_TRACKING", "wandb")
    with pytest.raises(EnvironmentFailure, match="write trackio or none"):
        tracking.options(named)


def test_trackio_writes_into_its_folder_and_connects_to_nobody(
    tiny_llama: Path, rows: Rows, context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("trackio", reason="the extra `track` is not installed")
    import subprocess
    import sys

    code = (
        "import socket, sys, pathlib\n"
        "def refuse(self, address): raise AssertionError(f'connects to {address}')\n"
        "socket.socket.connect = refuse\n"
        "from zoo.records import StageContext\nfrom zoo.schema import SFTSpec\nfrom zoo.trainers import sft\n"
        "model, data, home = map(pathlib.Path, sys.argv[1:])\n"
        "(home / 'out').mkdir(parents=True); (home / 'scratch').mkdir()\n"
        "ctx = StageContext(home / 'out', home / 'scratch', {'model': model, 'data': data}, seed=7, name='sft')\n"
        "trl = {'max_steps': 1, 'per_device_train_batch_size': 2}\n"
        "sft.run(SFTSpec(model='a/b', data='stage:rows', dtype='float32', trl=trl), ctx)\n"
    )
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "tracking"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("EDGEZOO_TRACKING", raising=False)
    command = [sys.executable, "-c", code, str(tiny_llama), str(rows()), str(tmp_path / "home")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "tracking" / "edgezoo.db").is_file()
