"""How many tokens a training stage will read and how long it will take, as far as anything is known of it.

Tokens are the letters of the rows over the letters of a token, once the rows are there. Time needs a speed, and a speed
is never invented: it is that of the newest finished stage in this cache that trained a model of the same size in the
same way on the same processor. Not covered: GRPO, whose tokens are not written yet.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from zoo import estimate, machine, records
from zoo.cache import Cache
from zoo.data import read_rows
from zoo.errors import CacheError
from zoo.plan import PlannedStage
from zoo.preflight import LookUp, base_of
from zoo.records import RECORD_NAME, StageRecord
from zoo.refs import StageRef
from zoo.schema import SFTSpec
from zoo.trainers.global_batch import Batch, derive, memory_here

__all__ = ["Forecast", "forecasts"]

_LETTERS_A_TOKEN = {"text": 3.8, "messages": 2.3}
"""As SmolLM2's tokenizer reads Python's documentation (757,577 letters) and the phone's rows (551,906), the tokens of
the chat template among them."""
_MOST_ROWS_READ = 2000
_MOST_RECORDS_READ = 200
_TRL_MAX_LENGTH = 1024


@dataclass(frozen=True)
class Forecast:
    """What is known of a training stage before it runs."""

    tokens: int | None
    """That it will read, over all epochs; None while its rows are not there."""
    seconds: float | None
    """None when no stage like it was finished here."""
    batch: Batch | None
    """How the recipe's global batch would be shared out on this machine."""

    def as_data(self) -> dict[str, Any]:
        """For a row of the plan."""
        batch = self.batch.as_data() if self.batch else None
        return {"tokens": self.tokens, "train_seconds": self.seconds, "batch": batch}


def forecasts(
    stages: Sequence[PlannedStage], cache: Cache, look_up: LookUp, device: str = "cpu", processes: int = 1
) -> dict[str, Forecast]:
    """Stage name -> what is known of it, for every stage that fine-tunes.

    Raises ModelError for a global batch that so many processes cannot share.
    """
    return {
        stage.name: _forecast(stages, stage, cache, look_up, device, processes) for stage in stages if _is_sft(stage)
    }


def _is_sft(stage: PlannedStage) -> bool:
    return isinstance(stage.spec, SFTSpec)


def _forecast(
    stages: Sequence[PlannedStage], stage: PlannedStage, cache: Cache, look_up: LookUp, device: str, processes: int
) -> Forecast:
    assert isinstance(stage.spec, SFTSpec)
    spec, base = stage.spec, base_of(stages, stage)
    model = look_up(base) if base else None
    tokens = _tokens(spec, _rows_folder(stages, stage, cache))
    batch = None
    if spec.global_batch and model:
        longest = int(spec.trl.get("max_length") or _TRL_MAX_LENGTH)
        batch = derive(spec, model.config, processes, memory_here(device, processes), longest, device=device)
    speed = _speed(cache, spec, estimate.parameters(model.config), device) if model else None
    return Forecast(tokens, tokens / speed if tokens and speed else None, batch)


def _rows_folder(stages: Sequence[PlannedStage], stage: PlannedStage, cache: Cache) -> Path | None:
    """Where a stage's rows lie, if they are there."""
    ref = stage.inputs["data"].ref
    if not isinstance(ref, StageRef):
        return None
    key = next((other.key for other in stages if other.name == ref.name), None)
    try:
        found = cache.find(key) if key else None
    except CacheError:
        return None
    return found.folder if found else None


def _tokens(spec: SFTSpec, rows: Path | None) -> int | None:
    if rows is None:
        return None
    read = [_row_tokens(row) for row in islice(read_rows(rows), _MOST_ROWS_READ)]
    count = records.read(rows).metrics["rows"].value
    epochs = float(spec.trl.get("num_train_epochs", 3))  # transformers' default
    seen = count * epochs
    if (steps := int(spec.trl.get("max_steps", -1))) > 0 and not spec.trl.get("packing"):
        seen = steps * (spec.global_batch or _rows_a_step(spec))
    elif steps > 0:
        return None  # how many rows a pack holds is known when they are packed
    return int(seen * sum(read) / len(read))


def _rows_a_step(spec: SFTSpec) -> int:
    return int(spec.trl.get("per_device_train_batch_size", 8)) * int(spec.trl.get("gradient_accumulation_steps", 1))


def _row_tokens(row: Mapping[str, Any]) -> float:
    if "text" in row:
        return len(row["text"]) / _LETTERS_A_TOKEN["text"]
    messages = [*(row.get("prompt") or ()), *(row.get("completion") or ()), *(row.get("messages") or ())]
    return sum(len(str(message.get("content") or "")) for message in messages) / _LETTERS_A_TOKEN["messages"]


def _speed(cache: Cache, spec: SFTSpec, parameters: int, device: str) -> float | None:
    """Tokens a second of the newest stage like this one, on this machine."""
    here = machine.hardware()
    for record in _newest(cache):
        like = record.kind == spec.kind and record.notes.get("parameters") == parameters and not record.tiny
        same_way = bool(record.settings.get("lora")) is bool(spec.lora) and record.settings.get("dtype") == spec.dtype
        same_place = all(record.hardware.get(name) == here.get(name) for name in ("cpu", "cores", "gpus"))
        measured = record.metrics.get("tokens_per_second")
        if measured and like and same_way and same_place and record.hardware.get("device") == device:
            return measured.value
    return None


def _newest(cache: Cache) -> Iterator[StageRecord]:
    files = [(file.stat().st_mtime, file) for file in (cache.root / "stages").glob(f"*/{RECORD_NAME}")]
    for _, file in sorted(files, reverse=True)[:_MOST_RECORDS_READ]:
        try:
            yield records.read(file.parent)
        except (ValueError, OSError, json.JSONDecodeError):
            continue  # whoever needs that stage is told; a forecast needs it not
