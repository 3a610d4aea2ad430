from pathlib import Path

import pytest

from zoo import shipped


def test_a_checkout_finds_its_folders_beside_the_package() -> None:
    root = Path(shipped.__file__).parent.parent
    for name in ("recipes", "cards", "spaces"):
        assert shipped.folder(name) == root / name


def test_an_installed_wheel_finds_its_folders_inside_the_package(tmp_path: Path) -> None:
    inside = tmp_path / "zoo" / "_shipped" / "cards"
    inside.mkdir(parents=True)
    (tmp_path / "cards").mkdir()
    (tmp_path / "pyproject.toml").touch()
    assert shipped.folder("cards", tmp_path / "zoo") == inside


def test_a_folder_of_another_package_in_site_packages_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "zoo").mkdir()
    (tmp_path / "cards").mkdir()
    with pytest.raises(FileNotFoundError, match="carries no cards/"):
        shipped.folder("cards", tmp_path / "zoo")
