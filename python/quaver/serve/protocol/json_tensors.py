"""Tensors as JSON lists."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.serve.errors import bad_request


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
    if dtype.kind == "O":
        return _strings(name, data, shape)
    try:
        array = np.array(data) if data else np.empty(0, dtype)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"input {name!r}: 'data' is no tensor: {error}") from error
    if array.size != math.prod(shape) or (array.ndim > 1 and array.shape != shape):
        raise bad_request(
            f"input {name!r}: the shape {list(shape)} has {math.prod(shape)} elements, 'data' "
            f"has {array.size} in the shape {list(array.shape)}"
        )
    return _cast(name, array, dtype).reshape(shape)


def _cast(name: str, array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    if array.dtype == dtype:
        return array
    wanted = "a boolean" if dtype == np.bool_ else "an integer"
    if dtype == np.bool_ or np.issubdtype(dtype, np.integer):
        fits = array.dtype.kind in "iub" if dtype == np.bool_ else array.dtype.kind in "iu"
        cast = array.astype(dtype) if fits else array
        if not fits or not np.array_equal(cast, array):
            raise bad_request(
                f"input {name!r}: 'data' has an element that is not {wanted} that fits {dtype}"
            )
        return cast
    if array.dtype.kind not in "fiu":
        raise bad_request(f"input {name!r}: 'data' has an element that is no number")
    with np.errstate(over="ignore"):
        return array.astype(dtype)


def _strings(name: str, data: list[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    items: list[Any] = data
    for _ in shape[1:]:
        if items and all(isinstance(item, list) for item in items):
            items = [inner for item in items for inner in item]
    if len(items) != math.prod(shape) or not all(isinstance(item, str) for item in items):
        raise bad_request(f"input {name!r}: expected {math.prod(shape)} strings in 'data'")
    array = np.empty(len(items), object)
    array[:] = [item.encode() for item in items]
    return array.reshape(shape)


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
