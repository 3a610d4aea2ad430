from pathlib import Path

from zoo import machine


def driver(folder: Path, *models: str) -> Path:
    """What NVIDIA's driver shows under /proc for these GPUs."""
    for number, model in enumerate(models):
        (folder / f"0000:0{number}:00.0").mkdir(parents=True)
        (folder / f"0000:0{number}:00.0" / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 24\n")
    return folder


def test_auto_is_the_gpu_where_the_driver_shows_one_and_else_the_cpu(tmp_path: Path) -> None:
    assert machine.device("auto", tmp_path / "none") == "cpu"
    assert machine.device("auto", driver(tmp_path, "NVIDIA H200")) == "cuda"
    assert machine.device("cuda:1", tmp_path / "none") == "cuda:1"


def test_the_hardware_names_what_is_there_and_nothing_else(tmp_path: Path) -> None:
    assert "gpus" not in machine.hardware(tmp_path / "none")
    found = machine.hardware(driver(tmp_path, "NVIDIA H200", "NVIDIA H200"))
    assert found["gpus"] == "NVIDIA H200, NVIDIA H200"
    assert found["cores"] >= 1
    assert found["memory_bytes"] > 2**28


def test_versions_leave_out_what_is_not_installed() -> None:
    found = machine.versions(("pydantic", "surely-not-installed"))
    assert set(found) == {"python", "pydantic"}
