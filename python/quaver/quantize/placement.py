"""Which nodes run in int8, and which tensors are stored as bytes for that."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import onnx

from quaver.errors import InputError
from quaver.quantize.net import Net
from quaver.quantize.operators import (
    ARITHMETIC,
    CLAMPING,
    UNARY,
    data_inputs,
    is_move,
    unfit,
    weight_of,
)
from quaver.quantize.regions import ATTENTION, Regions, is_bias


@dataclass
class Placement:
    """The nodes in int8, by name, and what that asks of tensors."""

    nodes: set[str] = field(default_factory=set)
    tensors: list[str] = field(default_factory=list)
    """Stored as bytes, in run order; constants that meet activations are among them."""
    group: dict[str, str] = field(default_factory=dict)
    """Of each tensor, the name of those it shares scale and zero point with."""
    sums: list[str] = field(default_factory=list)
    """Made from bytes as reals, in run order."""
    functions: dict[str, str] = field(default_factory=dict)
    """Of tensors that only one function of single elements reads, what that makes."""
    doubled: frozenset[str] = frozenset()
    """Products that read two bytes of each number: one, and what its rounding left."""
    floats: dict[str, str] = field(default_factory=dict)
    """Why a node with float tensors stays in float."""


def place(net: Net, keep_float: Collection[str] = (), doubled: Collection[str] = ()) -> Placement:
    """Decide what is quantized.

    Whatever the core computes in int8 is, but for what `regions` names. A tensor between an
    operator and the bias or Clip after it is not stored, nor is one inside a function of a single
    tensor (x · sigmoid(x), however spelled): that is one table for the core.

    Parameters
    ----------
    net
        A prepared model.
    keep_float
        Names of nodes that stay in float.
    doubled
        Names of products that read two bytes, as far as they are in int8.
    """
    names = {node.name for node in net.nodes}
    for name in keep_float:
        if name not in names:
            raise InputError(f"there is no node {name!r} to keep in float")
    placement = Placement()
    for node in net.nodes:
        if node.name in keep_float:
            placement.floats[node.name] = "asked for"
        elif (why := unfit(net, node)) is None:
            placement.nodes.add(node.name)
        elif why:
            placement.floats[node.name] = why
    for name, why in Regions(net, keep_float).floats.items():
        placement.nodes.discard(name)
        placement.floats[name] = why
    placement.sums = _sums(net, placement)
    inner = _inner(net, placement).union(placement.sums)
    stored = dict.fromkeys(
        name
        for node in net.nodes
        if node.name in placement.nodes
        for name in (*_stored_inputs(net, node), *node.output)
        if name and net.is_float(name) and name not in inner
    )
    placement.tensors = list(stored)
    placement.group = _groups(net, placement)
    placement.functions = _functions(net, placement)
    placement.doubled = frozenset(doubled) & placement.nodes
    return placement


def _stored_inputs(net: Net, node: onnx.NodeProto) -> list[str]:
    weight = weight_of(net, node)
    bias = _biases(net, node)
    return [
        name for name in data_inputs(node) if name != weight and not (bias and name in net.weights)
    ]


def _inner(net: Net, placement: Placement) -> set[str]:
    """Tensors between nodes in int8 that need not be stored."""
    roots = _roots(net, placement)
    inner = set()
    for node in net.nodes:
        if node.name not in placement.nodes or len(node.output) != 1:
            continue
        name = node.output[0]
        users = net.users.get(name, [])
        if name in net.outputs or not users:
            continue
        if name in roots:
            if all(roots.get(user.output[0]) == roots[name] for user in users):
                inner.add(name)
        elif len(users) == 1 and users[0].name in placement.nodes and _takes(net, node, users[0]):
            inner.add(name)
    return inner


def _sums(net: Net, placement: Placement) -> list[str]:
    """Results that only what is in float reads, or the caller, of what leaves its sums as reals.

    Not what an attention takes: that is faster from bytes.
    """
    return [
        node.output[0]
        for node in net.nodes
        if node.name in placement.nodes
        and leaves_sums(net, node)
        and not any(user.name in placement.nodes for user in net.users.get(node.output[0], []))
        and not _enters_attention(net, placement, node.output[0])
    ]


def _enters_attention(net: Net, placement: Placement, name: str) -> bool:
    """Whether an attention takes a tensor, moved or scaled before."""
    return any(
        placement.floats.get(user.name) == ATTENTION
        or (
            (is_move(user) or user.op_type in ("Mul", "Div"))
            and _enters_attention(net, placement, user.output[0])
        )
        for user in net.users.get(name, [])
    )


def leaves_sums(net: Net, node: onnx.NodeProto) -> bool:
    """Whether the core gives the sums of a node's bytes as reals, for next to nothing.

    It does of products of matrices, with their biases, and of convolutions.
    """
    return node.op_type in ("Conv", "MatMul", "Gemm") or _biases(net, node)


def _biases(net: Net, node: onnx.NodeProto) -> bool:
    """Whether a node adds the bias of a product."""
    before = [net.producer.get(name) for name in node.input]
    return any(product is not None and is_bias(net, product, node) for product in before)


def _takes(net: Net, node: onnx.NodeProto, user: onnx.NodeProto) -> bool:
    """Whether a node does what its user does in its own rounding."""
    return node.op_type in CLAMPING and (
        user.op_type in ("Relu", "Clip") or is_bias(net, node, user)
    )


def _roots(net: Net, placement: Placement) -> dict[str, str]:
    """For each tensor that is a function of every single element of one other, which that is."""
    roots: dict[str, str] = {}
    for node in net.nodes:
        if node.name not in placement.nodes or node.op_type not in UNARY | ARITHMETIC:
            continue
        operands = data_inputs(node)
        varying = [name for name in operands if name not in net.weights]
        single = all(net.weights[n].size == 1 for n in operands if n in net.weights)
        found = {roots.get(name, name) for name in varying}
        if len(found) != 1 or not single:
            continue
        root, before = found.pop(), net.producer.get(operands[0])
        fused = (
            node.op_type in ("Relu", "Clip")
            and before is not None
            and before.op_type in CLAMPING
            and before.name in placement.nodes
            and net.sole_user(operands[0]) is node
            and operands[0] not in roots
        )
        if not fused and net.shape(node.output[0]) == net.shape(root):
            roots[node.output[0]] = root
    return roots


def _functions(net: Net, placement: Placement) -> dict[str, str]:
    roots = _roots(net, placement)
    made: dict[str, list[str]] = {}
    for name in placement.tensors:
        if name in roots:
            made.setdefault(roots[name], []).append(name)
    return {
        root: names[0]
        for root, names in made.items()
        if len(names) == 1
        and root in placement.group
        and root not in net.outputs
        and all(roots.get(user.output[0]) == root for user in net.users[root])
    }


def _groups(net: Net, placement: Placement) -> dict[str, str]:
    """Let moves share one scale from end to end, so that they move bytes."""
    parent = {name: name for name in placement.tensors}

    def find(name: str) -> str:
        while parent[name] != name:
            name = parent[name]
        return name

    for node in net.nodes:
        if node.name not in placement.nodes or not is_move(node):
            continue
        for name in data_inputs(node):
            if node.op_type == "Concat" and not _may_share(net, name):
                continue
            for out in node.output:
                if name in parent and out in parent:
                    parent[find(out)] = find(name)
    return {name: find(name) for name in placement.tensors}


def _may_share(net: Net, name: str) -> bool:
    """Whether an input of Concat loses nothing by the scale of the result: it has no other use."""
    before = net.producer.get(name)
    return net.sole_user(name) is not None and (before is None or not is_move(before))
