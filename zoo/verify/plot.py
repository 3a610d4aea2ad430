"""`verify.svg`: KL by position and agreement by file, drawn from the rows of `verify.json`.

KL that grows with the position points to positions (a wrong rotary base), KL that is the same everywhere to weights.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["PLOT_NAME", "draw"]

PLOT_NAME = "verify.svg"
_LINES = {"steps": "-", "general": ":"}
_SMALLEST = 1e-12
"""KL below it is drawn as this: a logarithm has no 0."""


def draw(rows: Sequence[Mapping[str, Any]], target: Path) -> None:
    """Write the picture, whole or not at all; the same rows give the same bytes. Files that were not measured are left
    out, and without any there is no picture."""
    measured = [row for row in rows if any(row["curves"].values())]
    if not measured:
        return
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "edgezoo", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        FigureCanvasSVG(figure)
        by_position, by_file = figure.subplots(1, 2, width_ratios=[3, 2])
        _draw_curves(by_position, measured)
        _draw_agreement(by_file, measured)
        part = target.with_suffix(".part")
        figure.savefig(part, format="svg", metadata={"Date": None, "Creator": None})
    part.replace(target)


def _draw_curves(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    for colour, row in enumerate(rows):
        for kind, curve in row["curves"].items():
            positions = [one["position"] for one in curve]
            kls = [max(_number(one["mean_kl"]), _SMALLEST) for one in curve]
            axes.plot(positions, kls, _LINES[kind], color=f"C{colour}", lw=1.4, label=f"{row['type']}, {kind}")
        axes.axhline(row["gate"]["mean_kl"], color=f"C{colour}", lw=0.6, alpha=0.5)
    axes.set(yscale="log", xlabel="position, tokens", ylabel="mean KL to the checkpoint, nats")
    axes.set_title("KL by position; thin lines are the gates", fontsize=9)
    axes.legend(fontsize=7, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)


def _draw_agreement(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    for place, row in enumerate(rows):
        for kind, marker in (("agreement", "o"), ("general", "D")):
            if measured := row[kind]:
                axes.plot(100 * measured["top1"], place, marker, color=f"C{place}", ms=6)
        axes.plot([100 * row["gate"]["top1"]] * 2, [place - 0.3, place + 0.3], color=f"C{place}", lw=1, alpha=0.6)
    axes.set_yticks(range(len(rows)), [row["type"] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel("top-1 agreement, %")
    axes.set_title("o agent's steps, ◇ general text, | gate", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)


def _number(value: float | None) -> float:
    """What is no number is drawn where nobody overlooks it."""
    return value if value is not None and value == value else 1e3
