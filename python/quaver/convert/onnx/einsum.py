"""Einstein sums: a matrix product where two operands are contracted, else products and sums."""

from __future__ import annotations

import numpy as np

from quaver.convert.onnx.node import Node, handler
from quaver.convert.onnx.sizes import axes, index_range, length


@handler("Einsum")
def einsum(node: Node) -> None:
    """Products of all operands, summed over the letters that the result lacks."""
    terms, result = _parsed(node)
    if len(set(result)) != len(result):
        raise node.invalid(f"a letter twice in its result: '{node.string('equation')}'")
    operands = [node.input(i) for i in range(len(terms))]
    for i, term in enumerate(terms):
        operands[i], terms[i] = _diagonal(node, operands[i], term)
    letters = list(dict.fromkeys("".join([*terms, result])))
    order = [*result, *(letter for letter in letters if letter not in result)]
    total: int | None = None
    for i, term in enumerate(terms):
        value = _spread(node, operands[i], term, order)
        total = value if total is None else node.emit("Mul", total, value)
    summed = list(range(len(result), len(order)))
    if summed:
        node.result("ReduceSum", total, axes=summed, keepdims=0)
    else:
        node.result("Identity", total)


def _diagonal(node: Node, value: int, term: str) -> tuple[int, str]:
    """Make one axis of those that share a letter, of the entries where they are equal."""
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            twice = [term.index(letter), term.rindex(letter)]
            rest = [i for i in range(len(term)) if i not in twice]
            value = node.transpose(value, *twice, *rest)
            at = node.emit("Unsqueeze", index_range(node, length(node, value, 0)), axes(node, 1))
            value = node.emit("GatherND", value, node.emit("Concat", at, at, axis=1))
            term = letter + "".join(term[i] for i in rest)
    return value, term


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
