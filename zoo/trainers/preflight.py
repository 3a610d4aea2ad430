"""Rows and checkpoint held against each other before any weight is loaded.

Nothing is ever truncated: a row that does not fit is named. What is read here are JSON lines, `config.json`, the
tokenizer and the headers of images.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo import checkpoint, data
from zoo.data import ROWS_NAME
from zoo.errors import DataError, ModelError

__all__ = [
    "ROWS_NAME",
    "check_images",
    "check_lengths",
    "check_packing",
    "check_template",
    "load_processor",
    "read_rows",
    "row_tokens",
    "tools_of",
]


def read_rows(folder: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a data stage with the columns that a trainer wants, and `images` as absolute paths where given.

    Raises DataError when there are none, when a column is missing or when an image is not within the folder.
    """
    file = folder / ROWS_NAME
    rows = list(data.read_rows(folder))
    if not rows:
        raise DataError(f"{file} has no rows; raise the data stage's `tasks` or `limit`")
    for number, row in enumerate(rows, 1):
        if missing := [column for column in columns if column not in row]:
            raise DataError(f"{file}:{number} has no {' and no '.join(missing)}; it has {', '.join(sorted(row))}")
        row["images"] = [_image(folder, name, f"{file}:{number}") for name in row.get("images") or ()]
    if not any(row["images"] for row in rows):
        rows = [{name: value for name, value in row.items() if name != "images"} for row in rows]
    return rows


def load_processor(folder: Path) -> Any:
    """The tokenizer of a checkpoint, or for one that sees images the processor that holds it.

    Raises ModelError when the tokenizer has no chat template.
    """
    from transformers import AutoTokenizer

    if checkpoint.facts(folder).sees_images:
        from zoo.image_processor import load_image_processor

        processor = load_image_processor(folder)
    else:
        processor = AutoTokenizer.from_pretrained(folder)
    if not processor.chat_template:
        raise ModelError(f"the tokenizer in {folder} has no chat template; take the instruct version of the model")
    return processor


def check_template(processor: Any, row: dict[str, Any]) -> None:
    """Refuse a chat template that does not end an answer with the tokenizer's stop token: it could not be learned."""
    stop = getattr(processor, "tokenizer", processor).eos_token
    asked = processor.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
    answered = processor.apply_chat_template([*row["prompt"], *row["completion"]], tokenize=False)
    if not stop or stop not in answered.removeprefix(asked):
        raise ModelError(
            f"the chat template does not end an answer with the stop token {stop!r}, so that no answer ends"
        )


def check_packing(options: Mapping[str, Any], model: Path) -> None:
    """Refuse to pack rows where one would see another.

    TRL's `bfd` gives each row positions of its own, from which transformers masks the others; `wrapped` cuts rows where
    a pack is full and masks nothing, and a model with three-dimensional positions does not read them.
    Raises ModelError.
    """
    if not (options.get("packing") or options.get("padding_free")):
        return
    if options.get("packing_strategy") == "wrapped":
        raise ModelError("packing_strategy: wrapped lets rows see each other; write bfd")
    if checkpoint.facts(model).sees_images:
        raise ModelError(
            "packing keeps rows apart by positions, which a model that sees images has others of; leave it"
        )


def check_images(rows: Sequence[Mapping[str, Any]], processor: Any) -> None:
    """Refuse images for a model without eyes. Raises DataError naming the first row that has any."""
    if hasattr(processor, "image_processor"):
        return
    for number, row in enumerate(rows, 1):
        if row.get("images"):
            raise DataError(
                f"row {number} ({row.get('task', 'no task')}) has images, and the model reads text only; start from a "
                "model that sees images, or make the rows without them (agent: {pictures: none} in the data stage)"
            )


def check_lengths(
    rows: Sequence[dict[str, Any]], processor: Any, model: Path, limit: int | None, answer_tokens: int | None = None
) -> int:
    """Refuse a row longer than the model or than `limit` allows; returns the longest row's tokens.

    With `answer_tokens`, a row is its prompt and so many tokens to generate; without, its prompt and its completion.

    Raises DataError naming the row, its tokens and the limit, and for images that the model does not see.
    """
    check_images(rows, processor)
    positions = checkpoint.facts(model).positions
    most = min(positions, limit or positions)
    longest = 0
    for number, row in enumerate(rows, 1):
        tokens = row_tokens(row, processor, answer_tokens)
        if tokens > most:
            whose = "the model's max_position_embeddings" if most == positions else "`max_length`"
            raise DataError(
                f"row {number} ({row.get('task', 'no task')}) has {tokens} tokens, and {whose} is {most}; shorten "
                "the rows (fewer memory steps, a shorter answer) or take a model with a longer context"
            )
        longest = max(longest, tokens)
    return longest


def row_tokens(row: dict[str, Any], processor: Any, answer_tokens: int | None = None) -> int:
    """How many tokens a row is, its images and the functions that it offers included."""
    messages = row["prompt"] if answer_tokens is not None else [*row["prompt"], *row["completion"]]
    ask = answer_tokens is not None
    text = processor.apply_chat_template(messages, tools=tools_of(row), tokenize=False, add_generation_prompt=ask)
    tokenizer = getattr(processor, "tokenizer", processor)
    words = len(tokenizer(text, add_special_tokens=False)["input_ids"])
    return words + _image_tokens(row.get("images") or (), processor) + (answer_tokens or 0)


def tools_of(row: Mapping[str, Any]) -> Any:
    """The functions of a row: a list, or JSON of one, as Hub datasets have it; None where it has none."""
    tools = row.get("tools")
    return (json.loads(tools) if isinstance(tools, str) else tools) or None


def _image_tokens(images: Sequence[str], processor: Any) -> int:
    """Tokens that stand for images: one for each merged square of patches, and two that enclose them."""
    from PIL import Image

    tokens = 0
    for path in images:
        with Image.open(path) as image:
            width, height = image.size
        patches = processor.image_processor.get_number_of_image_patches(height, width, {})
        tokens += patches // processor.image_processor.merge_size**2 + 2
    return tokens


def _image(folder: Path, name: str, where: str) -> str:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise DataError(f"{where} names an image outside its folder: {name!r}")
    if not path.is_file():
        raise DataError(f"{where} names an image that is not there: {name!r}")
    return str(path)
