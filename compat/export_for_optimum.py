"""First half of `make optimum-compat`: a checkpoint of transformers 5, its ONNX export, and what torch makes of it.

    python compat/export_for_optimum.py FOLDER [CHECKPOINT]

Without a checkpoint, a tiny one is made. Runs in the project's environment; `check_in_optimum.py` reads what it leaves.
"""

import json
import shutil
import sys
from pathlib import Path

import lively_model
import numpy as np

from zoo import tiny
from zoo.exports.onnx import convert
from zoo.serving import TorchRuntime, open_torch

VARIANTS = ("fp32", "fp16", "int8")
CHATS = (
    [{"role": "user", "content": "Set an alarm for 7:30."}],
    [
        {"role": "system", "content": "You operate a phone."},
        {"role": "user", "content": "Öffne 設定 12, then go back."},
    ],
)
TEXTS = (
    "Hello, world!",
    " leading and trailing ",
    "0 1 12 123 3.14159",
    "Größe, 日本語, 😀",
    '{"name": "tap", "index": 3}',
)
NEW_TOKENS = 24


def main(folder: Path, checkpoint: Path | None) -> None:
    """Write `checkpoint/`, `export/`, `expected.json` and `logits.npy`."""
    shutil.rmtree(folder, ignore_errors=True)
    source = folder / "checkpoint"
    if checkpoint:
        shutil.copytree(checkpoint, source)
    else:
        (folder / "tiny").mkdir(parents=True)
        tiny.make("llama", folder / "tiny", seed=0)
        # As it comes, its attention is so weak that another rotary base would go unnoticed.
        lively_model.make(folder / "tiny", source)
    for variant in VARIANTS:
        notes = convert(source, folder / "export", variant)
        print(f"{variant}: {notes['bytes']:,} bytes in {notes['seconds']} s")
    with open_torch(source) as reference:
        _write_expected(reference, folder)


def _write_expected(reference: TorchRuntime, folder: Path) -> None:
    prompts = [reference.encode(chat) for chat in CHATS]
    expected = {
        "chats": CHATS,
        "prompts": [reference.decode(ids) for ids in prompts],
        "prompt_ids": prompts,
        "texts": {text: reference.encode(text) for text in TEXTS},
        "new_tokens": NEW_TOKENS,
        "answers": [one.text for one in reference.generate(CHATS, NEW_TOKENS)],
    }
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False, indent=2) + "\n", "utf-8")
    np.save(folder / "logits.npy", reference.logits(prompts[1]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
