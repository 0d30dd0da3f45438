"""What costs a network's answers most: it gets another range, a second byte, or stays in float.

Few parts bring most of the noise (`listening`). Where tensors are functions of a product's sums,
read by products alone, the functions are computed in float and outliers among their channels move
into weights, as far as the noise is worth the time; then others stand out. What products read may
be stored in two bytes, the second for what the rounding to the first left: the product runs twice
in int8, where that takes less than once in float. Then parts return to float, one after the other:
always the one that takes most noise away for its time, as long as its share of the noise is more
than twice its share of the time and of the weights. Functions and second bytes stay within a
quarter of the network's time, but for those of what brings most of the noise, and so does float.
What is found at last gets the range, of those of all methods, of the least noise in the answers of
the whole: not before, since a range that makes up for others is wrong without them. That needs no
notion of how much noise a task can bear: where noise is spread evenly nothing is gained by float,
and nothing returns. Few samples choose, others have to confirm: a range that suits a few
photographs need not suit the next. Time is an estimate (`cost`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import onnx

from quaver import progress
from quaver.quantize import cost
from quaver.quantize.answers import Answers
from quaver.quantize.data import Feed
from quaver.quantize.islands import Nodes
from quaver.quantize.levels import Levels
from quaver.quantize.listening import Listener
from quaver.quantize.net import Net
from quaver.quantize.operators import UNARY
from quaver.quantize.placement import Placement

_QUIET = 1e-6  # noise over power below which nothing is done
_WORTH = 2.0  # a part's share of the noise over its share of the time, or of the weights
_FREE = 1e-3  # of the time: less is not told apart
_MOST_TIME = 0.25  # of the network's, for all that returns to float
_CONFIRMED = 3  # of the best ranges are tried on other samples
_MOST_NOISE = 0.5  # a part with more of it may take more time


@dataclass
class Return:
    """A part that was tried in float, or in two bytes."""

    part: str
    nodes: list[str]
    noise: float
    """Of the outputs, over their power, with it in float."""
    time: float
    """What it takes more, as a part of the network's time in int8."""
    kept: bool


class Mixer(Listener):
    """Does something about what a network loses most by.

    Parameters
    ----------
    net, placement, levels
        The network in int8; ranges are changed in `levels`.
    feeds
        A few samples.
    answers
        Of the float model to them.
    others
        Its answers to other samples, which have to confirm what is done.
    """

    def __init__(
        self,
        net: Net,
        placement: Placement,
        levels: Levels,
        feeds: Sequence[Feed],
        *,
        answers: Answers,
        others: Answers,
    ) -> None:
        super().__init__(net, placement, levels, answers, others)
        self._feeds = feeds
        self._reads = {node.name: list(node.input) for node in net.nodes}
        self._elsewhere = 0.0  # the noise of all parts on the other samples
        self.refitted: dict[str, dict[str, Any]] = {}
        self.returned: list[Return] = []
        self.doubled: list[Return] = []
        self.moved: frozenset[str] = frozenset()
        """Nodes in float for outliers in what they make to move into weights."""

    def functions(self, place: Callable[[frozenset[str]], Placement]) -> frozenset[str]:
        """What makes tensors that products read, and is worth its time in float.

        In float it takes the sums of the product before, and outliers among the channels of what
        it makes can move into the weights of the next. The best for their time come first, each
        judged by the noise that those before it leave, as far as noise adds up.
        """
        if not self.total > _QUIET:
            return frozenset()
        whole = cost.estimate(self._net, place(frozenset()), self._elements)
        spent = cost.estimate(self._net, self._placement, self._elements) / whole - 1
        shares = self._shares()
        left = sum(shares.values())
        kept: frozenset[str] = frozenset()
        for makers, gone, time in self._offers(place, shares, whole):
            share = sum(shares.pop(name, 0.0) for name in gone)
            if share < _WORTH * time * left or spent + time > _MOST_TIME:
                continue
            kept, left, spent = kept | makers, left - share, spent + time
        self.moved = kept
        return kept

    def _shares(self) -> dict[str, float]:
        """The noise of each part by its tensor or node; that of a group falls on all its parts."""
        shares: dict[str, float] = {}
        for group in self.heard:
            for part in group.parts:
                shares[part.name] = group.noise / len(group.parts)
        return shares

    def _offers(
        self,
        place: Callable[[frozenset[str]], Placement],
        shares: Mapping[str, float],
        whole: float,
    ) -> list[tuple[Nodes, frozenset[str], float]]:
        """Functions, what brings no noise with one in float, and the part of the time it takes."""
        found = []
        loud = {part.name for part in self.found}
        for name in shares:
            makers = self._islands.function(name) if self._members.get(name) == [name] else None
            if not makers or not (name in loud or self._curved & makers):
                continue
            readers = (user.name for user in self._net.users[name])
            gone = frozenset((name, *readers, *(n for maker in makers for n in self._reads[maker])))
            time = cost.estimate(self._net, place(makers), self._elements) / whole - 1
            found.append((makers, gone, max(time, _FREE)))
        worth = [sum(shares.get(name, 0.0) for name in gone) / time for _, gone, time in found]
        return [found[i] for i in sorted(range(len(found)), key=lambda i: -worth[i])]

    def refit(self) -> bool:
        """Give the tensors among them the range of the least noise; whether any has another.

        It is judged with all else in int8: where ranges are cut one after the other, what one cuts
        changes what the next does.
        """
        tensors = [part for part in self.found if not part.is_weight]
        tensors.sort(key=lambda part: -self.found[part])
        parts = self._parts()
        self._elsewhere = self._noise(parts, None, self._others)
        for part in progress.track(tensors, len(tensors), "fitting ranges"):
            before = self._levels.ranges.get(part.name)
            choices = self._levels.choices(self._placement, part.name) if before else []
            tried = [(self._noise(parts, {part.name: c}), c) for c in choices]
            better = sorted((t for t in tried if t[0] < self.total), key=lambda t: t[0])
            for noise, chosen in better[:_CONFIRMED]:
                elsewhere = self._noise(parts, {part.name: chosen}, self._others)
                if before and elsewhere < self._elsewhere:
                    self._levels.take(self._placement, part.name, chosen)
                    self.refitted[part.name] = {
                        "method": [before.method, chosen.method],
                        "noise": [self.total, noise],
                    }
                    self.total, self._elsewhere = noise, elsewhere
                    break
        if self.refitted:
            self._levels.weigh(self._placement)
        return bool(self.refitted)

    def double(
        self,
        place: Callable[[frozenset[str], frozenset[str]], Placement],
        build: Callable[[frozenset[str], frozenset[str]], onnx.ModelProto],
        kept: frozenset[str],
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Store tensors that products read in two bytes, as far as that pays.

        Parameters
        ----------
        place, build
            The placement and the model with nodes in float, and products that read two bytes.
        kept
            Nodes that are in float already.

        Returns
        -------
        kept, doubled
            The nodes in float, and the products.
        """
        elements, doubled = self._elements, self._placement.doubled
        whole = now = cost.estimate(self._net, self._placement, elements)
        if not self.total > _QUIET:
            return kept, doubled
        noise = first = self._everywhere(build(kept, doubled))
        for part in sorted(self.found, key=lambda part: -self.found[part]):
            floats, readers = self._wide(part)
            gone = {part.name, *(name for n in floats for name in self._reads[n])}
            heard = sum(brought for p, brought in self.found.items() if p.name in gone)
            if part.is_weight or not readers - doubled or not noise > _QUIET:
                continue
            trial = kept | floats, doubled | readers
            time = cost.estimate(self._net, place(*trial), elements)
            if cost.estimate(self._net, place(kept | self._around(part), doubled), elements) < time:
                continue  # float is cheaper still, and comes next
            share = max((time - now) / whole, _FREE)
            if heard / self.total * first / noise < _WORTH / 8 * share:
                continue
            after = self._everywhere(build(*trial))
            least = _MOST_NOISE if time > whole * (1 + _MOST_TIME) else 0.0
            pays = (noise - after) / noise >= max(_WORTH / 2 * share, least)
            self.doubled.append(
                Return(part.name, sorted(readers - doubled), after, (time - now) / whole, pays)
            )
            if pays:
                (kept, doubled), noise, now = trial, after, time
        return kept, doubled

    def relieve(
        self,
        place: Callable[[frozenset[str]], Placement],
        build: Callable[[frozenset[str]], onnx.ModelProto],
        kept: frozenset[str],
        always: frozenset[str],
    ) -> frozenset[str]:
        """Return parts to float, as far as that pays.

        Parameters
        ----------
        place, build
            The placement and the model with these nodes in float.
        kept
            Nodes that are in float already.
        always
            Those among them whose time is not counted.

        Returns
        -------
        frozenset of str
            The nodes in float.
        """
        if not self.total > _QUIET:
            return kept
        elements = self._elements
        whole = cost.estimate(self._net, place(always), elements)
        now = cost.estimate(self._net, place(kept), elements)
        noise = first = self._everywhere(build(kept))
        waiting = {part: self._around(part) for part in self.found}
        while noise > _QUIET:
            offers = []
            for part, names in waiting.items():
                if names <= kept:
                    continue
                time = cost.estimate(self._net, place(kept | names), elements)
                share = max((time - now) / whole, self._weights(names - kept), _FREE)
                if time <= whole * (1 + _MOST_TIME):
                    gain = self.found[part] / self.total * first / noise
                    offers.append((gain / share, part, time, share))
            best = max(offers, default=None)
            if best is None or best[0] < _WORTH:
                break
            _, part, time, share = best
            names = waiting.pop(part)
            after = self._everywhere(build(kept | names))
            pays = (noise - after) / noise >= _WORTH / 2 * share
            self.returned.append(
                Return(part.name, sorted(names - kept), after, (time - now) / whole, pays)
            )
            if pays:
                kept, noise, now = kept | names, after, time
        return kept

    @cached_property
    def _curved(self) -> Nodes:
        """Functions that are no product's own rounding, so that float saves one before them."""
        curved = UNARY - {"Relu", "Clip"}
        return frozenset(node.name for node in self._net.nodes if node.op_type in curved)

    @cached_property
    def _elements(self) -> dict[str, int]:
        """The size of each tensor, with the first sample."""
        return cost.sizes(self._net, self._feeds[0], "quaver")

    def _weights(self, nodes: frozenset[str]) -> float:
        """The part of the network's weights that these nodes have."""
        sizes = {n: w.bytes.size for n, w in self._levels.products.weights.items()}
        return sum(sizes.get(name, 0) for name in nodes) / max(1, sum(sizes.values()))

    def report(self) -> dict[str, Any]:
        """What was found and done."""
        return {
            "noise": {part.name: noise for part, noise in self.found.items()},
            "total": self.total,
            "refitted": self.refitted,
            "moved": sorted(self.moved),
            "doubled": [asdict(item) for item in self.doubled],
            "returned": [asdict(item) for item in self.returned],
        }
