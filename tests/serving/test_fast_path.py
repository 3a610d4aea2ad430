"""What is switched on for speed changes no answer: prefix reuse and looked-up guesses, with a grammar and without."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from exported_onnx import OnnxExport

from zoo.errors import DataError, ExportError, ModelError
from zoo.formats import onnx_files
from zoo.serving import AnyRuntime, Noise, open_model
from zoo.serving.lookup import PATIENT, Lookup, Said

SYSTEM = {"role": "system", "content": "Phone: tap(n) text(s) back() finish(message)"}
CHATS = [
    [SYSTEM, {"role": "user", "content": f"Task: Set an alarm for 7:30.\nPast: {past}\nScreen:\n{screen}"}]
    for past, screen in (
        ("none", "Home\nClock [1]\nNotes [2]"),
        ("On Home; need Clock.", "Clock\nAlarms [1]\nTimer [2]"),
        ("On Home; need Clock. On Clock; need Alarms.", "Alarms\n7:00 [1]\nNew alarm [2]"),
        ("none", "Home\nClock [1]\nNotes [2]"),
    )
]
GRAMMAR = 'root ::= "<CALLED_FUNCTION>" ("tap(" [1-9] ")" | "text(\\"" [a-z]{1,6} "\\")") "</CALLED_FUNCTION>"'


@pytest.fixture(params=["torch", "llama", "onnx", "genai"])
def source(request: pytest.FixtureRequest, lively: Path, onnx_export: OnnxExport) -> Path:
    """The same lively model in every runtime."""
    if request.param == "torch":
        return lively
    if request.param == "llama":
        file: Path = request.getfixturevalue("lively_file")
        return file
    return onnx_export.folder / onnx_files.FILES["fp32" if request.param == "onnx" else "genai-int8"]


@pytest.fixture
def runtime(source: Path) -> Iterator[AnyRuntime]:
    with open_model(source, threads=1, context=1024) as opened:
        yield opened


@pytest.mark.parametrize("grammar", [None, GRAMMAR])
def test_answers_are_the_same_with_every_switch(runtime: AnyRuntime, grammar: str | None) -> None:
    answers, calls, computed = {}, {}, {}
    for switches in ((False, False), (True, False), (False, True), (True, True)):
        runtime.reuse, runtime.lookup = switches
        runtime.said = Said()
        runtime.keep(0)
        found = []
        for chat in CHATS:
            found.append(runtime.generate([chat], 40, grammar)[0])
            calls[switches] = calls.get(switches, 0) + runtime.calls
            computed[switches] = computed.get(switches, 0) + runtime.prefilled_tokens
        answers[switches] = [(one.text, one.tokens, one.prompt_tokens) for one in found]
    assert all(one == answers[False, False] for one in answers.values())
    # transformers' own generate answers for torch while both switches are off, and counts nothing
    counted = runtime.describe().runtime != "torch" or grammar is not None
    if counted:
        assert computed[True, False] < computed[False, False]
        assert calls[False, True] < calls[False, False]
    assert calls[True, True] < calls[True, False]
    if grammar:
        assert all(
            text.startswith("<CALLED_FUNCTION>t") and text.endswith("FUNCTION>") for text, *_ in answers[True, True]
        )


@pytest.mark.parametrize("grammar", [None, GRAMMAR])
def test_a_draw_is_the_same_with_every_switch(runtime: AnyRuntime, grammar: str | None) -> None:
    drawn = []
    for runtime.reuse, runtime.lookup in ((False, False), (True, False), (False, True), (True, True)):
        runtime.said = Said()
        runtime.keep(0)
        noises = [Noise(0.8, str(number)) for number in range(len(CHATS))]
        pairs = zip(CHATS, noises, strict=True)
        drawn.append([runtime.generate([chat], 24, grammar, noises=[noise])[0].text for chat, noise in pairs])
    assert all(one == drawn[0] for one in drawn)
    assert drawn[0][0] != drawn[0][3], "the same chat, another seed"


def test_a_stream_is_the_answer_with_every_switch(runtime: AnyRuntime) -> None:
    (plain,) = runtime.generate([CHATS[0]], 24)
    runtime.lookup = True
    for grammar in (None, GRAMMAR):
        for chat in CHATS[:2]:
            tokens = list(runtime.stream(chat, 24, grammar))
            assert "".join(token.text for token in tokens) == runtime.generate([chat], 24, grammar)[0].text
            seconds = [token.seconds for token in tokens]
            assert seconds == sorted(seconds)
    assert runtime.generate([CHATS[0]], 24)[0].text == plain.text


def test_a_stream_that_is_left_early_leaves_nothing_wrong_behind(runtime: AnyRuntime) -> None:
    runtime.lookup = True
    wanted = runtime.generate([CHATS[1]], 24)[0].text
    stream = runtime.stream(CHATS[1], 24)
    next(stream)
    del stream
    assert runtime.generate([CHATS[1]], 24)[0].text == wanted


def test_what_computes_is_told(runtime: AnyRuntime) -> None:
    told = runtime.describe()
    assert told.runtime in ("torch", "llama.cpp", "onnxruntime", "onnxruntime-genai")
    assert told.version and told.threads >= 1 and told.reuse and not told.lookup
    assert told.context == (1024 if told.runtime in ("llama.cpp", "onnxruntime-genai") else None)
    assert 10**7 < runtime.memory.resident_bytes <= runtime.memory.peak_bytes
    before = runtime.generate([CHATS[0]], 8)[0].text
    runtime.use_threads(2)
    assert runtime.describe().threads == 2 and runtime.generate([CHATS[0]], 8)[0].text == before
    runtime.use_threads(1)


def test_a_vision_language_model_answers_the_same_with_every_switch(tiny_vlm: Path) -> None:
    with open_model(tiny_vlm, reuse=False) as runtime:
        wanted = [runtime.generate([chat], 12)[0].text for chat in CHATS]
        runtime.reuse = runtime.lookup = True
        assert [runtime.generate([chat], 12)[0].text for chat in CHATS] == wanted
        assert runtime.prefilled_tokens < len(runtime.encode(CHATS[-1]))


def test_guesses_are_what_followed_last_and_never_cross_from_one_answer_to_the_next() -> None:
    said = Said()
    said.note([1, 2, 3, 4, 5, 6, 4, 9])
    said.note([1, 2, 3, 4, 5, 6, 7, 9])
    lookup = Lookup(said, [5, 1, 2, 3, 4, 5])
    assert lookup.guess(12) == [6, 7, 9], "five tokens fit, and the later answer counts"
    assert lookup.guess(1) == [6] and lookup.guess(0) == []
    for token in (6, 7, 9):
        lookup.add(token)
    assert lookup.guess(12) == [], "an answer's end is not followed by the next answer"
    assert Lookup(Said(), [8, 1, 2, 3, 8]).guess(12) == [1, 2, 3, 8]
    assert Lookup(Said(), [8, 1, 2, 3, 8], PATIENT).guess(12) == [], "one token that fits is not enough for it"


def test_answers_of_long_ago_are_forgotten() -> None:
    said = Said()
    said.note([1, 2, 3])
    for number in range(100, 1000):
        said.note([number, *range(10, 19)])
    assert Lookup(said, [1, 2]).guess(4) == [] and Lookup(said, [999]).guess(2) == [10, 11]
    assert len(said.index.tokens) < 5000


def test_forms_are_opened_by_what_lies_there(
    lively: Path, lively_file: Path, onnx_export: OnnxExport, tmp_path: Path
) -> None:
    genai = (onnx_export.folder / onnx_files.FILES["genai-int8"]).parent
    forms = {lively: "torch", lively_file: "llama.cpp", lively_file.parent: "llama.cpp", genai: "onnxruntime-genai"}
    for source, name in forms.items():
        with open_model(source, threads=1, context=64) as runtime:
            assert runtime.describe().runtime == name
    with pytest.raises(ModelError, match="name one of them"):
        open_model(onnx_export.folder)
    (tmp_path / "notes.txt").write_text("no model", "utf-8")
    with pytest.raises(ModelError, match=r"neither a \.gguf file, an \.onnx graph nor"):
        open_model(tmp_path / "notes.txt")
    with pytest.raises(ModelError, match=r"no config\.json"):
        open_model(tmp_path)
    with pytest.raises(ExportError, match="nothing"):
        open_model(tmp_path / "nothing.onnx")


def test_a_prompt_without_tokens_is_refused_by_all(runtime: AnyRuntime) -> None:
    with pytest.raises(DataError, match="empty prompt"):
        runtime.logits([])
