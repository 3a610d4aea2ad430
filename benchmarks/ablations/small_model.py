"""A model of less than a million parameters that knows nothing, for comparisons where seeds matter more than size.

    python benchmarks/ablations/small_model.py runs/small-model

LFM2's architecture with four layers of 128 units: short convolutions and attention by turns. Its words are the desk's:
each value, kind and topic is one token whatever stands before it, and what is said between them is as few tokens as a
BPE finds, so that a step is some 45 tokens of prompt and 10 of answer. Same bytes every time. Recipes name the folder
by its path.

Why not a Llama: copying a fact needs heads that look one token back. In trials before this file was settled, a Llama of
this size was still guessing facts where the convolutions copied nearly all of them.
"""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from desk_rows import shown

from zoo.checkpoint import save
from zoo.environments.desk import FACTS, TOPICS, draw_tasks

_SEED = 0
_POSITIONS = 1024
_VOCABULARY = 900
_TASKS = 300
_LONGEST = 120
"""Bytes of a token: of the system's line, which is always the same."""
_SPECIAL = (_NOTHING, _START, _STOP) = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_HEADERS = [f"{_START}{role}\n" for role in ("system", "user", "assistant")]
_NUMBERS = [f"[{number}]" for number in range(1, 5)] + list("1234")
_CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    print(json.dumps(make(options.folder)))


def make(folder: Path) -> dict[str, int]:
    """Write the checkpoint; how many parameters and tokens it has."""
    import torch

    tokenizer = _tokenizer()
    torch.manual_seed(_SEED)
    model = _model(tokenizer)
    folder.mkdir(parents=True, exist_ok=True)
    save(model, tokenizer, folder, "float32")
    return {"parameters": model.num_parameters(), "tokens": len(tokenizer)}


def _model(tokenizer: Any) -> Any:
    from transformers import Lfm2Config, Lfm2ForCausalLM

    return Lfm2ForCausalLM(
        Lfm2Config(
            vocab_size=len(tokenizer), hidden_size=128, intermediate_size=256, block_auto_adjust_ff_dim=False,
            num_hidden_layers=4, layer_types=["conv", "full_attention", "conv", "full_attention"],
            num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=_POSITIONS, initializer_range=0.05,
            tie_word_embeddings=True, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id, rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        )
    )  # fmt: skip


def _tokenizer() -> Any:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY, special_tokens=list(_SPECIAL), initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False, max_token_length=_LONGEST,
    )  # fmt: skip
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    inner.train_from_iterator(_between(), trainer)
    # What is said would otherwise grow together with the line that says whose it is.
    inner.add_tokens([AddedToken(text, normalized=False) for text in _HEADERS])
    # The space before it goes into the token: a fact is then the same token, right behind its kind.
    inner.add_tokens([AddedToken(text, normalized=False, lstrip=True, single_word=True) for text in _words()])
    inner.add_tokens([AddedToken(text, normalized=False, lstrip=True) for text in _NUMBERS])
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=_START, eos_token=_STOP, pad_token=_NOTHING, unk_token=_NOTHING,
        chat_template=_CHATML, model_max_length=_POSITIONS, clean_up_tokenization_spaces=False,
    )  # fmt: skip


def _words() -> list[str]:
    """What is looked up: kinds, values, topics and the words of wishes, answers to questions."""
    values = [value for values in FACTS.values() for value in values]
    answers = [answer for topic in TOPICS.values() for answer in topic.answers]
    return [*FACTS, *values, *TOPICS, *(topic.lower() for topic in TOPICS), *answers]


def _between() -> Iterator[str]:
    """Everything that is said at the desk, without these words and the special tokens."""
    longest_first = sorted([*_words(), *_NUMBERS], key=len, reverse=True)
    looked_up = re.compile(r"\s?(?:" + "|".join(map(re.escape, longest_first)) + ")")
    for row in (row for task in draw_tasks("train", _TASKS, _SEED) for row in shown(task)):
        for message in [*row.prompt, *row.completion]:
            yield from (part for part in looked_up.split(message["content"]) if part)


if __name__ == "__main__":
    main()
