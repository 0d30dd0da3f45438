"""Support vector machines (ai.onnx.ml): sums of kernels around vectors, as products of matrices."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from quaver.convert.onnx.dtypes import dtype_code
from quaver.convert.onnx.learned import ML, as_floats, both_scores, chosen_label, transformed
from quaver.convert.onnx.node import Node, handler

Floats = NDArray[np.float32]

# The least probability that one of two classes is given.
_LEAST = 1e-7


@handler("SVMRegressor", domain=ML)
def svm_regressor(node: Node) -> None:
    """A sum of kernels around support vectors."""
    x, _ = as_floats(node)
    count = node.integer("n_supports")
    rho = np.array(node.floats("rho") or [0.0], np.float32)
    weights = np.array(node.floats("coefficients"), np.float32).reshape(-1, 1)
    if count:
        vectors = np.array(node.floats("support_vectors"), np.float32).reshape(count, -1)
        y = node.emit("MatMul", _kernel(node, x, vectors), node.add_constant("weights", weights))
    else:
        y = node.emit("MatMul", x, node.add_constant("weights", weights))
    y = node.emit("Add", y, node.add_constant("rho", rho[:1]))
    if node.integer("one_class"):
        zero = node.add_constant("zero", np.array(0, np.float32))
        signs = [
            node.add_constant(name, np.array(v, np.float32)) for name, v in (("in", 1), ("out", -1))
        ]
        y = node.emit("Where", node.emit("Greater", y, zero), *signs)
    node.pass_on(transformed(node, y, 1))


def _kernel(node: Node, x: int, vectors: Floats) -> int:
    """The kernel of each row with each vector."""
    kind = node.string("kernel_type", "LINEAR")
    gamma, coef0, degree = (*node.floats("kernel_params"), 0.0, 0.0, 3.0)[:3]
    dot = node.emit("MatMul", x, node.add_constant("vectors", np.ascontiguousarray(vectors.T)))
    if kind == "LINEAR":
        return dot

    def number(name: str, value: float) -> int:
        return node.add_constant(name, np.array(value, np.float32))

    if kind == "RBF":  # exp(−γ |x − v|²)
        squares = node.emit("ReduceSumSquare", x, axes=[-1], keepdims=1)
        own = node.add_constant(
            "squares", (vectors.astype(np.float64) ** 2).sum(1).astype(np.float32)
        )
        distance = node.emit("Sub", node.emit("Add", squares, own), node.emit("Add", dot, dot))
        return node.emit("Exp", node.emit("Mul", distance, number("gamma", -gamma)))
    y = node.emit("Add", node.emit("Mul", dot, number("gamma", gamma)), number("coef0", coef0))
    if kind == "POLY":
        return node.emit("Pow", y, number("degree", degree))
    if kind == "SIGMOID":
        return node.emit("Tanh", y)
    raise node.unsupported(f"kernel_type is {kind}")


@handler("SVMClassifier", domain=ML)
def svm_classifier(node: Node) -> None:
    """The class that most of its pairs with others vote for; scores of pairs, or probabilities."""
    classes, sizes = len(node.ints("classlabels_ints")), node.ints("vectors_per_class")
    if not sum(sizes):
        raise node.unsupported("it has no support vectors")
    pairs = list(combinations(range(classes), 2))
    weights, rho = _pair_weights(node, pairs), np.array(node.floats("rho"), np.float32)
    vectors = np.array(node.floats("support_vectors"), np.float32).reshape(sum(sizes), -1)
    if rho.size != len(pairs):
        raise node.invalid(f"rho has {rho.size} numbers for {len(pairs)} pairs of classes")
    x, _ = as_floats(node)
    near = _kernel(node, x, vectors)
    scores = node.emit("MatMul", near, node.add_constant("coefficients", weights))
    scores = node.emit("Add", scores, node.add_constant("rho", rho))
    label = chosen_label(
        node, node.emit("ArgMax", _votes(node, scores, pairs, classes), axis=-1, keepdims=0)
    )
    kind = node.string("post_transform", "NONE")
    if node.floats("prob_a"):
        scores = transformed(node, _probabilities(node, scores), classes)
    elif len(pairs) == 1:
        scores = both_scores(node, scores, kind, positive=False)
    else:
        scores = transformed(node, scores, len(pairs))
    node.bind_outputs(label, scores)


def _pair_weights(node: Node, pairs: list[tuple[int, int]]) -> Floats:
    """What each vector's kernel counts for each pair: only vectors of its two classes do.

    A class has a row of coefficients for each other one.
    """
    sizes = node.ints("vectors_per_class")
    ends = np.cumsum([0, *sizes])
    given = np.array(node.floats("coefficients"), np.float32)
    classes = len(node.ints("classlabels_ints"))
    if len(sizes) != classes or given.size != (classes - 1) * ends[-1]:
        raise node.invalid(
            f"{given.size} coefficients and vectors of {len(sizes)} classes for {classes} labels"
        )
    given = given.reshape(classes - 1, -1)
    weights = np.zeros((int(ends[-1]), len(pairs)), np.float32)
    for pair, (i, j) in enumerate(pairs):
        of_i, of_j = slice(ends[i], ends[i + 1]), slice(ends[j], ends[j + 1])
        weights[of_i, pair] = given[j - 1, of_i]
        weights[of_j, pair] = given[i, of_j]
    return weights


def _votes(node: Node, scores: int, pairs: list[tuple[int, int]], classes: int) -> int:
    """How many pairs each class wins: the first of a pair by a score above 0, else the second."""
    least, turned = np.zeros(classes, np.float32), np.zeros((len(pairs), classes), np.float32)
    for pair, (i, j) in enumerate(pairs):
        least[j] += 1
        turned[pair, [i, j]] = 1, -1
    zero = node.add_constant("zero", np.array(0, np.float32))
    won = node.emit("Cast", node.emit("Greater", scores, zero), to=dtype_code("float32"))
    more = node.emit("MatMul", won, node.add_constant("turned", turned))
    return node.emit("Add", more, node.add_constant("least", least))


def _probabilities(node: Node, scores: int) -> int:
    """The probability of each class, from sigmoids of the scores of pairs."""
    a, b = (np.array(node.floats(name), np.float32) for name in ("prob_a", "prob_b"))
    if a.size != b.size:
        raise node.invalid(f"prob_a has {a.size} numbers, prob_b {b.size}")
    y = node.emit("Mul", scores, node.add_constant("prob_a", -a))
    y = node.emit("Sigmoid", node.emit("Sub", y, node.add_constant("prob_b", b)))
    return node.emit("PairwiseCoupling", node.emit("Clip", y, lo=_LEAST, hi=1 - _LEAST))
