"""The data files of a dataset's folder, and their records as plain dicts, a few at a time."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from zoo.errors import DataError, EnvironmentFailure
from zoo.records import RECORD_NAME

__all__ = ["data_files", "records"]

_NO_DATA = frozenset({RECORD_NAME, "dataset_info.json", "dataset_infos.json"})
_RECORDS_AT_ONCE = 32


def data_files(source: Path) -> list[Path]:
    """The files to read, in order: of the first of parquet, JSON lines and JSON that there is, the train split's.

    Raises DataError when there is none.
    """
    if source.is_file() and source.suffix in _READERS:
        return [source]
    for suffix in _READERS:
        found = sorted(file for file in source.rglob(f"*{suffix}") if file.is_file() and file.name not in _NO_DATA)
        if found:
            return [file for file in found if _is_train(file.relative_to(source))] or found
    raise DataError(f"{source} holds no data; it needs files that end in {', '.join(_READERS)}")


def records(file: Path) -> Iterator[dict[str, Any]]:
    """The records of one file. Raises DataError, with the line, when one is no object."""
    for number, record in enumerate(_READERS[file.suffix](file), start=1):
        if not isinstance(record, dict):
            raise DataError(f"{file}: record {number} is {type(record).__name__}; it must be an object of columns")
        yield record


def _is_train(path: Path) -> bool:
    return any(part.startswith("train") for part in path.parts)


def _parquet(file: Path) -> Iterator[Any]:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise EnvironmentFailure("reading parquet needs pyarrow; install edgezoo[train]") from error
    try:
        for batch in ParquetFile(file).iter_batches(batch_size=_RECORDS_AT_ONCE):
            yield from batch.to_pylist()
    except ArrowInvalid as error:
        raise DataError(f"{file} is no parquet file: {error}") from error


def _json_lines(file: Path) -> Iterator[Any]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _loaded(line, f"{file}:{number}")


def _json(file: Path) -> Iterator[Any]:
    data = _loaded(file.read_text("utf-8"), str(file))
    if not isinstance(data, list):
        raise DataError(f"{file} holds {type(data).__name__}; it must be a list of objects")
    yield from data


def _loaded(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{where} is no JSON: {error}") from error


_READERS: dict[str, Callable[[Path], Iterator[Any]]] = {".parquet": _parquet, ".jsonl": _json_lines, ".json": _json}
"""Suffix -> its reader, the preferred one first."""
