"""Walk an ONNX graph and let each node's handler emit what it becomes."""

from __future__ import annotations

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

from quaver.convert.builder import Builder
from quaver.convert.onnx.control import import_nodes_with
from quaver.convert.onnx.float32 import in_float32, note_dtypes
from quaver.convert.onnx.fold import folded
from quaver.convert.onnx.functions import expanded
from quaver.convert.onnx.names import node_name
from quaver.convert.onnx.node import MICROSOFT, Node, handler_of
from quaver.convert.onnx.scope import Scope
from quaver.convert.onnx.shapes import shape_of, tensor_dtype
from quaver.convert.onnx.source import modernized
from quaver.errors import ModelError, UnsupportedError

_SHOWN = 5  # nodes named of each missing operator


def import_onnx(model: ModelProto, builder: Builder) -> None:
    """Build an ONNX model's graph.

    Parameters
    ----------
    model
        With all its tensors in memory, as `load_proto` gives it.
    builder
        Takes the nodes; empty at first.

    Raises
    ------
    UnsupportedError
        Where the model asks for what Quaver does not have; every missing operator is listed.
    ModelError
        Where the model is broken.
    """
    model = expanded(modernized(model))
    graph = model.graph
    _check_operators(graph)
    if graph.sparse_initializer:
        raise UnsupportedError("the model has sparse initializers; Quaver takes dense ones")
    scope = Scope(model, builder)
    builder.set_name(graph.name)
    for info in graph.input:
        if not scope.is_initializer(info.name):
            dtype = tensor_dtype(info)
            scope.bind(info.name, builder.add_input(info.name, dtype, shape_of(info)), dtype)
    for proto in graph.node:
        import_node(scope, proto)
    if not graph.output:
        raise ModelError("the model has no outputs")
    # Exporters declare wrong output shapes (PaddlePaddle: [] for all); inference knows better.
    builder.set_outputs(
        [
            (info.name, scope.value(info.name, "the graph"), _output_dtype(scope, info), None)
            for info in graph.output
        ]
    )


def _output_dtype(scope: Scope, info: ValueInfoProto) -> str:
    """The dtype declared; a stand-in for an output of a part of a model, which declares none."""
    if info.type.WhichOneof("value") is None:
        return scope.dtype(info.name) or "float32"
    return tensor_dtype(info)


def import_node(scope: Scope, proto: NodeProto) -> None:
    """Let a node's handler emit what it becomes.

    Raises
    ------
    UnsupportedError
        If there is none, or it refuses.
    ModelError
        If the node is broken.
    """
    if handler_of(proto) is None:
        raise UnsupportedError(
            f"{_operator(proto)} '{node_name(proto)}': there is no such operator"
        )
    parts = in_float32(proto, scope.dtype)
    if len(parts) > 1:
        scope.used |= {part.input[0] for part in parts if part.output[0] in scope.used}
    for part in parts:
        if part is not proto and part.op_type == "Cast":
            scope.note_shape_of(part.output[0], part.input[0])
            if (array := scope.array(part.input[0])) is not None and proto.domain == MICROSOFT:
                scope.bind_constant(part.output[0], array.astype(np.float32))
                continue
        _import_node(scope, part)


def _import_inner(outer: Node, proto: NodeProto) -> None:
    if handler_of(proto) is None:
        raise outer.unsupported(f"its body uses {proto.op_type}, which is not supported")
    import_node(outer.scope, proto)


import_nodes_with(_import_inner)


def _import_node(scope: Scope, proto: NodeProto) -> None:
    node = Node(scope, proto)
    if not proto.output:
        raise node.invalid("it has no outputs")
    if folded(node):
        return
    handle = handler_of(proto)
    assert handle is not None, "_check_operators has seen to it"
    handle(node)
    note_dtypes(scope, proto)


def _check_operators(graph: GraphProto) -> None:
    missing: dict[str, list[str]] = {}
    for proto in graph.node:
        if handler_of(proto) is None:
            missing.setdefault(_operator(proto), []).append(node_name(proto))
    if missing:
        lines = [f"  {operator}: {_listed(missing[operator])}" for operator in sorted(missing)]
        count = len(missing)
        raise UnsupportedError(
            f"{count} operator{'s are' if count > 1 else ' is'} not supported:\n" + "\n".join(lines)
        )


def _operator(proto: NodeProto) -> str:
    return ".".join(filter(None, [proto.domain, proto.op_type]))


def _listed(names: list[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_SHOWN])
    more = len(names) - _SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
