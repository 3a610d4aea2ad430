"""What the records say of success and of the exported files: the two tables that a card is read for.

Every cell is read from a record; a column that no record can fill is left out, a single missing cell says *not run*.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise

from zoo.cards.exported import ExportedFile, Exports
from zoo.cards.tables import NOT_RUN, interval, number, percent, size, table
from zoo.records import Metric, StageRecord

__all__ = [
    "comparisons",
    "exports_table",
    "measured_table",
    "scores_table",
    "withheld",
]

# The metrics of an evaluation, in the order of the table: heading, name in the record, how it is written.
_SCORES: tuple[tuple[str, str, Callable[[Metric | None], str]], ...] = (
    ("sub-goals", "sub_goal_rate", percent),
    ("valid actions", "valid_action_rate", percent),
    ("steps", "steps", number),
    ("s a step", "seconds_per_step", number),
)

# Settings of an evaluation that say how it ran and not what was measured.
_HOW = ("model", "batch", "kind")


def scores_table(scores: Mapping[str, StageRecord], model: str) -> str:
    """One row a label, in the order given; the label whose evaluation acted with `model` is marked."""
    used = [score for score in _SCORES if any(score[1] in record.metrics for record in scores.values())]
    rows = []
    for label, record in scores.items():
        success = record.metrics.get("success_rate")
        shown = f"**{label}** (this model)" if record.inputs.get("model") == model else label
        trials = f"{success.n:,}" if success and success.n is not None else NOT_RUN
        others = [write(record.metrics.get(name)) for _, name, write in used]
        rows.append([shown, percent(success), trials, interval(success), *others])
    header = ["model", "success", "n", "95 % interval", *(heading for heading, _, _ in used)]
    return table(header, rows, "l" + "r" * (len(header) - 1))


def comparisons(scores: Mapping[str, StageRecord]) -> list[str]:
    """A sentence for each step from one evaluation to the next, and one for the whole way.

    Two rates are told apart only when their 95 % intervals do not overlap, which is stricter than a test at 5 %.
    """
    pairs = list(pairwise(scores.items()))
    if len(pairs) > 1:
        pairs.append((pairs[0][0], pairs[-1][1]))
    return [_comparison(*before, *after) for before, after in pairs]


def _comparison(label: str, record: StageRecord, next_label: str, next_record: StageRecord) -> str:
    start = f"{label} → {next_label}: "
    before, after = record.metrics.get("success_rate"), next_record.metrics.get("success_rate")
    if before is None or after is None:
        return start + NOT_RUN
    if _measured(record) != _measured(next_record):
        return start + "not compared, since they were measured on different tasks or with other settings."
    rates = f"{percent(before)} → {percent(after)}, "
    if after.value == before.value:
        return start + rates + "the same."
    word = "higher" if after.value > before.value else "**lower**"
    if None in (before.low, before.high, after.low, after.high):
        return start + rates + f"{word}; no interval was recorded."
    if max(before.low or 0.0, after.low or 0.0) <= min(before.high or 1.0, after.high or 1.0):
        return start + rates + f"{word}, but within the interval: the 95 % intervals overlap."
    return start + rates + f"{word}, beyond the 95 % intervals."


def _measured(record: StageRecord) -> dict[str, object]:
    return {"seed": record.seed} | {name: value for name, value in record.settings.items() if name not in _HOW}


def withheld(verify: StageRecord | None) -> tuple[str, ...]:
    """A line for each optional file that fell short and so is not published."""
    files = verify.notes.get("withheld", {}) if verify else {}
    return tuple(
        f"`{file}` fell short of its gate and is not published: {'; '.join(why)}." for file, why in files.items()
    )


def exports_table(exports: Exports) -> str:
    """One row a file, how near it is to the checkpoint; the recommended one stands in bold."""
    rows = []
    for file in exports.files:
        name = f"**`{file.name}`**" if file == exports.recommended else f"`{file.name}`"
        agreement = [percent(file.top1), number(file.mean_kl), percent(file.same_action), _verdict(file)]
        rows.append([name, size(file.bytes), f"{file.bytes:,}", number(file.bits_per_weight), *agreement])
    header = ["file", "size", "bytes", "bits a weight", "top-1 agreement", "mean KL, nats", "same action", "gate"]
    return table(*_without_empty(header, rows, "bits a weight"))


def measured_table(exports: Exports) -> str:
    """One row a file: what it costs to run and how well it acts; what was not run says so."""
    rows = []
    for file in exports.files:
        success = file.success
        memory = size(int(file.memory_bytes.value)) if file.memory_bytes else NOT_RUN
        trials = f"{success.n:,}" if success and success.n is not None else NOT_RUN
        speed = [file.load_seconds, file.prefill, file.decode, file.first_token_seconds, file.step_seconds]
        acts = [number(file.threads), percent(success), trials, interval(success)]
        name = f"**{file.type}**" if file == exports.recommended else file.type
        rows.append([name, memory, *map(number, speed), *acts])
    header = ["type", "peak memory", "load, s", "prefill, tokens/s", "decode, tokens/s", "first token, s"]
    header += ["agent step, s", "threads", "success", "n", "95 % interval"]
    return table(*_without_empty(header, rows, "load, s", "agent step, s", "threads"))


def _verdict(file: ExportedFile) -> str:
    return NOT_RUN if file.passed is None else "passed" if file.passed else "**failed**"


def _without_empty(header: list[str], rows: list[list[str]], *optional: str) -> tuple[list[str], list[list[str]], str]:
    """Header, rows and alignment without those of the optional columns that no file has a number for."""
    kept = [
        place for place, name in enumerate(header) if name not in optional or any(row[place] != NOT_RUN for row in rows)
    ]
    align = "".join("l" if header[place] in ("file", "type", "gate") else "r" for place in kept)
    return [header[place] for place in kept], [[row[place] for place in kept] for row in rows], align
