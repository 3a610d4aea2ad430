"""Verification: a faithful export passes, damage is found by the check that names it, a gate fails the run."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lively_model
import numpy as np
import pytest
import sabotage
from safetensors.torch import load_file, save_file

from zoo.errors import GateError
from zoo.exports.gguf import convert
from zoo.formats import gguf_header
from zoo.records import StageContext, StageResult
from zoo.schema import AgentSpec, Gate, VerifySpec
from zoo.serving import Chat, Generation, TorchRuntime, open_gguf, open_torch
from zoo.verify import held_out_steps, run
from zoo.verify.comparison import Step, compare_actions, compare_logits
from zoo.verify.gguf_structure import checks

AGENT = AgentSpec(style="terse", answer_tokens=16)
GATES = {"f16": Gate(mean_kl=1e-4, top1=0.98), "q8_0": Gate(mean_kl=0.1, top1=0.8)}


@pytest.fixture(scope="session")
def lively(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint. Only read."""
    return lively_model.make(tiny_llama, tmp_path_factory.mktemp("lively") / "model")


@pytest.fixture(scope="session")
def reference(lively: Path) -> TorchRuntime:
    return open_torch(lively)


@pytest.fixture
def export(lively: Path, tmp_path: Path) -> Path:
    """The folder of a finished export: f16 and q8_0."""
    folder = tmp_path / "export"
    folder.mkdir()
    convert(lively, folder / "model-F16.gguf", "f16")
    convert(lively, folder / "model-Q8_0.gguf", "q8_0")
    return folder


def verify(export: Path, against: Path, **changes: Any) -> StageResult:
    out, scratch = export.parent / "out", export.parent / "scratch"
    for folder in (out, scratch):
        folder.mkdir()
    spec = VerifySpec(
        **{"export": "stage:gguf", "against": "stage:grpo", "prompts": 3, "texts": 1, "actions": 1}
        | {"gates": GATES, "agent": AGENT}
        | changes
    )
    return run(spec, StageContext(out, scratch, {"export": export, "against": against}, seed=5))


def report(export: Path, where: str = "scratch") -> dict[str, Any]:
    return json.loads((export.parent / where / "verify.json").read_text("utf-8"))


def test_a_faithful_export_passes_and_says_how_far_it_is(export: Path, lively: Path) -> None:
    result = verify(export, lively)
    assert result.metrics["f16.mean_kl"].value < 1e-5 < result.metrics["q8_0.mean_kl"].value
    assert result.metrics["f16.top1"].low is not None
    positions = result.metrics["f16.mean_kl"].n
    assert positions is not None and 300 < positions == result.metrics["q8_0.top1"].n
    found = report(export, "out")
    assert found["passed"] and found == report(export)
    assert [one["file"] for one in found["files"]] == ["model-F16.gguf", "model-Q8_0.gguf"]
    names = [check["name"] for check in found["files"][0]["checks"]]
    assert names == [
        "loads", "vocabulary", "special token ids", "token ids", "chat template", "chat prompts", "stop tokens",
        "tensor types", "network settings", "weights", "rendered prompts",
    ]  # fmt: skip
    assert "f16.same_action" not in result.metrics, "a random model calls nothing, so there is nothing to keep"
    json.dumps(result.notes)


def test_a_vision_language_model_is_verified_by_its_text(tiny_vlm: Path, tmp_path: Path) -> None:
    export = tmp_path / "export"
    export.mkdir()
    convert(tiny_vlm, export / "model-F16.gguf", "f16")
    result = verify(export, tiny_vlm, gates={"f16": Gate(mean_kl=1e-5, top1=0.95)})
    assert result.metrics["f16.mean_kl"].value < 1e-5


def test_a_file_beyond_its_gate_fails_the_run_and_leaves_the_report(export: Path, lively: Path) -> None:
    gates = {"f16": GATES["f16"], "q8_0": Gate(mean_kl=1e-6, top1=0.9999)}
    with pytest.raises(GateError) as caught:
        verify(export, lively, gates=gates)
    message = str(caught.value)
    assert "model-Q8_0.gguf" in message and "model-F16.gguf" not in message
    assert "at most 1e-06 is allowed" in message and "at least 0.9999 is asked for" in message
    assert "try: a larger type (f16)" in message
    assert caught.value.exit_code == 3
    found = report(export)
    assert not found["passed"]
    assert [one["passed"] for one in found["files"]] == [True, False]
    measured = found["files"][1]["agreement"]["mean_kl"]
    assert f"{measured:.3g} nats" in message


def test_a_gate_that_cannot_be_measured_is_not_kept(export: Path, lively: Path) -> None:
    gates = GATES | {"f16": Gate(mean_kl=1e-4, top1=0.98, same_action=0.5)}
    with pytest.raises(GateError, match="same_action: not measured"):
        verify(export, lively, gates=gates)


def test_every_gate_needs_a_file(export: Path, lively: Path) -> None:
    with pytest.raises(GateError, match="a gate for f32"):
        verify(export, lively, gates=GATES | {"f32": GATES["f16"]})


def swapped(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    rows[[40, 41]] = rows[[41, 40]]
    return rows


def moved(tokens: list[str]) -> list[str]:
    return [*tokens[:300], tokens[301], tokens[300], *tokens[302:]]


DAMAGE: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "two rows of the head exchanged": (
        "tensors", {"token_embd.weight": swapped}, "weights", r"token_embd\.weight.*2 of 675 rows, row 40",
    ),
    "a layer's rows in transformers' order": (
        "tensors", {"blk.1.attn_q.weight": lambda rows: rows.reshape(4, 8, 2, -1).swapaxes(1, 2).reshape(rows.shape)},
        "weights", r"blk\.1\.attn_q\.weight",
    ),
    "a weight that is no number": (
        "tensors", {"output_norm.weight": lambda row: np.full_like(row, np.nan)}, "weights", r"output_norm\.weight",
    ),
    "a wrong rotary base": (
        "metadata", {"llama.rope.freq_base": lambda _: 10_000.0}, "network settings",
        r"rope\.freq_base is 10000\.0, in the checkpoint 100000\.0",
    ),
    "a wrong norm epsilon": (
        "metadata", {"llama.attention.layer_norm_rms_epsilon": lambda _: 1e-5}, "network settings", "rms_epsilon",
    ),
    "another chat template": (
        "metadata", {"tokenizer.chat_template": lambda text: text.replace("<|im_start|>assistant", "<|im_start|>user")},
        "chat template", "differs from character",
    ),
    "a wrong end token": (
        "metadata", {"tokenizer.ggml.eos_token_id": lambda _: 300}, "special token ids",
        "eos is token 300, in the checkpoint 2",
    ),
    "a stop at an ordinary word": (
        "metadata", {"tokenizer.ggml.eos_token_id": lambda _: 300}, "stop tokens", "ordinary token 300",
    ),
    "a beginning token that is not the checkpoint's": (
        "metadata", {"tokenizer.ggml.add_bos_token": lambda _: True}, "token ids", "differ",
    ),
    "two tokens exchanged": (
        "metadata", {"tokenizer.ggml.tokens": moved}, "vocabulary", "token 300 is",
    ),
    "a vocabulary that is off by one": (
        "metadata", {"tokenizer.ggml.tokens": lambda tokens: [*tokens[1:], tokens[0]]}, "vocabulary", "token 0 is",
    ),
    "merges in another order": (
        "metadata", {"tokenizer.ggml.merges": lambda merges: merges[::-1]}, "token ids", "differ",
    ),
    "letters that are special tokens": (
        "metadata", {"tokenizer.ggml.token_type": lambda kinds: [*kinds[:3], *[4] * 256, *kinds[259:]]},
        "token ids", "differ",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_found_by_the_check_that_names_it(
    lively: Path, reference: TorchRuntime, tmp_path: Path, case: str
) -> None:
    kind, changes, name, detail = DAMAGE[case]
    convert(lively, tmp_path / "whole.gguf", "f16")
    sabotage.rewrite(tmp_path / "whole.gguf", tmp_path / "damaged.gguf", **{kind: changes})
    with open_gguf(tmp_path / "damaged.gguf", threads=1, context=64) as candidate:
        found = {check.name: check for check in checks(reference, candidate)}
    assert not found[name].passed
    assert re.search(detail, found[name].detail), found[name].detail


def test_another_splitting_rule_is_found_where_it_shows(tiny_vlm: Path, tmp_path: Path) -> None:
    """Qwen's rule lets `<tool` be one piece, GPT-2's does not."""
    convert(tiny_vlm, tmp_path / "whole.gguf", "f16")
    sabotage.rewrite(tmp_path / "whole.gguf", tmp_path / "damaged.gguf", {"tokenizer.ggml.pre": lambda _: "gpt-2"})
    with open_torch(tiny_vlm) as qwen, open_gguf(tmp_path / "damaged.gguf", threads=1, context=64) as candidate:
        found = {check.name: check for check in checks(qwen, candidate)}
    assert not found["token ids"].passed


def test_a_copy_without_damage_passes_every_check(lively: Path, reference: TorchRuntime, tmp_path: Path) -> None:
    convert(lively, tmp_path / "whole.gguf", "q8_0")
    sabotage.rewrite(tmp_path / "whole.gguf", tmp_path / "copy.gguf")
    with open_gguf(tmp_path / "copy.gguf", threads=1, context=64) as candidate:
        found = list(checks(reference, candidate))
    assert len(found) == 9 and all(check.passed for check in found)


def test_a_row_below_the_smallest_steps_of_a_type_is_no_damage(lively: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "decayed"
    shutil.copytree(lively, checkpoint)
    tensors = load_file(checkpoint / "model.safetensors")
    tensors["model.embed_tokens.weight"][0] *= 1e-6 / tensors["model.embed_tokens.weight"][0].abs().max()
    save_file(tensors, checkpoint / "model.safetensors", metadata={"format": "pt"})
    for type_ in ("f16", "q8_0"):
        file = tmp_path / f"{type_}.gguf"
        convert(checkpoint, file, type_)
        with open_torch(checkpoint) as torch_runtime, open_gguf(file) as candidate:
            failed = [check for check in checks(torch_runtime, candidate) if not check.passed]
        assert failed == []


def test_a_wrong_rotary_base_also_shows_in_the_logits(export: Path, lively: Path) -> None:
    sabotage.rewrite(
        export / "model-F16.gguf", export.parent / "other.gguf", {"llama.rope.freq_base": lambda _: 10_000.0}
    )
    (export.parent / "other.gguf").replace(export / "model-F16.gguf")
    with pytest.raises(GateError) as caught:
        verify(export, lively)
    assert "network settings: llama.rope.freq_base" in str(caught.value)
    assert "mean_kl is" in str(caught.value)
    assert "try: export again" in str(caught.value)


@pytest.mark.parametrize("kept", [0.01, 0.9])
def test_a_truncated_file_does_not_hide_the_others(export: Path, lively: Path, kept: float) -> None:
    file = export / "model-F16.gguf"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * kept)])
    with pytest.raises(GateError, match=r"loads: .*(cut short|ends inside its header)"):
        verify(export, lively)
    broken, sound = report(export)["files"]
    assert broken["agreement"] is None and not broken["passed"]
    assert sound["agreement"]["mean_kl"] < 0.1 and sound["passed"]


def test_a_vocabulary_of_another_size_is_said_and_not_compared(export: Path, tiny_vlm: Path) -> None:
    with pytest.raises(GateError, match="the file has 675 tokens, the checkpoint 687"):
        verify(export, tiny_vlm)


def test_held_out_steps_follow_the_seed() -> None:
    steps = held_out_steps(AGENT, 5, seed=1)
    assert len(steps) == 5
    assert steps == held_out_steps(AGENT, 5, seed=1) != held_out_steps(AGENT, 5, seed=2)
    assert all(step.prompt[-1]["role"] == "user" and step.completion[0]["role"] == "assistant" for step in steps)


@dataclass
class Fake:
    """A runtime that says what it is told to and counts what it is asked."""

    answers: Sequence[str] = ()
    asked: list[int] = field(default_factory=list)
    chat_template: str = ""

    def encode(self, chat_or_text: Chat | str) -> list[int]:
        return [ord(letter) for message in chat_or_text for letter in dict(message)["content"]]

    def generate(self, chats: Sequence[Chat], max_new_tokens: int) -> list[Generation]:
        return [Generation(text, 1, 1, 0.1, 0.1) for text in self.answers[: len(chats)]]

    def logits(self, token_ids: Sequence[int], start: int = 0) -> np.ndarray[Any, Any]:
        self.asked.append(len(token_ids) - start)
        return np.zeros((len(token_ids) - start, 128), np.float32)

    def close(self) -> None: ...


def texts_of(runtime: Fake | TorchRuntime, steps: Sequence[Step]) -> list[list[int]]:
    return [runtime.encode([*step.prompt, *step.completion]) for step in steps]


def test_actions_count_only_where_the_checkpoint_acts() -> None:
    ours = Fake(["tap(1)", 'text("milk")', "no idea", "swipe(2, 'up')", "back()"])
    theirs = Fake(["I think: tap(index=1)", 'text("Milk")', "tap(4)", 'swipe(2, "up", "medium")', "hm"])
    prompts = [[{"role": "user", "content": "x"}]] * 5
    found = compare_actions(ours, {"f": theirs}, prompts, 8)["f"]
    assert (found.steps, found.called, found.same, found.readable, found.same_text) == (5, 4, 2, 4, 0)
    assert found.same_action is not None and found.same_action.value == 0.5


def test_a_beginning_that_steps_share_is_compared_once() -> None:
    texts = [("abcdefgh", "1"), ("abcdefgh", "2"), ("abcdefgh", "1"), ("abcdxy", "3")]
    steps = [Step([{"role": "user", "content": one}], [{"role": "assistant", "content": two}]) for one, two in texts]
    fake = Fake()
    found = compare_logits(fake, {"f": Fake()}, texts_of(fake, steps))["f"].agreement
    # 8 rows of the first text; of the second, nothing is new before its last token, which nothing follows
    assert fake.asked == [8, 2]
    assert found.positions == 10


def test_the_positions_of_a_long_text_are_its_last(lively: Path, reference: TorchRuntime, tmp_path: Path) -> None:
    step = Step([{"role": "user", "content": "tap " * 1100}], [{"role": "assistant", "content": "back()"}])
    convert(lively, tmp_path / "model.gguf", "f16")
    assert gguf_header.read(tmp_path / "model.gguf").types == {"F16": 15, "F32": 5}
    with open_gguf(tmp_path / "model.gguf", threads=1, context=2048) as candidate:
        found = compare_logits(reference, {"f": candidate}, texts_of(reference, [step]))["f"].agreement
    assert found.positions == 1024
