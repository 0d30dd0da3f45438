"""Sequences (lists) and optionals (a value or None)."""

from __future__ import annotations

from typing import Any

import numpy as np

from quaver.stages.host.node import HostNode, host


@host("SequenceConstruct")
def construct(_: HostNode, *items: Any) -> list[Any]:
    """A sequence of the inputs."""
    return list(items)


@host("SequenceEmpty")
def empty(_: HostNode) -> list[Any]:
    """A sequence of nothing."""
    return []


@host("SequenceAt")
def at(_: HostNode, items: list[Any], index: Any) -> Any:
    """One item."""
    return items[int(index.reshape(()))]


@host("SequenceLength")
def length(_: HostNode, items: list[Any]) -> Any:
    """How many items there are."""
    return np.array(len(items), np.int64)


@host("SequenceInsert")
def insert(_: HostNode, items: list[Any], item: Any, index: Any = None) -> list[Any]:
    """One item more, at the end by default."""
    place = len(items) if index is None else int(index.reshape(()))
    return [*items[:place], item, *items[place:]]


@host("SequenceErase")
def erase(_: HostNode, items: list[Any], index: Any = None) -> list[Any]:
    """One item less, the last by default."""
    copy = list(items)
    del copy[-1 if index is None else int(index.reshape(()))]
    return copy


@host("SplitToSequence")
def split(node: HostNode, x: Any, sizes: Any = None) -> list[Any]:
    """Parts of a tensor."""
    axis = node.get("axis", 0)
    if sizes is None:
        parts = np.split(x, x.shape[axis], axis)
        return parts if node.get("keepdims", 1) else [np.squeeze(p, axis) for p in parts]
    if sizes.ndim == 0:
        step = int(sizes)
        return list(np.split(x, range(step, x.shape[axis], step), axis))
    return list(np.split(x, np.cumsum(sizes)[:-1], axis))


@host("ConcatFromSequence")
def concat(node: HostNode, items: list[Any]) -> Any:
    """All items joined along an axis, or a new one."""
    join = np.stack if node.get("new_axis", 0) else np.concatenate
    return join(items, axis=node.get("axis"))


@host("Optional")
def optional(_: HostNode, value: Any = None) -> Any:
    """The value, or nothing."""
    return value


@host("OptionalGetElement")
def get_element(node: HostNode, value: Any) -> Any:
    """What an optional holds."""
    if value is None:
        raise node.invalid("the optional is empty")
    return value


@host("OptionalHasElement")
def has_element(_: HostNode, value: Any = None) -> Any:
    """Whether an optional holds something."""
    return np.array(value is not None)
