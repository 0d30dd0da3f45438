"""Rotary positions, and attention with fewer heads of keys, as language models are exported."""

from __future__ import annotations

import numpy as np

from quaver.convert.onnx.dtypes import dtype_code
from quaver.convert.onnx.linear import scalar
from quaver.convert.onnx.node import MICROSOFT, Node, handler
from quaver.convert.onnx.sizes import axes, index_range, length


@handler("RotaryEmbedding", domain=MICROSOFT)
def rotary_embedding(node: Node) -> None:
    """Pairs of numbers turned by an angle of their position.

    Inputs: x of [batch, tokens, heads · size] or [batch, heads, tokens, size], positions (or the
    first one), cosines, sines.
    """
    shape, at = node.shape(0), node.shape(1)
    if shape is None or len(shape) not in (3, 4) or at is None:
        raise node.unsupported(
            "the ranks of its inputs are not known, or others than ONNX Runtime's"
        )
    if node.integer("is_packed_batching"):
        raise node.unsupported("its attribute is_packed_batching is set")
    x, places = node.input(0), node.input(1)
    if len(at) == 1:
        tokens = length(node, x, 1 if len(shape) == 3 else 2)
        places = node.emit("Add", index_range(node, tokens), places)
        places = node.emit("Unsqueeze", places, axes(node, 0))
    head = 1 if len(shape) == 4 else 2
    angles = [
        node.emit("Unsqueeze", node.emit("Gather", node.input(i), places, axis=0), axes(node, head))
        for i in (2, 3)
    ]
    if len(shape) == 4:
        node.pass_on(_turned(node, x, *angles, interleaved=node.integer("interleaved")))
        return
    heads = node.integer("num_heads")
    sizes = [0, 0, heads, -1] if heads else [0, 0, -1, 2 * _pairs(node, 2)]
    y = _turned(node, node.reshape(x, *sizes), *angles, interleaved=node.integer("interleaved"))
    node.result("Reshape", y, node.add_constant("joined", np.array([0, 0, -1])))


@handler("GroupQueryAttention", domain=MICROSOFT)
def group_query_attention(node: Node) -> None:
    """Attention whose heads share heads of keys and values, which are kept for later tokens.

    Inputs: queries (or all three in one), keys, values, past keys and values of [batch, heads,
    tokens, size], how many tokens of each row count, less one; the longest; cosines, sines,
    positions, a bias of the scores, a score for each head that stands for no key.
    """
    heads, shared = node.integer("num_heads"), node.integer("kv_num_heads")
    if heads < 1 or shared < 1 or heads % shared:
        raise node.invalid(f"{heads} heads over {shared} of keys")
    for name in ("qk_output", "k_quant_type", "v_quant_type"):
        if node.has_attribute(name) and _set(node, name):
            raise node.unsupported(f"its attribute {name} is set")
    if any(node.has(i) for i in range(12, 16)):
        raise node.unsupported("it has scales of keys and values")
    query, key, value = _apart(node, heads, shared)
    tokens = length(node, query, 1)
    first = _first(node, tokens)
    if node.integer("do_rotary"):
        query, key = _rotated(node, query, key, node.emit("Add", first, index_range(node, tokens)))
    keys, values = (
        _kept(node, node.optional(i), node.transpose(new, 0, 2, 1, 3), first, tokens)
        for i, new in ((3, key), (4, value))
    )
    hidden = _hidden(node, first, tokens, length(node, keys, 2))
    if node.has(10):
        hidden = node.emit("Add", hidden, node.input(10))
    query = node.transpose(query, 0, 2, 1, 3)
    scale = node.real("scale") or _size(node, heads, shared) ** -0.5
    if node.real("softcap") or node.has(11) or node.integer("smooth_softmax") > 0:
        y = _bounded(node, query, (keys, values), hidden, scale)
    else:
        y = node.emit(
            "Attention",
            *(query, keys, values, hidden),
            heads=heads,
            kv_heads=shared,
            scale=scale,
            flat=1,
        )
    node.bind_outputs(y, keys, values)


def _bounded(node: Node, query: int, kept: tuple[int, int], hidden: int, scale: float) -> int:
    """Attention whose scores stay within a cap, and whose weights may go to no key at all."""
    heads, shared = node.integer("num_heads"), node.integer("kv_num_heads")
    if heads > shared:
        of_head = node.add_constant("of_head", np.arange(heads) // (heads // shared))
        kept = (
            node.emit("Gather", kept[0], of_head, axis=1),
            node.emit("Gather", kept[1], of_head, axis=1),
        )
    scores = node.emit("MatMul", query, node.transpose(kept[0], 0, 1, 3, 2))
    scores = node.emit("Mul", scores, scalar(node, "scale", scale))
    if cap := node.real("softcap"):
        bounded = node.emit("Tanh", node.emit("Mul", scores, scalar(node, "steepness", 1 / cap)))
        scores = node.emit("Mul", bounded, scalar(node, "cap", cap))
    scores = node.emit("Add", scores, hidden)
    if node.has(11) or node.integer("smooth_softmax") > 0:
        weights = _with_sink(node, scores, heads)
    else:
        weights = node.emit("Softmax", scores, axis=-1)
    mixed = node.transpose(node.emit("MatMul", weights, kept[1]), 0, 2, 1, 3)
    return node.reshape(mixed, 0, 0, -1)


def _with_sink(node: Node, scores: int, heads: int) -> int:
    """Softmax of scores and one more for each head, whose weight is dropped."""
    sink = scalar(node, "sink", 0.0)
    if node.has(11):
        sink = node.reshape(node.input(11), 1, heads, 1, 1)
    rows = node.emit("Concat", node.emit("Shape", scores, end=3), axes(node, 1), axis=0)
    every = node.emit("Concat", scores, node.emit("Expand", sink, rows), axis=-1)
    weights = node.emit("Softmax", every, axis=-1)
    return node.emit("Slice", weights, *(axes(node, i) for i in (0, -1, -1)))


def _set(node: Node, name: str) -> bool:
    if name in ("k_quant_type", "v_quant_type"):
        return node.string(name) not in ("", "NONE")
    return node.integer(name) > 0


def _pairs(node: Node, index: int) -> int:
    shape = node.shape(index)
    if shape is None or len(shape) != 2 or shape[1] is None:
        raise node.unsupported("the shape of its cosines is not known")
    return shape[1]


def _size(node: Node, heads: int, shared: int) -> int:
    """Return the size of a head."""
    past, shape = node.shape(3), node.shape(0)
    if past is not None and len(past) == 4 and past[3] is not None:
        return past[3]
    if shape is None or len(shape) != 3 or shape[2] is None:
        raise node.unsupported("the width of its queries is not known")
    return shape[2] // (heads if node.has(1) else heads + 2 * shared)


def _apart(node: Node, heads: int, shared: int) -> tuple[int, int, int]:
    """Queries, keys and values, [batch, tokens, heads, size]."""
    counts = (heads, shared, shared)
    if node.has(1):
        parts = [node.reshape(node.input(i), 0, 0, n, -1) for i, n in enumerate(counts)]
    else:
        every = node.reshape(node.input(0), 0, 0, sum(counts), -1)
        names = [f"{node.outputs[0]}/{part}" for part in ("queries", "keys", "values")]
        sizes = node.add_constant("counts", np.array(counts, np.int64))
        parts = node.emit_all("Split", every, sizes, names=names, axis=2)
    return parts[0], parts[1], parts[2]


def _first(node: Node, tokens: int) -> int:
    """The position of each row's first token, [batch, 1]; rows may be padded behind."""
    last = node.emit("Cast", node.emit("Reshape", node.input(5), axes(node, -1, 1)), to=_INT64)
    one = node.add_constant("one", np.array(1, np.int64))
    first = node.emit("Sub", node.emit("Add", last, one), tokens)
    return node.emit("Max", first, node.add_constant("least", np.array(0, np.int64)))


def _rotated(node: Node, query: int, key: int, places: int) -> list[int]:
    if node.has(9):
        places = node.input(9)
    angles = [
        node.emit("Unsqueeze", node.emit("Gather", node.input(i), places, axis=0), axes(node, 2))
        for i in (7, 8)
    ]
    turn = node.integer("rotary_interleaved")
    return [_turned(node, part, *angles, interleaved=turn) for part in (query, key)]


def _turned(node: Node, x: int, cos: int, sin: int, *, interleaved: int) -> int:
    """Turn the pairs of the last axis, as many as there are angles; the rest stays.

    A pair is two neighbours where it is `interleaved`, else one number of each half.
    """
    pairs = _pairs(node, 2 if node.op == "RotaryEmbedding" else 7)
    end = node.add_constant("end", np.array([np.iinfo(np.int64).max]))
    last = axes(node, -1)

    def cut(start: int, stop: int | None, step: int = 1) -> int:
        stops = end if stop is None else axes(node, stop)
        return node.emit("Slice", x, axes(node, start), stops, last, axes(node, step))

    if interleaved:
        one, two = cut(0, 2 * pairs, 2), cut(1, 2 * pairs, 2)
    else:
        one, two = cut(0, pairs), cut(pairs, 2 * pairs)
    left = node.emit("Sub", node.emit("Mul", one, cos), node.emit("Mul", two, sin))
    right = node.emit("Add", node.emit("Mul", two, cos), node.emit("Mul", one, sin))
    if interleaved:
        both = [node.emit("Unsqueeze", part, last) for part in (left, right)]
        turned = node.reshape(node.emit("Concat", *both, axis=-1), 0, 0, 0, 2 * pairs)
        return node.emit("Concat", turned, cut(2 * pairs, None), axis=-1)
    return node.emit("Concat", left, right, cut(2 * pairs, None), axis=-1)


def _kept(node: Node, past: int | None, new: int, first: int, tokens: int) -> int:
    """Past and new keys or values; a row's new ones follow its last, which padding may follow."""
    if past is None:
        return new
    every = node.emit("Concat", past, new, axis=2)
    places = node.emit("Add", first, index_range(node, tokens))
    places = node.emit("Unsqueeze", places, axes(node, 1, 3))
    places = node.emit("Expand", places, node.emit("Shape", new))
    return node.emit("ScatterElements", every, places, new, axis=2)


def _hidden(node: Node, first: int, tokens: int, keys: int) -> int:
    """What is added to scores of keys behind a query, or too far before it."""
    query = node.emit(
        "Unsqueeze", node.emit("Add", first, index_range(node, tokens)), axes(node, 2)
    )
    key = index_range(node, keys)
    behind = node.emit("Greater", key, query)
    window = node.integer("local_window_size", -1)
    if window > 0:
        width = node.add_constant("window", np.array(window, np.int64))
        behind = node.emit(
            "Or", behind, node.emit("LessOrEqual", key, node.emit("Sub", query, width))
        )
    lowest = scalar(node, "lowest", float(np.finfo(np.float32).min))
    hidden = node.emit("Where", behind, lowest, scalar(node, "open", 0.0))
    return node.emit("Unsqueeze", hidden, axes(node, 1))


_INT64 = dtype_code("int64")
