"""Nodes in an order in which they can run."""

from __future__ import annotations

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto

from quaver.convert.onnx.names import node_name
from quaver.errors import ModelError

_SHOWN = 6  # nodes named of a cycle


def ordered(model: ModelProto) -> ModelProto:
    """Give a model whose nodes come after what they take; the same one where they do.

    Raises
    ------
    ModelError
        If nodes wait for each other in a circle, or a body takes what nothing makes.
    """
    nodes = list(model.graph.node)
    _expect_captured(model.graph)
    makers = {name: i for i, node in enumerate(nodes) for name in node.output if name}
    waits = [{makers[name] for name in _taken(node) if name in makers} for node in nodes]
    if all(max(before, default=-1) < i for i, before in enumerate(waits)):
        return model
    order = _sorted(nodes, waits)
    result = ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    result.graph.node.extend(nodes[i] for i in order)
    return result


def _expect_captured(graph: GraphProto) -> None:
    made = {info.name for info in graph.input} | {name for n in graph.node for name in n.output}
    made |= {tensor.name for tensor in graph.initializer}
    made |= {tensor.values.name for tensor in graph.sparse_initializer}
    for node in graph.node:
        for name in sorted(_taken(node) - made - set(node.input)):
            raise ModelError(
                f"{node.op_type} '{node_name(node)}': its body takes '{name}', which nothing makes"
            )


def _sorted(nodes: list[NodeProto], waits: list[set[int]]) -> list[int]:
    left = [set(before) for before in waits]
    users: list[list[int]] = [[] for _ in nodes]
    for i, before in enumerate(waits):
        for maker in before:
            users[maker].append(i)
    ready = [i for i, before in enumerate(left) if not before]
    order = []
    while ready:
        i = ready.pop(0)
        order.append(i)
        for user in users[i]:
            left[user].discard(i)
            if not left[user]:
                ready.append(user)
    if len(order) < len(nodes):
        raise ModelError(_circle(nodes, left))
    return order


def _circle(nodes: list[NodeProto], left: list[set[int]]) -> str:
    """Say which nodes wait for each other."""
    at = next(i for i, before in enumerate(left) if before)
    path: list[int] = []
    while at not in path:
        path.append(at)
        at = next(iter(left[at]))
    circle = path[path.index(at) :]
    shown = ", ".join(f"'{node_name(nodes[i])}'" for i in circle[:_SHOWN])
    more = f" and {len(circle) - _SHOWN} more" if len(circle) > _SHOWN else ""
    return f"the graph is cyclic: {shown}{more} wait for each other's results"


def _taken(node: NodeProto) -> set[str]:
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            names |= _captured(attribute.g)
    return names


def _captured(graph: GraphProto) -> set[str]:
    own = {info.name for info in graph.input} | {tensor.name for tensor in graph.initializer}
    own |= {name for node in graph.node for name in node.output}
    used = {name for node in graph.node for name in _taken(node)}
    return (used | {info.name for info in graph.output}) - own
