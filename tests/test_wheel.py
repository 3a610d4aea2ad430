"""What lies beside the package in a checkout must travel inside it in a wheel: one is built and installed here."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ASK = """
import json
from zoo import shipped
folders = {name: shipped.folder(name) for name in ("recipes", "cards", "spaces")}
found = {name: [str(folder), sorted(file.name for file in folder.iterdir())] for name, folder in folders.items()}
print(json.dumps(found))
"""


def python(*arguments: str, **options: object) -> str:
    """Run this Python away from the checkout and return what it prints."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, built without a network by the back-end that pyproject.toml names."""
    target = tmp_path_factory.mktemp("wheel")
    python("-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(ROOT))
    [built] = target.glob("edgezoo-*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel alone was installed, as pip does it."""
    target = tmp_path_factory.mktemp("installed")
    python("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target), str(wheel))
    return target


def test_an_installed_wheel_carries_what_lies_beside_the_package(installed: Path) -> None:
    found = json.loads(python("-c", ASK, cwd=installed))
    for name in ("recipes", "cards", "spaces"):
        folder, files = found[name]
        assert Path(folder) == installed / "zoo" / "_shipped" / name
        assert files == sorted(file.name for file in (ROOT / name).iterdir())


def test_the_recipes_are_listed_from_an_install(installed: Path) -> None:
    listed = json.loads(python("-c", "from zoo.cli import main; main(['ls', '--json'])", cwd=installed))
    assert {recipe["name"] for recipe in listed} == {file.stem for file in (ROOT / "recipes").glob("*.yaml")}


def test_a_card_can_be_written_from_an_install(installed: Path) -> None:
    ask = "import example_records as e; from zoo.cards import model_card; print(model_card(e.data()))"
    printed = python("-c", ask, cwd=installed, env={"PYTHONPATH": f"{installed}:{ROOT / 'tests'}"})
    assert "# pocket-135m" in printed


def test_a_wheel_holds_the_package_and_nothing_of_the_workshop(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    described = wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"
    assert {name.split("/")[0] for name in names} == {"zoo", described}
    assert not [name for name in names if name.endswith((".pyc", ".part"))]
