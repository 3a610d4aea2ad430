"""A global batch in devices, rows and passes."""

from pathlib import Path
from typing import Any

import pytest
from training_rows import Context, Rows

from zoo.errors import ModelError
from zoo.schema import SFTSpec
from zoo.trainers import sft
from zoo.trainers.global_batch import Batch, derive

SMOL: dict[str, Any] = {
    "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True,
}  # fmt: skip
GIB = 2**30


def spec(batch: int) -> SFTSpec:
    return SFTSpec(model="a/b", data="stage:rows", global_batch=batch)


def test_memory_decides_how_many_rows_go_at_once() -> None:
    found = [derive(spec(32), SMOL, 1, memory * GIB, 1024, device="cuda") for memory in (80, 8, 4, 1)]
    assert found[0] == Batch(1, 32, 1) and found[-1] == Batch(1, 1, 32)
    assert [batch.rows for batch in found] == sorted((batch.rows for batch in found), reverse=True)
    assert all(batch.devices * batch.rows * batch.passes == 32 for batch in found)


def test_devices_share_it() -> None:
    assert derive(spec(32), SMOL, 4, 80 * GIB, 1024, device="cuda") == Batch(4, 8, 1)
    assert derive(spec(32), SMOL, 2, 80 * GIB, 1024, device="cpu") == Batch(2, 8, 2)


def test_one_that_cannot_be_shared_evenly_is_refused() -> None:
    with pytest.raises(ModelError, match=r"global_batch: 32 rows cannot be shared out to 3 devices; write 30"):
        derive(spec(32), SMOL, 3, 80 * GIB, 1024)


def test_its_shares_are_in_the_record(tiny_llama: Path, rows: Rows, context: Context) -> None:
    made = SFTSpec(
        model="a/b", data="stage:rows", dtype="float32", global_batch=12, trl={"max_steps": 1}
    )  # fmt: skip
    assert sft.run(made, context(tiny_llama, rows())).notes["batch"] == {"devices": 1, "rows": 6, "passes": 2}
