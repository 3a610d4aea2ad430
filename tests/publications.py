"""A publication for tests: what the runner would hand to the stage, and a push of what it made."""

import shutil
from pathlib import Path

import example_records as example
import yaml

from zoo import publish
from zoo.hub import Endpoint
from zoo.records import StageContext
from zoo.schema import PublishSpec

__all__ = ["LOCK", "SPEC", "context_of", "names", "push"]

LOCK = {
    "name": "pocket-135m",
    "version": 1,
    "summary": "A phone agent for two CPU cores.",
    "license": "Apache-2.0",
    "seed": 7,
    "tiny": False,
    "stages": {"sft": {"kind": "sft", "key": "0a1b", "inputs": {}}},
}
SPEC = PublishSpec.model_validate(
    {
        "repo": "zoo/pocket-135m",
        "model": "stage:grpo",
        "export": "stage:gguf",
        "verify": "stage:verify",
        "scores": {"base": "stage:base-score", "after GRPO": "stage:grpo-score"},
    }
)


def context_of(tmp_path: Path, tiny_llama: Path) -> StageContext:
    """What the runner would hand to the stage: a checkpoint, an export and its verification, and all their records."""
    model = tmp_path / "stages" / "grpo"
    shutil.copytree(tiny_llama, model)
    (model / "stage.json").write_text("{}")
    export = tmp_path / "stages" / "gguf"
    export.mkdir()
    (export / "model-F16.gguf").write_bytes(b"GGUF" + bytes(2000))
    (export / "model-Q8_0.gguf").write_bytes(b"GGUF" + bytes(1000))
    verify = tmp_path / "stages" / "verify"
    verify.mkdir()
    (verify / "verify.json").write_text('{"q8_0": {"top1": 0.97}}')
    out = tmp_path / "stages" / "publish.part"
    out.mkdir()
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    scores = {f"scores.{label}": verify for label in SPEC.scores}
    return StageContext(
        out=out,
        scratch=scratch,
        inputs={"model": model, "export": export, "verify": verify, **scores},
        seed=7,
        lineage=example.run(),
        recipe_files={"recipe.yaml": example.RECIPE, "recipe.lock.yaml": yaml.safe_dump(LOCK)},
    )


def names(folder: Path) -> set[str]:
    """Every file of a folder, by its path in it."""
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def push(publication: Path, endpoint: Endpoint) -> list[publish.Published]:
    """Push it as version 1."""
    return publish.push(publication, "zoo/pocket-135m", endpoint, private=False, message="pocket-135m version 1")
