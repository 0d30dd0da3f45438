"""A request and its answer, as every transport and the scheduler see them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.serve.errors import bad_request, shown
from quaver.serve.protocol.datatypes import Buffer, array_from, buffer_of

Parameters = Mapping[str, Any]
_NONE: Parameters = {}


@dataclass(slots=True)
class Tensor:
    """A tensor of a request: its contents, its bytes, or the shared memory that has them."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    array: NDArray[Any] | None
    parameters: Parameters = field(default_factory=dict)
    data: Buffer | None = None
    """Of strings, which are told apart only where the model takes them."""

    def take(self, data: Buffer, dtype: np.dtype[Any]) -> None:
        """Take its contents as bytes.

        Raises
        ------
        ServeError
            400, if they are too many or too few.
        """
        if dtype.kind == "O":
            self.data = data
        else:
            self.array = array_from(self.name, data, dtype, self.shape)

    @property
    def strings(self) -> int:
        """Bytes of its strings, or of the array that has them."""
        if self.datatype != "BYTES":
            return 0
        return len(self.data or b"") if self.array is None else self.array.nbytes

    def __reduce__(self) -> tuple[type[Tensor], tuple[Any, ...]]:
        """Strings go to another process in one piece, not as so many objects."""
        array, data = self.array, self.data
        if array is not None and array.dtype == object:
            data, array = buffer_of(array), None
        piece = None if data is None else bytes(data)
        return Tensor, (self.name, self.datatype, self.shape, array, self.parameters, piece)


@dataclass(slots=True)
class Wanted:
    """An output that a request asks for."""

    name: str
    parameters: Parameters = field(default_factory=dict)

    @property
    def classes(self) -> int:
        """How many of the best classes to tell instead of the tensor; 0 for the tensor."""
        return count_of(self.parameters, "classification")


@dataclass(slots=True)
class InferRequest:
    """A request to run a model."""

    model: str
    version: str
    id: str
    inputs: list[Tensor]
    outputs: list[Wanted]
    """Those asked for; empty for all."""
    parameters: Parameters = field(default_factory=dict)


@dataclass(slots=True)
class Output:
    """A tensor of an answer."""

    name: str
    array: NDArray[Any]
    wanted: Wanted


@dataclass(slots=True)
class InferResponse:
    """What a run gave."""

    model: str
    version: int
    id: str
    outputs: list[Output]

    @property
    def strings(self) -> int:
        """Bytes of its arrays of strings."""
        return strings_in([output.array for output in self.outputs])


def strings_in(arrays: Sequence[NDArray[Any]]) -> int:
    """Bytes of those of some arrays that have strings, without these."""
    return sum(array.nbytes for array in arrays if array.dtype == object)


def rows_of(shapes: Sequence[tuple[int, ...]]) -> int:
    """How many rows a request has whose inputs have these shapes: the first's first dimension."""
    return shapes[0][0] if shapes and shapes[0] else 1


def count_of(parameters: Parameters, name: str) -> int:
    """A parameter that is a number of 0 or more; 0 where it is not given.

    Raises
    ------
    ServeError
        400, if it is something else.
    """
    value = parameters.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise bad_request(
            f"parameter {name!r}: expected an integer of 0 or more, got {shown(value)}"
        )
    return value


def text_of(parameters: Parameters, name: str) -> str:
    """A parameter that is a text; empty where it is not given."""
    value = parameters.get(name, "")
    if not isinstance(value, str):
        raise bad_request(f"parameter {name!r}: expected a string, got {shown(value)}")
    return value


def flag_of(parameters: Parameters, name: str, default: bool) -> bool:
    """A parameter that is true or false."""
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise bad_request(f"parameter {name!r}: expected true or false, got {shown(value)}")
    return value
