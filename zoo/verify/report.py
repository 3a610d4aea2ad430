"""What verification found of each file, the verdict on it, and `verify.json`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo.metrics import Agreement
from zoo.records import Metric
from zoo.schema import Gate
from zoo.verify.comparison import ActionAgreement
from zoo.verify.structure import Check

__all__ = ["REPORT_NAME", "FileReport", "failures", "metrics", "row", "write"]

REPORT_NAME = "verify.json"

_REDUCED = ("q8_0", "int8", "int4", "genai-int8", "genai-int4")


@dataclass(frozen=True)
class FileReport:
    """Everything known of one file. What could not be measured is None, never a number."""

    file: str
    type: str
    bytes: int
    checks: tuple[Check, ...]
    agreement: Agreement | None = None
    actions: ActionAgreement | None = None


def failures(report: FileReport, gate: Gate) -> list[str]:
    """One line for each check that failed and each measure beyond its gate: what, how much, what to try."""
    found = [f"{check.name}: {check.detail}" for check in report.checks if not check.passed]
    if report.agreement is None:
        return [*found, "agreement: not measured, so the gate is not kept"]
    measured = report.agreement
    if measured.mean_kl > gate.mean_kl:
        found.append(f"mean_kl is {measured.mean_kl:.3g} nats, at most {gate.mean_kl:g} is allowed")
    if measured.top1.value < gate.top1:
        found.append(f"top1 is {measured.top1.value:.4f} of {measured.positions}, at least {gate.top1:g} is asked for")
    if gate.same_action:
        found += _action_failures(report.actions, gate.same_action)
    return [*found, *_advice(report, found)]


def _action_failures(actions: ActionAgreement | None, least: float) -> list[str]:
    rate = actions.same_action if actions else None
    if rate is None:
        return ["same_action: not measured, since no step was answered or the checkpoint itself called nothing"]
    if rate.value < least:
        return [f"same_action is {rate.value:.3f} of {rate.n} steps, at least {least:g} is asked for"]
    return []


def _advice(report: FileReport, found: Sequence[str]) -> list[str]:
    """What to try, by the kind of failure: the first broken check explains the numbers after it."""
    if not found:
        return []
    if any(not check.passed for check in report.checks):
        return ["try: export again; the file does not say what the checkpoint says, so no gate can be fair to it"]
    if report.type in _REDUCED:
        return ["try: a larger type (f16), or train longer: an undecided model flips with the smallest rounding"]
    return [
        "try: f32; if that passes, the weights need more than the range or precision of this type, and if it does not, "
        "the export is wrong in a way that no structural check names"
    ]


def metrics(report: FileReport) -> dict[str, Metric]:
    """The record's numbers of one file, under its type."""
    found: dict[str, Metric] = {}
    if measured := report.agreement:
        found |= {
            "top1": measured.top1,
            "mean_kl": Metric(measured.mean_kl, "nats", n=measured.positions),
            "p99_kl": Metric(measured.p99_kl, "nats", n=measured.positions),
            "max_kl": Metric(measured.max_kl, "nats", n=measured.positions),
            "perplexity_ratio": Metric(measured.perplexity_ratio, n=measured.positions),
        }
    if report.actions and (same_action := report.actions.same_action):
        found["same_action"] = same_action
    return {f"{report.type}.{name}": metric for name, metric in found.items()}


def row(report: FileReport, wrong: Sequence[str]) -> dict[str, Any]:
    """One file as plain data."""
    measured = asdict(report.agreement) | {"top1": report.agreement.top1.value} if report.agreement else None
    return {
        "file": report.file,
        "type": report.type,
        "bytes": report.bytes,
        "passed": not wrong,
        "failures": list(wrong),
        "checks": [asdict(check) for check in report.checks],
        "agreement": measured,
        "actions": asdict(report.actions) if report.actions else None,
    }


def write(folder: Path, data: dict[str, Any]) -> None:
    """Write `verify.json`."""
    (folder / REPORT_NAME).write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", "utf-8")
