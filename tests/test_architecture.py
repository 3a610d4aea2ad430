"""The house's walls: imports point downward, one floor's modules do not see each other, each says what it is."""

import ast
from pathlib import Path

import pytest

import zoo

PACKAGE = Path(zoo.__file__).parent
FLOORS = {
    0: "errors fingerprint records refs registry machine shipped",
    1: "schema actions metrics source options estimate check json_schema formats licences action_grammar sweeps "
    "vocabularies",
    2: "recipe plan cache hub cards rewards environments checkpoint image_processor prompt index memory towers",
    3: "data serving agent answering space trainers.loading trainers.session trainers.preflight trainers.optimizers "
    "trainers.history trainers.tracking trainers.global_batch trainers.examples trainers.training_template",
    4: "probe documentation trainers merge evaluate exports verify latency publish tiny playground hub_metrics choose",
    5: "worker runner preflight checkpoints_on_hub forecast",
    6: "cli local_hub",
}
# Within a floor, who may see whom: a check reads a typed recipe's options, and so on.
NEIGHBOURS = {
    "errors": set(), "registry": set(),
    "schema": {"refs"}, "check": {"schema", "options", "source"}, "estimate": {"schema"}, "json_schema": {"schema"},
    "action_grammar": {"actions", "schema"}, "sweeps": {"schema", "source"}, "prompt": {"memory"},
    "evaluate": {"playground"}, "latency": {"playground"},
    "answering": {"agent", "serving"}, "data": {"answering", "agent", "serving"}, "trainers.preflight": {"data"},
    "preflight": {"plan"}, "forecast": {"preflight"}, "machine": {"errors"}, "runner": {"worker"}, "cli": {"local_hub"},
    "checkpoints_on_hub": {"runner"},
    "trainers.session": {"trainers.history", "trainers.tracking"}, "trainers.global_batch": {"trainers.loading"},
    "trainers.examples": {"trainers.loading", "trainers.preflight", "trainers.training_template"},
}  # fmt: skip


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(file: Path) -> str:
    inside = file.relative_to(PACKAGE).with_suffix("")
    return ".".join(part for part in inside.parts if part != "__init__")


def room_and_floor(name: str) -> tuple[str, int]:
    """The longest room of the table that a module lies in, and its floor."""
    rooms = {room: floor for floor, names in FLOORS.items() for room in names.split()}
    words = name.split(".")
    for length in range(len(words), 0, -1):
        room = ".".join(words[:length])
        if room in rooms:
            return room, rooms[room]
    raise AssertionError(f"{name} is in no room of the table; give it a floor")


def imported(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "zoo":
            parent = (node.module or "").removeprefix("zoo").lstrip(".")
            for alias in node.names:
                below = f"{parent}.{alias.name}" if parent else alias.name
                is_module = (PACKAGE / below.replace(".", "/")).with_suffix(".py").is_file()
                is_module = is_module or (PACKAGE / below.replace(".", "/")).is_dir()
                found.add(below if is_module else parent)
        elif isinstance(node, ast.Import):
            found.update(alias.name.removeprefix("zoo.") for alias in node.names if alias.name.startswith("zoo."))
    return found - {"", "__version__"}


def test_the_table_covers_the_package() -> None:
    assert len(modules()) > 40
    for file in modules():
        if name := name_of(file):
            room_and_floor(name)


@pytest.mark.parametrize("file", modules(), ids=name_of)
def test_imports_point_downward(file: Path) -> None:
    name = name_of(file)
    if not name:
        return
    room, floor = room_and_floor(name)
    for other in imported(file):
        other_room, other_floor = room_and_floor(other)
        if other_room == room or other_room in NEIGHBOURS.get(room, set()):
            continue
        assert other_floor < floor, f"{name} (floor {floor}) imports {other} (floor {other_floor})"


@pytest.mark.parametrize("file", modules(), ids=name_of)
def test_a_module_says_what_it_is_and_what_it_offers(file: Path) -> None:
    tree = ast.parse(file.read_text("utf-8"))
    assert ast.get_docstring(tree), f"{file.name} has no docstring"
