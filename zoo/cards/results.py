"""What the records say of success and of the exported files: the two tables that a card is read for.

Every cell is read from a record; a column that no record can fill is left out, a single missing cell says *not run*.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from zoo.cards.tables import NOT_RUN, interval, number, percent, size, table
from zoo.formats import gguf_names
from zoo.records import Metric, StageRecord

__all__ = [
    "ExportedFile",
    "comparisons",
    "exported_files",
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


@dataclass(frozen=True)
class ExportedFile:
    """One exported file and how near it is to the checkpoint that it was made of."""

    name: str
    type: str
    """As llama.cpp writes it: `F16`, `Q8_0`."""
    bytes: int
    bits_per_weight: Metric | None
    top1: Metric | None
    mean_kl: Metric | None
    same_action: Metric | None
    passed: bool | None
    """Whether it kept the recipe's gate; None when it has none or was not verified."""
    success: Metric | None = None
    """Share of held-out episodes that this very file solved."""
    memory_bytes: Metric | None = None
    prefill: Metric | None = None
    """Tokens a second of a prompt."""
    decode: Metric | None = None
    """Tokens a second of an answer."""
    first_token_seconds: Metric | None = None

    @property
    def verdict(self) -> str:
        """The gate's outcome in a word."""
        return NOT_RUN if self.passed is None else "passed" if self.passed else "**failed**"


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


def exported_files(
    export: StageRecord,
    verify: StageRecord | None,
    names: Mapping[str, str],
    latency: StageRecord | None = None,
    scores: Mapping[str, StageRecord] | None = None,
) -> tuple[ExportedFile, ...]:
    """The exported files, largest first. `names` maps a file of the export to its published name and says which
    files were published at all; `scores` maps a type (`q8_0`) to the evaluation that acted with that file."""
    files = [_exported(export, verify, latency, scores or {}, source, name) for source, name in names.items()]
    return tuple(sorted(files, key=lambda file: -file.bytes))


def _exported(
    export: StageRecord,
    verify: StageRecord | None,
    latency: StageRecord | None,
    scores: Mapping[str, StageRecord],
    source: str,
    name: str,
) -> ExportedFile:
    kind = gguf_names.type_of(source)
    type_ = kind.upper()

    def of(record: StageRecord | None, metric: str) -> Metric | None:
        return record.metrics.get(f"{kind}.{metric}") if record else None

    top1, mean_kl, same_action = (of(verify, metric) for metric in ("top1", "mean_kl", "same_action"))
    acted = scores.get(kind)
    return ExportedFile(
        name=name,
        type=type_,
        bytes=export.files[source]["bytes"],
        bits_per_weight=of(export, "bits_per_weight"),
        top1=top1,
        mean_kl=mean_kl,
        same_action=same_action,
        passed=_passed(verify, kind),
        success=acted.metrics.get("success_rate") if acted else of(verify, "success_rate"),
        memory_bytes=of(latency, "peak_memory_bytes"),
        prefill=of(latency, "prefill_tokens_per_second"),
        decode=of(latency, "decode_tokens_per_second"),
        first_token_seconds=of(latency, "first_token_seconds"),
    )


def _passed(verify: StageRecord | None, kind: str) -> bool | None:
    """What the verification said of the file of a type; None when it did not look at it."""
    rows = verify.notes.get("files", []) if verify else []
    return next((bool(row["passed"]) for row in rows if row["type"] == kind), None)


def withheld(verify: StageRecord | None) -> tuple[str, ...]:
    """A line for each optional file that fell short and so is not published."""
    files = verify.notes.get("withheld", {}) if verify else {}
    return tuple(
        f"`{file}` fell short of its gate and is not published: {'; '.join(why)}." for file, why in files.items()
    )


def exports_table(files: Iterable[ExportedFile], recommended: ExportedFile | None) -> str:
    """One row a file; the recommended one stands in bold."""
    rows = []
    for file in files:
        name = f"**`{file.name}`**" if file == recommended else f"`{file.name}`"
        agreement = [percent(file.top1), number(file.mean_kl), percent(file.same_action), file.verdict]
        rows.append([name, size(file.bytes), f"{file.bytes:,}", number(file.bits_per_weight), *agreement])
    header = ["file", "size", "bytes", "bits a weight", "top-1 agreement", "mean KL, nats", "same action", "gate"]
    return table(header, rows, "lrrrrrrl")


def measured_table(files: Iterable[ExportedFile], recommended: ExportedFile | None) -> str:
    """One row a file: what it costs to run and how well it acts; what was not run says so."""
    rows = []
    for file in files:
        success = file.success
        memory = size(int(file.memory_bytes.value)) if file.memory_bytes else NOT_RUN
        trials = f"{success.n:,}" if success and success.n is not None else NOT_RUN
        acts = [percent(success), trials, interval(success)]
        name = f"**{file.type}**" if file == recommended else file.type
        rows.append([name, memory, number(file.prefill), number(file.decode), number(file.first_token_seconds), *acts])
    header = ["type", "peak memory", "prefill, tokens/s", "decode, tokens/s", "first token, s"]
    header += ["success", "n", "95 % interval"]
    return table(header, rows, "l" + "r" * (len(header) - 1))
