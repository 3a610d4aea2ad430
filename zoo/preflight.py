"""What can be known of a run before it starts, from the small files of its models: too late is hour fourteen.

It reads `config.json` and `tokenizer_config.json`, never weights, and imports no torch.
"""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zoo import estimate, registry
from zoo.check.data import key_variables
from zoo.errors import EnvironmentFailure, ExportError, Problem, ZooError
from zoo.estimate import Need
from zoo.plan import PlannedStage, StageInput
from zoo.recipe import LoadedRecipe
from zoo.refs import HubRef, StageRef
from zoo.schema import (
    DataSpec,
    DistillSpec,
    EvaluateSpec,
    GGUFSpec,
    GRPOSpec,
    Hardware,
    ONNXSpec,
    SFTSpec,
    StageSpec,
)
from zoo.vocabularies import INSTEAD, ReadFile, compare, embedding_rows, tokens_of

__all__ = [
    "BaseModel",
    "base_of",
    "check_disk",
    "check_extra",
    "check_extras",
    "check_left_out",
    "check_sources",
    "memory_problem",
    "needs",
    "problems",
]

_MARGIN = 1.1
_OPENING_KINDS = ("verify", "latency")
_CHAT_KINDS = ("sft", "distill", "grpo", "evaluate", "verify", "data")
_ASIDE = ("teacher", "logits", "render")


@dataclass(frozen=True)
class BaseModel:
    """The small files of a model of a Hub."""

    config: Mapping[str, Any]
    has_chat_template: bool
    read: ReadFile = lambda name: None
    """Further files, by their name; for what is asked of few models only."""


LookUp = Callable[[HubRef], BaseModel | None]
"""The small files of a reference; None when no Hub could be asked."""


def base_of(stages: Sequence[PlannedStage], stage: PlannedStage) -> HubRef | None:
    """The model of a Hub that a stage's model was made of, however many stages ago; None when it has none.

    Whoever only taught it is not what it was made of.
    """
    return _made_of(stages, _models(stage))


def teacher_of(stages: Sequence[PlannedStage], stage: PlannedStage) -> HubRef | None:
    """The model of a Hub whose tokens must be those of `base_of`: that of its teacher, in memory or of stored logits,
    or of whoever renders for it."""
    return _made_of(stages, [item for place, item in stage.inputs.items() if place in _ASIDE])


def _models(stage: PlannedStage) -> list[StageInput]:
    return [item for place, item in stage.inputs.items() if place not in _ASIDE]


def _made_of(stages: Sequence[PlannedStage], inputs: Sequence[StageInput]) -> HubRef | None:
    by_name = {other.name: other for other in stages}
    pending = [list(inputs)]
    while pending:
        for item in pending.pop(0):
            if item.accepts.produces not in ("model", "logits"):
                continue
            if isinstance(item.ref, HubRef):
                return item.ref
            if isinstance(item.ref, StageRef):
                pending.append(_models(by_name[item.ref.name]))
    return None


def needs(stages: Sequence[PlannedStage], look_up: LookUp) -> dict[str, Need]:
    """Stage name -> what it needs, for those whose need is known from their base model's config."""
    found = {}
    for stage in stages:
        base = base_of(stages, stage)
        model = look_up(base) if base else None
        taught = teacher_of(stages, stage) if "teacher" in stage.inputs else None  # stored logits need no memory
        teacher = look_up(taught) if taught else None
        if model is None:
            continue
        beside = teacher.config if teacher else None
        if need := estimate.need(stage.spec, model.config, teacher=beside, rows=_rows_of(stages, stage)):
            found[stage.name] = need
    return found


def problems(loaded: LoadedRecipe, stages: Sequence[PlannedStage], look_up: LookUp) -> list[Problem]:
    """What is wrong between a recipe and the models that it starts from."""
    found = []
    for stage in stages:
        base = base_of(stages, stage)
        model = look_up(base) if base else None
        if model:
            found += [_at(loaded, stage, key, what, instead) for key, what, instead in _wrong(stage, model, str(base))]
        taught = teacher_of(stages, stage)
        teacher = look_up(taught) if taught and taught != base else None
        if model and teacher:
            found += [_at(loaded, stage, *problem) for problem in _wrong_teacher(stage, model, teacher, str(taught))]
    return found


def check_extras(
    stages: Sequence[PlannedStage],
    find: Callable[[str], object | None] = find_spec,
    everything: Sequence[PlannedStage] = (),
) -> None:
    """Raise EnvironmentFailure when a stage that is still to run needs something that is not installed.

    `everything`: the whole plan, finished stages included; what opens graphs needs what wrote them.
    """
    kinds = {stage.name: stage.kind for stage in everything or stages}
    for stage in stages:
        check_extra(f"stage {stage.name} ({stage.kind})", stage.kind, find)
        check_world(f"stage {stage.name} ({stage.kind})", stage.spec, find)
        registry.load("zoo.trainers.loading:check_quantized")(getattr(stage.spec, "quantize", None), find)
        files = getattr(stage.spec, "export", None)
        if stage.kind in _OPENING_KINDS and isinstance(files, StageRef) and kinds.get(files.name) == "onnx":
            check_extra(f"stage {stage.name} ({stage.kind} of ONNX)", "onnx", find)


def check_world(who: str, spec: StageSpec, find: Callable[[str], object | None] = find_spec) -> None:
    """Raise EnvironmentFailure when a stage acts in a world that needs something that is not installed."""
    world = getattr(getattr(spec, "agent", None), "world", "")
    extra, module = registry.WORLD_NEEDS.get(world, ("", ""))
    if module and find(module) is None:
        raise EnvironmentFailure(
            f"{who} acts in {world}, which needs {module}; it is not installed; run: pip install 'edgezoo[{extra}]'"
        )


def check_sources(stages: Iterable[PlannedStage], environ: Mapping[str, str] = os.environ) -> None:
    """Raise EnvironmentFailure when a stage that is still to run and asks others lacks a key, a package or a runtime.

    Whether an endpoint is there is asked when the stage begins: a policy's is served from what an earlier one makes.
    """
    lacking = [f"stage {stage.name}: {problem}" for stage in stages for problem in _lacking(stage.spec, environ)]
    if lacking:
        raise EnvironmentFailure("\n".join(lacking))


def _lacking(spec: StageSpec, environ: Mapping[str, str]) -> Iterable[str]:
    for variable in dict.fromkeys(_key_variables(spec)):
        if not environ.get(variable):
            yield f"the environment variable {variable} holds no key; run: export {variable}=..."
    if not isinstance(spec, DataSpec):
        return
    if spec.package and (problem := registry.load("zoo.data.texts:package_problem")(spec.package)):
        yield problem
    if spec.model or spec.export:
        entry = registry.STAGES["verify" if spec.export else "evaluate"]
        if missing := registry.missing_modules(entry):
            yield f"needs {', '.join(missing)}, which is not installed; run: pip install 'edgezoo[{entry.extra}]'"


def _key_variables(spec: StageSpec) -> list[str]:
    if isinstance(spec, GRPOSpec):
        return [spec.endpoint.key_variable] if spec.endpoint and spec.endpoint.key_variable else []
    return key_variables(spec) if isinstance(spec, DataSpec) else []


def check_extra(who: str, kind: str, find: Callable[[str], object | None] = find_spec) -> None:
    """Raise EnvironmentFailure when a kind of stage needs something that is not installed."""
    entry = registry.STAGES[kind]
    if missing := registry.missing_modules(entry, find):
        raise EnvironmentFailure(
            f"{who} needs {', '.join(missing)}, which is not installed; run: pip install 'edgezoo[{entry.extra}]'"
        )


def check_left_out(to_do: Iterable[PlannedStage], wanted: Iterable[str], cached: Iterable[str]) -> None:
    """Raise ZooError when a stage that is still to run reads one that was left out and is not in the cache."""
    there = {*wanted, *cached}
    for stage in to_do:
        for name in stage.upstream:
            if name not in there:
                raise ZooError(
                    f"stage {stage.name} reads stage {name}, which is not finished and was left out; "
                    f"run it first, with --until {name}"
                )


def check_disk(
    stages: Iterable[PlannedStage], needed: Mapping[str, Need], folder: Path, free: Callable[[Path], int] | None = None
) -> None:
    """Raise EnvironmentFailure when the stages that are still to run will not fit on the disk of `folder`."""
    total = int(sum(needed[stage.name].disk_bytes for stage in stages if stage.name in needed) * _MARGIN)
    left = (free or _free)(folder)
    if total > left:
        raise EnvironmentFailure(
            f"{folder}: the run needs about {total / 2**30:.1f} GiB of disk and {left / 2**30:.1f} GiB are free; "
            "make room, or set EDGEZOO_HOME to a folder on a larger disk"
        )


def memory_problem(hardware: Hardware | None, name: str, need: Need) -> str | None:
    """One line when a stage's estimate exceeds the memory that its recipe was sized for."""
    if hardware is None or need.memory_bytes <= hardware.memory_gib * 2**30:
        return None
    return (
        f"{name} needs about {need.memory_bytes / 2**30:.0f} GiB, one {hardware.device} has "
        f"{hardware.memory_gib:g} GiB; set activation_checkpointing, use lora, or take a smaller batch"
    )


def _wrong(stage: PlannedStage, model: BaseModel, base: str) -> Iterable[tuple[str, str, str]]:
    spec = stage.spec
    # An exported file brings its template along; what its repository's config says does not matter.
    if stage.kind in _CHAT_KINDS and not model.has_chat_template and not getattr(spec, "file", ""):
        yield "model", f"{base} has no chat template", "start from an instruct model, or add chat_template.jinja to it"
    if (
        isinstance(spec, EvaluateSpec | DataSpec)
        and spec.agent.pictures != "none"
        and "vision_config" not in model.config
    ):
        what = f"the agent sees pictures ({spec.agent.pictures}), but {base} reads text only"
        yield "model", what, "write agent: {pictures: none}, or start from a model with eyes"
    if isinstance(spec, SFTSpec | DistillSpec | GRPOSpec):
        text = model.config.get("text_config", model.config)
        limit, wanted = text.get("max_position_embeddings"), spec.trl.get("max_length")
        if limit and wanted and wanted > limit:
            yield "trl.max_length", f"rows of {wanted} tokens, but {base} allows {limit}", f"write max_length: {limit}"
    if isinstance(spec, GGUFSpec):
        try:
            registry.load("zoo.formats.network:supported")(model.config)
        except ExportError as error:
            yield "model", str(error), "leave the gguf stage out, or start from another base"
        else:
            yield from _wrong_gguf(spec, model.config)
    if isinstance(spec, ONNXSpec):
        try:
            registry.load("zoo.formats.onnx_files:supported")(model.config, spec.variants)
        except ExportError as error:
            yield "variants", str(error), "leave the onnx stage out, choose other variants, or start from another base"


def _wrong_teacher(
    stage: PlannedStage, base: BaseModel, aside: BaseModel, other: str
) -> Iterable[tuple[str, str, str]]:
    """A teacher whose tokens are not the student's; nothing is said of one without a `tokenizer.json`."""
    if getattr(stage.spec, "gold", False):
        return
    key = next(place for place in _ASIDE if place in stage.inputs)
    try:
        mine, theirs = tokens_of(base.read), tokens_of(aside.read)
    except ValueError as error:
        yield key, str(error), "start from a model whose files are whole"
        return
    if mine and theirs:
        sizes = (embedding_rows(base.config), embedding_rows(aside.config))
        if problem := compare(mine, theirs, sizes).problem:
            yield key, f"{other} has another vocabulary: {problem}", INSTEAD


def _rows_of(stages: Sequence[PlannedStage], stage: PlannedStage) -> StageSpec | None:
    """The settings of the stage whose rows a stage reads."""
    for item in stage.inputs.values():
        if item.accepts.produces == "rows" and isinstance(item.ref, StageRef):
            return next(other.spec for other in stages if other.name == item.ref.name)
    return None


def _wrong_gguf(spec: GGUFSpec, config: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """What would fail after the training: a mistyped tensor name, a vision tower that llama.cpp does not compute."""
    if spec.tensors:
        try:
            shapes = registry.load("zoo.formats.architectures:matrices")(config)
            registry.load("zoo.exports.gguf.mixture:check_patterns")(spec.tensors, shapes)
        except ExportError as error:
            yield "tensors", str(error), "names are those of GGUF, with * for any part"
    if spec.mmproj and (vision := config.get("vision_config")):
        try:
            registry.load("zoo.formats.vision:supported")(vision)
        except ExportError as error:
            yield "mmproj", str(error), "write mmproj: null; the files then answer text only"


def _at(loaded: LoadedRecipe, stage: PlannedStage, key: str, what: str, instead: str) -> Problem:
    return Problem(loaded.where("stages", stage.name, *key.split(".")), f"{stage.name}: {what}", instead)


def _free(folder: Path) -> int:
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free
