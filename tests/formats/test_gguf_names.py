"""Names of GGUF files: what a stage calls them, what a Hub shows."""

from pathlib import Path

import pytest

from zoo.formats import gguf_names

STAGE = [
    "adapter-F16-LoRA.gguf", "mmproj-F16.gguf", "model-F16-00001-of-00002.gguf", "model-F16-00002-of-00002.gguf",
    "model-Q4_K_M.gguf",
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in [*STAGE, "stage.json"]:
        (tmp_path / name).touch()
    return tmp_path


def test_a_split_model_is_one_model_and_what_lies_beside_is_none(folder: Path) -> None:
    assert [file.name for file in gguf_names.first_files(folder)] == STAGE[2:3] + STAGE[4:]
    assert [file.name for file in gguf_names.side_files(folder)] == STAGE[:2]


@pytest.mark.parametrize(
    ("name", "type_"),
    [("model-Q8_0.gguf", "q8_0"), ("model-Q4_K_M.gguf", "q4_k_m"), ("model-F16-00002-of-00002.gguf", "f16")],
)
def test_a_name_tells_the_type(name: str, type_: str) -> None:
    assert gguf_names.type_of(name) == type_


def test_published_names_follow_the_convention() -> None:
    assert list(gguf_names.published(STAGE, "pocket-135m-v2").values()) == [
        "Pocket-135M-v2-F16-LoRA.gguf",
        "mmproj-Pocket-135M-v2-F16.gguf",
        "Pocket-135M-v2-F16-00001-of-00002.gguf",
        "Pocket-135M-v2-F16-00002-of-00002.gguf",
        "Pocket-135M-v2-Q4_K_M.gguf",
    ]


def test_the_grammar_of_the_agent_lies_beside_and_keeps_its_name(tmp_path: Path) -> None:
    for name in ("action.gbnf", "action.schema.json", "model-Q8_0.gguf"):
        (tmp_path / name).touch()
    beside = [file.name for file in gguf_names.side_files(tmp_path)]
    assert beside == ["action.gbnf", "action.schema.json"]
    assert gguf_names.published(beside, "Small-GGUF") == {name: name for name in beside}
