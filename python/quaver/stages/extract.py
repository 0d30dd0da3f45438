"""A part of a model as a model of its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import onnx
from onnx import ModelProto, NodeProto, TensorProto, TypeProto, ValueInfoProto

from quaver.convert.onnx.external import read
from quaver.convert.onnx.light import without_weights
from quaver.stages.walk import taken


def types_of(model: ModelProto) -> dict[str, TypeProto]:
    """Return the types of a graph's tensors, as far as ONNX infers them."""
    light = without_weights(model)
    try:
        graph = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    except Exception:  # what is not known is left open
        graph = light.graph
    types = {i.name: i.type for i in [*graph.input, *graph.value_info, *graph.output]}
    return {name: kind for name, kind in types.items() if kind.WhichOneof("value")}


def with_tensors(model: ModelProto) -> ModelProto:
    """Give a part of a model with its mapped tensors read into it, for others than the importer."""
    if any(t.data_location == TensorProto.EXTERNAL for t in model.graph.initializer):
        result = ModelProto()
        result.CopyFrom(model)
        for tensor in result.graph.initializer:
            if tensor.data_location == TensorProto.EXTERNAL:
                read(tensor)
        return result
    return model


def with_initializers(model: ModelProto) -> ModelProto:
    """Give a model whose constant nodes that hold a tensor are initializers."""
    values = {i: a for i, n in enumerate(model.graph.node) if (a := _tensor_of(n)) is not None}
    if not values:
        return model
    result = ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    outputs = {info.name for info in model.graph.output}
    for i, node in enumerate(model.graph.node):
        if i not in values or node.output[0] in outputs:
            result.graph.node.append(node)
            continue
        result.graph.initializer.append(values[i])
        result.graph.initializer[-1].name = node.output[0]
    return result


def _tensor_of(node: NodeProto) -> TensorProto | None:
    if node.op_type != "Constant" or node.domain not in ("", "ai.onnx"):
        return None
    return next((a.t for a in node.attribute if a.name == "value"), None)


def part(
    model: ModelProto,
    nodes: Iterable[int],
    types: dict[str, TypeProto],
    shared: Collection[int] = (),
) -> ModelProto:
    """Give the model of some nodes, and of the shared ones, which are constant, that they need.

    Its inputs are what they take from other nodes and from the model's inputs; its outputs are
    what others, or the model's outputs, take from them.
    """
    makers = {name: i for i in shared for name in model.graph.node[i].output if name}
    picked, left = set(nodes), list(nodes)
    while left:
        for name in taken(model.graph.node[left.pop()]):
            if name in makers and makers[name] not in picked:
                picked.add(makers[name])
                left.append(makers[name])
    chosen = [model.graph.node[i] for i in sorted(picked)]
    made = {name for node in chosen for name in node.output if name}
    needed = list(dict.fromkeys(name for node in chosen for name in taken(node)))
    wanted = {info.name for info in model.graph.output}
    for i, node in enumerate(model.graph.node):
        if i not in picked:
            wanted.update(taken(node))
    wanted -= set(makers)
    result = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    graph = result.graph
    graph.name = model.graph.name or "graph"
    graph.node.extend(chosen)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    graph.initializer.extend(tensors[name] for name in needed if name in tensors)
    for name in needed:
        if name not in made and name not in tensors:
            graph.input.append(ValueInfoProto(name=name, type=types.get(name)))
    for node in chosen:
        for name in node.output:
            if name in wanted:
                graph.output.append(ValueInfoProto(name=name, type=types.get(name)))
    return result
