"""Merges of tiny real checkpoints: exact, whole, and refused where mergekit would be silent."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from zoo import checkpoint, merge, options, tiny
from zoo.errors import ModelError, RecipeError
from zoo.options.tables import read
from zoo.records import StageContext, StageResult
from zoo.schema import MergeSpec, references


@pytest.fixture(scope="module")
def other_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other-llama")
    tiny.make("llama", folder, seed=1)
    return folder


@pytest.fixture(scope="module")
def third_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("third-llama")
    tiny.make("llama", folder, seed=2)
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


def of_the_text(configuration: dict[str, Any]) -> dict[str, Any]:
    """The merge of the language model alone; what sees stays the base's."""
    untouched = {"models": [{"model": configuration["base_model"], "parameters": {"weight": 1}}]}
    configuration["modules"] = {
        "text_decoder": {"models": configuration.pop("models")},
        "multi_modal_projector": untouched,
        "vision_tower": untouched,
    }
    return configuration


def test_a_merge_of_the_text_leaves_the_vision_tower_bit_identical(
    tmp_path: Path, tiny_vlm: Path, other_vlm: Path
) -> None:
    merged(of_the_text(linear(0.5)), tmp_path, general=tiny_vlm, special=other_vlm)
    general, made = weights(tiny_vlm), weights(tmp_path / "out")
    vision = [name for name in made if "visual" in name]
    assert made.keys() == general.keys() and len(vision) > 20
    assert same_bits(made, general, vision)
    assert not same_bits(made, general, made)


def test_eyes_are_mixed_only_where_they_are_named(tmp_path: Path, tiny_vlm: Path, other_vlm: Path) -> None:
    with pytest.raises(ModelError, match=r"models\.0\.model sees differently.*`modules:` with `models:` under"):
        merged(linear(0.5), tmp_path / "models", general=tiny_vlm, special=other_vlm)
    assert list((tmp_path / "models" / "out").iterdir()) == []
    named = of_the_text(linear(0.5))
    named["modules"]["vision_tower"] = named["modules"]["text_decoder"]
    merged(named, tmp_path / "modules", general=tiny_vlm, special=other_vlm)
    general, made = weights(tiny_vlm), weights(tmp_path / "modules" / "out")
    assert same_bits(made, general, [name for name in made if "merger" in name])
    assert not same_bits(made, general, [name for name in made if "visual" in name])


def seeing_as(eyes: Path, other: Path, folder: Path) -> Path:
    """A copy of a vision-language model with the eyes of another."""
    shutil.copytree(other, folder)
    seen = {name: tensor for name, tensor in weights(eyes).items() if "visual" in name}
    save_file({**weights(other), **seen}, folder / "model.safetensors", {"format": "pt"})
    return folder


def test_models_that_see_alike_may_be_merged_whole_and_keep_their_eyes(
    tmp_path: Path, tiny_vlm: Path, other_vlm: Path
) -> None:
    trained = seeing_as(tiny_vlm, other_vlm, tmp_path / "trained")
    merged(linear(0.5), tmp_path, general=tiny_vlm, special=trained)
    general, made = weights(tiny_vlm), weights(tmp_path / "out")
    assert same_bits(made, general, [name for name in made if "visual" in name])
    assert not same_bits(made, general, made)


def test_a_method_that_moves_equal_eyes_is_told(tmp_path: Path, tiny_vlm: Path, other_vlm: Path) -> None:
    trained = seeing_as(tiny_vlm, other_vlm, tmp_path / "trained")
    twice = linear(1.0, parameters={"normalize": False})
    twice["models"][1]["parameters"]["weight"] = 1.0
    with pytest.raises(ModelError, match=r"moved \d+ tensors of the base's projector and vision"):
        merged(twice, tmp_path, general=tiny_vlm, special=trained)


def test_a_merged_vision_model_keeps_its_image_processor(tmp_path: Path, tiny_vlm: Path, other_vlm: Path) -> None:
    from zoo.image_processor import load_image_processor

    merged(of_the_text(linear(0.5)), tmp_path, general=tiny_vlm, special=other_vlm)
    assert {"processor_config.json", "preprocessor_config.json"} <= {p.name for p in (tmp_path / "out").iterdir()}
    assert load_image_processor(tmp_path / "out").image_processor.patch_size == 14
    assert len(checkpoint.tensors(tmp_path / "out")) == 56


def test_inputs_of_another_size_or_family_are_refused_by_the_first_tensor_that_differs(
    tmp_path: Path, tiny_llama: Path
) -> None:
    for architecture, words in (
        ("llama-wide", r"models\.0\.model and the base_model cannot be merged: \S+ has the shape"),
        ("qwen3", r"models\.0\.model and the base_model cannot be merged: \S+ (is missing|has the shape)"),
    ):
        tiny.make(architecture, tmp_path / architecture, seed=1)
        with pytest.raises(ModelError, match=words):
            merged(linear(0.5), tmp_path / f"{architecture}-run", general=tiny_llama, special=tmp_path / architecture)
        assert list((tmp_path / f"{architecture}-run" / "out").iterdir()) == []


def test_a_head_that_only_one_of_the_inputs_writes_down_is_no_difference(
    tmp_path: Path, tiny_llama: Path, other_llama: Path
) -> None:
    tied = weights(other_llama)
    assert "lm_head.weight" not in tied
    shutil.copytree(other_llama, tmp_path / "written")
    tied["lm_head.weight"] = tied["model.embed_tokens.weight"].clone()
    save_file(tied, tmp_path / "written" / "model.safetensors", {"format": "pt"})
    merged(linear(0.5), tmp_path, general=tiny_llama, special=tmp_path / "written")
    assert checkpoint.tensors(tiny_llama).keys() <= checkpoint.tensors(tmp_path / "out").keys()


def test_what_mergekit_refuses_itself_is_said_in_a_line(tmp_path: Path, tiny_llama: Path, other_llama: Path) -> None:
    configuration = linear(0.5, merge_method="slerp", parameters={"t": 0.5})
    third = shutil.copytree(other_llama, tmp_path / "third")
    configuration["models"] = [{"model": "stage:special"}, {"model": "stage:third"}]
    with pytest.raises(ModelError, match=r"mergekit cannot make this merge: .*(inputs|models)"):
        merged(configuration, tmp_path, general=tiny_llama, special=other_llama, third=third)


GENERAL, SPECIAL, THIRD = ({"model": f"stage:{name}"} for name in ("general", "special", "third"))
HALF = {"parameters": {"weight": 0.5}}
METHODS: dict[str, dict[str, Any]] = {
    "slerp": {"models": [GENERAL, SPECIAL], "parameters": {"t": 0.5}},
    "karcher": {"models": [GENERAL, SPECIAL]},
    "arcee_fusion": {"models": [GENERAL, SPECIAL]},
    "nearswap": {"models": [GENERAL, SPECIAL], "parameters": {"t": 0.01}},
    "nuslerp": {"models": [{**SPECIAL, **HALF}, {**THIRD, **HALF}]},
    **{method: {"models": [SPECIAL, THIRD]} for method in ("sce", "model_stock", "ram", "ramplus_tl")},
    "task_arithmetic": {"models": [{**SPECIAL, **HALF}]},
    **{
        method: {"models": [{**SPECIAL, "parameters": {"weight": 0.5, "density": 0.5}}]}
        for method in (
            "ties",
            "dare_ties",
            "dare_linear",
            "della",
            "della_linear",
            "breadcrumbs",
            "breadcrumbs_ties",
        )
    },
}


@pytest.mark.parametrize("method", METHODS)
def test_the_sound_methods_give_whole_checkpoints(
    tmp_path: Path, tiny_llama: Path, other_llama: Path, third_llama: Path, method: str
) -> None:
    """Each of finite numbers, and neither one of its inputs nor far outside of them."""
    configuration = linear(0.5, merge_method=method, **METHODS[method])
    inputs = {"general": tiny_llama, "special": other_llama, "third": third_llama}
    merged(configuration, tmp_path, **inputs)
    made, general = weights(tmp_path / "out"), weights(tiny_llama)
    assert {name: tensor.shape for name, tensor in made.items()} == {n: t.shape for n, t in general.items()}
    assert all(torch.isfinite(tensor).all() for tensor in made.values())
    for name, folder in inputs.items():
        far = merge.distance(tmp_path / "out", folder, other_llama if name != "special" else third_llama)
        assert 1e-3 < far < 2, (name, far)


def test_every_method_that_is_offered_is_tried() -> None:
    offered = {method for method in read("mergekit")["methods"] if not _refused(method)}
    assert offered - set(METHODS) == {"linear", "passthrough"} and len(offered) == 19


def _refused(method: str) -> bool:
    return any(problem.path == "merge_method" for problem in options.check("mergekit", {"merge_method": method}))


def test_layers_are_passed_through_as_they_are(tmp_path: Path, tiny_llama: Path, other_llama: Path) -> None:
    slices = [
        {"sources": [{"model": "stage:general", "layer_range": [0, 2]}]},
        {"sources": [{"model": "stage:special", "layer_range": [1, 2]}]},
    ]
    configuration = {
        "merge_method": "passthrough", "base_model": "stage:general", "dtype": "float32", "slices": slices
    }  # fmt: skip
    merged(configuration, tmp_path, general=tiny_llama, special=other_llama)
    general, special, made = weights(tiny_llama), weights(other_llama), weights(tmp_path / "out")
    assert same_bits(made, general, general)
    added = sorted(made.keys() - general.keys())
    assert len(added) == 9 and all(name.startswith("model.layers.2.") for name in added)
    assert all(torch.equal(made[name], special[name.replace("layers.2", "layers.1")]) for name in added)
    assert json.loads((tmp_path / "out" / "config.json").read_text("utf-8"))["num_hidden_layers"] == 3
