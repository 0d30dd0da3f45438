"""The classification extension: the best classes instead of a tensor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver.serve.errors import bad_request


def classify(name: str, array: NDArray[Any], count: int) -> NDArray[Any]:
    """Tell the best classes of each row as texts ``value:index``, the best first.

    Parameters
    ----------
    name
        The output's, for messages.
    array
        Numbers, of shape [..., classes]; of shape [classes] where there are no rows.
    count
        How many classes; all of them if there are fewer.

    Returns
    -------
    NDArray
        Texts as bytes, of shape [..., count].
    """
    if not array.ndim or array.dtype.kind in "Ob":
        raise bad_request(f"output {name!r} is not one of numbers by class")
    rows = array.reshape(
        math.prod(array.shape[:-1]), array.shape[-1]
    )  # there may be none of either
    count = min(count, rows.shape[1])
    best = np.argsort(-rows.astype(np.float64), axis=1, kind="stable")[:, :count]
    texts = np.empty(best.shape, object)
    for row, classes in enumerate(best):
        for at, index in enumerate(classes):
            texts[row, at] = _text(rows[row, index], int(index))
    return texts.reshape(*array.shape[:-1], count)


def _text(value: Any, index: int) -> bytes:
    number = f"{float(value):f}" if np.issubdtype(type(value), np.floating) else str(value)
    return f"{number}:{index}".encode()
