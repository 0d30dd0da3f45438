"""Branches and loops that are known when a model is imported: the branch, or the loop unrolled."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from onnx import GraphProto, NodeProto

from quaver.convert.onnx.node import Node, handler
from quaver.convert.onnx.scope import to_array

_LONGEST = 1024  # iterations

Importer = Callable[[Node, NodeProto], None]
_import_node: list[Importer] = []


def import_nodes_with(importer: Importer) -> None:
    """Set what imports the nodes of a body; the importer does."""
    _import_node[:] = [importer]


@handler("If")
def if_(node: Node) -> None:
    """The branch that a constant condition takes."""
    taken = bool(node.constant(0, "its condition").reshape(()))
    branch = node.graph("then_branch" if taken else "else_branch")
    _bind_all(node, node.outputs, _run(node, branch, f"{node.outputs[0]}/branch", []))


@handler("Scan")
def scan(node: Node) -> None:
    """A loop over the slices of tensors of known size."""
    body, slices = node.graph("body"), node.integer("num_scan_inputs")
    states = len(node.input_names) - slices
    axes = node.ints("scan_input_axes") or [0] * slices
    backwards = node.ints("scan_input_directions") or [0] * slices
    out_backwards = node.ints("scan_output_directions")
    shapes = [node.shape(states + i) for i in range(slices)]
    sizes = [shape[axis] for shape, axis in zip(shapes, axes, strict=True) if shape]
    if len(sizes) != slices or sizes[0] is None:
        raise node.unsupported("its number of iterations is not known")
    carried = [node.input(i) for i in range(states)]
    dtypes = [node.scope.dtype(name) for name in node.input_names]
    rows: list[list[int]] = []
    for i in range(_checked(node, int(sizes[0]))):
        given = list(carried)
        for k, axis in enumerate(axes):
            at = int(sizes[0]) - 1 - i if backwards[k] else i
            index = node.add_constant(f"{i}/{k}", np.array(at, np.int64))
            given.append(node.emit("Gather", node.input(states + k), index, axis=axis))
        results = _run(node, body, f"{node.outputs[0]}/{i}", given, dtypes)
        carried = results[:states]
        rows.append(results[states:])
    out_axes = node.ints("scan_output_axes") or [0] * (len(node.outputs) - states)
    if any(out_backwards):
        raise node.unsupported("it collects its outputs backwards")
    _bind_all(node, node.outputs, [*carried, *_stacked(node, rows, out_axes)])


@handler("Loop")
def loop(node: Node) -> None:
    """A loop whose number of iterations and condition are constants."""
    body = node.graph("body")
    if node.has(1) and not bool(node.constant(1, "its condition").reshape(())):
        trips = 0
    elif node.has(0):
        trips = int(node.constant(0, "its number of iterations").reshape(()))
    else:
        raise node.unsupported("its number of iterations is not known")
    carried = [node.input(i) for i in range(2, len(node.input_names))]
    dtypes = ["int64", "bool", *(node.scope.dtype(name) for name in node.input_names[2:])]
    rows: list[list[int]] = []
    for i in range(_checked(node, trips)):
        prefix = f"{node.outputs[0]}/{i}"
        counter = node.add_constant(f"{i}", np.array(i, np.int64))
        always = node.add_constant(f"{i}/condition", np.array(True))
        results = _run(node, body, prefix, [counter, always, *carried], dtypes)
        if not _stays(node, body, prefix):
            raise node.unsupported("its condition is computed at run time")
        carried, collected = results[1 : 1 + len(carried)], results[1 + len(carried) :]
        rows.append(collected)
    if not rows and len(node.outputs) > len(carried):
        raise node.unsupported("it collects outputs of no iteration")
    axes = [0] * (len(node.outputs) - len(carried))
    _bind_all(node, node.outputs, [*carried, *_stacked(node, rows, axes)])


def _checked(node: Node, trips: int) -> int:
    if trips > _LONGEST:
        raise node.unsupported(f"it has {trips} iterations; at most {_LONGEST} are unrolled")
    return max(trips, 0)


def _stays(node: Node, body: GraphProto, prefix: str) -> bool:
    """Whether the condition that a body gives is its own, or a constant that holds."""
    name = body.output[0].name
    while True:
        if name == body.input[1].name:
            return True
        array = node.scope.array(f"{prefix}/{name}")
        if array is not None:
            return bool(array.reshape(()))
        maker = next((n for n in body.node if name in n.output), None)
        if maker is None or maker.op_type != "Identity":
            return False
        name = maker.input[0]


def _run(
    node: Node,
    body: GraphProto,
    prefix: str,
    given: Sequence[int],
    dtypes: Sequence[str | None] = (),
) -> list[int]:
    """Import a body under names of its own; return the values of its outputs."""
    scope = node.scope
    own = {info.name for info in body.input} | {tensor.name for tensor in body.initializer}
    own |= {name for inner in body.node for name in inner.output if name}
    renamed = {name: f"{prefix}/{name}" for name in own}
    for tensor in body.initializer:
        array = to_array(tensor, f"{node.label}: '{tensor.name}'")
        scope.bind_constant(renamed[tensor.name], array)
    for info, value, dtype in zip(body.input, given, dtypes, strict=True):
        scope.bind(renamed[info.name], value, dtype)
    for inner in body.node:
        copy = NodeProto()
        copy.CopyFrom(inner)
        copy.input[:] = [renamed.get(name, name) for name in inner.input]
        copy.output[:] = [renamed.get(name, name) for name in inner.output]
        _import_node[0](node, copy)
    return [scope.value(renamed.get(o.name, o.name), node.label) for o in body.output]


def _stacked(node: Node, rows: list[list[int]], axes: list[int]) -> list[int]:
    stacked = []
    for k, axis in enumerate(axes):
        at = node.add_constant(f"axis{k}", np.array([axis], np.int64))
        parts = [node.emit("Unsqueeze", row[k], at) for row in rows]
        stacked.append(node.emit("Concat", *parts, axis=axis))
    return stacked


def _bind_all(node: Node, names: Sequence[str], values: Sequence[int]) -> None:
    """Let the node's outputs stand for values, each for one of its own."""
    for name, value in zip(names, values, strict=False):
        if name:
            made = node.scope.builder.add_node("Identity", node.name, [value], [name], {})
            node.scope.bind(name, made[0])
