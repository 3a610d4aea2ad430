"""What a recipe points at: `owner/name@revision` on a Hub, `stage:name` of the same recipe, or a local path."""

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HubRef", "PathRef", "Ref", "StageRef", "parse"]

_HUB = re.compile(r"^(?P<repo>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@(?P<revision>[\w./-]{1,255}))?$")
_STAGE = re.compile(r"^stage:(?P<name>[a-z0-9][a-z0-9_-]*)$")


@dataclass(frozen=True)
class HubRef:
    """A repository on a Hub, at a branch, tag or commit."""

    repo: str
    revision: str = "main"

    def __str__(self) -> str:
        return f"{self.repo}@{self.revision}"


@dataclass(frozen=True)
class StageRef:
    """The finished folder of another stage of the same recipe."""

    name: str

    def __str__(self) -> str:
        return f"stage:{self.name}"


@dataclass(frozen=True)
class PathRef:
    """A file or folder on this machine; its content, not its name, enters a stage's key."""

    path: Path

    def __str__(self) -> str:
        text = str(self.path)
        return text if text.startswith(("/", "..")) else f"./{text}"


Ref = HubRef | StageRef | PathRef


def parse(text: str) -> Ref:
    """Read a reference.

    Raises ValueError, with what to write instead, when the text is none of the three forms.

    >>> parse("HuggingFaceTB/SmolLM2-135M-Instruct@main")
    HubRef(repo='HuggingFaceTB/SmolLM2-135M-Instruct', revision='main')
    >>> parse("stage:sft")
    StageRef(name='sft')
    """
    if match := _STAGE.match(text):
        return StageRef(match["name"])
    if text.startswith(("./", "../", "/", "~/")):
        return PathRef(Path(text).expanduser())
    if (match := _HUB.match(text)) and ".." not in text:
        return HubRef(match["repo"], match["revision"] or "main")
    raise ValueError(
        f"{text!r} is no reference; write owner/name@revision for the Hub, stage:name for a stage of this "
        "recipe, or a path that starts with ./ or /"
    )
