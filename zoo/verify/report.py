"""What verification found of each file, as numbers of a record and as `verify.json`."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zoo.metrics import Agreement
from zoo.records import Metric
from zoo.schema import Gate
from zoo.verify.check import Check
from zoo.verify.comparison import ActionAgreement, Closeness
from zoo.verify.tasks import TaskAgreement

__all__ = ["GENERAL", "REPORT_NAME", "STEPS", "FileReport", "metrics", "plain", "row", "write"]

REPORT_NAME = "verify.json"
STEPS = "steps"
"""Prompts and answers of the agent's own world, held out."""
GENERAL = "general"
"""General text."""


@dataclass(frozen=True)
class FileReport:
    """Everything known of one file. What could not be measured is missing, never a number."""

    file: str
    type: str
    bytes: int
    checks: tuple[Check, ...]
    closeness: Mapping[str, Closeness] = field(default_factory=dict)
    """By `STEPS` and `GENERAL`: how near it is to the checkpoint on each kind of text."""
    actions: ActionAgreement | None = None
    tasks: TaskAgreement | None = None


def metrics(report: FileReport) -> dict[str, Metric]:
    """The record's numbers of one file, under its type; those on general text under `TYPE.general`."""
    found: dict[str, Metric] = {}
    for kind, near in report.closeness.items():
        prefix = "general." if kind == GENERAL else ""
        found |= {prefix + name: metric for name, metric in _agreement_metrics(near.agreement).items()}
    if actions := report.actions:
        found["valid_action_rate"] = actions.valid_actions
        found["checkpoint.valid_action_rate"] = actions.reference_valid_actions
        if same_action := actions.same_action:
            found["same_action"] = same_action
    if tasks := report.tasks:
        found["success_rate"] = tasks.success_rate
        found["checkpoint.success_rate"] = tasks.reference_success_rate
        found["success_drop"] = Metric(tasks.drop, "points", n=tasks.tasks)
    return {f"{report.type}.{name}": metric for name, metric in found.items()}


def _agreement_metrics(measured: Agreement) -> dict[str, Metric]:
    return {
        "top1": measured.top1,
        "mean_kl": Metric(measured.mean_kl, "nats", n=measured.positions),
        "p99_kl": Metric(measured.p99_kl, "nats", n=measured.positions),
        "max_kl": Metric(measured.max_kl, "nats", n=measured.positions),
        "perplexity_ratio": Metric(measured.perplexity_ratio, n=measured.positions),
    }


def row(report: FileReport, gate: Gate, wrong: Sequence[str], optional: bool = False) -> dict[str, Any]:
    """One file as plain data."""
    return {
        "file": report.file,
        "type": report.type,
        "bytes": report.bytes,
        "passed": not wrong,
        "optional": optional,
        "failures": list(wrong),
        "gate": gate.model_dump(),
        "checks": [asdict(check) for check in report.checks],
        "agreement": _agreement_row(report.closeness.get(STEPS)),
        "general": _agreement_row(report.closeness.get(GENERAL)),
        "curves": {kind: [asdict(one) for one in near.curve] for kind, near in report.closeness.items()},
        "actions": asdict(report.actions) if report.actions else None,
        "tasks": _tasks_row(report.tasks) if report.tasks else None,
    }


def _agreement_row(near: Closeness | None) -> dict[str, Any] | None:
    if near is None:
        return None
    return asdict(near.agreement) | {"top1": near.agreement.top1.value}


def _tasks_row(tasks: TaskAgreement) -> dict[str, Any]:
    rates = {"success_rate": tasks.success_rate, "checkpoint_success_rate": tasks.reference_success_rate}
    return asdict(tasks) | {name: asdict(metric) for name, metric in rates.items()} | {"drop": tasks.drop}


def write(folder: Path, data: Mapping[str, Any]) -> None:
    """Write `verify.json`, whole or not at all."""
    part = folder / (REPORT_NAME + ".part")
    part.write_text(json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    part.replace(folder / REPORT_NAME)


def plain(value: Any) -> Any:
    """A broken file may measure as NaN, which JSON does not have: null, like all that is no number."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value
