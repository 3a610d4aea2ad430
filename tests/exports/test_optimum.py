"""Exports in optimum's ORTModelForCausalLM and in transformers 4, for those who have not moved to transformers 5.

Both need transformers below 4.58 and so an environment of their own (`make optimum-compat` makes one). Runs where
`EDGEZOO_OPTIMUM_PYTHON` names its Python.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

_QUESTIONS = 12


def optimum_python() -> str:
    named = os.environ.get("EDGEZOO_OPTIMUM_PYTHON", "")
    if not named or not Path(named).is_file():
        pytest.skip("EDGEZOO_OPTIMUM_PYTHON names no Python of an environment with optimum-onnx")
    return named


def run(python: str, script: str, folder: Path) -> str:
    # The other environment must find nothing of this one
    places = os.pathsep.join([".", "tests"]) if python == sys.executable else ""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, f"compat/{script}", str(folder)], env=environment | ({"PYTHONPATH": places} if places else {}),
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    return done.stdout


def test_optimum_and_transformers_4_read_what_is_exported(tmp_path: Path) -> None:
    python = optimum_python()
    run(sys.executable, "export_for_optimum.py", tmp_path / "compat")
    answers = [line for line in run(python, "check_in_optimum.py", tmp_path / "compat").splitlines() if ": " in line]
    assert len([line for line in answers if line.startswith("ok   ")]) == _QUESTIONS
    assert any(line.startswith("ok   answers of onnx/model.onnx: 2 of 2") for line in answers)
