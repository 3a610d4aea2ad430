"""The exports of a model, a format each, and what records say of every file: size, agreement, cost, success.

A file is what a runtime is pointed at: one GGUF, however many shards it is split into, or one ONNX graph, wherever its
weights lie. Nothing here is computed but sums of bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from zoo.formats import gguf_names, onnx_files
from zoo.records import Metric, StageRecord

__all__ = ["ExportedFile", "Exports"]


@dataclass(frozen=True)
class ExportedFile:
    """One exported file and how near it is to the checkpoint that it was made of."""

    name: str
    type: str
    """As its users write it: `F16`, `Q8_0` in GGUF, `fp16`, `genai-int4` in ONNX."""
    bytes: int
    """Its weights included, wherever they lie."""
    bits_per_weight: Metric | None
    top1: Metric | None
    mean_kl: Metric | None
    same_action: Metric | None
    passed: bool | None
    """Whether it kept the recipe's gate; None when it has none or was not verified."""
    success: Metric | None = None
    """Share of held-out episodes that this very file solved."""
    memory_bytes: Metric | None = None
    load_seconds: Metric | None = None
    prefill: Metric | None = None
    """Tokens a second of a prompt."""
    decode: Metric | None = None
    """Tokens a second of an answer."""
    first_token_seconds: Metric | None = None
    step_seconds: Metric | None = None
    """A whole step of the agent: prompt, answer and what lies between."""
    threads: Metric | None = None


@dataclass(frozen=True)
class Exports:
    """The files of one format, which share a repository."""

    format: Literal["GGUF", "ONNX"]
    repo: str
    """`owner/name-GGUF`, `owner/name-ONNX`."""
    record: StageRecord
    """Of the stage that wrote them."""
    published: Mapping[str, str]
    """File of the stage -> its name in the repository. Of a split model, every shard."""
    verify: StageRecord | None = None
    latency: StageRecord | None = None
    """What each file costs to run: metrics `q8_0.decode_tokens_per_second` and the like."""
    scores: Mapping[str, StageRecord] = field(default_factory=dict)
    """Type (`q8_0`, `int8`) -> the evaluation that acted with that very file."""

    @property
    def files(self) -> tuple[ExportedFile, ...]:
        """Largest first."""
        files = [self._file(source, name) for source, name in self.published.items() if _is_first(source)]
        return tuple(sorted(files, key=lambda file: -file.bytes))

    @property
    def recommended(self) -> ExportedFile | None:
        """The smallest file that passed its gate; none when no file did."""
        return min((file for file in self.files if file.passed), key=lambda file: file.bytes, default=None)

    @property
    def first(self) -> ExportedFile:
        """The file that a reader is shown how to run: the recommended one, else the largest."""
        return self.recommended or self.files[0]

    def _file(self, source: str, name: str) -> ExportedFile:
        kind = _type(source)

        # As `zoo.latency` names files: portable graphs apart from those of GenAI, which say so themselves.
        measured = kind if self.format == "GGUF" or kind.startswith("genai-") else f"onnx-{kind}"

        def of(record: StageRecord | None, metric: str) -> Metric | None:
            return record.metrics.get(f"{kind}.{metric}") if record else None

        def cost(metric: str) -> Metric | None:
            return self.latency.metrics.get(f"{measured}.{metric}") if self.latency else None

        acted = self.scores.get(kind)
        return ExportedFile(
            name=name,
            type=kind.upper() if self.format == "GGUF" else kind,
            bytes=sum(facts["bytes"] for path, facts in self.record.files.items() if _belongs(path, source)),
            bits_per_weight=of(self.record, "bits_per_weight"),
            top1=of(self.verify, "top1"),
            mean_kl=of(self.verify, "mean_kl"),
            same_action=of(self.verify, "same_action"),
            passed=self._passed(kind),
            success=acted.metrics.get("success_rate") if acted else of(self.verify, "success_rate"),
            memory_bytes=cost("peak_memory_bytes"),
            load_seconds=cost("load_seconds"),
            prefill=cost("prefill_tokens_per_second"),
            decode=cost("decode_tokens_per_second"),
            first_token_seconds=cost("first_token_seconds"),
            step_seconds=cost("step_seconds"),
            threads=cost("threads"),
        )

    def _passed(self, kind: str) -> bool | None:
        """What the verification said of the file of a type; None when it did not look at it."""
        rows = self.verify.notes.get("files", []) if self.verify else []
        return next((bool(row["passed"]) for row in rows if row["type"] == kind), None)


def _type(source: str) -> str:
    graph = onnx_files.variant_of(Path("export") / source)
    return graph or gguf_names.type_of(source)


def _is_first(source: str) -> bool:
    return gguf_names.shards(Path(source))[0].name == Path(source).name


def _belongs(path: str, source: str) -> bool:
    """Whether a file of the export is a part of the file that a runtime is pointed at."""
    if source.endswith(".onnx"):
        return path.startswith(source)
    return path in {shard.name for shard in gguf_names.shards(Path(source))}
