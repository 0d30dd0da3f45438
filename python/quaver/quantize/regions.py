"""Where bytes would cost accuracy and float costs next to nothing.

Products and convolutions are what int8 makes fast; other operators follow them so that bytes need
not become floats and bytes again in between. So they stay in float where no product gains by it:
before the first product, after the last, and where only operators in float read what they make
(the sums that a LayerNormalization takes). Statistics are the other case: the mean and variance
that a normalization divides by, and the scores of an attention, have ranges that no step of a byte
resolves. A normalization, however spelled, is in float inside, with bytes going in and out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import onnx

from quaver.quantize.net import Net
from quaver.quantize.operators import (
    ARITHMETIC,
    WEIGHTED,
    is_move,
    unfit,
    weight_of,
)

_REDUCTIONS = frozenset(
    {"ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceSum", "ReduceSumSquare"}
)
NORMALIZATIONS = frozenset({"GroupNormalization", "LayerNormalization", "RMSNormalization"})
_SMALL_MACS, _SMALL_WEIGHTS = 5e-4, 1e-3  # of the network's: what of it counts as nothing

AROUND = "statistics of a normalization, which bytes do not resolve"
ATTENTION = "inside an attention, which takes and gives bytes"
AFTER = "no product follows that would gain by bytes"
BEFORE = "no product comes before it that would gain by bytes"
FOLLOWS = "it reads only what is in float"
BETWEEN = "only operators in float read its result"


class Regions:
    """Reasons to leave fit nodes in float, by name."""

    def __init__(self, net: Net, asked: Iterable[str] = ()) -> None:
        self._net = net
        self._order = {node.name: i for i, node in enumerate(net.nodes)}
        asked = set(asked)
        self._fit = {n.name for n in net.nodes if n.name not in asked and unfit(net, n) is None}
        self._above = _Reach(net)
        self.floats: dict[str, str] = {}
        self.attached = _attached(net, self._fit)
        self._products = self._important()
        self._mark_followers(asked)
        self._mark_statistics()
        self._mark_attention()
        self._mark_ends()
        self._mark_between()

    def _important(self) -> set[str]:
        """Products with weights, those left out that are nearly nothing and end the network."""
        net = self._net
        found = [n for n in net.nodes if n.name in self._fit and weight_of(net, n)]
        macs = {n.name: _macs(net, n) for n in found}
        sizes = {n.name: net.weights[n.input[1]].size for n in found}
        all_macs, all_sizes = sum(macs.values()), sum(sizes.values())
        kept: set[str] = set()
        for node in reversed(found):
            small = (
                macs[node.name] < _SMALL_MACS * all_macs
                and sizes[node.name] < _SMALL_WEIGHTS * all_sizes
            )
            followed = any(node.name in self._above.nodes(other) for other in kept)
            if small and not followed:
                self.floats[node.name] = AFTER
            else:
                kept.add(node.name)
        return kept

    def _mark(self, names: Iterable[str], why: str) -> None:
        for name in names:
            if name in self._fit and name not in self._products and name not in self.attached:
                self.floats.setdefault(name, why)

    def _mark_followers(self, asked: set[str]) -> None:
        """What only reads results of products that stay in float, before it meets others."""
        net, island = self._net, set(asked)
        for node in net.nodes:
            read = [name for name in node.input if name and name not in net.weights]
            makers = [net.producer[name].name for name in read if name in net.producer]
            follows = read and len(makers) == len(read) and island.issuperset(makers)
            if follows and node.name in self._fit and node.name not in self._products:
                self.floats[node.name] = FOLLOWS
                island.add(node.name)

    def _mark_statistics(self) -> None:
        for node in self._net.nodes:
            if node.op_type in _REDUCTIONS and node.name in self._fit:
                self._mark(self._around(node), AROUND)
            elif node.op_type in NORMALIZATIONS:
                self._mark(self._shifted(node), AROUND)

    def _around(self, reduction: onnx.NodeProto) -> set[str]:
        """The nodes from what a reduction reads to where its result last meets that again."""
        net = self._net
        source = self._tensors_above(reduction.input[0])
        made = set(reduction.output)
        found: set[str] = set()
        for node in net.nodes[self._order[reduction.name] + 1 :]:
            if node.name in self._products or not made.intersection(node.input):
                continue
            for other in set(node.input) - made:
                common = source & self._tensors_above(other)
                if common:
                    start = max(common, key=self._place)
                    found |= self._between({start}, node) | self._shifted(node)
            made.update(node.output)
        return found

    def _shifted(self, node: onnx.NodeProto) -> set[str]:
        """The products and sums with constants that follow: scale and shift of a normalization."""
        found: set[str] = set()
        waiting = [node.output[0]]
        while waiting:
            for user in self._net.users.get(waiting.pop(), []):
                scales = any(name in self._net.weights for name in user.input)
                if user.op_type in ARITHMETIC and scales:
                    found.add(user.name)
                    waiting += user.output
        return found

    def _mark_attention(self) -> None:
        net = self._net
        for node in net.nodes:
            if node.op_type != "Softmax":
                continue
            scores = [n for n in self._made_by(node.input[0]) if _is_dynamic(net, n)]
            if not scores:
                continue
            for user in self._used_by(node.output[0]):
                if _is_dynamic(net, user):
                    inside = self._between(set(scores[-1].output), user)
                    for name in (scores[-1].name, *inside):
                        if name in self._fit:
                            self.floats.setdefault(name, ATTENTION)

    def _mark_ends(self) -> None:
        net = self._net
        above: set[str] = set().union(*(self._above.nodes(p) for p in self._products))
        below: set[str] = set()
        for node in net.nodes:
            makers = (net.producer.get(name) for name in node.input)
            if any(m is not None and m.name in below | self._products for m in makers):
                below.add(node.name)
        for node in net.nodes:
            if node.name not in self._products and not _is_dynamic(net, node):
                if node.name not in above:
                    self._mark([node.name], AFTER)
                elif node.name not in below:
                    self._mark([node.name], BEFORE)

    def _mark_between(self) -> None:
        net = self._net
        for node in reversed(net.nodes):
            if node.name in self._products or node.name not in self._fit:
                continue
            users = [u for name in node.output for u in net.users.get(name, [])]
            in_float = all(u.name not in self._fit or u.name in self.floats for u in users)
            if users and in_float and not _is_dynamic(net, node):
                why = "it only moves what is float after it" if is_move(node) else BETWEEN
                self._mark([node.name], why)

    def _place(self, tensor: str) -> int:
        maker = self._net.producer.get(tensor)
        return -1 if maker is None else self._order[maker.name]

    def _tensors_above(self, tensor: str) -> set[str]:
        """A tensor and those it is made of, up to products."""
        found, waiting = set(), [tensor]
        while waiting:
            name = waiting.pop()
            if name in found or name in self._net.weights or not name:
                continue
            found.add(name)
            maker = self._net.producer.get(name)
            if maker is not None and maker.name not in self._products:
                waiting += maker.input
        return found

    def _made_by(self, tensor: str) -> list[onnx.NodeProto]:
        makers = [self._net.producer.get(name) for name in self._tensors_above(tensor)]
        found = {m.name: m for m in makers if m is not None}
        return sorted(found.values(), key=lambda n: self._order[n.name])

    def _used_by(self, tensor: str) -> list[onnx.NodeProto]:
        """Users of a tensor, through moves and arithmetic."""
        found, waiting = [], [tensor]
        while waiting:
            for user in self._net.users.get(waiting.pop(), []):
                found.append(user)
                if is_move(user) or user.op_type in (*ARITHMETIC, "Cast", "Where"):
                    waiting += user.output
        return found

    def _between(self, start: set[str], end: onnx.NodeProto) -> set[str]:
        """The nodes from these tensors to a node, that one included."""
        made, found = set(start), []
        for node in self._net.nodes[: self._order[end.name] + 1]:
            if made.intersection(node.input) and node.name not in self._products:
                made.update(node.output)
                found.append(node)
        needed = {end.name}
        kept: set[str] = set()
        for node in reversed(found):
            if node.name in needed:
                kept.add(node.name)
                makers = (self._net.producer.get(name) for name in node.input if name in made)
                needed.update(m.name for m in makers if m is not None)
        return kept


class _Reach:
    """Which nodes lie above a node, products included."""

    def __init__(self, net: Net) -> None:
        self._above: dict[str, frozenset[str]] = {}
        for node in net.nodes:
            makers = [net.producer[name] for name in node.input if name in net.producer]
            names = [m.name for m in makers]
            self._above[node.name] = frozenset(names).union(*(self._above[n] for n in names))

    def nodes(self, name: str) -> frozenset[str]:
        return self._above[name]


def _is_dynamic(net: Net, node: onnx.NodeProto) -> bool:
    """A product of two activations."""
    return node.op_type == "MatMul" and not any(name in net.weights for name in node.input)


def _attached(net: Net, fit: set[str]) -> set[str]:
    """What a product takes into its own rounding: a constant bias, then a Relu or Clip."""
    found = set()
    for node in net.nodes:
        if node.op_type not in WEIGHTED or node.name not in fit:
            continue
        user = net.sole_user(node.output[0])
        if user is not None and is_bias(net, node, user) and user.name in fit:
            found.add(user.name)
            user = net.sole_user(user.output[0])
        if user is not None and user.op_type in ("Relu", "Clip") and user.name in fit:
            found.add(user.name)
    return found


def is_bias(net: Net, product: onnx.NodeProto, add: onnx.NodeProto) -> bool:
    """Whether a node adds a constant to each column of a product's result."""
    if product.op_type != "MatMul" or add.op_type != "Add" or weight_of(net, product) is None:
        return False
    constants = [net.weights[name] for name in add.input if name in net.weights]
    columns = net.weights[product.input[1]].shape[-1]
    return len(constants) == 1 and constants[0].size == columns == constants[0].shape[-1]


def _macs(net: Net, node: onnx.NodeProto) -> int:
    """Multiplications of one run; open dimensions count as 1."""
    weight = net.weights[node.input[1]]
    shape = net.shape(node.output[0]) or ()
    if node.op_type == "ConvTranspose":
        shape = net.shape(node.input[0]) or ()
    if node.op_type in ("Conv", "ConvTranspose"):
        return weight.size * math.prod(d or 1 for d in shape[2:])
    return weight.size * math.prod(d or 1 for d in shape[:-1])
