"""Every architecture of the GGUF export beside llama.cpp's own converter: are the tensors the same, byte for byte?

    python benchmarks/exports/architectures.py --converter PATH/convert_hf_to_gguf.py [--types f32 f16]

A tiny random model of each architecture is made, its norms and biases no longer neutral, converted by both, and
compared with torch in llama.cpp. The converter knows pre-tokenizers by a hash of their tokens, which no tokenizer made
on the spot has; so that check of it, and nothing else, is replaced by the name that our export found. For Gemma 3,
whose tokenizer the converter reads from another file, only the tensors and the network's settings are compared.
Printed: a table.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load_file, save_file

from zoo import tiny
from zoo.exports.gguf import convert
from zoo.formats import gguf_header
from zoo.metrics import agreement, divergence
from zoo.serving import open_gguf, open_torch

_THEIRS = """
import sys
sys.path[:0] = [sys.argv.pop(1), sys.argv.pop(1)]
name = sys.argv.pop(1)
import convert_hf_to_gguf as converter
from conversion.base import TextModel
TextModel.get_vocab_base_pre = lambda self, tokenizer: name
converter.main()
"""
_TEXT = "Set an alarm for 7:30 and turn on Bluetooth. Delete the note called milk. " * 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--converter", type=Path, required=True)
    parser.add_argument("--types", nargs="+", default=["f32", "f16", "bf16", "q8_0"])
    parser.add_argument("--architectures", nargs="+", default=tiny.ARCHITECTURES, choices=tiny.ARCHITECTURES)
    options = parser.parse_args()
    print("| architecture | type | tensors the same | settings that differ | mean KL to torch, nats |")
    print("| --- | --- | ---: | --- | ---: |")
    for name in options.architectures:
        with TemporaryDirectory() as folder:
            checkpoint = lively(name, Path(folder))
            for type_ in options.types:
                print(f"| {' | '.join([name, type_, *compared(checkpoint, type_, options.converter)])} |", flush=True)


def lively(name: str, folder: Path) -> Path:
    """A tiny checkpoint in which nothing is neutral, so that nothing can be forgotten unseen."""
    checkpoint = folder / "model"
    checkpoint.mkdir()
    tiny.make(name, checkpoint, seed=0)
    tensors = load_file(checkpoint / "model.safetensors")
    torch.manual_seed(0)
    for key, value in tensors.items():
        if key.endswith(("norm.weight", "bias", "layernorm.weight")):
            value += 0.3 * torch.randn_like(value)
        elif "_proj.weight" in key and "visual" not in key:
            value *= 8
    save_file(tensors, checkpoint / "model.safetensors", metadata={"format": "pt"})
    return checkpoint


def compared(checkpoint: Path, type_: str, converter: Path) -> list[str]:
    """The cells of one row."""
    ours, theirs = (checkpoint.with_name(f"{who}-{type_}.gguf") for who in ("ours", "theirs"))
    convert(checkpoint, ours, type_)
    pre = gguf_header.read(ours).metadata["tokenizer.ggml.pre"]
    root = converter.parent
    command = [sys.executable, "-c", _THEIRS, str(root), str(root / "gguf-py"), pre]
    done = subprocess.run(
        [*command, str(checkpoint), "--outfile", str(theirs), "--outtype", type_],
        env={**os.environ, "HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return [same_tensors(ours, theirs), different_settings(ours, theirs), f"{distance(checkpoint, ours):.1e}"]


def same_tensors(ours: Path, theirs: Path) -> str:
    """How many of the converter's tensors are the same byte for byte in our file."""
    left, right = ({one.name: one for one in gguf_header.read(file).tensors} for file in (ours, theirs))
    same = sum(name in left and content(left[name]) == content(tensor) for name, tensor in right.items())
    return f"{same} of {len(right)}" + (f", {len(left)} in ours" if len(left) != len(right) else "")


def content(tensor: gguf_header.Tensor) -> tuple[str, bytes]:
    """Its type and its bytes."""
    with tensor.file.open("rb") as stream:
        stream.seek(tensor.offset)
        return tensor.type, stream.read(tensor.bytes)


def different_settings(ours: Path, theirs: Path) -> str:
    """Settings of the network that only one file has or that differ."""
    left, right = (gguf_header.read(file).metadata for file in (ours, theirs))
    prefix = f"{left['general.architecture']}."
    keys = sorted(
        key for key in left.keys() | right.keys() if key.startswith(prefix) and left.get(key) != right.get(key)
    )
    return ", ".join(key.removeprefix(prefix) + ("" if key in right else " (ours only)") for key in keys) or "none"


def distance(checkpoint: Path, file: Path) -> float:
    """Mean KL from torch to the file in llama.cpp, with its cache in float32."""
    with open_torch(checkpoint) as reference, open_gguf(file, threads=1, context=1024, exact=True) as candidate:
        ids = reference.encode(_TEXT)
        return agreement([divergence(reference.logits(ids[:-1]), candidate.logits(ids[:-1]), ids[1:])]).mean_kl


if __name__ == "__main__":
    main()
