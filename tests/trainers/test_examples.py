"""Rows of every shape as token ids and labels: what counts, what does not, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from training_rows import phone_row, write_rows
from transformers import AutoTokenizer

from zoo.errors import DataError, ModelError
from zoo.trainers import examples
from zoo.trainers.examples import prepare

TALK = [
    {"role": "system", "content": "You operate a phone."},
    {"role": "user", "content": "Open the clock."},
    {"role": "assistant", "content": "tap(3)"},
    {"role": "user", "content": "Go back."},
    {"role": "assistant", "content": "back()"},
]
TOOLS = [{"type": "function", "function": {"name": "tap", "description": "Tap.", "parameters": {"type": "object"}}}]


@pytest.fixture(scope="module")
def tokenizer(tiny_llama: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny_llama)


def learned(tokenizer: Any, example: dict[str, Any]) -> str:
    return str(tokenizer.decode([token for token in example["labels"] if token != -100]))


def test_every_turn_of_the_assistant_counts_with_the_token_that_ends_it(
    tmp_path: Path, tiny_llama: Path, tokenizer: Any
) -> None:
    made = prepare(write_rows(tmp_path, [{"messages": TALK}]), tokenizer, tiny_llama, None)
    [example] = list(made.dataset)
    assert learned(tokenizer, example) == "tap(3)<|im_end|>back()<|im_end|>"
    assert tokenizer.decode(example["input_ids"]) == tokenizer.apply_chat_template(TALK, tokenize=False)
    assert made.notes == {"rows": 1, "training_template": "chatml"}


def test_tool_calls_keep_their_own_arguments_and_results_do_not_count(
    tmp_path: Path, tiny_llama: Path, tokenizer: Any
) -> None:
    from trl.chat_template_utils import qwen3_chat_template

    def call(**arguments: Any) -> dict[str, Any]:
        called = {"type": "function", "function": {"name": "tap", "arguments": arguments}}
        return {"role": "assistant", "content": "", "tool_calls": [called]}

    rows = [
        {"messages": [TALK[1], call(index=number), {"role": "tool", "content": "done"}, TALK[2]], "tools": TOOLS}
        for number in range(2)
    ]
    rows.append({"messages": [TALK[1], call(label="Wi-Fi"), TALK[3], TALK[4]], "tools": json.dumps(TOOLS)})
    qwen = AutoTokenizer.from_pretrained(tiny_llama)
    qwen.chat_template = qwen3_chat_template
    made = prepare(write_rows(tmp_path, rows), qwen, tiny_llama, None)
    first, _, third = (learned(qwen, example) for example in made.dataset)
    assert made.notes["training_template"] == "trl"
    assert '{"name": "tap", "arguments": {"index": 0}}' in first and "label" not in first and "done" not in first
    assert '{"label": "Wi-Fi"}' in third and "null" not in third
    assert first.count("<|im_end|>") == 2


def test_a_completion_that_calls_tools_is_read_with_them(tmp_path: Path, tiny_llama: Path, tokenizer: Any) -> None:
    from trl.chat_template_utils import qwen3_chat_template

    qwen = AutoTokenizer.from_pretrained(tiny_llama)
    qwen.chat_template = qwen3_chat_template
    rows = [{**phone_row(1), "tools": TOOLS}]
    made = prepare(write_rows(tmp_path, rows), qwen, tiny_llama, None)
    [example] = list(made.dataset)
    assert "<tools>" in qwen.decode(example["input_ids"]) and "<tools>" not in learned(qwen, example)
    assert learned(qwen, example).endswith("</CALLED_FUNCTION><|im_end|>\n")


def test_a_long_text_is_cut_into_pieces_and_nothing_is_lost(tmp_path: Path, tiny_llama: Path, tokenizer: Any) -> None:
    texts = ["The alarm rings at seven. " * 40, "A short one."]
    made = prepare(write_rows(tmp_path, [{"text": text} for text in texts]), tokenizer, tiny_llama, 64)
    pieces = [example["input_ids"] for example in made.dataset]
    assert all(example["labels"] == example["input_ids"] for example in made.dataset)
    assert max(map(len, pieces)) <= 64 == made.longest or made.longest <= 64
    assert min(map(len, pieces[:-1])) > 32, "pieces are of nearly the same length"
    whole = [token for piece in pieces for token in piece]
    end = tokenizer.eos_token_id
    assert whole == [token for text in texts for token in [*tokenizer(text)["input_ids"], end]]
    assert made.notes == {"rows": 2, "pieces": len(pieces)}


def test_what_is_of_no_shape_or_of_two_is_refused_with_its_line(
    tmp_path: Path, tiny_llama: Path, tokenizer: Any
) -> None:
    def refusal(error: type[Exception], *rows: dict[str, Any], most: int | None = 64) -> str:
        with pytest.raises(error) as caught:
            prepare(write_rows(tmp_path, list(rows)), tokenizer, tiny_llama, most)
        return str(caught.value)

    assert "rows.jsonl:1 has speech; fine-tuning reads `prompt`" in refusal(DataError, {"speech": "x"})
    assert "rows.jsonl:2 has no text" in refusal(DataError, {"text": "a b"}, {"messages": TALK})
    assert "lists of messages" in refusal(DataError, {"prompt": "a", "completion": "b"})
    assert "row 2 has an empty text" in refusal(DataError, {"text": "a b"}, {"text": "  "})
    assert "write one, such as 512" in refusal(DataError, {"text": "a b"}, most=None)
    assert "no turn of the assistant" in refusal(DataError, {"messages": TALK[:2]})
    assert "row 1 (no task) has" in refusal(DataError, {"messages": TALK}, most=16)


def test_a_template_that_nobody_marked_is_refused(tmp_path: Path, tiny_llama: Path) -> None:
    odd = AutoTokenizer.from_pretrained(tiny_llama)
    odd.chat_template = "{% for message in messages %}[{{ message['content'] }}]{% endfor %}"
    with pytest.raises(ModelError, match=r"none of ours .*chatml.* renders every row as it does; add the marks"):
        prepare(write_rows(tmp_path, [{"messages": TALK}]), odd, tiny_llama, None)


def test_shapes_are_told_by_columns(tmp_path: Path) -> None:
    shapes = [examples.shape_of([row], tmp_path) for row in (phone_row(0), {"messages": TALK}, {"text": "a"})]
    assert shapes == ["completion", "messages", "text"]
