"""Exported files as repositories: which of them are published, under which names, and what lies beside them.

What a verification withheld stays at home, and so does whatever else a stage left in its folder.
"""

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from zoo.cards import Exports
from zoo.errors import GateError
from zoo.formats import gguf_names, onnx_files
from zoo.publish import facts
from zoo.publish.files import link, matching
from zoo.records import StageContext, StageRecord
from zoo.refs import Ref
from zoo.schema import PublishSpec

__all__ = ["REPORT", "exports_of", "lay_out"]

REPORT = "verify.json"

# What the runtimes read beside an ONNX graph: the export's own descriptions, none of them weights.
_ONNX_DESCRIPTIONS = ("*.json", "*.jinja", "*.gbnf", "merges.txt", "tokenizer.model", "LICENSE*", "NOTICE*")
_RECORD = "stage.json"


def exports_of(spec: PublishSpec, ctx: StageContext) -> dict[str, Exports]:
    """What is published of each format, by the folder that it goes to.

    Raises GateError when none of an export's files may be published, RuntimeError when it holds none.
    """
    found = {}
    if spec.export:
        found["GGUF"] = _exports("GGUF", spec, ctx, spec.export, "export", "verify", "latency")
    if spec.onnx:
        found["ONNX"] = _exports("ONNX", spec, ctx, spec.onnx, "onnx", "onnx_verify", "onnx_latency")
    return found


def lay_out(exports: Exports, spec: PublishSpec, ctx: StageContext, target: Path) -> None:
    """The repository of one format, all but its card: large files as links, descriptions as copies."""
    target.mkdir()
    if exports.format == "GGUF":
        _lay_out_gguf(exports, spec, ctx, target)
    else:
        _lay_out_onnx(exports, ctx.inputs["onnx"], target)
    report = ctx.inputs.get("verify" if exports.format == "GGUF" else "onnx_verify")
    if report:
        shutil.copyfile(report / REPORT, target / REPORT)


def _exports(
    format_: Literal["GGUF", "ONNX"],
    spec: PublishSpec,
    ctx: StageContext,
    ref: Ref,
    place: str,
    verify_place: str,
    latency_place: str,
) -> Exports:
    def measured(key: str) -> StageRecord | None:
        named = getattr(spec, key)
        return facts.record_of(named, key, ctx) if named else None

    verify = measured(verify_place)
    withheld = set(verify.notes.get("withheld", {})) if verify else set()
    folder = ctx.inputs[place]
    named = _ggufs(folder, withheld, spec) if format_ == "GGUF" else _graphs(folder, withheld)
    if not named and withheld:
        raise GateError(f"publish.{place}: every file of {ref} fell short of its gate: {', '.join(sorted(withheld))}")
    if not named:
        raise RuntimeError(f"the export {ref} holds no {format_} file")
    return Exports(
        format=format_,
        repo=f"{spec.repo}-{format_}",
        record=facts.record_of(ref, place, ctx),
        published=named,
        verify=verify,
        latency=measured(latency_place),
        scores={
            kind: facts.record_of(named_score, f"file_scores.{kind}", ctx)
            for kind, named_score in spec.file_scores.items()
        },
    )


def _ggufs(folder: Path, withheld: Iterable[str], spec: PublishSpec) -> dict[str, str]:
    types = {gguf_names.type_of(name) for name in withheld}
    files = [file.name for file in sorted(folder.glob("model-*.gguf")) if gguf_names.type_of(file.name) not in types]
    return gguf_names.published(files, spec.repo.partition("/")[2])


def _graphs(folder: Path, withheld: Iterable[str]) -> dict[str, str]:
    """Graphs keep their places: transformers.js and optimum look for them there."""
    names = [onnx_files.label(graph) for graph in onnx_files.find(folder).values()]
    return {name: name for name in names if name not in withheld}


def _lay_out_gguf(exports: Exports, spec: PublishSpec, ctx: StageContext, target: Path) -> None:
    source = ctx.inputs["export"]
    beside = [file.name for file in gguf_names.side_files(source)]
    names: Mapping[str, str] = {**exports.published, **gguf_names.published(beside, spec.repo.partition("/")[2])}
    for name, published in names.items():
        link(source / name, target / published)
    # llama.cpp needs none of it; the Hub reads the architecture from it.
    shutil.copyfile(ctx.out / "model" / "config.json", target / "config.json")


def _lay_out_onnx(exports: Exports, source: Path, target: Path) -> None:
    for graph in exports.published:
        # GenAI reads its whole folder; a portable graph has its weights beside it under its own name.
        alone = not onnx_files.is_genai(source / graph)
        pattern = f"{Path(graph).name}*" if alone else "*"
        for file in matching((source / graph).parent, (pattern,)):
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            link(file, place)
    for file in matching(source, _ONNX_DESCRIPTIONS):
        if file.name != _RECORD:
            shutil.copyfile(file, target / file.name)
