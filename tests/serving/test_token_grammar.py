"""A grammar means the same without llama.cpp's sampler as with it: what may be said, and where an answer may end."""

import json
from pathlib import Path

import numpy as np
import pytest
from grammar_check import accepts

from zoo.action_grammar import answer_grammar, call_grammar
from zoo.actions import Action, write, write_answer
from zoo.errors import DataError, ExportError
from zoo.serving import LlamaRuntime, TorchRuntime, gbnf
from zoo.serving.token_bytes import token_bytes
from zoo.serving.token_grammar import TokenGrammar

STOP = 0

ACTIONS = [
    Action("tap", (3,)), Action("text", ('say "é 設定 😀" \\ now',)), Action("swipe", (12, "up", "long")),
    Action("wait", (86_400,)), Action("wait", (0.25,)), Action("back"), Action("finish", ("",)),
]  # fmt: skip
TEXTS = [
    *[write(action) for action in ACTIONS],
    *[write_answer("On Home; <b> it.", "a\nb", action) for action in ACTIONS[:3]],
    "tap(4)", "tap(0)", "tap(03)", "tap(3) ", 'text("a\nb")', 'text("\\x")', "wait(86401)", "wait(1.2345)", "", "tap(",
    write_answer("a </b> c", "", ACTIONS[0]), write_answer("é" * 41, "", ACTIONS[0]),
]  # fmt: skip
GRAMMARS = {
    "call": call_grammar(),
    "narrow call": call_grammar([3, 12]),
    "answer": answer_grammar([3, 12], 40),
    "anything": r"root ::= [^\x00]*",
    "groups": 'root ::= ("ta" "p"? | [tb]+ ) rest # a comment\nrest ::= "(" ( "3" |\n "4" ){1,2} ")" | ""',
}


def may_say(bytes_of: list[bytes | None], grammar: str, tokens: list[int]) -> bool:
    """Whether a decoder under the grammar may say exactly these tokens and then stop."""
    rules = TokenGrammar(grammar, bytes_of, frozenset([STOP]))
    for token in [*tokens, STOP]:
        row = np.full(len(bytes_of), -1.0, np.float32)
        row[token] = 1.0
        if rules.choose(row) != token:
            return False
        if token != STOP:
            rules.accept(token)
    return True


@pytest.mark.parametrize("name", GRAMMARS)
def test_it_allows_what_llama_cpp_allows(name: str, llama: LlamaRuntime, torch_runtime: TorchRuntime) -> None:
    bytes_of = list(torch_runtime.token_bytes)
    bytes_of[STOP] = None
    wanted = [accepts(llama, GRAMMARS[name], text) for text in TEXTS]
    assert any(wanted), "where llama.cpp allows nothing, agreeing with it says nothing"
    found = [may_say(bytes_of, GRAMMARS[name], llama.encode(text)) for text in TEXTS]
    assert found == wanted


def test_a_letter_of_several_bytes_may_be_said_in_parts_but_not_left_open() -> None:
    bytes_of: list[bytes | None] = [None, *(bytes([byte]) for byte in range(256))]
    euro = [1 + byte for byte in "€".encode()]
    for grammar, allowed in ((r"root ::= [€]", True), (r"root ::= [a-zà]", False), (r"root ::= .", True)):
        assert may_say(bytes_of, grammar, euro) == allowed
        assert not may_say(bytes_of, grammar, euro[:2])
    assert not may_say(bytes_of, "root ::= .", [1 + 0xE0, 1 + 0x80, 1 + 0x80]), "a letter written longer than needed"


def test_the_likeliest_allowed_token_is_taken_however_unlikely() -> None:
    bytes_of: list[bytes | None] = [None, *(bytes([65 + index % 26, 65 + index // 26]) for index in range(600))]
    row = np.arange(601, dtype=np.float32)[::-1].copy()
    rules = TokenGrammar('root ::= "ZW" | "YW"', bytes_of, frozenset([STOP]))
    assert rules.choose(row) == 1 + bytes_of[1:].index(b"YW")
    with pytest.raises(DataError, match="allows no token"):
        TokenGrammar('root ::= "€"', bytes_of, frozenset([STOP])).choose(row)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not define root"),
        ("root ::= missing", "does not define missing"),
        ('start ::= "a"', "does not define root"),
        ('root ::= "a', 'closing " is missing'),
        ("root ::= [a", "closing ] is missing"),
        ('root ::= ("a"', "is not closed"),
        ('root ::= root "a"', "rule root .* begins with itself"),
        ('root ::= other "a"\nother ::= "b"? root', "begins with itself"),
        ('root ::= "a"{3,2}', "repeats from 3 to 2"),
        ('root ::= "a"{9999}', "at most 2000"),
        ("root ::= <[12]>", "does not read as a grammar"),
        (r'root ::= "\q"', "no escape"),
    ],
)
def test_what_is_no_grammar_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        gbnf.read(text)


def test_classes_are_ranges_of_code_points() -> None:
    (way,) = gbnf.read(r"root ::= [^b-d\n-]")["root"]
    assert way == (gbnf.Letters(((0, 9), (11, 44), (46, 97), (101, 0x10FFFF))),)
    (way,) = gbnf.read(r'root ::= [a\]\x41-] "é\u00e9"')["root"]
    assert way[0] == gbnf.Letters(((45, 45), (65, 65), (93, 93), (97, 97)))
    assert way[1] == way[2] == gbnf.Letters(((0xE9, 0xE9),))


def test_the_bytes_of_every_kind_of_vocabulary(lively: Path) -> None:
    level = token_bytes((lively / "tokenizer.json").read_text("utf-8"))
    assert {bytes([byte]) for byte in range(256)} - set(level) <= {bytes([byte]) for byte in range(0x80, 256)}
    assert level[0] is None, "a special token writes nothing"
    piece = {
        "model": {"vocab": {"<0x0A>": 0, "▁Home": 1, "</s>": 2}},
        "added_tokens": [{"id": 2, "content": "</s>", "special": True}, {"id": 3, "content": "<b>", "special": False}],
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace"}, {"type": "ByteFallback"}]},
    }
    assert token_bytes(json.dumps(piece)) == [b"\n", b" Home", None, b"<b>"]
    with pytest.raises(ExportError, match="no BPE"):
        token_bytes(json.dumps({"model": {"vocab": [["a", -1.0]]}, "added_tokens": []}))
