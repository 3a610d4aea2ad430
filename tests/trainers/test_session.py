"""Checkpoints that a kill cut off, and the arithmetic of a history."""

from pathlib import Path

import pytest

from zoo.trainers.session import _mark_whole, last_checkpoint, mean_of_share, thinned


def checkpoint_at(folder: Path, step: int, whole: bool = True) -> Path:
    path = folder / f"checkpoint-{step}"
    (path / "deep").mkdir(parents=True)
    (path / "model.safetensors").write_bytes(bytes(100))
    (path / "deep" / "rng.pth").write_bytes(bytes(10))
    if whole:
        _mark_whole(path)
    return path


def test_the_newest_whole_checkpoint_is_taken_by_number(tmp_path: Path) -> None:
    for step in (9, 100, 20):
        checkpoint_at(tmp_path, step)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-100"


def test_one_without_its_mark_is_removed(tmp_path: Path) -> None:
    checkpoint_at(tmp_path, 10)
    cut = checkpoint_at(tmp_path, 20, whole=False)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert not cut.exists()


@pytest.mark.parametrize("harm", ["shorter", "gone", "more"])
def test_one_that_no_longer_is_what_its_mark_says_is_removed(tmp_path: Path, harm: str) -> None:
    path = checkpoint_at(tmp_path, 10)
    file = path / "model.safetensors"
    if harm == "shorter":
        file.write_bytes(bytes(99))
    elif harm == "gone":
        file.unlink()
    else:
        (path / "extra").write_bytes(b"x")
    assert last_checkpoint(tmp_path) is None
    assert not path.exists()


def test_without_checkpoints_a_run_begins_anew(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "none") is None
    (tmp_path / "checkpoint-x").mkdir()
    assert last_checkpoint(tmp_path) is None


def test_the_ends_of_a_run_are_means_of_a_tenth() -> None:
    values = [float(value) for value in range(20)]
    assert (mean_of_share(values, last=False), mean_of_share(values, last=True)) == (0.5, 18.5)
    assert mean_of_share([3.0], last=True) == 3.0


def test_a_long_history_is_thinned_by_means() -> None:
    history = [{"step": float(step), "loss": float(step)} for step in range(1, 1001)]
    points = thinned(history, ["loss"])
    assert len(points) == 200
    assert points[0] == {"step": 5.0, "loss": 3.0} and points[-1] == {"step": 1000.0, "loss": 998.0}
    assert thinned(history[:3], ["loss"]) == history[:3]
    assert thinned([], ["loss"]) == []
