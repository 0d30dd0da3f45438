"""Element types: ONNX's numbers, NumPy's names, the core's codes."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper

from quaver.errors import UnsupportedError

_NAMES: dict[int, str] = {
    TensorProto.FLOAT: "float32",
    TensorProto.UINT8: "uint8",
    TensorProto.INT8: "int8",
    TensorProto.INT32: "int32",
    TensorProto.INT64: "int64",
    TensorProto.BOOL: "bool",
    TensorProto.DOUBLE: "float64",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.UINT16: "uint16",
    TensorProto.INT16: "int16",
    TensorProto.UINT32: "uint32",
    TensorProto.UINT64: "uint64",
}
_CODES = {name: code for code, name in enumerate(_NAMES.values())}  # the order of csrc/base/dtype.h


def dtype_name(elem_type: int, where: str) -> str:
    """NumPy's name of an ONNX element type; `where` is for the error."""
    name = _NAMES.get(elem_type)
    if name is None:
        known = elem_type in TensorProto.DataType.values()
        shown = TensorProto.DataType.Name(elem_type).lower() if known else f"type {elem_type}"
        raise UnsupportedError(f"{where} holds {shown}; Quaver takes {', '.join(_CODES)}")
    return name


def known_dtype(elem_type: int) -> str | None:
    """NumPy's name of an ONNX element type; None for what Quaver does not have."""
    return _NAMES.get(elem_type)


def dtype_code(name: str) -> int:
    """The core's number of a dtype."""
    return _CODES[name]


def numpy_dtype(name: str) -> np.dtype[Any]:
    """NumPy's dtype of a name; bfloat16 is an extension's."""
    elem_type = next(elem_type for elem_type, known in _NAMES.items() if known == name)
    return np.dtype(helper.tensor_dtype_to_np_dtype(elem_type))
