"""Tables whose rows a model's inputs choose."""

from __future__ import annotations

from collections.abc import Iterator

from onnx import ModelProto, NodeProto, TypeProto

#: By operator: the positions of a table and of what chooses among its rows.
_CHOOSING = {
    "Gather": [(0, 1)],
    "GatherElements": [(0, 1)],
    "GatherBlockQuantized": [(0, 1)],
    "EmbedLayerNormalization": [(2, 0), (4, 1), (3, 8)],
}

#: Operators that hand on values of their first input.
_MOVING = {
    *("Cast", "Expand", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Tile", "Transpose"),
    "Unsqueeze",
}


def rows_chosen(model: ModelProto, types: dict[str, TypeProto]) -> dict[str, int]:
    """Return how many rows the inputs that choose rows have to choose from.

    Parameters
    ----------
    model
        With its nodes in order.
    types
        Of its tensors.

    Returns
    -------
    dict
        By input: the rows of the smallest table it chooses from.
    """
    dims = {name: [d.dim_value for d in t.tensor_type.shape.dim] for name, t in types.items()}
    dims |= {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    source = {info.name: info.name for info in model.graph.input}
    rows: dict[str, int] = {}
    for node in model.graph.node:
        if node.op_type in _MOVING and node.input[0] in source:
            source[node.output[0]] = source[node.input[0]]
        for table, indices in _choices(node):
            if indices in source and (count := _rows(node, dims.get(table, []))):
                name = source[indices]
                rows[name] = min(count, rows.get(name, count))
    return rows


def _choices(node: NodeProto) -> Iterator[tuple[str, str]]:
    """Give the tables of a node, each with what chooses among its rows."""
    for table, indices in _CHOOSING.get(node.op_type, []):
        if max(table, indices) < len(node.input):
            yield node.input[table], node.input[indices]


def _rows(node: NodeProto, dims: list[int]) -> int:
    """Return the size of the axis that is chosen from; 0 where it is open."""
    axis = next((a.i for a in node.attribute if a.name in ("axis", "gather_axis")), 0)
    return dims[axis] if -len(dims) <= axis < len(dims) else 0
