"""What an ONNX model declares, or lets infer, of its tensors' shapes and dtypes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

from quaver.convert.builder import Shape
from quaver.convert.onnx.dtypes import dtype_name, known_dtype, numpy_dtype
from quaver.convert.onnx.names import node_name
from quaver.convert.onnx.stand_ins import with_stand_ins
from quaver.errors import ModelError, UnsupportedError

_ROUNDS = 4
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
    matrices = {tensor.name for tensor in model.graph.initializer if len(tensor.dims) == 2}
    skeleton = _skeleton(model, with_stand_ins(model.graph.node, matrices))
    graph = skeleton.graph
    graph.output.extend(model.graph.output)
    graph.value_info.extend(model.graph.value_info)
    shapes, dtypes = _inferred(skeleton)
    for _ in range(_ROUNDS):  # what is behind a rank that ONNX leaves open becomes known with it
        ranks = _ranks(graph, shapes, dtypes)
        if not ranks:
            break
        graph.value_info.extend(ranks)
        shapes, dtypes = _inferred(skeleton)
    return shapes, dtypes


def check_declared(model: ModelProto) -> None:
    """See that no node or weight contradicts the shape that the model declares of it.

    A dimension that either leaves open fits. No shape at all is what [] means: some exporters
    (PaddlePaddle's) declare it of all outputs.

    Raises
    ------
    ModelError
        Where a rank or a known dimension differs.
    """
    declared = {}
    for info in [*model.graph.input, *model.graph.value_info, *model.graph.output]:
        if info.type.HasField("tensor_type") and (shape := shape_of(info)):
            declared[info.name] = shape
    if not declared:
        return
    for tensor in model.graph.initializer:
        told = declared.get(tensor.name)
        if told is not None and not _fit(told, list(tensor.dims)):
            raise ModelError(
                f"the weight '{tensor.name}' has the shape {_text(list(tensor.dims))}, but the "
                f"model declares {_text(told)}; correct what is declared, or remove it"
            )
    skeleton = _skeleton(model, model.graph.node)
    skeleton.graph.output.extend(ValueInfoProto(name=info.name) for info in model.graph.output)
    made, _ = _inferred(skeleton)
    for node in model.graph.node:
        for name in node.output:
            told, found = declared.get(name), made.get(name)
            if told is not None and found is not None and not _fit(told, found):
                raise ModelError(
                    f"{node.op_type} '{node_name(node)}': its output '{name}' has the shape "
                    f"{_text(found)}, but the model declares {_text(told)}; correct what is "
                    "declared, or remove it"
                )


def _fit(a: Shape, b: Shape) -> bool:
    return len(a) == len(b) and all(
        x is None or y is None or x == y for x, y in zip(a, b, strict=True)
    )


def _text(shape: Shape) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def _skeleton(model: ModelProto, nodes: Iterable[NodeProto]) -> ModelProto:
    """What inference reads of a model but for its outputs: weights are there by their shapes."""
    skeleton = ModelProto(ir_version=max(model.ir_version, 4), opset_import=model.opset_import)
    graph = skeleton.graph
    graph.name = model.graph.name or "graph"
    graph.node.extend(nodes)
    known = {tensor.name for tensor in model.graph.initializer}
    graph.input.extend(i for i in model.graph.input if i.name not in known)
    for tensor in model.graph.initializer:
        if np.prod(tensor.dims, dtype=np.float64) <= _SMALL:
            graph.initializer.append(tensor)
        else:
            graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            )
    return skeleton


def _inferred(model: ModelProto) -> tuple[dict[str, Shape], dict[str, str]]:
    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except Exception:  # a model it cannot digest is judged by the core's own inference
        graph = model.graph
    shapes, dtypes = {}, {}
    for info in [*graph.input, *graph.value_info, *graph.output]:
        if not info.type.HasField("tensor_type"):
            continue
        if (shape := shape_of(info)) is not None:
            shapes[info.name] = shape
        if (dtype := known_dtype(info.type.tensor_type.elem_type)) is not None:
            dtypes[info.name] = dtype
    return shapes, dtypes


def _ranks(
    graph: GraphProto, shapes: dict[str, Shape], dtypes: dict[str, str]
) -> list[ValueInfoProto]:
    """Ranks that ONNX does not infer: as many dimensions as the shape given has numbers.

    And those of what a support vector machine gives, a label and scores of each row.
    """
    found = []
    for node in graph.node:
        if node.op_type == "SVMClassifier":
            kinds = ((onnx.TensorProto.INT64, [None]), (onnx.TensorProto.FLOAT, [None, None]))
            found += [
                onnx.helper.make_tensor_value_info(name, elem_type, dims)
                for name, (elem_type, dims) in zip(node.output, kinds, strict=False)
                if name and name not in shapes
            ]
        index = {"Reshape": 1, "Expand": 1, "ConstantOfShape": 0}.get(node.op_type)
        if index is None or len(node.input) <= index or node.output[0] in shapes:
            continue
        sizes = shapes.get(node.input[index])
        dtype = dtypes.get(node.output[0]) or dtypes.get(node.input[0])
        if sizes is None or len(sizes) != 1 or sizes[0] is None or dtype is None:
            continue
        if node.op_type == "Expand" and len(shapes.get(node.input[0]) or [0] * 99) > sizes[0]:
            continue
        kind = onnx.helper.np_dtype_to_tensor_dtype(numpy_dtype(dtype))
        info = onnx.helper.make_tensor_value_info(node.output[0], kind, [None] * sizes[0])
        if node.output[0] not in {v.name for v in graph.output}:
            found.append(info)
    return found


def tensor_dtype(info: ValueInfoProto) -> str:
    """Return the dtype of a graph's input or output."""
    if not info.type.HasField("tensor_type"):
        kind = (info.type.WhichOneof("value") or "nothing").removesuffix("_type")
        raise UnsupportedError(f"'{info.name}' is of the type {kind}; Quaver takes tensors")
    return dtype_name(info.type.tensor_type.elem_type, f"'{info.name}'")
