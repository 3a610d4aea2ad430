"""A run kept on a Hub while it goes on, so that a fresh machine goes on where a dead one stopped.

    run/run.json, run/*.yaml      the recipe as written, and how it was called
    stages/<key>/...              a finished stage, its record included
    running/<key>/...             the last whole checkpoint of a stage that is not finished

It is a dataset repository, private when new: a checkpoint holds what `torch.save` wrote, which is not fetched from
model repositories. transformers reads it with `weights_only=True`, which runs no code; resume from repositories of
your own all the same. Each commit is whole, so whoever resumes finds this checkpoint or the one before. Uploads go on
beside the training; one that fails is said, and tried again with the next checkpoint. Not covered: giving back the
space of old checkpoints.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from zoo import hub, records
from zoo.cache import Cache, Finished
from zoo.errors import CacheError, HubError, ZooError
from zoo.hub import Endpoint, Pinned
from zoo.plan import PlannedStage
from zoo.recipe import LoadedRecipe
from zoo.refs import HubRef
from zoo.runner import Watch

__all__ = ["Call", "Place", "call_of", "check", "keeping", "restore"]

_RUN = "run/run.json"
_CHECKPOINT = "checkpoint.json"
# As `zoo.trainers.session` marks a checkpoint that is whole; importing it would import transformers.
_WHOLE = "whole.json"


@dataclass(frozen=True)
class Place:
    """Where a run is kept."""

    endpoint: Endpoint
    repo: str
    branch: str = "main"

    def __str__(self) -> str:
        return f"{self.repo}@{self.branch}" if self.branch != "main" else self.repo


@dataclass(frozen=True)
class Call:
    """How a run was called, and its recipe, written out on this machine."""

    recipe: Path
    overrides: tuple[str, ...]
    tiny: bool


def check(place: Place, loaded: LoadedRecipe) -> None:
    """Whether a run may be kept there; asked before anything is trained.

    Raises HubError for a token without the right, and for a repository that holds something else.
    """
    hub.check_rights(place.endpoint, place.repo)
    pinned = _pinned(place)
    there = hub.files(pinned) if pinned else {}
    if pinned and _RUN in there:
        name = json.loads(hub.fetch_file(pinned, _RUN).read_text("utf-8"))["name"]
        if name != loaded.name:
            raise HubError(f"{place}: a run of {name} is kept there, this is {loaded.name}; give another repository")
    elif foreign := sorted(there.keys() - {".gitattributes", "README.md"}):
        raise HubError(f"{place}: holds {foreign[0]}, and no run; it is left alone. Give another repository")


def call_of(place: Place, folder: Path) -> Call:
    """The recipe of a kept run, written into a folder, and how it was called.

    Raises HubError when no run is kept there.
    """
    pinned = hub.pin(HubRef(place.repo, place.branch), "dataset", [place.endpoint])
    if _RUN not in hub.files(pinned):
        raise HubError(f"{place}: no run is kept there; `recipes run RECIPE --checkpoints-to {place}` keeps one")
    hub.fetch(pinned, folder, ["run/*"])
    told = json.loads((folder / _RUN).read_text("utf-8"))
    return Call(folder / "run" / "recipe.yaml", tuple(told["overrides"]), told["tiny"])


def restore(place: Place, cache: Cache, stages: Sequence[PlannedStage], say: Callable[[str], None]) -> None:
    """Bring what is kept of these stages into the cache, unless it has them or has begun them.

    Raises HubError when the Hub fails, or holds a stage that is not what its record says.
    """
    pinned = _pinned(place)
    there = hub.files(pinned) if pinned else {}
    for stage in stages:
        key = str(stage.key)
        if pinned is None or stage.key is None or cache.find(key):
            continue
        if f"stages/{key}/{records.RECORD_NAME}" in there:
            _restore_stage(pinned, cache, key)
            say(f"{stage.name}: finished, fetched from {place}")
        elif f"running/{key}/{_CHECKPOINT}" in there and not cache.has_scratch(key):
            say(f"{stage.name}: goes on from {_restore_checkpoint(pinned, cache, key)}, fetched from {place}")


@contextmanager
def keeping(
    place: Place, loaded: LoadedRecipe, cache: Cache, watch: Watch, say: Callable[[str], None]
) -> Iterator[Watch]:
    """A watch that keeps what it sees on the Hub, and tells another one all the same.

    Raises ZooError at its end, when a finished stage could not be brought there although the run itself went well.
    """
    keeper = _Keeper(place, cache, watch, say)
    keeper.begin(loaded)
    try:
        yield keeper
    except BaseException:
        keeper.end(wait=False)
        raise
    keeper.end(wait=True)
    if keeper.missing:
        raise ZooError(f"{place}: these stages are finished and not kept there: {', '.join(sorted(keeper.missing))}")


class _Keeper:
    """One upload at a time, beside the run. A checkpoint that comes while one is under way waits for the next."""

    def __init__(self, place: Place, cache: Cache, watch: Watch, say: Callable[[str], None]) -> None:
        self._place, self._cache, self._watch, self._say = place, cache, watch, say
        self._line = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoints-on-hub")
        self._last: dict[str, str] = {}
        self._checkpoint: Future[None] | None = None
        self._there: set[str] = set()
        self.missing: set[str] = set()

    def begin(self, loaded: LoadedRecipe) -> None:
        """Write the recipe, and see which stages are there."""
        pinned = _pinned(self._place)
        names = hub.files(pinned) if pinned else {}
        self._there = {name.split("/")[1] for name in names if name.endswith(f"/{records.RECORD_NAME}")}
        told = {"name": loaded.name, "overrides": list(loaded.overrides), "tiny": loaded.tiny}
        staging = self._staging()
        for name, text in {**loaded.texts, "run.json": json.dumps(told, indent=1) + "\n"}.items():
            (staging / "run").mkdir(exist_ok=True)
            (staging / "run" / name).write_text(text, "utf-8")
        try:
            self._upload(staging, f"A run of {loaded.name}")
        finally:
            shutil.rmtree(staging)

    def end(self, wait: bool) -> None:
        """What is being sent is sent to its end; what waits for it is dropped unless the run went well."""
        self._line.shutdown(wait=True, cancel_futures=not wait)

    def cached(self, stage: PlannedStage, finished: Finished) -> None:
        self._watch.cached(stage, finished)
        self._keep(stage, finished)

    def started(self, stage: PlannedStage, log_file: Path, resumed: bool) -> None:
        self._watch.started(stage, log_file, resumed)

    def progressed(self, stage: PlannedStage, step: int, total: int | None, fields: Mapping[str, Any]) -> None:
        self._watch.progressed(stage, step, total, fields)
        newest = _newest_checkpoint(self._cache, str(stage.key))
        if newest is None or self._last.get(str(stage.key)) == newest.name:
            return
        if self._checkpoint is not None and not self._checkpoint.done():
            return
        self._last[str(stage.key)] = newest.name
        staging = self._staging()
        try:
            _link_all(newest, staging / "running" / str(stage.key) / "checkpoint")
        except OSError:  # the trainer cleared it away while it was linked: the next one comes
            shutil.rmtree(staging)
            return
        told = json.dumps({"stage": stage.name, "name": newest.name})
        (staging / "running" / str(stage.key) / _CHECKPOINT).write_text(told, "utf-8")
        self._checkpoint = self._line.submit(self._send, staging, f"{stage.name}: {newest.name}", None)

    def finished(self, stage: PlannedStage, finished: Finished) -> None:
        self._watch.finished(stage, finished)
        self._keep(stage, finished)

    def _keep(self, stage: PlannedStage, finished: Finished) -> None:
        if str(stage.key) in self._there:
            return
        staging = self._staging()
        _link_all(finished.folder, staging / "stages" / str(stage.key))
        self.missing.add(stage.name)
        self._line.submit(self._send, staging, f"{stage.name}: finished", stage.name)

    def _send(self, staging: Path, message: str, finished: str | None) -> None:
        try:
            self._upload(staging, message)
            self.missing.discard(finished or "")
        except ZooError as error:
            self._say(f"{message}: not kept on {self._place}: {error}")
        finally:
            shutil.rmtree(staging)

    def _upload(self, staging: Path, message: str) -> None:
        where: dict[str, Any] = {} if self._place.branch == "main" else {"branch": self._place.branch}
        hub.upload(self._place.endpoint, self._place.repo, "dataset", staging, message, private=True, **where)

    def _staging(self) -> Path:
        """On the disk of the cache, so that nothing is copied."""
        parent = self._cache.root / "sending"
        parent.mkdir(parents=True, exist_ok=True)
        return Path(mkdtemp(dir=parent))


def _pinned(place: Place) -> Pinned | None:
    try:
        return hub.pin(HubRef(place.repo, place.branch), "dataset", [place.endpoint])
    except HubError:
        return None  # not there yet; a Hub that is down says so when something is sent


def _newest_checkpoint(cache: Cache, key: str) -> Path | None:
    folder = cache.root / "scratch" / key / "checkpoints"
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{_WHOLE}")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _restore_stage(pinned: Pinned, cache: Cache, key: str) -> None:
    with _fetched(pinned, cache, f"stages/{key}") as folder, cache.lock(key, wait_seconds=-1):
        record = records.read(folder)
        try:
            if record.key != key:
                raise CacheError(f"{key} holds the record of {record.key}")
            cache.check_digests(Finished(folder, record))
        except (CacheError, FileNotFoundError) as error:
            raise HubError(f"{pinned}: stages/{key} is not what its record says: {error}") from error
        if not cache.find(key):
            (cache.root / "stages").mkdir(parents=True, exist_ok=True)
            folder.replace(cache.root / "stages" / key)


def _restore_checkpoint(pinned: Pinned, cache: Cache, key: str) -> str:
    with _fetched(pinned, cache, f"running/{key}") as folder, cache.lock(key, wait_seconds=-1):
        name = str(json.loads((folder / _CHECKPOINT).read_text("utf-8"))["name"])
        if not name.removeprefix("checkpoint-").isdigit():
            raise HubError(f"{pinned}: running/{key} names {name!r}, which is no checkpoint")
        target = cache.scratch(key) / "checkpoints" / name
        target.parent.mkdir(exist_ok=True)
        (folder / "checkpoint").replace(target)
    return name


@contextmanager
def _fetched(pinned: Pinned, cache: Cache, path: str) -> Iterator[Path]:
    """A folder of the repository, on the disk of the cache, for as long as the block does not move it."""
    parent = cache.root / "fetched"
    parent.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(dir=parent))
    try:
        hub.fetch(pinned, folder, [f"{path}/*"])
        yield folder / path
    finally:
        shutil.rmtree(folder)


def _link_all(source: Path, target: Path) -> None:
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(file, place)
