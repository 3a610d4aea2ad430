"""Answers under a grammar are always what it allows, and are the plain answers where these already are."""

import re
from pathlib import Path

import pytest

from zoo.errors import DataError
from zoo.serving import LlamaRuntime, TorchRuntime, open_gguf
from zoo.serving.runtime import spoken

CHAT = [{"role": "user", "content": "Set an alarm for 7:30. Turn on Bluetooth."}]
CALL = r"""
root ::= "<CALLED_FUNCTION>" call "</CALLED_FUNCTION>"
call ::= "tap(" [1-9] ")" | "back()" | "text(\"" [a-z]{1,4} "\")"
"""


def test_a_model_that_knows_nothing_answers_by_the_grammar(llama: LlamaRuntime) -> None:
    answers = llama.generate([CHAT, CHAT], 40, grammar=CALL)
    form = r"<CALLED_FUNCTION>(tap\([1-9]\)|back\(\)|text\(\"[a-z]{1,4}\"\))</CALLED_FUNCTION>"
    assert all(re.fullmatch(form, answer.text) for answer in answers)
    assert answers[0].text == answers[1].text, "an answer leaves nothing behind in the grammar"
    assert answers[0].tokens < 40, "a finished grammar ends the answer"
    assert not re.fullmatch(form, llama.generate([CHAT], 40)[0].text)


def test_what_the_grammar_allows_is_said_as_without_it(llama: LlamaRuntime) -> None:
    free = llama.generate([CHAT], 2)[0].text
    assert free.isprintable(), "a grammar speaks of letters, so of nothing that is none"
    assert llama.generate([CHAT], 2, grammar=r"root ::= [^\x00]*")[0].text == free


@pytest.mark.parametrize("grammar", ["", "root ::= missing", 'start ::= "a"', 'root ::= "a', 'root ::= root "a"'])
def test_what_is_no_grammar_is_refused(llama: LlamaRuntime, grammar: str) -> None:
    with pytest.raises(DataError, match="does not read the grammar"):
        llama.generate([CHAT], 4, grammar=grammar)
    assert llama.generate([CHAT], 4)[0].tokens == 4


def test_a_streamed_answer_is_the_whole_one_with_rising_times(llama: LlamaRuntime, torch_runtime: TorchRuntime) -> None:
    for runtime in (llama, torch_runtime):
        tokens = list(runtime.stream(CHAT, 16))
        assert "".join(token.text for token in tokens) == runtime.generate([CHAT], 16)[0].text
        seconds = [token.seconds for token in tokens]
        # one more than tokens when the answer ends inside a letter
        assert len(seconds) in (16, 17) and seconds[0] > 0 and seconds == sorted(seconds)
    limited = "".join(token.text for token in llama.stream(CHAT, 40, grammar='root ::= "back()"'))
    assert limited == "back()"


def test_a_vision_language_model_streams_what_it_answers(tiny_vlm: Path) -> None:
    from zoo.serving import open_torch

    with open_torch(tiny_vlm) as runtime:
        for _ in range(2):  # it keeps positions of images between calls, which must not leak
            assert "".join(token.text for token in runtime.stream(CHAT, 8)) == runtime.generate([CHAT], 8)[0].text


def test_a_letter_of_several_tokens_is_told_when_it_is_whole() -> None:
    data = "a€b".encode()
    told = list(spoken(data, lambda ids: bytes(ids).decode("utf-8", "replace"), 0.0, clock=lambda: 1.0))
    assert [token.text for token in told] == ["a", "", "", "€", "b"]
    cut = list(spoken(data[:3], lambda ids: bytes(ids).decode("utf-8", "replace"), 0.0, clock=lambda: 1.0))
    assert "".join(token.text for token in cut) == bytes(data[:3]).decode("utf-8", "replace")


def test_memory_and_threads_are_told(lively_file: Path) -> None:
    with open_gguf(lively_file, threads=1, context=64) as runtime:
        assert 0.5 < runtime.weights_bytes / lively_file.stat().st_size < 1
        runtime.use_threads(2)
        assert runtime.threads == 2
