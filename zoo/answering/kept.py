"""Answers of an endpoint on disk, by the digest of what was asked: what was paid for is not asked for again.

A folder of small files, one an answer, each whole or not there at all, so that a stage killed at any instant goes on.
Neither the key nor the address is in a file; two endpoints that call their models alike need a folder each.
"""

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo import fingerprint
from zoo.answering.endpoint import Endpoint, sent
from zoo.serving import Chat, Generation

__all__ = ["KeptAnswers", "Spent"]

_MILLION = 1e6


@dataclass(frozen=True)
class Spent:
    """What answers have cost so far, those that were of no use included."""

    answers: int
    prompt_tokens: int
    answer_tokens: int
    uncounted: int
    """Answers whose endpoint did not say how many tokens they were."""

    def cost(self, prompt_price: float | None, answer_price: float | None) -> float | None:
        """In the currency of the prices, which are for a million tokens; None when it cannot be known."""
        if prompt_price is None or answer_price is None or self.uncounted:
            return None
        return (self.prompt_tokens * prompt_price + self.answer_tokens * answer_price) / _MILLION


@dataclass(frozen=True)
class KeptAnswers:
    """An endpoint whose answers are kept in a folder."""

    folder: Path
    endpoint: Endpoint

    def complete(
        self, chat: Chat, tokens: int, schema: Mapping[str, Any] | None = None, *, temperature: float, seed: int
    ) -> Generation:
        """The answer to this very question, from the folder or from the endpoint.

        Raises ModelError as `Endpoint.complete` does; what was answered before stays.
        """
        asked = [self.endpoint.model, sent(chat), tokens, schema, temperature, seed]
        file = self.folder / f"{fingerprint.of_data(asked)}.json"
        if file.is_file():
            return Generation(**json.loads(file.read_text("utf-8")))
        answer = self.endpoint.complete(chat, tokens, schema, temperature=temperature, seed=seed)
        self._write(file, answer)
        return answer

    def spent(self) -> Spent:
        """Summed over the folder, so that what a killed run has spent is counted too."""
        found = [Generation(**json.loads(file.read_text("utf-8"))) for file in self.folder.glob("*.json")]
        return Spent(
            answers=len(found),
            prompt_tokens=sum(answer.prompt_tokens for answer in found),
            answer_tokens=sum(answer.tokens for answer in found),
            uncounted=sum(answer.prompt_tokens == 0 for answer in found),
        )

    def _write(self, file: Path, answer: Generation) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}-{threading.get_ident()}.part")
        part.write_text(json.dumps(asdict(answer), ensure_ascii=False), "utf-8")
        part.replace(file)
