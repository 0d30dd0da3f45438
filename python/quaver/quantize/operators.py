"""Which operators the core runs in int8, and what it asks of a node for that."""

from __future__ import annotations

import onnx

from quaver.quantize.net import Net, attribute

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div"})
UNARY = frozenset(
    {
        "Abs", "Clip", "Erf", "Exp", "HardSigmoid", "HardSwish", "LeakyRelu", "Neg", "Relu",
        "Sigmoid", "Sqrt", "Tanh",
    }
)  # fmt: skip
_REDUCING = frozenset(
    {"AveragePool", "GlobalAveragePool", "ReduceMax", "ReduceMean", "ReduceSum", "Softmax"}
)
_COMPUTE = WEIGHTED | ARITHMETIC | UNARY | _REDUCING | {"PRelu", "Resize"}
_MOVES = frozenset(
    {
        "Concat", "Flatten", "Gather", "GlobalMaxPool", "Identity", "MaxPool", "Pad", "Reshape",
        "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
CLAMPING = frozenset({"Conv", "Gemm", "MatMul"}) | ARITHMETIC
"""What takes a Relu or Clip after it into its own rounding."""


def data_inputs(node: onnx.NodeProto) -> list[str]:
    """The inputs of a node that are activations, whether constant or not."""
    if node.op_type in ARITHMETIC or node.op_type in ("Concat", "MatMul"):
        return list(node.input)
    return list(node.input[:1])


def weight_of(net: Net, node: onnx.NodeProto) -> str | None:
    """The constant weight of a node, where it has one."""
    has_weight = node.op_type in WEIGHTED and node.input[1] in net.weights
    return node.input[1] if has_weight else None


def is_move(node: onnx.NodeProto) -> bool:
    """Whether a node gives elements of its inputs as they are."""
    return node.op_type in _MOVES or (
        node.op_type == "Resize" and attribute(node, "mode", b"nearest") == b"nearest"
    )


def unfit(net: Net, node: onnx.NodeProto) -> str | None:
    """Why a node stays in float; empty where it has no float tensor, None where it is fit."""
    if not node.output or not net.is_float(node.output[0]):
        return "" if not any(map(net.is_float, node.input)) else "its result is not float32"
    if not is_move(node) and node.op_type not in _COMPUTE:
        return f"{node.op_type} has no quantized form"
    inputs = data_inputs(node)
    if all(name in net.weights for name in inputs):
        return "its input is a constant"
    if not all(map(net.is_float, inputs)):
        return "the type of an input is not known"
    return _unfit_parameters(net, node)


def _unfit_parameters(net: Net, node: onnx.NodeProto) -> str | None:
    def computed(first: int) -> bool:
        return any(name and name not in net.weights for name in node.input[first:])

    if node.op_type in ("Conv", "ConvTranspose", "Gemm") and computed(1):
        return "its weight or bias is computed at run time"
    if node.op_type in ("Clip", "PRelu") and computed(1):
        return "its bounds or slopes are computed at run time"
    if node.op_type == "Gemm":
        plain = attribute(node, "alpha", 1.0) == attribute(node, "beta", 1.0) == 1.0
        return None if plain and not attribute(node, "transA", 0) else "it scales or transposes"
    return None
