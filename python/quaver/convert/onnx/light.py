"""Copies of a model without its weights, which are not copied on the way."""

from __future__ import annotations

import math
from typing import Any

from onnx import ModelProto, helper

_SMALL = 1024  # elements: such constants can be sizes, axes and indices


def without_initializers(model: ModelProto) -> ModelProto:
    """Copy all of a model but its initializers."""
    copy = ModelProto()
    _copy_fields(model, copy, "graph")
    _copy_fields(model.graph, copy.graph, "initializer")
    return copy


def without_weights(model: ModelProto) -> ModelProto:
    """Copy a model, large tensors as inputs: what types and shapes are inferred of."""
    light = without_initializers(model)
    inputs = {info.name for info in model.graph.input}
    for tensor in model.graph.initializer:
        if math.prod(tensor.dims) <= _SMALL:
            light.graph.initializer.append(tensor)
        elif tensor.name not in inputs:
            light.graph.input.append(
                helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    light.ir_version = max(model.ir_version, 4)
    return light


def _copy_fields(source: Any, target: Any, left_out: str) -> None:
    for field, value in source.ListFields():
        if field.name == left_out:
            continue
        if hasattr(value, "MergeFrom"):
            getattr(target, field.name).MergeFrom(value)
        else:
            setattr(target, field.name, value)
