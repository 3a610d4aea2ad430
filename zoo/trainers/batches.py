"""TRL's generation batch, a dict of tensors with one row a completion, taken apart by groups and joined again.

Rows of different batches have different widths: prompts are padded on the left, completions on the right, and what
spans both is padded at both ends. A key of two dimensions that is not named here raises KeyError, so that a new one of
TRL's is noticed.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn.functional import pad
from trl.trainer.utils import split_pixel_values_by_grid, unsplit_pixel_values_by_grid

__all__ = ["Batch", "joined", "parts", "silenced"]

Batch = dict[str, Any]
_ID = None  # stands for the tokenizer's padding token
_LEFT: dict[str, float | None] = {"prompt_ids": _ID, "prompt_mask": 0}
_RIGHT: dict[str, float | None] = {
    "completion_ids": _ID, "completion_mask": 0, "tool_mask": 1, "old_per_token_logps": 0.0, "ref_per_token_logps": 0.0,
    "sampling_per_token_logps": 0.0, "importance_sampling_ratio": 1.0,
}  # fmt: skip
_SPANNING = ("token_type_ids", "mm_token_type_ids")


def parts(batch: Batch, size: int) -> list[Batch]:
    """A batch in parts of `size` rows each; images as lists of one tensor a row."""
    split = split_pixel_values_by_grid(batch)
    count = len(batch["advantages"]) // size
    return [
        {key: value[start : start + size] if _has_rows(value) else value for key, value in split.items()}
        for start in range(0, count * size, size)
    ]


def joined(pieces: Sequence[Batch], padding_token: int) -> Batch:
    """One batch of all rows, padded to the widest. `num_items_in_batch`, which counts over processes, is left out."""
    keys = [key for key in pieces[0] if key != "num_items_in_batch"]
    return dict(unsplit_pixel_values_by_grid({key: _column(key, pieces, padding_token) for key in keys}))


def silenced(batch: Batch) -> Batch:
    """The same batch, in which a row whose advantage is 0 has no token that counts: not in a loss, not in its mean."""
    heard = (batch["advantages"] != 0).to(batch["completion_mask"].dtype)
    return {**batch, "completion_mask": batch["completion_mask"] * heard.unsqueeze(1)}


def _has_rows(value: Any) -> bool:
    return isinstance(value, list) or (torch.is_tensor(value) and value.dim() > 0)


def _column(key: str, pieces: Sequence[Batch], padding_token: int) -> Any:
    values = [piece[key] for piece in pieces]
    if isinstance(values[0], list):
        return [one for value in values for one in value]
    if not _has_rows(values[0]):
        return values[0]
    if values[0].dim() == 1:
        return torch.cat(values)
    if key in _SPANNING:
        return torch.cat(_spanning(key, pieces))
    fill = {**_LEFT, **_RIGHT}[key]
    width = max(value.size(1) for value in values)
    short = [width - value.size(1) for value in values]
    number = padding_token if fill is None else fill
    return torch.cat(
        [
            pad(value, (less, 0) if key in _LEFT else (0, less), value=number)
            for value, less in zip(values, short, strict=True)
        ]
    )


def _spanning(key: str, pieces: Sequence[Mapping[str, Any]]) -> list[torch.Tensor]:
    prompt = max(piece["prompt_ids"].size(1) for piece in pieces)
    completion = max(piece["completion_ids"].size(1) for piece in pieces)
    return [
        pad(piece[key], (prompt - piece["prompt_ids"].size(1), completion - piece["completion_ids"].size(1)))
        for piece in pieces
    ]
