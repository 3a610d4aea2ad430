"""Under what licence each publication of a plan may go out, asked of the cards of everything that it is made of.

Not covered: what comes from a local path, which has no card; its licence is the recipe's word.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from zoo import plan
from zoo.errors import Problem
from zoo.licences import Licence, Refused, Role, Source, identifiers, licence_for
from zoo.plan import PlannedStage
from zoo.recipe import LoadedRecipe
from zoo.refs import HubRef, StageRef
from zoo.schema import PublishSpec, Recipe

__all__ = ["as_data", "licences", "sources"]

CardOf = Callable[[HubRef, Any], str | None]
"""The README.md of a pinned repository of a kind; None when it has none."""


def licences(
    loaded: LoadedRecipe, stages: Sequence[PlannedStage], card_of: CardOf, names: Collection[str]
) -> tuple[dict[str, Licence], list[Problem]]:
    """For each named stage that publishes, its licence; and, at the recipe's line, why one may not be published."""
    found: dict[str, Licence] = {}
    problems = []
    recipe = loaded.recipe
    for stage in stages:
        if stage.name not in names or not isinstance(stage.spec, PublishSpec):
            continue
        try:
            found[stage.name] = _licence(recipe, list(sources(stages, stage, card_of)))
        except Refused as error:
            what = f"stage {stage.name} would publish as {recipe.license}, but {error}"
            instead = (
                "state the licence that holds as `license:`, or say in `license_reason:` why this one does "
                "(the card quotes it)"
            )
            problems.append(Problem(loaded.where("license"), what, instead))
    return found, problems


def sources(stages: Sequence[PlannedStage], publication: PlannedStage, card_of: CardOf) -> Iterator[Source]:
    """Everything of a Hub that a publication is made of, each once, with what its card says of its licence."""
    names = _made_of(stages, publication) | {publication.name}
    seen = set()
    for stage in stages:
        for place, item in stage.inputs.items() if stage.name in names else ():
            if not isinstance(item.ref, HubRef) or item.identity in seen:
                continue
            seen.add(item.identity)
            card = card_of(item.ref, item.accepts.hub)
            yield Source(str(item.identity), _role(stage, place), identifiers(card or ""))


def as_data(found: Mapping[str, Licence]) -> dict[str, Any]:
    """Licences as they stand in `recipe.lock.yaml`."""
    return {name: _data(licence) for name, licence in found.items()}


def _licence(recipe: Recipe, made_of: list[Source]) -> Licence:
    return licence_for(made_of, recipe.license, recipe.license_reason)


def _made_of(stages: Sequence[PlannedStage], publication: PlannedStage) -> set[str]:
    """The stages that reach what is published; an evaluation of the base model is no reason to bear its licence."""
    carried = ("model", "adapter", "datasets")
    refs = [item.ref for place, item in publication.inputs.items() if place.partition(".")[0] in carried]
    names = {ref.name for ref in refs if isinstance(ref, StageRef)}
    return names.union(*(plan.lineage(list(stages), name) for name in names))


def _role(stage: PlannedStage, place: str) -> Role:
    if stage.inputs[place].accepts.hub == "dataset":
        return "dataset"
    if stage.kind == "merge":
        return "merge parent"
    if stage.kind == "data":  # who played the episodes that the rows were made of
        return "teacher"
    return "teacher" if "teacher" in place or stage.kind == "logits" else "base"


def _data(licence: Licence) -> dict[str, Any]:
    made_of = [
        {"source": source.name, "role": source.role, "licences": list(source.licences)} for source in licence.sources
    ]
    return {
        "license": licence.spdx,
        "reason": licence.reason,
        "obligations": list(licence.obligations),
        "sources": made_of,
    }
