"""Second half of `make optimum-compat`: transformers 4 and optimum read what this project, on transformers 5, wrote.

    python compat/check_in_optimum.py FOLDER

Runs in the environment of `optimum-constraints.txt` and imports nothing of this project. Three questions: does
transformers 4 load the same model and tokenizer from the checkpoint (it once took another rotary base, without a word);
do optimum's ORTModelForCausalLM and transformers' generate() answer the same from the exported graphs, with a batch
padded on the left; and does the graph that optimum itself exports compute what ours computes.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from optimum.exporters.onnx import main_export
from optimum.onnxruntime import ORTModelForCausalLM
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

EXACT_GRAPH = "model.onnx"
# Of these only the next tokens: a whole greedy answer of a random model turns at the smallest rounding.
ROUNDED_GRAPHS = ("model_fp16.onnx", "model_quantized.onnx")
# Largest difference of one logit: float32 in two programs; float16 and 8 bits are gated by `verify`, not here.
SAME_LOGITS = 2e-3
SAME_TOP = 0.9


def main(folder: Path) -> int:
    """Ask everything, print every answer; 1 if one of them is no."""
    expected = json.loads((folder / "expected.json").read_text("utf-8"))
    results = [
        *check_tokenizer(folder / "checkpoint", expected),
        *check_tokenizer(folder / "export", expected),
        check_checkpoint(folder, expected),
        check_that_it_can_fail(folder, expected),
        *check_graphs(folder, expected),
        check_own_export(folder, expected),
    ]
    print(f"transformers {transformers.__version__}, optimum in {Path(sys.prefix).name}")
    for name, passed, detail in results:
        print(f"{'ok  ' if passed else 'FAIL'} {name}: {detail}")
    return 0 if all(passed for _, passed, _ in results) else 1


def check_tokenizer(folder: Path, expected: dict[str, Any]) -> list[tuple[str, bool, str]]:
    """The same ids for texts, and the same prompts for chats."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = sum(tokenizer(text)["input_ids"] == ids for text, ids in expected["texts"].items())
    prompts = sum(
        tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) == prompt
        for chat, prompt in zip(expected["chats"], expected["prompts"], strict=True)
    )
    return [
        (f"token ids, {folder.name}", texts == len(expected["texts"]), f"{texts} of {len(expected['texts'])} texts"),
        (f"prompts, {folder.name}", prompts == len(expected["prompts"]), f"{prompts} of {len(expected['prompts'])}"),
    ]


def check_checkpoint(folder: Path, expected: dict[str, Any]) -> tuple[str, bool, str]:
    """Logits of the checkpoint in transformers 4 against those in transformers 5."""
    model = AutoModelForCausalLM.from_pretrained(folder / "checkpoint", dtype=torch.float32)
    with torch.inference_mode():
        found = model(torch.tensor([expected["prompt_ids"][1]])).logits[0].numpy()
    return compared("logits of the checkpoint", folder, found)


def check_that_it_can_fail(folder: Path, expected: dict[str, Any]) -> tuple[str, bool, str]:
    """The rotary base that transformers 4 takes when it finds none must be too far away to pass."""
    config = AutoConfig.from_pretrained(folder / "checkpoint", rope_theta=10_000.0)
    model = AutoModelForCausalLM.from_pretrained(folder / "checkpoint", config=config, dtype=torch.float32)
    with torch.inference_mode():
        found = model(torch.tensor([expected["prompt_ids"][1]])).logits[0].numpy()
    _, passed, detail = compared("", folder, found)
    return "a wrong rotary base is noticed", not passed, detail


def check_graphs(folder: Path, expected: dict[str, Any]) -> list[tuple[str, bool, str]]:
    """Next tokens of every graph; of the exact one also logits, and answers from a batch that is padded on the left."""
    found = []
    for name in (EXACT_GRAPH, *ROUNDED_GRAPHS):
        model = ORTModelForCausalLM.from_pretrained(folder / "export", subfolder="onnx", file_name=name)
        logits = logits_of(model, expected)
        if name == EXACT_GRAPH:
            found.append(compared(f"logits of onnx/{name}", folder, logits))
        agreed = float((logits.argmax(1) == np.load(folder / "logits.npy").argmax(1)).mean())
        found.append((f"next tokens of onnx/{name}", agreed >= SAME_TOP, f"{agreed:.1%} the same"))
        if name == EXACT_GRAPH:
            answers = answers_of(model, folder, expected)
            same = sum(ours == theirs for ours, theirs in zip(answers, expected["answers"], strict=True))
            found.append((f"answers of onnx/{name}", same == len(answers), f"{same} of {len(answers)} the same"))
    return found


def check_own_export(folder: Path, expected: dict[str, Any]) -> tuple[str, bool, str]:
    """optimum's exporter, which shares no code with ours, on the same checkpoint."""
    out = folder / "by-optimum"
    main_export(str(folder / "checkpoint"), output=out, task="text-generation-with-past", do_validation=False)
    model = ORTModelForCausalLM.from_pretrained(out, file_name="model.onnx")
    return compared("logits of optimum's own export", folder, logits_of(model, expected))


def logits_of(model: Any, expected: dict[str, Any]) -> np.ndarray:
    """Logits [T, V] of one prompt."""
    ids = torch.tensor([expected["prompt_ids"][1]])
    positions = torch.arange(ids.shape[1])[None]
    output = model(input_ids=ids, attention_mask=torch.ones_like(ids), position_ids=positions)
    return output.logits[0].numpy()


def answers_of(model: Any, folder: Path, expected: dict[str, Any]) -> list[str]:
    """Greedy answers to all prompts as one batch."""
    tokenizer = AutoTokenizer.from_pretrained(folder / "export", padding_side="left")
    batch = tokenizer(expected["prompts"], return_tensors="pt", padding=True, add_special_tokens=False)
    # `generation_config.json` may recommend sampling; here the plain argmax is compared.
    output = model.generate(
        **batch, max_new_tokens=expected["new_tokens"], do_sample=False, repetition_penalty=1.0,
        temperature=None, top_p=None, top_k=None,
    )  # fmt: skip
    answers = tokenizer.batch_decode(output[:, batch["input_ids"].shape[1] :])
    return [answer.split(tokenizer.eos_token)[0] for answer in answers]


def compared(name: str, folder: Path, found: np.ndarray) -> tuple[str, bool, str]:
    """The largest difference to what torch computed under transformers 5."""
    largest = float(np.abs(found - np.load(folder / "logits.npy")).max())
    return name, largest < SAME_LOGITS, f"differ by {largest:.1e} at most"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
