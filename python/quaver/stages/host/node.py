"""What a host function sees of its node, and the register of these functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from onnx import AttributeProto, GraphProto, NodeProto, helper, numpy_helper

from quaver.convert.onnx.names import node_name
from quaver.errors import InputError
from quaver.stages.options import Options

ML = "ai.onnx.ml"

Function = Callable[..., Any]  #: of a HostNode and its inputs; gives its output, or a tuple
_functions: dict[tuple[str, str], Function] = {}


def host(*op_types: str, domain: str = "") -> Callable[[Function], Function]:
    """Register a function as what runs these operators on the host."""

    def register(function: Function) -> Function:
        for op_type in op_types:
            _functions[domain, op_type] = function
        return function

    return register


def host_of(proto: NodeProto) -> Function | None:
    """Return what runs a node's operator on the host, if there is something."""
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    return _functions.get((domain, proto.op_type))


class HostNode:
    """One node of a host stage.

    Parameters
    ----------
    proto
        The node.
    opsets
        Versions of the operator sets, by domain.
    options
        With which its bodies are loaded.
    constants
        The stage's initializers, as they are in the model, for its bodies.
    """

    def __init__(
        self,
        proto: NodeProto,
        opsets: Mapping[str, int],
        options: Options,
        constants: Mapping[str, Any],
    ) -> None:
        self.proto = proto
        self.op = proto.op_type
        self.name = node_name(proto)
        self.opsets = opsets
        self.options = options
        self.constants = constants
        self.values: Mapping[str, Any] = {}  # of the run, for what bodies capture
        self.cache: dict[Any, Any] = {}
        self._attributes = {a.name: a for a in proto.attribute}

    def has(self, name: str) -> bool:
        """Whether an attribute is given."""
        return name in self._attributes

    def get(self, name: str, otherwise: Any = None) -> Any:
        """Return an attribute: bytes decoded, tensors as arrays."""
        attribute = self._attributes.get(name)
        if attribute is None:
            return otherwise
        value = helper.get_attribute_value(attribute)
        if attribute.type == AttributeProto.STRING:
            return value.decode()
        if attribute.type == AttributeProto.STRINGS:
            return [item.decode() for item in value]
        if attribute.type == AttributeProto.TENSOR:
            return numpy_helper.to_array(value)
        return value

    def graph(self, name: str) -> GraphProto:
        """Return an attribute that is a graph."""
        attribute = self._attributes.get(name)
        if attribute is None or attribute.type != AttributeProto.GRAPH:
            raise self.invalid(f"attribute '{name}' is missing")
        graph: GraphProto = attribute.g
        return graph

    @property
    def outputs(self) -> int:
        """How many outputs the node has."""
        return len(self.proto.output)

    def invalid(self, what: str) -> InputError:
        """Return the error for contents that the node cannot take."""
        return InputError(f"{self.op} '{self.name}': {what}")

    def dtype_of(self, number: int) -> np.dtype[Any]:
        """NumPy's dtype of ONNX's number of one."""
        return np.dtype(helper.tensor_dtype_to_np_dtype(number))
