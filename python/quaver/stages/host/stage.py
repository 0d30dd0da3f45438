"""A run of nodes on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, numpy_helper

from quaver.errors import Error, InputError
from quaver.stages.host.node import HostNode, host_of
from quaver.stages.options import Options


class Host:
    """The nodes of a model, one after another."""

    kind = "host"

    def __init__(self, model: ModelProto, options: Options) -> None:
        graph = model.graph
        tensors = {tensor.name: tensor for tensor in graph.initializer}
        opsets = {o.domain: o.version for o in model.opset_import}
        self._constants = {name: numpy_helper.to_array(t) for name, t in tensors.items()}
        self._inputs = [info.name for info in graph.input]
        self._outputs = [info.name for info in graph.output]
        self._nodes = [HostNode(node, opsets, options, tensors) for node in graph.node]

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Run on all inputs in order."""
        values: dict[str, Any] = {"": None, **self._constants}
        values.update(zip(self._inputs, arrays, strict=True))
        for node in self._nodes:
            function = host_of(node.proto)
            assert function is not None, "assign has seen to it"
            node.values = values
            try:
                made = function(node, *(values[name] for name in node.proto.input))
            except Error:
                raise
            except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                raise InputError(f"{node.op} '{node.name}' cannot run: {error}") from error
            results = made if isinstance(made, tuple) else (made,)
            for name, result in zip(node.proto.output, results, strict=False):
                values[name] = np.asarray(result) if isinstance(result, np.generic) else result
        return [values[name] for name in self._outputs]
