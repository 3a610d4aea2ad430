"""A recipe as ordered stages, each with the key under which its result is kept. Pure: whoever asks brings the commits.

A key is the digest of a stage's kind and its version, its settings with their defaults, its seed, and the content that
it reads. Names, comments, the order of keys, paths, devices and library versions are not in it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo import check, fingerprint, registry
from zoo.refs import HubRef, PathRef, Ref, StageRef
from zoo.schema import Accepts, Recipe, StageSpec, references
from zoo.schema.settings import IDENTITY

__all__ = ["Identify", "PlannedStage", "StageInput", "lineage", "lock", "plan", "selected"]

Identify = Callable[[HubRef | PathRef, Accepts], str | None]
"""The content that a reference stands for: `owner/name@commit` or `sha256:...`; None when no Hub could be asked."""


@dataclass(frozen=True)
class StageInput:
    """One thing that a stage reads."""

    ref: Ref
    accepts: Accepts
    identity: str | None
    """`stage:<key>`, `owner/name@<commit>` or `sha256:<digest>`; None when it is not known yet."""


@dataclass(frozen=True)
class PlannedStage:
    """A stage that could run as soon as what it reads is there."""

    name: str
    kind: str
    version: int
    spec: StageSpec
    seed: int
    inputs: Mapping[str, StageInput]
    """Dotted place of a reference in the spec -> what it is."""
    key: str | None
    """None when something that it reads could not be identified."""

    @property
    def upstream(self) -> tuple[str, ...]:
        """The names of the stages that it reads, each once."""
        names = (item.ref.name for item in self.inputs.values() if isinstance(item.ref, StageRef))
        return tuple(dict.fromkeys(names))

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings, defaults included, without what the key holds elsewhere: the seed and the references."""
        settings = self.spec.model_dump(mode="json", exclude={"seed"}, context=IDENTITY)
        for place in self.inputs:
            _blank(settings, place.split("."))
        return settings


def plan(recipe: Recipe, identify: Identify, texts: str = "") -> list[PlannedStage]:
    """The stages of a checked recipe, each after those that it reads.

    `texts` is a digest of what is published as it was written: the recipe's file and the card templates.

    >>> [stage.name for stage in plan(recipe, lambda ref, accepts: "a/b@0123")]  # doctest: +SKIP
    ['demos', 'sft', 'merged']
    """
    planned: dict[str, PlannedStage] = {}
    for name in check.order(recipe.stages):
        planned[name] = _planned(name, recipe, planned, identify, texts)
    return list(planned.values())


def selected(
    stages: list[PlannedStage], *, first: str | None = None, last: str | None = None, only: Collection[str] = ()
) -> list[str]:
    """The names that `--from`, `--until` and `--only` leave, in running order.

    `first` leaves itself and what rests on it, `last` itself and what it rests on, `only` those that it names.
    """
    names = [stage.name for stage in stages]
    if only:
        return [name for name in names if name in only]
    if first:
        names = [name for name in names if name == first or first in lineage(stages, name)]
    if last:
        names = [name for name in names if name == last or name in lineage(stages, last)]
    return names


def lineage(stages: list[PlannedStage], name: str) -> list[str]:
    """Every stage that one rests on, however far up, in running order."""
    by_name = {stage.name: stage for stage in stages}
    above: set[str] = set()
    pending = [name]
    while pending:
        upstream = by_name[pending.pop()].upstream
        pending.extend(up for up in upstream if up not in above)
        above.update(upstream)
    return [stage.name for stage in stages if stage.name in above]


def lock(
    recipe: Recipe,
    stages: list[PlannedStage],
    versions: Mapping[str, str],
    *,
    tiny: bool,
    overrides: Sequence[str] = (),
    licences: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The recipe resolved: every commit, key and setting that a later run needs to make the same again.

    `licences`: for each stage that publishes, what it may be published under and why.
    """
    return {
        "name": recipe.name,
        "version": recipe.version,
        "summary": recipe.summary,
        "license": recipe.license,
        "licences": dict(licences or {}),
        "seed": recipe.seed,
        "tiny": tiny,
        "overrides": list(overrides),
        "versions": dict(versions),
        "stages": {stage.name: _locked(stage) for stage in stages},
    }


def _locked(stage: PlannedStage) -> dict[str, Any]:
    inputs = {place: str(item.identity) for place, item in stage.inputs.items()}
    return {"kind": stage.kind, "key": stage.key, "seed": stage.seed, "inputs": inputs, "settings": stage.settings}


def _planned(
    name: str, recipe: Recipe, planned: Mapping[str, PlannedStage], identify: Identify, texts: str
) -> PlannedStage:
    spec = recipe.stages[name]
    entry = registry.STAGES[spec.kind]
    inputs = {}
    for place, ref, accepts in references(spec):
        if isinstance(ref, StageRef):
            key = planned[ref.name].key
            identity = key and f"stage:{key}"
        else:
            identity = identify(ref, accepts)
        inputs[place] = StageInput(ref, accepts, identity)
    seed = recipe.seed if spec.seed is None else spec.seed
    stage = PlannedStage(name, spec.kind, entry.version, spec, seed, inputs, None)
    return PlannedStage(
        name, spec.kind, entry.version, spec, seed, inputs, _key(stage, texts if entry.reads_recipe else None)
    )


def _key(stage: PlannedStage, texts: str | None) -> str | None:
    identities = {place: item.identity for place, item in stage.inputs.items()}
    if None in identities.values():
        return None
    content = {
        "kind": stage.kind,
        "version": stage.version,
        "settings": stage.settings,
        "seed": stage.seed,
        "inputs": identities,
    }
    return fingerprint.of_data(content if texts is None else {**content, "texts": texts})


def _blank(settings: Any, words: list[str]) -> None:
    *way, last = words
    for word in way:
        settings = settings[int(word)] if isinstance(settings, list) else settings[word]
    settings[int(last) if isinstance(settings, list) else last] = None
