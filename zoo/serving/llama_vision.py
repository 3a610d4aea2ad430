"""llama.cpp's eyes by ctypes: what a vision tower in a GGUF file of its own (`mmproj`) makes of an image.

The wheel's object exports the C interface of `mtmd.h`. Here: its functions, and the embeddings of one image, for
comparing them with the checkpoint's. Answering about pictures is in `llama_eyes`.
"""

import ctypes
import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import EnvironmentFailure, ExportError
from zoo.formats import gguf_header
from zoo.serving import llama_library
from zoo.serving.threads import default_threads

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Bitmap", "chunks", "image_embeddings", "is_image", "load", "parameters", "text_tokens"]

Bitmap = tuple[int, int, bytes]
"""Width and height in pixels, and three bytes for each, row by row."""
_IMAGE = 1
"""`MTMD_INPUT_CHUNK_TYPE_IMAGE`."""


class _Parameters(ctypes.Structure):
    """`struct mtmd_context_params`, as far as it is used. It is handed over by value as the last argument, so that room
    behind its end does no harm, while too little would."""

    _fields_ = (
        ("use_gpu", ctypes.c_bool),
        ("device", ctypes.c_void_p),
        ("print_timings", ctypes.c_bool),
        ("n_threads", ctypes.c_int),
        ("image_marker", ctypes.c_char_p),
        ("media_marker", ctypes.c_char_p),
        ("flash_attn_type", ctypes.c_int),
        ("warmup", ctypes.c_bool),
        ("image_min_tokens", ctypes.c_int),
        ("image_max_tokens", ctypes.c_int),
        ("rest", ctypes.c_uint8 * 256),
    )


class _Text(ctypes.Structure):
    """`struct mtmd_input_text`."""

    _fields_ = (
        ("text", ctypes.c_char_p),
        ("text_len", ctypes.c_size_t),
        ("add_special", ctypes.c_bool),
        ("parse_special", ctypes.c_bool),
    )


_POINTER, _INT, _SIZE = ctypes.c_void_p, ctypes.c_int32, ctypes.c_size_t
# name -> (what it returns, its arguments); from `tools/mtmd/mtmd.h` of the llama.cpp that the wheel was built of.
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "mtmd_log_set": (None, (llama_library.LogCallback, _POINTER)),
    "mtmd_helper_log_set": (None, (llama_library.LogCallback, _POINTER)),
    "mtmd_default_marker": (ctypes.c_char_p, ()),
    "mtmd_context_params_default": (_Parameters, ()),
    "mtmd_init_from_file": (_POINTER, (ctypes.c_char_p, _POINTER, _Parameters)),
    "mtmd_free": (None, (_POINTER,)),
    "mtmd_bitmap_init": (_POINTER, (ctypes.c_uint32, ctypes.c_uint32, ctypes.c_char_p)),
    "mtmd_bitmap_free": (None, (_POINTER,)),
    "mtmd_input_chunks_init": (_POINTER, ()),
    "mtmd_input_chunks_free": (None, (_POINTER,)),
    "mtmd_input_chunks_size": (_SIZE, (_POINTER,)),
    "mtmd_input_chunks_get": (_POINTER, (_POINTER, _SIZE)),
    "mtmd_input_chunk_get_type": (ctypes.c_int, (_POINTER,)),
    "mtmd_input_chunk_get_n_tokens": (_SIZE, (_POINTER,)),
    "mtmd_input_chunk_get_tokens_text": (ctypes.POINTER(_INT), (_POINTER, ctypes.POINTER(_SIZE))),
    "mtmd_helper_eval_chunk_single": (
        _INT,
        (_POINTER, _POINTER, _POINTER, _INT, _INT, _INT, ctypes.c_bool, ctypes.POINTER(_INT)),
    ),
    "mtmd_tokenize": (_INT, (_POINTER, _POINTER, ctypes.POINTER(_Text), ctypes.POINTER(_POINTER), _SIZE)),
    "mtmd_encode_chunk": (_INT, (_POINTER, _POINTER)),
    "mtmd_get_output_embd": (ctypes.POINTER(ctypes.c_float), (_POINTER,)),
    "llama_model_n_embd": (_INT, (_POINTER,)),
}


def image_embeddings(model: Path, mmproj: Path, pixels: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """What the language model is given of an image: [tokens, width] in float32.

    `pixels`: [height, width, 3], uint8; sizes that are multiples of 28 are not resized. `model` is the file of the
    language model, whose width the tower's must be.

    Raises ExportError when one of the files is not read or the two do not fit together, EnvironmentFailure when the
    tested llama.cpp is not installed.
    """
    import numpy as np

    for file in (model, mmproj):
        gguf_header.read(file)
    library = load()
    with ExitStack() as stack:
        language = library.llama_model_load_from_file(os.fsencode(model), library.llama_model_default_params())
        if not language:
            raise ExportError(f"{model}: llama.cpp does not load it; its reason is in the log")
        stack.callback(library.llama_model_free, language)
        context = library.mtmd_init_from_file(os.fsencode(mmproj), language, parameters(library))
        if not context:
            raise ExportError(f"{mmproj}: llama.cpp does not see with it; was it made for {model.name}?")
        stack.callback(library.mtmd_free, context)
        height, width, _ = pixels.shape
        bitmap = (width, height, np.ascontiguousarray(pixels, np.uint8).tobytes())
        read = chunks(library, context, library.mtmd_default_marker().decode(), [bitmap])
        stack.callback(library.mtmd_input_chunks_free, read)
        tokens = _encode(library, context, read)
        shape = (tokens, library.llama_model_n_embd(language))
        return np.ctypeslib.as_array(library.mtmd_get_output_embd(context), shape=shape).copy()


@cache
def load() -> ctypes.CDLL:
    """The library with `mtmd`'s functions declared and its log handed to `logging`.

    Raises EnvironmentFailure when the tested llama.cpp is not installed.
    """
    library = llama_library.load()
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name, None)
        if function is None:
            raise EnvironmentFailure(f"xllamacpp {llama_library.PINNED_WHEEL} does not export {name}; reinstall it")
        function.restype, function.argtypes = result, arguments
    library.mtmd_log_set(llama_library.FORWARD_LOG, None)
    library.mtmd_helper_log_set(llama_library.FORWARD_LOG, None)
    return library


def parameters(library: ctypes.CDLL) -> _Parameters:
    """The defaults, on the CPU and without the warm-up. A field that moved shows as an absurd default."""
    parameters: _Parameters = library.mtmd_context_params_default()
    found = (parameters.use_gpu, parameters.device, parameters.n_threads, parameters.media_marker, parameters.warmup)
    limits = (parameters.image_min_tokens, parameters.image_max_tokens)
    if (found, limits) != ((True, None, 4, library.mtmd_default_marker(), True), (-1, -1)):
        raise EnvironmentFailure(
            f"the mtmd of xllamacpp {llama_library.PINNED_WHEEL} reads {found} and {limits} for its defaults, so its "
            "memory layout is not the one that is known"
        )
    parameters.use_gpu, parameters.print_timings, parameters.warmup = False, False, False
    parameters.n_threads = default_threads()
    return parameters


def chunks(library: ctypes.CDLL, context: int, text: str, bitmaps: Sequence[Bitmap]) -> int:
    """A text with a mark for each picture as `mtmd_input_chunks`, to be freed by whoever asked.

    Raises ExportError when llama.cpp makes no tokens of them.
    """
    data = text.encode()
    found: int = library.mtmd_input_chunks_init()
    made = [library.mtmd_bitmap_init(*bitmap) for bitmap in bitmaps]
    given = (ctypes.c_void_p * len(made))(*made)
    status = library.mtmd_tokenize(context, found, ctypes.byref(_Text(data, len(data), True, True)), given, len(made))
    for bitmap in made:
        library.mtmd_bitmap_free(bitmap)
    if status:
        library.mtmd_input_chunks_free(found)
        sizes = ", ".join(f"{width} x {height}" for width, height, _ in bitmaps)
        raise ExportError(f"llama.cpp does not make tokens of pictures of {sizes} pixels (status {status})")
    return found


def is_image(library: ctypes.CDLL, chunk: int) -> bool:
    """Whether a chunk is a picture and not words."""
    return bool(library.mtmd_input_chunk_get_type(chunk) == _IMAGE)


def text_tokens(library: ctypes.CDLL, chunk: int) -> list[int]:
    """The tokens of a chunk of words."""
    count = ctypes.c_size_t()
    tokens = library.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(count))
    return [int(token) for token in tokens[: count.value]]


def _encode(library: ctypes.CDLL, context: int, read: int) -> int:
    """Put the one image through the tower; how many tokens it became."""
    for index in range(library.mtmd_input_chunks_size(read)):
        chunk = library.mtmd_input_chunks_get(read, index)
        if is_image(library, chunk):
            if library.mtmd_encode_chunk(context, chunk):
                raise ExportError("llama.cpp's vision tower failed on this image")
            return int(library.mtmd_input_chunk_get_n_tokens(chunk))
    raise ExportError("llama.cpp found no image where there was one")
