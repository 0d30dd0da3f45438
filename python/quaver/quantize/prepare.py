"""From any ONNX model to a float one that is ready to be quantized, and computes the same."""

from __future__ import annotations

import os
from typing import TypeAlias

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from quaver.convert.onnx.light import without_weights
from quaver.convert.onnx.source import load_proto, modernized
from quaver.errors import InputError, ModelError, UnsupportedError
from quaver.quantize.net import Array, Net, attribute

Source: TypeAlias = "str | os.PathLike[str] | bytes | onnx.ModelProto"

_QUANTIZED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")


def prepare(source: Source) -> Net:
    """Read a model and bring it to the form that the other steps expect.

    Constants become initializers, BatchNormalization goes into the Conv, ConvTranspose or Gemm
    before it (elsewhere it becomes a depthwise Conv), and so do sums and products with constants
    per channel; factors of Gemm go into its constants, and Dropout and Identity go away.

    Raises
    ------
    FileError, CorruptFileError, ModelError
        As in `quaver.load`.
    UnsupportedError
        Where the model is quantized already, or has control flow.
    """
    net = _read(source)
    _drop(net, "Dropout")
    _drop(net, "Identity")
    for node in list(net.nodes):
        if node.op_type == "BatchNormalization":
            _fold_batch_norm(net, node)
        elif node.op_type == "Gemm":
            _fold_factors(net, node)
        elif node.op_type in ("Add", "Sub", "Mul", "Div"):
            _fold_arithmetic(net, node)
    _flush(net)
    return Net(_infer(net.proto()))


def _read(source: Source) -> Net:
    if isinstance(source, onnx.ModelProto):
        model = onnx.ModelProto()
        model.CopyFrom(source)
    elif isinstance(source, (str, os.PathLike, bytes)):
        model = load_proto(source)
    else:
        raise InputError(
            f"cannot quantize a {type(source).__name__}: expected the path or bytes of an ONNX "
            "model, or an onnx.ModelProto"
        )
    model = modernized(model)
    _check(model)
    _constants_to_initializers(model)
    _name_nodes(model)
    return Net(_infer(model))


def _flush(net: Net) -> None:
    """Make subnormal constants zero: sums lose their products, which take many times as long."""
    least = np.finfo(np.float32).tiny
    for name, array in net.weights.items():
        if array.dtype == np.float32 and (tiny := (array != 0) & (np.abs(array) < least)).any():
            net.weights[name] = np.where(tiny, np.float32(0), array)


def _check(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type in _QUANTIZED or node.op_type.startswith(("QLinear", "QGemm")):
            raise UnsupportedError(
                f"the model is quantized already: it has {node.op_type} '{node.name}'; "
                "give the float model"
            )
        if any(a.HasField("g") or a.graphs for a in node.attribute):
            raise UnsupportedError(
                f"{node.op_type} '{node.name}' holds a graph of its own; "
                "export the model without control flow"
            )


def _infer(model: onnx.ModelProto) -> onnx.ModelProto:
    """Write the shapes of all tensors into a model, as far as they are known."""
    try:
        known = shape_inference.infer_shapes(without_weights(model), data_prop=True).graph
    except Exception as error:  # onnx raises its own and the system's
        raise ModelError(f"onnx cannot infer the shapes of the model's tensors: {error}") from error
    del model.graph.value_info[:], model.graph.output[:]
    model.graph.value_info.extend(known.value_info)
    model.graph.output.extend(known.output)
    return model


def _constants_to_initializers(model: onnx.ModelProto) -> None:
    kept = []
    for node in model.graph.node:
        value = attribute(node, "value", None) if node.op_type == "Constant" else None
        if isinstance(value, onnx.TensorProto):
            array = numpy_helper.to_array(value)
            model.graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
        else:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _name_nodes(model: onnx.ModelProto) -> None:
    taken: set[str] = set()
    for node in model.graph.node:
        name = node.name or f"{node.op_type}_{next(iter(node.output), '')}"
        while name in taken:
            name += "_"
        node.name = name
        taken.add(name)


def _drop(net: Net, op: str) -> None:
    """Take out nodes that hand on their input."""
    for node in [n for n in net.nodes if n.op_type == op and n.output[0] not in net.outputs]:
        for user in net.users.get(node.output[0], []):
            for i, name in enumerate(user.input):
                if name == node.output[0]:
                    user.input[i] = node.input[0]
        net.nodes.remove(node)
        net.index()


def _fold_batch_norm(net: Net, node: onnx.NodeProto) -> None:
    if attribute(node, "training_mode", 0) or any(n not in net.weights for n in node.input[1:]):
        return
    gamma, beta, mean, variance = (net.weights[n].astype(np.float64) for n in node.input[1:5])
    factor = gamma / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    shift = beta - mean * factor
    if not _into_producer(net, node, node.input[0], factor, shift):
        if len(net.shape(node.input[0]) or ()) == 4:
            _as_depthwise(net, node, factor, shift)
        net.index()


def _fold_arithmetic(net: Net, node: onnx.NodeProto) -> None:
    """Sums and products of a Conv's or Gemm's result with one constant, or one a channel."""
    constant = next((i for i, name in enumerate(node.input) if name in net.weights), None)
    if constant is None or (node.op_type == "Div" and constant == 0):
        return
    x, value = node.input[1 - constant], net.weights[node.input[constant]]
    before = net.producer.get(x)
    channels = _channels(net, before) if before is not None else None
    rank = len(net.shape(x) or ())
    if channels is None or value.ndim > rank or value.dtype != np.float32:
        return
    shape = (1,) * (rank - value.ndim) + value.shape
    if any(size != 1 for i, size in enumerate(shape) if i != 1) or shape[1] not in (1, channels):
        return
    constants = np.broadcast_to(value.ravel(), channels).astype(np.float64)
    one, none = np.ones(channels), np.zeros(channels)
    if node.op_type == "Add":
        _into_producer(net, node, x, one, constants)
    elif node.op_type == "Sub":
        sign = 1 if constant == 1 else -1
        _into_producer(net, node, x, sign * one, -sign * constants)
    elif node.op_type == "Mul" or constants.all():
        _into_producer(net, node, x, constants if node.op_type == "Mul" else one / constants, none)


def _channels(net: Net, node: onnx.NodeProto) -> int | None:
    axis = _output_axis(net, node)
    return None if axis is None else int(net.weights[node.input[1]].shape[axis])


def _into_producer(net: Net, node: onnx.NodeProto, x: str, factor: Array, shift: Array) -> bool:
    """Make x · factor + shift, which `node` computes, the result of the node that makes x."""
    before = net.producer.get(x)
    axis = None if before is None else _output_axis(net, before)
    if before is None or axis is None or net.sole_user(x) is not node:
        return False
    _scale_output(net, before, axis, factor, shift)
    before.output[0] = node.output[0]
    net.nodes.remove(node)
    net.index()
    return True


def _output_axis(net: Net, node: onnx.NodeProto) -> int | None:
    """The axis of a weight's output channels, where weight and bias are this node's alone."""
    own = node.op_type in ("Conv", "ConvTranspose", "Gemm") and all(
        name in net.weights and net.sole_user(name) is node for name in node.input[1:] if name
    )
    if not own:
        return None
    if node.op_type == "Gemm":
        plain = attribute(node, "alpha", 1.0) == attribute(node, "beta", 1.0) == 1.0
        return (0 if attribute(node, "transB", 0) else 1) if plain else None
    if node.op_type == "ConvTranspose":
        return 1 if attribute(node, "group", 1) == 1 else None
    return 0


def _scale_output(net: Net, node: onnx.NodeProto, axis: int, factor: Array, shift: Array) -> None:
    weight = net.weights[node.input[1]]
    shape = [-1 if i == axis else 1 for i in range(weight.ndim)]
    net.weights[node.input[1]] = (weight * factor.reshape(shape)).astype(np.float32)
    has_bias = len(node.input) > 2 and node.input[2]
    bias = net.weights[node.input[2]] if has_bias else np.zeros(1)
    name = node.input[2] if has_bias else f"{node.name}/bias"
    net.weights[name] = (bias * factor + shift).astype(np.float32)
    del node.input[2:]
    node.input.append(name)


def _as_depthwise(net: Net, node: onnx.NodeProto, factor: Array, shift: Array) -> None:
    """Make it a 1×1 convolution of each channel: in int8 its scale per channel loses nothing."""
    names = [f"{node.name}/weight", f"{node.name}/bias"]
    net.weights[names[0]] = factor.astype(np.float32).reshape(-1, 1, 1, 1)
    net.weights[names[1]] = shift.astype(np.float32)
    conv = helper.make_node(
        "Conv", [node.input[0], *names], [node.output[0]], node.name, group=len(factor)
    )
    node.CopyFrom(conv)


def _fold_factors(net: Net, node: onnx.NodeProto) -> None:
    for i, name in ((1, "alpha"), (2, "beta")):
        factor = attribute(node, name, 1.0)
        if factor == 1.0 or len(node.input) <= i or node.input[i] not in net.weights:
            continue
        scaled = f"{node.name}/{name}"
        net.weights[scaled] = (net.weights[node.input[i]] * np.float32(factor)).astype(np.float32)
        node.input[i] = scaled
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend(kept)
    net.index()
