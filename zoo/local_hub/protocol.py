"""The Hub's JSON shapes and header names, as huggingface_hub 2.4 reads them; pure.

Read off that library's source (`hf_api.py`, `_commit_api.py`, `lfs.py`, `file_download.py`) and off traces of it.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import zip_longest

from starlette.responses import JSONResponse

from zoo.local_hub.names import Kind
from zoo.local_hub.refusal import Refused
from zoo.local_hub.state import Commit, Entry, Reference, Repository

__all__ = [
    "commits_shape",
    "dated",
    "info_shape",
    "large_entry",
    "last_changes",
    "path_shapes",
    "refs_shape",
    "refusal_response",
    "repository_url",
    "runtime_shape",
    "small_entry",
    "tree_shapes",
    "upload_mode",
]

Shape = dict[str, object]

_LARGE_BYTES = 10_000_000
_WEIGHTS = (
    ".safetensors",
    ".gguf",
    ".onnx",
    ".tflite",
    ".bin",
    ".ckpt",
    ".h5",
    ".msgpack",
    ".pickle",
    ".pkl",
    ".pt",
    ".pth",
)
_TABLES = (".arrow", ".parquet", ".npy", ".npz")
_MEDIA = (".avif", ".bmp", ".gif", ".jpeg", ".jpg", ".mp3", ".mp4", ".png", ".wav", ".webp")
_ARCHIVES = (".7z", ".bz2", ".gz", ".tar", ".tgz", ".xz", ".zip", ".zst")
_LARGE_SUFFIXES = (*_WEIGHTS, *_TABLES, *_MEDIA, *_ARCHIVES)


def small_entry(content_sha256: str, content: bytes) -> Entry:
    """A file that git itself would hold."""
    return Entry(_git_oid(content), len(content), content_sha256, large=False)


def large_entry(sha256: str, size: int) -> Entry:
    """A file whose content git would hold as a pointer (Git LFS specification, version 1)."""
    return Entry(_git_oid(_pointer(sha256, size)), size, sha256, large=True)


def _git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _pointer(sha256: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def upload_mode(path: str, size: int, sample: bytes) -> str:
    """`lfs` for weights, media and archives, for what is longer than 10 MB and for what is no text; else `regular`.

    `sample` is the file's first 512 bytes at most.
    """
    large = path.lower().endswith(_LARGE_SUFFIXES) or size > _LARGE_BYTES or b"\0" in sample
    return "lfs" if large and size else "regular"


def repository_url(base: str, kind: Kind, name: str) -> str:
    """Where clients believe the repository's page to be."""
    return f"{base}/{name}" if kind == "model" else f"{base}/{kind}s/{name}"


def _large(entry: Entry, digest_key: str) -> Shape:
    if not entry.large:
        return {}
    pointer_size = len(_pointer(entry.sha256, entry.size))
    return {"lfs": {digest_key: entry.sha256, "size": entry.size, "pointerSize": pointer_size}}


def _file_shape(path: str, entry: Entry) -> Shape:
    return {"type": "file", "path": path, "oid": entry.oid, "size": entry.size, **_large(entry, "oid")}


def _folder_shape(path: str) -> Shape:
    oid = hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest()
    return {"type": "directory", "path": path, "oid": oid, "size": 0}


def tree_shapes(files: Mapping[str, Entry], folder: str, recursive: bool) -> list[Shape]:
    """What is in a folder (`""`: the root), or anywhere below it; empty when there is no such folder."""
    prefix = folder + "/" if folder else ""
    shapes: dict[str, Shape] = {}
    for path, entry in sorted(files.items()):
        if not path.startswith(prefix):
            continue
        parents = list(_parents(path, prefix))
        for parent in parents if recursive else parents[:1]:
            shapes[parent] = _folder_shape(parent)
        if recursive or not parents:
            shapes[path] = _file_shape(path, entry)
    return list(shapes.values())


def _parents(path: str, prefix: str) -> Iterator[str]:
    """The folders between `prefix` and the file, the outermost first."""
    at = path.find("/", len(prefix))
    while at != -1:
        yield path[:at]
        at = path.find("/", at + 1)


def dated(shapes: Sequence[Shape], commits: Mapping[str, Commit]) -> list[Shape]:
    """Listed files and folders with the commit that last changed each, as `expand=True` asks for."""

    def last(path: str) -> Shape:
        commit = commits[path]
        return {"lastCommit": {"id": commit.sha, "title": commit.title, "date": commit.date}}

    return [shape | last(str(shape["path"])) for shape in shapes]


def last_changes(history: Sequence[Commit], paths: Collection[str]) -> dict[str, Commit]:
    """Which commit last changed each file or folder; `history` from the commit that is listed back to the first."""
    found: dict[str, Commit] = {}
    for commit, parent in zip_longest(history, history[1:]):
        before = parent.files if parent else {}
        changed = {path for path in commit.files.keys() | before.keys() if commit.files.get(path) != before.get(path)}
        touched = changed | {folder for path in changed for folder in _parents(path, "")}
        for path in touched.intersection(paths) - found.keys():
            found[path] = commit
        if len(found) == len(paths):
            break
    return found


def path_shapes(files: Mapping[str, Entry], paths: list[str]) -> list[Shape]:
    """The named files and folders; what does not exist is left out, as the Hub does."""
    shapes = []
    for path in (path.rstrip("/") for path in paths):
        if path in files:
            shapes.append(_file_shape(path, files[path]))
        elif any(file.startswith(path + "/") for file in files):
            shapes.append(_folder_shape(path))
    return shapes


def info_shape(repository: Repository, commit: Commit, card: Mapping[str, object] | None = None) -> Shape:
    """A repository at a commit: `ModelInfo`, `DatasetInfo` or `SpaceInfo`. `card`: the metadata of its README."""
    siblings = [
        {"rfilename": path, "size": entry.size, "blobId": entry.oid, **_large(entry, "sha256")}
        for path, entry in sorted(commit.files.items())
    ]
    shape: Shape = {
        "_id": f"{repository.id:024x}",
        "id": repository.name,
        "author": repository.name.partition("/")[0],
        "sha": commit.sha,
        "lastModified": commit.date,
        "createdAt": repository.created,
        "private": repository.private,
        "gated": repository.gated,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": siblings,
        "usedStorage": sum(entry.size for entry in commit.files.values()),
    }
    if card:
        shape |= {"cardData": card, "tags": _tags(card)}
        shape |= {key: card[key] for key in ("pipeline_tag", "library_name") if isinstance(card.get(key), str)}
    if repository.kind == "model":
        shape["modelId"] = repository.name
    if repository.kind == "space":
        shape |= {"sdk": repository.details.get("sdk"), "runtime": runtime_shape(repository)}
    return shape


def _tags(card: Mapping[str, object]) -> list[str]:
    """What a repository is found by: the card's own tags, and its lineage and licence as the Hub writes them."""
    tags = _texts(card.get("tags"))
    tags += [f"license:{card['license']}"] if isinstance(card.get("license"), str) else []
    tags += [f"dataset:{name}" for name in _texts(card.get("datasets"))]
    relation = card.get("base_model_relation")
    for name in _texts(card.get("base_model")):
        tags += [f"base_model:{name}"] + ([f"base_model:{relation}:{name}"] if isinstance(relation, str) else [])
    return tags


def _texts(value: object) -> list[str]:
    return [value] if isinstance(value, str) else [str(item) for item in value] if isinstance(value, list) else []


def runtime_shape(repository: Repository) -> Shape:
    """A Space's runtime: always stopped, since nothing here runs Spaces."""
    hardware = repository.details.get("hardware", "cpu-basic")
    return {
        "stage": "STOPPED",
        "hardware": {"current": None, "requested": hardware},
        "storage": None,
        "gcTimeout": None,
    }


def refs_shape(references: list[Reference]) -> Shape:
    """Branches, tags and pull requests."""

    def of(type: str, prefix: str) -> list[Shape]:
        chosen = [ref for ref in references if ref.type == type]
        return [{"name": ref.name, "ref": prefix + ref.name, "targetCommit": ref.sha} for ref in chosen]

    return {
        "branches": of("branch", "refs/heads/"),
        "tags": of("tag", "refs/tags/"),
        "pullRequests": of("pull", ""),
        "converts": [],
    }


def commits_shape(commits: Sequence[Commit], author: str) -> list[Shape]:
    """A history, the newest first."""
    return [
        {
            "id": commit.sha,
            "title": commit.title,
            "message": commit.message,
            "date": commit.date,
            "authors": [{"user": author}],
        }
        for commit in commits
    ]


def refusal_response(refused: Refused) -> JSONResponse:
    """A refusal as the Hub words it, in the body and in the headers that huggingface_hub chooses its exception by."""
    sentence = " ".join(refused.message.split()).encode("latin-1", "replace").decode("latin-1")
    headers = {"X-Error-Message": sentence}
    if refused.code:
        headers["X-Error-Code"] = refused.code
    if refused.commit:
        headers["X-Repo-Commit"] = refused.commit
    body = {"error": refused.message, "errors": [{"message": refused.message}]}
    return JSONResponse(body, refused.status, headers)
