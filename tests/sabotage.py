"""GGUF files with one thing wrong, for the tests of what must notice."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np

__all__ = ["rewrite"]

Change = Callable[[Any], Any]


def rewrite(
    source: Path,
    target: Path,
    metadata: Mapping[str, Change] | None = None,
    tensors: Mapping[str, Change] | None = None,
    retyped: Mapping[str, gguf.GGMLQuantizationType] | None = None,
) -> None:
    """Copy a GGUF file, giving each named metadata value and each named tensor's stored bytes to a function;
    `retyped` tensors are stored in another type.

    Raises KeyError when the file does not have what is to be changed: such a test would test nothing.
    """
    reader = gguf.GGUFReader(source)
    fields = {name: field for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    stored = {tensor.name: tensor for tensor in reader.tensors}
    metadata, tensors, retyped = dict(metadata or {}), dict(tensors or {}), dict(retyped or {})
    if absent := (metadata.keys() - fields.keys()) | ((tensors.keys() | retyped.keys()) - stored.keys()):
        raise KeyError(f"{source} has no {', '.join(sorted(absent))}")
    writer = gguf.GGUFWriter(target, fields.pop("general.architecture").contents())
    for name, field in fields.items():
        value = metadata[name](field.contents()) if name in metadata else field.contents()
        array = field.types[0] == gguf.GGUFValueType.ARRAY
        writer.add_key_value(name, value, field.types[0], sub_type=field.types[-1] if array else None)
    for name, tensor in stored.items():
        data = tensors[name](np.array(tensor.data)) if name in tensors else tensor.data
        kind = retyped.get(name, tensor.tensor_type)
        if name in retyped:
            data = gguf.quants.quantize(gguf.quants.dequantize(data, tensor.tensor_type), kind)
        writer.add_tensor(name, np.ascontiguousarray(data), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
