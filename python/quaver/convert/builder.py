"""What a converter builds into: `quaver._core.Graph`, or anything with these methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy.typing as npt

Attribute = int | float | str | list[int] | list[float]
Attributes = dict[str, Attribute]
Array = npt.NDArray[Any]
Shape = list[int | None]  #: None is a dimension known only at run time


class Builder(Protocol):
    """A graph under construction; its values are numbered, nodes come in run order."""

    def set_name(self, name: str) -> None:
        """Name the graph."""

    def add_input(self, name: str, dtype: str, shape: Shape | None) -> int:
        """Add a graph input and return its value; a shape of None is of unknown rank."""

    def add_constant(self, name: str, array: Array) -> int:
        """Add a constant and return its value."""

    def add_node(
        self,
        op: str,
        name: str,
        inputs: Sequence[int | None],
        output_names: Sequence[str],
        attrs: Attributes,
    ) -> list[int]:
        """Append a node and return its output values; None is an optional input left out."""

    def set_outputs(self, outputs: Sequence[tuple[str, int, str, Shape | None]]) -> None:
        """Name the graph's outputs: name, value, dtype and shape of each, in order."""
