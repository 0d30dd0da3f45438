"""Which device runs each node, and the stages that follow."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from onnx import ModelProto, NodeProto, TypeProto

from quaver import _core
from quaver.convert.onnx.dtypes import known_dtype
from quaver.convert.onnx.names import node_name
from quaver.convert.onnx.node import handler_of
from quaver.errors import UnsupportedError
from quaver.stages.deciding import CONTENT, CURABLE, DATA, KNOWN, deciding, levels
from quaver.stages.host import host_of
from quaver.stages.options import Options
from quaver.stages.survey import survey
from quaver.stages.walk import taken

NATIVE, HOST, FOREIGN = range(3)

# Seconds; they need to be right to a factor only. To enter a stage costs 2 microseconds where it is
# native and 10 on ONNX Runtime, and five times as much once others have had the caches.
_LATENCY = 1e-5
_BANDWIDTH = 1e10
_NODE = 5e-7
_PER_MAC = 1 / 5e10
_FOREIGN_SLOWER = 1.2
_ACCELERATOR = 0.1
_BODY = 1e-3  # a branch or loop on the host
_UNKNOWN = 64  # a dimension that is open


class Assignment(NamedTuple):
    """Stages as (device, nodes); why nodes are not native; nodes that wait for shapes.

    Nodes that are `shared` compute constants, and are part of every stage that needs them.
    """

    stages: list[tuple[int, list[int]]]
    reasons: dict[int, str]
    curable: frozenset[int]
    shared: frozenset[int]


def assign(
    model: ModelProto, types: dict[str, TypeProto], refused: dict[str, str], options: Options
) -> Assignment:
    """Cut a model.

    Parameters
    ----------
    model
        With every node that has a handler or none.
    types
        Of its tensors.
    refused
        Why nodes are not native that a native stage refused, by name.

    Raises
    ------
    UnsupportedError
        If some nodes can run nowhere; all of them are named.
    """
    graph = model.graph
    reasons, _ = survey(model)
    known = levels(graph)
    stored = {tensor.name for tensor in graph.initializer}
    tensors = {name: kind for name, kind in types.items() if name not in stored}
    curable = set()
    for i, node in enumerate(graph.node):
        waits = max((known[name] for name in deciding(node)), default=0)
        if i in reasons and node.op_type in CURABLE and handler_of(node) and waits <= CONTENT:
            curable.add(i)
            del reasons[i]
        if node_name(node) in refused:
            reasons[i] = refused[node_name(node)]
        elif (why := _not_native(node, tensors, known)) is not None:
            reasons.setdefault(i, why)
    costs = [_costs(node, i not in reasons, types, options) for i, node in enumerate(graph.node)]
    lost = [reasons[i] for i, cost in enumerate(costs) if min(cost) == np.inf]
    if lost:
        raise UnsupportedError(_all(lost, model, costs, options))
    outputs = {info.name for info in graph.output}
    shared = frozenset(
        i
        for i, node in enumerate(graph.node)
        if i not in reasons
        and all(known[name] == KNOWN and name not in outputs for name in node.output if name)
    )
    cut = [i for i in range(len(graph.node)) if i not in shared]
    edges = _edges(model, types, known, {node: at for at, node in enumerate(cut)})
    stages = _core.cut([costs[i] for i in cut], edges, [], _LATENCY, _BANDWIDTH)
    placed = [(device, [cut[at] for at in nodes]) for device, nodes in stages]
    return Assignment(placed, reasons, frozenset(curable), shared)


def _not_native(node: NodeProto, types: dict[str, TypeProto], known: dict[str, int]) -> str | None:
    """Say why a node with a handler is not native all the same."""
    for name in [*taken(node), *node.output]:
        kind = types.get(name)
        if kind is None:
            continue
        if not kind.HasField("tensor_type"):
            which = (kind.WhichOneof("value") or "nothing").removesuffix("_type")
            return f"{node.op_type} '{node_name(node)}': '{name}' is a {which}, no tensor"
        elem_type = kind.tensor_type.elem_type
        if elem_type and known_dtype(elem_type) is None:
            return (
                f"{node.op_type} '{node_name(node)}': Quaver has no tensors of the type of '{name}'"
            )
    by_data = node.op_type in ("NonZero", "If", "Loop", "Compress", "Unique", "NonMaxSuppression")
    if by_data and max((known[name] for name in deciding(node)), default=0) == DATA:
        return (
            f"{node.op_type} '{node_name(node)}': what it gives depends on the contents of tensors"
        )
    return None


def _costs(
    node: NodeProto, is_native: bool, types: dict[str, TypeProto], options: Options
) -> list[float]:
    work = _work(node, types) * _PER_MAC
    costs = [np.inf, np.inf, np.inf]
    if is_native:
        costs[NATIVE] = _NODE / 2 + work
    if host_of(node) is not None:
        costs[HOST] = _NODE * 16 + work * 4
        if node.op_type in ("If", "Loop", "Scan"):
            costs[HOST] += _BODY
    if options.provider is not None:
        costs[FOREIGN] = (_NODE + work) * (_ACCELERATOR if options.accelerated else _FOREIGN_SLOWER)
    return [float(cost) for cost in costs]


def _work(node: NodeProto, types: dict[str, TypeProto]) -> float:
    """Estimate the multiply-accumulates of a node, moved elements counted as one each."""
    sizes = [_elements(types.get(name)) for name in node.input]
    made = sum(_elements(types.get(name)) for name in node.output)
    if node.op_type in ("Conv", "ConvTranspose", "MatMul", "Gemm", "QLinearConv", "LSTM", "GRU"):
        weights = types.get(node.input[1]) if len(node.input) > 1 else None
        dims = _dims(weights)
        inner = float(np.prod(dims[1:])) if len(dims) > 2 else float(dims[0] if dims else 1)
        return made * max(inner, 1.0)
    return made + sum(sizes)


def _dims(kind: TypeProto | None) -> list[int]:
    if kind is None or not kind.HasField("tensor_type"):
        return []
    return [
        d.dim_value if d.HasField("dim_value") else _UNKNOWN for d in kind.tensor_type.shape.dim
    ]


def _elements(kind: TypeProto | None) -> float:
    return float(np.prod(_dims(kind), dtype=np.float64))


def _edges(
    model: ModelProto, types: dict[str, TypeProto], known: dict[str, int], places: dict[int, int]
) -> list[tuple[int, int, float, bool]]:
    makers: dict[str, int] = {}
    edges: list[tuple[int, int, float, bool]] = []
    for node_index, i in places.items():
        node = model.graph.node[node_index]
        apart = {name for name in deciding(node) if known[name] == DATA}
        edges += [
            (makers[name], i, 4 * _elements(types.get(name)), name in apart)
            for name in taken(node)
            if name in makers
        ]
        makers.update((name, i) for name in node.output if name)
    return edges


def _all(lost: list[str], model: ModelProto, costs: list[list[float]], options: Options) -> str:
    """Say what can run nowhere."""
    nodes = [n for n, cost in zip(model.graph.node, costs, strict=True) if min(cost) == np.inf]
    missing = [n for n in nodes if handler_of(n) is None]
    if len(lost) == 1 and not missing:
        return lost[0]
    count = len(nodes)
    lines = [f"  {why}" for why in dict.fromkeys(lost)][:20]
    way = "" if options.provider else "; with onnxruntime installed, it can run them (fallback=)"
    head = f"{count} node{'s are' if count > 1 else ' is'} not supported{way}:"
    return "\n".join([head, *lines])
