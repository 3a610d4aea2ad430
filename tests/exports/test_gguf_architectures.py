"""GGUF of the architectures whose network or tokenizer is not Llama's: SmolLM3, Gemma 3, Qwen3."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
import sabotage
import torch
from gguf_distance import distance
from safetensors.torch import load_file, save_file

from zoo import tiny
from zoo.errors import ExportError
from zoo.exports.gguf import convert, measure
from zoo.exports.vocabulary import read
from zoo.formats import gguf_header
from zoo.schema import AgentSpec, VerifySpec
from zoo.serving import open_gguf, open_torch
from zoo.verify import examine
from zoo.verify.gguf_structure import checks

# llama.cpp looks up the activation of Gemma 3 in a table of float16.
KL = {"qwen3": 1e-9, "smollm3": 1e-9, "gemma3": 1e-7}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """A checkpoint of an architecture in which nothing is neutral: every norm, position and window shows."""
    made: dict[str, Path] = {}

    def checkpoint(name: str) -> Path:
        if name not in made:
            made[name] = folder = tmp_path_factory.mktemp(name)
            tiny.make(name, folder, seed=0)
            tensors = load_file(folder / "model.safetensors")
            torch.manual_seed(0)
            for key, value in tensors.items():
                if key.endswith("norm.weight"):
                    value += 0.3 * torch.randn_like(value)
                elif "_proj.weight" in key:
                    value *= 8
            save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        return made[name]

    return checkpoint


def edited(checkpoint: Path, folder: Path, **values: Any) -> Path:
    """A copy with another `config.json`."""
    folder.mkdir()
    for file in checkpoint.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | values), "utf-8")
    return folder


@pytest.mark.parametrize("name", KL)
def test_the_file_computes_what_torch_computes(checkpoints: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    convert(checkpoints(name), tmp_path / "model.gguf", "f32")
    assert distance(checkpoints(name), tmp_path / "model.gguf") < KL[name]


@pytest.mark.parametrize("name", ["smollm3", "gemma3"])
def test_a_file_in_16_bits_passes_verification(checkpoints: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    file = tmp_path / "model-F16.gguf"
    convert(checkpoints(name), file, "f16")
    spec = VerifySpec(
        export="stage:gguf", against="stage:sft", prompts=2, texts=1, actions=1,
        gates={"f16": {"mean_kl": 1e-5, "top1": 0.95}}, agent=AgentSpec(style="terse", answer_tokens=8),
    )  # fmt: skip
    data, metrics = examine(spec, {file: "f16"}, checkpoints(name), seed=0)
    assert data["passed"], data["files"][0]["failures"]
    assert metrics["f16.mean_kl"].value < 1e-5
    assert not [check for check in data["files"][0]["checks"] if check["passed"] is None]


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("gemma3", "gemma3.attention.sliding_window", 16),
        ("gemma3", "gemma3.rope.freq_base", 10_000.0),
        ("smollm3", "smollm3.rope.freq_base", 10_000.0),
    ],
)
def test_a_wrong_setting_shows_in_what_it_computes_and_is_named(
    checkpoints: Callable[[str], Path], tmp_path: Path, name: str, key: str, value: float
) -> None:
    convert(checkpoints(name), tmp_path / "whole.gguf", "f32")
    sabotage.rewrite(tmp_path / "whole.gguf", tmp_path / "model.gguf", {key: lambda _: value})
    assert distance(checkpoints(name), tmp_path / "model.gguf") > 50 * KL[name]
    with (
        open_torch(checkpoints(name)) as reference,
        open_gguf(tmp_path / "model.gguf", threads=1, context=64) as candidate,
    ):
        failed = {check.name: check.detail for check in checks(reference, candidate) if not check.passed}
    assert list(failed) == ["network settings"] and key in failed["network settings"]


def test_a_beginning_token_that_is_missing_is_found(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    convert(checkpoints("gemma3"), tmp_path / "whole.gguf", "f16")
    changes = {"tokenizer.ggml.add_bos_token": lambda _: False}
    sabotage.rewrite(tmp_path / "whole.gguf", tmp_path / "model.gguf", changes)
    with (
        open_torch(checkpoints("gemma3")) as reference,
        open_gguf(tmp_path / "model.gguf", threads=1, context=64) as candidate,
    ):
        failed = {check.name: check.detail for check in checks(reference, candidate) if check.passed is False}
    assert "expected [2," in failed["token ids"]


def test_norms_that_are_stored_less_one_are_written_whole(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    convert(checkpoints("gemma3"), tmp_path / "model.gguf", "f32")
    stored = load_file(checkpoints("gemma3") / "model.safetensors")
    written = {one.name: one.data for one in gguf.GGUFReader(tmp_path / "model.gguf").tensors}
    for ours, theirs in (
        ("blk.5.post_ffw_norm.weight", "model.layers.5.post_feedforward_layernorm.weight"),
        ("blk.0.attn_q_norm.weight", "model.layers.0.self_attn.q_norm.weight"),
        ("output_norm.weight", "model.norm.weight"),
    ):
        assert torch.equal(torch.tensor(written[ours]), stored[theirs] + 1), ours


def test_stretched_positions_of_gemma_stretch_the_wide_layers_only(
    checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    rotary = {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }
    folder = edited(checkpoints("gemma3"), tmp_path / "model", rope_parameters=rotary)
    convert(folder, tmp_path / "model.gguf", "f32")
    assert gguf_header.read(tmp_path / "model.gguf").metadata["gemma3.rope.scaling.factor"] == 8.0
    assert distance(folder, tmp_path / "model.gguf") < KL["gemma3"]
    assert distance(checkpoints("gemma3"), tmp_path / "model.gguf") > 50 * KL["gemma3"]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("smollm3", {"no_rope_layers": [1, 1, 1, 1]}, "every 4th layer"),
        ("gemma3", {"layer_types": ["full_attention"] * 6}, "every 6th layer"),
        ("gemma3", {"query_pre_attn_scalar": 256}, "root of 32"),
        ("gemma3", {"hidden_activation": "silu"}, "computes gelu_pytorch_tanh, the checkpoint uses silu"),
        ("gemma3", {"use_bidirectional_attention": True}, "looks back only"),
        ("gemma3", {"attn_logit_softcapping": 50.0}, "caps no attention"),
        (
            "gemma3",
            {"rope_parameters": {"sliding_attention": {"rope_theta": 5e4}, "full_attention": {"rope_theta": 1e6}}},
            "base of its windows, config.json says 50000",
        ),
    ],
)
def test_another_network_than_the_one_in_llama_cpp_is_refused(
    checkpoints: Callable[[str], Path], tmp_path: Path, name: str, values: dict[str, Any], message: str
) -> None:
    folder = edited(checkpoints(name), tmp_path / "model", **values)
    with pytest.raises(ExportError, match=message):
        convert(folder, tmp_path / "model.gguf", "f32")
    assert not (tmp_path / "model.gguf").exists()


def test_pieces_carry_their_rank_as_score(checkpoints: Callable[[str], Path]) -> None:
    size = json.loads((checkpoints("gemma3") / "config.json").read_text("utf-8"))["vocab_size"]
    words = read(checkpoints("gemma3"), size)
    merges = json.loads((checkpoints("gemma3") / "tokenizer.json").read_text("utf-8"))["model"]["merges"]
    first, second = (words.tokens.index("".join(pair)) for pair in merges[:2])
    assert (words.model, words.scores[first], words.scores[second]) == ("llama", 0.0, -1.0)
    assert [words.types[words.tokens.index(token)] for token in ("<bos>", "<0x41>", "t")] == [3, 6, 1]
    assert (words.adds_bos, words.merges) == (True, ())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda stored: stored.update(normalizer=None), "a normalizer other than one that writes spaces"),
        (lambda stored: stored.update(pre_tokenizer={"type": "Digits"}), "texts are split by"),
        (lambda stored: stored["model"]["vocab"].pop("<0x0A>"), "1 bytes have no token"),
        (lambda stored: stored["model"]["merges"].append(stored["model"]["merges"][0]), "lie apart"),
    ],
)
def test_pieces_that_llama_cpp_would_put_together_otherwise_are_refused(
    checkpoints: Callable[[str], Path], tmp_path: Path, change: Callable[[Any], object], message: str
) -> None:
    folder = edited(checkpoints("gemma3"), tmp_path / "model")
    stored = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    change(stored)
    (folder / "tokenizer.json").write_text(json.dumps(stored), "utf-8")
    with pytest.raises(ExportError, match=message):
        convert(folder, tmp_path / "model.gguf", "f32")


def test_words_taken_whole_need_a_rule_that_takes_them(checkpoints: Callable[[str], Path], tmp_path: Path) -> None:
    folder = edited(checkpoints("smollm3"), tmp_path / "model")
    stored = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    stored["model"]["ignore_merges"] = False
    (folder / "tokenizer.json").write_text(json.dumps(stored), "utf-8")
    with pytest.raises(ExportError, match=r"takes whole words before merging.*llama-bpe"):
        convert(folder, tmp_path / "model.gguf", "f32")


def test_importance_is_measured_as_the_network_computes(checkpoints: Callable[[str], Path]) -> None:
    """Layer by layer must see what the whole model sees: scaled embeddings, windows, positions."""
    from transformers import AutoModelForCausalLM

    rows = [[2, *range(300, 420)]]
    found = measure(checkpoints("gemma3"), rows).columns["blk.5.ffn_down.weight"]
    model = AutoModelForCausalLM.from_pretrained(checkpoints("gemma3"))
    seen: list[torch.Tensor] = []
    model.model.layers[5].mlp.down_proj.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0][0]))
    with torch.inference_mode():
        model(torch.tensor(rows))
    expected = seen[0].square().mean(0)
    assert torch.allclose(torch.from_numpy(found), expected, rtol=1e-3, atol=1e-3 * float(expected.mean()))
