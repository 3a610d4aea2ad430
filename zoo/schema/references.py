"""Every reference of a stage, wherever in its settings it stands."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from zoo.refs import Ref, parse
from zoo.schema.merging import MergeSpec
from zoo.schema.reference import Accepts

__all__ = ["references"]


def references(spec: BaseModel) -> Iterator[tuple[str, Ref, Accepts]]:
    """Every reference of a spec, with its dotted place and what it may point at.

    >>> [place for place, _, _ in references(SFTSpec(model="a/b", data="stage:rows"))]
    ['model', 'data']
    """
    for name, info in type(spec).model_fields.items():
        accepts = next((mark for mark in _marks(info) if isinstance(mark, Accepts)), None)
        value = getattr(spec, name)
        if accepts and isinstance(value, Ref):
            yield name, value, accepts
        elif accepts and isinstance(value, dict):
            yield from ((f"{name}.{label}", ref, accepts) for label, ref in value.items())
        elif accepts and isinstance(value, tuple):
            yield from ((f"{name}.{index}", ref, accepts) for index, ref in enumerate(value))
        elif isinstance(value, BaseModel):
            yield from ((f"{name}.{place}", ref, inner) for place, ref, inner in references(value))
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                inside = references(item) if isinstance(item, BaseModel) else ()
                yield from ((f"{name}.{index}.{place}", ref, inner) for place, ref, inner in inside)
    if isinstance(spec, MergeSpec):
        yield from _merge_references(spec.mergekit, "mergekit")


def _marks(info: Any) -> Iterator[Any]:
    """The annotations of a field, also those inside `X | None` and `dict[str, X]`."""
    yield from info.metadata
    pending = [info.annotation]
    while pending:
        annotation = pending.pop()
        yield from getattr(annotation, "__metadata__", ())
        pending.extend(getattr(annotation, "__args__", ()))


def _merge_references(node: Any, place: str) -> Iterator[tuple[str, Ref, Accepts]]:
    """mergekit names models under `base_model`, and under `model` of `models:` and `sources:`."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("base_model", "model") and isinstance(value, str):
                yield f"{place}.{key}", parse(value), Accepts("model", hub="model")
            else:
                yield from _merge_references(value, f"{place}.{key}")
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _merge_references(value, f"{place}.{index}")
