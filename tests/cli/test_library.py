import json
import subprocess
import sys
from pathlib import Path

import pytest

from zoo import shipped
from zoo.cli import main


def recipes(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command in this process: its exit code, standard output and standard error."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_ls_lists_every_shipped_recipe_and_says_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = recipes(capsys, "ls")
    assert code == 0
    names = sorted(file.stem for file in shipped.folder("recipes").glob("*.yaml"))
    assert "pocket-135m" in names
    assert [line.split()[0] for line in out.splitlines()] == names
    _, out, _ = recipes(capsys, "ls", "--json")
    assert [row["name"] for row in json.loads(out)] == names


def test_check_counts_the_stages_or_names_every_problem(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = recipes(capsys, "check", "pocket-135m")
    assert (code, out) == (0, "pocket-135m: 15 stages, nothing wrong\n")
    code, _, err = recipes(capsys, "check", "pocket-135m", "--set", "sft.trl.learning_rat=1")
    assert code == 2
    assert err.startswith("error: --set sft.trl.learning_rat=1:")
    assert "did you mean 'learning_rate'" in err
    code, out, _ = recipes(capsys, "check", "pocket-135m", "--set", "sft.lora.rr=1", "--json")
    assert code == 2
    assert json.loads(out)["problems"][0]["where"] == "--set sft.lora.rr=1"


def test_a_recipe_that_is_not_there_gets_the_nearest_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = recipes(capsys, "check", "pocket-135")
    assert code == 2 and "did you mean 'pocket-135m'" in err
    (tmp_path / "mine.yaml").write_text("name: mine\n")
    code, _, err = recipes(capsys, "check", str(tmp_path / "mime.yaml"))
    assert code == 2 and "mine.yaml" in err


def test_show_prints_the_file_itself_or_the_resolved_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = recipes(capsys, "show", "pocket-135m")
    assert out.startswith("# Pocket-135M")
    _, out, _ = recipes(capsys, "show", "pocket-135m", "--tiny")
    assert "architecture: llama" in out
    assert "checkpoint_steps: 2" in out


def test_cp_copies_a_recipe_and_never_overwrites(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = recipes(capsys, "cp", "pocket-135m", str(tmp_path / "mine.yaml"))
    assert code == 0 and Path(out.strip()).read_text("utf-8").startswith("# Pocket-135M")
    (tmp_path / "mine.yaml").write_text("mine")
    code, _, err = recipes(capsys, "cp", "pocket-135m", str(tmp_path / "mine.yaml"))
    assert code == 1 and "exists already" in err
    assert (tmp_path / "mine.yaml").read_text() == "mine"


def test_the_schema_accepts_the_shipped_recipes_and_refuses_a_wrong_kind(capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    from zoo import shipped, source

    _, out, _ = recipes(capsys, "schema")
    validator = jsonschema.Draft202012Validator(json.loads(out))
    files = sorted(shipped.folder("recipes").glob("*.yaml"))
    assert len(files) > 2
    for file in files:
        data = source.parse(file.read_text("utf-8"), file.name).data
        assert list(validator.iter_errors(data)) == []
        next(iter(data["stages"].values()))["kind"] = "stf"
        assert list(validator.iter_errors(data)) != []
    described = json.loads(out)["$defs"]["sft"]["properties"]["checkpoint_steps"]["description"]
    assert "a killed stage goes on" in described


@pytest.mark.parametrize("arguments", [["--help"], ["ls"], ["check", "pocket-135m"], ["plan", "pocket-135m", "--tiny"]])
def test_nothing_heavy_is_imported_before_something_runs(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from zoo.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit as ended: assert not ended.code, ended.code\n"
        "heavy = {'torch', 'transformers', 'trl', 'datasets', 'mergekit', 'numpy', 'gguf'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env={"EDGEZOO_HOME": str(tmp_path), "PATH": ""}, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    code = (
        "import zoo.cli.library as library\n"
        "def broken(): raise ZeroDivisionError('a bug')\n"
        "library.ls.callback = lambda as_json: broken()\n"
        "from zoo.cli import main; main(['ls'])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 1
    assert "Traceback" in run.stderr and "ZeroDivisionError: a bug" in run.stderr
