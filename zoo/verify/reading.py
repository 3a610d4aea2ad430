"""Does a file read texts and chats as the checkpoint does: token ids, chat template, prompts; in whatever runtime.

A text that becomes other tokens is another question to the model, and no logits of the same tokens show it.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from zoo.errors import ModelError
from zoo.serving import Chat, Runtime, TorchRuntime
from zoo.verify.check import Check

__all__ = ["CHATS", "CORPUS", "reading_checks"]

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


def reading_checks(reference: TorchRuntime, candidate: Runtime, chats: Sequence[Chat]) -> Iterator[Check]:
    """The checks that any runtime can be asked: texts to tokens, the template, chats to prompts."""
    yield _tokens(reference, candidate)
    yield _template(reference, candidate)
    yield _chats(reference, candidate, chats)


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
