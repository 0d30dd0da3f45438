"""Tensors in files beside a model: checked, then mapped or read.

A mapped tensor stays external in its TensorProto. Its location is then a token that only this
process can have made, so that no model can name a file of its own choice.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, helper

from quaver.convert.builder import Array
from quaver.errors import FileError, ModelError

_PREFIX = f"quaver:{secrets.token_hex(16)}:"
_numbers = itertools.count()
_PACKED = frozenset({TensorProto.INT4, TensorProto.UINT4, TensorProto.FLOAT4E2M1})


class _Piece(NamedTuple):
    path: Path
    offset: int
    length: int


_pieces: dict[str, _Piece] = {}


def resolve(model: ModelProto, folder: Path, where: str, *, mapped: bool) -> None:
    """Find all external tensors of a model, in place.

    Parameters
    ----------
    folder
        Of the model; their files must be in it.
    where
        Names the model in errors.
    mapped
        Whether they are mapped, for `array_of`, rather than read into the model.

    Raises
    ------
    FileError
        If a file is missing, too short, or outside of the folder.
    ModelError
        If a tensor's place is no place, or not of its size.
    """
    for tensor in _tensors(model.graph):
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        piece = _piece(tensor, folder, where)
        if mapped and tensor.data_type not in _PACKED:
            token = f"{_PREFIX}{next(_numbers)}"
            _pieces[token] = piece
            del tensor.external_data[:]
            tensor.external_data.add(key="location", value=token)
        else:
            read(tensor, piece)


def read(tensor: TensorProto, piece: _Piece | None = None) -> None:
    """Read an external tensor's bytes into it."""
    piece = piece or _pieces[_location(tensor)]
    with open(piece.path, "rb") as file:
        file.seek(piece.offset)
        tensor.raw_data = file.read(piece.length)
    del tensor.external_data[:]
    tensor.data_location = TensorProto.DEFAULT


def array_of(tensor: TensorProto) -> Array | None:
    """Return a mapped tensor's content; None for an external tensor that is not mapped."""
    piece = _pieces.get(_location(tensor))
    if piece is None:
        return None
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    shape = tuple(tensor.dims)
    if piece.length == 0:
        return np.zeros(shape, dtype)
    raw = np.memmap(piece.path, np.uint8, "r", piece.offset, (piece.length,))
    return np.frombuffer(raw, dtype).reshape(shape)


def _location(tensor: TensorProto) -> str:
    return next((e.value for e in tensor.external_data if e.key == "location"), "")


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t
            elif attribute.type == AttributeProto.GRAPH:
                yield from _tensors(attribute.g)


def _piece(tensor: TensorProto, folder: Path, where: str) -> _Piece:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    label = f"{where}: tensor '{tensor.name}'"
    location = entries.get("location", "")
    if not location:
        raise ModelError(f"{label} lies in a file of its own, which is not named")
    path = folder / location
    inside = folder.resolve()
    if Path(location).is_absolute() or not path.resolve().is_relative_to(inside):
        raise FileError(
            f"{label} lies in '{location}', outside of the model's folder '{folder}'; only files "
            "in that folder are read"
        )
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise FileError(
            f"{label} lies in '{path}', which cannot be read: {error}; keep it beside the model"
        ) from error
    if not path.is_file():
        raise FileError(f"{label} lies in '{path}', which is no file")
    length = _bytes(tensor, label)
    offset = _number(entries, "offset", 0, label)
    given = _number(entries, "length", length, label)
    if given != length:
        raise ModelError(f"{label} has {given} bytes in '{path}', expected {length} for its shape")
    if offset + length > size:
        raise FileError(
            f"{label} lies in '{path}' from {offset} to {offset + length}, but that file has "
            f"{size} bytes; is it complete?"
        )
    return _Piece(path, offset, length)


def _bytes(tensor: TensorProto, label: str) -> int:
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    except (KeyError, TypeError) as error:
        raise ModelError(f"{label} is of no type that ONNX has") from error
    count = 1
    for dim in tensor.dims:
        if dim < 0:
            raise ModelError(f"{label} has a dimension of {dim}")
        count *= dim
    return (count + 1) // 2 if tensor.data_type in _PACKED else count * dtype.itemsize


def _number(entries: dict[str, str], key: str, otherwise: int, label: str) -> int:
    text = entries.get(key)
    if text is None:
        return otherwise
    if not (text.isascii() and text.isdigit()):
        raise ModelError(f"{label}: its {key} is '{text}', no number of bytes")
    return int(text)
