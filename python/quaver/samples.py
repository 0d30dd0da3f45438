"""Inputs made up for a model: for benchmarks and profiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.errors import InputError
from quaver.model import Port

_SEED = 0


def input_shapes(
    ports: Sequence[Port], given: Mapping[str, Sequence[int]]
) -> list[tuple[int, ...]]:
    """Choose a shape for every input: the given one, else the model's with a batch of 1.

    Raises
    ------
    InputError
        If a given name is no input, or an open dimension besides the first was not given.
    """
    names = [port.name for port in ports]
    for name in given:
        if name not in names:
            raise InputError(f"there is no input {name!r}; there are {', '.join(names)}")
    return [tuple(given[p.name]) if p.name in given else _default_shape(p) for p in ports]


def random_inputs(
    ports: Sequence[Port],
    shapes: Sequence[Sequence[int]],
    rows: Mapping[str, int] | None = None,
) -> list[NDArray[Any]]:
    """Make the same random inputs each time.

    Floats are normal, integers of up to 16 bits uniform up to 255. Wider ones choose among the
    rows of a table, of which there are `rows` by the input's name; without it they are 0 or 1,
    as masks are.
    """
    rng = np.random.default_rng(_SEED)
    known = rows or {}
    return [
        _random(rng, port, shape, known.get(port.name))
        for port, shape in zip(ports, shapes, strict=True)
    ]


def _default_shape(port: Port) -> tuple[int, ...]:
    if None in port.shape[1:]:
        dims = ",".join("?" if dim is None else str(dim) for dim in port.shape)
        raise InputError(
            f"input {port.name!r} has the open shape {dims}; say which to take: "
            f"--shape {port.name}={dims.replace('?', '1', 1)}"
        )
    return tuple(1 if dim is None else dim for dim in port.shape)


def _random(
    rng: np.random.Generator, port: Port, shape: Sequence[int], rows: int | None
) -> NDArray[Any]:
    if port.dtype == np.bool_:
        return rng.random(shape) < 0.5
    if np.issubdtype(port.dtype, np.integer):
        if port.dtype.itemsize >= 4:
            return rng.integers(0, rows or 2, shape).astype(port.dtype)
        top = min(int(np.iinfo(port.dtype).max), 255)
        return rng.integers(0, top, shape, endpoint=True).astype(port.dtype)
    return rng.standard_normal(shape).astype(port.dtype)
