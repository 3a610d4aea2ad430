"""The tokenizer of a checkpoint, looked at before anything is written: whole, no larger than the embedding, its chat
template one that compiles. What a format asks besides is that format's to ask."""

from pathlib import Path
from typing import Any

from zoo.errors import ExportError, ModelError
from zoo.serving import prompts

__all__ = ["open_tokenizer"]


def open_tokenizer(folder: Path, size: int) -> Any:
    """transformers' tokenizer of a checkpoint whose embedding has `size` rows.

    Raises ModelError when it cannot be loaded or its template does not compile, ExportError when it has more tokens
    than the embedding has rows, or several templates.
    """
    from transformers import AutoTokenizer

    if not (folder / "tokenizer.json").is_file():
        raise ModelError(f"{folder}: no tokenizer.json; save the tokenizer beside the weights")
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except Exception as error:  # tokenizers raises nothing more precise for a tokenizer.json that is none
        raise ModelError(f"{folder}: the tokenizer cannot be loaded: {error}") from error
    token, last = max(tokenizer.get_vocab().items(), key=lambda item: item[1])
    if last >= size:
        raise ExportError(
            f"{folder}: the tokenizer's last token is {last} ({token!r}), the embedding has {size} rows; resize the "
            "embedding or use the tokenizer that the model was trained with"
        )
    _check_template(folder, tokenizer)
    return tokenizer


def _check_template(folder: Path, tokenizer: Any) -> None:
    template = tokenizer.chat_template or ""
    if not isinstance(template, str):
        raise ExportError(f"{folder}: several chat templates ({', '.join(template)}); keep the one to be exported")
    if template:
        prompts.render(template, [{"role": "user", "content": "a"}], tokenizer.special_tokens_map)
