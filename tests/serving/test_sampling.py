"""Answers by chance: fair draws, the same again for the same seed, whatever runs beside them."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from zoo.formats import onnx_files
from zoo.serving import LlamaRuntime, Noise, TorchRuntime, open_genai, open_onnx

if TYPE_CHECKING:
    import exported_onnx

CHATS = [[{"role": "user", "content": text}] for text in ("Set an alarm for 7:30.", "Turn on Bluetooth, please.")]


def noises(temperature: float, *seeds: str) -> list[Noise]:
    return [Noise(temperature, seed) for seed in seeds]


def test_the_argmax_of_noisy_logits_is_a_draw_from_the_tempered_softmax() -> None:
    logits = np.array([2.0, 1.0, 0.0, -3.0], np.float32)
    noise = Noise(0.7, "fair")
    drawn = np.bincount([int(noise(logits).argmax()) for _ in range(20_000)], minlength=4) / 20_000
    wanted = np.exp(logits / 0.7) / np.exp(logits / 0.7).sum()
    assert np.abs(drawn - wanted).max() < 0.012
    with pytest.raises(ValueError, match="greedy"):
        Noise(0, "x")


def test_a_seed_gives_the_same_answer_alone_and_in_a_batch_and_another_seed_another(
    torch_runtime: TorchRuntime,
) -> None:
    pair = torch_runtime.generate(CHATS, 10, noises=noises(1.0, "a", "b"))
    alone = torch_runtime.generate(CHATS[1:], 10, noises=noises(1.0, "b"))
    other = torch_runtime.generate(CHATS[1:], 10, noises=noises(1.0, "c"))
    assert pair[1].text == alone[0].text != other[0].text
    assert torch_runtime.generate(CHATS, 10)[1].text != alone[0].text


def test_torch_and_llama_cpp_draw_alike(torch_runtime: TorchRuntime, llama: LlamaRuntime) -> None:
    for seed in ("a", "b", "c"):
        one = torch_runtime.generate(CHATS[:1], 8, noises=noises(0.8, seed))
        other = llama.generate(CHATS[:1], 8, noises=noises(0.8, seed))
        assert one[0].text == other[0].text


def test_a_grammar_holds_for_draws_too(torch_runtime: TorchRuntime, llama: LlamaRuntime) -> None:
    grammar = 'root ::= "tap(" [1-9] ")"'
    for runtime in (torch_runtime, llama):
        drawn = {runtime.generate(CHATS[:1], 16, grammar, noises=noises(2.0, f"{seed}"))[0].text for seed in range(8)}
        assert len(drawn) > 1 and all(text.startswith("tap(") and text.endswith(")") for text in drawn)


def test_onnx_runtime_and_genai_draw_what_their_seed_says(onnx_export: "exported_onnx.OnnxExport") -> None:
    graphs = onnx_files.find(onnx_export.folder)
    for runtime in (open_onnx(graphs["fp32"], 1), open_genai(graphs["genai-int8"].parent, 1)):
        texts = [runtime.generate(CHATS[:1], 6, noises=noises(1.0, seed))[0].text for seed in ("a", "a", "b")]
        runtime.close()
        assert texts[0] == texts[1] != texts[2]
