"""How much each input of each linear layer matters on the agent's own prompts: the importance matrix of llama.cpp.

For a layer y = Wx it is the mean of x squared, by column, over the tokens of calibration rows (llama.cpp,
`tools/imatrix`): a quantizer that minimises the error weighted with it spends its precision on columns that are used.
The rows are the recipe's, since an agent reads screens, not encyclopedias.

Layer by layer: one layer's weights are in memory at a time, and the hidden states of all rows (rows x tokens x width in
float32). Not covered: the head, as in llama.cpp; images, whose placeholders are read as the tokens that they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from zoo.data import read_rows
from zoo.errors import DataError
from zoo.formats import architectures, weights
from zoo.formats.architectures import LanguageTensor
from zoo.records import Progress, no_progress
from zoo.serving import prompts
from zoo.serving.torch_runtime import read_config

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Importance", "measure", "token_rows"]

_LONGEST_TOKENS = 2048
# A column that no row excites still counts a little: nothing proves it useless, and a block of zero weights is written
# as zeros.
_LEAST_SHARE = 1e-4


@dataclass(frozen=True)
class Importance:
    """An importance matrix."""

    columns: "Mapping[str, np.ndarray[Any, Any]]"
    """Tensor of GGUF -> one number for each of its columns."""
    rows: int
    tokens: int

    @property
    def facts(self) -> dict[str, int]:
        """For a record."""
        return {"rows": self.rows, "tokens": self.tokens, "tensors": len(self.columns)}


def token_rows(folder: Path, checkpoint: Path, count: int, seed: int) -> list[list[int]]:
    """`count` rows of a finished data stage, drawn with the seed, prompt and answer as the model reads them.

    Raises DataError when there is none.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    rows = list(read_rows(folder))
    if not rows:
        raise DataError(f"{folder} has no rows to calibrate with")
    chosen = Random(seed).sample(rows, min(count, len(rows)))
    template, special = tokenizer.chat_template or "", tokenizer.special_tokens_map
    texts = [prompts.render(template, [*row["prompt"], *row["completion"]], special) for row in chosen]
    return [list(tokenizer(text, add_special_tokens=False)["input_ids"])[:_LONGEST_TOKENS] for text in texts]


def measure(
    checkpoint: Path, rows: Sequence[Sequence[int]], device: str = "cpu", progress: Progress = no_progress
) -> Importance:
    """Read rows of token ids with a checkpoint, in float32.

    Raises ModelError for a checkpoint whose tensors are not whole, ExportError for an unknown architecture.
    """
    import torch
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(checkpoint)
    text, tied = config.get_text_config(), bool(config.tie_word_embeddings)
    architecture = architectures.of(read_config(checkpoint))
    named = architectures.language_tensors(weights.index(checkpoint), architecture, text, tied)
    tensors = {architectures.language_name(tensor.stored.name) or "": tensor for tensor in named}
    columns: dict[str, np.ndarray[Any, Any]] = {}
    with torch.inference_mode():
        # Noted first: the model's config, which learns below of one layer at a time, may be this one.
        kinds = list(getattr(text, "layer_types", None) or ())
        model = _empty_model(text, device)
        # Gemma multiplies what it looks up; the factor is no tensor of the checkpoint.
        scale = float(getattr(model.embed_tokens, "scalar_embed_scale", 1.0))
        states = _embedded(tensors["model.embed_tokens.weight"], rows, scale, device)
        layers, model.layers, model.norm = model.layers, torch.nn.ModuleList(), torch.nn.Identity()
        for index, layer in enumerate(layers):
            of_layer = _of_layer(tensors, f"model.layers.{index}.")
            if kinds:
                model.config.layer_types = [kinds[index]]
            seen = _run_layer(model, layer, of_layer, states, device)
            columns |= {of_layer[f"{name}.weight"].name: values for name, values in seen.items()}
            layer.to("meta")
            progress(index + 1, len(layers), measuring="importance")
    return Importance(columns, len(rows), sum(len(row) for row in rows))


def _embedded(embedding: LanguageTensor, rows: Sequence[Sequence[int]], scale: float, device: str) -> list[Any]:
    """Rows as hidden states [1, tokens, width]."""
    import torch

    table = embedding.load()
    return [torch.from_numpy(table[list(row)] * scale)[None].to(device) for row in rows]


def _empty_model(text: Any, device: str) -> Any:
    """The network without weights; what it computes from its config (rotary angles) is there."""
    import torch
    from transformers import AutoModel

    with torch.device("meta"):
        model = AutoModel.from_config(text, attn_implementation="sdpa").eval()
    model.rotary_emb = type(model.rotary_emb)(config=text).to(device)
    # The loop below gives it one layer at a time.
    model.config.num_hidden_layers = 1
    return model


def _of_layer(tensors: Mapping[str, LanguageTensor], prefix: str) -> dict[str, LanguageTensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _run_layer(
    model: Any, layer: Any, tensors: Mapping[str, LanguageTensor], states: list[Any], device: str
) -> "dict[str, np.ndarray[Any, Any]]":
    """Put every row through one layer, in place; linear layer -> mean of its squared inputs."""
    import torch

    stored = {name: torch.from_numpy(tensor.stored.load()).to(device) for name, tensor in tensors.items()}
    layer.load_state_dict(stored, assign=True)
    sums: dict[str, Any] = {}

    def watch(name: str) -> Any:
        def hook(_: Any, inputs: tuple[Any, ...], __: Any) -> None:
            squares = inputs[0].reshape(-1, inputs[0].shape[-1]).double().square().sum(0)
            sums[name] = sums[name] + squares if name in sums else squares

        return hook

    linear = [(name, part) for name, part in layer.named_modules() if isinstance(part, torch.nn.Linear)]
    hooks = [part.register_forward_hook(watch(name)) for name, part in linear]
    model.layers = torch.nn.ModuleList([layer])
    for index, state in enumerate(states):
        states[index] = model(inputs_embeds=state, use_cache=False).last_hidden_state
    for hook in hooks:
        hook.remove()
    tokens = sum(state.shape[1] for state in states)
    return {name: _floored((total / tokens).float().cpu().numpy()) for name, total in sums.items()}


def _floored(values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    import numpy as np

    floored: np.ndarray[Any, Any] = np.maximum(values, _LEAST_SHARE * values.mean())
    return floored
