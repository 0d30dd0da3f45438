"""Bind inputs of an ONNX model to contents that are known."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from onnx import ModelProto, numpy_helper

from quaver.convert.onnx.shapes import shape_of, tensor_dtype
from quaver.errors import InputError


def bind_constants(model: ModelProto, constants: Mapping[str, ArrayLike]) -> ModelProto:
    """Give a copy of a model in which some inputs are initializers.

    Parameters
    ----------
    model
        Left as it is.
    constants
        Arrays by the names of inputs; of their dtypes and shapes.

    Raises
    ------
    InputError
        If a name is no input's, or an array does not fit.
    """
    inputs = {info.name: info for info in model.graph.input}
    bound = ModelProto()
    bound.CopyFrom(model)
    for name, given in constants.items():
        if name not in inputs:
            listed = ", ".join(f"'{known}'" for known in inputs)
            raise InputError(f"constant '{name}': the model's inputs are {listed}")
        array = np.asarray(given)
        dtype, shape = tensor_dtype(inputs[name]), shape_of(inputs[name])
        if array.dtype.name != dtype:
            raise InputError(f"constant '{name}': expected dtype {dtype}, got {array.dtype.name}")
        if shape is not None and not _fits(array.shape, shape):
            raise InputError(
                f"constant '{name}': expected the shape {shape}, got {list(array.shape)}"
            )
        bound.graph.initializer.append(numpy_helper.from_array(array, name))
    kept = [info for info in bound.graph.input if info.name not in constants]
    del bound.graph.input[:]
    bound.graph.input.extend(kept)
    return bound


def _fits(given: tuple[int, ...], shape: list[int | None]) -> bool:
    return len(given) == len(shape) and all(
        want in (None, size) for size, want in zip(given, shape, strict=True)
    )
