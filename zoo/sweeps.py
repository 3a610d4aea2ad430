"""A merge with `sweep:` as the stages that it stands for: candidates, their scores, and the choice. Pure.

`merged` with the values 0.5 and 1 becomes `merged-0p5`, `merged-0p5-general`, `merged-0p5-specialist`, the same for 1,
`merged-general` and `merged-specialist` for the scores that count as whole, and `merged` itself: the choice.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from zoo.errors import Problem
from zoo.schema import SweepScore, SweepSpec
from zoo.source import Place, Source

__all__ = ["as_written", "expanded", "place_of"]


def place_of(name: str) -> Place:
    """Where the sweep of a merge stage is written."""
    return ("stages", name, "sweep")


def expanded(raw: Source, name: str, sweep: SweepSpec) -> Source:
    """The recipe with one sweep written out; every new key is marked with where the sweep's own stands.

    Raises RecipeError when a place that the sweep sets leads through something that is no mapping or list.
    """
    merge = {key: value for key, value in raw.data["stages"][name].items() if key != "sweep"}
    labels = [f"{name}-{_label(value)}" for value in sweep.values]
    stages: dict[str, Any] = {}
    for label, value in zip(labels, sweep.values, strict=True):
        stages[label] = _candidate(raw, name, merge, sweep, value)
        stages[f"{label}-general"] = _scored(sweep.general, f"stage:{label}")
        stages[f"{label}-specialist"] = _scored(sweep.specialist, f"stage:{label}")
    stages[f"{name}-general"] = _scored(sweep.general, str(sweep.general.of))
    stages[f"{name}-specialist"] = _scored(sweep.specialist, str(sweep.specialist.of))
    stages[name] = _choice(name, labels, sweep, merge.get("seed"))
    before = {key: value for key, value in raw.data["stages"].items() if key != name}
    marks = {**raw.marks, **dict(_marks(raw, name, stages))}
    return replace(raw, data={**raw.data, "stages": {**before, **stages}}, marks=marks)


def as_written(problems: Sequence[Problem], stages: Mapping[str, Any]) -> list[Problem]:
    """Problems in the words of the recipe as somebody wrote it: each candidate of a sweep repeats what is wrong with
    the merge, and nobody wrote the candidates' names. `stages`: the recipe's, swept ones written out."""
    names: dict[str, str] = {}
    for name, settings in stages.items():
        if isinstance(settings, dict) and settings.get("kind") == "choose":
            labels = [str(ref).removeprefix("stage:") for ref in settings.get("candidates") or ()]
            names |= {label: name for label in labels if label.startswith(f"{name}-")}
    if not names:
        return list(problems)
    candidate = re.compile(rf"\b({'|'.join(map(re.escape, sorted(names, key=len, reverse=True)))})(?![\w])")
    said = (replace(one, what=candidate.sub(lambda found: names[found[0]], one.what)) for one in problems)
    return list(dict.fromkeys(said))


def _label(value: float) -> str:
    """A value as part of a stage's name, which has no dots.

    >>> _label(0.5), _label(1.0)
    ('0p5', '1')
    """
    return f"{value:g}".replace(".", "p").replace("+", "")


def _candidate(raw: Source, name: str, merge: dict[str, Any], sweep: SweepSpec, value: float) -> dict[str, Any]:
    made = Source(merge)
    for dotted, what in sweep.set.items():
        words = tuple(int(word) if word.isdigit() else word for word in dotted.split("."))
        # Decimals are meant as they are written: 1 - 0.9 is 0.1.
        number = value if what == "value" else round(1 - value, 12)
        made = made.having(("mergekit", *words), number, raw.where((*place_of(name), "set", dotted)))
    return made.data


def _scored(score: SweepScore, model: str) -> dict[str, Any]:
    return {**score.stage, "model": model}


def _choice(name: str, labels: list[str], sweep: SweepSpec, seed: Any) -> dict[str, Any]:
    choice = {
        "kind": "choose",
        "values": list(sweep.values),
        "candidates": [f"stage:{label}" for label in labels],
        "general": [f"stage:{label}-general" for label in labels],
        "specialist": [f"stage:{label}-specialist" for label in labels],
        "general_whole": f"stage:{name}-general",
        "specialist_whole": f"stage:{name}-specialist",
        "general_metric": sweep.general.metric,
        "specialist_metric": sweep.specialist.metric,
        "keep_general": sweep.general.keep,
        "keep_specialist": sweep.specialist.keep,
        "prefer": sweep.prefer,
    }
    return choice if seed is None else {**choice, "seed": seed}


def _marks(raw: Source, name: str, stages: dict[str, Any]) -> Iterator[tuple[Place, str]]:
    """Where the keys of the new stages were written, as far as somebody wrote them."""
    for label in stages:
        yield ("stages", label), raw.where(("stages", name))
        score = next((kind for kind in ("general", "specialist") if label.endswith(f"-{kind}")), None)
        written = (*place_of(name), score, "stage") if score else ("stages", name)
        for place, where in raw.marks.items():
            if place[: len(written)] == written:
                yield ("stages", label, *place[len(written) :]), where
        if score:
            yield ("stages", label, "model"), raw.where((*place_of(name), score, "of"))
    for score in ("general", "specialist"):
        yield ("stages", name, f"{score}_metric"), raw.where((*place_of(name), score, "metric"))
