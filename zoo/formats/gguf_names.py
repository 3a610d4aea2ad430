"""Names of GGUF files, in a stage's folder and on a Hub.

In a stage: `model-Q8_0.gguf`, or `model-Q8_0-00001-of-00003.gguf` where it is split, `mmproj-F16.gguf` for a vision
tower, `adapter-F16-LoRA.gguf` for an adapter. On a Hub the model's name stands in front
(https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#gguf-naming-convention).
"""

import re
from collections.abc import Iterable
from pathlib import Path

__all__ = ["MODEL", "adapter_name", "file_name", "first_files", "published", "shards", "side_files", "title", "type_of"]

MODEL = "model"
"""What a model's files in a stage begin with."""

_SHARD = re.compile(r"^(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$")
_SIZE = re.compile(r"^\d+(?:\.\d+)?[kmbt]$", re.IGNORECASE)
_VERSION = re.compile(r"^v\d")


def file_name(type_: str, stem: str = MODEL) -> str:
    """The name of a file of one type.

    >>> file_name("q8_0")
    'model-Q8_0.gguf'
    """
    return f"{stem}-{type_.upper()}.gguf"


def adapter_name(stem: str = "adapter") -> str:
    """The name of an adapter, which is always in f16."""
    return f"{stem}-F16-LoRA.gguf"


def type_of(name: str) -> str:
    """The type in a model file's name, split or not.

    >>> type_of("model-Q4_K_M-00001-of-00002.gguf")
    'q4_k_m'
    """
    match = _SHARD.match(name)
    return (match["stem"] if match else name.removesuffix(".gguf")).rpartition("-")[2].lower()


def first_files(folder: Path) -> list[Path]:
    """The models of a stage's folder, a split one by its first file: what llama.cpp is given."""
    return sorted(file for file in folder.glob(f"{MODEL}-*.gguf") if _number(file.name) == 1)


def shards(file: Path) -> list[Path]:
    """All files of a split model, given its first; the file itself where it is not split."""
    match = _SHARD.match(file.name)
    if not match:
        return [file]
    count = int(match["count"])
    return [file.with_name(f"{match['stem']}-{number + 1:05d}-of-{count:05d}.gguf") for number in range(count)]


def side_files(folder: Path) -> list[Path]:
    """What belongs to the models of a stage's folder without being one: a vision tower, an adapter, the grammar."""
    return sorted([*folder.glob("mmproj-*.gguf"), *folder.glob("adapter-*.gguf"), *folder.glob("action.*")])


def published(files: Iterable[str], repo_name: str) -> dict[str, str]:
    """Each file of a stage -> its name on a Hub.

    >>> published(["model-Q8_0.gguf", "mmproj-F16.gguf", "adapter-F16-LoRA.gguf"], "pocket-135m")["mmproj-F16.gguf"]
    'mmproj-Pocket-135M-F16.gguf'
    """
    return {file: _published(file, title(repo_name)) for file in files}


def title(name: str) -> str:
    """A repository's name as GGUF's naming convention writes models: `pocket-135m` -> `Pocket-135M`."""
    return "-".join(_titled(word) for word in name.split("-"))


def _published(file: str, name: str) -> str:
    if not file.endswith(".gguf"):
        return file
    kind, _, rest = file.partition("-")
    return f"mmproj-{name}-{rest}" if kind == "mmproj" else f"{name}-{rest}"


def _titled(word: str) -> str:
    if _SIZE.match(word):
        return word.upper()
    return word if _VERSION.match(word) else word[:1].upper() + word[1:]


def _number(name: str) -> int:
    match = _SHARD.match(name)
    return int(match["number"]) if match else 1
