import json
import logging

import pytest
from PIL import Image

from zoo.actions import parse, read_answer, same
from zoo.data import columns, read_rows, run, run_tiny_rows
from zoo.environments.phone import PhoneEnvironment, draw_tasks
from zoo.errors import DataError
from zoo.prompt import messages
from zoo.records import StageContext
from zoo.schema import AgentSpec, DataSpec, TinyRowsSpec

TERSE = AgentSpec(style="terse")
RECORD = {
    "instruction": "Tap the red button.",
    "input": "Current Information: <image>",
    "system": "You operate a phone.",
    "output": "<REASONING>r</REASONING><STATE_ASSESSMENT>s</STATE_ASSESSMENT><CALLED_FUNCTION>tap(2)</CALLED_FUNCTION>",
}
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 8


@pytest.fixture
def stage(tmp_path):
    """Run a stage in a fresh folder: (function, spec, seed, **inputs) -> (folder, result)."""
    count = iter(range(100))

    def go(function, spec, seed=0, **inputs):
        out = tmp_path / f"out-{next(count)}"
        out.mkdir()
        return out, function(spec, StageContext(out, tmp_path, inputs, seed))

    return go


@pytest.fixture
def dataset(tmp_path):
    """A folder with the records of one JSON lines file and one picture."""

    def make(records, name="data.jsonl"):
        folder = tmp_path / "dataset"
        folder.mkdir()
        (folder / "shot.png").write_bytes(PNG)
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
        return folder

    return make


def expert(stage, seed=0, **settings):
    out, result = stage(run, DataSpec(**{"tasks": 40, "agent": TERSE, **settings}), seed)
    return list(read_rows(out)), result


def test_every_row_asks_what_the_agent_is_asked_and_answers_what_the_expert_does(stage):
    rows, _ = expert(stage)
    tasks = draw_tasks("train", 40, seed=0)
    environment, at = PhoneEnvironment(), 0
    for task in tasks:
        observation, history = environment.reset(task), []
        while not environment.done:
            step, row = environment.expert(), rows[at]
            assert row["prompt"] == messages(TERSE, task.instruction, history, observation)
            assert row["completion"] == [{"role": "assistant", "content": step.answer("terse")}]
            assert same(parse(row["solution"]), step.action)
            assert (row["task"], row["template"], row["step"]) == (task.id, task.template, len(history))
            history.append(step.assessment)
            observation, at = environment.step(step.action), at + 1
    assert at == len(rows)


def test_rows_of_text_have_no_images_column(stage):
    out, _ = stage(run, DataSpec(tasks=2))
    assert columns(out) == ("prompt", "completion", "solution", "task", "template", "step")


def test_same_seed_same_bytes_and_another_seed_other_tasks(stage):
    spec = DataSpec(tasks=20, detours=0.5, limit=50)
    first, second, third = (stage(run, spec, seed)[0] / "rows.jsonl" for seed in (1, 1, 2))
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes() != third.read_bytes()


def test_the_record_counts_rows_tasks_templates_and_detours(stage):
    rows, result = expert(stage, detours=1.0)
    assert result.metrics["rows"].value == len(rows)
    assert result.metrics["tasks"].value == 40
    assert sum(line["rows"] for line in result.notes["rows_per_template"]) == len(rows)
    assert result.notes["episodes"]["detour"] > 30
    assert sum(result.notes["episodes"].values()) == 40


def test_a_detour_leaves_a_gap_where_the_wrong_step_was_and_rows_that_recover(stage):
    direct, _ = expert(stage)
    rows, result = expert(stage, detours=1.0)
    steps = {}
    for row in rows:
        steps.setdefault(row["task"], []).append(row["step"])
    gaps = sum(sorted(set(range(max(taken) + 1)) - set(taken)) != [] for taken in steps.values())
    assert gaps == result.notes["episodes"]["detour"]
    assert all(taken == sorted(set(taken)) for taken in steps.values())
    assert sum(row["solution"] in ("back()", "home()") for row in rows) > sum(
        row["solution"] in ("back()", "home()") for row in direct
    )


def test_no_detour_asks_to_undo_what_only_its_author_could_know(stage):
    """A row that turns a switch turns the one that its instruction names."""
    rows, _ = expert(stage, tasks=200, detours=1.0)
    switched = [row for row in rows if "<REASONING>Switch " in row["completion"][0]["content"]]
    settings = [row for row in switched if row["template"] in ("settings.switch_on", "settings.switch_off")]
    assert len(settings) >= 10
    for row in settings:
        label = read_answer(row["completion"][0]["content"]).reasoning.removeprefix("Switch ").partition(" [")[0]
        assert label in row["prompt"][1]["content"].splitlines()[0]


def test_limit_draws_rows_and_keeps_their_order(stage):
    rows, _ = expert(stage)
    some, _ = expert(stage, limit=25)
    assert len(some) == 25
    places = [rows.index(row) for row in some]
    assert places == sorted(places)
    assert places != list(range(25))


def test_more_tasks_than_the_split_has_is_said_with_the_most_there_are(stage):
    with pytest.raises(DataError, match=r"999999 are too many.*ask for at most"):
        expert(stage, tasks=999_999, split="held-out-parameters")


def test_tiny_rows_become_rows_with_pictures(stage):
    raw, result = stage(run_tiny_rows, TinyRowsSpec(count=8))
    assert result.metrics["rows"].value == 8
    assert set(columns(raw)) == {"instruction", "input", "output", "system", "images"}
    out, _ = stage(run, DataSpec(source="dataset"), dataset=raw)
    rows = list(read_rows(out))
    assert len(rows) == 8
    for row in rows:
        assert [message["role"] for message in row["prompt"]] == ["system", "user"]
        assert "<image>" not in row["prompt"][1]["content"]
        assert row["solution"] in ("tap(1)", "tap(2)", "tap(3)")
        assert (out / row["images"][0]).read_bytes().startswith(b"\x89PNG")


def test_a_tiny_screenshot_shows_the_button_that_the_answer_taps(stage):
    from PIL import Image, ImageColor

    raw, _ = stage(run_tiny_rows, TinyRowsSpec(count=12))
    for row in read_rows(raw):
        image = Image.open(raw / row["images"][0])
        assert image.size == (112, 84)
        mark = int(parse(row["output"]).arguments[0])
        colour = row["instruction"].split()[2]
        assert image.getpixel((60, (mark - 1) * 28 + 14)) == ImageColor.getrgb(colour)


def test_tiny_rows_are_the_same_for_the_same_seed(stage):
    folders = [stage(run_tiny_rows, TinyRowsSpec(count=3), seed)[0] for seed in (1, 1, 2)]
    texts = [[file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()] for folder in folders]
    assert texts[0] == texts[1] != texts[2]


def test_openphones_reinforcement_columns_are_read_from_parquet(stage, tmp_path):
    from datasets import Dataset

    record = {name: RECORD[name] for name in ("instruction", "input", "system")}
    rows = [{**record, "solution": "finish('63%')", "image": {"bytes": PNG, "path": None}}] * 3
    (tmp_path / "hub" / "data").mkdir(parents=True)
    Dataset.from_list(rows).to_parquet(tmp_path / "hub" / "data" / "train-00000-of-00001.parquet")
    Dataset.from_list(rows[:1]).to_parquet(tmp_path / "hub" / "data" / "test-00000-of-00001.parquet")
    out, result = stage(run, DataSpec(source="dataset"), dataset=tmp_path / "hub")
    read = list(read_rows(out))
    assert result.metrics["rows"].value == 3
    assert read[0]["solution"] == 'finish("63%")'
    assert read[0]["completion"][0]["content"] == "finish('63%')"
    assert read[0]["task"] == "data/train-00000-of-00001.parquet:1"
    assert (out / read[0]["images"][0]).read_bytes() == PNG


def test_a_json_list_is_read_like_json_lines(stage, tmp_path):
    file = tmp_path / "sft.json"
    file.write_text(json.dumps([{**RECORD, "input": "", "images": []}]))
    out, _ = stage(run, DataSpec(source="dataset"), dataset=file)
    row = next(read_rows(out))
    assert row["prompt"][1]["content"] == "Tap the red button."
    assert "images" not in row


def test_rows_that_cannot_be_used_are_dropped_and_counted_by_reason(stage, dataset, caplog):
    good = {**RECORD, "images": ["shot.png"]}
    folder = dataset(
        [
            good,
            {**good, "output": "Just tap it."},
            {**good, "system": "x" * 12_001},
            {**good, "images": []},
            {**good, "images": ["lost.png"]},
            {**good, "images": ["data.jsonl"]},
        ]
    )
    with caplog.at_level(logging.WARNING):
        out, result = stage(run, DataSpec(source="dataset"), dataset=folder)
    assert result.metrics["rows"].value == len(list(read_rows(out))) == 1
    assert result.notes["dropped"] == {
        "a picture that is neither PNG nor JPEG": 1,
        "a picture that is not there": 1,
        "longer than 12000 characters": 1,
        "no call in the answer": 1,
        "not as many pictures as <image> marks": 1,
    }
    assert "1 no call in the answer" in caplog.text


def test_only_the_pictures_of_kept_rows_are_copied(stage, dataset):
    folder = dataset([{**RECORD, "images": ["shot.png"]}] * 9)
    out, _ = stage(run, DataSpec(source="dataset", limit=4), dataset=folder)
    assert len(list((out / "images").iterdir())) == len(list(read_rows(out))) == 4


def test_a_missing_column_is_named_with_what_is_there(stage, dataset):
    folder = dataset([{"instruction": "", "prompt": "", "system": ""}])
    with pytest.raises(DataError) as failure:
        stage(run, DataSpec(source="dataset"), dataset=folder)
    message = str(failure.value)
    assert "data.jsonl has no column `input`, `output` or `solution`" in message
    assert "instruction, prompt, system" in message


def test_an_empty_dataset_is_refused(stage, dataset, tmp_path):
    with pytest.raises(DataError, match="holds no row at all"):
        stage(run, DataSpec(source="dataset"), dataset=dataset([]))
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match="holds no data"):
        stage(run, DataSpec(source="dataset"), dataset=tmp_path / "nothing")


def test_a_dataset_of_which_nothing_is_left_is_refused(stage, dataset):
    with pytest.raises(DataError, match="no row is left"):
        stage(run, DataSpec(source="dataset"), dataset=dataset([{**RECORD, "output": "?"}]))


def test_a_picture_outside_the_dataset_is_refused(stage, dataset, tmp_path):
    (tmp_path / "secret.png").write_bytes(PNG)
    with pytest.raises(DataError, match="outside the dataset"):
        stage(run, DataSpec(source="dataset"), dataset=dataset([{**RECORD, "images": ["../secret.png"]}]))


def test_a_broken_line_is_named(stage, tmp_path):
    (tmp_path / "data.jsonl").write_text(json.dumps({**RECORD, "images": [], "input": ""}) + "\n{broken\n")
    with pytest.raises(DataError, match=r"data\.jsonl:2 is no JSON"):
        stage(run, DataSpec(source="dataset"), dataset=tmp_path / "data.jsonl")


def test_a_dataset_has_to_be_named(stage):
    with pytest.raises(DataError, match="dataset: owner/name@revision"):
        stage(run, DataSpec(source="dataset"))


def test_reading_rows_that_are_not_there_says_what_to_name(tmp_path):
    with pytest.raises(DataError, match="stage of kind `data`"):
        next(read_rows(tmp_path))
    (tmp_path / "rows.jsonl").write_text("")
    with pytest.raises(DataError, match="has no rows"):
        columns(tmp_path)


def test_rows_of_an_agent_with_eyes_name_the_screen_that_they_ask_about(stage):
    spec = DataSpec(tasks=2, agent=AgentSpec(pictures="marks"))
    out, _ = stage(run, spec)
    rows = list(read_rows(out))
    assert columns(out)[-1] == "images"
    environment = PhoneEnvironment()
    environment.reset(draw_tasks("train", 2, seed=0)[0])
    first = Image.open(out / rows[0]["images"][0])
    assert first.tobytes() == environment.screenshot(marks=True).tobytes()
    assert rows[0]["prompt"][1]["content"].endswith("Current Information:")
    assert len({name for row in rows for name in row["images"]}) == len(rows) == len(list((out / "images").iterdir()))


def test_only_the_screens_of_rows_that_are_kept_are_saved(stage):
    whole, _ = stage(run, DataSpec(tasks=2, agent=AgentSpec(pictures="plain")))
    out, _ = stage(run, DataSpec(tasks=2, limit=3, agent=AgentSpec(pictures="plain")))
    rows = list(read_rows(out))
    assert {f"images/{file.name}" for file in (out / "images").iterdir()} == {row["images"][0] for row in rows}
    same_rows = {(row["task"], row["step"]): row for row in read_rows(whole)}
    assert len(rows) == 3
    for row in rows:
        seen = same_rows[row["task"], row["step"]]["images"][0]
        assert (out / row["images"][0]).read_bytes() == (whole / seen).read_bytes()
