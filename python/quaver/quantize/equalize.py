"""Cross-layer equalization: channels of an activation scaled to use their common range alike.

Where relu(k · x) = k · relu(x), a factor k > 0 per channel can move between the weights that make a
tensor and those that take it, and the network computes the same (M. Nagel et al., "Data-Free
Quantization through Weight Equalization and Bias Correction", ICCV 2019). There the ranges of
weights are balanced. Here rows of weights have scales of their own and factors on them cost
nothing, so what is balanced is the range of the activations' channels against the columns of the
weights that take them, as G. Xiao et al. do for transformers ("SmoothQuant", ICML 2023). A
depthwise convolution has a scale for each column, so there columns do not count. The factor is the
square root of what would balance them: other data than the samples may need the rest of the range.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import onnx

from quaver.quantize.calibrate import Statistics
from quaver.quantize.net import Array, Net, attribute

_HOMOGENEOUS = frozenset(
    {"Add", "AveragePool", "Clip", "GlobalAveragePool", "Identity", "LeakyRelu", "MaxPool", "Relu"}
)
_LIMIT = 8.0  # of a factor


@dataclass
class Group:
    """Tensors whose channels can only be scaled together."""

    tensors: list[str] = field(default_factory=list)
    makers: list[onnx.NodeProto] = field(default_factory=list)
    takers: list[onnx.NodeProto] = field(default_factory=list)


def groups(net: Net) -> list[Group]:
    """Find what can be equalized: made by and taken by convolutions and products alone."""
    parent = {name: name for name in (*net.inputs, *net.producer)}

    def find(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    linking = [node for node in net.nodes if _links(net, node)]
    for node in linking:
        for name in _activations(node):
            parent[find(name)] = find(node.output[0])
    found: dict[str, Group] = {}
    for name in parent:
        found.setdefault(find(name), Group()).tensors.append(name)
    links = {node.name for node in linking}
    return [group for group in found.values() if _complete(net, group, links)]


def equalize(net: Net, found: list[Group], statistics: Statistics) -> list[dict[str, object]]:
    """Scale the weights of the net in place.

    Parameters
    ----------
    net
        The float model.
    found
        What `groups` gave.
    statistics
        Channels of the groups' tensors, from a few samples.

    Returns
    -------
    list of dict
        For each group that changed: its makers, and the largest factor.
    """
    report: list[dict[str, object]] = []
    for group in found:
        factor = _factors(net, group, statistics)
        if factor is None or np.allclose(factor, 1.0, rtol=0.05):
            continue
        for node in group.makers:
            _scale_rows(net, node, factor)
        for node in group.takers:
            _scale_columns(net, node, 1 / factor)
        report.append(
            {
                "nodes": [node.name for node in group.makers],
                "largest": float(factor.max()),
                "least": float(factor.min()),
            }
        )
    return report


def _links(net: Net, node: onnx.NodeProto) -> bool:
    """Whether any positive factor per channel passes through, for every input there may be."""
    if node.op_type not in _HOMOGENEOUS:
        return False
    if node.op_type == "Clip":
        low = net.weights.get(node.input[1]) if len(node.input) > 1 else None
        bounded = len(node.input) > 2 and node.input[2]
        return low is not None and float(low.reshape(())) == 0.0 and not bounded
    if node.op_type == "Add":
        shapes = {net.shape(name) for name in node.input}
        return len(shapes) == 1 and not any(name in net.weights for name in node.input)
    return True


def _activations(node: onnx.NodeProto) -> list[str]:
    return list(node.input) if node.op_type == "Add" else list(node.input[:1])


def _complete(net: Net, group: Group, links: set[str]) -> bool:
    """Fill in the group's nodes; whether its channels can be scaled at all."""
    for name in group.tensors:
        maker = net.producer.get(name)
        if maker is None or name in net.outputs:
            return False
        if maker.name not in links:
            if not _scalable(net, maker):
                return False
            group.makers.append(maker)
        for user in net.users.get(name, []):
            if user.name in links:
                continue
            columns = user.op_type != "Conv" or _depthwise(net, user) or _dense(user)
            if not _scalable(net, user) or user.input[0] != name or not columns:
                return False
            group.takers.append(user)
    return bool(group.makers and group.takers)


def _scalable(net: Net, node: onnx.NodeProto) -> bool:
    """A Conv or Gemm whose constants serve no other node."""
    if node.op_type not in ("Conv", "Gemm") or attribute(node, "transA", 0):
        return False
    if attribute(node, "alpha", 1.0) != 1.0 or attribute(node, "beta", 1.0) != 1.0:
        return False
    return all(
        name in net.weights and net.sole_user(name) is node for name in node.input[1:] if name
    )


def _dense(node: onnx.NodeProto) -> bool:
    return bool(attribute(node, "group", 1) == 1)


def _depthwise(net: Net, node: onnx.NodeProto) -> bool:
    weight = net.weights.get(node.input[1])
    if node.op_type != "Conv" or weight is None:
        return False
    return bool(attribute(node, "group", 1) == len(weight) and weight.shape[1] == 1)


def _factors(net: Net, group: Group, statistics: Statistics) -> Array | None:
    """What to scale each channel by."""
    reach = _reach(group, statistics)
    if reach is None:
        return None
    dense = [_columns(net, node) for node in group.takers if not _depthwise(net, node)]
    if any(column.size != reach.size for column in dense):
        return None
    used = reach > 0
    column = np.max([c / max(float(c.max()), 1e-30) for c in dense], axis=0) if dense else 1.0
    balance = np.maximum(np.broadcast_to(column, reach.shape)[used], 1e-6) / reach[used]
    factor = np.ones_like(reach)
    factor[used] = np.clip(np.sqrt(balance), 1 / _LIMIT, _LIMIT)
    return factor


def _reach(group: Group, statistics: Statistics) -> Array | None:
    """The part of the range of its tensors that each channel uses: the most of any of them."""
    parts = []
    for name in group.tensors:
        channels = statistics.channels.get(name)
        if channels is not None:
            top = np.maximum(np.abs(channels.lo), np.abs(channels.hi))
            parts.append(top / max(float(top.max()), 1e-30))
    if not parts or len({part.size for part in parts}) > 1:
        return None
    return np.asarray(np.max(parts, axis=0))


def _columns(net: Net, node: onnx.NodeProto) -> Array:
    """The largest weight on each input channel."""
    weight = np.abs(net.weights[node.input[1]])
    axis = _input_axis(node)
    return np.asarray(weight.max(axis=tuple(i for i in range(weight.ndim) if i != axis)))


def _input_axis(node: onnx.NodeProto) -> int:
    if node.op_type == "Conv":
        return 1
    return 1 if attribute(node, "transB", 0) else 0


def _scale(net: Net, name: str, factor: Array, axis: int) -> None:
    weight = net.weights[name]
    shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
    net.weights[name] = (weight * factor.reshape(shape)).astype(np.float32)


def _scale_rows(net: Net, node: onnx.NodeProto, factor: Array) -> None:
    _scale(net, node.input[1], factor, 0 if node.op_type == "Conv" else 1 - _input_axis(node))
    if len(node.input) > 2 and node.input[2]:
        bias = net.weights[node.input[2]]
        if bias.size == 1:
            net.weights[node.input[2]] = (bias.reshape(1) * factor).astype(np.float32)
        else:
            _scale(net, node.input[2], factor, bias.ndim - 1)


def _scale_columns(net: Net, node: onnx.NodeProto, factor: Array) -> None:
    _scale(net, node.input[1], factor, 0 if _depthwise(net, node) else _input_axis(node))
