"""A rehearsal of the import: which nodes no handler takes, and which branches are known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, numpy_helper

from quaver.convert.builder import Array, Attributes, Shape
from quaver.convert.onnx.dtypes import known_dtype
from quaver.convert.onnx.importer import import_node
from quaver.convert.onnx.names import node_name
from quaver.convert.onnx.scope import Scope
from quaver.convert.onnx.shapes import shape_of
from quaver.errors import ModelError, UnsupportedError

_ROUNDS = 32  # branches within branches


class Sketch:
    """A builder that keeps nothing."""

    def __init__(self) -> None:
        self._count = 0

    def _value(self) -> int:
        self._count += 1
        return self._count

    def set_name(self, name: str) -> None:
        """Do nothing."""

    def add_input(self, name: str, dtype: str, shape: Shape | None) -> int:  # noqa: ARG002
        """Number a value."""
        return self._value()

    def add_constant(self, name: str, array: Array) -> int:  # noqa: ARG002
        """Number a value."""
        return self._value()

    def add_node(
        self,
        op: str,  # noqa: ARG002
        name: str,  # noqa: ARG002
        inputs: Sequence[int | None],  # noqa: ARG002
        output_names: Sequence[str],
        attrs: Attributes,  # noqa: ARG002
    ) -> list[int]:
        """Number the outputs."""
        return [self._value() for _ in output_names]

    def set_outputs(self, outputs: Sequence[Any]) -> None:
        """Do nothing."""


def survey(model: ModelProto) -> tuple[dict[int, str], Scope]:
    """Rehearse the import of a model of handled or unhandled nodes.

    Returns
    -------
    tuple
        Why a node cannot be imported, by its position; and what is known of the tensors.

    Raises
    ------
    ModelError
        If the model is broken.
    """
    scope = Scope(model, Sketch())
    for info in model.graph.input:
        if not scope.is_initializer(info.name):
            dtype = known_dtype(info.type.tensor_type.elem_type)
            shape = shape_of(info) if info.type.HasField("tensor_type") else None
            scope.bind(info.name, scope.builder.add_input(info.name, dtype or "", shape), dtype)
    refused: dict[int, str] = {}
    for i, node in enumerate(model.graph.node):
        try:
            import_node(scope, node)
        except UnsupportedError as error:  # noqa: PERF203
            refused[i] = str(error)
            _bind_rest(scope, node)
    return refused, scope


def _bind_rest(scope: Scope, node: NodeProto) -> None:
    for name in node.output:
        if not name:
            continue
        try:
            scope.bind(name, scope.builder.add_input(name, "", None))
        except ModelError:  # the handler came as far as this output
            continue


def with_branches(model: ModelProto) -> ModelProto:
    """Give a model in which each If whose condition is known has given way to the branch taken."""
    for _ in range(_ROUNDS):
        if not any(node.op_type == "If" for node in model.graph.node):
            return model
        _, scope = survey(model)
        taken, folded = {}, {}
        outputs = {info.name for info in model.graph.output}
        for i, node in enumerate(model.graph.node):
            if node.op_type == "If" and (array := scope.array(node.input[0])) is not None:
                taken[i] = bool(array.reshape(-1)[0])
            elif len(node.output) == 1 and node.output[0] not in outputs:
                array = scope.array(node.output[0])
                if array is not None and node.op_type != "Constant":
                    folded[i] = array
        if not taken and not folded:
            return model
        model = _spliced(model, taken, folded)
    return model


def _spliced(model: ModelProto, taken: dict[int, bool], folded: dict[int, Array]) -> ModelProto:
    """Put branches, and constants for shape inference to see, in the places of their nodes."""
    result = ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    for i, node in enumerate(model.graph.node):
        if i in folded:
            tensor = numpy_helper.from_array(folded[i], node.output[0])
            result.graph.initializer.append(tensor)
            continue
        if i not in taken:
            result.graph.node.append(node)
            continue
        name = "then_branch" if taken[i] else "else_branch"
        branch = next((a.g for a in node.attribute if a.name == name), None)
        if branch is None:
            raise ModelError(f"If '{node_name(node)}': attribute '{name}' is missing")
        _splice(result.graph, node, branch, f"{node_name(node)}/{i}")
    return result


def _splice(graph: GraphProto, node: NodeProto, branch: GraphProto, prefix: str) -> None:
    own = {tensor.name for tensor in branch.initializer}
    own |= {name for inner in branch.node for name in inner.output if name}
    names = {name: f"{prefix}/{name}" for name in own}
    for tensor in branch.initializer:
        graph.initializer.append(tensor)
        graph.initializer[-1].name = names[tensor.name]
    for inner in branch.node:
        copy = graph.node.add()
        copy.CopyFrom(inner)
        rename(copy, names)
        copy.name = f"{prefix}/{node_name(inner)}"
    for info, output in zip(branch.output, node.output, strict=False):
        if output:
            source = names.get(info.name, info.name)
            graph.node.add(op_type="Identity", name=output, input=[source], output=[output])


def rename(node: NodeProto, names: dict[str, str]) -> None:
    """Rename what a node takes and makes; in its bodies, what they capture."""
    node.input[:] = [names.get(name, name) for name in node.input]
    node.output[:] = [names.get(name, name) for name in node.output]
    for attribute in node.attribute:
        if attribute.HasField("g"):
            body = attribute.g
            hidden = {info.name for info in body.input} | {t.name for t in body.initializer}
            hidden |= {name for inner in body.node for name in inner.output}
            outer = {name: new for name, new in names.items() if name not in hidden}
            for inner in body.node:
                rename(inner, outer)
            for info in body.output:
                info.name = outer.get(info.name, info.name)
