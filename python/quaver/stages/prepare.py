"""From an ONNX model to what runs it."""

from __future__ import annotations

from typing import TypeAlias

from onnx import ModelProto, TensorProto

from quaver import _core
from quaver.convert.onnx.dtypes import known_dtype
from quaver.convert.onnx.functions import expanded
from quaver.convert.onnx.shapes import check_declared
from quaver.convert.onnx.source import modernized
from quaver.errors import UnsupportedError
from quaver.stages.deciding import bound_inputs
from quaver.stages.labels import with_numbered_labels
from quaver.stages.native import compiled
from quaver.stages.options import Options
from quaver.stages.staged import Staged
from quaver.stages.survey import with_branches

Core: TypeAlias = "_core.Model | Staged"

_CONTROL = frozenset({"If", "Loop", "Scan"})


def prepare(model: ModelProto, options: Options) -> Core:
    """Make a model ready to run: one native graph where that can be, else stages.

    Raises
    ------
    UnsupportedError
        Where it asks for what neither Quaver nor the fallback has.
    ModelError
        Where it is broken.
    """
    readied = _readied(model)
    refusal: UnsupportedError | None = None
    if _plain(readied) and not options.accelerated:
        try:
            return compiled(readied, options)
        except UnsupportedError as error:
            refusal = error
    try:
        return Staged(with_branches(readied), options, model)
    except UnsupportedError:
        if refusal is None:
            raise
    raise refusal


def in_stages(model: ModelProto, options: Options) -> Staged:
    """Make a model ready to run whose one native graph cannot be planned for shapes it met.

    Raises
    ------
    UnsupportedError
        Where some node can run nowhere.
    """
    return Staged(with_branches(_readied(model)), options, model)


def _readied(model: ModelProto) -> ModelProto:
    model = modernized(model)
    check_declared(model)
    return with_numbered_labels(expanded(model))


def _plain(model: ModelProto) -> bool:
    """Whether nothing of a model asks for stages before its import is tried."""
    graph = model.graph
    ports = [*graph.input, *graph.output]
    return (
        all(_tensor(port.type.tensor_type.elem_type) for port in ports)
        and not any(node.op_type in _CONTROL for node in graph.node)
        and not bound_inputs(graph)
    )


def _tensor(elem_type: int) -> bool:
    return elem_type == TensorProto.UNDEFINED or known_dtype(elem_type) is not None
