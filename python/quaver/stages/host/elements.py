"""Operators that move single elements, rare enough to be left to NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from quaver.convert.onnx.names import MICROSOFT
from quaver.stages.host.node import HostNode, host


@host("ReverseSequence")
def reverse_sequence(node: HostNode, x: Any, lengths: Any) -> Any:
    """The first elements of each sequence of a batch the other way round."""
    batch, time = node.get("batch_axis", 1), node.get("time_axis", 0)
    moved = np.moveaxis(x, (batch, time), (0, 1)).copy()
    for row, n in zip(moved, lengths, strict=True):
        row[: int(n)] = row[: int(n)][::-1].copy()
    return np.ascontiguousarray(np.moveaxis(moved, (0, 1), (batch, time)))


@host("Det")
def det(_: HostNode, x: Any) -> Any:
    """Determinants of the matrices along the last two axes."""
    return np.linalg.det(x).astype(x.dtype)


@host("Inverse", domain=MICROSOFT)
def inverse(node: HostNode, x: Any) -> Any:
    """Inverses of the matrices along the last two axes."""
    try:
        return np.linalg.inv(x.astype(np.promote_types(x.dtype, np.float32))).astype(x.dtype)
    except np.linalg.LinAlgError as error:
        raise node.invalid(str(error)) from error


@host("BitCast")
def bit_cast(node: HostNode, x: Any) -> Any:
    """The same bits as another dtype."""
    return np.ascontiguousarray(x).view(node.dtype_of(node.get("to"))).reshape(x.shape)


@host("TensorScatter")
def tensor_scatter(node: HostNode, past: Any, update: Any, indices: Any = None) -> Any:
    """A part of each sequence of a batch replaced, from an index on."""
    axis, result = node.get("axis", -2) % past.ndim, past.copy()
    length, size = update.shape[axis], past.shape[axis]
    for b in range(past.shape[0]):
        start = 0 if indices is None else int(indices[b])
        places = start + np.arange(length)
        if node.get("mode", "linear") == "circular":
            places %= size
        index: list[Any] = [slice(None)] * (past.ndim - 1)
        index[axis - 1] = places
        result[b][tuple(index)] = update[b]
    return result


@host("MaxUnpool")
def max_unpool(node: HostNode, x: Any, indices: Any, shape: Any = None) -> Any:
    """Maxima put back where a MaxPool took them from."""
    kernel = node.get("kernel_shape")
    strides = node.get("strides") or [1] * len(kernel)
    pads = node.get("pads") or [0] * (2 * len(kernel))
    sizes = [
        (n - 1) * s + k - pads[i] - pads[i + len(kernel)]
        for i, (n, s, k) in enumerate(zip(x.shape[2:], strides, kernel, strict=True))
    ]
    natural = (*x.shape[:2], *sizes)
    flat = np.zeros(int(np.prod(natural)), x.dtype)
    flat[indices.reshape(-1)] = x.reshape(-1)
    result = flat.reshape(natural)
    if shape is None:
        return result
    wide = np.zeros([int(n) for n in shape], x.dtype)
    wide[tuple(slice(n) for n in natural)] = result
    return wide


@host("Col2Im")
def col2im(node: HostNode, x: Any, image: Any, block: Any) -> Any:
    """Blocks added up where they overlap; the way back from a convolution's columns."""
    axes = len(block)
    dilations = node.get("dilations") or [1] * axes
    strides = node.get("strides") or [1] * axes
    pads = node.get("pads") or [0] * (2 * axes)
    padded = [int(n) + pads[i] + pads[i + axes] for i, n in enumerate(image)]
    spans = [(int(b) - 1) * d + 1 for b, d in zip(block, dilations, strict=True)]
    counts = [(n - s) // t + 1 for n, s, t in zip(padded, spans, strides, strict=True)]
    channels = x.shape[1] // int(np.prod(block))
    columns = x.reshape(x.shape[0], channels, *(int(b) for b in block), *counts)
    result = np.zeros((x.shape[0], channels, *padded), x.dtype)
    every = (slice(None), slice(None))
    for tap in np.ndindex(*(int(b) for b in block)):
        place = tuple(
            slice(t * d, t * d + c * s, s)
            for t, d, c, s in zip(tap, dilations, counts, strides, strict=True)
        )
        result[every + place] += columns[every + tap]
    inner = tuple(slice(pads[i], pads[i] + int(n)) for i, n in enumerate(image))
    return np.ascontiguousarray(result[every + inner])


@host("Multinomial")
def multinomial(node: HostNode, x: Any) -> Any:
    """Random classes, by logarithms of how likely they are."""
    count, seed = node.get("sample_size", 1), node.get("seed")
    generator = np.random.default_rng(
        None if seed is None else int(np.float32(seed).view(np.uint32))
    )
    likely = np.exp(x - x.max(axis=1, keepdims=True)).cumsum(axis=1)
    drawn = generator.uniform(size=(len(x), count, 1)) * likely[:, None, -1:]
    return (drawn >= likely[:, None]).sum(axis=2).astype(node.dtype_of(node.get("dtype", 6)))


@host("RandomUniform", "RandomNormal", "RandomUniformLike", "RandomNormalLike", "Bernoulli")
def random(node: HostNode, x: Any = None) -> Any:
    """Random numbers; the same ones again where a seed is given."""
    seed = node.get("seed")
    generator = np.random.default_rng(
        None if seed is None else int(np.float32(seed).view(np.uint32))
    )
    shape = node.get("shape") if x is None else x.shape
    dtype = node.dtype_of(node.get("dtype", 1))
    if x is not None and not node.has("dtype"):
        dtype = x.dtype
    if node.op == "Bernoulli":
        return (generator.random(shape) < x).astype(dtype)
    if "Normal" in node.op:
        return generator.normal(node.get("mean", 0.0), node.get("scale", 1.0), shape).astype(dtype)
    return generator.uniform(node.get("low", 0.0), node.get("high", 1.0), shape).astype(dtype)
