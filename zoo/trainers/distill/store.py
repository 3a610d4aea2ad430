"""A teacher's logits on disk: of each distribution the most likely tokens, and how much lies outside them.

Shards of a few hundred rows in safetensors, read by slices, so that the store is never in memory. A token costs 6 bytes
for each that is kept (log probability in float16, id in int32) and 4 for each temperature. Log probabilities in float16
are exact to 0.005 nats down to probabilities of e-10. Each row carries a digest of its tokens: logits of other rows, or
of rows rendered by another chat template, are refused.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from zoo.errors import DataError
from zoo.trainers.distill.rows import TokenRow
from zoo.vocabularies import INSTEAD, digest

__all__ = ["STORE_NAME", "LogitStore", "StoreFacts", "StoredRow", "shard_name", "write_facts"]

STORE_NAME = "logits.json"


@dataclass(frozen=True)
class StoreFacts:
    """`logits.json`: what lies in the shards."""

    rows: int
    tokens: int
    top_k: int
    temperatures: tuple[float, ...]
    vocabulary: int
    """Tokens among which the kept ones were chosen: the first so many."""
    tokens_digest: str
    """Of these tokens, see `zoo.vocabularies.digest`."""
    shard_rows: int


@dataclass(frozen=True)
class StoredRow:
    """The distributions over one row's answer tokens, in their order."""

    ids: torch.Tensor
    """[N, k], int64."""
    log_probabilities: torch.Tensor
    """[N, k], float16, at temperature 1."""
    log_tail: torch.Tensor
    """[N], float32: log of the mass outside the kept tokens, at the temperature that was asked for."""


@dataclass(frozen=True)
class LogitStore:
    """A finished `logits` stage."""

    folder: Path

    @cached_property
    def facts(self) -> StoreFacts:
        """Raises DataError when the folder is none."""
        try:
            data = json.loads((self.folder / STORE_NAME).read_text("utf-8"))
            return StoreFacts(**{**data, "temperatures": tuple(data["temperatures"])})
        except (FileNotFoundError, ValueError, TypeError, KeyError) as error:
            raise DataError(f"{self.folder} holds no logits: {error}; name a stage of kind `logits`") from error

    def check(self, rows: Sequence[TokenRow], temperature: float, tokens: Mapping[int, str]) -> None:
        """Raise DataError when these are not the logits of these rows, at this temperature, over these tokens."""
        facts = self.facts
        if len(rows) != facts.rows:
            raise DataError(f"{self.folder} holds logits of {facts.rows} rows, the data has {len(rows)}")
        if temperature not in facts.temperatures:
            raise DataError(f"{self.folder} holds no temperature {temperature}, but {list(facts.temperatures)}")
        if digest(tokens, facts.vocabulary) != facts.tokens_digest:
            raise DataError(f"{self.folder} is over other tokens than the student's; {INSTEAD}")
        for number, row in enumerate(rows):
            shard, at = divmod(number, facts.shard_rows)
            if bytes(self._small[shard]["digests"][at].tolist()) != row.digest():
                raise DataError(
                    f"{self.folder}: row {number + 1} was scored as other tokens than the student reads; name the same "
                    "rows, and the student as `render` of the logits stage when chat templates differ"
                )

    def row(self, number: int, temperature: float) -> StoredRow:
        """One row's distributions; `number` from 0."""
        shard, at = divmod(number, self.facts.shard_rows)
        first, last = self._small[shard]["offsets"][at : at + 2].tolist()
        column = self.facts.temperatures.index(temperature)
        with safe_open(self.folder / shard_name(shard), framework="pt") as file:
            return StoredRow(
                file.get_slice("ids")[first:last].long(),
                file.get_slice("log_probabilities")[first:last],
                file.get_slice("log_tail")[first:last][:, column],
            )

    @cached_property
    def _small(self) -> list[Mapping[str, Any]]:
        """Of each shard, where its rows begin, and their digests."""
        shards = -(-self.facts.rows // self.facts.shard_rows)
        return [self._read_small(self.folder / shard_name(shard)) for shard in range(shards)]

    def _read_small(self, file: Path) -> Mapping[str, Any]:
        with safe_open(file, framework="pt") as opened:
            return {name: opened.get_tensor(name) for name in ("offsets", "digests")}


def shard_name(number: int) -> str:
    """The file of a shard, counted from 0."""
    return f"logits-{number:05}.safetensors"


def write_facts(facts: StoreFacts, folder: Path) -> None:
    """Write `logits.json`, last."""
    (folder / STORE_NAME).write_text(json.dumps(asdict(facts), indent=2, sort_keys=True) + "\n", "utf-8")
