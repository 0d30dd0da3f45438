"""The names of one ONNX graph: which value each became, and what is known of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, numpy_helper

from quaver.convert.builder import Array, Builder, Shape
from quaver.convert.onnx.dtypes import dtype_name, known_dtype
from quaver.convert.onnx.external import array_of
from quaver.convert.onnx.few_bits import Blocks
from quaver.convert.onnx.shapes import infer
from quaver.convert.onnx.source import opset_of
from quaver.errors import ModelError


class Scope:
    """One graph under import.

    Parameters
    ----------
    model
        Its graph's initializers are added to the builder when first used.
    builder
        Where the nodes go.
    """

    def __init__(self, model: ModelProto, builder: Builder) -> None:
        self.builder = builder
        self._model = model
        self._initializers = {t.name: t for t in model.graph.initializer}
        self._values: dict[str, int] = {}
        self._arrays: dict[str, Array] = {}
        self._deferred: dict[str, Callable[[], None]] = {}
        self._blocks: dict[str, Blocks] = {}
        self._dtypes: dict[str, str] = {}
        self._shaped_like: dict[str, str] = {}
        self._inferred: tuple[dict[str, Shape], dict[str, str]] | None = None
        self._transposed: dict[tuple[int, tuple[int, ...]], int] = {}
        self.opset = opset_of(model)
        self.used = used_names(model.graph)
        self._outputs = frozenset(info.name for info in model.graph.output)

    def is_initializer(self, name: str) -> bool:
        """Whether the graph itself holds this tensor."""
        return name in self._initializers

    def is_output(self, name: str) -> bool:
        """Whether the graph returns this tensor."""
        return name in self._outputs

    def bind(self, name: str, value: int, dtype: str | None = None) -> None:
        """Let `name` stand for a value of the builder."""
        if name in self._values:
            raise ModelError(f"two nodes or inputs make the tensor '{name}'")
        self._values[name] = value
        if dtype is not None:
            self._dtypes[name] = dtype

    def bind_constant(self, name: str, array: Array) -> None:
        """Let `name` stand for a constant."""
        self.bind(name, self.builder.add_constant(name, array), array.dtype.name)
        self._arrays[name] = array

    def note_constant(self, name: str, array: Array) -> None:
        """Remember what the computed tensor `name` always holds."""
        self._arrays[name] = array

    def defer(self, name: str, bind: Callable[[], None], blocks: Blocks) -> None:
        """Let `bind` bind a tensor once it is asked for; a product may take its blocks instead."""
        self._deferred[name] = bind
        self._blocks[name] = blocks

    def blocks(self, name: str) -> Blocks | None:
        """Return what a deferred tensor is made of."""
        return self._blocks.get(name)

    def note_shape_of(self, name: str, like: str) -> None:
        """Remember that the computed tensor `name` has the shape of another."""
        self._shaped_like[name] = like

    def note_dtype(self, name: str, dtype: str) -> None:
        """Remember the dtype of the computed tensor `name`."""
        self._dtypes[name] = dtype

    def value(self, name: str, user: str) -> int:
        """Return the builder's value of a tensor."""
        if name in self._deferred:
            self._deferred.pop(name)()
        if name not in self._values:
            array = self.array(name)
            if array is None and name in self._initializers:
                array = to_array(self._initializers[name], f"initializer '{name}'")
            if array is None:
                raise ModelError(f"{user}: nothing before it makes its input '{name}'")
            self.bind_constant(name, array)
        return self._values[name]

    def array(self, name: str) -> Array | None:
        """Return a constant's content; None for what is computed, or of a dtype not here."""
        tensor = self._initializers.get(name)
        if name not in self._arrays and tensor is not None and known_dtype(tensor.data_type):
            self._arrays[name] = to_array(self._initializers[name], f"initializer '{name}'")
        return self._arrays.get(name)

    def stored(self, name: str) -> Array | None:
        """Return an initializer's content, of dtypes too that Quaver has no tensors of."""
        if name not in self._initializers:
            return None
        return to_array(self._initializers[name], f"initializer '{name}'", any_dtype=True)

    def dtype(self, name: str) -> str | None:
        """Return a tensor's dtype, as far as it is known or ONNX's inference sees."""
        if name in self._dtypes:
            return self._dtypes[name]
        if name in self._initializers:
            return known_dtype(self._initializers[name].data_type)
        return self._infer()[1].get(name)

    def shape(self, name: str) -> Shape | None:
        """Return a tensor's shape, as far as ONNX's shape inference sees."""
        name = self._shaped_like.get(name, name)
        if name in self._initializers:
            return list(self._initializers[name].dims)
        return self._infer()[0].get(name)

    def _infer(self) -> tuple[dict[str, Shape], dict[str, str]]:
        if self._inferred is None:
            self._inferred = infer(self._model)
        return self._inferred

    def transposed(self, value: int, perm: tuple[int, ...], node: str, output: str) -> int:
        """Transpose a value once, however many nodes ask for it."""
        key = (value, perm)
        if key not in self._transposed:
            added = self.builder.add_node(
                "Transpose", node, [value], [f"{output}/Transpose"], {"perm": list(perm)}
            )
            self._transposed[key] = added[0]
        return self._transposed[key]


def to_array(tensor: TensorProto, where: str, *, any_dtype: bool = False) -> Array:
    """Return a tensor's content; `where` is for the errors."""
    if any(dim < 0 for dim in tensor.dims):
        raise ModelError(f"{where} has the shape {list(tensor.dims)}")
    if not any_dtype:
        dtype_name(tensor.data_type, where)
    if tensor.data_location == TensorProto.EXTERNAL:
        mapped = array_of(tensor)
        if mapped is not None:
            return mapped
        raise ModelError(f"{where} lies in a file of its own; load the model by its path")
    try:
        array: Array = numpy_helper.to_array(tensor)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{where} does not hold {list(tensor.dims)} elements: {error}") from error
    return np.asarray(array)


def used_names(graph: GraphProto) -> frozenset[str]:
    """Tensors that a node takes or the graph returns."""
    names = {name for node in graph.node for name in node.input}
    return frozenset(names | {output.name for output in graph.output})
