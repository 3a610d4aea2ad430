"""What cannot be trained is refused before weights are loaded, with the row and the number."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from training_rows import Context, Rows, phone_row, write_rows

from zoo import registry
from zoo.errors import DataError, ModelError
from zoo.schema import DistillSpec, GRPOSpec, SFTSpec
from zoo.trainers import distill, grpo, preflight, sft


def sft_spec(**trl: Any) -> SFTSpec:
    return SFTSpec(model="a/b", data="stage:rows", trl=trl)


@pytest.fixture
def weightless(tmp_path: Path, tiny_llama: Path) -> Path:
    """A checkpoint whose weights are gone: whoever tries to load it fails in another way than these tests expect."""
    folder = shutil.copytree(tiny_llama, tmp_path / "weightless")
    (folder / "model.safetensors").unlink()
    return folder


def test_a_folder_without_rows_is_no_data(tmp_path: Path, weightless: Path, context: Context) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"has no rows\.jsonl"):
        sft.run(sft_spec(), context(weightless, tmp_path / "empty"))


def test_no_rows_at_all_are_refused(tmp_path: Path, weightless: Path, context: Context) -> None:
    with pytest.raises(DataError, match="has no rows; raise the data stage's `tasks`"):
        sft.run(sft_spec(), context(weightless, write_rows(tmp_path / "none", [])))


def test_a_missing_column_names_the_line_and_what_is_there(tmp_path: Path, weightless: Path, context: Context) -> None:
    bare = phone_row(1)
    del bare["completion"], bare["solution"]
    data = write_rows(tmp_path / "bare", [phone_row(0), bare])
    with pytest.raises(DataError, match=r"rows\.jsonl:2 has no completion; it has prompt, step, task, template"):
        sft.run(sft_spec(), context(weightless, data))
    with pytest.raises(DataError, match=r"rows\.jsonl:2 has no solution"):
        grpo.run(GRPOSpec(model="a/b", data="stage:rows"), context(weightless, data, "grpo"))


def test_a_line_that_is_no_json_is_named(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "broken", [phone_row(0)])
    with (data / "rows.jsonl").open("a") as file:
        file.write("{oops\n")
    with pytest.raises(DataError, match=r"rows\.jsonl:2 is no JSON"):
        preflight.read_rows(data, ("prompt",))


def test_a_row_beyond_the_model_names_row_tokens_and_limit(tmp_path: Path, weightless: Path, context: Context) -> None:
    long = phone_row(1)
    long["prompt"][1]["content"] = "0 " * 5000
    data = write_rows(tmp_path / "long", [phone_row(0), long])
    with pytest.raises(DataError, match=r"row 2 \(tap-1\) has \d+ tokens, and the model's max_position.* is 4096"):
        sft.run(sft_spec(), context(weightless, data))


def test_a_row_beyond_max_length_is_refused_and_never_cut(weightless: Path, rows: Rows, context: Context) -> None:
    with pytest.raises(DataError, match=r"row 1 \(tap-0\) has \d+ tokens, and `max_length` is 32"):
        sft.run(sft_spec(max_length=32), context(weightless, rows()))


def test_an_answer_that_would_not_fit_behind_its_prompt_is_refused(
    weightless: Path, rows: Rows, context: Context
) -> None:
    spec = GRPOSpec(model="a/b", data="stage:rows", trl={"max_completion_length": 4090})
    with pytest.raises(DataError, match=r"row 1 .* has \d+ tokens, and the model's max_position_embeddings is 4096"):
        grpo.run(spec, context(weightless, rows()))


def test_a_row_is_as_long_as_what_the_model_is_given(tiny_vlm: Path, rows: Rows) -> None:
    from PIL import Image

    read = preflight.read_rows(rows(3, images=True), ("prompt", "completion"))
    processor = preflight.load_processor(tiny_vlm)
    for row in read:
        blocks = [{"type": "image"}, {"type": "text", "text": row["prompt"][1]["content"]}]
        messages = [row["prompt"][0], {"role": "user", "content": blocks}, *row["completion"]]
        text = processor.apply_chat_template(messages, tokenize=False)
        given = processor(text=[text], images=[Image.open(row["images"][0])], add_special_tokens=False)
        assert preflight.row_tokens(row, processor) == len(given["input_ids"][0])


def test_a_tokenizer_without_a_chat_template_is_refused(weightless: Path, rows: Rows, context: Context) -> None:
    (weightless / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="has no chat template; take the instruct version"):
        sft.run(sft_spec(), context(weightless, rows()))


def test_a_template_that_never_stops_is_refused(weightless: Path, rows: Rows, context: Context) -> None:
    template = "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    (weightless / "chat_template.jinja").write_text(template, "utf-8")
    with pytest.raises(ModelError, match="does not end an answer with the stop token"):
        sft.run(sft_spec(), context(weightless, rows()))


@pytest.mark.parametrize(("name", "words"), [("../secret.png", "outside its folder"), ("gone.png", "is not there")])
def test_an_image_outside_the_data_is_never_read(tmp_path: Path, name: str, words: str) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    data = write_rows(tmp_path / "data", [{**phone_row(0), "images": [name]}])
    with pytest.raises(DataError, match=words):
        preflight.read_rows(data, ("prompt",))


def test_weights_that_are_cut_off_are_refused(tmp_path: Path, tiny_llama: Path, rows: Rows, context: Context) -> None:
    folder = shutil.copytree(tiny_llama, tmp_path / "cut")
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ModelError, match="is cut off"):
        sft.run(sft_spec(), context(folder, rows()))


def test_sizes_that_do_not_fit_are_refused(weightless: Path, rows: Rows, context: Context) -> None:
    data = rows(25)

    def refusal(error: type[Exception], name: str, checkpoint_steps: int = 50, **trl: int) -> str:
        trl = {"per_device_train_batch_size": 4, "num_generations": 2, **trl}
        spec = GRPOSpec(model="a/b", data="stage:rows", trl=trl, checkpoint_steps=checkpoint_steps)
        with pytest.raises(error) as caught:
            grpo.run(spec, context(weightless, data, name))
        return str(caught.value)

    assert "no multiple of num_generations 3" in refusal(ModelError, "a", num_generations=3)
    assert "write `limit: 24`" in refusal(DataError, "b")
    assert "is a multiple of 4" in refusal(ModelError, "c", checkpoint_steps=6, max_steps=8, steps_per_generation=4)


def test_a_checkpoint_that_is_none_is_told(tmp_path: Path, rows: Rows, context: Context) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ModelError, match=r"has no config\.json"):
        sft.run(sft_spec(), context(tmp_path / "nothing", rows()))
    (tmp_path / "nothing" / "config.json").write_text(json.dumps({"model_type": "resnet"}), "utf-8")
    with pytest.raises(ModelError, match="does not describe a language model"):
        sft.run(sft_spec(), context(tmp_path / "nothing", rows(), "again"))


def grpo_spec(**changes: Any) -> GRPOSpec:
    trl = {"per_device_train_batch_size": 4, "num_generations": 2, **changes.pop("trl", {})}
    return GRPOSpec.model_validate({"model": "a/b", "data": "stage:rows", "trl": trl, **changes})


def distill_spec(**changes: Any) -> DistillSpec:
    return DistillSpec.model_validate({"model": "a/b", "data": "stage:rows", "weights": {"logits": 0}, **changes})


def refusal(error: type[Exception], stage: Any, spec: Any, ctx: Any) -> str:
    with pytest.raises(error) as caught:
        stage.run(spec, ctx)
    return str(caught.value)


@pytest.mark.parametrize("solution", ["tap", "", None, "I would tap the third."])
def test_a_solution_that_is_no_call_is_named_before_it_is_compared(
    tmp_path: Path, weightless: Path, context: Context, solution: Any
) -> None:
    rows = [phone_row(number) for number in range(8)]
    rows[5]["solution"] = solution
    data = write_rows(tmp_path / "wrong", rows)
    said = refusal(DataError, grpo, grpo_spec(), context(weightless, data))
    assert f"row 6 (tap-5) has the solution {solution!r}, which is no call" in said
    by_format = grpo_spec(rewards=[{"name": "format"}])
    assert "holds no safetensors" in refusal(ModelError, grpo, by_format, context(weightless, data, "format"))


def test_images_are_nothing_to_a_model_that_reads_text(weightless: Path, rows: Rows, context: Context) -> None:
    data = rows(8, images=True)
    for name, stage, spec in (("a", sft, sft_spec()), ("b", grpo, grpo_spec()), ("c", distill, distill_spec())):
        said = refusal(DataError, stage, spec, context(weightless, data, name))
        assert "row 1 (tap-0) has images, and the model reads text only" in said and "pictures: none" in said


def test_images_of_conversations_too(weightless: Path, context: Context, rows: Rows) -> None:
    folder = rows(2, images=True)
    talks = [
        {"messages": [*row["prompt"], *row["completion"]], "images": [f"screen-{number}.png"]}
        for number, row in enumerate(map(phone_row, range(2)))
    ]
    said = refusal(DataError, sft, sft_spec(), context(weightless, write_rows(folder, talks)))
    assert "row 1 (no task) has images" in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lora": {"target_modules": ["q_proj", "q_prj"]}}, "no module is named 'q_prj'"),
        ({"lora": {"target_modules": ["self_attn.q_prj"]}}, "k_proj, layers, lm_head"),
        ({"lora": {"target_modules": ["q_proj", "lm_head"]}}, "'lm_head' (in `lora.target_modules`) would never be"),
        ({"freeze": ["model.visual"]}, "no parameter starts with 'model.visual' (in `freeze`); they start with"),
        ({"freeze": ["model"]}, "leaves nothing to train"),
        ({"lora": {"layers_pattern": "layers"}}, "lora: When `layers_pattern` is specified"),
        ({"trl": {"lr_scheduler_type": "cosin"}}, "trl: cosin is not a valid SchedulerType"),
    ],
)
def test_parts_and_options_that_are_not_there_are_told_without_weights(
    weightless: Path, rows: Rows, context: Context, changes: dict[str, Any], words: str
) -> None:
    data = rows(8)
    specs = {
        "sft": (sft, SFTSpec.model_validate({"model": "a/b", "data": "stage:rows", **changes})),
        "grpo": (grpo, grpo_spec(**changes)),
        "distill": (distill, distill_spec(**changes)),
    }
    for name, (stage, spec) in specs.items():
        assert words in refusal(ModelError, stage, spec, context(weightless, data, name)), name


@pytest.mark.parametrize(
    "changes",
    [
        {"lora": {"target_modules": ["q_proj", "mlp.up_proj", "embed_tokens"]}, "freeze": ["model.layers.0"]},
        {"lora": {"target_modules": "all-linear"}, "freeze": ["model"]},
        {"freeze": ["model.layers.0", "model.embed_tokens"]},
    ],
)
def test_parts_that_are_there_are_let_through(
    weightless: Path, rows: Rows, context: Context, changes: dict[str, Any]
) -> None:
    assert "holds no safetensors" in refusal(
        ModelError, sft, SFTSpec.model_validate({"model": "a/b", "data": "stage:rows", **changes}),
        context(weightless, rows(8)),
    )  # fmt: skip


def test_more_tasks_than_there_are_end_a_distillation_before_models_are_loaded(
    weightless: Path, rows: Rows, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.ENVIRONMENTS, "phone", "toy_world:ClosedToy")
    closed: list[str] = []
    monkeypatch.setattr("toy_world.CLOSED", closed)
    world = {"source": "world", "rounds": 4, "tasks": 5}
    spec = distill_spec(teacher="c/d", weights={}, lmbda=1.0, rollouts=world)
    ctx = context(weightless, rows(8))
    ctx.inputs["teacher"] = weightless
    assert "4 rounds of 5 tasks are too many: there are 16 tasks" in refusal(DataError, distill, spec, ctx)
    assert closed == ["toy"]
