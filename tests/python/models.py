"""Small ONNX models for the tests: one operator, in float or quantized."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 21


@dataclass
class Case:
    """One node: its run-time inputs and its initializers, both by name, in input order."""

    name: str
    op: str
    feeds: dict[str, np.ndarray]
    constants: dict[str, np.ndarray | None] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    opset: int = OPSET

    def __str__(self) -> str:
        return self.name


def model_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, np.ndarray],
    outputs: Sequence[str],
    constants: Mapping[str, np.ndarray] | None = None,
    opset: int = OPSET,
) -> onnx.ModelProto:
    """A checked model of these nodes; output types are inferred."""
    graph = helper.make_graph(
        list(nodes),
        "test",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in inputs.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(a, n) for n, a in (constants or {}).items()],
    )
    domains = {node.domain for node in nodes} - {""}
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    inferred = onnx.shape_inference.infer_shapes(model)
    known = {v.name: v for v in inferred.graph.value_info} | {
        v.name: v for v in inferred.graph.output
    }
    for value in model.graph.output:
        if known[value.name].type.WhichOneof("value"):
            value.CopyFrom(known[value.name])
        else:
            value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, None))
    return model


def float_model(case: Case) -> onnx.ModelProto:
    """The case's node alone."""
    outputs = [f"y{i}" for i in range(case.outputs)]
    names = [*case.feeds, *("" if v is None else k for k, v in case.constants.items())]
    node = helper.make_node(case.op, names, outputs, name="node", **case.attrs)
    constants = {k: v for k, v in case.constants.items() if v is not None}
    return model_of([node], case.feeds, outputs, constants, case.opset)


def affine(low: float, high: float, signed: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point that cover [low, high] and zero."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32(max(high - low, 1e-6) / 255)
    zero = int(np.clip(np.rint(-low / scale), 0, 255))
    return np.array(scale), np.array(zero - 128, np.int8) if signed else np.array(zero, np.uint8)


class _Quantizer:
    """Nodes and constants of a model under quantization."""

    def __init__(self, constants: dict[str, np.ndarray], signed: bool) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants = constants
        self.signed = signed

    def add(self, op: str, inputs: Sequence[str], output: str, name: str, **attrs: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name, **attrs))
        return output

    def activation(self, source: str, array: np.ndarray, stored: str, real: str) -> str:
        """Quantize `source` to `stored` over the array's range, and back to `real`."""
        key = real.removesuffix("_d")
        scale, zero = affine(float(array.min()), float(array.max()), self.signed)
        self.constants |= {f"{key}_s": scale, f"{key}_z": zero}
        parameters = [f"{key}_s", f"{key}_z"]
        self.add("QuantizeLinear", [source, *parameters], stored, f"quantize_{key}")
        return self.add("DequantizeLinear", [stored, *parameters], real, f"dequantize_{key}")

    def constant(self, name: str, stored: np.ndarray, scale: np.ndarray, axis: int | None) -> str:
        """Put a quantized constant in the place of the float one."""
        del self.constants[name]
        self.constants |= {f"{name}_q": stored, f"{name}_s": scale}
        self.constants[f"{name}_z"] = np.zeros(scale.shape, stored.dtype)
        attrs = {} if axis is None or not scale.ndim else {"axis": axis}
        inputs = [f"{name}_q", f"{name}_s", f"{name}_z"]
        return self.add("DequantizeLinear", inputs, f"{name}_d", f"dequantize_{name}", **attrs)

    def weight(self, name: str, axis: int | None) -> tuple[str, np.ndarray]:
        """Quantize to s8, symmetric, per index along `axis` or per tensor; give its scales too."""
        value = self.constants[name]
        others = None if axis is None else tuple(i for i in range(value.ndim) if i != axis)
        scale = np.asarray(np.abs(value).max(axis=others) / 127, np.float32)
        spread = scale if axis is None else np.expand_dims(scale, others)
        stored = np.clip(np.rint(value / spread), -128, 127).astype(np.int8)
        return self.constant(name, stored, scale, axis), scale


def quantized_model(
    case: Case,
    output: np.ndarray | Sequence[np.ndarray],
    *,
    signed: bool = False,
    weight: str | None = None,
    bias: str | None = None,
    weight_axis: int | None = 0,
    act: Sequence[tuple[str, dict[str, Any]]] = (),
) -> onnx.ModelProto:
    """The case's node between DequantizeLinear and QuantizeLinear, its float feeds quantized.

    `output` is what the float node gives (for the ranges); `weight` and `bias` name the constants
    that become s8 (per channel along `weight_axis`, or per tensor) and i32; `act` are
    (operator, attributes) between node and output.
    """
    model = _Quantizer({k: v for k, v in case.constants.items() if v is not None}, signed)
    names = []
    for name, array in case.feeds.items():
        real = array.dtype == np.float32
        names.append(model.activation(name, array, f"{name}_q", f"{name}_d") if real else name)
    for name, value in case.constants.items():
        if value is None:
            names.append("")
        elif name == weight:
            real, scale_w = model.weight(name, weight_axis)
            names.append(real)
        elif name == bias:
            scale = np.asarray(model.constants[f"{next(iter(case.feeds))}_s"] * scale_w, np.float32)
            names.append(model.constant(name, np.rint(value / scale).astype(np.int32), scale, 0))
        else:
            names.append(name)
    floats = [f"f{i}" for i in range(case.outputs)]
    model.nodes.append(helper.make_node(case.op, names, floats, "node", **case.attrs))
    arrays = [output] if isinstance(output, np.ndarray) else list(output)
    for i, array in enumerate(arrays):
        current = floats[i]
        for j, (op, attrs) in enumerate(act):
            current = model.add(op, [current], f"{floats[i]}_{j}", f"act{j}", **attrs)
        model.activation(current, array, f"q{i}", f"y{i}")
    outputs = [f"y{i}" for i in range(len(arrays))]
    return model_of(model.nodes, case.feeds, outputs, model.constants, case.opset)
