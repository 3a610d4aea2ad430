"""What can be wrong with a publication that shows the wrong format, or numbers of other files than it publishes."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec

from zoo import shipped
from zoo.errors import Problem, did_you_mean
from zoo.refs import StageRef
from zoo.schema import GGUFSpec, ONNXSpec, PublishSpec, Recipe
from zoo.source import Place

__all__ = ["problems"]

Where = Callable[[Place], str]

# A Hub takes 96 characters (huggingface_hub's validate_repo_id), `-adapter` among them.
_LONGEST_NAME = 96 - len("-adapter")

# Key of the publication -> the kind of stage that writes such files, and the keys that show measures of them.
_FORMATS = {
    "export": ("gguf", ("verify", "latency")),
    "onnx": ("onnx", ("onnx_verify", "onnx_latency")),
}


def problems(recipe: Recipe, where: Where) -> Iterator[Problem]:
    """Everything of this kind, publication by publication."""
    for name, spec in recipe.stages.items():
        if isinstance(spec, PublishSpec):
            yield from _name(name, spec, where)
            yield from _exports(recipe, name, spec, where)
            yield from _file_scores(recipe, name, spec, where)
            yield from _space(name, spec, where)


def _name(name: str, spec: PublishSpec, where: Where) -> Iterator[Problem]:
    """What every Hub asks of a repository's name, which the exports' suffixes make longer."""
    _, _, own = spec.repo.partition("/")
    problem = (
        f"its name has {len(own)} characters" if len(own) > _LONGEST_NAME
        else "its name holds '--' or '..'" if {"--", ".."} & {own[at : at + 2] for at in range(len(own))}
        else "its name ends in '.git'" if own.endswith(".git")
        else "its name begins or ends with '-' or '.'" if own != own.strip("-.")
        else ""
    )  # fmt: skip
    if problem:
        yield Problem(
            where(("stages", name, "repo")),
            f"{name}.repo: {problem}: {spec.repo[:60]}",
            f"letters, digits, '-', '_' and '.', at most {_LONGEST_NAME} of them",
        )


def _exports(recipe: Recipe, name: str, spec: PublishSpec, where: Where) -> Iterator[Problem]:
    for key, (kind, measures) in _FORMATS.items():
        ref = getattr(spec, key)
        made = recipe.stages[ref.name].kind if isinstance(ref, StageRef) else kind
        if made != kind:
            right = next((other for other, (written, _) in _FORMATS.items() if written == made), key)
            yield Problem(
                where(("stages", name, key)),
                f"{name}.{key}: {ref} is of kind {made}, and here goes one of kind {kind}",
                f"write {right}: {ref}" if right != key else f"name a {kind} stage, or leave {key} out",
            )
        for measure in measures:
            yield from _measure(recipe, name, spec, key, measure, where)


def _measure(recipe: Recipe, name: str, spec: PublishSpec, key: str, measure: str, where: Where) -> Iterator[Problem]:
    """A verification or a latency of other files would put other files' numbers on the card."""
    ref, exported = getattr(spec, measure), getattr(spec, key)
    if not isinstance(ref, StageRef):
        return
    looked_at = getattr(recipe.stages[ref.name], "export", None)
    if looked_at is None or looked_at == exported:
        return
    yield Problem(
        where(("stages", name, measure)),
        f"{name}.{measure}: {ref} looked at {looked_at}, and "
        + (f"what is published is {exported}" if exported else f"{name} publishes no {key}"),
        f"write {key}: {looked_at}" if exported is None else f"name a stage with export: {exported}",
    )


def _file_scores(recipe: Recipe, name: str, spec: PublishSpec, where: Where) -> Iterator[Problem]:
    types: list[str] = []
    for ref in (spec.export, spec.onnx):
        made = recipe.stages[ref.name] if isinstance(ref, StageRef) else None
        types += made.types if isinstance(made, GGUFSpec) else made.variants if isinstance(made, ONNXSpec) else ()
    for unknown in (type_ for type_ in spec.file_scores if types and type_ not in types):
        yield Problem(
            where(("stages", name, "file_scores", unknown)),
            f"{name}.file_scores names {unknown}, and {name} publishes no such file",
            did_you_mean(unknown, types),
        )


def _space(name: str, spec: PublishSpec, where: Where) -> Iterator[Problem]:
    """A page asks the model as an evaluation did, and this installation must have a page to publish."""
    if not spec.space:
        return
    spot = where(("stages", name, "space"))
    if not spec.scores:
        yield Problem(
            spot,
            f"{name}.space: the page asks the model as an evaluation did, and {name}.scores names none",
            "name an evaluate stage under scores, or leave space out",
        )
    try:
        app = shipped.folder("spaces") / "agent" / "app.py"
    except FileNotFoundError as error:
        yield Problem(spot, f"{name}.space: {error}", "install edgezoo whole, or leave space out")
        return
    if not app.is_file() or find_spec("zoo.space") is None:
        yield Problem(spot, f"{name}.space: this edgezoo carries no page for Spaces", "leave space out")
