"""Prompts with pictures in llama.cpp: a vision tower (`mmproj`) beside a model, read and fed as words are.

In a prompt, a picture is as many equal negative tokens as the tower makes embeddings of it. The number comes from its
content, so that what two prompts share is found with pictures in it. Covered: still pictures, for every model that
llama.cpp's `mtmd` knows; those of Qwen2.5-VL get the size that its own processor gives them, which leaves nothing to
resize for llama.cpp (bilinear there, bicubic here). Not covered: sound, video.
"""

import ctypes
import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from zoo.errors import DataError, ExportError, ModelError
from zoo.formats import gguf_header, gguf_names
from zoo.serving import llama_vision

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Eyes", "image_tokens", "the_tower", "towers_beside"]

_QWEN = "qwen2.5vl_merger"
_LEAST_TOKENS, _MOST_TOKENS = 8, 4096
"""What llama.cpp gives a picture of Qwen's where nobody says otherwise."""
_ID_BYTES = 7


def towers_beside(file: Path, header: gguf_header.Header) -> list[Path]:
    """The vision towers in a model's folder that have the model's width; of several, those that bear its name.

    Raises ExportError when one of them is not whole.
    """
    width = header.metadata.get(f"{header.metadata.get('general.architecture')}.embedding_length")
    there = sorted(file.parent.glob("mmproj*.gguf"))
    towers = [one for one in there if gguf_header.read(one).metadata.get("clip.vision.projection_dim") == width]
    name = gguf_names.shards(file)[0].stem.rpartition("-")[0]
    return [one for one in towers if one.name.startswith(f"mmproj-{name}-")] or towers


def the_tower(file: Path, towers: Sequence[Path]) -> Path:
    """The one that belongs to a model. Raises ModelError when there is none, or several: a tower that was not trained
    with the model sees nonsense."""
    if not towers:
        raise ModelError(f"{file} reads text only; put its mmproj file beside it, or leave pictures out")
    if len(towers) > 1:
        names = ", ".join(tower.name for tower in towers)
        raise ModelError(f"{file.parent} holds {names}; leave the one beside {file.name} that belongs to it")
    return towers[0]


def image_tokens(tower: gguf_header.Header) -> tuple[int, int]:
    """The fewest and the most tokens of a picture: the image processor's of training, where the file tells them."""
    data = tower.metadata
    area = _side(tower) ** 2
    low, high = data.get("clip.vision.image_min_pixels"), data.get("clip.vision.image_max_pixels")
    return (low // area if low else _LEAST_TOKENS, high // area if high else _MOST_TOKENS)


def _side(tower: gguf_header.Header) -> int:
    """Pixels of a token's side."""
    data = tower.metadata
    return int(data["clip.vision.patch_size"]) * int(data.get("clip.vision.spatial_merge_size", 2))


class Eyes:
    """A vision tower on a loaded model. To be closed before the model."""

    def __init__(self, model: int, tower: Path, threads: int) -> None:
        """Raises ExportError when llama.cpp does not see with the file."""
        self._header = gguf_header.read(tower)
        # Nobody who writes an instruction can know it, and so pretend that there is a picture.
        self.mark = f"<__picture_{uuid4().hex}__>"
        self._library = llama_vision.load()
        parameters = llama_vision.parameters(self._library)
        parameters.n_threads, parameters.media_marker = threads, self.mark.encode()
        self._sized = self._header.metadata.get("clip.projector_type") == _QWEN
        if self._sized:
            parameters.image_min_tokens, parameters.image_max_tokens = image_tokens(self._header)
        self._context = self._library.mtmd_init_from_file(os.fsencode(tower), model, parameters)
        if not self._context:
            raise ExportError(f"{tower}: llama.cpp does not see with it; was it made for the model beside it?")
        self._chunks = 0
        self._pictures: dict[int, int] = {}
        """Of the prompt that was read last: a picture's token -> its chunk."""

    def read(self, text: str, pictures: "Sequence[Image]") -> list[int]:
        """The tokens of a prompt that has `mark` where a picture stands. They can be fed until the next prompt is read.

        Raises DataError when there are not as many marks as pictures.
        """
        if text.count(self.mark) != len(pictures):
            raise DataError(
                f"the chat template leaves {text.count(self.mark)} of {len(pictures)} pictures in the prompt"
            )
        self._forget()
        shown = [self._fitted(picture.convert("RGB")) for picture in pictures]
        bitmaps = [(*picture.size, picture.tobytes()) for picture in shown]
        self._chunks = llama_vision.chunks(self._library, self._context, text, bitmaps)
        ids = iter(_content_id(picture) for picture in shown)
        tokens: list[int] = []
        for index in range(self._library.mtmd_input_chunks_size(self._chunks)):
            chunk = self._library.mtmd_input_chunks_get(self._chunks, index)
            if llama_vision.is_image(self._library, chunk):
                picture = next(ids)
                self._pictures[picture] = chunk
                tokens += [picture] * self.length(picture)
            else:
                tokens += llama_vision.text_tokens(self._library, chunk)
        return tokens

    def length(self, picture: int) -> int:
        """How many tokens a picture of the last prompt is."""
        return int(self._library.mtmd_input_chunk_get_n_tokens(self._pictures[picture]))

    def see(self, model_context: int, picture: int, position: int, batch: int) -> int:
        """Put a picture of the last prompt behind what the model has in its cache; the position that comes after it.

        Raises ExportError when llama.cpp fails.
        """
        after = ctypes.c_int32(position)
        status = self._library.mtmd_helper_eval_chunk_single(
            self._context, model_context, self._pictures[picture], position, 0, batch, False, ctypes.byref(after)
        )
        if status:
            raise ExportError(
                f"llama.cpp could not decode a picture of {self.length(picture)} tokens (status {status})"
            )
        return after.value

    def close(self) -> None:
        """Give the memory back; a second call does nothing."""
        self._forget()
        if self._context:
            self._library.mtmd_free(self._context)
        self._context = 0

    def _forget(self) -> None:
        if self._chunks:
            self._library.mtmd_input_chunks_free(self._chunks)
        self._chunks, self._pictures = 0, {}

    def _fitted(self, picture: "Image") -> "Image":
        """In the size that the processor of training would give it."""
        if not self._sized:
            return picture
        from PIL.Image import Resampling
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

        side = _side(self._header)
        low, high = (tokens * side**2 for tokens in image_tokens(self._header))
        height, width = smart_resize(picture.height, picture.width, side, low, high)
        return picture if (width, height) == picture.size else picture.resize((width, height), Resampling.BICUBIC)


def _content_id(picture: "Image") -> int:
    """A negative number that stands for what a picture shows."""
    seen: Any = sha256(f"{picture.size}".encode() + picture.tobytes())
    return -1 - int.from_bytes(seen.digest()[:_ID_BYTES], "big")
