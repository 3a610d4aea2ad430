"""The processor of a Qwen2.5-VL checkpoint for still images, which needs no torchvision.

transformers' own processor insists on its video processor, and that one on torchvision, whose wheels on the package
index are linked against CUDA and break a CPU build of torch. A phone agent sees screenshots, never videos. What is
saved carries the original class's name, so that a published checkpoint loads anywhere with `AutoProcessor`.
"""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, Qwen2VLImageProcessorPil
from transformers.models.qwen2_5_vl.processing_qwen2_5_vl import Qwen2_5_VLProcessor
from transformers.processing_utils import ProcessorMixin

__all__ = ["IMAGE_TOKEN", "ImageProcessor", "load_image_processor"]

IMAGE_TOKEN = "<|image_pad|>"  # noqa: S105 - the placeholder that one image's tokens replace, no secret
_VIDEO_TOKEN = "<|video_pad|>"  # noqa: S105 - in every Qwen2.5-VL vocabulary


class ImageProcessor(Qwen2_5_VLProcessor):  # type: ignore[misc]  # transformers' classes are untyped here
    """Text and images to `input_ids`, `pixel_values` (patches, values) and `image_grid_thw` (images, 3)."""

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **_: Any
    ) -> None:
        self.image_token, self.video_token = IMAGE_TOKEN, _VIDEO_TOKEN
        self.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
        self.video_token_id = tokenizer.convert_tokens_to_ids(_VIDEO_TOKEN)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


# The name goes into `processor_config.json` and `tokenizer_config.json`; there it has to be one that others know.
ImageProcessor.__name__ = Qwen2_5_VLProcessor.__name__


def load_image_processor(folder: Path) -> ImageProcessor:
    """The processor of a Qwen2.5-VL checkpoint folder."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    images = Qwen2VLImageProcessorPil.from_pretrained(folder)
    return ImageProcessor(images, tokenizer, chat_template=tokenizer.chat_template)
