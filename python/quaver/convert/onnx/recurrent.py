"""LSTM, GRU and RNN: products with the input first, then the recurrence, direction by direction."""

from __future__ import annotations

import numpy as np

from quaver.convert.builder import Attributes
from quaver.convert.onnx.node import MICROSOFT, Node, handler

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_ACTIVATIONS = {
    "LSTM": ["Sigmoid", "Tanh", "Tanh"],
    "GRU": ["Sigmoid", "Tanh"],
    "RNN": ["Tanh"],
}
# What alpha and beta are where a node does not say; functions that are not here have none.
_ALPHA = {
    "Affine": 1.0,
    "LeakyRelu": 0.01,
    "ThresholdedRelu": 1.0,
    "ScaledTanh": 1.0,
    "HardSigmoid": 0.2,
    "Elu": 1.0,
}
_BETA = {"Affine": 0.0, "ScaledTanh": 1.0, "HardSigmoid": 0.5}


@handler("LSTM", "GRU", "RNN")
def recurrent(node: Node) -> None:
    """x, W, R, biases, lengths, h0; of an LSTM also c0 and peepholes."""
    direction = node.string("direction", "forward")
    backwards = {"forward": [0], "reverse": [1], "bidirectional": [0, 1]}.get(direction)
    if backwards is None:
        raise node.invalid(f"direction is '{direction}'")
    batch_first = bool(node.integer("layout"))
    x = node.transpose(node.input(0), 1, 0, 2) if batch_first else node.input(0)
    results = [
        _direction(
            node,
            x,
            d,
            reverse=reverse,
            batch_first=batch_first,
            attrs=_attributes(node, d, len(backwards)),
        )
        for d, reverse in enumerate(backwards)
    ]
    ys, *states = zip(*results, strict=True)
    node.outputs += [""] * (1 + len(states) - len(node.outputs))
    # Y is [T, directions, B, H], with batch_first [B, T, directions, H]; states [directions, B, H].
    _bind(node, 0, _stacked(node, list(ys), 2 if batch_first else 1), batch_first, (1, 0, 2, 3))
    for i, parts in enumerate(states, 1):
        _bind(node, i, _stacked(node, list(parts), 0), batch_first, (1, 0, 2))


@handler("DynamicQuantizeLSTM", domain=MICROSOFT)
def dynamic_quantize_lstm(node: Node) -> None:
    """An LSTM with weights of bytes, each input by gate; they become reals here."""
    for index, scale in ((1, 8), (2, 10)):
        numbers = node.constant(index, "its weights").astype(np.float32)
        factors = node.constant(scale, "its scales").reshape(len(numbers), 1, -1)
        if node.has(scale + 1):
            numbers -= node.constant(scale + 1, "its zero points").reshape(factors.shape)
        name = f"{node.outputs[0]}/weights{index}"
        reals = (numbers * factors).transpose(0, 2, 1)
        node.scope.bind_constant(name, np.ascontiguousarray(reals, np.float32))
        node.input_names[index] = name
    node.op = "LSTM"
    recurrent(node)


def _direction(
    node: Node, x: int, d: int, *, reverse: int, batch_first: bool, attrs: Attributes
) -> list[int]:
    """Emit one direction; give every h, the last h, and the last c of an LSTM."""
    gates = _GATES[node.op]
    w, r = _part(node, 1, d), _part(node, 2, d)
    assert w is not None
    assert r is not None
    linear = bool(node.integer("linear_before_reset"))
    bias, new_bias = _biases(node, d, gates, linear)
    product = node.emit("MatMul", x, node.transpose(w, 1, 0))
    if bias is not None:
        product = node.emit("Add", product, bias)
    inputs = [product, r, node.optional(4), _part(node, 5, d, batch_first)]
    if node.op == "LSTM":
        inputs += [_part(node, 6, d, batch_first), _part(node, 7, d)]
    elif node.op == "GRU":
        attrs["linear_before_reset"] = int(linear)
        inputs.append(new_bias)
    states = 3 if node.op == "LSTM" else 2
    names = [f"{node.outputs[0]}/{d}/{i}" for i in range(states)]
    return node.emit_all(node.op, *inputs, names=names, reverse=reverse, **attrs)


def _part(node: Node, index: int, d: int, batch_first: bool = False) -> int | None:
    """Return direction d of an input whose first axis (second in a batch-first state) is these."""
    if (array := node.array(index)) is not None:
        axis = 1 if batch_first else 0
        return node.add_constant(f"{index}/{d}", np.take(array, d, axis))
    value = node.optional(index)
    if value is None:
        return None
    at = node.add_constant(f"{index}/{d}/at", np.array(d, np.int64))
    return node.emit("Gather", value, at, axis=1 if batch_first else 0)


def _biases(node: Node, d: int, gates: int, linear: bool) -> tuple[int | None, int | None]:
    """Return the sum of both biases, and apart what a GRU adds before it resets."""
    both = _part(node, 3, d)
    if both is None:
        return None, None
    halves = node.reshape(both, 2, -1)
    if node.op != "GRU" or not linear:
        axes = [0]
        return node.emit("ReduceSum", halves, axes=axes, keepdims=0), None
    parts = node.reshape(both, 2 * gates, -1)

    def pick(suffix: str, rows: list[int]) -> int:
        return node.emit("Gather", parts, node.add_constant(f"{d}/{suffix}", np.array(rows)))

    flat = node.add_constant(f"{d}/flat", np.array([-1]))
    early = node.emit("Add", pick("w", [0, 1]), pick("r", [3, 4]))
    bias = node.emit("Concat", early, pick("n", [2]), axis=0)
    return node.emit("Reshape", bias, flat), node.emit("Reshape", pick("rn", [5]), flat)


def _attributes(node: Node, d: int, directions: int) -> Attributes:
    """Return activations with their parameters, and the rest of a direction's attributes."""
    count = len(_ACTIVATIONS[node.op])
    names = node.strings("activations") or _ACTIVATIONS[node.op] * directions
    if len(names) != count * directions:
        raise node.invalid(f"it has {len(names)} activations, expected {count * directions}")
    known = {name.lower(): name for name in (*_ALPHA, "Sigmoid", "Tanh", "Relu", "Softsign")}
    known["softplus"] = "Softplus"
    names = [known.get(name.lower(), name) for name in names]
    alphas, betas = iter(node.floats("activation_alpha")), iter(node.floats("activation_beta"))
    alpha = [float(next(alphas, _ALPHA[n])) if n in _ALPHA else 0.0 for n in names]
    beta = [float(next(betas, _BETA[n])) if n in _BETA else 0.0 for n in names]
    mine = slice(d * count, (d + 1) * count)
    attrs: Attributes = {
        "activations": ",".join(names[mine]),
        "alphas": alpha[mine],
        "betas": beta[mine],
    }
    if node.has_attribute("clip"):
        attrs["clip"] = node.real("clip")
    if node.op == "LSTM":
        attrs["input_forget"] = node.integer("input_forget")
    return attrs


def _stacked(node: Node, parts: list[int], axis: int) -> int:
    at = node.add_constant(f"axis{axis}", np.array([axis], np.int64))
    values = [node.emit("Unsqueeze", part, at) for part in parts]
    return node.emit("Concat", *values, axis=axis) if len(values) > 1 else values[0]


def _bind(node: Node, index: int, value: int, batch_first: bool, perm: tuple[int, ...]) -> None:
    name = node.outputs[index]
    if not name:
        return
    if batch_first:
        value = node.transpose(value, *perm)
    made = node.scope.builder.add_node("Identity", node.name, [value], [name], {})
    node.scope.bind(name, made[0])
