"""The protocol's datatypes, and arrays as bytes.

A tensor's bytes are its elements in row-major order, little endian. An element of BYTES is a
32-bit length and that many bytes.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.serve.errors import bad_request, shown

Buffer = bytes | bytearray | memoryview

_NAMES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "bfloat16": "BF16",
    "object": "BYTES",
}
_DTYPES = {name: np.dtype(dtype) for dtype, name in _NAMES.items() if name not in ("BF16", "BYTES")}
DATATYPES = tuple(_NAMES.values())
_PLAIN = frozenset(_NAMES) - {"bfloat16", "object"}

_MAX_RANK = 32
_MAX_ELEMENTS = 2**48  # far above any body, far below what overflows


@functools.cache
def datatype_of(dtype: np.dtype[Any]) -> str:
    """The protocol's name of a dtype."""
    return _NAMES[dtype.name]


def dtype_of(datatype: object) -> np.dtype[Any]:
    """The dtype of a datatype; `object` for BYTES.

    Raises
    ------
    ServeError
        400, if there is no such datatype.
    """
    if isinstance(datatype, str):
        if datatype in _DTYPES:
            return _DTYPES[datatype]
        if datatype == "BYTES":
            return np.dtype(object)
        if datatype == "BF16":
            import ml_dtypes  # noqa: PLC0415 -- seldom needed

            dtype: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
            return dtype
    raise bad_request(f"datatype {shown(datatype)} is none of {', '.join(DATATYPES)}")


@functools.cache
def is_plain(dtype: np.dtype[Any]) -> bool:
    """Whether an array's memory is its bytes in the protocol, for all that read memory."""
    return dtype.name in _PLAIN


def checked_shape(name: str, shape: object) -> tuple[int, ...]:
    """A shape out of a request, as a tuple of sizes.

    Raises
    ------
    ServeError
        400, if it is no list of sizes, or of more elements than any tensor has.
    """
    if not isinstance(shape, Sequence) or isinstance(shape, (str, bytes)):
        raise bad_request(
            f"input {name!r}: the shape must be a list of integers, got {shown(shape)}"
        )
    if len(shape) > _MAX_RANK:
        raise bad_request(f"input {name!r}: the shape has {len(shape)} dimensions, too many")
    for size in shape:
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise bad_request(
                f"input {name!r}: the shape must be a list of integers of 0 or more, "
                f"got {shown(size)}"
            )
    if math.prod(size or 1 for size in shape) > _MAX_ELEMENTS:  # a zero must not hide them
        raise bad_request(f"input {name!r}: the shape {list(shape)} has too many elements")
    return tuple(shape)


def array_from(
    name: str, data: Buffer, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> NDArray[Any]:
    """The array whose bytes these are: a view of them, but for BYTES.

    Raises
    ------
    ServeError
        400, if the bytes are too many or too few.
    """
    if dtype.kind == "O":
        return _strings(name, data, shape)
    expected = math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise bad_request(
            f"input {name!r}: {_NAMES[dtype.name]}{list(shape)} takes {expected} bytes, "
            f"got {len(data)}"
        )
    return np.frombuffer(data, dtype).reshape(shape) if expected else np.empty(shape, dtype)


def _strings(name: str, data: Buffer, shape: tuple[int, ...]) -> NDArray[Any]:
    view, items, at = memoryview(data), [], 0
    while at < len(view):
        end = at + 4 + int.from_bytes(view[at : at + 4], "little")
        if end > len(view) or len(view) - at < 4:
            raise bad_request(f"input {name!r}: a string in its bytes ends after them")
        items.append(bytes(view[at + 4 : end]))
        at = end
    if len(items) != math.prod(shape):
        raise bad_request(f"input {name!r}: expected {math.prod(shape)} strings, got {len(items)}")
    array = np.empty(len(items), object)
    array[:] = items
    return array.reshape(shape)


def texts(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """An array of str, as models take it, out of one of bytes.

    Raises
    ------
    ServeError
        400, if an element is no UTF-8.
    """
    decoded = np.empty(array.size, object)
    try:
        decoded[:] = [item.decode() for item in array.flat]
    except UnicodeDecodeError as error:
        raise bad_request(f"input {name!r}: a string is no UTF-8: {error}") from error
    return decoded.reshape(array.shape)


def buffer_of(array: NDArray[Any]) -> Buffer:
    """An array's bytes: a view where it is dense."""
    if array.dtype == object:
        parts = []
        for item in array.flat:
            data = item if isinstance(item, bytes) else str(item).encode()
            parts += [len(data).to_bytes(4, "little"), data]
        return b"".join(parts)
    if not array.size:
        return b""
    view: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return memoryview(view)
