"""Repositories as folders: what is in them, what stays at home, what is refused."""

import json
import re
from dataclasses import replace
from pathlib import Path

import example_records as example
import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries
from publications import LOCK, SPEC, names

from zoo import publish
from zoo.errors import ModelError, RecipeError
from zoo.records import StageContext


def test_the_models_repository_is_whole(context: StageContext) -> None:
    publish.run(SPEC, context)
    found = names(context.out / "model")
    assert {
        "model.safetensors",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "README.md",
        "recipe.yaml",
        "recipe.lock.yaml",
    } <= found
    assert {f"records/{name}.json" for name in example.run()} <= found
    assert "stage.json" not in found


def test_a_vision_tower_and_an_adapter_are_published_beside_the_models(context: StageContext) -> None:
    (context.inputs["export"] / "mmproj-F16.gguf").write_bytes(b"GGUF" + bytes(100))
    (context.inputs["export"] / "adapter-F16-LoRA.gguf").write_bytes(b"GGUF" + bytes(100))
    publish.run(SPEC, context)
    found = {name for name in names(context.out / "GGUF") if name.endswith(".gguf")}
    assert found == {
        "Pocket-135M-F16.gguf",
        "Pocket-135M-Q8_0.gguf",
        "mmproj-Pocket-135M-F16.gguf",
        "Pocket-135M-F16-LoRA.gguf",
    }


def test_the_published_model_loads_and_speaks_its_template(context: StageContext) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    publish.run(SPEC, context)
    model = AutoModelForCausalLM.from_pretrained(context.out / "model")
    tokenizer = AutoTokenizer.from_pretrained(context.out / "model")
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    assert model(**ids).logits.shape[-1] == model.config.vocab_size


def test_the_exports_bear_the_repositorys_name_as_gguf_writes_it(context: StageContext) -> None:
    publish.run(SPEC, context)
    found = names(context.out / "GGUF")
    assert {
        "Pocket-135M-F16.gguf",
        "Pocket-135M-Q8_0.gguf",
        "README.md",
        "config.json",
        "verify.json",
        "records/verify.json",
    } <= found
    assert not any(name.endswith(".safetensors") for name in found)


@pytest.mark.parametrize(
    ("repo", "file"),
    [
        ("edgezoo/pocket-135m-tiny", "Pocket-135M-Tiny-F16.gguf"),
        ("edgezoo/openphone-3b", "Openphone-3B-F16.gguf"),
        ("me/SmolLM2-1.7b-v0.2", "SmolLM2-1.7B-v0.2-F16.gguf"),
    ],
)
def test_names_keep_their_words_and_show_their_size(context: StageContext, repo: str, file: str) -> None:
    publish.run(SPEC.model_copy(update={"repo": repo}), context)
    assert file in names(context.out / "GGUF")


def test_large_files_are_linked_and_descriptions_are_not(context: StageContext) -> None:
    publish.run(SPEC, context)
    made = context.inputs["model"]
    assert (context.out / "model" / "model.safetensors").samefile(made / "model.safetensors")
    assert (context.out / "GGUF" / "Pocket-135M-F16.gguf").samefile(context.inputs["export"] / "model-F16.gguf")
    assert not (context.out / "model" / "config.json").samefile(made / "config.json")


def test_publishing_changes_nothing_that_it_reads(context: StageContext) -> None:
    before = {file: file.read_bytes() for file in context.inputs["model"].iterdir()}
    publish.run(SPEC, context)
    assert {file: file.read_bytes() for file in context.inputs["model"].iterdir()} == before


def test_transformers_4_finds_the_rotary_base_where_it_looks(context: StageContext) -> None:
    config_file = context.inputs["model"] / "config.json"
    config = json.loads(config_file.read_text())
    for old_name in ("rope_theta", "torch_dtype"):
        config.pop(old_name, None)
    config_file.write_text(json.dumps(config))
    publish.run(SPEC, context)
    published = json.loads((context.out / "model" / "config.json").read_text())
    assert published["rope_theta"] == config["rope_parameters"]["rope_theta"]
    assert published["torch_dtype"] == config["dtype"]


def test_pickles_and_what_trainers_leave_behind_stay_at_home(context: StageContext) -> None:
    for name in ("training_args.bin", "optimizer.pt", "pytorch_model.bin", "adapter_model.safetensors", "README.md"):
        (context.inputs["model"] / name).write_bytes(b"left behind")
    publish.run(SPEC, context)
    found = names(context.out / "model")
    assert not any(name.endswith((".bin", ".pt")) or name.startswith("adapter") for name in found)
    assert "left behind" not in (context.out / "model" / "README.md").read_text()


def test_an_adapter_alone_is_refused(context: StageContext) -> None:
    model = context.inputs["model"]
    (model / "model.safetensors").rename(model / "adapter_model.safetensors")
    with pytest.raises(ModelError, match=r"no whole checkpoint.*merge an adapter into its base"):
        publish.run(SPEC, context)


def test_both_cards_carry_what_the_records_say(context: StageContext) -> None:
    publish.run(SPEC, context)
    model = ModelCard.load(context.out / "model" / "README.md")
    exports = ModelCard.load(context.out / "GGUF" / "README.md")
    assert model.data.eval_results[0].metric_value == 0.34
    assert "Pocket-135M-Q8_0.gguf" in model.text
    assert exports.data.base_model == "zoo/pocket-135m"


def test_without_an_export_there_is_one_repository(context: StageContext) -> None:
    inputs = {place: path for place, path in context.inputs.items() if place not in ("export", "verify")}
    spec = SPEC.model_copy(update={"export": None, "verify": None})
    publish.run(spec, replace(context, inputs=inputs))
    assert {folder.name for folder in context.out.iterdir()} == {"model"}
    assert "Exports: *not run*." in (context.out / "model" / "README.md").read_text()


def test_a_record_that_tells_where_it_was_made_is_our_bug(context: StageContext) -> None:
    record = example.record("sft", "sft", {}, {}, notes={"log": str(context.out.parent / "sft.log")})
    with pytest.raises(RuntimeError, match=r"GGUF/records/sft.json:\d+ would publish a path of this machine"):
        publish.run(SPEC, replace(context, lineage={**context.lineage, "sft": record}))


def test_a_recipe_that_names_a_folder_of_this_machine_is_the_users_to_mend(context: StageContext) -> None:
    text = example.RECIPE + f"base: {Path.home() / 'models' / 'mine'}\n"
    with pytest.raises(RecipeError, match=r"recipe.yaml:4: this would be published"):
        publish.run(SPEC, replace(context, recipe_files={**context.recipe_files, "recipe.yaml": text}))


def test_a_template_that_closes_a_tag_named_like_the_home_folder_is_no_path(context: StageContext) -> None:
    template = context.inputs["model"] / "chat_template.jinja"
    template.write_text(template.read_text() + "{# <" + str(Path.home()) + "> #}")
    publish.run(SPEC, context)
    assert (context.out / "model" / "README.md").is_file()


def test_the_same_inputs_give_the_same_bytes(context: StageContext, tmp_path: Path) -> None:
    again = replace(context, out=tmp_path / "stages" / "again.part")
    again.out.mkdir()
    assert publish.run(SPEC, context) == publish.run(SPEC, again)
    for name in names(context.out):
        assert (context.out / name).read_bytes() == (again.out / name).read_bytes()


def test_the_result_lists_every_file_with_its_size(context: StageContext) -> None:
    result = publish.run(SPEC, context)
    assert result.metrics["files"].value == len(names(context.out))
    assert {entry["file"] for entry in result.notes["files"]} == names(context.out)
    assert not re.search(re.escape(str(context.out)), json.dumps(result.notes))


def test_pictures_and_results_go_with_the_card_that_shows_them(context: StageContext) -> None:
    publish.run(SPEC, context)
    card = (context.out / "model" / "README.md").read_text()
    shown = set(re.findall(r"!\[[^]]+\]\((plots/[\w.]+)\)", card))
    assert shown == {name for name in names(context.out / "model") if name.startswith("plots/")} != set()
    for name in shown:
        assert (context.out / "model" / name).read_bytes().startswith(b"\x89PNG")
    [entry] = parse_eval_result_entries(yaml.safe_load((context.out / "model/.eval_results/phone.yaml").read_text()))
    assert (entry.dataset_id, entry.task_id, entry.value) == ("edgezoo/phone", "held-out-parameters", 0.34)
    assert "n=100" in entry.notes


def test_the_computed_licence_and_its_obligations_are_on_every_card(context: StageContext) -> None:
    source = {"source": example.BASE, "role": "base", "licences": ["gemma"]}
    licence = {"license": "LicenseRef-gemma", "reason": "", "obligations": ["say so"], "sources": [source]}
    lock = {**LOCK, "licences": {"publish": licence}}
    files = {**context.recipe_files, "recipe.lock.yaml": yaml.safe_dump(lock)}
    publish.run(SPEC, replace(context, recipe_files=files))
    for folder in ("model", "GGUF"):
        card = ModelCard.load(context.out / folder / "README.md")
        assert card.data.license == "gemma"
        assert "- say so" in card.text
        assert f"- base `{example.BASE}`: gemma" in card.text
