"""Convolutions whose weights are computed in the run; the core packs weights ahead."""

from __future__ import annotations

from typing import Any

import numpy as np

from quaver.stages.host.node import HostNode, host


@host("Conv")
def conv(node: HostNode, x: Any, w: Any, bias: Any = None) -> Any:
    """Windows of x times the weights, group by group."""
    axes = tuple(range(2, x.ndim))
    steps, dilations, spans = _window(node, w)
    sizes = [-(-n // step) for n, step in zip(x.shape[2:], steps, strict=True)]
    needs = zip(sizes, steps, spans, x.shape[2:], strict=True)
    wanted = [(size - 1) * step + span - n for size, step, span, n in needs]
    padded = np.pad(_real(x), [(0, 0), (0, 0), *_ends(node, wanted)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axes)
    every = (slice(None), slice(None))
    taps = tuple(slice(None, None, n) for n in (*steps, *dilations))
    windows = windows[every + taps]
    inner = [1, *range(x.ndim, windows.ndim)]
    group = node.get("group", 1)
    parts = zip(np.split(windows, group, 1), np.split(_real(w), group), strict=True)
    made = [np.tensordot(a, b, (inner, [*range(1, w.ndim)])) for a, b in parts]
    y = np.moveaxis(np.concatenate(made, -1), -1, 1)
    return _biased(y, bias).astype(x.dtype)


@host("ConvTranspose")
def conv_transpose(node: HostNode, x: Any, w: Any, bias: Any = None) -> Any:
    """What each element of x makes, added up where it overlaps."""
    steps, dilations, spans = _window(node, w)
    group, more = node.get("group", 1), node.get("output_padding") or [0] * len(steps)
    parts = zip(np.split(_real(x), group, 1), np.split(_real(w), group), strict=True)
    made = [np.moveaxis(np.tensordot(a, b, (1, 0)), x.ndim - 1, 1) for a, b in parts]
    columns = np.concatenate(made, 1)  # [batch, channels, sizes, kernel]
    fulls = [
        (n - 1) * step + span + extra
        for n, step, span, extra in zip(x.shape[2:], steps, spans, more, strict=True)
    ]
    shape = node.get("output_shape")
    if shape is None and node.get("auto_pad", "NOTSET").startswith("SAME"):
        shape = [n * step for n, step in zip(x.shape[2:], steps, strict=True)]
    if shape is not None:
        fulls = [max(full, size) for full, size in zip(fulls, shape, strict=True)]
    total = np.zeros((*columns.shape[:2], *fulls), columns.dtype)
    every = (slice(None), slice(None))
    whole = (slice(None),) * len(steps)
    for tap in np.ndindex(*w.shape[2:]):
        place = tuple(
            slice(t * dilation, t * dilation + n * step, step)
            for t, dilation, n, step in zip(tap, dilations, x.shape[2:], steps, strict=True)
        )
        total[every + place] += columns[every + whole + tap]
    wanted = [0] * len(fulls)
    if shape is not None:
        wanted = [full - size for full, size in zip(fulls, shape, strict=True)]
    ends = _ends(node, wanted, given=shape is None)
    inner = tuple(slice(a, full - b) for full, (a, b) in zip(fulls, ends, strict=True))
    return _biased(total[every + inner], bias).astype(x.dtype)


def _window(node: HostNode, w: Any) -> tuple[list[int], list[int], list[int]]:
    """Return strides, dilations and how far a window reaches."""
    ones = [1] * (w.ndim - 2)
    dilations = node.get("dilations") or ones
    spans = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilations, strict=True)]
    return node.get("strides") or ones, dilations, spans


def _ends(node: HostNode, wanted: list[int], *, given: bool = True) -> list[tuple[int, int]]:
    """Return the padding of each axis: the one given, or so much as is wanted in all."""
    mode = node.get("auto_pad", "NOTSET")
    if given and not mode.startswith("SAME"):
        pads = (node.get("pads") if mode == "NOTSET" else None) or [0] * (2 * len(wanted))
        return list(zip(pads[: len(wanted)], pads[len(wanted) :], strict=True))
    halves = [(max(n, 0) // 2, max(n, 0) - max(n, 0) // 2) for n in wanted]
    return halves if mode == "SAME_UPPER" else [(more, less) for less, more in halves]


def _real(x: Any) -> Any:
    return x if x.dtype == np.float64 else x.astype(np.float32)


def _biased(y: Any, bias: Any) -> Any:
    return y if bias is None else y + _real(bias).reshape(-1, *[1] * (y.ndim - 2))
