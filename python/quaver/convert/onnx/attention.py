"""Attention as ONNX Runtime's optimizer fuses it: Attention, MultiHeadAttention, embeddings.

Written out again in the operators that exporters leave; the passes know them, and fuse them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from quaver.convert.onnx.dtypes import dtype_code
from quaver.convert.onnx.linear import scalar
from quaver.convert.onnx.node import MICROSOFT, Node, handler

_HIDDEN = -10000.0  # what ONNX Runtime adds to scores that are masked


class _Heads(NamedTuple):
    """Queries, keys and values, [batch, tokens, heads · size]; the size of a head of each."""

    values: tuple[int, int, int]
    sizes: tuple[int, int, int]


@handler("Attention", domain=MICROSOFT)
def attention(node: Node) -> None:
    """Products of x with the weights of queries, keys and values, and what attention makes of them.

    Inputs: x, weights, bias, mask, past, a bias of the scores.
    """
    heads = _head_count(node)
    _refuse(node, {4: "a past", 6: "a past's length"}, ("do_rotary",))
    _only_first(node)
    shape = node.shape(1)
    widths = node.ints("qkv_hidden_sizes")
    if not widths:
        if shape is None or len(shape) != 2 or not isinstance(shape[1], int):
            raise node.unsupported("the shape of its weights is not known")
        widths = [shape[1] // 3] * 3
    if any(width % heads for width in widths):
        raise node.invalid(f"{heads} heads do not share {widths} columns")
    values = _projected(node, widths)
    query, key, value = (width // heads for width in widths)
    _attend(node, heads, _Heads(values, (query, key, value)), mask=3, bias=5)


@handler("MultiHeadAttention", domain=MICROSOFT)
def multi_head_attention(node: Node) -> None:
    """Attention of queries, keys and values that are there already.

    Inputs: queries, keys, values, their bias, a mask of keys, a bias of the scores, a past.
    """
    heads = _head_count(node)
    _refuse(node, {6: "a past", 7: "a past"}, ())
    _only_first(node)
    if not (node.has(1) and node.has(2)):
        raise node.unsupported("queries, keys and values are packed into one tensor")
    shapes = [node.shape(i) for i in range(3)]
    widths = []
    for shape in shapes:
        if shape is None or len(shape) != 3 or not isinstance(shape[2], int):
            raise node.unsupported("it takes [batch, tokens, heads * size], of a known width")
        widths.append(shape[2])
    values = [node.input(i) for i in range(3)]
    if node.has(3):
        bias = node.constant(3, "its bias")
        ends = np.cumsum(widths)[:-1]
        for i, part in enumerate(np.split(bias, ends)):
            row = node.add_constant(f"bias{i}", np.ascontiguousarray(part))
            values[i] = node.emit("Add", values[i], row)
    query, key, value = (width // heads for width in widths)
    parts = _Heads((values[0], values[1], values[2]), (query, key, value))
    _attend(node, heads, parts, mask=4, bias=5)


@handler("EmbedLayerNormalization", domain=MICROSOFT)
def embed_layer_normalization(node: Node) -> None:
    """The sum of a token's embeddings, normalized.

    Inputs: tokens, segments, tables of words, positions and segments, gamma, beta, mask, positions.
    Outputs: the result, how many tokens of each row the mask shows, the sum.
    """
    words = node.emit("Gather", node.input(2), node.input(0))
    if node.has(8):
        at = node.input(8)
    else:
        length = _length(node, node.input(0), 1)
        at = node.emit("Unsqueeze", _range(node, length), _axes(node, 0))
    total = node.emit("Add", words, node.emit("Gather", node.input(3), at))
    if node.has(4):
        total = node.emit("Add", total, node.emit("Gather", node.input(4), node.input(1)))
    epsilon = node.real("epsilon", 1e-12)
    y = node.emit("LayerNormalization", total, node.input(5), node.input(6), epsilon=epsilon)
    shown = node.optional(7)
    if node.uses_output(1):
        if shown is None:
            raise node.unsupported("its second output is used, and it has no mask")
        count = node.emit("Cast", shown, to=dtype_code("int32"))
        shown = node.emit("ReduceSum", count, axes=[1], keepdims=0)
    else:
        shown = y
    names = node.outputs
    node.outputs = [names[0], names[1] if node.uses_output(1) else "", *names[2:3]]
    node.bind_outputs(y, shown, total)


def _head_count(node: Node) -> int:
    heads = node.integer("num_heads")
    if heads < 1:
        raise node.invalid("attribute 'num_heads' is missing")
    return heads


def _refuse(node: Node, inputs: dict[int, str], attributes: tuple[str, ...]) -> None:
    for index, what in inputs.items():
        if node.has(index):
            raise node.unsupported(f"it has {what}")
    for name in attributes:
        if node.integer(name):
            raise node.unsupported(f"its attribute {name} is set")


def _only_first(node: Node) -> None:
    if any(node.uses_output(i) for i in range(1, len(node.outputs))):
        raise node.unsupported("its second output, what is to become the past, is used")
    node.outputs = node.outputs[:1]


def _projected(node: Node, widths: list[int]) -> tuple[int, int, int]:
    """Queries, keys and values of x: by a product each, where the weights are constants."""
    x, weights, bias = node.input(0), node.array(1), node.array(2)
    ends = [0, *np.cumsum(widths)]
    spans = list(pairwise(ends))
    made = []
    if weights is not None and (bias is not None or not node.has(2)):
        for part, (low, high) in zip("qkv", spans, strict=True):
            columns = np.ascontiguousarray(weights[:, low:high])
            y = node.emit("MatMul", x, node.add_constant(f"{part}/weight", columns))
            if bias is not None:
                row = np.ascontiguousarray(bias[low:high])
                y = node.emit("Add", y, node.add_constant(f"{part}/bias", row))
            made.append(y)
    else:
        y = node.emit("MatMul", x, node.input(1))
        if (added := node.optional(2)) is not None:
            y = node.emit("Add", y, added)
        sizes = node.add_constant("widths", np.array(widths, np.int64))
        names = [f"{node.outputs[0]}/{part}" for part in "qkv"]
        made = node.emit_all("Split", y, sizes, names=names, axis=2)
    return made[0], made[1], made[2]


def _attend(node: Node, heads: int, parts: _Heads, mask: int, bias: int) -> None:
    perms = ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3))
    apart: list[int] = []
    for value, size, perm in zip(parts.values, parts.sizes, perms, strict=True):
        shape = node.add_constant(f"heads{len(apart)}", np.array([0, 0, heads, size], np.int64))
        apart.append(node.transpose(node.emit("Reshape", value, shape), *perm))
    scale = node.real("scale") or parts.sizes[0] ** -0.5
    scores = node.emit("MatMul", *apart[:2])
    scores = node.emit("Mul", scores, scalar(node, "scale", scale))
    if node.has(bias):
        scores = node.emit("Add", scores, node.input(bias))
    tokens = _length(node, parts.values[1], 1)
    if node.has(mask):
        scores = node.emit("Add", scores, _hidden(node, mask, tokens))
    if node.integer("unidirectional"):
        scores = node.emit("Add", scores, _later(node, _length(node, parts.values[0], 1), tokens))
    weights = node.emit("Softmax", scores, axis=-1)
    mixed = node.transpose(node.emit("MatMul", weights, apart[2]), 0, 2, 1, 3)
    joined = node.add_constant("joined", np.array([0, 0, heads * parts.sizes[2]], np.int64))
    node.result("Reshape", mixed, joined)


def _hidden(node: Node, index: int, tokens: int) -> int:
    """What is added to scores of masked keys.

    The mask is [batch, keys] or [batch, tokens, keys] of 0 and 1, or the length of each row.
    """
    shape, mask = node.shape(index), node.input(index)
    rank = None if shape is None else len(shape)
    if rank == 1:
        at = node.emit("Cast", _range(node, tokens), to=dtype_code("int32"))
        seen = node.emit("Less", at, node.emit("Unsqueeze", mask, _axes(node, 1)))
        rank = 2
    elif rank in (2, 3):
        zero = node.add_constant("zero", np.array(0, np.int32))
        seen = node.emit("Greater", mask, zero)
    else:
        raise node.unsupported(
            f"its mask has {'an unknown number of' if rank is None else rank} axes"
        )
    spread = node.emit("Unsqueeze", seen, _axes(node, *((1, 2) if rank == 2 else (1,))))
    filled = scalar(node, "hidden", node.real("mask_filter_value", _HIDDEN))
    return node.emit("Where", spread, scalar(node, "shown", 0.0), filled)


def _later(node: Node, queries: int, keys: int) -> int:
    """What hides the keys behind each query."""
    rows = node.emit("Unsqueeze", _range(node, queries), _axes(node, 1))
    behind = node.emit("Greater", _range(node, keys), rows)
    lowest = scalar(node, "lowest", float(np.finfo(np.float32).min))
    return node.emit("Where", behind, lowest, scalar(node, "open", 0.0))


def _length(node: Node, value: int, axis: int) -> int:
    """A dimension, as a scalar."""
    at = node.add_constant("axis", np.array(axis, np.int64))
    return node.emit("Gather", node.emit("Shape", value), at, axis=0)


def _range(node: Node, end: int) -> int:
    start, step = (node.add_constant(f"from{i}", np.array(i, np.int64)) for i in (0, 1))
    return node.emit("Range", start, end, step)


def _axes(node: Node, *axes: int) -> int:
    return node.add_constant("axes", np.array(axes, np.int64))
