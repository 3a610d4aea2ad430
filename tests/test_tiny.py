"""Tiny checkpoints are real ones: they load, encode everything, and are the same bytes for the same seed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from zoo import tiny
from zoo.fingerprint import of_file
from zoo.records import StageContext
from zoo.schema import TinySpec

TEXTS = ['tap(3) text("milk")', "Öffne 12:30 — 日本語 😀", "\n\t  two  spaces ", "<REASONING>x</REASONING>", "\x00\x7f"]


def digests(folder: Path) -> dict[str, str]:
    return {file.name: of_file(file) for file in sorted(folder.iterdir())}


@pytest.mark.parametrize("architecture", tiny.ARCHITECTURES)
def test_the_same_seed_gives_the_same_bytes_in_another_process(tmp_path: Path, architecture: str) -> None:
    code = (
        "import sys, pathlib; from zoo import tiny; tiny.make(sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]))"
    )
    for name, seed in (("a", "5"), ("b", "6")):
        subprocess.run([sys.executable, "-c", code, architecture, tmp_path / name, seed], check=True)
    tiny.make(architecture, tmp_path / "c", 5)
    first, other, again = (digests(tmp_path / name) for name in "abc")
    assert first == again
    assert [name for name in first if first[name] != other[name]] == ["model.safetensors"]


def test_making_one_leaves_the_random_state_alone(tmp_path: Path) -> None:
    import torch

    torch.manual_seed(3)
    expected = torch.rand(1).item()
    torch.manual_seed(3)
    tiny.make("llama", tmp_path, 1)
    assert torch.rand(1).item() == expected


@pytest.mark.parametrize("text", TEXTS)
def test_every_text_survives_the_tokenizer(tiny_llama: Path, tiny_vlm: Path, text: str) -> None:
    from transformers import AutoTokenizer

    for folder in (tiny_llama, tiny_vlm):
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_digits_are_split_one_by_one_as_in_smollm2(tiny_llama: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    assert len(tokenizer("1234567")["input_ids"]) == 7


def test_the_template_is_chatml_and_stops_at_its_end(tiny_llama: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True
    )
    assert asked == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    model = AutoModelForCausalLM.from_pretrained(tiny_llama)
    assert (tokenizer.bos_token, tokenizer.eos_token) == ("<|im_start|>", "<|im_end|>")
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert model.config.vocab_size == len(tokenizer)


def test_the_vision_model_sees_an_image(tiny_vlm: Path) -> None:
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText

    from zoo.image_processor import load_image_processor

    processor = load_image_processor(tiny_vlm)
    model = AutoModelForImageTextToText.from_pretrained(tiny_vlm)

    def logits(colour: str) -> torch.Tensor:
        blocks = [{"type": "image", "image": Image.new("RGB", (112, 240), colour)}, {"type": "text", "text": "tap"}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": blocks}], tokenize=True, return_dict=True, return_tensors="pt",
            add_generation_prompt=True,
        )  # fmt: skip
        return model(**inputs).logits[0, -1].detach()

    assert torch.equal(logits("red"), logits("red"))
    assert not torch.allclose(logits("red"), logits("blue"))


def test_widths_fit_the_blocks_of_q8_0(tiny_llama: Path, tiny_vlm: Path) -> None:
    for folder in (tiny_llama, tiny_vlm):
        config = json.loads((folder / "config.json").read_text("utf-8"))
        language = config.get("text_config", config)
        assert language["hidden_size"] % 32 == language["intermediate_size"] % 32 == 0


def test_the_stage_writes_the_checkpoint_and_its_size(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    spec = TinySpec(architecture="llama")
    result = tiny.run(spec, StageContext(tmp_path / "out", tmp_path / "scratch", {}, seed=0))
    assert result.metrics["weights"].value == (tmp_path / "out" / "model.safetensors").stat().st_size
    assert result.notes == {"architecture": "llama"}


def test_an_unknown_architecture_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no tiny model of architecture 'bert'; there is llama, llama-wide, qwen2"):
        tiny.make("bert", tmp_path, 0)
