"""Merges of tiny real checkpoints: exact, whole, and refused where mergekit would be silent."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from zoo import checkpoint, merge, tiny
from zoo.errors import ModelError, RecipeError
from zoo.records import StageContext, StageResult
from zoo.schema import MergeSpec, references


@pytest.fixture(scope="module")
def other_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other-llama")
    tiny.make("llama", folder, seed=1)
    return folder


@pytest.fixture(scope="module")
def other_vlm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other-vlm")
    tiny.make("qwen2_5_vl", folder, seed=1)
    return folder


def linear(weight: float, **changes: Any) -> dict[str, Any]:
    """`weight` of the specialist and the rest of the general model, which is the base."""
    models = [
        {"model": "stage:special", "parameters": {"weight": weight}},
        {"model": "stage:general", "parameters": {"weight": 1 - weight}},
    ]
    return {
        "merge_method": "linear", "models": models, "base_model": "stage:general", "dtype": "float32", **changes
    }  # fmt: skip


def merged(configuration: dict[str, Any], out: Path, **stages: Path) -> StageResult:
    """Run the stage with each `stage:name` given as a folder."""
    spec = MergeSpec(mergekit=configuration)
    inputs = {place: stages[str(ref).removeprefix("stage:")] for place, ref, _ in references(spec)}
    (out / "out").mkdir(parents=True)
    return merge.run(spec, StageContext(out / "out", out / "scratch", inputs, seed=0))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {name: tensor for file in sorted(folder.glob("*.safetensors")) for name, tensor in load_file(file).items()}


def same_bits(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], names: Iterable[str]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in names)


def test_a_linear_merge_is_the_weighted_sum(tmp_path: Path, tiny_llama: Path, other_llama: Path) -> None:
    result = merged(linear(0.3), tmp_path, general=tiny_llama, special=other_llama)
    general, special, made = weights(tiny_llama), weights(other_llama), weights(tmp_path / "out")
    assert made.keys() == general.keys() and len(made) == 20
    worst = max(float((made[n] - (0.3 * special[n] + 0.7 * general[n])).abs().max()) for n in made)
    assert worst < 1e-6
    assert result.metrics["distance_from_base"].value == pytest.approx(0.3, abs=1e-6)


@pytest.mark.parametrize(("weight", "which"), [(0.0, "general"), (1.0, "special")])
def test_the_ends_of_a_linear_merge_are_the_inputs_bit_by_bit(
    tmp_path: Path, tiny_llama: Path, other_llama: Path, weight: float, which: str
) -> None:
    inputs = {"general": tiny_llama, "special": other_llama}
    merged(linear(weight), tmp_path, **inputs)
    made = weights(tmp_path / "out")
    assert same_bits(made, weights(inputs[which]), made)


def test_a_merge_is_a_whole_checkpoint_that_loads_and_stops(
    tmp_path: Path, tiny_llama: Path, other_llama: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    merged(linear(0.5, out_dtype="bfloat16"), tmp_path, general=tiny_llama, special=other_llama)
    out = tmp_path / "out"
    model = AutoModelForCausalLM.from_pretrained(out)
    tokenizer = AutoTokenizer.from_pretrained(out)
    assert model.dtype == torch.bfloat16
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(tiny_llama).chat_template
    assert GenerationConfig.from_pretrained(out).eos_token_id == tokenizer.eos_token_id
    config = json.loads((out / "config.json").read_text("utf-8"))
    assert (config["rope_theta"], config["torch_dtype"]) == (100_000.0, "bfloat16")


def test_nothing_that_is_written_names_a_folder_of_this_machine(
    tmp_path: Path, tiny_llama: Path, other_llama: Path
) -> None:
    merged(linear(0.5), tmp_path, general=tiny_llama, special=other_llama)
    texts = [path for path in (tmp_path / "out").iterdir() if path.suffix != ".safetensors"]
    assert len(texts) >= 5
    for path in texts:
        assert str(tiny_llama.parent) not in path.read_text("utf-8"), path.name
    assert "stage:special" in (tmp_path / "out" / merge.CONFIG_NAME).read_text("utf-8")


def test_the_same_seed_draws_the_same_random_merge(tmp_path: Path, tiny_llama: Path, other_llama: Path) -> None:
    models = [{"model": "stage:special", "parameters": {"weight": 1.0, "density": 0.5}}]
    configuration = linear(0.5, merge_method="dare_linear", models=models)
    for run in ("a", "b"):
        merged(configuration, tmp_path / run, general=tiny_llama, special=other_llama)
    first, second = weights(tmp_path / "a" / "out"), weights(tmp_path / "b" / "out")
    assert same_bits(first, second, first)
    assert not same_bits(first, weights(other_llama), first)


def test_a_checkpoint_made_anew_at_the_same_path_is_read_anew(
    tmp_path: Path, tiny_llama: Path, other_llama: Path
) -> None:
    changing = tmp_path / "changing"
    for seed in (2, 3):
        shutil.rmtree(changing, ignore_errors=True)
        tiny.make("llama", changing, seed)
        merged(linear(1.0), tmp_path / str(seed), general=tiny_llama, special=changing)
        made = weights(tmp_path / str(seed) / "out")
        assert same_bits(made, weights(changing), made)


def test_a_merge_without_a_base_model_is_refused(tmp_path: Path, tiny_llama: Path, other_llama: Path) -> None:
    configuration = linear(0.5)
    del configuration["base_model"]
    with pytest.raises(RecipeError, match=r"mergekit\.base_model: it is missing"):
        merged(configuration, tmp_path, general=tiny_llama, special=other_llama)


def test_an_input_that_is_cut_off_is_refused_before_anything_is_written(
    tmp_path: Path, tiny_llama: Path, other_llama: Path
) -> None:
    cut = shutil.copytree(other_llama, tmp_path / "cut")
    file = cut / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ModelError, match="is cut off"):
        merged(linear(0.5), tmp_path, general=tiny_llama, special=cut)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_module_that_mergekit_drops_in_silence_is_told(tmp_path: Path, tiny_vlm: Path, other_vlm: Path) -> None:
    configuration = linear(0.5)
    configuration["modules"] = {"text_decoder": {"models": configuration.pop("models")}}
    with pytest.raises(ModelError, match=r"lacks \d+ of the base's 56 tensors.*name every module"):
        merged(configuration, tmp_path, general=tiny_vlm, special=other_vlm)


def test_a_merge_of_the_text_leaves_the_vision_tower_bit_identical(
    tmp_path: Path, tiny_vlm: Path, other_vlm: Path
) -> None:
    configuration = linear(0.5)
    untouched = {"models": [{"model": "stage:general", "parameters": {"weight": 1}}]}
    configuration["modules"] = {
        "text_decoder": {"models": configuration.pop("models")},
        "multi_modal_projector": untouched,
        "vision_tower": untouched,
    }
    merged(configuration, tmp_path, general=tiny_vlm, special=other_vlm)
    general, made = weights(tiny_vlm), weights(tmp_path / "out")
    vision = [name for name in made if "visual" in name]
    assert made.keys() == general.keys() and len(vision) > 20
    assert same_bits(made, general, vision)
    assert not same_bits(made, general, made)


def test_a_merged_vision_model_keeps_its_image_processor(tmp_path: Path, tiny_vlm: Path, other_vlm: Path) -> None:
    from zoo.image_processor import load_image_processor

    merged(linear(0.5), tmp_path, general=tiny_vlm, special=other_vlm)
    assert {"processor_config.json", "preprocessor_config.json"} <= {p.name for p in (tmp_path / "out").iterdir()}
    assert load_image_processor(tmp_path / "out").image_processor.patch_size == 14
    assert len(checkpoint.tensors(tmp_path / "out")) == 56


@pytest.mark.parametrize("method", ["slerp", "ties", "task_arithmetic", "della", "breadcrumbs", "karcher", "sce"])
def test_the_sound_methods_give_whole_checkpoints(
    tmp_path: Path, tiny_llama: Path, other_llama: Path, method: str
) -> None:
    special = {"model": "stage:special", "parameters": {"weight": 1.0}}
    models: dict[str, Any] = {
        "slerp": [{"model": "stage:general"}, {"model": "stage:special"}],
        "karcher": [{"model": "stage:general"}, {"model": "stage:special"}],
        "sce": [{"model": "stage:special"}],
    }
    more = {"parameters": {"t": 0.5}} if method == "slerp" else {}
    configuration = linear(0.5, merge_method=method, models=models.get(method, [special]), **more)
    result = merged(configuration, tmp_path, general=tiny_llama, special=other_llama)
    assert checkpoint.tensors(tmp_path / "out").keys() == checkpoint.tensors(tiny_llama).keys()
    assert result.metrics["distance_from_base"].value > 0.1
