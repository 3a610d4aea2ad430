"""`space.json`, recorded episodes, and a Space's folder: whole, readable, and without what it does not need."""

import ast
import json
from pathlib import Path

import pytest
import yaml
from example_page import evaluation, record_of

from zoo.errors import DataError, ZooError
from zoo.records import Metric
from zoo.schema import AgentSpec
from zoo.space import (
    SpaceModel,
    SpaceSettings,
    parse_courses,
    read_records,
    read_settings,
    recorded,
    settings_of_records,
    space_files,
)
from zoo.space.package import modules_of, package_files

PUBLISHED = SpaceModel(name="Q8_0", repository="me/small-GGUF", file="Small-Q8_0.gguf", bytes=10)
PAGE = SpaceSettings(title="Small", license="mit", repository="me/small", models=(PUBLISHED,))


def test_settings_come_back_as_they_were_written(tmp_path: Path) -> None:
    (tmp_path / "space.json").write_bytes(space_files(PAGE, {}, {})["space.json"])
    assert read_settings(tmp_path) == PAGE


def test_a_page_without_settings_says_who_writes_them(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match=r"space\.json is missing beside app\.py"):
        read_settings(tmp_path)


def test_a_wrong_key_is_named(tmp_path: Path) -> None:
    (tmp_path / "space.json").write_text('{"title": "x", "modles": []}')
    with pytest.raises(ZooError, match="modles"):
        read_settings(tmp_path)


def test_a_published_page_may_not_point_into_a_folder_of_one_machine() -> None:
    with pytest.raises(ValueError, match="a published page needs a repository"):
        SpaceSettings(title="x", models=(SpaceModel(name="a", path="/somewhere/model.gguf"),))


def test_a_model_lies_in_one_place() -> None:
    with pytest.raises(ValueError, match="either `repository` or `path`"):
        SpaceModel(name="a")
    with pytest.raises(ValueError, match="same name"):
        SpaceSettings(title="x", models=(PUBLISHED, PUBLISHED))


def test_the_readme_names_the_page_and_links_its_models() -> None:
    head = space_files(PAGE, {}, {})["README.md"].decode().split("---\n")[1]
    data = yaml.safe_load(head)
    assert (data["title"], data["license"]) == ("Small", "mit")
    assert data["models"] == ["me/small", "me/small-GGUF"]
    assert (data["sdk"], data["app_file"], data["sdk_version"]) == ("gradio", "app.py", "6.31.0")


def test_the_sdk_is_the_gradio_that_the_requirements_pin() -> None:
    files = space_files(PAGE, {}, {})
    pinned = dict(line.split("==") for line in files["requirements.txt"].decode().split())
    assert pinned["gradio"] == yaml.safe_load(files["README.md"].decode().split("---\n")[1])["sdk_version"]


def test_a_card_of_the_callers_own_takes_the_readmes_place() -> None:
    assert space_files(PAGE, {}, {}, card="---\nsdk: gradio\n---\n")["README.md"] == b"---\nsdk: gradio\n---\n"


def test_every_module_that_the_page_imports_travels_with_it() -> None:
    files = space_files(PAGE, {}, {})
    carried = {path.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in files}
    missing = []
    for path, content in files.items():
        if path.endswith(".py"):
            for node in ast.walk(ast.parse(content)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "zoo":
                    missing += [node.module] if node.module not in carried else []
    assert len(carried) > 80
    assert not missing


def test_what_a_page_does_not_need_stays_at_home() -> None:
    paths = list(space_files(PAGE, {}, {}))
    heavy = ("zoo/trainers", "zoo/exports", "zoo/local_hub", "zoo/cli", "zoo/merge", "zoo/runner", "zoo/publish")
    assert not [path for path in paths if path.startswith(heavy)]
    assert not [path for path in paths if "__pycache__" in path]


def test_imports_inside_functions_are_followed_too() -> None:
    assert "zoo.hub" in modules_of("def f():\n    from zoo.hub import pin\n")
    files = package_files(["from zoo.memory import noted"])
    assert {"zoo/__init__.py", "zoo/memory.py", "zoo/schema/agent.py"} <= files.keys()


def test_the_page_imports_only_rooms_that_its_house_allows() -> None:
    app = Path(__file__).parents[2] / "spaces" / "agent"
    rooms = {
        name.split(".")[1]
        for file in app.glob("*.py")
        for name in modules_of(file.read_text("utf-8"))
        if name.count(".") >= 1
    }
    allowed = {
        "actions",
        "agent",
        "environments",
        "errors",
        "formats",
        "hub",
        "index",
        "machine",
        "playground",
        "records",
    }
    assert rooms <= allowed | {"answering", "refs", "schema", "serving", "space"}


def test_recorded_episodes_hold_solved_and_unsolved_ones_and_come_back() -> None:
    _, lines = evaluation(AgentSpec(style="terse", observation="terse"))
    courses = parse_courses(lines, "eval.jsonl")
    assert {course.success for course in courses} == {True, False}
    assert len({course.task.template for course in courses}) == len(courses) == 6
    assert all(len(course.answers) == len(course.seconds) > 0 for course in courses)


def test_episodes_of_other_tasks_are_refused() -> None:
    agent = AgentSpec()
    settings = {"agent": agent.model_dump(mode="json"), "split": "train", "tasks": 3}
    line = json.dumps({"task": "nowhere.nothing()#0", "steps": [], "success": False, "ended": "rounds"})
    with pytest.raises(DataError, match="none of the tasks"):
        recorded(record_of("eval", "evaluate", settings=settings), line + "\n")


def test_a_world_that_a_page_cannot_hold_has_no_recorded_episodes() -> None:
    settings = {"agent": AgentSpec(world="android").model_dump(mode="json"), "split": "train", "tasks": 3}
    assert recorded(record_of("eval", "evaluate", settings=settings), "") == ""


def test_a_broken_line_is_named() -> None:
    with pytest.raises(DataError, match=r"eval\.jsonl:2"):
        parse_courses("\n{\n", "eval.jsonl")


def test_records_travel_and_come_back_without_what_is_no_record(tmp_path: Path) -> None:
    record, _ = evaluation(AgentSpec(style="terse", observation="terse"))
    content = space_files(PAGE, {"eval-tiny": record}, {})["records/eval-tiny.json"]
    (tmp_path / "records").mkdir()
    (tmp_path / "records" / "eval-tiny.json").write_bytes(content)
    (tmp_path / "records" / "zoo.entry.json").write_text("{}")
    assert read_records(tmp_path)["eval-tiny"].metrics == record.metrics
    (tmp_path / "records" / "other.json").write_text("{}")
    with pytest.raises(DataError, match=r"records/other\.json"):
        read_records(tmp_path)


def test_a_run_of_both_formats_has_its_graphs_verified_by_their_own_stage() -> None:
    exports = {kind: record_of(kind, kind, key=str(at) * 64) for at, kind in enumerate(("gguf", "onnx"), start=1)}
    looked = {
        f"{kind}-{format_}": record_of(f"{kind}-{format_}", kind, inputs={"export": f"stage:{export.key}"})
        for kind in ("verify", "latency")
        for format_, export in exports.items()
    }
    found = settings_of_records("me/small", "https://hub", {**exports, **looked}, [PUBLISHED])
    assert (found.verify, found.onnx_verify) == ("verify-gguf", "verify-onnx")
    assert (found.latency, found.onnx_latency) == ("latency-gguf", "latency-onnx")


def test_each_files_fidelity_is_read_from_the_stage_that_looked_at_its_format() -> None:
    from figures_tab import by_file, uses

    graph = SpaceModel(name="fp16 (ONNX)", runtime="onnx", repository="me/small-ONNX", file="onnx/x.onnx", type="fp16")
    small = PUBLISHED.model_copy(update={"type": "q8_0", "recommended": True})
    page = PAGE.model_copy(update={"models": (graph, small), "verify": "verify", "onnx_verify": "verify-onnx"})
    records = {
        "verify": record_of("verify", "verify", metrics={"q8_0.top1": Metric(0.982)}),
        "verify-onnx": record_of("verify-onnx", "verify", metrics={"fp16.top1": Metric(0.999)}),
    }
    shown = by_file(page, records)
    assert "98.2 %" in shown
    assert "99.9 %" in shown
    assert "stage verify-onnx" in shown
    assert "Small-Q8_0.gguf" in uses(page)
    assert "turn on Bluetooth" in uses(page)
    assert "turn on Bluetooth" not in uses(page.model_copy(update={"agent": AgentSpec(world="desk")}))
