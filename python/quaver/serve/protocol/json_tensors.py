"""Tensors as JSON lists."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.serve.errors import bad_request

_KINDS: dict[str, tuple[set[type], str]] = {
    "b": ({bool, int}, "a boolean"),
    "i": ({int}, "an integer"),
    "u": ({int}, "an integer"),
    "O": ({str}, "a string"),
}
"""By a dtype's kind, what JSON's elements may be; numbers of any sort for the others."""
_REAL = ({int, float}, "a number")


def array_from_json(
    name: str, data: object, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> NDArray[Any]:
    """The array that a list describes, flat or nested; nothing is rounded or wrapped.

    Raises
    ------
    ServeError
        400, if it is not of this shape, or an element is not of this dtype.
    """
    if not isinstance(data, list):
        raise bad_request(f"input {name!r}: 'data' must be a list")
    items, found = _flattened(name, data)
    if len(items) != math.prod(shape) or (len(found) > 1 and found != shape):
        raise bad_request(
            f"input {name!r}: the shape {list(shape)} has {math.prod(shape)} elements, 'data' "
            f"has {len(items)} in the shape {list(found)}"
        )
    # NumPy must not find out by itself what they are: of numbers and one long text it would make
    # texts, all of them as long.
    kinds, wanted = _KINDS.get(dtype.kind, _REAL)
    if not kinds.issuperset(map(type, items)):
        raise bad_request(f"input {name!r}: 'data' has an element that is not {wanted}")
    if dtype.kind == "O":
        array = np.empty(len(items), object)
        array[:] = [item.encode() for item in items]
    elif kinds is _REAL[0]:
        with np.errstate(over="ignore"):
            array = np.array(items, np.float64).astype(dtype)
    else:
        least, most = _bounds(dtype)
        if items and not (least <= min(items) and max(items) <= most):
            raise bad_request(f"input {name!r}: 'data' has an integer that does not fit {dtype}")
        array = np.array(items, dtype)
    return array.reshape(shape)


def _bounds(dtype: np.dtype[Any]) -> tuple[int, int]:
    if dtype.kind == "b":
        return 0, 1
    limits = np.iinfo(dtype)
    return int(limits.min), int(limits.max)


def _flattened(name: str, data: list[Any]) -> tuple[list[Any], tuple[int, ...]]:
    """The elements of lists in lists, and the shape that these have."""
    shape = [len(data)]
    while data and isinstance(data[0], list):
        size = len(data[0])
        if not all(isinstance(item, list) and len(item) == size for item in data):
            raise bad_request(f"input {name!r}: 'data' is no tensor: its lists differ in length")
        shape.append(size)
        data = list(itertools.chain.from_iterable(data))
    return data, tuple(shape)


def json_of(array: NDArray[Any]) -> list[Any]:
    """An array's elements as a flat list."""
    flat = array.reshape(-1)
    if array.dtype == object:
        return [
            item.decode("utf-8", "replace") if isinstance(item, bytes) else item for item in flat
        ]
    if array.dtype.name in ("bfloat16", "float16"):
        flat = flat.astype(np.float32)
    items: list[Any] = flat.tolist()
    return items
