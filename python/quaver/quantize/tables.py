"""Embeddings: tables of which rows are gathered, in bytes with a scale a column.

The rows are gathered as bytes and become reals afterwards, in standard ONNX; the table takes a
quarter of the memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from quaver.quantize.answers import Answers
from quaver.quantize.net import Net, attribute
from quaver.quantize.weights import Weight, quantize_weight

_MOST_NOISE, _LITTLE = 1.2, 1e-3  # of what it is without them, or of the answers' power
_LEAST = 1 << 20  # elements; what is smaller is gathered from a cache anyway


def byte_tables(net: Net, floats: Collection[str]) -> dict[str, Weight]:
    """Bring to bytes the large tables that serve nothing but such nodes, none of them in float."""
    return {
        name: quantize_weight(array, 1, search=False)
        for name, array in net.weights.items()
        if array.dtype == np.float32
        and array.ndim == 2
        and array.size >= _LEAST
        and name not in net.outputs
        and all(_picks(node, name, floats) for node in net.users.get(name, []))
    }


def unheard(
    tables: dict[str, Weight], net: Net, model: onnx.ModelProto, answers: Answers
) -> dict[str, Weight]:
    """Return the tables if the answers do not suffer by them in bytes; else none."""
    noise = answers.noise(with_tables(model, net, tables))
    return tables if noise <= max(_LITTLE, _MOST_NOISE * answers.noise(model)) else {}


def _picks(node: onnx.NodeProto, table: str, floats: Collection[str]) -> bool:
    return (
        node.op_type == "Gather"
        and node.name not in floats
        and attribute(node, "axis", 0) == 0
        and node.input[0] == table
    )


def with_tables(model: onnx.ModelProto, net: Net, tables: Mapping[str, Weight]) -> onnx.ModelProto:
    """Give a quantized model in which these tables are bytes.

    Parameters
    ----------
    model
        The model.
    net
        That in float, which knows the ranks of indices.
    tables
        By their names.
    """
    if not tables:
        return model
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    kept = [tensor for tensor in graph.initializer if tensor.name not in tables]
    del graph.node[:], graph.initializer[:]
    graph.initializer.extend(kept)
    for name, table in tables.items():
        parts = (table.bytes, table.scale, np.zeros(table.scale.shape, np.int8))
        for part, array in zip(_names(name), parts, strict=True):
            graph.initializer.append(numpy_helper.from_array(array, part))
    for node in model.graph.node:
        graph.node.append(node)
        if node.op_type != "Gather" or node.input[0] not in tables:
            continue
        gather, made = graph.node[-1], node.output[0]
        stored, scale, zero = _names(node.input[0])
        gather.input[0], gather.output[0] = stored, f"{made}/quantized"
        rank = len(net.shape(node.input[1]) or ())
        graph.node.append(
            helper.make_node(
                "DequantizeLinear",
                [gather.output[0], scale, zero],
                [made],
                f"{made}/dequantize",
                axis=rank,
            )
        )
    return result


def _names(table: str) -> tuple[str, str, str]:
    stored = f"{table}/quantized"
    return stored, f"{stored}/scale", f"{stored}/zero"
