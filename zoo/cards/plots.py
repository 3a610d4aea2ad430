"""What a card shows as pictures: success by stage, size against agreement, cost against success, and training.

PNG and not SVG: the Hub, its previews and whoever mirrors a card show it alike. A picture is drawn only of what records
hold; which ones there will be is known without matplotlib (`names`). Not drawn: what only one point would be on.
"""

import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.cards.exported import ExportedFile
from zoo.records import Metric, StageRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COST",
    "FILES",
    "SUCCESS",
    "TRAINING",
    "draw_cost",
    "draw_files",
    "draw_success",
    "draw_training",
    "histories",
    "names",
]

SUCCESS, FILES, TRAINING = "plots/success.png", "plots/files.png", "plots/training.png"
COST = "plots/cost.png"

# One hue for what is measured and one for what stands out, both readable by people who are colour-blind.
_PLAIN, _STRONG, _INK = "#4477aa", "#ee6677", "#333333"
_DOTS_PER_INCH = 144
_MOST_LABEL = 24


def names(
    scores: Mapping[str, StageRecord], files: Sequence[ExportedFile], lineage: Iterable[StageRecord]
) -> dict[str, str]:
    """The pictures that these records allow: path -> what it shows, in words, for whoever cannot see it."""
    found = {}
    if len(_rates(scores)) > 1:
        told = ", ".join(f"{label} {100 * rate.value:.1f} %" for label, rate in _rates(scores).items())
        found[SUCCESS] = f"Success rate with its 95 % interval: {told}"
    if len(_agreeing(files)) > 1:
        found[FILES] = "Size of each exported file against its mean KL divergence from the checkpoint"
    if len(_costed(files)) > 1:
        found[COST] = "Seconds of one step of the agent against success, for each exported file"
    if drawn := histories(lineage):
        found[TRAINING] = "Training, step by step: " + ", ".join(f"{name} ({unit})" for name, unit, _ in drawn)
    return found


def draw_success(scores: Mapping[str, StageRecord], model: str) -> bytes:
    """A bar a label, with its interval; the bar of the published model stands out."""
    rates = _rates(scores)
    figure, axes = _figure(0.9 + 0.38 * len(rates))
    for row, (label, rate) in enumerate(rates.items()):
        own = scores[label].inputs.get("model") == model
        axes.barh(row, 100 * rate.value, color=_STRONG if own else _PLAIN, height=0.62)
        right = rate.value
        if rate.low is not None and rate.high is not None:
            right = rate.high
            # At 0 and at 1 an end of Wilson's interval is the rate itself, but for rounding.
            reach = [[100 * max(0.0, rate.value - rate.low)], [100 * max(0.0, rate.high - rate.value)]]
            axes.errorbar(100 * rate.value, row, xerr=reach, color=_INK, capsize=3, linewidth=1)
        trials = f" (n={rate.n})" if rate.n is not None else ""
        axes.annotate(
            f"{100 * rate.value:.1f} %{trials}",
            (100 * right, row),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(rates)), [_cut(label) for label in rates])
    axes.invert_yaxis()
    axes.set_xlim(0, 128)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("success, % of episodes (line: 95 % interval)")
    return _png(figure)


def draw_files(files: Sequence[ExportedFile], recommended: Collection[ExportedFile]) -> bytes:
    """A point a file: the smaller and the lower, the better; the recommended ones stand out."""
    figure, axes = _figure(2.9)
    for file in _agreeing(files):
        assert file.mean_kl is not None
        megabytes = file.bytes / 1e6
        axes.plot(megabytes, file.mean_kl.value, "o", color=_STRONG if file in recommended else _PLAIN, markersize=8)
        axes.annotate(file.type, (megabytes, file.mean_kl.value), xytext=(8, 4), textcoords="offset points", fontsize=8)
    axes.margins(x=0.18, y=0.22)
    # A divergence may be 0 to the last bit, which a logarithm cannot show.
    axes.set_yscale("symlog" if any(file.mean_kl.value <= 0 for file in _agreeing(files) if file.mean_kl) else "log")
    axes.set_xlim(left=0)
    axes.set_xlabel("size, MB")
    axes.set_ylabel("mean KL from the checkpoint, nats")
    return _png(figure)


def draw_cost(files: Sequence[ExportedFile], recommended: Collection[ExportedFile]) -> bytes:
    """A point a file, with the 95 % interval of its success: the further left and the higher, the better."""
    figure, axes = _figure(2.9)
    for file in _costed(files):
        assert file.step_seconds is not None
        assert file.success is not None
        place, rate = (file.step_seconds.value, 100 * file.success.value), file.success
        color = _STRONG if file in recommended else _PLAIN
        if rate.low is not None and rate.high is not None:
            reach = [[max(0.0, place[1] - 100 * rate.low)], [max(0.0, 100 * rate.high - place[1])]]
            axes.errorbar(*place, yerr=reach, color=_INK, capsize=3, linewidth=1)
        axes.plot(*place, "o", color=color, markersize=8)
        axes.annotate(file.type, place, xytext=(8, 4), textcoords="offset points", fontsize=8)
    axes.margins(x=0.18)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 100)
    axes.set_xlabel("seconds of one step of the agent")
    axes.set_ylabel("success, % of episodes (line: 95 % interval)")
    return _png(figure)


def draw_training(lineage: Iterable[StageRecord]) -> bytes:
    """One panel a training stage, beside each other."""
    from matplotlib.figure import Figure

    drawn = histories(lineage)
    figure = Figure(figsize=(3.5 * len(drawn), 2.6), layout="constrained")
    for index, (name, unit, points) in enumerate(drawn):
        axes = figure.add_subplot(1, len(drawn), index + 1)
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, color=_PLAIN, linewidth=1.4)
        axes.set_title(name, fontsize=9)
        axes.set_xlabel("optimizer step")
        axes.set_ylabel(unit)
        _plain(axes)
    return _png(figure)


def histories(lineage: Iterable[StageRecord]) -> list[tuple[str, str, list[tuple[float, float]]]]:
    """For each training stage that noted one: its name, what was noted, and (step, value) of at least two points.

    Reward where there is one (reinforcement), loss otherwise.
    """
    found = []
    for record in lineage:
        noted = record.notes.get("history") or record.notes.get("loss")
        if not isinstance(noted, list):
            continue
        field = "reward" if any("reward" in entry for entry in noted) else "loss"
        points = [(entry["step"], entry[field]) for entry in noted if field in entry]
        if len(points) > 1:
            found.append((record.name, "mean reward" if field == "reward" else "loss, nats", points))
    return found


def _rates(scores: Mapping[str, StageRecord]) -> dict[str, Metric]:
    rates = {label: record.metrics.get("success_rate") for label, record in scores.items()}
    return {label: rate for label, rate in rates.items() if rate is not None}


def _agreeing(files: Sequence[ExportedFile]) -> list[ExportedFile]:
    return [file for file in files if file.mean_kl is not None]


def _costed(files: Sequence[ExportedFile]) -> list[ExportedFile]:
    return [file for file in files if file.step_seconds is not None and file.success is not None]


def _figure(height_inches: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, height_inches), layout="constrained")
    axes = figure.add_subplot()
    _plain(axes)
    return figure, axes


def _plain(axes: "Axes") -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8)
    axes.xaxis.label.set_fontsize(8)
    axes.yaxis.label.set_fontsize(8)


def _png(figure: "Figure") -> bytes:
    # Without the version of matplotlib in it, so that the same records give the same bytes longer.
    metadata: dict[str, Any] = {"Software": None}
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, metadata=metadata)
    return buffer.getvalue()


def _cut(label: str) -> str:
    # A dollar sign would begin a formula.
    short = label if len(label) <= _MOST_LABEL else label[: _MOST_LABEL - 1] + "…"
    return short.replace("$", r"\$")
