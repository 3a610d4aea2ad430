"""mergekit's keys are checked, and its traps are closed before weights are read."""

from typing import Any

import pytest

from zoo.options import check

LINEAR: dict[str, Any] = {
    "merge_method": "linear",
    "base_model": "stage:sft",
    "dtype": "float32",
    "models": [
        {"model": "stage:sft", "parameters": {"weight": 0.7}},
        {"model": "own/er@main", "parameters": {"weight": 0.3}},
    ],
}


def said(**changes: Any) -> str:
    options = {key: value for key, value in {**LINEAR, **changes}.items() if value is not None}
    return "\n".join(str(problem) for problem in check("mergekit", options))


def test_a_plain_merge_has_no_problem() -> None:
    assert said() == ""
    assert said(out_dtype="bfloat16", parameters={"normalize": False}) == ""


def test_the_donor_of_the_tokenizer_is_never_left_to_chance() -> None:
    assert said(base_model=None).startswith("base_model: it is missing")
    assert said(tokenizer_source="own/er").startswith("tokenizer_source: 'own/er' is neither base nor union")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", None])
def test_arithmetic_that_swallows_small_differences_is_refused(dtype: str | None) -> None:
    assert "write `dtype: float32`" in said(dtype=dtype)


def test_a_key_that_mergekit_would_ignore_in_silence_is_named() -> None:
    assert "did you mean 'merge_method'?" in said(merge_metod="ties")
    assert "models.0.wieght: mergekit has no such key" in said(models=[{"model": "a/b", "wieght": 1}])


def test_an_unknown_parameter_is_named_with_its_place() -> None:
    models = [{"model": "a/b", "parameters": {"weigt": 1}}, {"model": "c/d", "parameters": {"weight": 1}}]
    assert "models.0.parameters.weigt: the method has no such parameter; did you mean 'weight'?" in said(models=models)
    assert "models.0.parameters: 'weight' is missing for this model" in said(models=models)


def test_a_parameter_of_the_whole_merge_is_refused_beside_one_model() -> None:
    models = [{"model": "a/b", "parameters": {"weight": 1, "normalize": False}}]
    assert "models.0.parameters.normalize: mergekit reads it for all inputs at once" in said(models=models)


def test_the_base_of_a_task_arithmetic_needs_no_weight() -> None:
    models = [{"model": "stage:sft"}, {"model": "a/b", "parameters": {"weight": 1}}]
    assert said(merge_method="ties", models=models) == ""
    assert "models.1.parameters: 'weight' is missing" in said(
        merge_method="ties", models=[*models[:1], {"model": "a/b"}]
    )


def test_unsound_and_unknown_methods_are_refused() -> None:
    assert "'multislerp' is not offered" in said(merge_method="multislerp")
    assert "did you mean 'slerp'?" in said(merge_method="slerpp")
    assert said(merge_method=None).startswith("merge_method: it is missing")


def test_what_is_merged_is_said_once() -> None:
    assert "it has none of them" in said(models=None)
    slices = [{"sources": [{"model": "a/b", "layer_range": [0, 2], "parameters": {"weight": 1}}]}]
    assert "it has models and slices" in said(slices=slices)


def test_modules_and_slices_are_looked_into() -> None:
    modules = {"text_decoder": {"models": [{"model": "a/b", "parametres": {}}]}}
    assert "modules.text_decoder.models.0.parametres" in said(models=None, modules=modules)
    slices = [{"sources": [{"modle": "a/b"}]}]
    assert "slices.0.sources.0.modle" in said(models=None, slices=slices)


def test_a_model_that_is_there_twice_is_named() -> None:
    assert "models.2.model: 'stage:sft' is there already" in said(models=[*LINEAR["models"], LINEAR["models"][0]])


@pytest.mark.parametrize("method", ["model_stock", "sce"])
def test_a_method_that_compares_fine_tunes_wants_two_of_them(method: str) -> None:
    entries = [{"model": name} for name in ("stage:sft", "a/b", "c/d")]
    assert said(merge_method=method, models=entries) == ""
    assert said(merge_method=method, models=entries[1:]) == ""
    for few in (entries[:2], entries[1:2]):
        assert f"models: {method} is given 1 model beside the base_model" in said(merge_method=method, models=few)
