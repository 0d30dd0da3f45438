"""Fourier transforms of a known length: products with a matrix of sines and cosines."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from quaver.convert.onnx.node import Node, handler


@handler("DFT")
def dft(node: Node) -> None:
    """The discrete Fourier transform of real or complex signals along an axis."""
    shape = node.shape(0)
    if shape is None or shape[-1] not in (1, 2):
        raise node.unsupported("the shape of its input must be known, real or complex last")
    rank, parts = len(shape), int(shape[-1] or 0)
    axis = -2
    if node.has(2):
        axis = int(node.constant(2, "its axis").reshape(()))
    elif node.has_attribute("axis"):
        axis = node.integer("axis")
    elif not node.has(2) and node.scope.opset < 20:
        axis = 1
    axis += rank if axis < 0 else 0
    size = shape[axis]
    if size is None:
        raise node.unsupported("the length of its signals is not known")
    inverse, half = bool(node.integer("inverse")), bool(node.integer("onesided"))
    length = 2 * (size - 1) if inverse and half else size
    if node.has(1):
        length = int(node.constant(1, "its length").reshape(()))
    taken = min(int(size), length // 2 + 1 if inverse and half else length)
    matrix = _matrix(taken, length, parts, inverse, half)
    others = [i for i in range(rank - 1) if i != axis]
    perm = [*others, axis, rank - 1]
    x = node.transpose(node.input(0), *perm)
    if taken != size:
        bounds = [
            node.add_constant(name, np.array([at], np.int64))
            for name, at in (("start", 0), ("end", taken), ("axis", rank - 2))
        ]
        x = node.emit("Slice", x, *bounds)
    lead = [0] * len(others)
    x = node.reshape(x, *lead, taken * parts)
    y = node.emit("MatMul", x, node.add_constant("matrix", matrix))
    out = matrix.shape[1] // (1 if inverse and half else 2)
    y = node.reshape(y, *lead, out, -1)
    back = [perm.index(i) for i in range(rank)]
    node.result("Transpose", y, perm=back)


@handler("STFT")
def stft(node: Node) -> None:
    """The Fourier transforms of windows that lie a step apart, as one product."""
    shape = node.shape(0)
    if shape is None or len(shape) != 3 or shape[1] is None or shape[2] not in (1, 2):
        raise node.unsupported("signals [batch, length, 1 or 2] of a known length are expected")
    size, parts = int(shape[1]), int(shape[2])
    step = int(node.constant(1, "its step").reshape(()))
    window = node.shape(2)
    if node.has(2) and (window is None or len(window) != 1 or window[0] is None):
        raise node.unsupported("a window of a known length is expected")
    length = int(window[0] or 0) if window else 0
    if node.has(3):
        length = int(node.constant(3, "the length of its frames").reshape(()))
    if step < 1 or not 0 < length <= size or (window and window[0] != length):
        raise node.invalid(f"frames of {length}, {step} apart, of signals of {size}")
    matrix = _matrix(length, length, parts, inverse=False, half=bool(node.integer("onesided", 1)))
    if (given := node.array(2)) is not None:
        matrix = matrix * np.repeat(given.reshape(-1).astype(np.float32), parts)[:, None]
    frames = (size - length) // step + 1
    places = step * np.arange(frames)[:, None] + np.arange(length)
    x = node.emit("Gather", node.input(0), node.add_constant("places", places), axis=1)
    if node.has(2) and given is None:
        x = node.emit("Mul", x, node.reshape(node.input(2), length, 1))
    x = node.reshape(x, 0, frames, length * parts)
    y = node.emit("MatMul", x, node.add_constant("matrix", matrix))
    node.pass_on(node.reshape(y, 0, frames, matrix.shape[1] // 2, 2))


@handler("MelWeightMatrix")
def mel_weight_matrix(node: Node) -> None:
    """A constant: triangles over the bins of a spectrum, evenly spaced by pitch."""
    if node.integer("output_datatype", TensorProto.FLOAT) != TensorProto.FLOAT:
        raise node.unsupported("its weights are not float32")
    names = ("number of bands", "length", "rate", "lowest frequency", "highest frequency")
    bands, length, rate, low, high = (
        node.constant(i, f"the {name}").reshape(()).item() for i, name in enumerate(names)
    )
    if bands < 1 or length < 1 or rate < 1:
        raise node.invalid(f"{bands} bands of {length} values at a rate of {rate}")
    least, most = (2595 * np.log10(1 + edge / 700) for edge in (low, high))
    pitches = least + np.arange(bands + 2) * (most - least) / (bands + 2)
    edges = ((length + 1) * (700 * (10 ** (pitches / 2595) - 1)) // rate).astype(np.int64)
    weights = np.zeros((length // 2 + 1, bands), np.float32)
    if not 0 <= edges.min() <= edges.max() < len(weights):
        raise node.invalid(f"frequencies from {low} to {high} at a rate of {rate}")
    for band, (first, centre, end) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        rise, fall = np.arange(first, centre + 1), np.arange(centre, end)
        weights[rise, band] = (rise - first) / (centre - first) if centre > first else 1
        if end > centre:
            weights[fall, band] = (end - fall) / (end - centre)
    node.pass_on(node.add_constant("weights", weights))


def _matrix(
    taken: int, length: int, parts: int, inverse: bool, half: bool
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Give [taken · parts, outputs · 2], real and imaginary parts side by side."""
    if inverse and half:  # the other half of the spectrum is the conjugate of this one
        columns = []
        for i in range(taken * parts):
            spectrum = np.zeros(length // 2 + 1, complex)
            spectrum[i // parts] = 1j if i % parts else 1
            columns.append(np.fft.irfft(spectrum, length))
        return np.array(columns, np.float32)
    signals = np.zeros((taken, parts, length), complex)
    for i in range(taken):
        signals[i, :, i] = [1, 1j][:parts]
    spectra = np.fft.ifft(signals) if inverse else np.fft.fft(signals)
    spectra = spectra[..., : length // 2 + 1] if half else spectra
    pairs = np.stack([spectra.real, spectra.imag], -1)
    return pairs.reshape(taken * parts, -1).astype(np.float32)
