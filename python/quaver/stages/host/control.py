"""Branches and loops by conditions that are computed; their bodies are models of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, TypeProto, ValueInfoProto, helper

from quaver.stages.host.node import HostNode, host
from quaver.stages.walk import captured

_ENDLESS = np.iinfo(np.int64).max


class Body:
    """A branch or a loop's body, compiled for the dtypes and ranks that it meets."""

    def __init__(self, node: HostNode, graph: GraphProto) -> None:
        self._node = node
        self._graph = graph
        self._inputs = [info.name for info in graph.input]
        outer = sorted(captured(graph))
        self._outer = [name for name in outer if name not in node.constants]
        self._constants = [name for name in outer if name in node.constants]
        self._cores: dict[Any, Any] = {}

    def run(self, given: Sequence[Any]) -> list[Any]:
        """Run on the body's inputs, in order; what it captures comes from the node's stage."""
        from quaver.stages.prepare import prepare  # noqa: PLC0415 -- which imports this module

        values = [*given, *(self._node.values[name] for name in self._outer)]
        key = tuple(_signature(value) for value in values)
        if key not in self._cores:
            self._cores[key] = prepare(self._model(values), self._node.options)
        return list(self._cores[key].run(values))

    def _model(self, values: Sequence[Any]) -> ModelProto:
        graph = GraphProto()
        graph.CopyFrom(self._graph)
        declared = {info.name: info.type for info in graph.input}
        del graph.input[:]
        for name, value in zip([*self._inputs, *self._outer], values, strict=True):
            graph.input.append(ValueInfoProto(name=name, type=_type(value, declared.get(name))))
        graph.initializer.extend(self._node.constants[name] for name in self._constants)
        known = {name for inner in graph.node for name in inner.output} | set(declared)
        for i, info in enumerate(graph.output):  # an output of the outer graph itself
            if info.name not in known:
                graph.node.add(
                    op_type="Identity",
                    name=info.name,
                    input=[info.name],
                    output=[f"{info.name}/{i}"],
                )
                info.name = f"{info.name}/{i}"
        imports = [helper.make_opsetid(d, v) for d, v in self._node.opsets.items()]
        return helper.make_model(graph, opset_imports=imports)


def _signature(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.ndim
    if isinstance(value, list):
        return "list", _signature(value[0]) if value else None
    return type(value).__name__


def _type(value: Any, declared: TypeProto | None) -> TypeProto:
    kind = TypeProto()
    if isinstance(value, np.ndarray):
        elem_type = helper.np_dtype_to_tensor_dtype(value.dtype)
        if declared is not None and declared.tensor_type.elem_type == elem_type:
            shape = declared.tensor_type.shape.dim
            if declared.tensor_type.HasField("shape") and len(shape) == value.ndim:
                return declared
        return helper.make_tensor_type_proto(elem_type, [None] * value.ndim)
    if declared is not None and declared.WhichOneof("value"):
        return declared
    inner = _type(value[0] if value else np.zeros(0, np.float32), None)
    kind.sequence_type.elem_type.CopyFrom(inner)
    return kind


def _body(node: HostNode, name: str) -> Body:
    if name not in node.cache:
        node.cache[name] = Body(node, node.graph(name))
    body = node.cache[name]
    assert isinstance(body, Body)
    return body


@host("If")
def if_(node: HostNode, condition: Any) -> tuple[Any, ...]:
    """The branch that the condition takes."""
    name = "then_branch" if bool(condition.reshape(())) else "else_branch"
    return tuple(_body(node, name).run([]))


@host("Loop")
def loop(node: HostNode, trips: Any, condition: Any = None, *carried: Any) -> tuple[Any, ...]:
    """A loop for a number of iterations, and while its condition holds."""
    body = _body(node, "body")
    count = _ENDLESS if trips is None else int(trips.reshape(()))
    goes = condition is None or bool(condition.reshape(()))
    states, rows = list(carried), []
    iteration = 0
    while goes and iteration < count:
        results = body.run([np.array(iteration, np.int64), np.array(goes), *states])
        goes = bool(results[0].reshape(()))
        states = results[1 : 1 + len(states)]
        rows.append(results[1 + len(states) :])
        iteration += 1
    return (*states, *_stacked(node.graph("body"), rows, 1 + len(states)))


def _stacked(graph: GraphProto, rows: list[list[Any]], first: int) -> list[Any]:
    """Stack what the iterations give; nothing of a declared dtype where there was none."""
    if rows:
        return [np.stack(column) for column in zip(*rows, strict=True)]
    empty = []
    for info in list(graph.output)[first:]:
        kind = info.type.tensor_type
        dims = [dim.dim_value for dim in kind.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type or 1)
        empty.append(np.zeros((0, *dims), dtype))
    return empty


@host("Scan")
def scan(node: HostNode, *inputs: Any) -> tuple[Any, ...]:
    """A loop over slices."""
    body, slices = _body(node, "body"), node.get("num_scan_inputs")
    states, sliced = list(inputs[: len(inputs) - slices]), inputs[len(inputs) - slices :]
    axes = node.get("scan_input_axes") or [0] * slices
    backwards = node.get("scan_input_directions") or [0] * slices
    length = sliced[0].shape[axes[0]]
    rows: list[list[Any]] = []
    for i in range(length):
        parts = [
            np.take(x, length - 1 - i if back else i, axis)
            for x, axis, back in zip(sliced, axes, backwards, strict=True)
        ]
        results = body.run([*states, *parts])
        states = results[: len(states)]
        rows.append(results[len(states) :])
    collected = _stacked(node.graph("body"), rows, len(states))
    out_axes = node.get("scan_output_axes") or [0] * len(collected)
    out_back = node.get("scan_output_directions") or [0] * len(collected)
    return (
        *states,
        *(
            np.moveaxis(x[::-1] if back else x, 0, axis)
            for x, axis, back in zip(collected, out_axes, out_back, strict=True)
        ),
    )
