"""`recipes zoo`: its table on a narrow terminal."""

from io import StringIO

import pytest
from rich.console import Console

from zoo.cli import zoo as command
from zoo.index import Entry, FileEntry
from zoo.records import Metric

HEADINGS = ["model", "repository", "size", "world", "success", "recommended file", "recipe"]


def entry(name: str) -> Entry:
    """A model of the zoo with a long name and a rate with its interval."""
    file = FileEntry(f"{name.title()}-Q8_0.gguf", f"edgezoo/{name}-GGUF", 144_812_288, "Q8_0", True)
    rate = Metric(0.16, n=50, low=0.083, high=0.285)
    told = {"world": "arithmetic-alone", "split": "train", "success": rate, "files": (file,), "recommended": file.name}
    cost = {"machine": "", "seconds": 1.0, "peak_memory_bytes": 1, "bytes": 1}
    return Entry(f"edgezoo/{name}", name, 2, "A model.", "mit", **told, **cost, commit="0123456789abcdef")


@pytest.mark.parametrize("width", [80, 100, 160])
def test_headings_and_figures_stay_whole_however_narrow_the_terminal(width: int) -> None:
    shown = StringIO()
    Console(file=shown, width=width).print(command._table([entry("pocket-135m"), entry("dual-lora-desk-135m")]))
    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    words = " ".join(lines[:2]).split()
    assert set(words) >= {word for heading in HEADINGS if heading != "recommended file" for word in heading.split()}
    assert "16% of 50" in shown.getvalue()
    assert "138.1 MiB" in shown.getvalue()
