"""Whether two models share their tokens is known from small files."""

import json
from pathlib import Path
from typing import Any

import pytest

from zoo.errors import ModelError
from zoo.vocabularies import check_folders, compare, digest, reader, tokens_in, tokens_of

TOKENS = {number: f"t{number}" for number in range(100)}


def folder(path: Path, tokens: dict[int, str], rows: int | None = None, added: int = 2) -> Path:
    """A checkpoint's small files: the last `added` tokens are added ones."""
    path.mkdir()
    plain = dict(list(tokens.items())[: len(tokens) - added])
    more = [{"id": i, "content": t} for i, t in tokens.items() if i not in plain]
    file = {"model": {"vocab": {token: number for number, token in plain.items()}}, "added_tokens": more}
    (path / "tokenizer.json").write_text(json.dumps(file), "utf-8")
    (path / "config.json").write_text(json.dumps({"vocab_size": rows or len(tokens)}), "utf-8")
    return path


def test_the_tokens_are_those_of_the_tokenizer(tiny_llama: Path) -> None:
    from transformers import AutoTokenizer

    vocabulary = AutoTokenizer.from_pretrained(tiny_llama).get_vocab()
    assert tokens_in(tiny_llama) == {number: token for token, number in vocabulary.items()}
    assert check_folders(tiny_llama, tiny_llama) == len(vocabulary)


def test_padded_rows_are_no_tokens(tmp_path: Path) -> None:
    student, teacher = folder(tmp_path / "s", TOKENS, 128), folder(tmp_path / "t", TOKENS, 256)
    assert check_folders(student, teacher) == 100


def test_further_tokens_at_the_end_of_one_side_are_left_out(tmp_path: Path) -> None:
    more = {**TOKENS, 100: "<tool>", 101: "</tool>"}
    student, teacher = folder(tmp_path / "s", TOKENS), folder(tmp_path / "t", more, 128)
    assert check_folders(student, teacher) == check_folders(teacher, student) == 100
    assert digest(TOKENS, 100) == digest(more, 100) != digest(more, 101)


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({**TOKENS, 7: "seven", 8: "t7"}, "2 of 100 numbers are other tokens to the teacher (7 is 't7' and 'seven'"),
        ({number: f"t{number}" for number in range(30)}, "only the first 30 of 100"),
    ],
)
def test_other_tokens_are_refused_with_what_to_do(tmp_path: Path, other: dict[int, str], words: str) -> None:
    student, teacher = folder(tmp_path / "s", TOKENS), folder(tmp_path / "t", other)
    with pytest.raises(ModelError) as error:
        check_folders(student, teacher)
    assert words in str(error.value) and "gold: true" in str(error.value) and "imitate" in str(error.value)


def test_an_embedding_that_is_too_small_bounds_what_is_compared() -> None:
    assert compare(TOKENS, TOKENS, (98, 200)).tokens == 98


def test_a_unigram_vocabulary_is_numbered_by_its_order() -> None:
    file = json.dumps({"model": {"vocab": [["a", -1.0], ["b", -2.0]]}, "added_tokens": [{"id": 2, "content": "<s>"}]})
    assert tokens_of(lambda name: file.encode()) == {0: "a", 1: "b", 2: "<s>"}


def test_files_that_say_nothing_are_no_agreement(tmp_path: Path, tiny_llama: Path) -> None:
    assert tokens_of(lambda name: None) is None
    empty = folder(tmp_path / "e", TOKENS)
    (empty / "tokenizer.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match=r"tokenizer.json is no tokenizer"):
        check_folders(tiny_llama, empty)
    (empty / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"no tokenizer.json"):
        check_folders(tiny_llama, empty)


def test_a_reader_knows_what_is_not_there(tmp_path: Path) -> None:
    read: Any = reader(tmp_path)
    assert read("tokenizer.json") is None
