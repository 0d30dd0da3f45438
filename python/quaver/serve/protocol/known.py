"""Requests that look as one before: what was found out of their heads is used again.

A client that asks the same of a model again and again sends the same head (REST's JSON, or gRPC's
message up to its tensors), and other bytes after it. So a head is read and checked once, and the
head of the answer written once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from quaver.model import Port
from quaver.serve.protocol.datatypes import Buffer, is_plain
from quaver.serve.protocol.request import (
    InferRequest,
    InferResponse,
    Output,
    Parameters,
    Tensor,
    Wanted,
    flag_of,
    rows_of,
)

if TYPE_CHECKING:
    from quaver.serve.batching.timing import Runs

Key = TypeVar("Key")
Value = TypeVar("Value")

_MOST = 128  # of a model
LONGEST = 4096  # of a head that is kept

Pieces = tuple[bytes, ...]
"""What stands in an answer before each of its tensors; before the first, with the head."""
Render = Callable[[InferResponse], Pieces]


class Place(NamedTuple):
    """Where an input lies after the head."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    offset: int


class Known:
    """A head that was checked: all inputs in binary, all outputs too, nothing special.

    Parameters
    ----------
    request
        What it says.
    inputs, outputs
        The model's.
    gaps
        Bytes that stand before each tensor of the request.
    render
        Makes an answer's pieces.
    """

    def __init__(
        self,
        request: InferRequest,
        inputs: Sequence[Port],
        outputs: Sequence[Port],
        gaps: Sequence[bytes],
        render: Render,
    ) -> None:
        from quaver import _core  # noqa: PLC0415 -- the command line is read before it is loaded

        self.version = request.version
        self.parameters: Parameters = request.parameters
        self.timed = "timeout" in request.parameters
        """Whether it may come too late."""
        self._request = request.model, render
        self._gaps: list[tuple[int, int, bytes]] = []
        """From where to where they stand after the head."""
        self._size = 0
        places = self._placed(request.inputs, gaps)
        self._places = [places[port.name] for port in inputs]
        self.shapes = tuple(place.shape for place in self._places)
        self.rows = rows_of(self.shapes)
        self.runs: Runs | None = None
        """What is known of the time that runs on such inputs take, once somebody asked."""
        self.layout = _core.Layout(self.shapes, [place.offset for place in self._places])
        names = [port.name for port in outputs]
        self._wanted = request.outputs or [Wanted(name) for name in names]
        self._outputs = [names.index(want.name) for want in self._wanted]
        self.frames: dict[int, _core.Frame] = {}
        """The pieces of the answers of each version, and the shapes that go with them."""
        self.heads: dict[int, int] = {}
        """The lengths of the first pieces."""
        self._pieces: dict[Any, Pieces] = {}

    def _placed(self, inputs: Sequence[Tensor], gaps: Sequence[bytes]) -> dict[str, Place]:
        places = {}
        for tensor, gap in zip(inputs, gaps, strict=True):
            assert tensor.array is not None
            if gap:
                self._gaps.append((self._size, self._size + len(gap), gap))
            self._size += len(gap)
            places[tensor.name] = Place(tensor.shape, tensor.array.dtype, self._size)
            self._size += tensor.array.nbytes
        return places

    def fits(self, body: Buffer, start: int) -> bool:
        """Whether what follows a body's head is as it was when the head was checked."""
        if len(body) != start + self._size:
            return False
        for at, end, gap in self._gaps:  # noqa: SIM110 -- all() takes twice as long
            if body[start + at : start + end] != gap:
                return False
        return True

    def arrays(self, body: Buffer, start: int) -> list[NDArray[Any]]:
        """The inputs in the model's order, as views of a body whose head ends at `start`."""
        return [
            np.ndarray(shape, dtype, body, start + offset) for shape, dtype, offset in self._places
        ]

    def answer(self, version: int, outputs: Sequence[NDArray[Any]]) -> tuple[bytes, int]:
        """An answer's body, and the length of its head."""
        wanted = [outputs[at] for at in self._outputs]
        key = (version, *[array.shape for array in wanted])
        pieces = self._pieces.get(key)
        if pieces is None:
            pieces = self._render(version, wanted)
            if len(self._pieces) >= _MOST:
                self._pieces.clear()
            self._pieces[key] = pieces
        parts: list[Any] = []
        for pair in zip(pieces, wanted, strict=True):
            parts += pair
        return b"".join(parts), len(pieces[0])

    def _render(self, version: int, wanted: Sequence[NDArray[Any]]) -> Pieces:
        from quaver import _core  # noqa: PLC0415 -- see above

        model, render = self._request
        outputs = [Output(w.name, a, w) for w, a in zip(self._wanted, wanted, strict=True)]
        pieces = render(InferResponse(model, version, "", outputs))
        if len(self.frames) >= _MOST:
            self.frames.clear()
            self.heads.clear()
        self.frames[version] = _core.Frame(pieces, self._outputs, [a.shape for a in wanted])
        self.heads[version] = len(pieces[0])
        return pieces


def remember(table: dict[Key, Value], key: Key, value: Value) -> None:
    """Keep what was found out, of the last ones."""
    if len(table) >= _MOST:
        table.clear()
    table[key] = value


def may_be_known(request: InferRequest, outputs: Sequence[Port], binary: bool) -> bool:
    """Whether a request is of the plain kind.

    Parameters
    ----------
    request
        A request that was answered well.
    outputs
        The model's.
    binary
        Whether outputs are binary where it says nothing of them.
    """
    return (
        not request.id
        and all(t.array is not None and t.array.size for t in request.inputs)
        and all(is_plain(t.array.dtype) for t in request.inputs if t.array is not None)
        and all(t.parameters.keys() <= {"binary_data_size"} for t in request.inputs)
        and all(want.parameters.keys() <= {"binary_data"} for want in request.outputs)
        and all(flag_of(want.parameters, "binary_data", binary) for want in request.outputs)
        and (bool(request.outputs) or binary)
        and len({want.name for want in request.outputs}) == len(request.outputs)
        and all(is_plain(port.dtype) for port in outputs)
    )
