"""The stage `documentation`: what Python's own source says of itself, as plain text to continue pretraining on.

A row is one class or function with its signature and its documentation string. The text is that of the Python that
runs, under the PSF License; the record names its version. Modules are parsed, never imported.
"""

import ast
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from inspect import cleandoc
from pathlib import Path
from random import Random

from zoo.data import ROWS_NAME
from zoo.errors import DataError
from zoo.records import Metric, StageContext, StageResult
from zoo.schema import DocumentationSpec

__all__ = ["run"]

_HELD_OUT_OF = 10
_LEAST_LETTERS = 80
"""Of a documentation string: shorter ones say little more than the name does."""


@dataclass(frozen=True)
class _Documented:
    module: str
    name: str
    text: str

    @property
    def held_out(self) -> bool:
        """By its name, so that it is the same on every machine."""
        return int(sha256(f"{self.module}.{self.name}".encode()).hexdigest(), 16) % _HELD_OUT_OF == 0


def run(spec: DocumentationSpec, ctx: StageContext) -> StageResult:
    """Write `rows.jsonl`: `text`, `task` (the object's name), `template` (its module).

    Raises DataError for a module that is not one of the standard library's, and when nothing is left.
    """
    found = [one for module in spec.modules for one in _documented(module)]
    wanted = [one for one in found if one.held_out is (spec.split == "held-out")]
    if spec.limit is not None and spec.limit < len(wanted):
        chosen = sorted(Random(f"{ctx.seed} limit").sample(range(len(wanted)), spec.limit))
        wanted = [wanted[at] for at in chosen]
    if not wanted:
        raise DataError(f"documentation: {', '.join(spec.modules)} have nothing in the split {spec.split}; name more")
    with (ctx.out / ROWS_NAME).open("w", encoding="utf-8") as file:
        for one in wanted:
            file.write(json.dumps({"text": one.text, "task": one.name, "template": one.module}) + "\n")
    rows = Counter(one.module for one in wanted)
    table = [{"template": module, "rows": count} for module, count in sorted(rows.items())]
    metrics = {"rows": Metric(len(wanted)), "letters": Metric(sum(len(one.text) for one in wanted))}
    return StageResult(metrics, {"rows_per_template": table, "license": "PSF-2.0"})


def _documented(module: str) -> Iterator[_Documented]:
    for file in _sources(module):
        tree = ast.parse(file.read_text("utf-8"))
        if text := ast.get_docstring(tree):
            yield from _kept(module, file.stem, "", text)
        for node, name in _objects(tree, ""):
            yield from _kept(module, name, _signature(node), ast.get_docstring(node) or "")


def _kept(module: str, name: str, signature: str, text: str) -> Iterator[_Documented]:
    if len(text) >= _LEAST_LETTERS:
        yield _Documented(module, name, f"{module}.{name}{signature}\n\n{cleandoc(text)}")


def _sources(module: str) -> list[Path]:
    top = module.partition(".")[0]
    found = find_spec(top) if top in sys.stdlib_module_names else None
    if found is None or not found.origin or not found.origin.endswith(".py"):
        raise DataError(f"documentation: {module!r} is no module of the standard library with a source in Python")
    place = Path(found.origin)
    inside = place.parent.joinpath(*module.split(".")[1:]) if place.name == "__init__.py" else place
    if inside.is_dir():
        return sorted(file for file in inside.rglob("*.py") if "test" not in str(file.relative_to(inside)))
    file = inside.with_suffix(".py")
    if not file.is_file():
        raise DataError(f"documentation: {module!r} is no module of the standard library with a source in Python")
    return [file]


_Documentable = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _objects(node: ast.AST, above: str) -> Iterator[tuple[_Documentable, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, _Documentable):
            name = f"{above}{child.name}"
            yield child, name
            yield from _objects(child, f"{name}.")


def _signature(node: _Documentable) -> str:
    return "" if isinstance(node, ast.ClassDef) else f"({ast.unparse(node.args)})"
