"""Requests and answers in REST's form: JSON, with the binary tensor extension.

A body may be JSON alone; or JSON whose length Inference-Header-Content-Length tells, and after it
the bytes of those tensors whose parameter `binary_data_size` says how many; or, with a header
length of 0, the bytes of a model's only input, in its last dimensions or one after another.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from quaver.model import Port
from quaver.serve.errors import bad_request, shown
from quaver.serve.protocol.datatypes import (
    Buffer,
    array_from,
    buffer_of,
    checked_shape,
    datatype_of,
    dtype_of,
)
from quaver.serve.protocol.json_tensors import array_from_json, json_of
from quaver.serve.protocol.known import Known, Pieces, may_be_known
from quaver.serve.protocol.request import (
    InferRequest,
    InferResponse,
    Output,
    Parameters,
    Tensor,
    Wanted,
    count_of,
    flag_of,
)

_IN_SHARED_MEMORY = "shared_memory_region"


def header_length(text: bytes | None, body: Buffer) -> int | None:
    """What Inference-Header-Content-Length says; None where it is not there.

    Raises
    ------
    ServeError
        400, if it is no number, or more than the body has.
    """
    if text is None:
        return None
    if not text.isdigit() or len(text) > 12 or int(text) > len(body):
        raise bad_request(
            f"Inference-Header-Content-Length: expected 0 to {len(body)}, the body's length, "
            f"got {text.decode('latin-1')!r}"
        )
    return int(text)


def parse(model: str, version: str, body: Buffer, length: int | None) -> InferRequest:
    """The request in a body whose JSON is of this length (None: all of it).

    Raises
    ------
    ServeError
        400, naming what is wrong.
    """
    view = memoryview(body)
    record = object_of(view if length is None else view[:length])
    binary = view[len(view) if length is None else length :]
    inputs, at = [], 0
    for item in _objects(record, "inputs", required=True):
        tensor, used = _input(item, binary[at:])
        inputs.append(tensor)
        at += used
    if at != len(binary):
        raise bad_request(f"the inputs take {at} bytes after the JSON, the body has {len(binary)}")
    outputs = [
        Wanted(_text(item, "name"), parameters_of(item)) for item in _objects(record, "outputs")
    ]
    return InferRequest(
        model, version, _text(record, "id", ""), inputs, outputs, parameters_of(record)
    )


def parse_raw(model: str, version: str, body: Buffer, inputs: Sequence[Port]) -> InferRequest:
    """The request in a body that is the bytes of the model's only input.

    Raises
    ------
    ServeError
        400, if the model has more inputs, or the bytes are none of its shape.
    """
    if len(inputs) != 1:
        raise bad_request(f"a raw body is for a model of one input; {model!r} has {len(inputs)}")
    (port,) = inputs
    datatype = datatype_of(port.dtype)
    shape = _raw_shape(port, len(body))
    array = array_from(port.name, memoryview(body), port.dtype, shape)
    wanted = {"binary_data_output": True}
    return InferRequest(model, version, "", [Tensor(port.name, datatype, shape, array)], [], wanted)


def _raw_shape(port: Port, size: int) -> tuple[int, ...]:
    open_dims = [i for i, dim in enumerate(port.shape) if dim is None]
    shape = [1 if dim is None else dim for dim in port.shape]
    if open_dims:
        known = int(np.prod(shape, dtype=np.int64)) * port.dtype.itemsize
        shape[open_dims[0]] = size // known if known else 0
    return tuple(shape)


def object_of(data: Buffer) -> dict[str, Any]:
    """The JSON object in a body.

    Raises
    ------
    ServeError
        400, if it is none.
    """
    try:
        record = orjson.loads(data)
    except (orjson.JSONDecodeError, RecursionError) as error:
        raise bad_request(f"the body is no JSON: {error}") from error
    if not isinstance(record, dict):
        raise bad_request("the body's JSON is no object")
    return record


def _objects(record: dict[str, Any], key: str, required: bool = False) -> list[dict[str, Any]]:
    items = record.get(key, [])
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise bad_request(f"{key!r} must be a list of objects")
    if required and key not in record:
        raise bad_request(f"the request has no {key!r}")
    return items


def _text(record: dict[str, Any], key: str, default: str | None = None) -> str:
    value = record.get(key, default)
    if not isinstance(value, str):
        raise bad_request(f"{key!r} must be a string, got {shown(value)}")
    return value


def parameters_of(record: dict[str, Any]) -> Parameters:
    """The parameters of a request or a tensor."""
    parameters = record.get("parameters", {})
    if not isinstance(parameters, dict):
        raise bad_request("'parameters' must be an object")
    return parameters


def _input(item: dict[str, Any], binary: memoryview) -> tuple[Tensor, int]:
    """A tensor, and how many of the bytes after the JSON are its own."""
    name = _text(item, "name")
    shape = checked_shape(name, item.get("shape"))
    dtype = dtype_of(item.get("datatype"))
    parameters = parameters_of(item)
    tensor = Tensor(name, item["datatype"], shape, None, parameters)
    if _IN_SHARED_MEMORY in parameters:
        return tensor, 0
    if "binary_data_size" in parameters:
        if "data" in item:
            raise bad_request(f"input {name!r} has both 'data' and 'binary_data_size'")
        size = count_of(parameters, "binary_data_size")
        if size > len(binary):
            raise bad_request(
                f"input {name!r}: 'binary_data_size' is {size}, the body has {len(binary)} left"
            )
        tensor.take(binary[:size], dtype)
        return tensor, size
    if "data" not in item:
        raise bad_request(f"input {name!r} has no 'data'")
    tensor.array = array_from_json(name, item["data"], dtype, shape)
    return tensor, 0


def text_size(response: InferResponse, parameters: Parameters) -> int:
    """Bytes of the tensors of an answer that are written as text."""
    default = flag_of(parameters, "binary_data_output", False)
    return sum(
        output.array.nbytes
        for output in response.outputs
        if not flag_of(output.wanted.parameters, "binary_data", default)
    )


def render(response: InferResponse, parameters: Parameters) -> tuple[list[Buffer], int | None]:
    """The body of an answer, in parts, and the length of its JSON where bytes follow it."""
    default = flag_of(parameters, "binary_data_output", False)
    records, binaries = [], []
    for output in response.outputs:
        record, data = _output(output, default)
        records.append(record)
        if data is not None:
            binaries.append(data)
    body: dict[str, Any] = {"model_name": response.model, "model_version": str(response.version)}
    if response.id:
        body["id"] = response.id
    head = orjson.dumps(body | {"outputs": records})
    return [head, *binaries], len(head) if binaries else None


def known_of(
    request: InferRequest, inputs: Sequence[Port], outputs: Sequence[Port]
) -> Known | None:
    """What to keep of a request that had a header length; None if it is not of the plain kind."""
    binary = flag_of(request.parameters, "binary_data_output", False)
    if not may_be_known(request, outputs, binary):
        return None

    def pieces(response: InferResponse) -> Pieces:
        head = render(response, request.parameters)[0][0]
        return (bytes(head), *[b""] * (len(response.outputs) - 1))

    return Known(request, inputs, outputs, [b""] * len(request.inputs), pieces)


def _output(output: Output, binary: bool) -> tuple[dict[str, Any], Buffer | None]:
    array, given = output.array, output.wanted.parameters
    record: dict[str, Any] = {
        "name": output.name,
        "datatype": datatype_of(array.dtype),
        "shape": list(array.shape),
    }
    if _IN_SHARED_MEMORY in given:
        record["parameters"] = {
            key: given[key]
            for key in (_IN_SHARED_MEMORY, "shared_memory_byte_size", "shared_memory_offset")
            if key in given
        }
        return record, None
    if flag_of(given, "binary_data", binary):
        data = buffer_of(array)
        record["parameters"] = {"binary_data_size": len(data)}
        return record, data
    record["data"] = json_of(array)
    return record, None
