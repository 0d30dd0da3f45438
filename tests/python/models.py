"""Small ONNX models for the tests: one operator, in float or between QuantizeLinear and DequantizeLinear."""

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
    """One node: `feeds` are its run-time inputs and `constants` its initializers, both by input name, in input order."""

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
    """The case's node between DequantizeLinear and QuantizeLinear, its float feeds quantized at the model's entry.

    `output` is what the float node gives (for the ranges); `weight` and `bias` name the constants that become s8 (per
    channel along `weight_axis`, or per tensor) and i32; `act` are (operator, attributes) between node and output.
    """
    nodes: list[onnx.NodeProto] = []
    constants = {k: v for k, v in case.constants.items() if v is not None}
    names: list[str] = []
    scale_x = None
    for name, array in case.feeds.items():
        if array.dtype != np.float32:
            names.append(name)
            continue
        constants[f"{name}_s"], constants[f"{name}_z"] = affine(
            float(array.min()), float(array.max()), signed
        )
        scale_x = constants[f"{name}_s"] if scale_x is None else scale_x
        parameters = [f"{name}_s", f"{name}_z"]
        nodes.append(
            helper.make_node(
                "QuantizeLinear", [name, *parameters], [f"{name}_q"], f"quantize_{name}"
            )
        )
        nodes.append(
            helper.make_node(
                "DequantizeLinear", [f"{name}_q", *parameters], [f"{name}_d"], f"dq_{name}"
            )
        )
        names.append(f"{name}_d")
    scale_w = np.float32(1)
    for name, value in case.constants.items():
        if value is None:
            names.append("")
        elif name == weight:
            others = (
                tuple(i for i in range(value.ndim) if i != weight_axis)
                if weight_axis is not None
                else None
            )
            scale_w = (np.abs(value).max(axis=others) / 127).astype(np.float32)
            shape = [-1 if i == weight_axis else 1 for i in range(value.ndim)]
            q = np.clip(
                np.rint(value / (scale_w.reshape(shape) if weight_axis is not None else scale_w)),
                -128,
                127,
            )
            constants |= {f"{name}_q": q.astype(np.int8), f"{name}_s": np.asarray(scale_w)}
            constants[f"{name}_z"] = np.zeros(np.shape(scale_w), np.int8)
            del constants[name]
            attrs = {} if weight_axis is None else {"axis": weight_axis}
            inputs = [f"{name}_q", f"{name}_s", f"{name}_z"]
            nodes.append(
                helper.make_node("DequantizeLinear", inputs, [f"{name}_d"], f"dq_{name}", **attrs)
            )
            names.append(f"{name}_d")
        elif name == bias:
            scale = np.asarray(scale_x * scale_w, np.float32)
            constants |= {f"{name}_q": np.rint(value / scale).astype(np.int32), f"{name}_s": scale}
            constants[f"{name}_z"] = np.zeros(scale.shape, np.int32)
            del constants[name]
            attrs = {"axis": 0} if scale.ndim else {}
            inputs = [f"{name}_q", f"{name}_s", f"{name}_z"]
            nodes.append(
                helper.make_node("DequantizeLinear", inputs, [f"{name}_d"], f"dq_{name}", **attrs)
            )
            names.append(f"{name}_d")
        else:
            names.append(name)
    float_outputs = [f"f{i}" for i in range(case.outputs)]
    nodes.append(helper.make_node(case.op, names, float_outputs, "node", **case.attrs))
    arrays = [output] if isinstance(output, np.ndarray) else list(output)
    outputs = []
    for i, array in enumerate(arrays):
        current = float_outputs[i]
        for j, (op, attrs) in enumerate(act):
            nodes.append(helper.make_node(op, [current], [f"{current}_{j}"], f"act{j}", **attrs))
            current = f"{current}_{j}"
        constants[f"y{i}_s"], constants[f"y{i}_z"] = affine(
            float(array.min()), float(array.max()), signed
        )
        parameters = [f"y{i}_s", f"y{i}_z"]
        nodes.append(
            helper.make_node("QuantizeLinear", [current, *parameters], [f"q{i}"], f"quantize_y{i}")
        )
        nodes.append(
            helper.make_node("DequantizeLinear", [f"q{i}", *parameters], [f"y{i}"], f"dq_y{i}")
        )
        outputs.append(f"y{i}")
    return model_of(nodes, case.feeds, outputs, constants, case.opset)
