"""An ONNX graph with an index: who makes a tensor, who uses it, its type, shape and constant."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from quaver.convert.onnx.light import without_initializers

Array = NDArray[Any]


class Net:
    """A model taken apart for rewriting; `proto` puts it together again.

    Parameters
    ----------
    model
        With shapes inferred, its constants as initializers, and every node named. Not changed.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._model = without_initializers(model)
        self.nodes: list[onnx.NodeProto] = [_copy(node) for node in model.graph.node]
        self.weights: dict[str, Array] = {
            t.name: numpy_helper.to_array(t) for t in model.graph.initializer
        }
        self.inputs = [i.name for i in model.graph.input if i.name not in self.weights]
        self.outputs = [o.name for o in model.graph.output]
        infos = (*model.graph.input, *model.graph.output, *model.graph.value_info)
        self._types = {info.name: info.type.tensor_type for info in infos}
        self.index()

    def index(self) -> None:
        """Bring `producer` and `users` up to date after `nodes` changed."""
        self.producer = {name: node for node in self.nodes for name in node.output if name}
        self.users: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(filter(None, node.input)):
                self.users.setdefault(name, []).append(node)

    def learn(self, name: str, other: Net, like: str) -> None:
        """Give a tensor the type and shape that another net knows of its tensor `like`."""
        if like in other._types:
            self._types[name] = other._types[like]

    def sole_user(self, name: str) -> onnx.NodeProto | None:
        """The node that uses a tensor, where it is the only one and the tensor is no output."""
        users = self.users.get(name, [])
        return users[0] if len(users) == 1 and name not in self.outputs else None

    def is_float(self, name: str) -> bool:
        """Whether a tensor is known to be float32."""
        if name in self.weights:
            return bool(self.weights[name].dtype == np.float32)
        known = self._types.get(name)
        return known is not None and known.elem_type == onnx.TensorProto.FLOAT

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """A tensor's dimensions, None for open ones; None where not even their number is known."""
        if name in self.weights:
            return self.weights[name].shape
        known = self._types.get(name)
        if known is None or not known.HasField("shape"):
            return None
        return tuple(d.dim_value if d.HasField("dim_value") else None for d in known.shape.dim)

    def proto(
        self,
        nodes: Iterable[onnx.NodeProto] | None = None,
        weights: dict[str, Array] | None = None,
        opset: int = 0,
    ) -> onnx.ModelProto:
        """The model with these nodes and constants, by default its own; unused constants go."""
        chosen = list(self.nodes if nodes is None else nodes)
        used = {name for node in chosen for name in node.input} | set(self.outputs)
        constants = self.weights if weights is None else weights
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        del model.graph.node[:], model.graph.value_info[:]
        model.graph.node.extend(chosen)
        model.graph.initializer.extend(
            numpy_helper.from_array(array, name)
            for name, array in constants.items()
            if name in used
        )
        kept = [i for i in model.graph.input if i.name in self.inputs]
        del model.graph.input[:]
        model.graph.input.extend(kept)
        for entry in model.opset_import:
            if entry.domain in ("", "ai.onnx"):
                entry.version = max(entry.version, opset)
        return model

    def observed(self, names: Iterable[str]) -> onnx.ModelProto:
        """The model with these tensors as its outputs, and only what they need."""
        wanted = list(names)
        needed, kept = set(wanted), []
        for node in reversed(self.nodes):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(filter(None, node.input))
        model = self.proto(reversed(kept))
        del model.graph.output[:]
        model.graph.output.extend(
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, self.shape(name))
            for name in wanted
        )
        return model

    def between(self, start: str, end: str, rank: int) -> onnx.ModelProto:
        """A model of what makes one tensor of another, whose shape may be any of this rank."""
        needed, kept = {end}, []
        for node in reversed(self.nodes):
            if needed.intersection(node.output) and start not in node.output:
                kept.append(node)
                needed.update(name for name in node.input if name and name != start)
        model = self.proto(reversed(kept))
        del model.graph.input[:], model.graph.output[:]
        shape = [None] * rank
        for ports, name in ((model.graph.input, start), (model.graph.output, end)):
            ports.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape))
        return model


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """A node's attribute, or the default."""
    for item in node.attribute:
        if item.name == name:
            return helper.get_attribute_value(item)
    return default


def _copy(node: onnx.NodeProto) -> onnx.NodeProto:
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    return copy
