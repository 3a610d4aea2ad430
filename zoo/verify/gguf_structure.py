"""Does a GGUF file say the same as the checkpoint: vocabulary, special tokens, stops, sizes, grammar, weights.

These checks name causes. Logits that disagree say *that* a file is not the model; a wrong rotary base, a token id that
moved or a row in the wrong place are found here, by a check that says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zoo.action_grammar import GRAMMAR_KEY, GRAMMAR_NAME
from zoo.errors import ExportError
from zoo.formats import architectures, network, weights
from zoo.serving import Chat, LlamaRuntime, TorchRuntime
from zoo.verify import gguf_weights
from zoo.verify.check import Check
from zoo.verify.reading import CHATS, reading_checks

__all__ = ["checks"]


def checks(reference: TorchRuntime, candidate: LlamaRuntime, chats: Sequence[Chat] = ()) -> Iterator[Check]:
    """Every structural check of a file against its checkpoint, one after the other.

    `chats` are rendered and tokenized by both besides the built-in ones.
    """
    yield _vocabulary(reference, candidate)
    yield _special_ids(reference, candidate)
    yield from reading_checks(reference, candidate, (*CHATS, *chats))
    yield _stops(reference, candidate)
    yield gguf_weights.tensor_types(candidate.header)
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
    tensors = list(architectures.language_tensors(stored, architecture, text, tied))
    yield gguf_weights.weights(tensors, candidate.header)


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
