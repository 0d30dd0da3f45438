"""What each part of a network brings to the noise of its answers.

The noise that parts bring to the outputs adds up, where a part is a tensor in bytes or a weight. Of
hundreds a few bring nearly all of it, in most networks: activations with outliers. They are found
by halving: of the parts in the order of running, those that together bring little are done with,
the others are halved and measured again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import onnx

from quaver import progress
from quaver.quantize.answers import Answers
from quaver.quantize.islands import Islands, Nodes
from quaver.quantize.levels import Levels, members
from quaver.quantize.net import Net
from quaver.quantize.placement import Placement
from quaver.quantize.ranges import Range, affine

_AUDIBLE = 1 / 16  # of the noise: what a part must bring to be looked at


class Part(NamedTuple):
    """A group of tensors in bytes, or the weight of a node."""

    name: str
    is_weight: bool


class Heard(NamedTuple):
    """Parts that were measured together."""

    parts: list[Part]
    states: list[int]
    """What their bytes are, as hashes."""
    noise: float


class Listener:
    """Finds the parts that bring most noise.

    Parameters
    ----------
    net, placement, levels
        The network in int8.
    answers
        Of the float model to a few samples.
    others
        Its answers to other samples.
    """

    def __init__(
        self, net: Net, placement: Placement, levels: Levels, answers: Answers, others: Answers
    ) -> None:
        self._net, self._placement, self._levels = net, placement, levels
        self._answers, self._others = answers, others
        self._members = _only(members(placement), set(placement.tensors))
        self._order = {node.name: i for i, node in enumerate(net.nodes)}
        self.total = 0.0
        """The noise of all parts."""
        self.heard: list[Heard] = []
        """All parts, in groups."""
        self.found: dict[Part, float] = {}
        """The parts that bring most noise, and how much."""

    def listen(self, before: Sequence[Heard] = ()) -> None:
        """Find the parts that bring most noise.

        Parameters
        ----------
        before
            What was heard of the network before it was changed: what did not change is not
            measured again.
        """
        parts = self._parts()
        self.total = self._noise(parts)
        least = self.total * _AUDIBLE
        settled = (
            (part, group)
            for rough in self._groups(parts, before)
            for group in self._settle(rough.parts, least, rough.noise)
            for part in group.parts
        )
        for part, group in progress.track(settled, len(parts), "measuring noise"):
            if part == group.parts[0]:
                self.heard.append(group)
                if group.noise >= least:
                    self.found[part] = group.noise

    def _groups(self, parts: Sequence[Part], before: Sequence[Heard]) -> Iterator[Heard]:
        """All parts in groups as they were heard before; with their noise."""
        left = set(parts)
        for group in before:
            kept = [part for part in group.parts if part in left]
            left.difference_update(kept)
            states = self._states(kept)
            if states == group.states:
                yield group
            elif kept:
                yield Heard(kept, states, self._noise(kept))
        new = [part for part in parts if part in left]
        if new:
            yield Heard(new, self._states(new), self._noise(new) if before else self.total)

    def _states(self, parts: Sequence[Part]) -> list[int]:
        weights, affines = self._levels.products.weights, self._levels.affines
        return [
            hash(weights[part.name].bytes.tobytes())
            if part.is_weight
            else hash(
                (
                    tuple((name, *affines[name]) for name in self._members[part.name]),
                    self._wide(part)[1] & self._placement.doubled,
                )
            )
            for part in parts
        ]

    @cached_property
    def _islands(self) -> Islands:
        return Islands(self._net, self._placement, self._levels.products.weights)

    def _parts(self) -> list[Part]:
        """All parts, in the order of running."""
        at: dict[Part, int] = {}
        for group, names in self._members.items():
            makers = [self._net.producer.get(name) for name in names]
            at[Part(group, False)] = min(-1 if m is None else self._order[m.name] for m in makers)
        at |= {Part(name, True): self._order[name] for name in self._levels.products.weights}
        return sorted(at, key=lambda part: (at[part], part))

    def _settle(self, parts: list[Part], least: float, noise: float) -> Iterator[Heard]:
        """Halve parts that bring so much noise together, until they bring less or are single."""
        if noise < least or len(parts) == 1:
            yield Heard(parts, self._states(parts), noise)
            return
        middle = len(parts) // 2
        for half in (parts[:middle], parts[middle:]):
            yield from self._settle(half, least, self._noise(half))

    def _noise(
        self,
        parts: Sequence[Part],
        ranges: dict[str, Range] | None = None,
        answers: Answers | None = None,
    ) -> float:
        """What these parts together bring to the answers, all others in float."""
        return (answers or self._answers).noise(self._written(parts, ranges))

    def _everywhere(self, model: onnx.ModelProto) -> float:
        """The noise of a model on all samples."""
        return (self._answers.noise(model) + self._others.noise(model)) / 2

    def _written(
        self, parts: Sequence[Part], ranges: dict[str, Range] | None = None
    ) -> onnx.ModelProto:
        """The model with these parts in bytes."""
        groups = {part.name for part in parts if not part.is_weight}
        # A byte too coarse for what a function flattens shows only where that is in bytes too.
        made = self._placement.functions
        groups |= {self._placement.group[made[name]] for name in groups & made.keys()}
        weights = {part.name for part in parts if part.is_weight}
        whole = self._placement
        affines = dict(self._levels.affines)
        for group, chosen in (ranges or {}).items():
            changed = affine(chosen.lo, chosen.hi)
            affines |= {name: changed for name, own in whole.group.items() if own == group}
        stored = [name for name in whole.tensors if whole.group[name] in groups]
        return self._levels.write(replace(whole, tensors=stored), weights, affines)

    def _around(self, part: Part) -> frozenset[str]:
        """The nodes that must be in float for a part to be."""
        if part.is_weight:
            return frozenset({part.name})
        return self._islands.around(self._members[part.name])

    def _wide(self, part: Part) -> tuple[Nodes, Nodes]:
        """What must be in float for a part to be stored in two bytes, and who reads it then."""
        return self._islands.wide([] if part.is_weight else self._members[part.name])


def _only(groups: dict[str, list[str]], stored: set[str]) -> dict[str, list[str]]:
    """The groups with those of their tensors that are stored; not those without any."""
    kept = {group: [n for n in names if n in stored] for group, names in groups.items()}
    return {group: names for group, names in kept.items() if names}
