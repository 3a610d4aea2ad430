"""`space.json`: what one page shows, and with whose files. Written by a publication, read by `spaces/agent/app.py`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from zoo.environments import Split
from zoo.errors import ZooError
from zoo.schema import AgentSpec
from zoo.schema.settings import Settings

__all__ = ["SETTINGS_NAME", "SpaceModel", "SpaceSettings", "read_settings"]

SETTINGS_NAME = "space.json"
_REPOSITORY = r"^[\w.-]+/[\w.-]+$"


class SpaceModel(Settings):
    """One file (or folder) that visitors may let act."""

    name: str = Field(min_length=1, max_length=80)
    """What visitors choose it by, for example `Pocket-135M Q8_0`."""
    runtime: Literal["gguf", "onnx", "torch"] = "gguf"
    """Who opens it. `torch` and `onnx` are offered only where they are installed."""
    repository: str = Field("", pattern=rf"{_REPOSITORY}|^$")
    """`owner/name` of the model repository that holds it."""
    revision: str = "main"
    """Branch, tag or commit of `repository`."""
    file: str = ""
    """Its path in `repository`; empty for a whole checkpoint (`torch`)."""
    path: str = ""
    """Instead of `repository`: where it lies on this machine. Only for a page that is opened locally."""
    bytes: int = Field(0, ge=0)
    """Its size, for progress while it is fetched and for how many models fit into memory."""
    type: str = ""
    """Its type in the records (`q8_0`), under which `latency` and `verify` know it."""
    recommended: bool = False
    """Chosen when the page opens."""
    own: bool = True
    """Whether it is this page's model, or another one of the zoo to compare it with."""

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        if bool(self.repository) == bool(self.path):
            raise ValueError(f"model {self.name!r} needs either `repository` or `path`")
        return self


class SpaceSettings(Settings):
    """A page."""

    title: str = Field(min_length=1, max_length=80)
    summary: str = ""
    license: str = ""
    repository: str = Field("", pattern=rf"{_REPOSITORY}|^$")
    """The model's own repository; empty for a run that was not published."""
    repositories: tuple[str, ...] = ()
    """Every repository of the publication, to be linked."""
    hub: str = "https://huggingface.co"
    """Where links to repositories lead."""
    agent: AgentSpec = AgentSpec()
    """How the model is asked. A world that needs a browser or a device is replaced by the embedded phone."""
    split: Split = "held-out-parameters"
    """The tasks that visitors choose from."""
    seed: int = 0
    """Of the tasks."""
    models: tuple[SpaceModel, ...] = ()
    scores: dict[str, str] = Field(default_factory=dict)
    """Label -> name of the evaluation's record, in the order in which they are shown."""
    verify: str = ""
    """Name of the record that compared the GGUF files with the checkpoint; empty when that was not run."""
    onnx_verify: str = ""
    """The same of the ONNX graphs."""
    latency: str = ""
    """Name of the record that measured what the GGUF files cost."""
    onnx_latency: str = ""
    """The same of the ONNX graphs."""
    file_scores: dict[str, str] = Field(default_factory=dict)
    """Type of a file -> name of the evaluation that acted with that file."""
    episode_seconds: float = Field(120.0, gt=0)
    """Seconds of computing that one visitor's episode may take."""
    memory_share: float = Field(0.6, gt=0, le=1)
    """Share of the machine's memory that loaded models may take together."""
    threads: int | None = Field(None, ge=1)
    """Threads of a model; without it, as many as measure fastest."""
    endpoint_hosts: tuple[str, ...] = ()
    """Hosts (`api.example.org` or `host:port`) whose OpenAI-compatible endpoints visitors may use. Any other address
    that a visitor names would be asked from inside the machine that serves the page."""
    local: bool = False
    """Whether only the person at this machine sees the page: then any endpoint may be used, and models may lie in
    folders of this machine."""
    tiny: bool = False
    """Made by a tiny twin: it shows that the page works, and nothing of what a model can do."""

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        names = [model.name for model in self.models]
        if len(set(names)) < len(names):
            raise ValueError("two models have the same name; visitors choose by it")
        if not self.local and (inside := [model.name for model in self.models if model.path]):
            raise ValueError(f"{inside[0]!r} lies in a folder of one machine; a published page needs a repository")
        return self


def read_settings(folder: Path) -> SpaceSettings:
    """The `space.json` of a folder.

    Raises ZooError when there is none, or when it is wrong.
    """
    file = folder / SETTINGS_NAME
    try:
        return SpaceSettings.model_validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise ZooError(f"{SETTINGS_NAME} is missing beside app.py; `zoo.space.space_files` writes it") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise ZooError(f"{SETTINGS_NAME}: {place}: {first['msg']}; its keys are those of SpaceSettings") from error
