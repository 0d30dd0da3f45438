"""Requests and answers as protobuf messages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.serve.errors import bad_request
from quaver.serve.protocol.datatypes import (
    array_from,
    buffer_of,
    checked_shape,
    datatype_of,
    dtype_of,
)
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


def parse(message: Any) -> InferRequest:
    """The request in a ModelInferRequest.

    Raises
    ------
    ServeError
        400, naming what is wrong.
    """
    raw = message.raw_input_contents
    inputs, used = [], 0
    for item in message.inputs:
        parameters = parameters_of(item.parameters)
        array = None
        shape = checked_shape(item.name, list(item.shape))
        dtype = dtype_of(item.datatype)
        if _IN_SHARED_MEMORY not in parameters:
            if raw:
                if used == len(raw):
                    raise bad_request(f"'raw_input_contents' has {len(raw)} items, too few")
                array = array_from(item.name, raw[used], dtype, shape)
                used += 1
            else:
                array = _from_contents(item, dtype, shape)
        inputs.append(Tensor(item.name, item.datatype, shape, array, parameters))
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


def render(response: InferResponse) -> Any:
    """The answer as a ModelInferResponse."""
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
        else:
            message.raw_output_contents.append(bytes(buffer_of(output.array)))
    return message
