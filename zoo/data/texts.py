"""Plain text as rows of one column, `text`, for continued pretraining: of a dataset, of files, of an installed package.

Of a package, text files are read as they are, and of Python modules the documentation strings. A text longer than
`text_characters` becomes several rows, cut between paragraphs, else lines, else words. Nothing is cut off.
"""

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path

from zoo.data.records import data_files, records
from zoo.data.samples import Dropped, Made, Sample
from zoo.errors import DataError, EnvironmentFailure
from zoo.schema import DataSpec

__all__ = ["package_problem", "pieces", "texts"]

_TEXT_FILES = ("*.txt", "*.md", "*.rst")
_BREAKS = ("\n\n", "\n", " ")


def texts(spec: DataSpec, source: Path | None) -> Made:
    """Every text, in the order of the files. `source` is None for a package.

    Raises DataError when there is none, EnvironmentFailure when the package is another one than the recipe's.
    """
    found = _of_package(spec) if source is None else _of_dataset(spec, source)
    for name, text in found:
        if not text.strip():
            yield Dropped("empty")
            continue
        for piece in pieces(text, spec.text_characters):
            yield Sample({"text": piece, "task": name})


def pieces(text: str, most: int | None) -> Iterator[str]:
    """A text in pieces of at most `most` characters; put together they are the text but for the space at the cuts.

    >>> list(pieces("One two.\\n\\nThree four.", 12))
    ['One two.', 'Three four.']
    """
    rest = text.strip()
    while most and len(rest) > most:
        cut = next((at for mark in _BREAKS if (at := rest.rfind(mark, 1, most + 1)) > 0), most)
        yield rest[:cut].rstrip()
        rest = rest[cut:].lstrip()
    if rest:
        yield rest


def package_problem(package: str) -> str | None:
    """Why the package of a recipe cannot be read here; None when it can."""
    name, _, version = package.partition("==")
    try:
        installed = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"the package {name} is not installed; run: pip install {package}"
    return None if installed == version else f"{name} {installed} is installed, the recipe reads {package}"


def _of_dataset(spec: DataSpec, source: Path) -> Iterator[tuple[str, str]]:
    root = source if source.is_dir() else source.parent
    patterns = spec.files or _TEXT_FILES
    files = [source] if source.is_file() else sorted(file for file in source.rglob("*") if file.is_file())
    plain = [file for file in files if _fits(file.relative_to(root), patterns) and file.name != "README.md"]
    if plain and (spec.files or not _has_records(source)):
        yield from ((file.relative_to(root).as_posix(), _read(file)) for file in plain)
        return
    for file in data_files(source):
        for number, record in enumerate(records(file), start=1):
            if not isinstance(record.get(spec.column), str):
                raise DataError(f"{file}: record {number} has no text `{spec.column}`; it has {', '.join(record)}")
            yield f"{file.relative_to(root).as_posix()}:{number}", record[spec.column]


def _has_records(source: Path) -> bool:
    try:
        return bool(data_files(source))
    except DataError:
        return False


def _of_package(spec: DataSpec) -> Iterator[tuple[str, str]]:
    package = spec.package or ""
    if problem := package_problem(package):
        raise EnvironmentFailure(problem)
    patterns = spec.files or (*_TEXT_FILES, "*.py")
    listed = metadata.files(package.partition("==")[0]) or []
    chosen = sorted((file for file in listed if _fits(Path(file), patterns)), key=str)
    if not chosen:
        raise DataError(f"{package} holds no file like {', '.join(patterns)}; write others under `files`")
    for file in chosen:
        path = Path(str(file.locate()))
        if not path.is_file() or ".dist-info" in str(file):
            continue
        if path.suffix == ".py":
            yield from ((f"{file}:{line}", text) for line, text in _documentation(path))
        else:
            yield str(file), _read(path)


def _documentation(file: Path) -> Iterator[tuple[int, str]]:
    """The documentation strings of a module, in the order of the file."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError):  # packages ship examples of broken modules
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            text := ast.get_docstring(node)
        ):
            yield getattr(node, "lineno", 1), text


def _fits(file: Path, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(file.name, pattern) or fnmatchcase(file.as_posix(), pattern) for pattern in patterns)


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is no text in UTF-8: {error.reason}; leave it out with `files`") from error
