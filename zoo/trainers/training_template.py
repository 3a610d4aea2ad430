"""The chat template that a model is trained with: its own, with the assistant's turns marked as what counts.

TRL brings such templates for the families that it knows by their exact text. The folder `chat_templates/` holds ours,
for those that it does not: SmolLM2, plain ChatML and Llama 3.2. One of ours is taken only when it renders every row
byte for byte as the model's own template does, so that what is trained is what is asked later. TRL's may render
differently on purpose: Qwen3's own drops the reasoning of earlier turns, which training has to keep.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from zoo.errors import ModelError

__all__ = ["TrainingTemplate", "shipped", "training_template"]


@dataclass(frozen=True)
class TrainingTemplate:
    """A template with `{% generation %}` marks."""

    name: str
    """`own`, `trl`, or the name of a file of ours."""
    text: str


Conversation = tuple[Sequence[dict[str, Any]], Any]
"""Messages, and the tools that they may call or None."""


def shipped() -> dict[str, str]:
    """Our templates by name."""
    folder = files("zoo.trainers") / "chat_templates"
    found = sorted(folder.iterdir(), key=lambda file: file.name)
    return {file.name.removesuffix(".jinja"): file.read_text("utf-8") for file in found if file.name.endswith(".jinja")}


def training_template(processor: Any, conversations: Iterable[Conversation]) -> TrainingTemplate:
    """The template to train these conversations with.

    Raises ModelError when there is none, or when one does not mark the token that ends a turn.
    """
    template = _found(processor, list(conversations))
    from trl.chat_template_utils import is_chat_template_stop_token_trained

    if not is_chat_template_stop_token_trained(processor, chat_template=template.text):
        raise ModelError(f"the training template {template.name!r} leaves out the token that ends an assistant's turn")
    return template


def _found(processor: Any, conversations: list[Conversation]) -> TrainingTemplate:
    from trl.chat_template_utils import get_training_chat_template

    try:
        known = get_training_chat_template(processor)
        return TrainingTemplate("trl", known) if known else TrainingTemplate("own", processor.chat_template)
    except ValueError:
        pass  # TRL knows templates by their exact text, and not this one
    for name, text in shipped().items():
        if all(_same(processor, text, conversation) for conversation in conversations):
            return TrainingTemplate(name, text)
    raise ModelError(
        "the model's chat template has no `{% generation %}` marks, TRL does not know it, and none of ours "
        f"({', '.join(shipped())}) renders every row as it does; add the marks to its chat_template.jinja around "
        "what the assistant says, its stop token included, or give rows with `prompt` and `completion`"
    )


def _same(processor: Any, text: str, conversation: Conversation) -> bool:
    """Whether both templates render a conversation alike; one that either refuses is not alike."""
    from jinja2 import TemplateError

    messages, tools = conversation
    try:
        ours = processor.apply_chat_template(messages, tools=tools, chat_template=text, tokenize=False)
        return bool(ours == processor.apply_chat_template(messages, tools=tools, tokenize=False))
    except (TemplateError, TypeError, ValueError, KeyError):
        return False
