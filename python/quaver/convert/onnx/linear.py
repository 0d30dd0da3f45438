"""Matrix products."""

from __future__ import annotations

import numpy as np

from quaver.convert.onnx.blocks import product_of_blocks
from quaver.convert.onnx.layout import Emit
from quaver.convert.onnx.node import Node, handler
from quaver.convert.onnx.sizes import axes


@handler("MatMul")
def matmul(node: Node) -> None:
    """NumPy's matmul; of float32 with weights of few bits, which stay so."""
    blocks = node.scope.blocks(node.input_names[1]) if node.has(1) else None
    if blocks is not None and node.scope.dtype(node.input_names[0]) == "float32":
        product_of_blocks(node, blocks)
        return
    if _whole(node):
        _sum_of_products(node, node.input(0), node.input(1), node.result)
        return
    node.result("MatMul", node.input(0), node.input(1))


def _whole(node: Node) -> bool:
    """Whether it multiplies integers: rare, and without a kernel."""
    return (node.scope.dtype(node.input_names[0]) or "").lstrip("u").startswith("int")


def _sum_of_products(node: Node, a: int, b: int, last: Emit) -> int:
    """NumPy's matmul by a product of all elements: exact in any type of integers."""
    ranks = [len(shape) if (shape := node.shape(i)) else 0 for i in range(2)]
    if not all(ranks):
        raise node.unsupported("the ranks of its integers are not known")
    if ranks[1] > 1:
        columns = node.emit("Unsqueeze", a, axes(node, -1))  # [.., m, k, 1] · [.., 1, k, n]
        b = node.emit("Unsqueeze", b, axes(node, -3)) if ranks[0] > 1 else b
        return last("ReduceSum", node.emit("Mul", columns, b), axes=[-2], keepdims=0)
    return last("ReduceSum", node.emit("Mul", a, b), axes=[-1], keepdims=0)


@handler("MatMulInteger")
def matmul_integer(node: Node) -> None:
    """NumPy's matmul of integers into int32."""
    inputs = [node.input(0), node.input(1), node.optional(2), node.optional(3)]
    node.result("MatMulInteger", *inputs)


@handler("Gemm")
def gemm(node: Node) -> None:
    """Product alpha · A · B + beta · C, with A and B transposed where asked for."""
    alpha, beta = node.real("alpha", 1.0), node.real("beta", 1.0)
    a = node.transpose(node.input(0), 1, 0) if node.integer("transA") else node.input(0)
    b = node.transpose(node.input(1), 1, 0) if node.integer("transB") else node.input(1)
    if _whole(node) and alpha == beta == 1.0:
        y = _sum_of_products(node, a, b, node.emit)
        node.pass_on(node.emit("Add", y, node.input(2)) if node.has(2) else y)
        return
    if not node.has(2) or beta == 0.0:
        product = node.result if alpha == 1.0 else node.emit
        y = product("MatMul", a, b)
        if alpha != 1.0:
            node.result("Mul", y, scalar(node, "alpha", alpha))
        return
    bias = gemm_bias(node)
    if beta != 1.0:
        bias = node.emit("Mul", bias, scalar(node, "beta", beta))
    if alpha == 1.0 and is_row(node):
        node.result("MatMul", a, b, bias)
        return
    y = node.emit("MatMul", a, b)
    if alpha != 1.0:
        y = node.emit("Mul", y, scalar(node, "alpha", alpha))
    node.result("Add", y, bias)


def scalar(node: Node, name: str, value: float) -> int:
    """Add a float32 scalar."""
    return node.add_constant(name, np.array(value, np.float32))


def gemm_bias(node: Node) -> int:
    """Return C, as a vector where it is a constant row."""
    array = node.array(2)
    if array is not None and array.ndim == 2 and is_row(node):
        return node.add_constant("bias", array.reshape(-1))
    return node.input(2)


def is_row(node: Node) -> bool:
    """Whether C has one element for each column of the product."""
    b, c = node.shape(1), node.shape(2)
    if not b or not c or len(b) != 2:
        return False
    columns = b[0] if node.integer("transB") else b[1]
    constant_row = len(c) == 2 and c[0] == 1 and node.array(2) is not None
    return columns is not None and c[-1] == columns and (len(c) == 1 or constant_row)
