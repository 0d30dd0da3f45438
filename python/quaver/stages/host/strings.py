"""Strings: arrays of Python's, whose dtype is object."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto

from quaver.stages.host.node import HostNode, host


def texts(x: Any) -> Any:
    """Return an array of str."""
    decoded = [s.decode() if isinstance(s, bytes) else str(s) for s in np.ravel(x)]
    return np.array(decoded, object).reshape(np.shape(x))


def _each(function: Callable[..., Any], *arrays: Any, dtype: Any = object) -> Any:
    arrays = np.broadcast_arrays(*arrays)
    made = [function(*items) for items in zip(*(a.reshape(-1) for a in arrays), strict=True)]
    result = np.empty(len(made), dtype)
    result[:] = made
    return result.reshape(arrays[0].shape)


@host("StringConcat")
def string_concat(_: HostNode, a: Any, b: Any) -> Any:
    """One after the other."""
    return _each(lambda x, y: x + y, texts(a), texts(b))


@host("RegexFullMatch")
def regex_full_match(node: HostNode, x: Any) -> Any:
    """Whether a pattern matches all of a string."""
    pattern = re.compile(node.get("pattern"))
    return _each(lambda s: pattern.fullmatch(s) is not None, texts(x), dtype=bool)


@host("StringSplit")
def string_split(node: HostNode, x: Any) -> tuple[Any, Any]:
    """The parts of each string along a new axis, filled up with empty ones; how many they are."""
    delimiter, most = node.get("delimiter") or None, node.get("maxsplit", -1)
    parts = [s.split(delimiter, most) for s in texts(x).reshape(-1)]
    width = max(map(len, parts), default=0)
    shape = np.shape(x)
    filled = np.array([p + [""] * (width - len(p)) for p in parts], object)
    counts = np.array([len(p) for p in parts], np.int64)
    return filled.reshape(*shape, width), counts.reshape(shape)


@host("StringNormalizer")
def string_normalizer(node: HostNode, x: Any) -> Any:
    """Strings in one case, without the words to leave out."""
    action = node.get("case_change_action", "NONE")
    exact = bool(node.get("is_case_sensitive", 0))
    stop: Sequence[str] = node.get("stopwords", [])
    change = {"LOWER": str.lower, "UPPER": str.upper}.get(action, lambda s: s)
    left_out = set(stop) if exact else {word.lower() for word in stop}
    rows = texts(x)
    kept = [change(s) for s in rows.reshape(-1) if (s if exact else s.lower()) not in left_out] or [
        ""
    ]
    return np.array(kept, object).reshape((1, -1) if rows.ndim == 2 else (-1,))


@host("Equal")
def equal(_: HostNode, a: Any, b: Any) -> Any:
    """Whether elements are the same."""
    if np.asarray(a).dtype == object:
        return _each(lambda x, y: x == y, texts(a), texts(b), dtype=bool)
    return np.equal(a, b)


@host("Cast")
def cast(node: HostNode, x: Any) -> Any:
    """Numbers as strings, strings as numbers, and the rarer numbers."""
    to = node.get("to")
    if to == TensorProto.STRING:
        return _each(_shown, x)
    return _as_numbers(node, x, node.dtype_of(to))


@host("CastLike")
def cast_like(node: HostNode, x: Any, like: Any) -> Any:
    """Numbers in another tensor's dtype."""
    dtype = np.asarray(like).dtype
    if dtype.kind == "O":
        return _each(_shown, x)
    return _as_numbers(node, x, dtype)


def _as_numbers(node: HostNode, x: Any, dtype: Any) -> Any:
    if np.asarray(x).dtype == object:
        return np.array([float(s) for s in texts(x).reshape(-1)]).reshape(x.shape).astype(dtype)
    return saturated(x, dtype) if node.get("saturate", 1) else x.astype(dtype)


def saturated(x: Any, dtype: Any) -> Any:
    """Cast, with numbers beyond an 8-bit float's largest held there instead of infinite or NaN."""
    if np.dtype(dtype).itemsize > 1 or not dtype.name.startswith("float8_e") or "e8" in dtype.name:
        return x.astype(dtype)
    import ml_dtypes  # noqa: PLC0415 -- where such a dtype is, it is installed

    top = float(ml_dtypes.finfo(dtype).max)  # type: ignore[no-untyped-call]
    return np.clip(x.astype(np.float32), -top, top).astype(dtype)


def _shown(value: Any) -> str:
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, float) and np.isfinite(number):
        return f"{number:.9g}"
    return {"inf": "INF", "-inf": "-INF", "nan": "NaN"}.get(str(number), str(number))


@host("Identity")
def identity(_: HostNode, x: Any) -> Any:
    """The input itself, whatever it is."""
    return x


@host("Constant")
def constant(node: HostNode) -> Any:
    """Strings in an attribute."""
    if node.has("value"):
        return node.get("value")
    if node.has("value_strings"):
        return np.array(node.get("value_strings"), object)
    return np.array(node.get("value_string"), object)


@host("Reshape", "Squeeze", "Flatten", "Gather", "Concat")
def moved(node: HostNode, x: Any, *rest: Any) -> Any:
    """What moves strings without looking at them."""
    if node.op == "Reshape":
        shape = [
            int(n) if n or node.get("allowzero", 0) else x.shape[i] for i, n in enumerate(rest[0])
        ]
        return x.reshape(shape)
    if node.op == "Squeeze":
        return np.squeeze(x, tuple(int(a) for a in rest[0]) if rest else None)
    if node.op == "Flatten":
        axis = node.get("axis", 1)
        return x.reshape(int(np.prod(x.shape[:axis])), -1)
    if node.op == "Gather":
        return np.take(x, rest[0], axis=node.get("axis", 0))
    return np.concatenate([x, *rest], axis=node.get("axis"))
