"""A checkpoint's tokenizer in GGUF's terms: byte-level BPE (`gpt2` there), and BPE over pieces (`llama`, see `pieces`).

Tokens, their kinds, merges and special tokens are copied. The rule that splits a text before the merges is code inside
llama.cpp, so it can only be *named*: the name is chosen by the rule that stands in `tokenizer.json`, and a rule without
a name is refused. Not covered: unigrams and WordPiece; Unicode normalization (llama.cpp does none, so texts that
are not in NFC are split otherwise than by a tokenizer that normalizes, such as Qwen's).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import ExportError, ModelError
from zoo.exports import pieces
from zoo.exports.tokenizer import open_tokenizer

__all__ = ["Vocabulary", "read"]

# gguf.TokenType; llama.cpp matches CONTROL and USER_DEFINED tokens in the text before it splits it.
_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5

_ENDS = ("eos", "eot", "eom")
"""Where llama.cpp ends an answer."""

_QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3_SPLIT = _QWEN2_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
# What the splitting steps of tokenizer.json are called in llama.cpp (src/llama-vocab.cpp, LLAMA_VOCAB_PRE_TYPE_*).
_PRE_TOKENIZERS: dict[tuple[str, ...], str] = {
    ("ByteLevel+regex",): "gpt-2",
    ("Digits", "ByteLevel+regex"): "smollm",
    (f"Split {_QWEN2_SPLIT}", "ByteLevel"): "qwen2",
    (f"Split {_LLAMA3_SPLIT}", "ByteLevel"): "llama-bpe",
}
_TAKES_WHOLE_WORDS = ("llama-bpe",)
"""Rules with which llama.cpp takes a word that is a token as it is, before any merge (`ignore_merges`)."""


@dataclass(frozen=True)
class Vocabulary:
    """Everything under `tokenizer.` in a GGUF file."""

    model: str
    """`gpt2` or `llama`."""
    tokens: tuple[str, ...]
    """One for each row of the embedding; rows without a token are called `[PAD<row>]`."""
    types: tuple[int, ...]
    merges: tuple[str, ...]
    """Of `gpt2`."""
    scores: tuple[float, ...]
    """Of `llama`, one for each token."""
    pre_tokenizer: str
    special: Mapping[str, int]
    """`bos`, `eos`, `eot`, `eom`, `unk`, `pad`, as far as there are any. A model that stops at several tokens has the
    second and third under `eot` and `eom`, since llama.cpp ends an answer at each of the three."""
    adds_bos: bool
    adds_eos: bool
    chat_template: str


def read(folder: Path, size: int) -> Vocabulary:
    """Read the tokenizer of a checkpoint whose embedding has `size` rows.

    Raises ModelError when it has none or its template does not compile, ExportError when it is of a kind that GGUF or
    this export does not know, or has more tokens than the embedding has rows.
    """
    stored = _tokenizer_json(folder)
    tokenizer = open_tokenizer(folder, size)
    in_pieces = bool(stored["model"].get("byte_fallback"))
    tokens, types = _tokens(tokenizer, size, in_pieces)
    first, last = _added_around(tokenizer)
    return Vocabulary(
        "llama" if in_pieces else "gpt2",
        tokens,
        types,
        () if in_pieces else tuple(_merge(pair) for pair in stored["model"]["merges"]),
        pieces.scores(folder / "tokenizer.json", stored, tokens) if in_pieces else (),
        "default" if in_pieces else _pre_tokenizer(folder, stored),
        _special(folder, tokenizer),
        first is not None and first == tokenizer.bos_token_id,
        last is not None and last == tokenizer.eos_token_id,
        tokenizer.chat_template or "",
    )


def _tokenizer_json(folder: Path) -> dict[str, Any]:
    file = folder / "tokenizer.json"
    try:
        stored = json.loads(file.read_text("utf-8"))
        model, decoder = stored["model"], stored.get("decoder") or {}
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: no tokenizer.json; save the tokenizer beside the weights") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{file}: no tokenizer: {error!r}") from error
    if model.get("type") == "BPE" and model.get("byte_fallback"):
        pieces.check(file, stored)
    elif model.get("type") != "BPE" or decoder.get("type") != "ByteLevel":
        raise ExportError(f"{file}: a {model.get('type')} tokenizer; only BPE over bytes or pieces is exported")
    return dict(stored)


def _pre_tokenizer(folder: Path, stored: Mapping[str, Any]) -> str:
    normalizer = (stored.get("normalizer") or {}).get("type")
    if normalizer not in (None, "NFC"):
        raise ExportError(f"{folder / 'tokenizer.json'}: the normalizer {normalizer} has no counterpart in llama.cpp")
    node = stored.get("pre_tokenizer") or {}
    steps = node.get("pretokenizers", [node])
    rule = tuple(_step(step) for step in steps)
    if rule not in _PRE_TOKENIZERS:
        raise ExportError(
            f"{folder / 'tokenizer.json'}: texts are split by {' then '.join(rule)}, for which no name in llama.cpp is "
            f"known here; known: {', '.join(_PRE_TOKENIZERS.values())}"
        )
    name = _PRE_TOKENIZERS[rule]
    if bool(stored["model"].get("ignore_merges")) != (name in _TAKES_WHOLE_WORDS):
        does = "takes" if name in _TAKES_WHOLE_WORDS else "does not take"
        raise ExportError(
            f"{folder / 'tokenizer.json'}: llama.cpp {does} whole words before merging where texts are split as in "
            f"{name}; here `ignore_merges` is {bool(stored['model'].get('ignore_merges'))}"
        )
    return name


def _step(step: Mapping[str, Any]) -> str:
    """A splitting step as one word that holds all that changes its result."""
    kind = step.get("type")
    if kind == "ByteLevel" and not step.get("add_prefix_space"):
        return "ByteLevel+regex" if step.get("use_regex", True) else "ByteLevel"
    if kind == "Digits" and step.get("individual_digits"):
        return "Digits"
    if kind == "Split" and step.get("behavior") == "Isolated" and not step.get("invert"):
        return f"Split {step['pattern'].get('Regex')}"
    return json.dumps(step, sort_keys=True)


def _tokens(tokenizer: Any, size: int, in_pieces: bool) -> tuple[tuple[str, ...], tuple[int, ...]]:
    texts = {index: text for text, index in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    types = tuple(_type(index, texts, added, in_pieces) for index in range(size))
    if in_pieces:
        # llama.cpp looks for these in the text as it comes, before spaces are written as pieces have them.
        plain = (index for index in added if index < size and types[index] == _USER_DEFINED)
        texts |= {index: texts[index].replace(pieces.SPACE, " ") for index in plain}
    return tuple(texts.get(index, f"[PAD{index}]") for index in range(size)), types


def _type(index: int, texts: Mapping[int, str], added: Mapping[int, Any], in_pieces: bool) -> int:
    """As llama.cpp's converter: added tokens that look special are special, whatever their flag says
    (Qwen's `<|fim_prefix|>`)."""
    if index not in texts:
        return _UNUSED
    if index not in added:
        return pieces.BYTE if in_pieces and pieces.is_byte(texts[index]) else _NORMAL
    return _CONTROL if added[index].special or _looks_special(texts[index]) else _USER_DEFINED


def _looks_special(token: str) -> bool:
    """conversion/base.py: does_token_look_special; not covered: DeepSeek's wide bars."""
    around = (token[:2], token[-2:]) == ("<|", "|>") or (token.startswith("<unused") and token.endswith(">"))
    return around or token in ("<pad>", "<mask>", "<2mass>", "[@BOS@]")


def _merge(pair: str | list[str]) -> str:
    return pair if isinstance(pair, str) else " ".join(pair)


def _added_around(tokenizer: Any) -> tuple[int | None, int | None]:
    """What the tokenizer puts before and after a text; asked rather than read, since three files may say it."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    full = tokenizer("a")["input_ids"]
    start = next(index for index in range(len(full)) if full[index : index + len(bare)] == bare)
    behind = full[start + len(bare) :]
    return (full[0] if start else None), (behind[-1] if behind else None)


def _special(folder: Path, tokenizer: Any) -> dict[str, int]:
    stops = _stop_ids(folder, tokenizer)
    if len(stops) > len(_ENDS):
        raise ExportError(
            f"{folder}: an answer ends at {len(stops)} tokens ({stops}), GGUF names {len(_ENDS)}; keep those that the "
            "chat template writes in generation_config.json"
        )
    ends = dict(zip(_ENDS, stops, strict=False))
    named = {"bos": tokenizer.bos_token_id, "unk": tokenizer.unk_token_id, "pad": tokenizer.pad_token_id, **ends}
    return {name: token for name, token in named.items() if token is not None}


def _stop_ids(folder: Path, tokenizer: Any) -> list[int]:
    """The tokenizer's own end first, then what `generation_config.json` and `config.json` add."""
    found = [tokenizer.eos_token_id]
    for name in ("generation_config.json", "config.json"):
        if (folder / name).is_file():
            token = json.loads((folder / name).read_text("utf-8")).get("eos_token_id")
            found += token if isinstance(token, list) else [token]
    return list(dict.fromkeys(token for token in found if token is not None))
