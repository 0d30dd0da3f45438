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
from quaver.convert.onnx.sizes import axes, index_range, length

_HIDDEN = -10000.0  # what ONNX Runtime adds to scores that are masked


class _Heads(NamedTuple):
    """Queries, keys and values, [batch, tokens, heads · size]; the size of a head of each.

    A past is keys and values, [batch, heads, tokens, size], that come before these; as `whole`
    says, these may be of that form as well.
    """

    values: tuple[int, int, int]
    sizes: tuple[int, int, int]
    past: tuple[int, ...] | None = None
    whole: bool = False


@handler("Attention", domain=MICROSOFT)
def attention(node: Node) -> None:
    """Products of x with the weights of queries, keys and values, and what attention makes of them.

    Inputs: x, weights, bias, mask, past keys and values in one, a bias of the scores.
    """
    heads = _head_count(node)
    _refuse(node, {6: "a past's length"}, ("do_rotary",))
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
    past = None
    if node.has(4):
        both = node.emit_all("Split", node.input(4), names=_named(node, "past"), axis=0)
        past = tuple(node.emit("Squeeze", part, axes(node, 0)) for part in both)
    parts = _Heads(values, (query, key, value), past)
    y, keys, kept = _attend(node, heads, parts, mask=3, bias=5)
    if not node.uses_output(1):
        node.outputs = node.outputs[:1]
        node.bind_outputs(y)
        return
    both = [node.emit("Unsqueeze", part, axes(node, 0)) for part in (keys, kept)]
    node.bind_outputs(y, node.emit("Concat", *both, axis=0))


@handler("QAttention", domain=MICROSOFT)
def quantized_attention(node: Node) -> None:
    """Attention whose product with the weights is one of integers.

    Inputs: x, weights, bias, the scales of both, a mask, the zero points of both.
    """
    heads = _head_count(node)
    _refuse(node, {8: "a past"}, ("do_rotary",))
    shape = node.shape(1)
    if shape is None or len(shape) != 2 or shape[1] is None or shape[1] % (3 * heads):
        raise node.unsupported("the shape of its weights is not known, or no multiple of its heads")
    width = shape[1] // 3
    product = node.emit(
        "MatMulInteger", node.input(0), node.input(1), node.optional(6), node.optional(7)
    )
    scale = node.emit("Mul", node.input(3), node.input(4))
    y = node.emit("Mul", node.emit("Cast", product, to=dtype_code("float32")), scale)
    values = _split(node, node.emit("Add", y, node.input(2)), [width] * 3)
    _only_first(node)
    made = _attend(node, heads, _Heads(values, (width // heads,) * 3), mask=5, bias=8)
    node.bind_outputs(made[0])


@handler("MultiHeadAttention", domain=MICROSOFT)
def multi_head_attention(node: Node) -> None:
    """Attention of queries, keys and values that are there already.

    Inputs: queries, keys, values, their bias, a mask of keys, a bias of the scores, past keys and
    values. Keys and values are [batch, heads, tokens, size] where they come from elsewhere.
    """
    heads = _head_count(node)
    _refuse(node, {8: "a past's length", 9: "beams"}, ())
    if not (node.has(1) and node.has(2)):
        raise node.unsupported("queries, keys and values are packed into one tensor")
    shapes = [node.shape(i) for i in range(3)]
    widths = []
    for shape in shapes:
        width = None if shape is None or len(shape) not in (3, 4) else shape[-1]
        if shape is None or width is None:
            raise node.unsupported("it takes [batch, tokens, heads * size], of a known width")
        widths.append(width * heads if len(shape) == 4 else width)
    values = [node.input(i) for i in range(3)]
    if node.has(3):
        bias = node.constant(3, "its bias")
        ends = np.cumsum(widths)[:-1]
        for i, part in enumerate(np.split(bias, ends)):
            row = node.add_constant(f"bias{i}", np.ascontiguousarray(part))
            values[i] = node.emit("Add", values[i], row)
    query, key, value = (width // heads for width in widths)
    past = (node.input(6), node.input(7)) if node.has(6) else None
    whole = all(shape is not None and len(shape) == 4 for shape in shapes[1:])
    parts = _Heads((values[0], values[1], values[2]), (query, key, value), past, whole)
    made = _attend(node, heads, parts, mask=4, bias=5)
    if not any(node.uses_output(i) for i in (1, 2)):
        node.outputs = node.outputs[:1]
    node.bind_outputs(*made)


@handler("EmbedLayerNormalization", domain=MICROSOFT)
def embed_layer_normalization(node: Node) -> None:
    """The sum of a token's embeddings, normalized.

    Inputs: tokens, segments, tables of words, positions and segments, gamma, beta, mask, positions.
    Outputs: the result, how many tokens of each row the mask shows, the sum.
    """
    words = _rows(node, 2, node.input(0))
    if node.op == "EmbedLayerNormalization" and node.has(8):
        at = node.input(8)
    else:
        tokens = length(node, node.input(0), 1)
        at = node.emit("Unsqueeze", index_range(node, tokens), axes(node, 0))
    total = node.emit("Add", words, _rows(node, 3, at))
    if node.has(4):
        total = node.emit("Add", total, _rows(node, 4, node.input(1)))
    epsilon = node.real("epsilon", 1e-12)
    y = node.emit("LayerNormalization", total, node.input(5), node.input(6), epsilon=epsilon)
    shown = node.optional(7)
    if not node.uses_output(1):
        shown = y
    elif shown is None:
        rows = node.emit("Shape", node.input(0), end=1)
        shown = node.emit("Expand", node.add_constant("none", np.zeros((), np.int32)), rows)
    else:
        count = node.emit("Cast", shown, to=dtype_code("int32"))
        shown = node.emit("ReduceSum", count, axes=[1], keepdims=0)
    names = node.outputs
    node.outputs = [names[0], names[1] if node.uses_output(1) else "", *names[2:3]]
    node.bind_outputs(y, shown, total)


@handler("QEmbedLayerNormalization", domain=MICROSOFT)
def quantized_embed_layer_normalization(node: Node) -> None:
    """The same with all that is constant in bytes; scales follow, then zero points."""
    for i in (5, 6):
        numbers = node.constant(i, "its scale and shift").astype(np.float32)
        zero = node.constant(i + 11, "their zero points").astype(np.float32)
        name = f"{node.outputs[0]}/reals{i}"
        reals = (numbers - zero) * node.constant(i + 6, "their scales")
        node.scope.bind_constant(name, reals.astype(np.float32))
        node.input_names[i] = name
    embed_layer_normalization(node)


def _rows(node: Node, table: int, indices: int) -> int:
    """Rows of a table; of bytes, whose scale and zero point stand behind it, as reals."""
    rows = node.emit("Gather", node.input(table), indices)
    if node.op == "EmbedLayerNormalization":
        return rows
    return node.emit("DequantizeLinear", rows, node.input(table + 6), node.input(table + 11))


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


def _named(node: Node, what: str) -> list[str]:
    return [f"{node.outputs[0]}/{what}/{part}" for part in ("keys", "values")]


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
        return _split(node, y, widths)
    return made[0], made[1], made[2]


def _split(node: Node, value: int, widths: list[int]) -> tuple[int, int, int]:
    sizes = node.add_constant("widths", np.array(widths, np.int64))
    names = [f"{node.outputs[0]}/{part}" for part in "qkv"]
    query, key, kept = node.emit_all("Split", value, sizes, names=names, axis=2)
    return query, key, kept


def _attend(node: Node, heads: int, parts: _Heads, mask: int, bias: int) -> tuple[int, int, int]:
    """Return the result, and all keys and values, [batch, heads, tokens, size]."""
    apart: list[int] = []
    for i, (value, size) in enumerate(zip(parts.values, parts.sizes, strict=True)):
        if parts.whole and i:
            apart.append(value)
            continue
        shape = node.add_constant(f"heads{i}", np.array([0, 0, heads, size], np.int64))
        apart.append(node.transpose(node.emit("Reshape", value, shape), 0, 2, 1, 3))
    query, *kept = apart
    if parts.past is not None:
        kept = [
            node.emit("Concat", before, value, axis=2)
            for before, value in zip(parts.past, kept, strict=True)
        ]
    keys, values = kept
    scale = node.real("scale") or parts.sizes[0] ** -0.5
    scores = node.emit("MatMul", query, node.transpose(keys, 0, 1, 3, 2))
    scores = node.emit("Mul", scores, scalar(node, "scale", scale))
    if node.has(bias):
        scores = node.emit("Add", scores, node.input(bias))
    tokens = length(node, keys, 2)
    if node.has(mask):
        scores = node.emit("Add", scores, _hidden(node, mask, tokens))
    if node.integer("unidirectional"):
        scores = node.emit("Add", scores, _later(node, length(node, query, 2), tokens))
    weights = node.emit("Softmax", scores, axis=-1)
    mixed = node.transpose(node.emit("MatMul", weights, values), 0, 2, 1, 3)
    joined = node.add_constant("joined", np.array([0, 0, heads * parts.sizes[2]], np.int64))
    return node.emit("Reshape", mixed, joined), keys, values


def _hidden(node: Node, index: int, tokens: int) -> int:
    """What is added to scores of masked keys.

    The mask is [batch, keys] or [batch, tokens, keys] of 0 and 1, or the length of each row.
    """
    shape, mask = node.shape(index), node.input(index)
    rank = None if shape is None else len(shape)
    if rank == 1:
        at = node.emit("Cast", index_range(node, tokens), to=dtype_code("int32"))
        seen = node.emit("Less", at, node.emit("Unsqueeze", mask, axes(node, 1)))
        rank = 2
    elif rank in (2, 3):
        zero = node.add_constant("zero", np.array(0, np.int32))
        seen = node.emit("Greater", mask, zero)
    else:
        raise node.unsupported(
            f"its mask has {'an unknown number of' if rank is None else rank} axes"
        )
    spread = node.emit("Unsqueeze", seen, axes(node, *((1, 2) if rank == 2 else (1,))))
    filled = scalar(node, "hidden", node.real("mask_filter_value", _HIDDEN))
    return node.emit("Where", spread, scalar(node, "shown", 0.0), filled)


def _later(node: Node, queries: int, keys: int) -> int:
    """What hides the keys behind each query; the last query is the last key's."""
    first = node.emit("Sub", keys, queries)
    rows = node.emit("Add", index_range(node, queries), first)
    rows = node.emit("Unsqueeze", rows, axes(node, 1))
    behind = node.emit("Greater", index_range(node, keys), rows)
    lowest = scalar(node, "lowest", float(np.finfo(np.float32).min))
    return node.emit("Where", behind, lowest, scalar(node, "open", 0.0))
