"""float32 rows in the types of GGUF: `gguf.quants` for 16 bits and q8_0, llama.cpp's own code for the rest.

The `gguf` package cannot write K-quants; `ggml_quantize_chunk` of the pinned wheel is what `llama-quantize` calls, and
what it writes is the same byte for byte. Rows are shared out to threads, which llama.cpp leaves free of Python's lock.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from zoo.serving import llama_library
from zoo.serving.threads import default_threads

if TYPE_CHECKING:
    import numpy as np

__all__ = ["GUIDED", "quantize"]

_BY_GGUF = ("F32", "F16", "BF16", "Q8_0")
GUIDED = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q4_K", "Q5_K", "Q6_K")
"""The types that an importance matrix changes."""


def quantize(
    values: "np.ndarray[Any, Any]", type_: str, importance: "np.ndarray[Any, Any] | None" = None
) -> "np.ndarray[Any, Any]":
    """Rows of float32 (the last dimension is a row) as the bytes of a type.

    `importance`: one weight for each column, the larger the more its error counts. Raises EnvironmentFailure when the
    tested llama.cpp is not installed.
    """
    import gguf
    import numpy as np

    values = np.ascontiguousarray(values, np.float32)
    kind = gguf.GGMLQuantizationType[type_]
    if type_ in _BY_GGUF:
        with np.errstate(over="ignore"):
            data: np.ndarray[Any, Any] = gguf.quants.quantize(values, kind)
        return data
    rows = values.reshape(-1, values.shape[-1])
    weights = np.ascontiguousarray(importance, np.float32) if importance is not None and type_ in GUIDED else None
    if weights is not None and weights.shape != rows.shape[1:]:
        raise ValueError(f"{weights.shape} weights for rows of {rows.shape[1]}")
    return _by_llama(rows, kind, weights)


def _by_llama(
    rows: "np.ndarray[Any, Any]", kind: Any, weights: "np.ndarray[Any, Any] | None"
) -> "np.ndarray[Any, Any]":
    import gguf
    import numpy as np

    library = llama_library.load()
    count, width = rows.shape
    data = np.empty((count, *gguf.quant_shape_to_byte_shape((width,), kind)), np.uint8)
    address = weights.ctypes.data if weights is not None else None
    share = -(-count // default_threads())

    def part(first: int) -> None:
        some = min(share, count - first)
        written = library.ggml_quantize_chunk(
            int(kind), rows[first:].ctypes.data, data[first:].ctypes.data, 0, some, width, address
        )
        if written != some * data.shape[1]:
            raise RuntimeError(f"llama.cpp wrote {written} bytes for {some} rows of {data.shape[1]}")

    with ThreadPoolExecutor() as pool:
        list(pool.map(part, range(0, count, share)))
    return data
