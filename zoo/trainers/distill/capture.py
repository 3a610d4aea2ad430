"""The stage `logits`: a teacher's distributions over the answers of rows, stored, see `zoo.trainers.distill.store`.

Killed, it goes on from its last shard. Not covered: images, several GPUs.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from zoo.errors import ModelError
from zoo.estimate import logit_token_bytes
from zoo.records import Metric, StageContext, StageResult
from zoo.schema import LogitsSpec
from zoo.trainers import loading, preflight
from zoo.trainers.distill.rows import IGNORED, TokenRow, tokenize
from zoo.trainers.distill.store import StoreFacts, shard_name, write_facts
from zoo.trainers.heads import Head, head_of
from zoo.vocabularies import check_folders, digest, tokens_in

__all__ = ["capture"]

_SHARD_ROWS = 512
_READABLE_BY_ALL = 0o644


def capture(spec: LogitsSpec, ctx: StageContext) -> StageResult:
    """Score the rows and leave `logits.json` and its shards in `ctx.out`.

    Raises DataError for rows that do not fit, ModelError for a teacher with other tokens than `render` has.
    """
    teacher = ctx.inputs["model"]
    reads = ctx.inputs.get("render", teacher)
    tokenizer = preflight.load_processor(reads)
    shared = check_folders(reads, teacher)
    data = preflight.read_rows(ctx.inputs["data"], ("prompt", "completion"))
    preflight.check_lengths(data, tokenizer, teacher, None)
    rows = tokenize(data, tokenizer)
    if spec.top_k > shared:
        raise ModelError(f"top_k is {spec.top_k}, and there are only {shared} tokens; write top_k: {shared}, or less")
    ctx.scratch.mkdir(parents=True, exist_ok=True)
    shards = [rows[first : first + _SHARD_ROWS] for first in range(0, len(rows), _SHARD_ROWS)]
    model = None
    for number, shard in enumerate(shards):
        file = ctx.scratch / shard_name(number)
        if not file.is_file():
            model = model or loading.load_model(teacher, spec.dtype).to(ctx.device).eval()
            _write_shard(spec, model, shared, shard, file)
        ctx.progress(min((number + 1) * _SHARD_ROWS, len(rows)), len(rows))
    tails = [_kept_mass(ctx.scratch / shard_name(number), ctx.out) for number in range(len(shards))]
    count = sum(row.answer_tokens for row in rows)
    tokens = digest(tokens_in(reads), shared)
    write_facts(StoreFacts(len(rows), count, spec.top_k, spec.temperatures, shared, tokens, _SHARD_ROWS), ctx.out)
    return _result(spec, torch.cat(tails), ctx.out)


def _result(spec: LogitsSpec, kept: torch.Tensor, out: Path) -> StageResult:
    """`kept_mass` is the mean probability that the kept tokens cover, a row a temperature in the notes."""
    size = sum(file.stat().st_size for file in out.glob("*.safetensors"))
    means = kept.mean(dim=0).tolist()
    metrics = {
        "tokens": Metric(len(kept), "tokens"),
        "bytes": Metric(size, "bytes"),
        "bytes_per_token": Metric(logit_token_bytes(spec.top_k, len(spec.temperatures)), "bytes"),
        "kept_mass": Metric(min(means), n=len(kept)),
    }
    table = [{"temperature": t, "kept_mass": mass} for t, mass in zip(spec.temperatures, means, strict=True)]
    return StageResult(metrics, {"kept_mass": table, "top_k": spec.top_k})


def _write_shard(spec: LogitsSpec, model: Any, vocabulary: int, rows: Sequence[TokenRow], file: Path) -> None:
    head = head_of(model, vocabulary)
    scored = [
        part
        for first in range(0, len(rows), spec.batch)
        for part in _score(model, head, rows[first : first + spec.batch], spec)
    ]
    counts = torch.tensor([0, *(row.answer_tokens for row in rows)])
    tensors = {
        "ids": torch.cat([ids for ids, _, _ in scored]),
        "log_probabilities": torch.cat([kept for _, kept, _ in scored]),
        "log_tail": torch.cat([tail for _, _, tail in scored]),
        "offsets": counts.cumsum(0),
        "digests": torch.tensor([list(row.digest()) for row in rows], dtype=torch.uint8),
    }
    part = file.with_suffix(".part")
    save_file(tensors, part)
    part.chmod(_READABLE_BY_ALL)
    part.replace(file)


def _score(
    model: Any, head: Head, rows: Sequence[TokenRow], spec: LogitsSpec
) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """For each row: ids [N, k], log probabilities [N, k] and log tails [N, temperatures]."""
    width = max(len(row.input_ids) for row in rows)
    ids, mask = torch.zeros(len(rows), width, dtype=torch.long), torch.zeros(len(rows), width, dtype=torch.long)
    for at, row in enumerate(rows):
        ids[at, : len(row.input_ids)] = torch.tensor(row.input_ids)
        mask[at, : len(row.input_ids)] = 1
    device = head.weight.device
    with torch.inference_mode():
        hidden = model.base_model(input_ids=ids.to(device), attention_mask=mask.to(device), use_cache=False)[0]
        return [_distil(head.logits(hidden[at, _asked(row)]), spec) for at, row in enumerate(rows)]


def _asked(row: TokenRow) -> list[int]:
    """The positions whose next token is learned."""
    return [index - 1 for index, label in enumerate(row.labels) if label != IGNORED]


def _distil(logits: torch.Tensor, spec: LogitsSpec) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The kept tokens of [N, V]; how much lies outside them is summed outside them, not taken from 1: it would round
    away."""
    ids = logits.topk(spec.top_k, dim=-1).indices
    kept = torch.log_softmax(logits, dim=-1).gather(-1, ids)
    rest = logits.scatter(-1, ids, float("-inf"))
    tails = [torch.logsumexp(rest / t, -1) - torch.logsumexp(logits / t, -1) for t in spec.temperatures]
    return ids.int().cpu(), kept.half().cpu(), torch.stack(tails, dim=-1).cpu()


def _kept_mass(shard: Path, out: Path) -> torch.Tensor:
    """Move a finished shard into the artifact; the mass of its kept tokens [N, temperatures]."""
    from safetensors.torch import load_file

    mass = -torch.expm1(load_file(shard)["log_tail"])
    shutil.move(shard, out / shard.name)
    return mass
