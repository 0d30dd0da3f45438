"""Operators of com.microsoft as ONNX's shape inference sees them: as what has the same result.

Only the shapes and types of their first results (and of a sum that goes on) are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from onnx import NodeProto, TensorProto, helper

from quaver.convert.onnx.names import MICROSOFT

_Made = list[NodeProto]


def with_stand_ins(nodes: Iterable[NodeProto], matrices: Container[str]) -> list[NodeProto]:
    """Put stand-ins in the places of the nodes that inference does not know.

    `matrices` are the tensors known to have two axes.
    """
    made: list[NodeProto] = []
    for node in nodes:
        own = node.domain == MICROSOFT or node.op_type == "SimplifiedLayerNormalization"
        stand_in = _STAND_INS.get(node.op_type) if own and node.input else None
        if own and node.op_type in ("FusedMatMul", "TransposeMatMul"):
            made += _product(node, matrices)
        else:
            made += [node] if stand_in is None else stand_in(node)
    return made


def _like_first(node: NodeProto) -> _Made:
    return [helper.make_node("Identity", [node.input[0]], [node.output[0]])]


def _sum(node: NodeProto) -> _Made:
    """The normalized sum, and the sum."""
    outputs = [node.output[i] for i in (0, 3) if i < len(node.output) and node.output[i]]
    return [helper.make_node("Identity", [node.input[0]], [name]) for name in outputs]


def _attended(node: NodeProto) -> _Made:
    """As many tokens as queries, as wide as values."""
    if len(node.input) < 3 or not node.input[2]:
        return [node]
    value = node.input[2]
    return [
        helper.make_node(
            "Einsum", [node.input[0], value], [node.output[0]], equation="bqh,bkv->bqv"
        )
    ]


def _embedded(node: NodeProto) -> _Made:
    return [helper.make_node("Gather", [node.input[2], node.input[0]], [node.output[0]])]


def _product(node: NodeProto, matrices: Container[str]) -> _Made:
    made, operands = [], list(node.input[:2])
    turned = {a.name for a in node.attribute if a.name.startswith("trans") and a.i}
    for i, name in enumerate(("transA", "transB")):
        if name in turned:
            if operands[i] not in matrices:
                return [node]
            made.append(helper.make_node("Transpose", [operands[i]], [f"{node.output[0]}/{name}"]))
            operands[i] = made[-1].output[0]
    return [*made, helper.make_node("MatMul", operands, [node.output[0]])]


def _real_product(node: NodeProto) -> _Made:
    whole = f"{node.output[0]}/whole"
    product = helper.make_node("MatMul", node.input[:2], [whole])
    return [product, helper.make_node("Cast", [whole], [node.output[0]], to=TensorProto.FLOAT)]


def _packed_product(node: NodeProto) -> _Made:
    size = {a.name: a.i for a in node.attribute if a.name in ("K", "N")}
    shape, weights = (f"{node.output[0]}/{name}" for name in ("shape", "weights"))
    return [
        helper.make_node("Constant", [], [shape], value_ints=[size.get("K", 0), size.get("N", 0)]),
        helper.make_node("ConstantOfShape", [shape], [weights]),
        helper.make_node("MatMul", [node.input[0], weights], [node.output[0]]),
    ]


def _grouped(node: NodeProto) -> _Made:
    return _like_first(node) if len(node.input) > 1 and node.input[1] else [node]


def _convolution(node: NodeProto) -> _Made:
    plain = helper.make_node("Conv", node.input[:3], node.output)
    plain.attribute.extend(a for a in node.attribute if not a.name.startswith("activation"))
    return [plain]


def _own(node: NodeProto) -> _Made:
    """ONNX's operator of the same name."""
    made = NodeProto()
    made.CopyFrom(node)
    made.domain = ""
    return [made]


_STAND_INS: dict[str, Callable[[NodeProto], _Made]] = {
    **dict.fromkeys(
        (
            *("BiasGelu", "FastGelu", "Gelu", "QuickGelu", "RotaryEmbedding"),
            *("QLinearLeakyRelu", "QLinearSigmoid", "QLinearSoftmax"),
            "SimplifiedLayerNormalization",
        ),
        _like_first,
    ),
    "DynamicQuantizeMatMul": _real_product,
    "EmbedLayerNormalization": _embedded,
    "FusedConv": _convolution,
    "GatherND": _own,
    "GroupQueryAttention": _grouped,
    "MatMulIntegerToFloat": _real_product,
    "MatMulNBits": _packed_product,
    "MultiHeadAttention": _attended,
    "Pad": _own,
    "SkipLayerNormalization": _sum,
    "SkipSimplifiedLayerNormalization": _sum,
}
