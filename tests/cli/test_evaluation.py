import json
import sys

import exported_onnx
import pytest
from click.testing import CliRunner
from openai_server import serving
from PIL import Image

from zoo.actions import Action, write_answer
from zoo.cli import command
from zoo.errors import DataError, EnvironmentFailure
from zoo.exports.gguf import convert
from zoo.playground import EPISODES_NAME
from zoo.playground.episodes import read_episodes


@pytest.fixture
def recipes(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEZOO_HOME", str(tmp_path / "home"))

    def run(*arguments):
        result = CliRunner().invoke(command, [str(argument) for argument in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def last_json(result):
    return json.loads(result.stdout.splitlines()[-1])


def success(result):
    return last_json(result)["table"][0]["measures"]["success_rate"]


def test_the_expert_solves_everything_and_the_tables_lie_beside_the_episodes(recipes, tmp_path):
    result = recipes("eval", "expert", "--episodes", 12, "--out", tmp_path / "out", "--json")
    assert (success(result)["value"], success(result)["n"]) == (1.0, 12)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {
        EPISODES_NAME, "settings.json", "table.csv", "table.xlsx", ".episodes.lock",
    }  # fmt: skip
    assert "Sub-SR" in result.stderr


def test_the_same_command_goes_on_and_other_settings_have_a_folder_of_their_own(recipes):
    first = last_json(recipes("eval", "random", "--episodes", 5, "--json"))
    again = last_json(recipes("eval", "random", "--episodes", 5, "--json"))
    other = last_json(recipes("eval", "random", "--episodes", 5, "--seed", 1, "--json"))
    assert first == again
    assert other["folder"] != first["folder"]


def test_a_checkpoint_folder_is_evaluated_and_its_tokens_are_counted(recipes, tiny_llama):
    flags = ("--set", "rounds=2", "--set", "answer_tokens=8", "--device", "cpu", "--json")
    measured = last_json(recipes("eval", tiny_llama, "--episodes", 3, *flags))["table"][0]["measures"]
    assert measured["prompt_tokens_per_step"]["value"] > 50
    assert measured["tokens_per_step"]["value"] <= 8


def said(folder):
    return [[step.answer for step in record.steps] for record in read_episodes(folder / EPISODES_NAME)]


def test_an_onnx_folder_and_a_gguf_act_as_their_checkpoint_does(recipes, tiny_llama, tmp_path):
    export = exported_onnx.make(tiny_llama, tmp_path, ("fp32",))
    convert(export.checkpoint, tmp_path / "model-F32.gguf", "f32")
    flags = ("--episodes", 3, "--batch", 1, "--set", "rounds=2", "--set", "answer_tokens=8", "--threads", 1, "--json")
    result = recipes("eval", export.folder, *flags, "--out", tmp_path / "onnx")
    recipes("eval", export.checkpoint, *flags, "--device", "cpu", "--out", tmp_path / "torch")
    recipes("eval", tmp_path / "model-F32.gguf", *flags, "--out", tmp_path / "gguf")
    answers = said(tmp_path / "onnx")
    assert answers == said(tmp_path / "torch") == said(tmp_path / "gguf")
    assert len({answer for episode in answers for answer in episode}) > 1
    measured = last_json(result)["table"][0]["measures"]
    assert (measured["success_rate"]["n"], measured["tokens_per_step"]["n"]) == (3, sum(map(len, answers)))
    assert measured["prompt_tokens_per_step"]["value"] > 50


def test_an_endpoint_acts_and_another_judges(recipes, monkeypatch, tmp_path):
    monkeypatch.setenv("A_KEY", "sk-never-written")
    answer = write_answer("a", "b", Action("finish", ("Done.",)))
    with serving(lambda body: answer) as (url, asked), serving(lambda body: "FAILURE\nNo.") as (judge, _):
        flags = ("--model-name", "small", "--key-env", "A_KEY", "--judge", judge, "--out", tmp_path / "out", "--json")
        result = recipes("eval", url, "--episodes", 4, *flags)
    measured = last_json(result)["table"][0]["measures"]
    assert measured["success_rate"]["value"] == 0.0
    assert (measured["judge_agreement"]["value"], measured["judge_agreement"]["n"]) == (1.0, 4)
    assert asked[0][0]["authorization"] == "Bearer sk-never-written"
    written = [file.read_bytes() for file in (tmp_path / "out").iterdir()]
    assert not any(b"sk-never-written" in data for data in written)
    assert "sk-never-written" not in result.output


def test_tasks_by_pattern_and_a_memory_from_the_command_line(recipes, tmp_path):
    flags = ("--tasks", "clock.*", "--set", "memory=none", "--out", tmp_path / "out", "--json")
    table = last_json(recipes("eval", "expert", "--episodes", 4, *flags))["table"]
    assert [group["group"] for group in table if group["by"] == "app"] == ["clock"]
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["agent"]["memory"] == "none"


def test_a_trace_lists_and_replays(recipes, tmp_path):
    recipes("eval", "expert", "--episodes", 3, "--out", tmp_path / "out")
    listed = recipes("trace", tmp_path / "out").stdout.splitlines()
    assert len(listed) == 3
    assert all("✓" in line for line in listed)
    lines = recipes("trace", tmp_path / "out" / EPISODES_NAME, "--json").stdout.splitlines()
    second = json.loads(lines[1])
    shown = recipes("trace", tmp_path / "out", "--episode", 1).stdout
    assert second["instruction"] in shown
    assert all(step["action"] in shown and step["observation"] in shown for step in second["steps"])
    assert f"success: {len(second['steps'])} steps, the expert needs {len(second['steps'])}" in shown


def test_an_answer_that_cannot_be_read_is_shown_in_short(recipes, tmp_path):
    with serving(lambda body: "no " * 200) as (url, _):
        recipes("eval", url, "--episodes", 1, "--set", "rounds=1", "--out", tmp_path / "out")
    shown = recipes("trace", tmp_path / "out", "--episode", 0).stdout
    assert "no readable call: 'no no" in shown and "and 400 more characters" in shown


def test_a_trace_of_an_episode_that_is_not_there_says_which_are(recipes, tmp_path):
    recipes("eval", "random", "--episodes", 2, "--out", tmp_path / "out")
    with pytest.raises(Exception, match="no episode 7; it has 0 to 1"):
        recipes("trace", tmp_path / "out", "--episode", 7)


def test_a_trace_becomes_a_picture_that_moves_of_what_was_kept_and_nothing_from_outside(recipes, tmp_path):
    folder, gif = tmp_path / "out", tmp_path / "episode.gif"
    recipes("eval", "expert", "--episodes", 1, "--pictures", "--out", folder)
    steps = json.loads((folder / EPISODES_NAME).read_text("utf-8"))["steps"]
    recipes("trace", folder, "--episode", 0, "--gif", gif)
    with Image.open(gif) as moving:
        assert (moving.n_frames, moving.size) == (len(steps), (540, 1170))
    text = (folder / EPISODES_NAME).read_text("utf-8")
    (folder / EPISODES_NAME).write_text(text.replace(steps[0]["picture"], "../../secret.png"), "utf-8")
    with pytest.raises(Exception, match="lies outside"):
        recipes("trace", folder, "--episode", 0, "--gif", gif)
    recipes("eval", "expert", "--episodes", 1, "--out", tmp_path / "bare")
    with pytest.raises(Exception, match="has no pictures"):
        recipes("trace", tmp_path / "bare", "--episode", 0, "--gif", gif)


def test_what_the_tables_need_is_asked_for_before_anything_is_played(recipes, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(EnvironmentFailure, match=r"pip install 'edgezoo\[eval\]'"):
        recipes("eval", "expert", "--episodes", 1, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_trace_of_an_evaluation_without_an_episode_yet_says_so(recipes, tmp_path):
    (tmp_path / EPISODES_NAME).write_text('{"number": 0, "ta')
    with pytest.raises(DataError, match="holds no episode yet"):
        recipes("trace", tmp_path)
