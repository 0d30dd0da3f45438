"""Classical models (ai.onnx.ml): linear ones, scalers, normalizers, encoders of numbers."""

from __future__ import annotations

import numpy as np

from quaver.convert.onnx.dtypes import dtype_code
from quaver.convert.onnx.node import Node, handler

ML = "ai.onnx.ml"
_SMALLEST = float(np.finfo(np.float32).tiny)


def as_floats(node: Node, *, doubles: bool = False) -> tuple[int, str]:
    """Return the features as float32, and as float64 where they are and may be."""
    x, dtype = node.input(0), node.scope.dtype(node.input_names[0])
    if dtype == "float64" and doubles:
        return x, dtype
    if dtype == "float32":
        return x, dtype
    return node.emit("Cast", x, to=dtype_code("float32")), "float32"


def _floats(node: Node, name: str, suffix: str = "") -> int:
    return node.add_constant(suffix or name, np.array(node.floats(name), np.float32))


def transformed(node: Node, scores: int, count: int, kind: str | None = None) -> int:
    """Return scores after the node's post_transform."""
    kind = node.string("post_transform", "NONE") if kind is None else kind
    if kind == "NONE" or (kind.startswith("SOFTMAX") and count == 1):
        if kind == "NONE":
            return scores
        return node.emit("Softmax", scores, axis=-1)
    if kind == "LOGISTIC":
        return node.emit("Sigmoid", scores)
    if kind == "SOFTMAX":
        return node.emit("Softmax", scores, axis=-1)
    if kind == "SOFTMAX_ZERO":
        return _softmax_zero(node, scores)
    raise node.unsupported(f"post_transform is {kind}")


def _softmax_zero(node: Node, scores: int) -> int:
    """A softmax over the scores that are not zero; the others stay."""
    zero = node.add_constant("zero", np.array(0, np.float32))
    low = node.add_constant("low", np.array(-np.inf, np.float32))
    is_zero = node.emit("Equal", scores, zero)
    soft = node.emit("Softmax", node.emit("Where", is_zero, low, scores), axis=-1)
    return node.emit("Where", is_zero, zero, soft)


def classify(node: Node, scores: int, labels: int, *, single: bool, positive: bool) -> None:
    """Bind a classifier's label and scores.

    Parameters
    ----------
    scores
        [N, classes], or [N, 1] where `single`.
    labels
        How many classes there are.
    single
        Whether one score stands for both of two classes.
    positive
        Whether that score is a probability, rather than a distance from 0.
    """
    kind = node.string("post_transform", "NONE")
    if single:
        limit = node.add_constant("limit", np.array(0.5 if positive else 0.0, np.float32))
        winner = node.emit("Cast", node.emit("Greater", scores, limit), to=dtype_code("int64"))
        flat = node.add_constant("flat", np.array([-1], np.int64))
        winner = node.emit("Reshape", winner, flat)
        scores = both_scores(node, scores, kind, positive=positive)
    else:
        winner = node.emit("ArgMax", scores, axis=-1, keepdims=0)
        scores = transformed(node, scores, labels)
    node.bind_outputs(chosen_label(node, winner), scores)


def chosen_label(node: Node, winner: int) -> int:
    """Return the label of a class by its number."""
    names = node.ints("classlabels_int64s") or node.ints("classlabels_ints")
    if not names:
        raise node.unsupported("its labels are strings")
    table = node.add_constant("labels", np.array(names, np.int64))
    return node.emit("Gather", table, winner)


def both_scores(node: Node, score: int, kind: str, *, positive: bool) -> int:
    """Return the scores of both classes, from that of the second."""
    one = node.add_constant("one", np.array(1, np.float32))
    if kind == "LOGISTIC":
        yes, no = node.emit("Sigmoid", score), node.emit("Sigmoid", node.emit("Neg", score))
    elif kind in ("NONE", "SOFTMAX", "SOFTMAX_ZERO"):
        yes, no = score, node.emit("Sub", one, score) if positive else node.emit("Neg", score)
    else:
        raise node.unsupported(f"post_transform is {kind}")
    joined = node.emit("Concat", no, yes, axis=1)
    return joined if kind in ("NONE", "LOGISTIC") else transformed(node, joined, 2)


def _product(node: Node, rows: int) -> int:
    """X · coefficientsᵀ + intercepts."""
    x, _ = as_floats(node)
    weights = np.array(node.floats("coefficients"), np.float32).reshape(rows, -1).T
    y = node.emit("MatMul", x, node.add_constant("coefficients", np.ascontiguousarray(weights)))
    return node.emit("Add", y, _floats(node, "intercepts")) if node.floats("intercepts") else y


@handler("LinearRegressor", domain=ML)
def linear_regressor(node: Node) -> None:
    """A linear function of the features for each target."""
    targets = node.integer("targets", 1)
    node.pass_on(transformed(node, _product(node, targets), targets))


@handler("LinearClassifier", domain=ML)
def linear_classifier(node: Node) -> None:
    """The class of the largest linear function."""
    labels = len(node.ints("classlabels_ints")) or len(node.strings("classlabels_strings"))
    rows = len(node.floats("intercepts")) or labels
    classify(node, _product(node, rows), labels, single=rows == 1, positive=False)


@handler("Scaler", domain=ML)
def scaler(node: Node) -> None:
    """(x − offset) · scale."""
    x, _ = as_floats(node)
    if node.floats("offset"):
        x = node.emit("Sub", x, _floats(node, "offset"))
    node.pass_on(node.emit("Mul", x, _floats(node, "scale")) if node.floats("scale") else x)


@handler("Normalizer", domain=ML)
def normalizer(node: Node) -> None:
    """Rows divided by their largest, summed or Euclidean size."""
    x, _ = as_floats(node)
    norm = {"MAX": "ReduceMax", "L1": "ReduceL1", "L2": "ReduceL2"}.get(node.string("norm", "MAX"))
    if norm is None:
        raise node.invalid(f"norm is '{node.string('norm')}'")
    size = node.emit(norm, x, axes=[-1], keepdims=1)
    one = node.add_constant("one", np.array(1, np.float32))
    zero = node.add_constant("zero", np.array(0, np.float32))
    node.pass_on(node.emit("Div", x, node.emit("Where", node.emit("Equal", size, zero), one, size)))


@handler("Binarizer", domain=ML)
def binarizer(node: Node) -> None:
    """1 above the threshold, 0 elsewhere."""
    dtype = node.scope.dtype(node.input_names[0]) or "float32"
    limit = node.add_constant("threshold", np.array(node.real("threshold"), dtype))
    above = node.emit("Greater", node.input(0), limit)
    node.pass_on(node.emit("Cast", above, to=dtype_code(dtype)))


@handler("Imputer", domain=ML)
def imputer(node: Node) -> None:
    """One value, NaN mostly, replaced."""
    x, dtype = node.input(0), node.scope.dtype(node.input_names[0]) or "float32"
    integers = node.ints("imputed_value_int64s")
    values = integers or node.floats("imputed_value_floats")
    missing = (
        node.integer("replaced_value_int64") if integers else node.real("replaced_value_float")
    )
    if np.isnan(missing):
        gone = node.emit("IsNaN", x)
    else:
        gone = node.emit("Equal", x, node.add_constant("missing", np.array(missing, dtype)))
    node.pass_on(node.emit("Where", gone, node.add_constant("values", np.array(values, dtype)), x))


@handler("OneHotEncoder", domain=ML)
def one_hot_encoder(node: Node) -> None:
    """A new last axis with 1 at the category of each element."""
    if node.strings("cats_strings"):
        raise node.unsupported("its categories are strings")
    x = node.input(0)
    last = node.add_constant("last", np.array([-1], np.int64))
    dtype = node.scope.dtype(node.input_names[0]) or "int64"
    known = node.add_constant("known", np.array(node.ints("cats_int64s"), dtype))
    same = node.emit("Equal", node.emit("Unsqueeze", x, last), known)
    node.pass_on(node.emit("Cast", same, to=dtype_code("float32")))


@handler("FeatureVectorizer", domain=ML)
def feature_vectorizer(node: Node) -> None:
    """Features next to each other, as float32."""
    parts = [
        node.emit("Cast", node.input(i), to=dtype_code("float32"))
        for i in range(len(node.input_names))
    ]
    node.pass_on(node.emit("Concat", *parts, axis=1) if len(parts) > 1 else parts[0])


@handler("ArrayFeatureExtractor", domain=ML)
def array_feature_extractor(node: Node) -> None:
    """Columns of a matrix."""
    flat = node.add_constant("flat", np.array([-1], np.int64))
    indices = node.emit("Reshape", node.input(1), flat)
    shape = node.shape(0)
    x = node.input(0)
    if shape is None:
        raise node.unsupported("the rank of its input is not known")
    if len(shape) == 1:
        x = node.reshape(x, 1, -1)
    node.pass_on(node.emit("Gather", x, indices, axis=-1))
