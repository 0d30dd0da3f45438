"""Operators that ONNX defines by others: those without a handler give way to their bodies."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import FunctionProto, ModelProto, NodeProto, TypeProto, inliner

from quaver.convert.onnx.names import MICROSOFT
from quaver.convert.onnx.node import handler_of

_ROUNDS = 8  # bodies within bodies
_DOMAIN = "quaver.bodies"
_ADOPTED = ("CausalConvWithState", "LinearAttention")  # ONNX took them over from com.microsoft


def expanded(model: ModelProto) -> ModelProto:
    """Replace each operator that has no handler by its function body, where ONNX gives it one."""
    for _ in range(_ROUNDS):
        bodies = _bodies(model)
        if not bodies:
            return model
        model = inliner.inline_local_functions(_called(model, bodies), convert_version=True)
    return model


def _bodies(model: ModelProto) -> dict[int, FunctionProto]:
    """Function bodies by the position of the node they stand for."""
    types: dict[str, TypeProto] | None = None
    bodies = {}
    for i, node in enumerate(model.graph.node):
        schema = None if handler_of(node) else _schema(node, model)
        if schema is None:
            continue
        if schema.has_context_dependent_function:
            types = types or _types(model)
            body = _body_of_types(schema, node, types, _opset(node, model))
        else:
            body = _body(schema, _opset(node, model))
        if body is not None:
            bodies[i] = body
    return bodies


def _called(model: ModelProto, bodies: dict[int, FunctionProto]) -> ModelProto:
    """Give a copy of a model in which nodes call local functions with these bodies."""
    calling = ModelProto()
    calling.CopyFrom(model)
    for i, body in bodies.items():
        node = calling.graph.node[i]
        schema = _schema(node, model)
        _give_defaults(node, schema)
        body.domain, body.name = _DOMAIN, f"body{i}"
        node.domain, node.op_type = body.domain, body.name
        del body.attribute_proto[:]
        known = {*body.attribute}
        body.attribute.extend(a.name for a in node.attribute if a.name not in known)
        if not body.opset_import:
            body.opset_import.extend(model.opset_import)
        calling.functions.append(body)
    known = {info.name for info in [*model.graph.input, *model.graph.output]}
    del calling.graph.value_info[:]  # the inliner wants the type of all that a body takes
    calling.graph.value_info.extend(
        onnx.ValueInfoProto(name=name, type=kind)
        for name, kind in _types(model).items()
        if name not in known
    )
    calling.opset_import.append(onnx.helper.make_opsetid(_DOMAIN, 1))
    return calling


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def _opset(node: NodeProto, model: ModelProto) -> int:
    versions = {_domain(o.domain): o.version for o in model.opset_import}
    return int(versions.get(_domain(node.domain), 1))


def _schema(node: NodeProto, model: ModelProto) -> Any:
    if node.domain == MICROSOFT and node.op_type in _ADOPTED:
        schema = onnx.defs.get_schema(node.op_type)
        known = all(attribute.name in schema.attributes for attribute in node.attribute)
        return schema if known else None
    try:
        return onnx.defs.get_schema(node.op_type, _opset(node, model), _domain(node.domain))
    except onnx.defs.SchemaError:
        return None


def _give_defaults(node: NodeProto, schema: Any) -> None:
    given = {attribute.name for attribute in node.attribute}
    for name, attribute in schema.attributes.items():
        if name not in given and attribute.default_value.name:
            node.attribute.append(attribute.default_value)


def _version(versions: list[int], opset: int) -> int:
    """Return the newest version of a body that is not newer than the model."""
    return max([version for version in versions if version <= opset] or versions)


def _body(schema: Any, opset: int) -> FunctionProto | None:
    if not schema.has_function:
        return None
    version = _version(schema.function_opset_versions, opset)
    body = schema.get_function_with_opset_version(version)
    return _parsed(body) if body else None


def _body_of_types(
    schema: Any, node: NodeProto, types: dict[str, TypeProto], opset: int
) -> FunctionProto | None:
    filled = NodeProto()
    filled.CopyFrom(node)
    _give_defaults(filled, schema)
    inputs = [types.get(name, TypeProto()).SerializeToString() for name in node.input]
    version = _version(schema.context_dependent_function_opset_versions, opset)
    body = schema.get_context_dependent_function_with_opset_version(
        version, filled.SerializeToString(), inputs
    )
    return _parsed(body) if body else None


def _parsed(body: FunctionProto | bytes) -> FunctionProto:
    function = FunctionProto()
    if isinstance(body, bytes):
        function.ParseFromString(body)
    else:
        function.CopyFrom(body)
    return function


def _types(model: ModelProto) -> dict[str, TypeProto]:
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception:  # what is not known leaves a body's choice open
        graph = model.graph
    types = {info.name: info.type for info in [*graph.input, *graph.value_info, *graph.output]}
    for tensor in model.graph.initializer:
        types[tensor.name] = onnx.helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
    return types
