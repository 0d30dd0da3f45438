"""A builder that records what a converter emits, and runs it node by node on onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

_ELEM_TYPES = [
    TensorProto.FLOAT,
    TensorProto.UINT8,
    TensorProto.INT8,
    TensorProto.INT32,
    TensorProto.INT64,
    TensorProto.BOOL,
    TensorProto.DOUBLE,
]  # by the core's dtype codes
_CHANNELS_LAST = {
    *("Conv", "ConvInteger", "ConvTranspose"),
    *("MaxPool", "AveragePool", "BatchNormalization"),
}


@dataclass
class Recorded:
    """One node as it was added."""

    op: str
    name: str
    inputs: list[int | None]
    outputs: list[int]
    attrs: dict[str, Any]


@dataclass
class Recorder:
    """Implements `quaver.convert.Builder`."""

    name: str = ""
    names: list[str] = field(default_factory=list)  # of values
    inputs: list[tuple[int, str, Any]] = field(default_factory=list)
    constants: dict[int, np.ndarray] = field(default_factory=dict)
    nodes: list[Recorded] = field(default_factory=list)
    outputs: list[tuple[str, int, str, Any]] = field(default_factory=list)

    def _value(self, name: str) -> int:
        self.names.append(name)
        return len(self.names) - 1

    def set_name(self, name: str) -> None:
        self.name = name

    def add_input(self, name: str, dtype: str, shape: Any) -> int:
        self.inputs.append((self._value(name), dtype, shape))
        return self.inputs[-1][0]

    def add_constant(self, name: str, array: np.ndarray) -> int:
        assert isinstance(array, np.ndarray)
        value = self._value(name)
        self.constants[value] = array
        return value

    def add_node(self, op, name, inputs, output_names, attrs) -> list[int]:
        for value in inputs:
            assert value is None or 0 <= value < len(self.names)
        for attr in attrs.values():
            assert type(attr) in (int, float, str, list), attr
            assert type(attr) is not list or {type(item) for item in attr} in ({int}, {float}), attr
        outputs = [self._value(output) for output in output_names]
        self.nodes.append(Recorded(op, name, list(inputs), outputs, dict(attrs)))
        return outputs

    def set_outputs(self, outputs) -> None:
        self.outputs = list(outputs)

    @property
    def ops(self) -> list[str]:
        return [node.op for node in self.nodes]

    def only(self, op: str) -> Recorded:
        (node,) = [node for node in self.nodes if node.op == op]
        return node

    def run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Compute the outputs."""
        values: dict[int | None, Any] = {None: None, **self.constants}
        values.update({value: feeds[self.names[value]] for value, _, _ in self.inputs})
        for node in self.nodes:
            results = _evaluate(node, [values[value] for value in node.inputs])
            values.update(zip(node.outputs, results, strict=True))
        return [values[value] for _, value, _, _ in self.outputs]


def peer(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Compute a model's outputs with onnxruntime, which is to leave it as it is."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.ir_version = min(model.ir_version, 10)
    for output in copy.graph.output:  # whatever their dtype
        output.ClearField("type")
    return onnxruntime.InferenceSession(copy.SerializeToString(), options).run(None, feeds)


def _onnx(op: str, inputs: list[Any], outputs: int = 1, **attrs: Any) -> list[np.ndarray]:
    names = ["" if array is None else f"x{i}" for i, array in enumerate(inputs)]
    results = [f"y{i}" for i in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(op, names, results, **attrs)],
        "one",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(array.dtype), None)
            for n, array in zip(names, inputs, strict=True)
            if n
        ],
        [onnx.ValueInfoProto(name=name) for name in results],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    feeds = {name: array for name, array in zip(names, inputs, strict=True) if name}
    return peer(model, feeds)


def _conv_transpose_weight(weight: np.ndarray, group: int) -> np.ndarray:
    o, kh, kw, c = weight.shape
    split = weight.reshape(group, o // group, kh, kw, c).transpose(0, 4, 1, 2, 3)
    return split.reshape(group * c, o // group, kh, kw)


def _evaluate(node: Recorded, inputs: list[Any]) -> list[np.ndarray]:
    op, attrs = node.op, dict(node.attrs)
    x, *rest = inputs
    if op in _CHANNELS_LAST:
        if op == "ConvTranspose":
            rest[0] = _conv_transpose_weight(rest[0], attrs["group"])
        elif op.startswith("Conv"):
            rest[0] = np.moveaxis(rest[0], -1, 1)
        (y,) = _onnx(op, [np.moveaxis(x, -1, 1), *rest], **attrs)
        return [np.moveaxis(y, 1, -1)]
    if op == "MatMul":
        return [x @ rest[0] + (rest[1] if len(rest) > 1 else 0)]
    if op == "Clip":
        return [np.clip(x, attrs.get("lo", -np.inf), attrs.get("hi", np.inf)).astype(x.dtype)]
    if op.startswith("Reduce"):
        inputs.append(np.array(attrs.pop("axes", []), np.int64))
    if "to" in attrs:
        elem_type = _ELEM_TYPES[attrs.pop("to")]
        attrs["to" if op == "Cast" else "output_dtype"] = elem_type
    return _onnx(op, inputs, len(node.outputs), **attrs)
