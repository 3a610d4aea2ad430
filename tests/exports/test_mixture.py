"""Which type each tensor gets, held against what llama.cpp's own quantizer gives."""

from collections import Counter

import pytest

from zoo.errors import ExportError
from zoo.exports.gguf.mixture import check_patterns, tensor_types
from zoo.formats.architectures import matrices

SMOL = {
    "architectures": ["LlamaForCausalLM"], "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
    "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True,
}  # fmt: skip
QWEN = {
    "architectures": ["Qwen2ForCausalLM"], "vocab_size": 151936, "hidden_size": 1536, "intermediate_size": 8960,
    "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2, "tie_word_embeddings": False,
}  # fmt: skip


def histogram(config: dict[str, object], type_: str, patterns: dict[str, str] | None = None, **more: bool) -> Counter:
    shapes = matrices(config)
    guided = more.get("guided", False)
    layers = int(str(config["num_hidden_layers"]))
    return Counter(tensor_types(shapes, type_, patterns or {}, layers=layers, guided=guided).values())


@pytest.mark.parametrize(
    ("type_", "expected"),
    [
        # as llama-quantize of llama.cpp writes SmolLM2-135M, whose rows of 576 do not divide by 256
        ("q4_k_m", {"Q4_K": 16, "Q5_0": 166, "Q6_K": 14, "Q8_0": 15}),
        ("q5_k_m", {"Q5_K": 16, "Q5_1": 166, "Q6_K": 14, "Q8_0": 15}),
        ("q6_k", {"Q6_K": 30, "Q8_0": 181}),
        ("q4_0", {"Q4_0": 210, "Q8_0": 1}),
        ("q8_0", {"Q8_0": 211}),
        ("f16", {"F16": 211}),
    ],
)
def test_a_model_with_odd_rows_falls_back_as_in_llama_cpp(type_: str, expected: dict[str, int]) -> None:
    assert histogram(SMOL, type_) == expected


def test_a_model_with_even_rows_is_the_mixture_that_its_name_says() -> None:
    # 28 layers: the first 3, the last 4 and 7 between have more bits for values and the way down, and so has the head
    assert histogram(QWEN, "q4_k_m") == {"Q4_K": 197 - 28, "Q6_K": 29}
    assert histogram(QWEN, "q5_k_m") == {"Q5_K": 197 - 28, "Q6_K": 29}
    assert histogram(QWEN, "q4_0") == {"Q4_0": 197, "Q6_K": 1}


def test_an_importance_matrix_changes_the_first_ways_down_of_q4_0_alone() -> None:
    assert histogram(QWEN, "q4_0", guided=True) == {"Q4_0": 194, "Q4_1": 3, "Q6_K": 1}
    assert histogram(QWEN, "q4_k_m", guided=True) == histogram(QWEN, "q4_k_m")


def test_rows_that_divide_by_nothing_are_f16() -> None:
    types = tensor_types({"blk.0.attn_q.weight": (64, 80), "blk.0.attn_norm.weight": (80,)}, "q4_k_m", {}, layers=1,
                         guided=False)  # fmt: skip
    assert types == {"blk.0.attn_q.weight": "F16", "blk.0.attn_norm.weight": "F32"}


def test_a_pattern_sets_the_type_of_what_it_fits_in_quantized_files_and_the_first_one_wins() -> None:
    patterns = {"blk.0.ffn_down.weight": "f16", "blk.*.ffn_down.weight": "q6_k"}
    assert histogram(QWEN, "q4_0", patterns) == {"Q4_0": 197 - 28, "Q6_K": 28, "F16": 1}
    assert histogram(QWEN, "f16", patterns) == {"F16": 198}
    # also what a recipe asks for must fit the rows
    assert histogram(SMOL, "q8_0", {"blk.*.attn_q.weight": "q4_k"}) == {"Q8_0": 181, "Q5_0": 30}


def test_a_pattern_that_fits_nothing_is_refused_with_the_nearest_name() -> None:
    shapes = {**matrices(SMOL), "blk.0.attn_norm.weight": (576,)}
    check_patterns({"blk.*.ffn_down.weight": "q6_k", "token_embd*": "q8_0"}, shapes)
    with pytest.raises(ExportError, match=r"'blk\.\*\.ffn_dwn\.weight' fits no tensor.*'blk\.\*\.ffn_down\.weight'"):
        check_patterns({"blk.*.ffn_dwn.weight": "q6_k"}, shapes)
    with pytest.raises(ExportError, match="fits no tensor that can be quantized"):
        check_patterns({"blk.*.attn_norm.weight": "q6_k"}, shapes)
