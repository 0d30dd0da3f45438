"""What an ONNX model declares, or lets infer, of its tensors' shapes and dtypes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import ModelProto, ValueInfoProto

from quaver.convert.builder import Shape
from quaver.convert.onnx.dtypes import dtype_name, known_dtype
from quaver.errors import ModelError, UnsupportedError

_SMALL = 1024  # elements; shapes, axes and such, whose content shape inference may need


def shape_of(info: ValueInfoProto) -> Shape | None:
    """Return a declared shape, None where the rank is open."""
    if not info.type.tensor_type.HasField("shape"):
        return None
    shape: Shape = []
    for dim in info.type.tensor_type.shape.dim:
        size = dim.dim_value if dim.HasField("dim_value") else None
        if size is not None and size < 0:
            raise ModelError(
                f"'{info.name}' declares a dimension of {size}; "
                "a dynamic one has a name or nothing instead"
            )
        shape.append(size)
    return shape


def infer(model: ModelProto) -> tuple[dict[str, Shape], dict[str, str]]:
    """Return the shapes and dtypes that ONNX infers; weights take part by their shapes alone."""
    skeleton = ModelProto(ir_version=max(model.ir_version, 4), opset_import=model.opset_import)
    graph = skeleton.graph
    graph.name = model.graph.name or "graph"
    graph.node.extend(model.graph.node)
    known = {tensor.name for tensor in model.graph.initializer}
    graph.input.extend(i for i in model.graph.input if i.name not in known)
    graph.output.extend(model.graph.output)
    graph.value_info.extend(model.graph.value_info)
    for tensor in model.graph.initializer:
        if np.prod(tensor.dims, dtype=np.float64) <= _SMALL:
            graph.initializer.append(tensor)
        else:
            graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    try:
        inferred = onnx.shape_inference.infer_shapes(skeleton, data_prop=True).graph
    except Exception:  # a model it cannot digest is judged by the core's own inference
        inferred = graph
    shapes, dtypes = {}, {}
    for info in [*inferred.input, *inferred.value_info, *inferred.output]:
        if not info.type.HasField("tensor_type"):
            continue
        if (shape := shape_of(info)) is not None:
            shapes[info.name] = shape
        if (dtype := known_dtype(info.type.tensor_type.elem_type)) is not None:
            dtypes[info.name] = dtype
    return shapes, dtypes


def tensor_dtype(info: ValueInfoProto) -> str:
    """Return the dtype of a graph's input or output."""
    if not info.type.HasField("tensor_type"):
        kind = (info.type.WhichOneof("value") or "nothing").removesuffix("_type")
        raise UnsupportedError(f"'{info.name}' is of the type {kind}; Quaver takes tensors")
    return dtype_name(info.type.tensor_type.elem_type, f"'{info.name}'")
