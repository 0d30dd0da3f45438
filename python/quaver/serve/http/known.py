"""Requests that look as one before: what was found out of their JSON is used again.

A client that asks the same of a model again and again sends the same JSON, and other bytes after
it. So a JSON header is read and checked once, and the JSON of the answer written once.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quaver.serve.models.served import ServedModel
from quaver.serve.protocol.datatypes import Buffer, datatype_of
from quaver.serve.protocol.request import InferRequest, Parameters, flag_of

_MOST = 128  # of a model
LONGEST = 4096  # of a header that is kept


class Place(NamedTuple):
    """Where an input lies after the JSON."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    items: int
    offset: int


class Known:
    """A JSON header that was checked: all inputs in binary, all outputs too, nothing special."""

    def __init__(self, model: ServedModel, request: InferRequest) -> None:
        self.parameters: Parameters = request.parameters
        self.size = 0
        self._heads: dict[Any, bytes] = {}
        self._model = model.name
        places = {}
        for tensor in request.inputs:
            assert tensor.array is not None
            count = math.prod(tensor.shape)
            places[tensor.name] = Place(tensor.array.dtype, tensor.shape, count, self.size)
            self.size += tensor.array.nbytes
        self._places = [places[port.name] for port in model.inputs]
        names = [port.name for port in model.outputs]
        self.outputs = [names.index(want.name) for want in request.outputs] or range(len(names))
        self._names = names

    def arrays(self, body: Buffer, start: int) -> list[NDArray[Any]]:
        """The inputs in the model's order, as views of a body."""
        return [
            np.frombuffer(body, dtype, items, start + offset).reshape(shape)
            for dtype, shape, items, offset in self._places
        ]

    def head(self, version: int, outputs: list[NDArray[Any]]) -> bytes:
        """The JSON of an answer."""
        key = (version, *[outputs[at].shape for at in self.outputs])
        head = self._heads.get(key)
        if head is None:
            if len(self._heads) >= _MOST:
                self._heads.clear()
            head = self._heads[key] = self._render(version, outputs)
        return head

    def _render(self, version: int, outputs: list[NDArray[Any]]) -> bytes:
        import orjson  # noqa: PLC0415 -- once for each header

        records = [
            {
                "name": self._names[at],
                "datatype": datatype_of(outputs[at].dtype),
                "shape": list(outputs[at].shape),
                "parameters": {"binary_data_size": outputs[at].nbytes},
            }
            for at in self.outputs
        ]
        return orjson.dumps(
            {"model_name": self._model, "model_version": str(version), "outputs": records}
        )


def remember(model: ServedModel, head: bytes, request: InferRequest) -> None:
    """Keep what is known of a header, if it is of the plain kind. It was checked before."""
    binary = flag_of(request.parameters, "binary_data_output", False)
    plain = (
        not request.id
        and len(head) <= LONGEST
        and all(
            tensor.array is not None
            and tensor.array.dtype != object
            and tensor.parameters.keys() == {"binary_data_size"}
            for tensor in request.inputs
        )
        and all(
            want.parameters.keys() <= {"binary_data"}
            and flag_of(want.parameters, "binary_data", binary)
            for want in request.outputs
        )
        and (bool(request.outputs) or binary)
        and all(array_port.dtype != object for array_port in model.outputs)
    )
    if plain:
        if len(model.wire) >= _MOST:
            model.wire = {}
        model.wire[head] = Known(model, request)
