"""The models that a visitor may choose, opened when somebody asks: at most as many as memory allows, evicted by use.

Fetching is shown while it goes on. Failures are said in our words; folders of the machine are not named.
"""

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import Lock

from model_process import ModelProcess
from places import bring, cannot_be_had, share

from zoo.errors import HubError, ModelError
from zoo.space import SpaceModel, SpaceSettings

__all__ = ["Loading", "Shelf", "memory_limit_bytes"]

_BESIDE_WEIGHTS = 300 << 20
"""Of a model's process: Python, the runtime, the cache of 4096 tokens."""
_WATCH_SECONDS = 0.3
_NEEDS = {"gguf": ("xllamacpp",), "onnx": ("onnxruntime",), "torch": ("torch", "transformers")}
_GENAI = "onnxruntime_genai"


@dataclass(frozen=True)
class Loading:
    """How far a model is."""

    text: str
    done: float | None = None
    """Share of its bytes that are here; None when that is not known."""


class Shelf:
    """The models of one page."""

    def __init__(self, settings: SpaceSettings, limit_bytes: int | None = None) -> None:
        self.models: dict[str, SpaceModel] = {model.name: model for model in settings.models if _is_usable(model)}
        self._threads = settings.threads
        self._limit = limit_bytes or int(settings.memory_share * memory_limit_bytes())
        self._lock = Lock()
        self._open: dict[str, ModelProcess] = {}
        """Least recently used first."""
        self._places: dict[str, Path] = {}
        self._fetching: dict[str, Future[Path]] = {}
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="fetch")

    def fetch(self, name: str) -> Iterator[Loading]:
        """Bring a model's files to this machine; ends when they are here.

        Raises ModelError when they cannot be had. Several visitors may wait for the same fetch.
        """
        model = self._known(name)
        if name in self._places:
            return
        with self._lock:
            if name not in self._fetching:
                self._fetching[name] = self._pool.submit(bring, model)
            future = self._fetching[name]
        while not future.done():
            yield Loading(f"Fetching {name}", share(model))
            time.sleep(_WATCH_SECONDS)
        with self._lock:
            self._fetching.pop(name, None)
        try:
            self._places[name] = future.result()
        except (HubError, OSError) as error:
            raise cannot_be_had(name, error) from error

    def opened(self, name: str) -> ModelProcess:
        """A model that was fetched, opened if need be. To be called by one visitor at a time (`turns`).

        Raises ModelError when it does not open.
        """
        model = self._known(name)
        with self._lock:
            found = self._open.pop(name, None)
            if found is not None and found.alive:
                self._open[name] = found
                return found
            if found is not None:
                found.close()
            self._make_room(model)
            place = self._places[name]
            opened = ModelProcess(name, model.runtime, place, self._threads)
            self._open[name] = opened
            return opened

    @property
    def loaded(self) -> list[str]:
        """The models that are open, least recently used first."""
        return list(self._open)

    def process(self, name: str) -> ModelProcess | None:
        """A model that is open now."""
        return self._open.get(name)

    def is_open(self, name: str) -> bool:
        """Whether asking for it costs no loading."""
        return name in self._open

    def close(self) -> None:
        """End every model."""
        with self._lock:
            for process in self._open.values():
                process.close()
            self._open.clear()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def add(self, models: Iterable[SpaceModel]) -> list[str]:
        """Models that were not on the page when it opened; the names of those that can be opened here and are new."""
        with self._lock:
            new = {model.name: model for model in models if model.name not in self.models and _is_usable(model)}
            self.models |= new
        return list(new)

    def _known(self, name: str) -> SpaceModel:
        if name not in self.models:
            raise ModelError(f"there is no model {name!r} on this page; choose one of the list")
        return self.models[name]

    def _make_room(self, model: SpaceModel) -> None:
        needed = _memory_of(model)
        if needed > self._limit:
            raise ModelError(
                f"{model.name} needs about {needed >> 20:,} MB of memory and this machine gives its models "
                f"{self._limit >> 20:,} MB; choose a smaller file"
            )
        while self._open and needed + sum(_memory_of(self.models[name]) for name in self._open) > self._limit:
            evicted = next(iter(self._open))
            self._open.pop(evicted).close()


def memory_limit_bytes() -> int:
    """Memory that this process may use: of its control group where it has a limit, else of the machine."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        try:
            text = file.read_text("ascii").strip()
        except OSError:
            continue
        if text.isdecimal():
            return min(machine, int(text))
    return machine


def _is_usable(model: SpaceModel) -> bool:
    """Whether what opens it is installed here."""
    needed = (*_NEEDS[model.runtime], *((_GENAI,) if model.type.startswith("genai-") else ()))
    return all(find_spec(module) for module in needed)


def _memory_of(model: SpaceModel) -> int:
    size = model.bytes or (Path(model.path).stat().st_size if model.path and Path(model.path).is_file() else 0)
    return size + _BESIDE_WEIGHTS
