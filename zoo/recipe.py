"""A recipe read from its file: inheritance, overrides and the tiny twin applied, every problem named with its line.

What can be known from the file alone is checked here: keys, types, references between stages, and the options of TRL,
peft and mergekit. What a Hub must be asked for is checked by the plan.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from zoo import check, registry, source, sweeps
from zoo.errors import Problem, RecipeError, did_you_mean
from zoo.schema import Recipe, StageSpec, SweepSpec
from zoo.source import Place, Source

__all__ = ["LoadedRecipe", "load"]

_OF_THE_RECIPE = ("name", "license")
"""What a stage takes from the recipe's head when it has such a key and does not say otherwise."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class LoadedRecipe:
    """A recipe and the text that it came from."""

    recipe: Recipe
    path: Path
    texts: Mapping[str, str]
    """Files as written: the recipe as `recipe.yaml`, and under their own names those that it extends."""
    source: Source
    overrides: tuple[str, ...] = ()
    tiny: bool = False

    @property
    def name(self) -> str:
        """Its name, with `-tiny` for the tiny twin: two runs of one name exclude each other."""
        return self.recipe.name + ("-tiny" if self.tiny else "")

    def where(self, *place: str | int) -> str:
        """`file:line` of a place in the recipe."""
        return self.source.where(place)


def load(path: Path, overrides: Sequence[str] = (), *, tiny: bool = False) -> LoadedRecipe:
    """Read, extend, override and check a recipe.

    `overrides` are `dotted.key=value` as `--set` takes them; a first word that names a stage is short for
    `stages.<name>`. Raises RecipeError with all problems at once.

    >>> load(Path("recipes/pocket-135m.yaml"), ["sft.trl.learning_rate=1e-4"])  # doctest: +SKIP
    """
    texts = {"recipe.yaml": _text(path)}
    raw = _extended(source.parse(texts["recipe.yaml"], _shown(path)), path, (), texts)
    for override in overrides:
        raw = _overridden(raw, override)
    if tiny:
        raw = _tiny(raw)
    raw = _swept(raw)
    recipe = _typed(raw)
    if problems := check.problems(recipe, raw.where, tiny=tiny):
        raise RecipeError(sweeps.as_written(problems, raw.data["stages"]))
    return LoadedRecipe(recipe, path, texts, raw, tuple(overrides), tiny)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError as error:
        known = sorted(str(file) for file in path.parent.glob("*.yaml"))
        raise RecipeError([Problem(str(path), "there is no such recipe", did_you_mean(str(path), known))]) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError([Problem(str(path), f"the recipe cannot be read: {error}")]) from error


def _shown(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return path.name


def _extended(raw: Source, path: Path, seen: tuple[Path, ...], texts: dict[str, str]) -> Source:
    """Lay a recipe over the one that it extends, and that over its own, however long the chain. Adds to `texts`."""
    parent = raw.data.get("extends")
    if parent is None:
        return raw
    where = raw.where(("extends",))
    if not isinstance(parent, str):
        raise RecipeError([Problem(where, f"extends names one file, this is {parent!r}", "write extends: other.yaml")])
    file = (path.parent / parent).resolve()
    if file in (path.resolve(), *seen):
        raise RecipeError([Problem(where, f"{parent} extends this recipe in turn", "break the circle")])
    if not file.is_file():
        known = [other.name for other in path.parent.glob("*.yaml") if other != path]
        raise RecipeError([Problem(where, f"there is no {parent} beside this recipe", did_you_mean(parent, known))])
    texts[file.name] = _text(file)
    base = _extended(source.parse(texts[file.name], _shown(file)), file, (*seen, path.resolve()), texts)
    own = {key: value for key, value in raw.data.items() if key != "extends"}
    return Source(own, raw.marks, raw.origin).over(base)


def _overridden(raw: Source, override: str) -> Source:
    key, separator, value = override.partition("=")
    where = f"--set {override}"
    if not separator or not key:
        raise RecipeError([Problem(where, "this sets nothing", "write --set key.inner=value")])
    return raw.having(_place(raw, key, where), source.parse_scalar(value), where)


def _place(raw: Source, dotted: str, where: str) -> Place:
    words: list[str | int] = [int(word) if word.isdigit() else word for word in dotted.split(".")]
    stages = raw.data.get("stages")
    stages = stages if isinstance(stages, dict) else {}
    if words[0] in Recipe.model_fields:
        return tuple(words)
    if words[0] in stages:
        return ("stages", *words)
    known = [*Recipe.model_fields, *stages]
    raise RecipeError(
        [
            Problem(
                where, f"{words[0]!r} is neither a key nor a stage of this recipe", did_you_mean(str(words[0]), known)
            )
        ]
    )


def _tiny(raw: Source) -> Source:
    """The twin: models and datasets of the Hub give way to stages that make small ones, settings shrink."""
    twin = raw.data.get("tiny") or {}
    if not isinstance(twin, dict) or not isinstance(raw.data.get("stages"), dict):
        return raw
    made: dict[str, dict[str, Any]] = {}
    names: dict[str, str] = {}
    for repo, stand_in in (twin.get("replace") or {}).items():
        names[repo] = f"tiny-{str(stand_in).replace('_', '-')}"
        made[names[repo]] = {"kind": "tiny-rows"} if stand_in == "rows" else {"kind": "tiny", "architecture": stand_in}
    stages = {**made, **_replaced(raw.data["stages"], names)}
    twin_source = Source({**raw.data, "stages": stages}, raw.marks, raw.origin)
    for key, value in (twin.get("set") or {}).items():
        where = raw.where(("tiny", "set", key))
        twin_source = twin_source.having(_place(twin_source, key, where), value, where)
    return twin_source


def _replaced(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {_replaced(key, names): _replaced(value, names) for key, value in node.items()}  # keys: of a mixture
    if isinstance(node, list):
        return [_replaced(value, names) for value in node]
    if isinstance(node, str) and node.split("@")[0] in names:
        return f"stage:{names[node.split('@')[0]]}"
    return node


def _swept(raw: Source) -> Source:
    """Merges with a sweep as the stages that they stand for."""
    stages = raw.data.get("stages")
    problems: list[Problem] = []
    for name, settings in (stages if isinstance(stages, dict) else {}).items():
        if not isinstance(settings, dict) or settings.get("kind") != "merge" or settings.get("sweep") is None:
            continue
        place = sweeps.place_of(name)
        if not isinstance(settings["sweep"], dict):
            problems.append(Problem(raw.where(place), f"{name}.sweep is {settings['sweep']!r}", "write a mapping"))
        elif sweep := _validated(SweepSpec, settings["sweep"], raw, place, problems):
            raw = sweeps.expanded(raw, name, sweep)
    if problems:
        raise RecipeError(problems)
    return raw


def _typed(raw: Source) -> Recipe:
    problems: list[Problem] = []
    stages = raw.data.get("stages")
    head = {**raw.data, "stages": {}} if "stages" in raw.data else raw.data
    recipe = _validated(Recipe, head, raw, (), problems)
    typed: dict[str, StageSpec] = {}
    if not isinstance(stages, dict) or not stages:
        if "stages" in raw.data:
            problems.append(
                Problem(raw.where(("stages",)), "a recipe needs stages", "write stages: {sft: {kind: sft, ...}}")
            )
    else:
        for name, settings in stages.items():
            if spec := _typed_stage(str(name), settings, raw, problems):
                typed[str(name)] = spec
    if problems or recipe is None:
        raise RecipeError(sweeps.as_written(problems, stages if isinstance(stages, dict) else {}))
    return recipe.model_copy(update={"stages": typed})


def _typed_stage(name: str, settings: Any, raw: Source, problems: list[Problem]) -> StageSpec | None:
    place: Place = ("stages", name)
    where = raw.where(place)
    if not isinstance(settings, dict):
        problems.append(Problem(where, f"stage {name} is {settings!r}", "write a mapping with kind: and its settings"))
        return None
    kind = settings.get("kind")
    if kind not in registry.STAGES:
        what = f"stage {name} has no kind" if kind is None else f"{kind!r} is no kind of stage"
        problems.append(Problem(raw.where((*place, "kind")), what, did_you_mean(str(kind), list(registry.STAGES))))
        return None
    spec_class: type[StageSpec] = registry.load(registry.STAGES[kind].spec)
    if "agent" in spec_class.model_fields and isinstance(raw.data.get("agent"), dict):
        settings = {**settings, "agent": {**raw.data["agent"], **(settings.get("agent") or {})}}
    for key in _OF_THE_RECIPE:
        if key in spec_class.model_fields and isinstance(raw.data.get(key), str):
            settings = {key: raw.data[key], **settings}
    return _validated(spec_class, settings, raw, place, problems)


def _validated(model: type[M], data: Mapping[str, Any], raw: Source, place: Place, problems: list[Problem]) -> M | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        problems.extend(_problem(model, details, raw, place) for details in error.errors())
        return None


def _problem(model: type[BaseModel], details: Any, raw: Source, place: Place) -> Problem:
    """One of pydantic's findings in our three parts. Its path may end in the names of union members: they are cut."""
    inner = tuple(details["loc"])
    full = (*place, *inner)
    dotted = ".".join(str(word) for word in full)
    if details["type"] == "extra_forbidden":
        known = _known_keys(model, inner[:-1])
        return Problem(
            raw.where(full),
            f"unknown key {inner[-1]!r} in {dotted.rpartition('.')[0] or 'the recipe'}",
            did_you_mean(str(inner[-1]), known),
        )
    if details["type"] == "missing":
        return Problem(raw.where(full), f"{dotted} is missing", f"write {inner[-1]}: ...")
    while full not in raw.marks and len(full) > len(place) + 1:
        full = full[:-1]
    shown = ".".join(str(word) for word in full)
    message = details["msg"].removeprefix("Value error, ")
    if details["type"] == "literal_error":
        choices = details["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        return Problem(
            raw.where(full), f"{shown} is {details['input']!r}", did_you_mean(str(details["input"]), choices)
        )
    if details["type"] == "too_short":
        entries, least = details["ctx"]["actual_length"], details["ctx"]["min_length"]
        return Problem(raw.where(full), f"{shown} has {entries} entries", f"write {least} at least")
    if details["type"] == "value_error":
        return Problem(raw.where(full), f"{shown}: {message}")
    return Problem(raw.where(full), f"{shown} is {details['input']!r}", message)


def _known_keys(model: type[BaseModel], path: Iterable[str | int]) -> list[str]:
    """The keys that stand beside a mistyped one, however deep it stands."""
    current: Any = model
    for word in path:
        if isinstance(word, str) and isinstance(current, type) and issubclass(current, BaseModel):
            info = current.model_fields.get(word)
            current = _inner_model(info.annotation) if info else None
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _inner_model(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_inner_model(argument) for argument in getattr(annotation, "__args__", ()))
    return next((model for model in found if model), None)
