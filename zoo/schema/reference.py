"""References in a recipe, and what each may point at."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from zoo.refs import Ref, parse

__all__ = ["Accepts", "FilesRef", "LogitsRef", "ModelRef", "RowsRef", "ScoresRef"]


@dataclass(frozen=True)
class Accepts:
    """What a reference may point at: the `produces` of a stage, or the type of a repository on the Hub."""

    produces: str
    hub: Literal["model", "dataset"] | None = None


def _parse(value: Any) -> Any:
    return parse(value) if isinstance(value, str) else value


# Written out each time because a type checker reads an alias only when it is a plain assignment.


_TEXT = WithJsonSchema(
    {"type": "string", "description": "owner/name@revision, stage:name, or a path that starts with ./ or /"}
)
_READ = BeforeValidator(_parse)
_WRITE = PlainSerializer(str, return_type=str)
ModelRef = Annotated[Ref, _READ, _WRITE, _TEXT, Accepts("model", hub="model")]
RowsRef = Annotated[Ref, _READ, _WRITE, _TEXT, Accepts("rows", hub="dataset")]
ScoresRef = Annotated[Ref, _READ, _WRITE, _TEXT, Accepts("scores")]
FilesRef = Annotated[Ref, _READ, _WRITE, _TEXT, Accepts("files")]
LogitsRef = Annotated[Ref, _READ, _WRITE, _TEXT, Accepts("logits")]
