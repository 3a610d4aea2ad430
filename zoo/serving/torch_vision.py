"""What a vision-language checkpoint in transformers is given of chats with pictures: token ids, masks and patches.

Covered: Qwen2.5-VL's processor for still images (`zoo.image_processor`), several pictures a chat, batches in which each
chat has some. Chats without a picture take the text path, and so does a checkpoint without eyes.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from zoo.errors import ModelError
from zoo.serving.runtime import Chat

__all__ = ["Eyes", "has_pictures", "open_eyes"]


def has_pictures(chats: Sequence[Chat]) -> bool:
    """Whether any message of any chat holds a picture."""
    return any(_pictures(chat) for chat in chats)


def open_eyes(folder: Path, config: dict[str, Any]) -> "Eyes | None":
    """The image processor of a checkpoint folder; None for one that reads text only.

    Raises ModelError when it has a vision tower and no processor that is known here.
    """
    if "vision_config" not in config:
        return None
    from zoo.image_processor import load_image_processor

    try:
        return Eyes(load_image_processor(folder))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder}: its image processor cannot be loaded: {error}") from error


class Eyes:
    """Chats with pictures into the model's inputs."""

    def __init__(self, processor: Any) -> None:
        self.processor = processor

    def look(self, chats: Sequence[Chat], render: Callable[[Chat], str]) -> Any:
        """`input_ids` and `attention_mask` [B, longest], padded on the left, `pixel_values` [patches, values],
        `image_grid_thw` [images, 3] and what else the model asks for. A picture's mark in the rendered text becomes as
        many tokens as the picture has patches.

        Raises ModelError when the chat template has no place for a picture.
        """
        texts = [render(chat) for chat in chats]
        for chat, text in zip(chats, texts, strict=True):
            if text.count(self.processor.image_token) != len(_pictures(chat)):
                raise ModelError(f"the chat template writes no {self.processor.image_token} for a picture")
        pictures = [picture for chat in chats for picture in _pictures(chat)]
        return self.processor(
            text=texts,
            images=pictures,
            padding=True,
            padding_side="left",
            add_special_tokens=False,
            return_tensors="pt",
        )


def _pictures(chat: Chat) -> list[Any]:
    contents = (message["content"] for message in chat)
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return [part["image"] for part in parts if part.get("type") == "image"]
