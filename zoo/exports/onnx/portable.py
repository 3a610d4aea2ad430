"""A checkpoint as one graph of standard ONNX operators: prefill and decode in one, keys and values going in and out.

Two exporters, chosen by name and never silently exchanged: `transformers` (`transformers.exporters.OnnxExporter`, in
transformers' own tree, experimental there and therefore pinned exactly) and `torch` (`torch.onnx.export(dynamo=True)`
over a wrapper of ours). Both are traced with two rows, one of them padded on the left: with one row the batch would
become a constant, and without padding the attention mask would vanish from the graph.

Not covered: images. Of a vision-language model the language model is exported, with text positions. Its vision tower
comes out of either exporter right for images whose sides are multiples of the attention window and silently wrong for
others (17 % relative error at 140 x 196 pixels), so that it is not exported at all.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from zoo.errors import ExportError, ModelError
from zoo.exports.onnx.quiet import quiet
from zoo.serving import open_torch

if TYPE_CHECKING:
    import onnx_ir

__all__ = ["Exporter", "trace"]

Exporter = Literal["transformers", "torch"]

_ABOUT_TORCHVISION = "torch.onnx._internal.exporter._registration"
"""It logs a page about operators that no model here uses."""
_PADDED = 3
_LENGTH = 5
_NEW = 2


def trace(checkpoint: Path, dtype: Literal["float32", "float16"], exporter: Exporter) -> "onnx_ir.Model":
    """Trace a checkpoint. Inputs and outputs bear the exporter's own names; `layout.repair` gives them the Hub's.

    Memory: the weights in `dtype` twice, and about 1 GB for the tracer.

    Raises ModelError for a checkpoint that cannot be loaded or holds NaN, ExportError for weights beyond `dtype` and
    for a model that the exporter does not trace.
    """
    reference = open_torch(checkpoint, dtype=dtype)
    _check_finite(checkpoint, reference.model, dtype)
    tracers = {"transformers": _with_transformers, "torch": _with_torch}
    try:
        with quiet(_ABOUT_TORCHVISION):
            return tracers[exporter](reference.model)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        other = "torch" if exporter == "transformers" else "transformers"
        raise ExportError(
            f"{checkpoint}: the exporter of {exporter} does not trace this model: {error}; try exporter: {other}"
        ) from error


def _check_finite(checkpoint: Path, model: Any, dtype: str) -> None:
    import torch

    for name, tensor in model.named_parameters():
        if torch.isnan(tensor).any():
            raise ModelError(f"{checkpoint}: tensor {name} holds NaN")
        if torch.isinf(tensor).any():
            raise ExportError(f"{checkpoint}: tensor {name} holds infinity, or values beyond {dtype}")


def _sample(model: Any) -> dict[str, Any]:
    """Two new tokens after five cached ones, of which the second row has only two: ids, mask, positions, cache."""
    import torch
    from transformers import DynamicCache

    text = model.config.get_text_config()
    head = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    shape = (2, text.num_key_value_heads, _LENGTH, head)
    mask = torch.ones(2, _LENGTH + _NEW, dtype=torch.long)
    mask[1, :_PADDED] = 0
    layers = [(torch.randn(shape, dtype=model.dtype),) * 2 for _ in range(text.num_hidden_layers)]
    return {
        "input_ids": torch.arange(2 * _NEW).reshape(2, _NEW),
        "attention_mask": mask,
        "position_ids": (mask.cumsum(1) - 1)[:, -_NEW:],
        "past_key_values": DynamicCache([(keys.clone(), values.clone()) for keys, values in layers]),
    }


def _with_transformers(model: Any) -> "onnx_ir.Model":
    from transformers.exporters import OnnxConfig, OnnxExporter
    from transformers.exporters.utils import decompose_for_generation

    sample = _sample(model)
    prompt = {
        "input_ids": sample["input_ids"].repeat(1, 3)[:, :_LENGTH],
        "attention_mask": sample["attention_mask"][:, :_LENGTH],
    }
    decoder, inputs = decompose_for_generation(model, prompt, multi_token_decode=True)["decode"]
    # What generate() would pass: for a model with rotary positions of several axes that is one row an axis, which no
    # consumer of a text model makes. Two dimensions are what every model takes for text.
    given = {name: value for name, value in inputs.items() if value is not None} | {
        "position_ids": sample["position_ids"]
    }
    exported = OnnxExporter().export(decoder, given, OnnxConfig(dynamic=True, ort_fusions=None))
    traced: onnx_ir.Model = exported.program
    return traced


def _with_torch(model: Any) -> "onnx_ir.Model":
    import torch

    sample = _sample(model)
    cache = sample.pop("past_key_values")
    flat = tuple(tensor for layer in cache.layers for tensor in (layer.keys, layer.values))
    free = torch.export.Dim.DYNAMIC
    tokens, past = {0: free, 1: free}, {0: free, 2: free}
    places = [f"{index}.{part}" for index in range(len(cache.layers)) for part in ("key", "value")]
    program = torch.onnx.export(
        _flat_cache(model),
        (*sample.values(), *flat),
        dynamo=True,
        dynamic_shapes=(tokens, tokens, tokens, tuple(past for _ in flat)),
        input_names=[*sample, *(f"past_key_values.{place}" for place in places)],
        output_names=["logits", *(f"present.{place}" for place in places)],
        optimize=True,
        verbose=False,
    )
    traced: onnx_ir.Model = program.model
    return traced


def _flat_cache(model: Any) -> Any:
    """The model as a function of tensors only: ONNX knows no cache objects."""
    import torch
    from transformers import DynamicCache

    class FlatCache(torch.nn.Module):  # type: ignore[misc]  # torch is untyped here
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any, position_ids: Any, *past: Any) -> tuple[Any, ...]:
            cache = DynamicCache(list(zip(past[::2], past[1::2], strict=True)))
            output = self.model(
                input_ids=input_ids, attention_mask=attention_mask, position_ids=position_ids,
                past_key_values=cache, use_cache=True,
            )  # fmt: skip
            layers = output.past_key_values.layers
            return (output.logits, *(tensor for layer in layers for tensor in (layer.keys, layer.values)))

    return FlatCache().eval()
