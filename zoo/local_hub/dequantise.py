"""A GGUF file written out as a plain bfloat16 checkpoint: `python -m zoo.local_hub.dequantise FILE OUT`."""

import sys
from pathlib import Path

__all__ = ["dequantise"]

_END_OF_TURN = "<|im_end|>"


def dequantise(gguf: Path, out: Path) -> None:
    """Write safetensors, configuration, tokenizer with chat template, and a generation configuration.

    The last one ends at the end of a turn, not at the end of a text.

    `from_pretrained(gguf_file=...)` alone gives a model that counts as quantised and refuses to be saved.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, GgufConfig

    source, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=name)
    model = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    ).to(torch.bfloat16)
    for leaked in ("_name_or_path", "_model_name_or_path"):  # a line of the GGUF's metadata, as if it were a name
        vars(model.config).pop(leaked, None)
    for leaked in ("is_local", "local_files_only"):  # how it was loaded, not what it is
        tokenizer.init_kwargs.pop(leaked, None)
    tokenizer.model_max_length = model.config.max_position_embeddings
    end = tokenizer.convert_tokens_to_ids(_END_OF_TURN)
    if tokenizer.chat_template is None or end is None or end == tokenizer.unk_token_id:
        raise ValueError(f"{gguf}: has no chat template, or no {_END_OF_TURN}")
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else end
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id, eos_token_id=end, pad_token_id=padding
    )
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    for file in out.iterdir():
        file.chmod(0o644)  # safetensors writes 0600, which nobody else could serve


if __name__ == "__main__":
    dequantise(Path(sys.argv[1]), Path(sys.argv[2]))
