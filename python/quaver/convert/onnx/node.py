"""What a handler sees: one ONNX node, its inputs as values, and the means to emit its like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto

from quaver.convert.builder import Array, Attribute, Attributes, Shape
from quaver.convert.onnx.names import MICROSOFT, node_name
from quaver.convert.onnx.scope import Scope, to_array
from quaver.errors import ModelError, UnsupportedError

__all__ = ["MICROSOFT", "Handler", "Node", "handled", "handler", "handler_of"]

Handler = Callable[["Node"], None]
_handlers: dict[tuple[str, str], Handler] = {}


def handler(*op_types: str, domain: str = "") -> Callable[[Handler], Handler]:
    """Register a function as the handler of these operators."""

    def register(function: Handler) -> Handler:
        for op_type in op_types:
            _handlers[domain, op_type] = function
        return function

    return register


def handler_of(proto: NodeProto) -> Handler | None:
    """Return the handler of a node's operator, if there is one."""
    return _handlers.get(("" if proto.domain == "ai.onnx" else proto.domain, proto.op_type))


def handled() -> frozenset[tuple[str, str]]:
    """All operators that have a handler, as (domain, name)."""
    return frozenset(_handlers)


class Node:
    """One node of an ONNX graph while it is imported.

    A handler reads inputs and attributes, emits what the node becomes, and calls `result` for the
    last of it.
    """

    def __init__(self, scope: Scope, proto: NodeProto) -> None:
        self.scope = scope
        self.op = proto.op_type
        self.name = node_name(proto)
        self.input_names = list(proto.input)
        self.outputs = list(proto.output)
        self._attributes = {a.name: a for a in proto.attribute}

    @property
    def label(self) -> str:
        """Operator and name, for messages."""
        return f"{self.op} '{self.name}'"

    def unsupported(self, what: str) -> UnsupportedError:
        """Return the error that says what this node asks for and Quaver lacks."""
        return UnsupportedError(f"{self.label}: {what}")

    def invalid(self, what: str) -> ModelError:
        """Return the error that says what is wrong with this node."""
        return ModelError(f"{self.label}: {what}")

    # Inputs

    def has(self, index: int) -> bool:
        """Whether an input is given."""
        return index < len(self.input_names) and self.input_names[index] != ""

    def optional(self, index: int) -> int | None:
        """Return an input's value, None where it is left out."""
        if not self.has(index):
            return None
        return self.scope.value(self.input_names[index], self.label)

    def input(self, index: int) -> int:
        """Return an input's value, which must be there."""
        value = self.optional(index)
        if value is None:
            raise self.invalid(f"input {index} is missing")
        return value

    def array(self, index: int) -> Array | None:
        """Return an input's content where it is a known constant."""
        return self.scope.array(self.input_names[index]) if self.has(index) else None

    def constant(self, index: int, what: str) -> Array:
        """Return the content of an input that must be a constant."""
        array = self.array(index)
        if array is None:
            raise self.unsupported(f"{what} must be constant; it is computed at run time")
        return array

    def stored(self, index: int, what: str) -> Array:
        """Return the content of an input that must be an initializer, of whatever dtype."""
        array = self.scope.stored(self.input_names[index]) if self.has(index) else None
        return self.constant(index, what) if array is None else array

    def shape(self, index: int) -> Shape | None:
        """Return an input's shape as far as it is known."""
        return self.scope.shape(self.input_names[index]) if self.has(index) else None

    def uses_output(self, index: int) -> bool:
        """Whether anything takes an output of this node."""
        return index < len(self.outputs) and self.outputs[index] in self.scope.used

    # Attributes

    def has_attribute(self, name: str) -> bool:
        """Whether an attribute is given."""
        return name in self._attributes

    def _attribute(self, name: str, kind: int, otherwise: Any) -> Any:
        attribute = self._attributes.get(name)
        if attribute is None:
            return otherwise
        if attribute.type != kind:
            expected = AttributeProto.AttributeType.Name(kind).lower()
            raise self.invalid(f"attribute '{name}' is not of the type {expected}")
        return _read[kind](attribute)

    def integer(self, name: str, otherwise: int = 0) -> int:
        """Return an integer attribute."""
        return int(self._attribute(name, AttributeProto.INT, otherwise))

    def real(self, name: str, otherwise: float = 0.0) -> float:
        """Return a float attribute."""
        return float(self._attribute(name, AttributeProto.FLOAT, otherwise))

    def string(self, name: str, otherwise: str = "") -> str:
        """Return a string attribute."""
        return str(self._attribute(name, AttributeProto.STRING, otherwise))

    def ints(self, name: str) -> list[int]:
        """Return a list of integers, empty where it is not given."""
        return list(self._attribute(name, AttributeProto.INTS, []))

    def floats(self, name: str) -> list[float]:
        """Return a list of floats, empty where it is not given."""
        return list(self._attribute(name, AttributeProto.FLOATS, []))

    def strings(self, name: str) -> list[str]:
        """Return a list of strings, empty where it is not given."""
        return list(self._attribute(name, AttributeProto.STRINGS, []))

    def tensor(self, name: str) -> TensorProto:
        """Return a tensor attribute."""
        tensor = self._attribute(name, AttributeProto.TENSOR, None)
        if not isinstance(tensor, TensorProto):
            raise self.invalid(f"attribute '{name}' is missing")
        return tensor

    def array_attribute(self, name: str) -> Array:
        """Return a tensor attribute's content."""
        return to_array(self.tensor(name), f"{self.label}: its {name}")

    def graph(self, name: str) -> GraphProto:
        """Return an attribute that is a graph: a branch or a loop's body."""
        graph = self._attribute(name, AttributeProto.GRAPH, None)
        if not isinstance(graph, GraphProto):
            raise self.invalid(f"attribute '{name}' is missing")
        return graph

    def ints_at(self, index: int, name: str) -> int | None:
        """Return integers that are an input now and were an attribute in earlier opsets."""
        if self.has(index) or not self.has_attribute(name):
            return self.optional(index)
        return self.add_constant(name, np.asarray(self.ints(name), np.int64))

    # Emission

    def add_constant(self, suffix: str, array: Array) -> int:
        """Add a constant named after this node's output."""
        return self.scope.builder.add_constant(f"{self.outputs[0]}/{suffix}", array)

    def emit(self, op: str, *inputs: int | None, **attrs: Attribute) -> int:
        """Append a node on the way to the result; return its output."""
        return self._add(op, inputs, [f"{self.outputs[0]}/{op}"], attrs)[0]

    def emit_all(
        self, op: str, *inputs: int | None, names: list[str], **attrs: Attribute
    ) -> list[int]:
        """Append a node on the way to the result; return its outputs, one for each name."""
        return self._add(op, inputs, names, attrs)

    def result(self, op: str, *inputs: int | None, **attrs: Attribute) -> int:
        """Append the node that makes this node's outputs; return the first."""
        names = [n or f"{self.outputs[0]}/unused{i}" for i, n in enumerate(self.outputs)]
        values = self._add(op, inputs, names, attrs)
        for name, value in zip(self.outputs, values, strict=True):
            if name:
                self.scope.bind(name, value)
        return values[0]

    def pass_on(self, value: int) -> None:
        """Let the node's only output be a value that was emitted."""
        self.result("Identity", value)

    def bind_outputs(self, *values: int) -> None:
        """Let each of the node's outputs be a value that was emitted."""
        for name, value in zip(self.outputs, values, strict=False):
            if name:
                self.scope.bind(name, self._add("Identity", (value,), [name], {})[0])

    def reshape(self, value: int, *shape: int) -> int:
        """Emit a Reshape; 0 keeps a dimension, -1 is what is left."""
        return self.emit("Reshape", value, self.add_constant("shape", np.array(shape, np.int64)))

    def transpose(self, value: int, *perm: int) -> int:
        """Transpose a value on the way to the result."""
        return self.scope.transposed(value, perm, self.name, self.outputs[0])

    def _add(
        self, op: str, inputs: tuple[int | None, ...], outputs: list[str], attrs: Attributes
    ) -> list[int]:
        given = list(inputs)
        while given and given[-1] is None:
            given.pop()
        return self.scope.builder.add_node(op, self.name, given, outputs, attrs)


_read: dict[int, Callable[[AttributeProto], Any]] = {
    AttributeProto.INT: lambda a: a.i,
    AttributeProto.FLOAT: lambda a: a.f,
    AttributeProto.STRING: lambda a: a.s.decode("utf-8", "replace"),
    AttributeProto.INTS: lambda a: a.ints,
    AttributeProto.FLOATS: lambda a: a.floats,
    AttributeProto.STRINGS: lambda a: [s.decode("utf-8", "replace") for s in a.strings],
    AttributeProto.TENSOR: lambda a: a.t,
    AttributeProto.GRAPH: lambda a: a.g,
}
