"""Read a model's protobuf from a path, bytes or memory, with errors that say what is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import helper, inliner, version_converter

from quaver.convert.onnx.external import resolve
from quaver.convert.onnx.order import ordered
from quaver.errors import CorruptFileError, FileError, ModelError, UnsupportedError

OLDEST_OPSET = 13
NEWEST_OPSET = 28


def load_proto(source: str | os.PathLike[str] | bytes, *, mapped: bool = False) -> onnx.ModelProto:
    """Read an ONNX model.

    Parameters
    ----------
    source
        A path, or the content of a file. Tensors stored beside the model are found by path only.
    mapped
        Whether tensors stored beside the model stay there, mapped into memory, for this
        package's importer; else they are read into the model.

    Returns
    -------
    onnx.ModelProto
        With all its tensors.

    Raises
    ------
    FileError
        Where the file, or one it refers to, cannot be read, or lies outside of its folder.
    CorruptFileError
        Where the content is no ONNX model.
    ModelError
        Where a tensor's place in a file does not fit its shape.
    """
    if isinstance(source, bytes):
        return _parse(source, "the bytes given")
    path = Path(source)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from error
    model = _parse(content, f"'{path}'")
    resolve(model, path.parent, f"'{path}'", mapped=mapped)
    return model


def _parse(content: bytes, where: str) -> onnx.ModelProto:
    if not content:
        raise CorruptFileError(f"{where} is empty; expected an ONNX model")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise CorruptFileError(f"{where} is no ONNX model, or it is truncated") from error
    if not model.opset_import or not model.graph.output:
        raise CorruptFileError(
            f"{where} is no ONNX model, or it is truncated: it has no operator set or no outputs"
        )
    return model


def opset_of(model: onnx.ModelProto) -> int:
    """Version of ONNX's own operator set; 0 where the model does not use it."""
    return next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0)


def modernized(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in order, with its local functions inlined, in an opset this importer knows."""
    model = ordered(model)
    if model.functions:
        model = inliner.inline_local_functions(model)
    opset = opset_of(model)
    if opset < 0:
        raise ModelError(f"the model is of opset {opset}")
    if opset > NEWEST_OPSET:
        raise UnsupportedError(
            f"the model is of opset {opset}, the newest known is {NEWEST_OPSET}; "
            "export it with an earlier one"
        )
    if opset == 0 and not any(o.domain for o in model.opset_import):
        raise ModelError("the model names no operator set")
    return _raised(model, opset) if 0 < opset < OLDEST_OPSET else model


def _raised(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    try:
        raised = version_converter.convert_version(model, OLDEST_OPSET)
    except Exception as error:  # the converter raises whatever its C++ side did
        raise UnsupportedError(
            f"the model is of opset {opset} and onnx cannot bring it to {OLDEST_OPSET} "
            f"({error}); export it with opset {OLDEST_OPSET} or later"
        ) from error
    if opset < 11:  # Resize and Upsample knew but one rule; the converter leaves the new default
        rule = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        for node in raised.graph.node:
            if node.op_type == "Resize":
                node.attribute.extend(helper.make_attribute(*item) for item in rule.items())
    return raised
