"""Fourier transforms of a known length: products with a matrix of sines and cosines."""

from __future__ import annotations

import numpy as np

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
    x = node.emit("Reshape", x, node.add_constant("rows", np.array([*lead, taken * parts])))
    y = node.emit("MatMul", x, node.add_constant("matrix", matrix))
    out = matrix.shape[1] // (1 if inverse and half else 2)
    y = node.emit("Reshape", y, node.add_constant("shape", np.array([*lead, out, -1])))
    back = [perm.index(i) for i in range(rank)]
    node.result("Transpose", y, perm=back)


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
