"""What a plan reads from outside: repositories of Hubs, pinned to commits, and paths, known by their content.

The embedded Hub comes first, then the public one, unless the command works offline. A plan asks the embedded Hub's
folder directly; nothing is served for that.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from zoo import fingerprint, hub, shipped
from zoo.cache import Cache
from zoo.checkpoints_on_hub import Place
from zoo.errors import HubError
from zoo.hub import Endpoint, Kind, Pinned
from zoo.local_hub.reading import commit_of, file_of
from zoo.plan import StageInput
from zoo.preflight import BaseModel
from zoo.recipe import LoadedRecipe
from zoo.refs import HubRef, PathRef, parse
from zoo.schema import Accepts, PublishSpec

__all__ = ["Outside", "published_texts"]


@dataclass
class Outside:
    """The Hubs and folders that one command may read."""

    home: Path
    offline: bool = False
    pins: dict[tuple[HubRef, Kind], str] = field(default_factory=dict)
    """(reference, type of repository) -> commit, as found by `identify`."""
    unreachable: dict[HubRef, str] = field(default_factory=dict)
    """References that no Hub could be asked for, with what went wrong."""

    @property
    def cache(self) -> Cache:
        return Cache(self.home)

    @property
    def hub_root(self) -> Path:
        return self.home / "hub"

    def identify(self, ref: HubRef | PathRef, accepts: Accepts) -> str | None:
        """The content of a reference, for a key. None, and an entry in `unreachable`, when no Hub has or answers it."""
        if isinstance(ref, PathRef):
            return f"sha256:{_content(ref.path)}"
        kind = _kind(accepts)
        if (ref, kind) not in self.pins:
            try:
                self.pins[ref, kind] = self._embedded_commit(ref, kind) or self._public_commit(ref, kind)
            except HubError as error:
                self.unreachable[ref] = str(error)
                return None
        return f"{ref.repo}@{self.pins[ref, kind]}"

    def base_model(self, ref: HubRef) -> BaseModel | None:
        """The small files of a model, without its weights; None when no Hub could be asked."""
        if ref in self.unreachable or (ref, "model") not in self.pins:
            return None
        read = self._reader(ref, "model")
        tokenizer = json.loads(read("tokenizer_config.json") or b"{}")
        template = "chat_template" in tokenizer or read("chat_template.jinja") is not None
        return BaseModel(config=json.loads(read("config.json") or b"{}"), has_chat_template=template, read=read)

    def card(self, ref: HubRef, kind: Kind) -> str | None:
        """The README.md of a repository that `identify` has found; None when it has none."""
        found = self._reader(ref, kind)("README.md")
        return found.decode("utf-8", errors="replace") if found is not None else None

    @contextmanager
    def fetcher(self) -> Iterator[Callable[[StageInput], Path]]:
        """Brings what a plan names to this machine. The embedded Hub is served from the first fetch that needs it."""
        with ExitStack() as stack:
            served = cache(lambda: stack.enter_context(self.embedded()))

            def fetch(item: StageInput) -> Path:
                if isinstance(item.ref, PathRef):
                    return item.ref.path.resolve()
                assert isinstance(item.ref, HubRef)
                kind = _kind(item.accepts)
                here = self._embedded_commit(item.ref, kind) == self.pins[item.ref, kind]
                endpoint = served() if here else hub.public_endpoint()
                return hub.fetch(Pinned(item.ref.repo, kind, self.pins[item.ref, kind], endpoint))

            yield fetch

    @contextmanager
    def embedded(self) -> Iterator[Endpoint]:
        """The embedded Hub, served while the block runs, by whoever serves it already or by this process."""
        from zoo.local_hub import running

        with running(self.hub_root) as endpoint:
            yield endpoint

    @contextmanager
    def keeping_place(self, reference: str | None, embedded: bool) -> Iterator[Place | None]:
        """Where a run is kept: `owner/name@branch` on the public Hub, or on the embedded one; nowhere for None.

        Raises HubError for what is no repository.
        """
        if reference is None:
            yield None
            return
        try:
            ref = parse(reference)
        except ValueError as error:
            raise HubError(f"--checkpoints-to: {error}") from error
        if not isinstance(ref, HubRef):
            raise HubError(
                f"--checkpoints-to {reference}: this is no repository; write owner/name or owner/name@branch"
            )
        with self.embedded() if embedded else nullcontext(hub.public_endpoint()) as endpoint:
            yield Place(endpoint, ref.repo, ref.revision)

    def _embedded_commit(self, ref: HubRef, kind: Kind) -> str | None:
        return commit_of(self.hub_root, kind, ref.repo, ref.revision)

    def _reader(self, ref: HubRef, kind: Kind) -> Callable[[str], bytes | None]:
        commit = self.pins[ref, kind]
        if self._embedded_commit(ref, kind) == commit:
            return lambda path: file_of(self.hub_root, kind, ref.repo, commit, path)
        pinned = Pinned(ref.repo, kind, commit, hub.public_endpoint())
        present = hub.files(pinned)
        return lambda path: hub.fetch_file(pinned, path).read_bytes() if path in present else None

    def _public_commit(self, ref: HubRef, kind: Kind) -> str:
        if self.offline:
            raise HubError(
                f"{ref}: the embedded Hub in {self.hub_root} does not have it and --offline asks no other; "
                "fill it with: recipes hub seed"
            )
        return hub.pin(ref, kind, [hub.public_endpoint()]).commit


def published_texts(loaded: LoadedRecipe) -> str:
    """A digest of what a publication takes over as written: the recipe's files, overrides, the card templates, and the
    Space's app where one is asked for."""
    templates = {file.name: file.read_text("utf-8") for file in sorted(shipped.folder("cards").glob("*.jinja"))}
    if any(isinstance(spec, PublishSpec) and spec.space for spec in loaded.recipe.stages.values()):
        app = shipped.folder("spaces") / "agent"
        templates |= {str(file.relative_to(app)): fingerprint.of_file(file) for file in _app_files(app)}
    head = loaded.recipe.model_dump(mode="json", include={"name", "version", "summary", "license", "license_reason"})
    return fingerprint.of_data([head, dict(loaded.texts), list(loaded.overrides), loaded.tiny, templates])


def _app_files(app: Path) -> list[Path]:
    return [file for file in sorted(app.rglob("*")) if file.is_file() and "__pycache__" not in file.parts]


def _kind(accepts: Accepts) -> Kind:
    if accepts.hub is None:  # the recipe's checks refuse a Hub reference here
        raise ValueError(f"{accepts.produces} do not come from a Hub")
    return accepts.hub


def _content(path: Path) -> str:
    if path.is_file():
        return fingerprint.of_file(path)
    files = sorted(file for file in path.rglob("*") if file.is_file())
    return fingerprint.of_data({str(file.relative_to(path)): fingerprint.of_file(file) for file in files})
