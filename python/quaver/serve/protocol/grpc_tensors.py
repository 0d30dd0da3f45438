"""Requests and answers as protobuf messages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from quaver.model import Port
from quaver.serve.errors import bad_request
from quaver.serve.protocol.datatypes import (
    buffer_of,
    checked_shape,
    datatype_of,
    dtype_of,
)
from quaver.serve.protocol.known import Known, Pieces, may_be_known
from quaver.serve.protocol.proto import messages
from quaver.serve.protocol.request import InferRequest, InferResponse, Parameters, Tensor, Wanted

#: The field of InferTensorContents for a datatype.
_CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
_IN_SHARED_MEMORY = "shared_memory_region"

_MODEL_NAME = 1 << 3 | 2
_HEAD = bytes(number << 3 | 2 for number in range(1, 7))
"""Tags of a ModelInferRequest's fields before raw_input_contents."""
_RAW_INPUT = 7 << 3 | 2
_RAW_OUTPUT = 6 << 3 | 2


def parse(data: bytes) -> InferRequest:
    """The request in the bytes of a ModelInferRequest.

    Raises
    ------
    ServeError
        400, naming what is wrong.
    """
    try:
        message = messages()["ModelInferRequest"].FromString(data)
    except DecodeError as error:
        raise bad_request(f"the message is no ModelInferRequest: {error}") from error
    raw = message.raw_input_contents
    inputs, used = [], 0
    for item in message.inputs:
        parameters = parameters_of(item.parameters)
        shape = checked_shape(item.name, list(item.shape))
        dtype = dtype_of(item.datatype)
        tensor = Tensor(item.name, item.datatype, shape, None, parameters)
        if _IN_SHARED_MEMORY not in parameters:
            if raw:
                if used == len(raw):
                    raise bad_request(f"'raw_input_contents' has {len(raw)} items, too few")
                tensor.take(raw[used], dtype)
                used += 1
            else:
                tensor.array = _from_contents(item, dtype, shape)
        inputs.append(tensor)
    if used != len(raw):
        raise bad_request(f"'raw_input_contents' has {len(raw)} items, the inputs take {used}")
    outputs = [Wanted(item.name, parameters_of(item.parameters)) for item in message.outputs]
    return InferRequest(
        message.model_name,
        message.model_version,
        message.id,
        inputs,
        outputs,
        parameters_of(message.parameters),
    )


def _from_contents(item: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    field = _CONTENTS.get(item.datatype)
    if field is None:
        raise bad_request(f"input {item.name!r}: {item.datatype} is given in raw_input_contents")
    values = getattr(item.contents, field)
    if len(values) != math.prod(shape):
        raise bad_request(
            f"input {item.name!r}: the shape {list(shape)} has {math.prod(shape)} elements, "
            f"{field} has {len(values)}"
        )
    if dtype.kind == "O":
        strings = np.empty(len(values), object)
        strings[:] = list(values)
        return strings.reshape(shape)
    array = np.array(values)
    cast = array.astype(dtype)
    if np.issubdtype(dtype, np.integer) and not np.array_equal(array, cast):
        raise bad_request(f"input {item.name!r}: an element does not fit {item.datatype}")
    return cast.reshape(shape)


def parameters_of(entries: Any) -> Parameters:
    """A map of parameters as plain values."""
    if not entries:
        return {}
    return {
        key: getattr(value, kind)
        for key, value in entries.items()
        if (kind := value.WhichOneof("parameter_choice")) is not None
    }


def render(response: InferResponse) -> bytes:
    """The answer as the bytes of a ModelInferResponse."""
    message = _message(response)
    for output in response.outputs:
        if _IN_SHARED_MEMORY not in output.wanted.parameters:
            message.raw_output_contents.append(bytes(buffer_of(output.array)))
    data: bytes = message.SerializeToString()
    return data


def _message(response: InferResponse) -> Any:
    """An answer without its tensors' bytes."""
    message = messages()["ModelInferResponse"](
        model_name=response.model, model_version=str(response.version), id=response.id
    )
    for output in response.outputs:
        item = message.outputs.add(
            name=output.name,
            datatype=datatype_of(output.array.dtype),
            shape=output.array.shape,
        )
        given = output.wanted.parameters
        if _IN_SHARED_MEMORY in given:
            item.parameters[_IN_SHARED_MEMORY].string_param = given[_IN_SHARED_MEMORY]
            for key in ("shared_memory_byte_size", "shared_memory_offset"):
                if key in given:
                    item.parameters[key].int64_param = given[key]
    return message


# A message's bytes: each field is a tag, a length and as many bytes; the tensors' come last.


def head_length(data: bytes) -> int:
    """Where the raw tensors of a ModelInferRequest begin; 0 where there are none.

    Also 0 where it is not written as usual, which only means that nothing of it is known.
    """
    at, last = 0, len(data) - 1
    while at < last:
        tag = data[at]
        if tag == _RAW_INPUT:
            return at
        if tag not in _HEAD:
            return 0
        size = data[at + 1]
        at += 2
        if size >= 0x80:
            size, at = _length(data, at - 1)
        at += size
    return 0


def first_name(head: bytes) -> str:
    """The model's name where a head begins with one of a usual length."""
    return head[2 : 2 + head[1]].decode("latin-1") if head and head[0] == _MODEL_NAME else ""


def known_of(
    request: InferRequest, inputs: Sequence[Port], outputs: Sequence[Port], tail: bytes
) -> Known | None:
    """What to keep of a request whose raw tensors are `tail`; None if it is not a plain one."""
    gaps = _gaps(tail)
    if len(gaps) != len(request.inputs) or not may_be_known(request, outputs, binary=True):
        return None
    return Known(request, inputs, outputs, gaps, _pieces)


def _gaps(tail: bytes) -> list[bytes]:
    """Tag and length of each raw tensor; none where there is something else among them."""
    gaps, at = [], 0
    while at < len(tail):
        size, start = _length(tail, at + 1)
        if tail[at] != _RAW_INPUT:
            return []
        gaps.append(tail[at:start])
        at = start + size
    return gaps


def _pieces(response: InferResponse) -> Pieces:
    first = _message(response).SerializeToString()
    tags = [framed(_RAW_OUTPUT, output.array.nbytes) for output in response.outputs]
    return (first + tags[0], *tags[1:])


def framed(tag: int, size: int) -> bytes:
    """Tag and length of a field of so many bytes."""
    out = bytearray([tag])
    while size >= 0x80:
        out.append(size & 0x7F | 0x80)
        size >>= 7
    out.append(size)
    return bytes(out)


def _length(data: bytes, at: int) -> tuple[int, int]:
    """A length, and where what it is of begins."""
    size, shift = 0, 0
    while at < len(data):
        size |= (data[at] & 0x7F) << shift
        at += 1
        if data[at - 1] < 0x80:
            break
        shift += 7
    return size, at
