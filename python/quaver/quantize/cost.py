"""What a placement takes, as an estimate.

Unlike a measurement it is the same on every machine, so that the same data and seed give the same
model wherever it is made. Products take their multiplications, everything else the elements that it
makes, and a tensor on the border between float and int8 its elements once more. Functions of single
elements are computed while these are in the nearest cache, so they cost what their arithmetic does.
The rates are those of one core with dot-product instructions; only their ratios matter.
"""

from __future__ import annotations

import math

import onnx

from quaver.quantize.data import Feed
from quaver.quantize.engine import Observer
from quaver.quantize.net import Net, attribute
from quaver.quantize.operators import ARITHMETIC, UNARY, data_inputs, is_move, weight_of
from quaver.quantize.placement import Placement

_MAC = {True: 0.006, False: 0.02}  # ns: in int8, in float
_OWN_MAC = {True: 0.018, False: 0.048}  # of convolutions with weights of their own a channel
_ELEMENT = {True: 0.03, False: 0.4}
_FUNCTION, _EXPONENTIAL = 0.05, 0.35
_MOVE = {True: 0.03, False: 0.12}
_CONVERSION = 0.15


def sizes(net: Net, feed: Feed, engine: str) -> dict[str, int]:
    """The elements of each float tensor for these inputs."""
    names = [name for name in (*net.inputs, *net.producer) if net.is_float(name)]
    return {name: array.size for name, array in Observer(net, names, engine).run(feed)}


def estimate(net: Net, placement: Placement, elements: dict[str, int]) -> float:
    """Nanoseconds of one run."""
    stored = set(placement.tensors)
    total = 0.0
    for node in net.nodes:
        int8 = node.name in placement.nodes
        made = sum(elements.get(name, 0) for name in node.output)
        if weight_of(net, node) is not None:
            rates = _OWN_MAC if attribute(node, "group", 1) > 1 else _MAC
            total += rates[int8] * macs(net, node, elements)
            if node.name in placement.doubled:
                total += rates[int8] * macs(net, node, elements) + _ELEMENT[False] * made
                total += (_ELEMENT[False] + 2 * _CONVERSION) * elements.get(node.input[0], 0)
        else:
            total += _rate(net, node, int8) * made
        if not int8:
            border = stored.intersection(node.output)
            border |= {
                name
                for name in stored.intersection(node.input)
                if name in net.producer and net.producer[name].name in placement.nodes
            }
            total += _CONVERSION * sum(elements.get(name, 0) for name in border)
    return total


def _rate(net: Net, node: onnx.NodeProto, int8: bool) -> float:
    """Nanoseconds of an element that a node without weights makes."""
    if is_move(node) or int8:
        return (_MOVE if is_move(node) else _ELEMENT)[int8]
    if node.op_type in ("Erf", "Exp", "Sigmoid", "Tanh"):
        return _EXPONENTIAL
    varying = [name for name in data_inputs(node) if name not in net.weights]
    gates = (net.producer[name] for name in varying if name in net.producer)
    gated = len(varying) == 2 and any(
        gate.op_type in UNARY and gate.input[0] in varying for gate in gates
    )
    if node.op_type in UNARY or (node.op_type in ARITHMETIC and (len(varying) == 1 or gated)):
        return _FUNCTION
    return _ELEMENT[False]


def macs(net: Net, node: onnx.NodeProto, elements: dict[str, int]) -> int:
    """The multiplications of a product with a constant weight."""
    weight = net.weights[node.input[1]]
    if node.op_type == "ConvTranspose":
        return elements.get(node.input[0], 0) * math.prod(weight.shape[1:])
    made = elements.get(node.output[0], 0)
    if node.op_type == "Conv":
        return made * math.prod(weight.shape[1:])
    turned = node.op_type == "Gemm" and attribute(node, "transB", 0)
    return made * weight.shape[1 if turned else -2] if weight.ndim > 1 else made
