"""What cannot be trained is refused before weights are loaded, with the row and the number."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from training_rows import Context, Rows, phone_row, write_rows

from zoo.errors import DataError, ModelError
from zoo.schema import GRPOSpec, SFTSpec
from zoo.trainers import grpo, preflight, sft


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
