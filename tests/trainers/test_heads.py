"""The heads that trainers run themselves, against the forward of the models whose heads they are."""

from typing import Any

import pytest
import torch
import transformers

from zoo.trainers.heads import head_of, logits_of

SIZES = {"vocab_size": 40, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
SIZES |= {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8}
MAMBA = {"mamba_d_ssm": 16, "mamba_n_heads": 2, "mamba_d_head": 8, "mamba_d_state": 8}
FAMILIES: list[tuple[str, dict[str, Any]]] = [
    ("Llama", {}),
    ("Granite", {"logits_scaling": 4.0}),
    ("HyperCLOVAX", {"logits_scaling": 4.0}),
    ("Cohere", {"logit_scale": 0.25}),
    ("Gemma2", {"final_logit_softcapping": 0.05}),
    ("FalconH1", {"lm_head_multiplier": 0.3, **MAMBA}),
]


@pytest.mark.parametrize(("family", "options"), FAMILIES, ids=[family for family, _ in FAMILIES])
def test_a_head_scales_and_caps_as_its_model_does(family: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**SIZES, **options, pad_token_id=0, bos_token_id=1)
    model = getattr(transformers, f"{family}ForCausalLM")(config).eval()
    ids = torch.tensor([[1, 2, 3]])
    with torch.no_grad():
        hidden = model.base_model(input_ids=ids).last_hidden_state[0]
        right = model(input_ids=ids).logits[0]
        torch.testing.assert_close(head_of(model, 40).logits(hidden), right)
        torch.testing.assert_close(logits_of(model, hidden), right)
        torch.testing.assert_close(head_of(model, 30).logits(hidden), right[:, :30])
        plain = model.get_output_embeddings()(hidden)
    assert torch.equal(logits_of(model, hidden), plain) == (family == "Llama")


def test_an_adapter_on_the_head_counts() -> None:
    from peft import LoraConfig, get_peft_model

    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**SIZES))
    adapted = get_peft_model(model, LoraConfig(r=2, target_modules=["lm_head"], init_lora_weights=False))
    hidden = torch.randn(3, 16)
    causal = adapted.get_base_model()
    assert not torch.allclose(logits_of(causal, hidden), head_of(causal, 40).logits(hidden))
    torch.testing.assert_close(logits_of(causal, hidden), causal.lm_head(hidden))
