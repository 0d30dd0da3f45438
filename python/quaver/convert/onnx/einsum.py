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
    sizes: dict[str, int | None] = {}
    for i, term in enumerate(terms):
        sizes.update(zip(term, node.shape(i) or (), strict=True))
        operands[i], terms[i] = _diagonal(node, operands[i], term)
    while len(terms) > 1 and _are_float32(node):
        later = "".join([*terms[2:], result])
        pair = _product(node, operands[:2], terms[:2], later, sizes)
        if pair is None:
            break
        operands[:2], terms[:2] = [pair[0]], [pair[1]]
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


def _are_float32(node: Node) -> bool:
    return all(node.scope.dtype(name) == "float32" for name in node.input_names)


def _product(
    node: Node, operands: list[int], terms: list[str], later: str, sizes: dict[str, int | None]
) -> tuple[int, str] | None:
    """Contract two operands by a matrix product, where one letter is summed that both have.

    Rows are what only the first has, with an axis each; columns what only the second has, in one
    axis. The letters of an ellipsis may stand for sizes of 1, so they are never summed.
    """
    both = [letter for letter in terms[0] if letter in terms[1]]
    summed = [letter for letter in both if letter not in later]
    batch = [letter for letter in both if letter in later]
    alone = [[c for c in term if c not in both] for term in terms]
    if len(summed) != 1 or summed[0] > "z" or not set("".join(map("".join, alone))) <= set(later):
        return None
    if len(alone[1]) > 1:
        operands, alone = operands[::-1], alone[::-1]
        terms = terms[::-1]
    rows, columns = alone
    parts = [size for letter in columns if (size := sizes[letter]) is not None]
    if len(columns) > 1 and len(parts) < len(columns):
        return None
    left = _spread(node, operands[0], terms[0], [*batch, *(rows or "1"), *summed])
    padding = "2" * max(len(rows) - 1, 0)
    right = _spread(node, operands[1], terms[1], [*batch, *padding, *summed, *(columns or "1")])
    if len(columns) > 1:
        right = node.reshape(right, *[0] * (len(batch) + len(padding) + 1), -1)
    made = node.emit("MatMul", left, right)
    if len(columns) > 1:
        made = node.reshape(made, *[0] * (len(batch) + max(len(rows), 1)), *parts)
    at = len(batch) + max(len(rows), 1)
    dummies = [] if columns else [at]
    dummies += [] if rows else [at - 1]
    if dummies:
        made = node.emit("Squeeze", made, axes(node, *sorted(dummies)))
    return made, "".join([*batch, *rows, *columns])


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
