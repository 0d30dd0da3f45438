"""Einstein sums: a matrix product where two operands are contracted, else products and sums."""

from __future__ import annotations

import numpy as np

from quaver.convert.onnx.node import Node, handler


@handler("Einsum")
def einsum(node: Node) -> None:
    """Products of all operands, summed over the letters that the result lacks."""
    terms, result = _parsed(node)
    if any(len(set(term)) != len(term) for term in [*terms, result]):
        raise node.unsupported(f"a letter twice in one operand: '{node.string('equation')}'")
    letters = list(dict.fromkeys("".join([*terms, result])))
    order = [*result, *(letter for letter in letters if letter not in result)]
    total: int | None = None
    for i, term in enumerate(terms):
        value = _spread(node, node.input(i), term, order)
        total = value if total is None else node.emit("Mul", total, value)
    summed = list(range(len(result), len(order)))
    if summed:
        node.result("ReduceSum", total, axes=summed, keepdims=0)
    else:
        node.result("Identity", total)


def _parsed(node: Node) -> tuple[list[str], str]:
    """Return the letters of each operand and of the result; an ellipsis is capital letters."""
    equation = node.string("equation").replace(" ", "")
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(node.input_names):
        raise node.invalid(f"'{equation}' has {len(terms)} operands, the node has others")
    widths = []
    for i, term in enumerate(terms):
        shape = node.shape(i)
        if shape is None:
            raise node.unsupported("the ranks of its inputs must be known")
        letters = len(term.replace("...", ""))
        widths.append(len(shape) - letters)
        if widths[-1] < 0 or (widths[-1] > 0 and "..." not in term):
            raise node.invalid(f"'{term}' for an input of rank {len(shape)}")
    dots = [chr(ord("\u0391") + i) for i in range(max(widths))]
    filled = [
        term.replace("...", "".join(dots[len(dots) - width :]))
        for term, width in zip(terms, widths, strict=True)
    ]
    if arrow:
        return filled, right.replace("...", "".join(dots))
    every = "".join(filled)
    once = sorted(letter for letter in set(every) - set(dots) if every.count(letter) == 1)
    return filled, "".join([*dots, *once])


def _spread(node: Node, value: int, term: str, order: list[str]) -> int:
    """Bring an operand's axes into an order, with axes of size 1 for the letters it lacks."""
    perm = sorted(range(len(term)), key=lambda i: order.index(term[i]))
    if perm != sorted(perm):
        value = node.transpose(value, *perm)
    missing = [i for i, letter in enumerate(order) if letter not in term]
    if missing:
        axes = node.add_constant(f"axes{value}", np.array(missing, np.int64))
        value = node.emit("Unsqueeze", value, axes)
    return value
