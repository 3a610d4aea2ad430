"""Does the file say the same as the checkpoint: tokens, template, stop tokens, sizes, every weight.

These checks name causes. Logits that disagree say *that* a file is not the model; a wrong rotary base, a token id that
moved or a row in the wrong place are found here, by a check that says so.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.action_grammar import GRAMMAR_KEY, GRAMMAR_NAME
from zoo.errors import ExportError, ModelError
from zoo.formats import architectures, network, weights
from zoo.formats.architectures import LanguageTensor
from zoo.formats.gguf_header import Tensor
from zoo.serving import Chat, LlamaRuntime, Runtime, TorchRuntime
from zoo.verify.gates import type_of

if TYPE_CHECKING:
    import numpy as np

__all__ = ["CHATS", "CORPUS", "Check", "checks", "text_checks"]

CORPUS = (
    "Hello, world!",
    "It's we're I'm they'll you'd I've — don't CAN'T",
    "0 1 12 123 1234 12345 3.14159 1,000,000 007 2026-11-20T06:32:01Z +49 30 901820",
    " leading and trailing ",
    "a  b   c    d     e                                                     f",
    "\n\n\n \n  \n\t\t \t\n\r\n end",
    "def f(x):\n    if x > 0:\n        return x ** 2  # squared\n\treturn None\n",
    '{"name": "tap", "arguments": {"index": 3, "text": "Zürich \\u00fc \\"quoted\\""}}',
    '<CALLED_FUNCTION>swipe(4, "up", "medium")</CALLED_FUNCTION>\n<tool_call>[]</tool_call>',
    "Größe, naïve, façade, Ångström, żółć, Ελληνικά, Русский, עברית, العربية, हिन्दी, ไทย, 한국어, 日本語, 中文",
    "😀 👩\u200d👩\u200d👧\u200d👦 🇩🇪 👍🏽 ✅ ½ ² ℃ ∑ ∞ \u2018 \u2019 “” … €",
    "https://example.org/a_b-c?d=e&f=%20#g user@example.org C:\\path\\file.txt ~/x",
    "!!! ??? ... --- === *** ((())) [[]] <<>> `code` @#$%^&*",
    "CamelCaseAndsnake_case_AND_SCREAMING_case x86_64 B2B i18n",
    "1st 2nd 3rd 10kg 5° 50% №7 §3 1/2 1e-5",
    "",
)
"""Texts that tokenizers split differently. All in NFC: llama.cpp does not normalize."""

CHATS: tuple[Chat, ...] = (
    ({"role": "user", "content": "Turn on Bluetooth."},),
    ({"role": "system", "content": "You operate a phone."}, {"role": "user", "content": "  Öffne 設定 12  \n"}),
    (
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": "Call 555 0142."},
    ),
    ({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "back()"}),
)


@dataclass(frozen=True)
class Check:
    """One question and its answer."""

    name: str
    passed: bool | None
    """None when it was not run; the detail says why."""
    detail: str = ""
    """What differs where, and what that points to; for a check that passed, how much it looked at."""


def checks(reference: TorchRuntime, candidate: LlamaRuntime, chats: Sequence[Chat] = ()) -> Iterator[Check]:
    """Every structural check of a file against its checkpoint, one after the other.

    `chats` are rendered and tokenized by both besides the built-in ones.
    """
    yield _vocabulary(reference, candidate)
    yield _special_ids(reference, candidate)
    yield from text_checks(reference, candidate, (*CHATS, *chats))
    yield _stops(reference, candidate)
    yield _tensor_types(candidate)
    yield from _network(reference, candidate)
    yield from _grammar(reference, candidate)


def _grammar(reference: TorchRuntime, candidate: LlamaRuntime) -> Iterator[Check]:
    """The grammar in a file is the one that lies beside the checkpoint, or else beside the file."""
    inside = candidate.header.metadata.get(GRAMMAR_KEY)
    places = (reference.folder / GRAMMAR_NAME, candidate.file.parent / GRAMMAR_NAME)
    beside = next((place for place in places if place.is_file()), None)
    if inside is None and beside is None:
        return
    if inside is None or beside is None:
        what = "the file holds none" if inside is None else f"no {GRAMMAR_NAME} lies beside the checkpoint or the file"
        yield Check("action grammar", None, f"not run: {what}")
        return
    same = inside == beside.read_text("utf-8")
    yield Check("action grammar", same, f"{len(inside)} characters" if same else f"differs from {beside}")


def _network(reference: TorchRuntime, candidate: LlamaRuntime) -> Iterator[Check]:
    """Settings and weights, for the architectures whose way into GGUF is known here."""
    config = reference.model.config
    try:
        architecture = architectures.of({"architectures": config.architectures})
    except ExportError:
        for name in ("network settings", "weights"):
            yield Check(name, None, f"not run: {(config.architectures or ['?'])[0]} is not known tensor by tensor")
        return
    yield _sizes(network.sizes(architecture, config.get_text_config()), candidate)
    stored = weights.index(reference.folder)
    text, tied = config.get_text_config(), bool(config.tie_word_embeddings)
    yield _weights(list(architectures.language_tensors(stored, architecture, text, tied)), candidate)


def text_checks(reference: TorchRuntime, candidate: Runtime, chats: Sequence[Chat]) -> Iterator[Check]:
    """The checks that any runtime can be asked: texts to tokens, the template, chats to prompts."""
    yield _tokens(reference, candidate)
    yield _template(reference, candidate)
    yield _chats(reference, candidate, chats)


def _vocabulary(reference: TorchRuntime, candidate: LlamaRuntime) -> Check:
    rows = int(reference.model.config.get_text_config().vocab_size)
    tokens = candidate.header.metadata.get("tokenizer.ggml.tokens", [])
    if len(tokens) != rows:
        return Check("vocabulary", False, f"the file has {len(tokens)} tokens, the checkpoint {rows}")
    texts = {index: text for text, index in reference.tokenizer.get_vocab().items()}
    # Where tokens are pieces, GGUF writes the spaces of those that are matched in the plain text as spaces.
    in_pieces = candidate.header.metadata.get("tokenizer.ggml.model") == "llama"
    for index in range(rows):
        plain = texts.get(index, "").replace("\u2581", " ") if in_pieces else None
        if index in texts and tokens[index] not in (texts[index], plain):
            return Check("vocabulary", False, f"token {index} is {tokens[index]!r}, in the checkpoint {texts[index]!r}")
    return Check("vocabulary", True, f"{rows} tokens")


_SPECIAL = {"bos": "bos_token_id", "eos": "eos_token_id", "unknown": "unk_token_id", "padding": "pad_token_id"}


def _special_ids(reference: TorchRuntime, candidate: LlamaRuntime) -> Check:
    """The ids that the file gives to beginning, end, padding and unknown are the tokenizer's."""
    wrong = []
    for name, attribute in _SPECIAL.items():
        expected = getattr(reference.tokenizer, attribute)
        found = candidate.header.metadata.get(f"tokenizer.ggml.{name}_token_id")
        # A file may leave out what nothing reads, and name a beginning that its tokenizer never puts: whether it does
        # put one shows in the token ids.
        silent = (found is None and name in ("unknown", "padding")) or expected is None
        if found != expected and not silent:
            wrong.append(f"{name} is token {found}, in the checkpoint {expected}")
    return Check("special token ids", not wrong, "; ".join(wrong) or f"{len(_SPECIAL)} ids")


def _tokens(reference: TorchRuntime, candidate: Runtime) -> Check:
    """The same ids for every text: the splitting rule, the merges, special tokens inside and at both ends, BOS."""
    special = [str(token) for token in reference.tokenizer.added_tokens_decoder.values()]
    texts = [*CORPUS, *(form for token in special for form in _around(token))]
    return _same("token ids", texts, reference.encode, candidate.encode)


def _around(token: str) -> tuple[str, ...]:
    """A special token alone, inside a text, at its beginning, at its end, twice, and inside a call."""
    return token, f"a{token}b", f"{token}a", f"a {token}", f"{token} x {token}", f'{{"text": "{token}"}}'


def _template(reference: TorchRuntime, candidate: Runtime) -> Check:
    ours, theirs = reference.chat_template, candidate.chat_template
    if ours == theirs:
        return Check("chat template", True, f"{len(ours)} characters")
    at = next((i for i, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    return Check(
        "chat template",
        False,
        f"differs from character {at}: {theirs[at : at + 40]!r}, in the checkpoint {ours[at : at + 40]!r}",
    )


def _chats(reference: TorchRuntime, candidate: Runtime, chats: Sequence[Chat]) -> Check:
    """The whole prompt path: rendered by the own template, tokenized by the own tokenizer."""
    if not reference.chat_template and not candidate.chat_template:
        return Check("chat prompts", None, "not run: neither the checkpoint nor the file has a chat template")
    try:
        return _same("chat prompts", chats, reference.encode, candidate.encode)
    except ModelError as error:
        return Check("chat prompts", False, str(error))


def _same(
    name: str, items: Sequence[Any], ours: Callable[[Any], list[int]], theirs: Callable[[Any], list[int]]
) -> Check:
    wrong = []
    for item in items:
        expected, found = ours(item), theirs(item)
        if expected != found:
            pairs = zip(expected, found, strict=False)
            at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(expected), len(found)))
            wrong.append(f"{str(item)[:60]!r} from token {at}: {found[at : at + 4]}, expected {expected[at : at + 4]}")
    if not wrong:
        return Check(name, True, f"{len(items)} texts")
    return Check(name, False, f"{len(wrong)} of {len(items)} differ; first {wrong[0]}")


def _stops(reference: TorchRuntime, candidate: LlamaRuntime) -> Check:
    """llama.cpp ends an answer wherever the checkpoint does. It also ends at special tokens that it knows by name
    (`<|endoftext|>`), which is harmless; at an ordinary word it is not."""
    missing = [token for token in sorted(reference.stop_ids) if not candidate.is_stop(token)]
    special = set(reference.tokenizer.added_tokens_decoder)
    ordinary = [
        token for token in range(candidate.vocabulary_size) if candidate.is_stop(token) and token not in special
    ]
    if missing:
        return Check("stop tokens", False, f"llama.cpp goes on after {_named(reference, missing)}")
    if ordinary:
        return Check("stop tokens", False, f"llama.cpp stops at the ordinary token {_named(reference, ordinary)}")
    return Check("stop tokens", True, f"{len(reference.stop_ids)} tokens")


def _named(reference: TorchRuntime, tokens: Sequence[int]) -> str:
    return ", ".join(f"{token} ({reference.decode([token])!r})" for token in tokens[:3])


def _tensor_types(candidate: LlamaRuntime) -> Check:
    """No tensor is coarser than the type that the file says it has, and no vector (a norm, a bias) below 16 bits."""
    kind = type_of(candidate.header)
    least = _bits(_TENSOR_TYPE.sub(r"\1", kind).upper())
    wrong = [
        f"{tensor.name} is {tensor.type}"
        for tensor in candidate.header.tensors
        if (_bits(tensor.type) or 0) < (least or 0) or (len(tensor.shape) == 1 and (_bits(tensor.type) or 16) < 16)
    ]
    if wrong:
        return Check("tensor types", False, f"{len(wrong)} tensors are coarser than {kind}; first {wrong[0]}")
    counts = ", ".join(f"{count} {name}" for name, count in candidate.header.types.items())
    return Check("tensor types", True if least else None, counts if least else f"not run: {kind} is no known type")


# q4_k_m and q4_k_s are mixtures whose coarsest tensors are q4_k
_TENSOR_TYPE = re.compile(r"^(q\d_k|iq\d_\w+?)_(?:[sml]|xs)$")


def _bits(type_: str) -> float | None:
    """Bits a weight of a tensor type, its scales included; None for a type that ggml does not have."""
    import gguf

    if type_ not in gguf.GGMLQuantizationType.__members__:
        return None
    block, block_bytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[type_]]
    return float(8 * block_bytes / block)


def _sizes(expected: Mapping[str, Any], candidate: LlamaRuntime) -> Check:
    """What llama.cpp builds the network from: sizes, rotary base, norm epsilon."""
    wrong = []
    for key, value in expected.items():
        found = candidate.header.metadata.get(key, _implied(key, candidate.header.metadata))
        if not _equal(found, value):
            wrong.append(f"{key} is {found}, in the checkpoint {value}")
    return Check("network settings", not wrong, "; ".join(wrong) or f"{len(expected)} settings")


def _implied(key: str, metadata: Mapping[str, Any]) -> Any:
    """What llama.cpp takes for a setting that a file leaves out."""
    architecture, _, name = key.partition(".")
    if name == "vocab_size":
        return len(metadata.get("tokenizer.ggml.tokens", ()))
    if name == "rope.dimension_count" and (head := metadata.get(f"{architecture}.attention.key_length")):
        return head
    if name in ("attention.key_length", "attention.value_length", "rope.dimension_count"):
        heads = metadata.get(f"{architecture}.attention.head_count")
        return metadata.get(f"{architecture}.embedding_length", 0) // heads if heads else None
    return {"rope.freq_base": 10_000.0}.get(name)


def _equal(found: Any, expected: Any) -> bool:
    """GGUF keeps numbers in float32."""
    if isinstance(expected, float) and isinstance(found, float):
        return abs(found - expected) <= 1e-6 * abs(expected)
    return bool(found == expected)


# The largest relative error (L2) of one row. Half a unit in the last place of f16 and bf16; for q8_0, 127 steps to the
# largest of 32 values keep a row of ordinary weights within 1 %. Of the smaller types twice or more the worst row of
# SmolLM2-135M, with an importance matrix and without: 5.5 % in q6_k, 3 to 4 % in q5_k and q4_k, 9 % in q5_1, 12 % in
# q5_0, 19 % in q4_0. A row from another place in the tensor is off by 140 %.
_ROW_ERROR = {
    "F32": 0.0, "F16": 1e-3, "BF16": 4e-3, "Q8_0": 2e-2, "Q6_K": 0.12, "Q5_K": 0.12, "Q4_K": 0.2, "Q5_1": 0.2,
    "Q5_0": 0.25, "Q4_1": 0.35, "Q4_0": 0.4,
}  # fmt: skip
# The absolute error of one value below which f16 knows no smaller step (half of 2^-24); the other types keep their
# scale in f16, so that it counts times the largest factor. The embedding of a padding token, which nothing trains,
# decays to there.
_LARGEST_FACTOR = {
    "F32": 0, "F16": 1, "BF16": 0, "Q8_0": 127, "Q4_0": 8, "Q4_1": 16, "Q5_0": 16, "Q5_1": 32, "Q4_K": 63 * 16,
    "Q5_K": 63 * 32, "Q6_K": 128 * 32,
}  # fmt: skip
_SMALLEST_STEP = {kind: factor * 2.0**-25 for kind, factor in _LARGEST_FACTOR.items()}


def _weights(tensors: Sequence[LanguageTensor], candidate: LlamaRuntime) -> Check:
    """Every row of every tensor, read back from the file and dequantized, against the checkpoint's."""
    written = {tensor.name: tensor for tensor in candidate.header.tensors}
    names = {tensor.name for tensor in tensors}
    if names != written.keys() - _DERIVED:
        odd = sorted(names ^ (written.keys() - _DERIVED))
        return Check("weights", False, f"tensors only in one of both: {', '.join(odd[:4])}")
    readable = [tensor for tensor in tensors if written[tensor.name].type in _ROW_ERROR]
    wrong = [fault for tensor in readable if (fault := _fault(tensor, written[tensor.name]))]
    if wrong:
        return Check("weights", False, f"{len(wrong)} of {len(tensors)} tensors differ; first {wrong[0]}")
    others = sorted({tensor.type for tensor in written.values()} - _ROW_ERROR.keys())
    left = f"; {len(tensors) - len(readable)} in {', '.join(others)} only by what they compute" if others else ""
    return Check("weights", True, f"{len(readable)} of {len(tensors)} tensors, row by row{left}")


_DERIVED = {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"}
"""Tensors that converters compute from settings."""


def _fault(tensor: LanguageTensor, written: Tensor) -> str:
    import numpy as np

    if written.shape != tensor.stored.shape:
        return f"{tensor.name} has the shape {written.shape}, in the checkpoint {tensor.stored.shape}"
    expected = np.atleast_2d(tensor.load())
    error = np.linalg.norm(np.atleast_2d(_read_back(written)) - expected, axis=1)
    floor = _SMALLEST_STEP[written.type] * expected.shape[1] ** 0.5
    excess = error - floor - _ROW_ERROR[written.type] * np.linalg.norm(expected, axis=1)
    # Written so that a NaN in the file is a difference, which no comparison with it would say.
    rows = np.flatnonzero(~(excess <= 1e-6 * np.abs(expected).max()))
    if not len(rows):
        return ""
    relative = float(error[rows[0]] / max(np.linalg.norm(expected[rows[0]]), 1e-30))
    return (
        f"{tensor.name} ({written.type}): {len(rows)} of {len(expected)} rows, row {rows[0]} by {relative:.1%} "
        f"where {_ROW_ERROR[written.type]:.1%} is the type's"
    )


def _read_back(written: Tensor) -> "np.ndarray[Any, Any]":
    import gguf
    import numpy as np

    kind = gguf.GGMLQuantizationType[written.type]
    data = np.fromfile(written.file, np.uint8, count=written.bytes, offset=written.offset)
    shape = gguf.quant_shape_to_byte_shape(written.shape, kind)
    values: np.ndarray[Any, Any] = gguf.quants.dequantize(data.reshape(shape), kind)
    return values
