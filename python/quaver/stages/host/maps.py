"""Labels and maps of ai.onnx.ml: what classifiers give, and what comes as strings."""

from __future__ import annotations

from typing import Any

import numpy as np

from quaver.stages.host.node import ML, HostNode, host
from quaver.stages.host.strings import texts

_KINDS = {"strings": object, "int64s": np.int64, "floats": np.float32}


def _given(node: HostNode, what: str) -> Any:
    """Return keys_* or values_* of a LabelEncoder, as an array."""
    if node.has(f"{what}_tensor"):
        return np.asarray(node.get(f"{what}_tensor"))
    for kind, dtype in _KINDS.items():
        if node.has(f"{what}_{kind}"):
            return np.array(node.get(f"{what}_{kind}"), dtype)
    raise node.invalid(f"it has no {what}")


@host("LabelEncoder", domain=ML)
def label_encoder(node: HostNode, x: Any) -> Any:
    """Each element by what a table gives for it."""
    if "table" not in node.cache:
        keys, values = _given(node, "keys"), _given(node, "values")
        keys = texts(keys) if keys.dtype == object else keys
        node.cache["table"] = dict(zip(map(_key, keys), values, strict=True))
        node.cache["dtype"] = values.dtype
    table, dtype = node.cache["table"], node.cache["dtype"]
    default = _default(node, dtype)
    items = texts(x) if np.asarray(x).dtype == object else np.asarray(x)
    result = np.empty(items.size, dtype)
    result[:] = [table.get(_key(item), default) for item in items.reshape(-1)]
    return (texts(result) if result.dtype == object else result).reshape(items.shape)


def _key(item: Any) -> Any:
    value = item.item() if isinstance(item, np.generic) else item
    return "nan" if isinstance(value, float) and np.isnan(value) else value


def _default(node: HostNode, dtype: Any) -> Any:
    if node.has("default_tensor"):
        return np.asarray(node.get("default_tensor")).reshape(-1)[0]
    kind = np.dtype(dtype).kind
    if kind == "O":
        return node.get("default_string", "_Unused")
    if kind == "f":
        return node.get("default_float", -0.0)
    return node.get("default_int64", -1)


@host("CategoryMapper", domain=ML)
def category_mapper(node: HostNode, x: Any) -> Any:
    """Strings by their numbers, numbers by their strings."""
    names, numbers = node.get("cats_strings"), node.get("cats_int64s")
    if np.asarray(x).dtype == object:
        table: dict[Any, Any] = dict(zip(names, numbers, strict=True))
        default: Any = node.get("default_int64", -1)
        made = [table.get(s, default) for s in texts(x).reshape(-1)]
        return np.array(made, np.int64).reshape(x.shape)
    table = dict(zip(numbers, names, strict=True))
    default = node.get("default_string", "_Unused")
    made = [table.get(int(n), default) for n in x.reshape(-1)]
    return np.array(made, object).reshape(x.shape)


@host("ZipMap", domain=ML)
def zip_map(node: HostNode, x: Any) -> list[dict[Any, Any]]:
    """A map from labels to scores for each row."""
    labels = node.get("classlabels_strings") or list(node.get("classlabels_int64s"))
    return [dict(zip(labels, map(float, row), strict=True)) for row in np.atleast_2d(x)]


#: What a map's values become: a dtype, how, and what stands where there is none.
_CASTS: dict[str, tuple[Any, Any, Any]] = {
    "TO_FLOAT": (np.float32, float, 0.0),
    "TO_INT64": (np.int64, int, 0),
    "TO_STRING": (object, lambda v: v if isinstance(v, str) else f"{v:f}", "0.f"),
}


@host("CastMap", domain=ML)
def cast_map(node: HostNode, x: Any) -> Any:
    """A map as a row: its values in the order of its keys, or each in the column of its key."""
    dtype, cast, lacking = _CASTS[node.get("cast_to", "TO_FLOAT")]
    keys = sorted(x)
    values = [cast(x[key]) for key in keys]
    if node.get("map_form", "DENSE") == "DENSE":
        return np.array([values], dtype)
    row = np.full((1, node.get("max_map", 1)), lacking, dtype)
    if keys and not 0 <= keys[0] <= keys[-1] < row.size:
        raise node.invalid(f"its keys are {keys[0]} to {keys[-1]}, its columns {row.size}")
    row[0, keys] = values
    return row


@host("ArrayFeatureExtractor", domain=ML)
def array_feature_extractor(_: HostNode, x: Any, indices: Any) -> Any:
    """Columns of a tensor, of strings too."""
    picked = np.take(x, np.asarray(indices).reshape(-1), axis=-1)
    return picked.reshape(1, -1) if x.ndim == 1 else picked


@host("DictVectorizer", domain=ML)
def dict_vectorizer(node: HostNode, x: Any) -> Any:
    """A map as a row."""
    words = node.get("string_vocabulary") or list(node.get("int64_vocabulary"))
    values = [x.get(word, 0) for word in words]
    return np.array([values], np.int64 if all(isinstance(v, int) for v in values) else np.float32)


@host("TfIdfVectorizer")
def tf_idf_vectorizer(node: HostNode, x: Any) -> Any:
    """Counts of n-grams, once or weighted."""
    pool = node.get("pool_strings") or list(node.get("pool_int64s"))
    starts, places = list(node.get("ngram_counts")), list(node.get("ngram_indexes"))
    least, most = node.get("min_gram_length"), node.get("max_gram_length")
    weights, mode = node.get("weights"), node.get("mode")
    table: dict[tuple[Any, ...], int] = {}
    for n, (start, end) in enumerate(zip(starts, [*starts[1:], len(pool)], strict=True), 1):
        for at in range(start, end, n):
            table[tuple(pool[at : at + n])] = len(table)
    rows = texts(x) if np.asarray(x).dtype == object else np.asarray(x)
    rows = rows.reshape(1, -1) if rows.ndim < 2 else rows
    counts = np.zeros((len(rows), max(places) + 1), np.float32)
    for row, line in zip(counts, rows, strict=True):
        for gram in _grams(line.tolist(), least, most, node.get("max_skip_count")):
            if gram in table:
                row[places[table[gram]]] += 1
    by_place = np.ones(counts.shape[1], np.float32)
    if weights is not None:
        by_place[places] = weights
    result = counts if mode == "TF" else (counts > 0) * by_place
    if mode == "TFIDF":
        result = counts * by_place
    result = result.astype(np.float32)
    return result[0] if np.ndim(x) < 2 else result


def _grams(line: list[Any], least: int, most: int, skip: int) -> list[tuple[Any, ...]]:
    """All n-grams whose items lie 1 to skip + 1 apart; single items once."""
    grams = []
    for n in range(least, most + 1):
        for step in range(1, (skip if n > 1 else 0) + 2):
            grams += [
                tuple(line[at : at + n * step : step]) for at in range(len(line) - (n - 1) * step)
            ]
    return grams
