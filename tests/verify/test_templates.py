"""A chat is the same prompt in transformers, in llama.cpp and on our own path, or the check says where it is not."""

import shutil
from pathlib import Path

import pytest
import sabotage

from zoo.exports.gguf import convert
from zoo.serving import open_torch
from zoo.verify.templates import CASES, rendered_alike

# In the manner of Qwen 2.5: tools in the system text, calls and results in tags.
TOOLS = """
{%- if tools %}<|im_start|>system
{% if messages[0].role == 'system' %}{{ messages[0].content }}{% endif %}
# Tools
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}<|im_end|>
{% elif messages[0].role == 'system' %}<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif %}
{%- for message in messages %}
{%- set plain = message.role == 'user' or (message.role == 'assistant' and not message.tool_calls) %}
{%- if plain %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% elif message.role == 'assistant' %}<|im_start|>assistant
{% for call in message.tool_calls %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% elif message.role == 'tool' %}<|im_start|>user
<tool_response>{{ message.content }}</tool_response><|im_end|>
{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def with_template(checkpoint: Path, folder: Path, template: str) -> Path:
    shutil.copytree(checkpoint, folder)
    (folder / "chat_template.jinja").write_text(template, "utf-8")
    return folder


def test_every_kind_of_chat_is_rendered_alike(lively: Path, tmp_path: Path) -> None:
    model = with_template(lively, tmp_path / "model", TOOLS)
    convert(model, tmp_path / "model.gguf", "f16")
    with open_torch(model) as reference:
        found = rendered_alike(reference, tmp_path / "model.gguf")
    assert found.passed, found.detail
    assert found.detail.startswith(f"{len(CASES)} chats") and len(CASES) == 6


def test_a_chat_that_the_template_refuses_is_left_out_and_counted(lively: Path, tmp_path: Path) -> None:
    refusal = "{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    template = "{% for m in messages %}" + refusal + "{{ m.content }}{% endfor %}"
    model = with_template(lively, tmp_path / "model", template)
    convert(model, tmp_path / "model.gguf", "f16")
    with open_torch(model) as reference:
        found = rendered_alike(reference, tmp_path / "model.gguf")
    assert found.passed, found.detail
    assert found.detail == "2 chats in transformers and llama.cpp; 4 that the template itself refuses left out"


@pytest.mark.parametrize(
    ("case", "old", "new"),
    [
        ("single turn", "<|im_start|>assistant", "<|im_start|>model"),
        ("tools", "# Tools", "# Functions"),
        ("tool call and result", "<tool_response>", "<result>"),
    ],
)
def test_a_template_that_was_swapped_is_found_by_the_case_that_shows_it(
    lively: Path, tmp_path: Path, case: str, old: str, new: str
) -> None:
    model = with_template(lively, tmp_path / "model", TOOLS)
    convert(model, tmp_path / "whole.gguf", "f16")
    change = {"tokenizer.chat_template": lambda text: text.replace(old, new)}
    sabotage.rewrite(tmp_path / "whole.gguf", tmp_path / "damaged.gguf", change)
    with open_torch(model) as reference:
        found = rendered_alike(reference, tmp_path / "damaged.gguf")
    assert found.passed is False
    assert f"{case}, by llama.cpp: from character" in found.detail and "in transformers" in found.detail


def test_a_template_that_llama_cpp_does_not_compile_is_no_crash(
    lively: Path, lively_files: Path, tmp_path: Path
) -> None:
    change = {"tokenizer.chat_template": lambda _: "{% for m in messages %}{{ m.content }"}
    sabotage.rewrite(lively_files / "model-F16.gguf", tmp_path / "damaged.gguf", change)
    with open_torch(lively) as reference:
        found = rendered_alike(reference, tmp_path / "damaged.gguf")
    assert found.passed is False and found.detail
