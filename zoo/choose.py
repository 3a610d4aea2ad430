"""The choice of a sweep: of several merges the best that keeps enough of what the base and the specialist could do."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zoo import records
from zoo.errors import GateError, Problem, RecipeError, did_you_mean
from zoo.records import RECORD_NAME, Metric, StageContext, StageResult
from zoo.schema import ChooseSpec

__all__ = ["PLOT_NAME", "Candidate", "best", "run"]

PLOT_NAME = "sweep.svg"


@dataclass(frozen=True)
class Candidate:
    """One value of a sweep, its two scores, and the share of the whole score that each is."""

    value: float
    general: float
    specialist: float
    kept_general: float
    kept_specialist: float
    kept: bool
    """Whether both shares are as large as the recipe asks."""


def run(spec: ChooseSpec, ctx: StageContext) -> StageResult:
    """Leave the chosen model in `ctx.out`, as links to the files of its merge, beside a plot of all.

    Raises GateError, with the table and the place of the plot, when no candidate keeps enough of both scores, GateError
    when a share is asked of a score that is 0 as a whole, and RecipeError when a score has no such metric.
    """
    rows = _candidates(spec, ctx)
    chosen = best(rows, spec.prefer)
    if chosen is None:
        _draw(rows, spec, None, ctx.scratch / PLOT_NAME)
        raise GateError(
            f"no merge keeps {spec.keep_general:.0%} of the general score and {spec.keep_specialist:.0%} of the "
            f"specialist's:\n{_table(rows)}\n  plot: {ctx.scratch / PLOT_NAME}\n  try values between the best two, "
            "a longer training, or a lower `keep`"
        )
    _link(ctx.inputs[f"candidates.{rows.index(chosen)}"], ctx.out)
    _draw(rows, spec, chosen, ctx.out / PLOT_NAME)
    metrics = {name: Metric(getattr(chosen, name)) for name in ("value", "general", "specialist")}
    return StageResult(metrics, {"sweep": [asdict(row) for row in rows], "chosen": chosen.value})


def best(rows: Sequence[Candidate], prefer: str) -> Candidate | None:
    """The candidate with the highest preferred score among those that keep both; the first of equals."""
    other = "general" if prefer == "specialist" else "specialist"
    kept = [row for row in rows if row.kept]
    return max(kept, key=lambda row: (getattr(row, prefer), getattr(row, other)), default=None)


def _candidates(spec: ChooseSpec, ctx: StageContext) -> list[Candidate]:
    general_whole = _whole(ctx, "general", spec.general_metric, spec.keep_general)
    specialist_whole = _whole(ctx, "specialist", spec.specialist_metric, spec.keep_specialist)
    rows = []
    for index, value in enumerate(spec.values):
        general = _score(ctx, f"general.{index}", spec.general_metric)
        specialist = _score(ctx, f"specialist.{index}", spec.specialist_metric)
        shares = _share(general, general_whole), _share(specialist, specialist_whole)
        kept = shares[0] >= spec.keep_general and shares[1] >= spec.keep_specialist
        rows.append(Candidate(value, general, specialist, *shares, kept))
    return rows


def _whole(ctx: StageContext, side: str, metric: str, keep: float) -> float:
    """The score of which a share is to be kept; of a tiny twin, whose models know nothing, it may be 0."""
    whole = _score(ctx, f"{side}_whole", metric)
    if whole <= 0 < keep and not records.read(ctx.inputs[f"{side}_whole"]).tiny:
        raise GateError(
            f"nothing to keep: the {side} score ({metric}) of the model that counts as whole is {whole:g}, so that any "
            "merge would keep all of it; train that model longer, score on more or easier tasks, or write keep: 0"
        )
    return whole


def _score(ctx: StageContext, place: str, metric: str) -> float:
    metrics = records.read(ctx.inputs[place]).metrics
    if metric not in metrics:
        what = f"the stage measured no {metric!r}"
        raise RecipeError([Problem(place, what, did_you_mean(metric, list(metrics)))])
    return metrics[metric].value


def _share(score: float, whole: float) -> float:
    """Of nothing, everything is kept: it comes to that only where nothing is asked, or in a tiny twin."""
    return score / whole if whole > 0 else 1.0


def _table(rows: Sequence[Candidate]) -> str:
    lines = [f"  {'value':>7} {'general':>9} {'kept':>6} {'specialist':>11} {'kept':>6}"]
    lines += [
        f"  {row.value:>7g} {row.general:>9.4g} {row.kept_general:>6.0%} {row.specialist:>11.4g} "
        f"{row.kept_specialist:>6.0%}"
        for row in rows
    ]
    return "\n".join(lines)


def _link(source: Path, target: Path) -> None:
    """Hard links; copies where the two lie on different disks."""
    for file in sorted(source.rglob("*")):
        if not file.is_file() or file.name == RECORD_NAME:
            continue
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, place)
        except OSError:
            shutil.copyfile(file, place)


def _draw(rows: Sequence[Candidate], spec: ChooseSpec, chosen: Candidate | None, target: Path) -> None:
    """Each merge as a point: what it keeps of one world against what it keeps of the other."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "edgezoo", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(4.6, 3.6), layout="constrained")
        FigureCanvasSVG(figure)
        _draw_points(figure.subplots(), rows, spec, chosen)
        part = target.with_suffix(".part")
        figure.savefig(part, format="svg", metadata={"Date": None, "Creator": None})
    part.replace(target)


def _draw_points(axes: Any, rows: Sequence[Candidate], spec: ChooseSpec, chosen: Candidate | None) -> None:
    axes.plot([100 * row.kept_general for row in rows], [100 * row.kept_specialist for row in rows], "-", color="0.8")
    for row in rows:
        place = (100 * row.kept_general, 100 * row.kept_specialist)
        axes.plot(
            *place, "o", color="C2" if row is chosen else "C0" if row.kept else "0.6", ms=8 if row is chosen else 6
        )
        axes.annotate(f"{row.value:g}", place, xytext=(6, 4), textcoords="offset points")
    axes.axvline(100 * spec.keep_general, color="0.5", lw=0.8, ls=":")
    axes.axhline(100 * spec.keep_specialist, color="0.5", lw=0.8, ls=":")
    axes.set(
        xlabel=f"general score kept ({spec.general_metric}), %", ylabel=f"specialist ({spec.specialist_metric}), %"
    )
    axes.spines[["top", "right"]].set_visible(False)
