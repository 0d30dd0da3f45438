"""What a graph's nodes take and make, bodies of branches and loops included."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import AttributeProto, GraphProto, NodeProto


def bodies(node: NodeProto) -> Iterator[GraphProto]:
    """Give the graphs in a node's attributes."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == AttributeProto.GRAPHS:
            yield from attribute.graphs


def captured(graph: GraphProto) -> set[str]:
    """Return the names that a body takes from outside."""
    own = {info.name for info in graph.input} | {tensor.name for tensor in graph.initializer}
    used: set[str] = set()
    for node in graph.node:
        used |= {name for name in taken(node) if name not in own}
        own |= set(node.output)
    return used | {info.name for info in graph.output if info.name not in own}


def taken(node: NodeProto) -> list[str]:
    """Return the names a node takes, those that its bodies capture included; each once."""
    names = [name for name in node.input if name]
    for body in bodies(node):
        names += sorted(captured(body))
    return list(dict.fromkeys(names))


def nested(graph: GraphProto) -> Iterator[NodeProto]:
    """Give all nodes, those of bodies after the node that has them."""
    for node in graph.node:
        yield node
        for body in bodies(node):
            yield from nested(body)
