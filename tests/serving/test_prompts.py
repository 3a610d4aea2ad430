"""Chat templates, rendered as training renders them."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from zoo.errors import ModelError
from zoo.serving import prompts

CHATS = [
    [{"role": "user", "content": "Turn on Bluetooth."}],
    [{"role": "system", "content": "You operate a phone."}, {"role": "user", "content": " Öffne 設定\n<b> & 'x' "}],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}],
]
FANCY = """
{%- set say = namespace(n=0) -%}
{%- for message in messages -%}
    {%- if loop.index0 > 5 -%}{%- break -%}{%- endif -%}
    {%- set say.n = say.n + 1 %}
    {{ bos_token }}[{{ message.role | upper }}]{{ message.content | trim }} {{ {"ü": "<&>"} | tojson }}
{% endfor -%}
{%- if add_generation_prompt %}go{{ strftime_now("%Y")[:2] }}{% endif -%}
"""


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("template", ["", FANCY], ids=["its own", "fancy"])
def test_a_prompt_is_the_one_of_transformers(tiny_llama: Path, template: str, chat: prompts.Chat) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    source = template or tokenizer.chat_template
    expected = tokenizer.apply_chat_template(chat, chat_template=source, tokenize=False, add_generation_prompt=True)
    assert prompts.render(source, chat, tokenizer.special_tokens_map) == expected


def test_a_chat_that_ends_with_an_answer_asks_for_no_other(tiny_llama: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_llama)
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    rendered = prompts.render(tokenizer.chat_template, chat, tokenizer.special_tokens_map)
    assert rendered == tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=False)
    assert rendered.endswith("b<|im_end|>\n")


def test_a_model_without_a_template_says_what_to_add() -> None:
    with pytest.raises(ModelError, match=r"chat_template\.jinja"):
        prompts.render("", CHATS[0])


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ raise_exception('no system role') }}", "no system role"),
        ("{% for m in messages %}", "end of template"),
        ("{{ messages.__class__.__mro__ }}", "unsafe"),
    ],
)
def test_a_template_that_fails_says_why(template: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        prompts.render(template, CHATS[0])
