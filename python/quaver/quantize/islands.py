"""Which nodes leave int8 with a tensor: for it to be in float, or to be stored in two bytes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import onnx

from quaver.quantize import smooth
from quaver.quantize.net import Net
from quaver.quantize.operators import is_move, weight_of
from quaver.quantize.placement import Placement, leaves_sums

Nodes = frozenset[str]


class Islands:
    """Walks a network from tensors to what makes and reads them.

    Parameters
    ----------
    net, placement
        The network, and what of it is in int8.
    products
        The names of nodes with weights in int8.
    """

    def __init__(self, net: Net, placement: Placement, products: Collection[str]) -> None:
        self._net, self._placement, self._products = net, placement, products
        self._stored = set(placement.tensors)

    def around(self, names: Sequence[str]) -> Nodes:
        """The nodes that must be in float for tensors to be."""
        found: set[str] = set()
        for name in names:
            self._above(name, found)
            self._below(name, found)
        return frozenset(found)

    def function(self, name: str) -> Nodes:
        """The nodes from a product's sums to a tensor that only products with weights read."""
        users = self._net.users.get(name, [])
        found: set[str] = set()
        if users and all(smooth.input_axis(self._net, user) is not None for user in users):
            self._above(name, found)
        return frozenset() if found.intersection(self._products) else frozenset(found)

    def wide(self, names: Sequence[str]) -> tuple[Nodes, Nodes]:
        """What must be in float for tensors to be stored in two bytes, and who reads them then."""
        floats: set[str] = set()
        readers: set[str] = set()
        for name in names:
            products = {
                user.name for user in self._net.users.get(name, []) if self._takes(user, name)
            }
            if products:
                readers |= products
                self._free(name, floats)
        made = floats.intersection(self._products)
        return frozenset(floats), frozenset() if made else frozenset(readers)

    def _takes(self, user: onnx.NodeProto, name: str) -> bool:
        """Whether a node is a product in int8 that can read two bytes of a tensor."""
        return (
            weight_of(self._net, user) is not None
            and user.input[0] == name
            and leaves_sums(self._net, user)
            and user.name in self._placement.nodes
        )

    def _free(self, name: str, found: set[str]) -> None:
        """The nodes in int8 from sums, or from what is in float, to a tensor."""
        maker = self._net.producer.get(name)
        if maker is None or maker.name not in self._placement.nodes:
            return
        if is_move(maker):
            found.add(maker.name)
            self._free(maker.input[0], found)
        elif not leaves_sums(self._net, maker):
            self._above(name, found)

    def _above(self, name: str, found: set[str]) -> None:
        """What makes a tensor, up to what is stored; a product that leaves its sums may stay."""
        maker = self._net.producer.get(name)
        if maker is None or maker.name not in self._placement.nodes or maker.name in found:
            return
        if leaves_sums(self._net, maker):
            return
        found.add(maker.name)
        weight = weight_of(self._net, maker)
        for other in maker.input:
            if other != weight and other not in self._stored:
                self._above(other, found)

    def _below(self, name: str, found: set[str]) -> None:
        """What reads a tensor, down to what is stored."""
        for user in self._net.users.get(name, []):
            if user.name not in self._placement.nodes:
                continue
            found.add(user.name)
            for made in user.output:
                if made not in self._stored:
                    self._below(made, found)
