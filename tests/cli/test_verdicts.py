"""What `recipes verify` shows fits a terminal of 80 columns and names every verdict."""

from io import StringIO
from typing import Any

from rich.console import Console

from zoo.cli.verdicts import show, show_summary

NEAR = {"positions": 12_345, "top1": 0.9876, "mean_kl": 1.2e-3, "p99_kl": 0.1, "max_kl": 12.5, "perplexity_ratio": 1.01}
GATE = {"mean_kl": 1e-2, "top1": 0.95, "perplexity_ratio": 1.02}


def row(name: str, passed: bool, general: dict[str, Any] | None) -> dict[str, Any]:
    failures = [] if passed else ["mean_kl is 1 nats on general text, at most 0.01 is allowed", "try: a larger type"]
    return {
        "file": name, "type": "q4_k_m+", "bytes": 12_345_678, "passed": passed, "failures": failures, "gate": GATE,
        "checks": [{"name": "special token ids", "passed": True, "detail": "4 ids"}], "agreement": NEAR,
        "general": general, "actions": {"called": 12, "same": 11, "readable": 12, "steps": 12}, "tasks": None,
    }  # fmt: skip


def shown(rows: list[dict[str, Any]]) -> list[str]:
    written = StringIO()
    console = Console(width=80, file=written)
    for one in rows:
        show(console, one, "phone-ten")
    show_summary(console, rows)
    return written.getvalue().splitlines()


def test_several_files_end_in_a_table_with_the_worse_text_of_each() -> None:
    far = NEAR | {"top1": 0.5, "mean_kl": None}
    lines = shown([row("A-Model-With-A-Long-Name-Q4_K_M.gguf", True, NEAR), row("onnx/model.onnx", False, far)])
    last = lines[-3:]
    assert last[0].split() == ["file", "size", "same", "top-1", "mean", "KL", "verdict"]
    assert "98.76%" in last[1] and last[1].rstrip().endswith("PASS")
    assert "50.00%" in last[2] and "no number" in last[2] and last[2].rstrip().endswith("FALLS SHORT")
    assert max(len(line.rstrip()) for line in lines) <= 80
    assert not any("…" in line for line in lines[:-2]), "nothing is cut off but a long name"


def test_one_file_needs_no_table_of_files() -> None:
    lines = shown([row("model-F16.gguf", True, None)])
    assert not any("verdict" in line for line in lines)
    assert any("PASS" in line for line in lines)
