"""Our training templates: the bytes of the originals, and every token that ends a turn among what counts."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer
from trl import chat_template_utils as known

from zoo import tiny
from zoo.trainers.training_template import shipped, training_template

SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou "
    "are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + "
    "message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\n' }}{% endif %}"
)
CALL = {"type": "function", "function": {"name": "tap", "arguments": {"index": 3}}}
TOOLS = [{"type": "function", "function": {"name": "tap", "description": "Tap.", "parameters": {"type": "object"}}}]


def said(*turns: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in turns]


TALKS = [
    said(("user", " Hi  "), ("assistant", " yes\n"), ("user", "More"), ("assistant", "no")),
    said(("system", "Be terse."), ("user", "Hi"), ("assistant", "yes")),
    said(("user", "Only asked")),
]
WITH_TOOLS = [
    [
        *said(("user", "Tap it.")),
        {"role": "assistant", "tool_calls": [CALL]},
        *said(("tool", 'a "b"'), ("assistant", "ok")),
    ]
]
ORIGINALS: dict[str, tuple[str, list[Any]]] = {
    "smollm2": (SMOLLM2, [(talk, None) for talk in TALKS]),
    "chatml": (tiny._CHATML, [(talk, None) for talk in TALKS]),
    "llama3_2": (known.llama3_2_chat_template, [(t, None) for t in TALKS] + [(t, TOOLS) for t in WITH_TOOLS]),
}


@pytest.fixture
def tokenizer(tiny_llama: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_llama)


@pytest.mark.parametrize("name", ORIGINALS)
def test_ours_render_the_bytes_of_the_original(tokenizer: Any, name: str) -> None:
    original, conversations = ORIGINALS[name]
    for talk, tools in conversations:
        for asks in (False, True):
            expected, found = (
                tokenizer.apply_chat_template(
                    talk, tools=tools, chat_template=template, tokenize=False, add_generation_prompt=asks
                )
                for template in (original, shipped()[name])
            )
            assert found == expected


def test_every_file_of_ours_is_held_against_its_original() -> None:
    assert set(shipped()) == set(ORIGINALS)


@pytest.mark.parametrize("name", ORIGINALS)
def test_ours_are_found_by_what_they_render_and_train_every_stop_token(tokenizer: Any, name: str) -> None:
    original, conversations = ORIGINALS[name]
    stop = "<|eot_id|>" if name == "llama3_2" else "<|im_end|>"
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|eot_id|>"]})
    tokenizer.chat_template = original
    template = training_template(tokenizer, conversations)
    assert template.name == name
    for talk, tools in conversations:
        read = tokenizer.apply_chat_template(
            talk, tools=tools, chat_template=template.text, return_dict=True, return_assistant_tokens_mask=True
        )
        counted = [token for token, counts in zip(read["input_ids"], read["assistant_masks"], strict=True) if counts]
        turns = sum(message["role"] == "assistant" for message in talk)
        assert counted.count(tokenizer.convert_tokens_to_ids(stop)) == turns


@pytest.mark.parametrize("name", ["qwen2_5", "qwen3", "llama3"])
def test_trls_own_are_used_where_it_has_them(tokenizer: Any, name: str) -> None:
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|eot_id|>"]})
    tokenizer.chat_template = getattr(known, f"{name}_chat_template")
    template = training_template(tokenizer, [(TALKS[1], None)])
    assert template.name == "trl" and template.text == getattr(known, f"{name}_training_chat_template")


def test_a_template_with_marks_of_its_own_is_kept(tokenizer: Any) -> None:
    tokenizer.chat_template = shipped()["smollm2"]
    assert training_template(tokenizer, [(TALKS[0], None)]).name == "own"
