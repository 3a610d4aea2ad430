"""llama.cpp by ctypes: the shared object inside the prebuilt `xllamacpp` wheel, no compiler on a user's machine.

The wheel's own Python interface generates text but does not hand out logits, and without logits nobody can say whether
a file still is its model. The object exports llama.cpp's C interface (`llama.h`), so the few functions that decoding
needs are declared here. C structures have no version in them: the layouts below are those of one wheel, and
`load` refuses any other instead of reading memory at the wrong place.

Covered: loading, decoding, logits, the vocabulary, the KV cache, grammars, adapters, quantizing of rows (the wheel has
no `llama_model_quantize`). Not covered: other samplers; images are in `llama_vision`.
"""

import ctypes
import logging
from collections.abc import Callable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zoo.errors import EnvironmentFailure

__all__ = [
    "F32",
    "FORWARD_LOG",
    "LOG_NAME",
    "NO_FUSED_ATTENTION",
    "PINNED_WHEEL",
    "Batch",
    "ContextParameters",
    "LogCallback",
    "ModelParameters",
    "TokenScore",
    "TokenScores",
    "check_layout",
    "load",
    "shared_object",
]

PINNED_WHEEL = "2026.10.11549"
"""The version of xllamacpp whose structures are declared here."""

LOG_NAME = "zoo.serving.llama"
"""The logger that llama.cpp's warnings and errors go to."""
_LOG = logging.getLogger(LOG_NAME)
F32 = 0
"""`GGML_TYPE_F32`."""
NO_FUSED_ATTENTION = 0
"""`LLAMA_FLASH_ATTN_TYPE_DISABLED`."""
_WARNING, _ERROR = 3, 4
LogCallback = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)


class ModelParameters(ctypes.Structure):
    """`struct llama_model_params`."""

    _fields_ = (
        ("devices", ctypes.c_void_p),
        ("tensor_buft_overrides", ctypes.c_void_p),
        ("n_gpu_layers", ctypes.c_int32),
        ("split_mode", ctypes.c_int),
        ("load_mode", ctypes.c_int),
        ("lazy_mode", ctypes.c_int),
        ("main_gpu", ctypes.c_int32),
        ("tensor_split", ctypes.c_void_p),
        ("progress_callback", ctypes.c_void_p),
        ("progress_callback_user_data", ctypes.c_void_p),
        ("kv_overrides", ctypes.c_void_p),
        ("vocab_only", ctypes.c_bool),
        ("check_tensors", ctypes.c_bool),
        ("use_extra_bufts", ctypes.c_bool),
        ("no_host", ctypes.c_bool),
        ("no_alloc", ctypes.c_bool),
        ("load_mtp", ctypes.c_bool),
    )


class ContextParameters(ctypes.Structure):
    """`struct llama_context_params`."""

    _fields_ = (
        ("n_ctx", ctypes.c_uint32),
        ("n_batch", ctypes.c_uint32),
        ("n_ubatch", ctypes.c_uint32),
        ("n_seq_max", ctypes.c_uint32),
        ("n_rs_seq", ctypes.c_uint32),
        ("n_outputs_max", ctypes.c_uint32),
        ("n_outputs_max_per_seq", ctypes.c_uint32),
        ("n_threads", ctypes.c_int32),
        ("n_threads_batch", ctypes.c_int32),
        ("ctx_type", ctypes.c_int),
        ("rope_scaling_type", ctypes.c_int),
        ("pooling_type", ctypes.c_int),
        ("attention_type", ctypes.c_int),
        ("flash_attn_type", ctypes.c_int),
        ("rope_freq_base", ctypes.c_float),
        ("rope_freq_scale", ctypes.c_float),
        ("yarn_ext_factor", ctypes.c_float),
        ("yarn_attn_factor", ctypes.c_float),
        ("yarn_beta_fast", ctypes.c_float),
        ("yarn_beta_slow", ctypes.c_float),
        ("yarn_orig_ctx", ctypes.c_uint32),
        ("defrag_thold", ctypes.c_float),
        ("cb_eval", ctypes.c_void_p),
        ("cb_eval_user_data", ctypes.c_void_p),
        ("type_k", ctypes.c_int),
        ("type_v", ctypes.c_int),
        ("moe_cache_size", ctypes.c_size_t),
        ("abort_callback", ctypes.c_void_p),
        ("abort_callback_data", ctypes.c_void_p),
        ("embeddings", ctypes.c_bool),
        ("offload_kqv", ctypes.c_bool),
        ("no_perf", ctypes.c_bool),
        ("op_offload", ctypes.c_bool),
        ("swa_full", ctypes.c_bool),
        ("kv_unified", ctypes.c_bool),
        ("samplers", ctypes.c_void_p),
        ("n_samplers", ctypes.c_size_t),
        ("ctx_other", ctypes.c_void_p),
    )


class Batch(ctypes.Structure):
    """`struct llama_batch`. With null `n_seq_id` and `seq_id`, tokens are of sequence 0. `pos`: one a token."""

    _fields_ = (
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.c_void_p),
        ("seq_id", ctypes.c_void_p),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    )


class TokenScore(ctypes.Structure):
    """`struct llama_token_data`."""

    _fields_ = (("id", ctypes.c_int32), ("logit", ctypes.c_float), ("p", ctypes.c_float))


class TokenScores(ctypes.Structure):
    """`struct llama_token_data_array`: what a sampler looks at and writes into."""

    _fields_ = (
        ("data", ctypes.POINTER(TokenScore)),
        ("size", ctypes.c_size_t),
        ("selected", ctypes.c_int64),
        ("sorted", ctypes.c_bool),
    )


_INT, _BOOL, _POINTER, _TEXT = ctypes.c_int32, ctypes.c_bool, ctypes.c_void_p, ctypes.c_char_p
_TOKENS = ctypes.POINTER(ctypes.c_int32)

# name -> (what it returns, its arguments); from `include/llama.h` of the llama.cpp that the wheel was built of.
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "llama_backend_init": (None, ()),
    "llama_log_set": (None, (LogCallback, _POINTER)),
    "llama_model_default_params": (ModelParameters, ()),
    "llama_context_default_params": (ContextParameters, ()),
    "llama_model_load_from_file": (_POINTER, (_TEXT, ModelParameters)),
    "llama_model_free": (None, (_POINTER,)),
    "llama_model_size": (ctypes.c_uint64, (_POINTER,)),
    "llama_model_get_vocab": (_POINTER, (_POINTER,)),
    "llama_model_chat_template": (_TEXT, (_POINTER, _TEXT)),
    "llama_init_from_model": (_POINTER, (_POINTER, ContextParameters)),
    "llama_free": (None, (_POINTER,)),
    "llama_set_n_threads": (None, (_POINTER, _INT, _INT)),
    "llama_n_ctx": (ctypes.c_uint32, (_POINTER,)),
    "llama_get_memory": (_POINTER, (_POINTER,)),
    "llama_memory_seq_rm": (_BOOL, (_POINTER, _INT, _INT, _INT)),
    "llama_decode": (_INT, (_POINTER, Batch)),
    "llama_get_logits_ith": (ctypes.POINTER(ctypes.c_float), (_POINTER, _INT)),
    "llama_vocab_n_tokens": (_INT, (_POINTER,)),
    "llama_vocab_is_eog": (_BOOL, (_POINTER, _INT)),
    "llama_vocab_bos": (_INT, (_POINTER,)),
    "llama_vocab_eos": (_INT, (_POINTER,)),
    "llama_vocab_get_add_bos": (_BOOL, (_POINTER,)),
    "llama_vocab_get_text": (_TEXT, (_POINTER, _INT)),
    "llama_tokenize": (_INT, (_POINTER, _TEXT, _INT, _TOKENS, _INT, _BOOL, _BOOL)),
    "llama_detokenize": (_INT, (_POINTER, _TOKENS, _INT, _TEXT, _INT, _BOOL, _BOOL)),
    "llama_adapter_lora_init": (_POINTER, (_POINTER, _TEXT)),
    "llama_set_adapters_lora": (
        _INT,
        (_POINTER, ctypes.POINTER(_POINTER), ctypes.c_size_t, ctypes.POINTER(ctypes.c_float)),
    ),
    # from `ggml/include/ggml.h`: type, source, target, first row, rows, values in a row, weights of the columns or null
    "ggml_quantize_chunk": (
        ctypes.c_size_t,
        (ctypes.c_int, _POINTER, _POINTER, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, _POINTER),
    ),
    "llama_sampler_init_grammar": (_POINTER, (_POINTER, _TEXT, _TEXT)),
    "llama_sampler_apply": (None, (_POINTER, ctypes.POINTER(TokenScores))),
    "llama_sampler_accept": (None, (_POINTER, _INT)),
    "llama_sampler_free": (None, (_POINTER,)),
}


@cache
def load() -> ctypes.CDLL:
    """The library with its functions declared, its layout checked and its log handed to `logging`.

    Raises EnvironmentFailure when the wheel is missing, of another version, or laid out otherwise than declared.
    """
    library = ctypes.CDLL(str(shared_object()))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name, None)
        if function is None:
            raise EnvironmentFailure(f"xllamacpp {PINNED_WHEEL} does not export {name}; {_REINSTALL}")
        function.restype, function.argtypes = result, arguments
    library.llama_log_set(FORWARD_LOG, None)
    library.llama_backend_init()
    check_layout(library.llama_model_default_params(), library.llama_context_default_params())
    return library


_REINSTALL = f"install the tested one: pip install xllamacpp=={PINNED_WHEEL}"


def shared_object(installed: Callable[[str], str] = version) -> Path:
    """Where llama.cpp lies in the wheel; `installed` tells a distribution's version.

    Raises EnvironmentFailure when the wheel is missing or not the pinned one.
    """
    try:
        found = installed("xllamacpp")
    except PackageNotFoundError:
        raise EnvironmentFailure(f"llama.cpp is not installed; {_REINSTALL}") from None
    if found != PINNED_WHEEL:
        raise EnvironmentFailure(
            f"xllamacpp {found} is installed, but the C structures of llama.cpp are known for {PINNED_WHEEL} only; "
            + _REINSTALL
        )
    spec = find_spec("xllamacpp")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if objects := sorted(Path(folder).glob("xllamacpp*.so")):
            return objects[0]
    raise EnvironmentFailure(f"xllamacpp {found} holds no shared object for this platform; {_REINSTALL}")


def check_layout(model: ModelParameters, context: ContextParameters) -> None:
    """Compare the library's default parameters with the documented ones, field by field.

    A field that moved shows as an absurd value, since the defaults differ along the structure (counts, -1 for "from the
    model", 1.0, null pointers, true and false).

    Raises EnvironmentFailure naming the first field that does not read as it should.
    """
    for structure, expected in ((model, _MODEL_DEFAULTS), (context, _CONTEXT_DEFAULTS)):
        for field, value in expected.items():
            found = getattr(structure, field)
            if found != value:
                raise EnvironmentFailure(
                    f"llama.cpp in xllamacpp reads {found!r} for {type(structure).__name__}.{field}, whose default is "
                    f"{value!r}, so its memory layout is another one; {_REINSTALL}"
                )


# From `llama_model_default_params` and `llama_context_default_params` of the wheel's llama.cpp. The context's structure
# is 8 bytes longer than the one of llama-cpp-python 0.3.36 (`moe_cache_size`): with that layout every flag after it is
# read from the wrong byte, and the library writes past the end of the caller's memory.
_MODEL_DEFAULTS: dict[str, object] = {
    "devices": None,
    "n_gpu_layers": -1,
    "split_mode": 1,
    "load_mode": -1,
    "lazy_mode": 1,
    "main_gpu": 0,
    "tensor_split": None,
    "kv_overrides": None,
    "vocab_only": False,
    "check_tensors": False,
    "use_extra_bufts": True,
    "no_host": False,
}
_CONTEXT_DEFAULTS: dict[str, object] = {
    "n_ctx": 512,
    "n_batch": 2048,
    "n_ubatch": 512,
    "n_seq_max": 1,
    "n_outputs_max_per_seq": 1,
    "n_threads": 4,
    "rope_scaling_type": -1,
    "flash_attn_type": -1,
    "rope_freq_base": 0.0,
    "yarn_ext_factor": -1.0,
    "yarn_beta_slow": -1.0,
    "yarn_orig_ctx": 0,
    "defrag_thold": -1.0,
    "cb_eval": None,
    "type_k": 1,
    "type_v": 1,
    "moe_cache_size": 0,
    "abort_callback": None,
    "embeddings": False,
    "offload_kqv": True,
    "no_perf": True,
    "op_offload": True,
    "swa_full": True,
    "kv_unified": False,
    "samplers": None,
    "n_samplers": 0,
    "ctx_other": None,
}


def _log(level: int, text: bytes, _: object) -> None:
    if level in (_WARNING, _ERROR) and (message := text.decode("utf-8", "replace").strip()):
        _LOG.log(logging.ERROR if level == _ERROR else logging.WARNING, message)


# Kept for as long as the library may call it.
FORWARD_LOG = LogCallback(_log)
