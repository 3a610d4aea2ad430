"""Which tokens of a row are learned, which of them are reasoning, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from training_rows import phone_row

from zoo.errors import DataError
from zoo.trainers import preflight
from zoo.trainers.distill.rows import IGNORED, TokenRow, tokenize

TOOLS = {
    "prompt": [{"role": "user", "content": "How warm is it?"}],
    "completion": [
        {"role": "assistant", "content": "<think>I ask.</think>weather()"},
        {"role": "tool", "content": "21 degrees"},
        {"role": "assistant", "content": "It is 21."},
    ],
}


@pytest.fixture
def tokenizer(tiny_llama: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_llama)


def learned(row: TokenRow, tokenizer: Any, reasoning: bool | None = None) -> str:
    wanted = [
        label
        for label, thought in zip(row.labels, row.reasoning, strict=True)
        if label != IGNORED and (reasoning is None or thought == reasoning)
    ]
    return str(tokenizer.decode(wanted))


def test_rows_are_the_tokens_that_trl_makes_of_them(tiny_llama: Path, tokenizer: Any, tmp_path: Path) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM
    from trl import SFTConfig, SFTTrainer

    rows = [phone_row(number) for number in range(6)]
    options = {"output_dir": str(tmp_path), "use_cpu": True, "bf16": False, "report_to": "none", "max_length": None}
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_llama),
        args=SFTConfig(**options),
        train_dataset=Dataset.from_list([{name: row[name] for name in ("prompt", "completion")} for row in rows]),
        processing_class=tokenizer,
    )
    ours = tokenize(rows, tokenizer)
    assert [row.input_ids for row in ours] == trainer.train_dataset["input_ids"]
    assert [row.labels for row in ours] == trainer.train_dataset["labels"]


def test_results_of_tools_are_read_and_never_learned(tokenizer: Any) -> None:
    (row,) = tokenize([TOOLS], tokenizer)
    assert learned(row, tokenizer) == "<think>I ask.</think>weather()<|im_end|>\nIt is 21.<|im_end|>\n"
    assert "21 degrees" in tokenizer.decode(row.input_ids)
    whole = tokenizer.apply_chat_template([*TOOLS["prompt"], *TOOLS["completion"]], tokenize=False)
    assert tokenizer.decode(row.input_ids) == whole


def test_reasoning_is_known_by_its_tags(tokenizer: Any) -> None:
    (row,) = tokenize([TOOLS], tokenizer)
    assert learned(row, tokenizer, reasoning=True) == "<think>I ask.</think>"
    (row,) = tokenize([phone_row(0)], tokenizer)
    assert learned(row, tokenizer, reasoning=True) == "<REASONING>button 1</REASONING>"
    assert learned(row, tokenizer, reasoning=False).startswith("<STATE_ASSESSMENT>home")
    assert row.answer_tokens == sum(label != IGNORED for label in row.labels)
    assert row.labels[row.prompt_tokens] == row.input_ids[row.prompt_tokens]
    assert set(row.labels[: row.prompt_tokens]) == {IGNORED}


def test_a_digest_changes_with_a_token_and_with_a_mask(tokenizer: Any) -> None:
    (row,) = tokenize([phone_row(0)], tokenizer)
    other = TokenRow([*row.input_ids[:-1], 1], row.labels, row.reasoning)
    masked = TokenRow(row.input_ids, [IGNORED, *row.labels[1:-1], IGNORED], row.reasoning)
    assert len({row.digest(), other.digest(), masked.digest()}) == 3 and len(row.digest()) == 8
    assert tokenize([phone_row(0)], tokenizer)[0].digest() == row.digest()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"images": ["a.png"]}, "row 1 (tap-0) has images"),
        ({"completion": [{"role": "tool", "content": "21"}]}, "no answer of the assistant"),
        (
            {"completion": [{"role": "assistant", "content": "tap(1)", "reasoning_content": "I tap."}]},
            "reasoning that the chat template leaves out",
        ),
    ],
)
def test_what_cannot_be_learned_is_refused(tokenizer: Any, change: dict[str, Any], words: str) -> None:
    with pytest.raises(DataError) as error:
        tokenize([{**phone_row(0), **change}], tokenizer)
    assert words in str(error.value)


def test_a_template_that_rewrites_the_past_is_refused(tokenizer: Any) -> None:
    """As those do that drop the reasoning of earlier answers."""
    tokenizer.chat_template = (
        "{% for m in messages %}[{% if loop.last %}{{ m['content'] }}{% else %}...{% endif %}]{% endfor %}"
    )
    with pytest.raises(DataError, match="rewrites earlier messages"):
        tokenize([TOOLS], tokenizer)


OFFERED = [{"type": "function", "function": {"name": "weather", "description": "How warm it is.", "parameters": {}}}]


@pytest.mark.parametrize("as_hub_datasets_have_it", [False, True])
def test_the_functions_that_a_row_offers_are_read_and_counted(
    tiny_llama: Path, tokenizer: Any, as_hub_datasets_have_it: bool
) -> None:
    tokenizer.chat_template = "{% if tools %}{{ tools | tojson }}{% endif %}" + tokenizer.chat_template
    offering = {**TOOLS, "tools": json.dumps(OFFERED) if as_hub_datasets_have_it else OFFERED}
    row, without = tokenize([offering, TOOLS], tokenizer)
    assert "How warm it is." in tokenizer.decode(row.input_ids)
    assert learned(row, tokenizer) == learned(without, tokenizer)
    longest = len(row.input_ids)
    assert preflight.row_tokens(offering, tokenizer) == longest > len(without.input_ids) + 20
    assert preflight.check_lengths([TOOLS, offering], tokenizer, tiny_llama, longest) == longest
    with pytest.raises(DataError, match=rf"row 2 \(no task\) has {longest} tokens, and `max_length` is {longest - 1}"):
        preflight.check_lengths([TOOLS, offering], tokenizer, tiny_llama, longest - 1)
