from typing import Any

import pytest

from zoo.estimate import linear_shapes, need, parameters
from zoo.schema import GGUFSpec, GRPOSpec, MergeSpec, SFTSpec

SMOL = {
    "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True,
}  # fmt: skip
QWEN_VL = {
    "model_type": "qwen2_5_vl", "tie_word_embeddings": True,
    "text_config": {
        "model_type": "qwen2_5_vl_text", "vocab_size": 151936, "hidden_size": 2048, "intermediate_size": 11008,
        "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 2,
    },
    "vision_config": {
        "depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 2048,
        "patch_size": 14,
    },
}  # fmt: skip


def test_parameters_are_counted_as_torch_counts_them() -> None:
    assert parameters(SMOL) == 134_515_008  # the published size of SmolLM2-135M
    transformers = pytest.importorskip("transformers")
    import torch

    with torch.device("meta"):
        vision = transformers.Qwen2_5_VLForConditionalGeneration(transformers.Qwen2_5_VLConfig(**QWEN_VL))
        qwen3 = transformers.Qwen3ForCausalLM(transformers.Qwen3Config(hidden_size=64, num_hidden_layers=2))
    assert parameters(QWEN_VL) == sum(parameter.numel() for parameter in vision.parameters())
    assert parameters(qwen3.config.to_dict()) == sum(parameter.numel() for parameter in qwen3.parameters())


def test_adapters_need_far_less_than_a_full_fine_tune() -> None:
    full = need(SFTSpec(model="a/b", data="stage:r", dtype="bfloat16"), SMOL)
    lora = need(SFTSpec(model="a/b", data="stage:r", dtype="bfloat16", lora={"r": 16}), SMOL)
    assert full is not None and lora is not None
    assert 2 * lora.memory_bytes < 2 * full.memory_bytes
    assert full.memory_bytes - lora.memory_bytes == pytest.approx(134_515_008 * 6 - 16 * _ins_and_outs() * 16, rel=1e-6)


def _ins_and_outs() -> int:
    return sum(inner + outer for inner, outer in linear_shapes(SMOL))


def test_files_take_their_bits_per_weight() -> None:
    needed = need(GGUFSpec(model="a/b", types=("f16", "q8_0")), SMOL)
    assert needed is not None
    assert needed.disk_bytes == pytest.approx(134_515_008 * (2 + 34 / 32), rel=1e-6)
    merged = need(MergeSpec(mergekit={"dtype": "float32", "out_dtype": "bfloat16"}), SMOL)
    assert merged is not None and merged.disk_bytes == 134_515_008 * 2


def test_mixtures_are_estimated_larger_where_rows_do_not_divide_into_their_blocks() -> None:
    for type_, odd in (("q4_k_m", 105_453_984), ("q5_k_m", 112_103_328), ("q6_k", 138_382_752), ("q4_0", 91_726_752)):
        needed = need(GGUFSpec(model="a/b", types=(type_,)), SMOL)
        assert needed is not None
        assert needed.disk_bytes == pytest.approx(odd, rel=0.05)  # as measured on SmolLM2-135M
    even = need(GGUFSpec(model="a/b", types=("q4_k_m",)), SMOL | {"hidden_size": 512})
    assert even is not None and even.disk_bytes < parameters(SMOL | {"hidden_size": 512}) * 0.63


def test_a_reference_is_a_second_model_unless_an_adapter_can_be_switched_off() -> None:
    def memory(**changes: Any) -> int:
        found = need(GRPOSpec.model_validate({"model": "a/b", "data": "stage:r", **changes}), SMOL)
        assert found is not None
        return found.memory_bytes

    assert memory(trl={"beta": 0.01}) - memory() == 134_515_008 * 2
    assert memory(trl={"beta": 0.0}) == memory()
    assert memory(trl={"beta": 0.01}, lora={"r": 8}) == memory(lora={"r": 8})


def test_an_episode_takes_the_room_of_its_steps() -> None:
    def memory(**environment: int) -> int:
        spec = {"model": "a/b", "environment": environment, "agent": {"rounds": 10, "answer_tokens": 64}}
        found = need(GRPOSpec.model_validate({**spec, "trl": {"per_device_train_batch_size": 2}}), SMOL)
        assert found is not None
        return found.memory_bytes

    assert memory() - memory(samples=4) == 2 * 6 * (1024 + 64) * 576 * 30 * 34
