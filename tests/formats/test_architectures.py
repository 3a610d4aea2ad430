"""The table of architectures, asked with a `config.json` alone."""

import json
import subprocess
import sys
from typing import Any

import pytest

from zoo.errors import ExportError
from zoo.formats import weights
from zoo.formats.architectures import ARCHITECTURES, language_tensors, matrices, of
from zoo.formats.network import supported

QWEN_VL = {  # as transformers 4 wrote it: flat, the rotary type under `type`
    "architectures": ["Qwen2_5_VLForConditionalGeneration"], "hidden_act": "silu", "use_sliding_window": False,
    "rope_theta": 1e6, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}, "vision_config": {},
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_known_architecture_is_accepted(name: str) -> None:
    supported({"architectures": [name], "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}})


def test_the_configs_of_transformers_4_and_5_are_both_read() -> None:
    supported(QWEN_VL)
    nested = {"hidden_act": "silu", "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]}}
    supported({"architectures": QWEN_VL["architectures"], "text_config": nested})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"architectures": ["MambaForCausalLM"]}, "MambaForCausalLM; known: Gemma3ForCausalLM"),
        ({}, "none named"),
        ({**QWEN_VL, "text_config": {"use_sliding_window": True}}, "sliding-window"),
        ({"architectures": ["LlamaForCausalLM"], "hidden_act": "gelu"}, "gelu"),
        ({"architectures": ["LlamaForCausalLM"], "rope_scaling": {"rope_type": "llama3"}}, "llama3"),
        ({"architectures": ["LlamaForCausalLM"], "quantization_config": {"bits": 4}}, "already quantized"),
    ],
)
def test_what_has_no_gguf_form_is_refused_before_training(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        supported(config)


def test_asking_imports_nothing_heavy() -> None:
    ask = (
        "import sys; from zoo.formats.network import supported; "
        "supported({'architectures': ['LlamaForCausalLM']}); "
        "assert not {'torch', 'transformers', 'gguf', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", ask], check=True, timeout=60)


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_vlm"])
def test_what_can_be_quantized_is_known_from_the_config_alone(name: str, request: pytest.FixtureRequest) -> None:
    from transformers import AutoConfig

    folder = request.getfixturevalue(name)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    text = AutoConfig.from_pretrained(folder).get_text_config()
    stored = language_tensors(weights.index(folder), of(config), text, True)
    assert matrices(config) == {one.name: one.stored.shape for one in stored if len(one.stored.shape) == 2}
