import hashlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import example_records as example
import pytest
import yaml
from huggingface_hub import DatasetCard, HfApi, ModelCard, parse_eval_result_entries

from zoo import hub, publish
from zoo.errors import HubError, ModelError, RecipeError
from zoo.hub import Endpoint
from zoo.local_hub import client_environment, running
from zoo.records import StageContext
from zoo.refs import HubRef, StageRef
from zoo.schema import PublishSpec

LOCK = {
    "name": "pocket-135m",
    "version": 1,
    "summary": "A phone agent for two CPU cores.",
    "license": "Apache-2.0",
    "seed": 7,
    "tiny": False,
    "stages": {"sft": {"kind": "sft", "key": "0a1b", "inputs": {}}},
}
SPEC = PublishSpec.model_validate(
    {
        "repo": "zoo/pocket-135m",
        "model": "stage:grpo",
        "export": "stage:gguf",
        "verify": "stage:verify",
        "scores": {"base": "stage:base-score", "after GRPO": "stage:grpo-score"},
    }
)


@pytest.fixture
def context(tmp_path: Path, tiny_llama: Path) -> StageContext:
    """What the runner would hand to the stage: a checkpoint, an export and its verification, and all their records."""
    model = tmp_path / "stages" / "grpo"
    shutil.copytree(tiny_llama, model)
    (model / "stage.json").write_text("{}")
    export = tmp_path / "stages" / "gguf"
    export.mkdir()
    (export / "model-F16.gguf").write_bytes(b"GGUF" + bytes(2000))
    (export / "model-Q8_0.gguf").write_bytes(b"GGUF" + bytes(1000))
    verify = tmp_path / "stages" / "verify"
    verify.mkdir()
    (verify / "verify.json").write_text('{"q8_0": {"top1": 0.97}}')
    out = tmp_path / "stages" / "publish.part"
    out.mkdir()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    scores = {f"scores.{label}": verify for label in SPEC.scores}
    return StageContext(
        out=out,
        scratch=scratch,
        inputs={"model": model, "export": export, "verify": verify, **scores},
        seed=7,
        lineage=example.run(),
        recipe_files={"recipe.yaml": example.RECIPE, "recipe.lock.yaml": yaml.safe_dump(LOCK)},
    )


def names(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


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


@pytest.fixture
def publication(context: StageContext) -> Path:
    """A finished publication, as it lies in the cache."""
    publish.run(SPEC, context)
    (context.out / "stage.json").write_text("{}")
    return context.out


def push(publication: Path, endpoint: Endpoint) -> list[publish.Published]:
    return publish.push(publication, "zoo/pocket-135m", endpoint, private=False, message="pocket-135m version 1")


def test_a_push_brings_both_repositories_whole_in_one_commit_each(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        published = push(publication, endpoint)
        assert [(done.repo, done.url) for done in published] == [
            ("zoo/pocket-135m", f"{endpoint.url}/zoo/pocket-135m"),
            ("zoo/pocket-135m-GGUF", f"{endpoint.url}/zoo/pocket-135m-GGUF"),
        ]
        for done, folder in zip(published, ("model", "GGUF"), strict=True):
            pinned = hub.pin(HubRef(done.repo), "model", [endpoint])
            assert pinned.commit == done.commit
            fetched = hub.fetch(pinned, tmp_path / "fetched" / folder)
            for name in names(publication / folder):
                assert (fetched / name).read_bytes() == (publication / folder / name).read_bytes()
            commits = HfApi(endpoint.url, token=endpoint.token).list_repo_commits(done.repo)
            assert [commit.title for commit in commits].count("pocket-135m version 1") == 1


def test_a_second_push_of_the_same_makes_no_commit(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        assert push(publication, endpoint) == push(publication, endpoint)


def test_a_later_publication_leaves_no_stale_weights_behind(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        push(publication, endpoint)
        weights = publication / "model" / "model.safetensors"
        weights.rename(weights.with_name("model-00001-of-00001.safetensors"))
        push(publication, endpoint)
        there = hub.files(hub.pin(HubRef("zoo/pocket-135m"), "model", [endpoint]))
        assert "model.safetensors" not in there
        assert "model-00001-of-00001.safetensors" in there


def test_a_repository_that_no_recipe_made_is_left_as_it_is(publication: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "important.txt").write_text("years of work")
    with running(tmp_path / "hub") as endpoint:
        hub.upload(endpoint, "zoo/pocket-135m-GGUF", "model", mine, "by hand", private=False)
        with pytest.raises(HubError, match=r"zoo/pocket-135m-GGUF: holds important.txt and no records/"):
            push(publication, endpoint)
        with pytest.raises(HubError, match="not found"):
            hub.pin(HubRef("zoo/pocket-135m"), "model", [endpoint])


def test_a_hub_that_is_down_is_one_clear_error(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        pass
    with pytest.raises(HubError, match="does not answer"):
        push(publication, endpoint)


def test_the_lines_on_the_card_run_against_the_hub_that_it_is_on(publication: Path, tmp_path: Path) -> None:
    [code] = re.findall(r"```python\n(.+?)```", (publication / "model" / "README.md").read_text(), re.DOTALL)
    with running(tmp_path / "hub") as endpoint:
        push(publication, endpoint)
        environment = {**os.environ, **client_environment(endpoint), "HF_HOME": str(tmp_path / "home")}
        done = subprocess.run(
            [sys.executable, "-c", code + "print(answer[0]['generated_text'][-1]['role'])"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "assistant"


def test_a_card_that_somebody_edited_on_the_hub_is_not_written_over(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        push(publication, endpoint)
        edit = tmp_path / "edit"
        edit.mkdir()
        (edit / "README.md").write_text(
            (publication / "GGUF" / "README.md").read_text() + "\nBy hand: mind the step.\n"
        )
        hub.upload(endpoint, "zoo/pocket-135m-GGUF", "model", edit, "by hand", private=False)
        weights = publication / "model" / "model.safetensors"
        weights.rename(weights.with_name("model-00001-of-00001.safetensors"))
        with pytest.raises(HubError, match=r"pocket-135m-GGUF: its README\.md was edited since the last push"):
            push(publication, endpoint)
        untouched = hub.files(hub.pin(HubRef("zoo/pocket-135m"), "model", [endpoint]))
        assert "model.safetensors" in untouched
        publish.push(publication, "zoo/pocket-135m", endpoint, private=False, message="again", overwrite=True)
        pinned = hub.pin(HubRef("zoo/pocket-135m-GGUF"), "model", [endpoint])
        assert "By hand" not in hub.fetch_file(pinned, "README.md").read_text()


def test_a_later_card_of_ours_is_no_edit(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        push(publication, endpoint)
        card = publication / "model" / "README.md"
        card.write_text(card.read_text() + "\nA later version says more.\n")
        digest = hashlib.sha256(card.read_bytes()).hexdigest()
        (publication / "model" / "records" / "card.sha256").write_text(f"{digest}  README.md\n")
        push(publication, endpoint)
        pinned = hub.pin(HubRef("zoo/pocket-135m"), "model", [endpoint])
        assert "A later version says more." in hub.fetch_file(pinned, "README.md").read_text()


def with_adapter_and_rows(context: StageContext) -> tuple[PublishSpec, StageContext]:
    """The same publication with the adapter of its SFT stage and the rows of its demonstrations."""
    sft = context.out.parent / "sft"
    shutil.copytree(context.inputs["model"], sft)
    (sft / "adapter").mkdir()
    (sft / "adapter" / "adapter_model.safetensors").write_bytes(b"an adapter")
    (sft / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "here", "r": 4}')
    demos = context.out.parent / "demos"
    demos.mkdir()
    (demos / "rows.jsonl").write_text('{"prompt": [], "completion": [], "template": "clock.add_alarm"}\n')
    scores = {**SPEC.scores, "after SFT": StageRef("sft-score")}
    spec = SPEC.model_copy(update={"adapter": StageRef("sft"), "datasets": (StageRef("demos"),), "scores": scores})
    return spec, replace(context, inputs={**context.inputs, "adapter": sft, "datasets.0": demos})


def test_an_adapter_names_its_base_as_the_hub_knows_it(context: StageContext) -> None:
    spec, context = with_adapter_and_rows(context)
    publish.run(spec, context)
    folder = context.out / "adapter"
    assert {"README.md", "adapter_config.json", "adapter_model.safetensors", "records/card.sha256"} <= names(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == tuple(example.BASE.split("@"))
    card = ModelCard.load(folder / "README.md")
    assert (card.data.base_model, card.data.base_model_relation) == (example.BASE.split("@")[0], "adapter")
    assert card.data.library_name == "peft"
    assert "61.0 %" in card.text


def test_an_adapter_on_a_model_that_is_not_published_is_refused(context: StageContext) -> None:
    spec, context = with_adapter_and_rows(context)
    (context.inputs["model"] / "adapter").mkdir()
    (context.inputs["model"] / "adapter" / "adapter_model.safetensors").write_bytes(b"an adapter")
    with pytest.raises(ModelError, match="belongs on stage merged, which is not published"):
        publish.run(spec.model_copy(update={"adapter": True}), context)


def test_a_stage_without_an_adapter_says_so(context: StageContext) -> None:
    with pytest.raises(ModelError, match=r"stage grpo \(grpo\) left no adapter"):
        publish.run(SPEC.model_copy(update={"adapter": True}), context)


def test_rows_are_a_dataset_that_the_library_loads(context: StageContext, tmp_path: Path) -> None:
    import datasets

    spec, context = with_adapter_and_rows(context)
    publish.run(spec, context)
    card = DatasetCard.load(context.out / "data" / "README.md")
    assert card.data.configs[0]["config_name"] == "demos"
    assert "`template` (text)" in card.text
    with running(tmp_path / "hub") as endpoint:
        published = push(context.out, endpoint)
        assert [(done.repo, done.kind) for done in published] == [
            ("zoo/pocket-135m", "model"),
            ("zoo/pocket-135m-GGUF", "model"),
            ("zoo/pocket-135m-adapter", "model"),
            ("zoo/pocket-135m-data", "dataset"),
        ]
        pinned = hub.pin(HubRef("zoo/pocket-135m-data"), "dataset", [endpoint])
        folder = hub.fetch(pinned, tmp_path / "rows")
    loaded = datasets.load_dataset(str(folder), "demos", split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded[0]["template"] == "clock.add_alarm"


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


def test_a_push_is_entered_into_the_hubs_index_and_a_later_one_takes_its_place(
    publication: Path, tmp_path: Path
) -> None:
    with running(tmp_path / "hub") as endpoint:
        assert publish.on_hub(endpoint) == ()
        first = publish.enter(publication, push(publication, endpoint), endpoint)
        assert publish.on_hub(endpoint) == (first,)
        assert first.recommended == "Pocket-135M-Q8_0.gguf"
        weights = publication / "model" / "model.safetensors"
        weights.rename(weights.with_name("model-00001-of-00001.safetensors"))
        second = publish.enter(publication, push(publication, endpoint), endpoint)
        assert publish.on_hub(endpoint) == (second,)
        assert second.commit != first.commit


transport = pytest.mark.skipif(
    not {"branch", "tag", "overwrite"} <= set(inspect.signature(hub.upload).parameters),
    reason="zoo.hub.upload cannot write to branches and tags yet",
)


@transport
def test_a_version_has_a_tag_that_stays_what_it_is(publication: Path, tmp_path: Path) -> None:
    def tagged(**more: bool) -> list[publish.Published]:
        return publish.push(
            publication, "zoo/pocket-135m", endpoint, private=False, message="version 1", tag="v1", **more
        )

    with running(tmp_path / "hub") as endpoint:
        [first, *_] = tagged()
        assert hub.pin(HubRef("zoo/pocket-135m", "v1"), "model", [endpoint]).commit == first.commit
        assert tagged()[0].commit == first.commit
        (publication / "model" / "plots").mkdir(exist_ok=True)
        (publication / "model" / "recipe.yaml").write_text("name: another\n")
        with pytest.raises(HubError, match="overwrite"):
            tagged()
        assert hub.pin(HubRef("zoo/pocket-135m", "v1"), "model", [endpoint]).commit == first.commit
        [moved, *_] = tagged(overwrite=True)
        assert hub.pin(HubRef("zoo/pocket-135m", "v1"), "model", [endpoint]).commit == moved.commit != first.commit


@transport
def test_a_checkpoint_on_the_way_has_a_branch_of_its_own(context: StageContext, tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"branches": {"after-sft": StageRef("sft")}})
    sft = {"branches.after-sft": context.inputs["model"]}
    publish.run(spec, replace(context, inputs={**context.inputs, **sft}))
    with running(tmp_path / "hub") as endpoint:
        push(context.out, endpoint)
        there = hub.files(hub.pin(HubRef("zoo/pocket-135m", "after-sft"), "model", [endpoint]))
        assert {"model.safetensors", "config.json", "README.md"} <= set(there)
        assert "recipe.yaml" not in there
        assert "recipe.yaml" in hub.files(hub.pin(HubRef("zoo/pocket-135m"), "model", [endpoint]))


@transport
def test_a_collection_ties_the_repositories_together(publication: Path, tmp_path: Path) -> None:
    with running(tmp_path / "hub") as endpoint:
        publish.push(
            publication, "zoo/pocket-135m", endpoint, private=False, message="version 1", collection="Pocket 135M"
        )
        api = HfApi(endpoint.url, token=endpoint.token)
        [found] = list(api.list_collections(owner="zoo"))
        items = {(item.item_id, item.item_type) for item in api.get_collection(found.slug).items}
        assert items == {("zoo/pocket-135m", "model"), ("zoo/pocket-135m-GGUF", "model")}
