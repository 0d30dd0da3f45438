"""Operators that compute in float32 only: float16, bfloat16 and float64 are cast around them."""

from __future__ import annotations

from collections.abc import Callable

from onnx import NodeProto, TensorProto, helper

from quaver.convert.onnx.dtypes import known_dtype
from quaver.convert.onnx.names import MICROSOFT, node_name
from quaver.convert.onnx.scope import Scope

OTHER_FLOATS = frozenset({"float16", "bfloat16", "float64"})

_ONLY = frozenset(
    {
        *("Conv", "ConvTranspose", "MatMul", "Gemm", "BatchNormalization", "Softmax", "Resize"),
        *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Upsample"),
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Relu", "Clip"),
        *("PRelu", "InstanceNormalization", "LRN", "LpPool", "QLinearConv", "QLinearMatMul"),
        *("LSTM", "GRU", "RNN", "GridSample", "Range", "LayerNormalization", "GlobalLpPool"),
    }
)

#: Operators whose types ONNX's inference does not know: the outputs that are the inputs' floats.
_FUSED: dict[tuple[str, str], tuple[int, ...]] = {
    ("", "SimplifiedLayerNormalization"): (0,),
    (MICROSOFT, "EmbedLayerNormalization"): (0, 2),
    (MICROSOFT, "SkipLayerNormalization"): (0, 3),
    (MICROSOFT, "SkipSimplifiedLayerNormalization"): (0, 3),
    (MICROSOFT, "Attention"): (0, 1),
    (MICROSOFT, "GroupQueryAttention"): (0, 1, 2),
    (MICROSOFT, "MultiHeadAttention"): (0, 1, 2),
    (MICROSOFT, "BiasGelu"): (0,),
    (MICROSOFT, "CDist"): (0,),
    (MICROSOFT, "DynamicQuantizeMatMul"): (0,),
    (MICROSOFT, "FastGelu"): (0,),
    (MICROSOFT, "FusedConv"): (0,),
    (MICROSOFT, "FusedGemm"): (0,),
    (MICROSOFT, "FusedMatMul"): (0,),
    (MICROSOFT, "MatMulIntegerToFloat"): (0,),
    (MICROSOFT, "MatMulNBits"): (0,),
    (MICROSOFT, "QAttention"): (0,),
    (MICROSOFT, "TransposeMatMul"): (0,),
}

_TRUTH = frozenset(
    {"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual", "Not", "And", "Or", "Xor"}
)
_INDEX = frozenset({"Shape", "Size", "ArgMax", "ArgMin", "NonZero"})
_LIKE_FIRST = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Pow", "Neg", "Exp", "Sqrt", "Reciprocal", "Sigmoid"),
        *("Tanh", "Relu", "MatMul", "Where", "Identity", "Reshape", "Transpose", "Squeeze"),
        *("Unsqueeze", "Gather", "Slice", "Split", "Concat", "Expand", "ReduceSum", "Softplus"),
    }
)


def in_float32(node: NodeProto, dtype_of: Callable[[str], str | None]) -> list[NodeProto]:
    """Return a node as it is, or between casts where its operator takes no other floats.

    `dtype_of` knows the dtypes of tensors, as far as they are known.
    """
    wide = [name for name in node.input if name and dtype_of(name) in OTHER_FLOATS]
    fused = _FUSED.get((node.domain, node.op_type), ())
    if not wide or not (fused or node.op_type in _ONLY):
        return [node]
    prefix, inner = f"{node.output[0]}/float32", NodeProto()
    inner.CopyFrom(node)
    inner.name = node_name(node)
    nodes = []
    for i, name in enumerate(node.input):
        if name in wide:
            inner.input[i] = f"{prefix}/{i}"
            nodes.append(helper.make_node("Cast", [name], [inner.input[i]], to=TensorProto.FLOAT))
    nodes.append(inner)
    for i, name in enumerate(node.output):
        dtype = dtype_of(wide[0] if i in fused else name) if name else None
        if dtype in OTHER_FLOATS:
            inner.output[i] = f"{prefix}/y{i}"
            nodes.append(helper.make_node("Cast", [inner.output[i]], [name], to=_elem_type(dtype)))
    return nodes


def note_dtypes(scope: Scope, node: NodeProto) -> None:
    """Note the dtypes of a node's outputs where ONNX's inference, blind in bodies, has none."""
    for name in node.output:
        if not name or scope.dtype(name) is not None:
            continue
        if node.op_type in _TRUTH:
            scope.note_dtype(name, "bool")
        elif node.op_type in _INDEX:
            scope.note_dtype(name, "int64")
        elif node.op_type == "Cast":
            to = next((a.i for a in node.attribute if a.name == "to"), 0)
            if (dtype := known_dtype(to)) is not None:
                scope.note_dtype(name, dtype)
        else:
            source = node.input[1 if node.op_type == "Where" else 0] if node.input else ""
            dtype = scope.dtype(source) if node.op_type in _LIKE_FIRST else None
            if dtype is not None:
                scope.note_dtype(name, dtype)


def _elem_type(dtype: str) -> int:
    return {
        "float16": int(TensorProto.FLOAT16),
        "bfloat16": int(TensorProto.BFLOAT16),
        "float64": int(TensorProto.DOUBLE),
    }[dtype]
