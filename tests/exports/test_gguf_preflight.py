"""What is known of an export before anything is trained."""

from pathlib import Path
from typing import Any

import pytest
from test_recipe import GOOD, written

from zoo import preflight
from zoo.plan import plan
from zoo.preflight import BaseModel
from zoo.recipe import load

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
    "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True,
    "max_position_embeddings": 2048, "rope_parameters": {"rope_type": "default", "rope_theta": 1e5},
}  # fmt: skip
SEEING = {
    **LLAMA, "architectures": ["Qwen2_5_VLForConditionalGeneration"],
    "vision_config": {
        "depth": 4, "hidden_size": 32, "intermediate_size": 64, "patch_size": 14, "out_hidden_size": 576,
        "fullatt_block_indexes": [0, 3],
    },
}  # fmt: skip


def problems(folder: Path, settings: str, config: dict[str, Any]) -> list[str]:
    loaded = load(written(folder, GOOD + f"  files: {{kind: gguf, model: 'stage:sft', {settings}}}\n"))
    stages = plan(loaded.recipe, lambda ref, accepts: f"{ref}#0123")
    return [str(one) for one in preflight.problems(loaded, stages, lambda _: BaseModel(config, True))]


def test_a_pattern_that_fits_no_tensor_of_the_base_is_known_before_training(tmp_path: Path) -> None:
    assert problems(tmp_path, "tensors: {'blk.*.ffn_down.weight': q6_k, 'token_embd.weight': q8_0}", LLAMA) == []
    (found,) = problems(tmp_path, "tensors: {'blk.*.ffn_dwn.weight': q6_k}", LLAMA)
    assert "small.yaml:12" in found and "did you mean 'blk.*.ffn_down.weight'" in found


@pytest.mark.parametrize(("settings", "count"), [("types: [f16]", 1), ("mmproj: null", 0)])
def test_a_vision_tower_that_llama_cpp_does_not_compute_is_known_before_training(
    tmp_path: Path, settings: str, count: int
) -> None:
    found = problems(tmp_path, settings, SEEING)
    assert len(found) == count
    assert all("mmproj: null" in one for one in found)
