"""Outlier channels of a normalization's result, moved into the weights that take it.

A LayerNormalization scales each channel by a constant of its own; some channels come out a hundred
times as large as others, and one scale for all leaves the others few steps. A factor per channel
moves from there to the columns of the weights that multiply it, and the network computes the same:
G. Xiao et al., "SmoothQuant", ICML 2023, equation 4, with the balance, of a few, of the least error
in what the products make: the more of the outliers move, the finer activations are rounded, and the
coarser weights. Where the normalization's
constants serve other readers too, such as a residual sum, a multiplication in float is put in
between for the weights alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import helper

from quaver.quantize.calibrate import Statistics
from quaver.quantize.channels import Channels
from quaver.quantize.net import Array, Net, attribute
from quaver.quantize.operators import weight_of
from quaver.quantize.ranges import LEVELS
from quaver.quantize.regions import AROUND, NORMALIZATIONS, Regions

_LIMIT = 64.0  # of a factor
_BALANCES = (0.5, 0.625, 0.75, 0.875, 1.0)  # how much of a channel's reach moves
_CLEARLY = 0.8  # of an error: less than that is no chance


@dataclass
class Taker:
    """A product that reads a normalization's result, and the tensor by which it gets it."""

    node: onnx.NodeProto
    first: onnx.NodeProto
    """The node that reads the result itself: the product, or a move before it."""


@dataclass
class Target:
    """A normalization's result, its axis of channels, and the products that read it."""

    tensor: str
    axis: int
    takers: list[Taker] = field(default_factory=list)


def targets(net: Net, makers: Collection[str] = ()) -> list[Target]:
    """Find what can be smoothed: results of normalizations, or else of these nodes."""
    floats = Regions(net).floats
    apart = set(makers)
    found: dict[str, Target] = {}
    for node in net.nodes:
        axis = input_axis(net, node)
        if axis is None or node.name in apart:
            continue
        tensor, first = node.input[0], node
        while (step := _above(net, tensor, axis)) is not None:
            first = net.producer[tensor]
            tensor, axis = step
        maker = net.producer.get(tensor)
        if maker is None:
            continue
        normalizes = maker.op_type in NORMALIZATIONS or floats.get(maker.name) == AROUND
        if maker.name in apart if apart else normalizes:
            target = found.setdefault(tensor, Target(tensor, axis))
            if target.axis == axis:
                target.takers.append(Taker(node, first))
    return list(found.values())


def smooth(net: Net, found: list[Target], statistics: Statistics) -> list[dict[str, object]]:
    """Move factors into the weights, in place.

    Parameters
    ----------
    net
        The float model.
    found
        What `targets` gave.
    statistics
        Channels of their tensors, from a few samples.

    Returns
    -------
    list of dict
        For each tensor: the products that take it, and the largest and least factor.
    """
    report: list[dict[str, object]] = []
    for target in found:
        channels = statistics.channels.get(target.tensor)
        factor = None if channels is None else _factors(net, target, channels)
        if factor is None or np.allclose(factor, factor[0], rtol=0.05):
            continue
        _divide(net, target, factor)
        for taker in target.takers:
            _multiply(net, taker.node, factor)
        report.append(
            {
                "tensor": target.tensor,
                "nodes": [taker.node.name for taker in target.takers],
                "largest": float(factor.max()),
                "least": float(factor.min()),
            }
        )
    return report


def input_axis(net: Net, node: onnx.NodeProto) -> int | None:
    """The channels of what a product with a weight of its own reads; None of others."""
    name = weight_of(net, node)
    shape = net.shape(node.input[0])
    if name is None or shape is None or net.sole_user(name) is not node:
        return None
    if node.op_type == "Conv":
        return 1 if attribute(node, "group", 1) in (1, shape[1]) else None
    if node.op_type == "Gemm" and attribute(node, "transA", 0):
        return None
    return None if node.op_type == "ConvTranspose" else len(shape) - 1


def _above(net: Net, tensor: str, axis: int) -> tuple[str, int] | None:
    """What a move read that made a tensor, and where the channels are there."""
    node = net.producer.get(tensor)
    if node is None or net.sole_user(tensor) is None:
        return None
    if node.op_type == "Transpose":
        rank = len(net.shape(tensor) or ())
        order = attribute(node, "perm", list(range(rank))[::-1])
        return node.input[0], int(order[axis])
    axes = _axes(net, node)
    if axes is None:
        return None
    if node.op_type == "Slice":
        return None if axis in axes else (node.input[0], axis)
    if node.op_type == "Unsqueeze":
        return None if axis in axes else (node.input[0], axis - sum(a < axis for a in axes))
    for a in sorted(axes):  # Squeeze
        axis += a <= axis
    return node.input[0], axis


def _axes(net: Net, node: onnx.NodeProto) -> list[int] | None:
    place = {"Slice": 3, "Squeeze": 1, "Unsqueeze": 1}.get(node.op_type)
    if place is None or len(node.input) <= place or node.input[place] not in net.weights:
        return None
    tensor = node.output[0] if node.op_type == "Unsqueeze" else node.input[0]
    rank = len(net.shape(tensor) or ())
    return [int(a) % rank for a in net.weights[node.input[place]].reshape(-1)] if rank else None


def _factors(net: Net, target: Target, channels: Channels) -> Array | None:
    """What each channel is divided by."""
    reach = np.maximum(np.abs(channels.lo), np.abs(channels.hi))
    columns = [_columns(net, taker.node) for taker in target.takers]
    if any(column.size != reach.size for column in columns):
        return None
    weight = np.maximum(np.max(columns, axis=0), 1e-8)
    used = reach > 0
    # Weights of one channel each have scales of their own, so that nothing speaks against the last.
    alone = all(attribute(taker.node, "group", 1) > 1 for taker in target.takers)
    found = []
    for balance in _BALANCES[-1:] if alone else _BALANCES:
        factor = np.ones_like(reach)
        factor[used] = reach[used] ** balance / weight[used] ** (0.0 if alone else 1 - balance)
        factor[used] /= np.exp(np.log(factor[used]).mean())
        found.append(np.asarray(np.clip(factor, 1 / _LIMIT, _LIMIT)))
    errors = [_error(net, target, channels, factor) for factor in found]
    best = int(np.argmin(errors))
    return found[best if errors[best] < _CLEARLY * errors[0] else 0]


def _error(net: Net, target: Target, channels: Channels, factor: Array) -> float:
    """The squared error that rounding brings to what the products make, times 12.

    A rounded number is off by a twelfth of its step squared, and that is multiplied with the weight
    or activation that meets it.
    """
    top, bottom = (channels.hi / factor).max(), (channels.lo / factor).min()
    step = (max(top, 0.0) - min(bottom, 0.0)) / LEVELS
    total = 0.0
    for taker in target.takers:
        weight = net.weights[taker.node.input[1]].astype(np.float64)
        axis = _weight_axis(taker.node, weight.ndim)
        taps = math.prod(weight.shape[2:]) if taker.node.op_type == "Conv" else 1
        rows = np.moveaxis(weight, axis, -1).reshape(-1, taps, factor.size) * factor
        total += step**2 * float(np.square(rows).sum())
        if attribute(taker.node, "group", 1) == 1:
            steps = np.abs(rows).max(axis=(1, 2)) / 127
            total += float(np.square(steps).sum() * taps * (channels.power / factor**2).sum())
    return total


def _weight_axis(node: onnx.NodeProto, rank: int) -> int:
    """Where a weight's inputs are; those of a depthwise convolution are its outputs."""
    if node.op_type == "Conv":
        return 1 if attribute(node, "group", 1) == 1 else 0
    if node.op_type == "Gemm":
        return 1 if attribute(node, "transB", 0) else 0
    return rank - 2


def _columns(net: Net, node: onnx.NodeProto) -> Array:
    weight = np.abs(net.weights[node.input[1]])
    axis = _weight_axis(node, weight.ndim)
    return np.asarray(weight.max(axis=tuple(i for i in range(weight.ndim) if i != axis)))


def _along(factor: Array, rank: int, axis: int) -> Array:
    return factor.reshape([-1 if i == axis else 1 for i in range(rank)])


def _multiply(net: Net, node: onnx.NodeProto, factor: Array) -> None:
    weight = net.weights[node.input[1]]
    spread = _along(factor, weight.ndim, _weight_axis(node, weight.ndim))
    net.weights[node.input[1]] = (weight * spread).astype(np.float32)


def _divide(net: Net, target: Target, factor: Array) -> None:
    """Divide a result by factors: in the constants that make it, or by a node of its own."""
    firsts = {taker.first.name for taker in target.takers}
    alone = firsts == {u.name for u in net.users[target.tensor]}
    rank = len(net.shape(target.tensor) or ())
    constants = list(_constants(net, target)) if alone else []
    if constants and target.tensor not in net.outputs:
        spread = _along(factor, rank, target.axis)
        for name in constants:
            own = net.weights[name]
            shape = own.shape if own.size == factor.size else spread.shape
            net.weights[name] = (own.reshape(-1) / factor).astype(own.dtype).reshape(shape)
        return
    made, name = f"{target.tensor}/smoothed", f"{target.tensor}/factor"
    net.weights[name] = _along(1 / factor, rank, target.axis).astype(np.float32)
    node = helper.make_node("Mul", [target.tensor, name], [made], f"{target.tensor}/smooth")
    for taker in target.takers:
        taker.first.input[0] = made
    net.nodes.insert(net.nodes.index(net.producer[target.tensor]) + 1, node)
    net.learn(made, net, target.tensor)
    net.index()


def _constants(net: Net, target: Target) -> Iterator[str]:
    """The scale and shift that make a result, where they serve nothing else; else nothing.

    They are one a channel; a number for all stays that, and the functions around it one step.
    """
    maker = net.producer[target.tensor]
    if maker.op_type in NORMALIZATIONS:
        names = [name for name in maker.input[1:] if name]
    else:
        names = [name for name in maker.input if name in net.weights]
        before = next((net.producer.get(n) for n in maker.input if n not in net.weights), None)
        if maker.op_type != "Add" or before is None or before.op_type != "Mul":
            return
        if net.sole_user(before.output[0]) is not maker:
            return
        names += [name for name in before.input if name in net.weights]
    channels = (net.shape(target.tensor) or ())[target.axis]
    own = [
        name in net.weights
        and net.sole_user(name) is not None
        and net.weights[name].size == channels
        for name in names
    ]
    if len(names) == (1 if maker.op_type == "RMSNormalization" else 2) and all(own):
        yield from names
