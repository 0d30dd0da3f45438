"""Weights of a few bits with a scale for each block of a row (com.microsoft)."""

from __future__ import annotations

import numpy as np

from quaver.convert.builder import Array
from quaver.convert.onnx.dtypes import dtype_code
from quaver.convert.onnx.few_bits import Blocks
from quaver.convert.onnx.node import MICROSOFT, Node, handler

_BITS = (2, 4, 8)

# The accuracy_level of MatMulNBits that lets a kernel bring activations to bytes.
_BYTES = 4


def unpacked(packed: Array, bits: int) -> Array:
    """Return the numbers in bytes along the last axis, the lowest bits first."""
    if bits == 8:
        return packed.astype(np.uint8)
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    parts = (packed.astype(np.uint8)[..., None] >> shifts) & np.uint8((1 << bits) - 1)
    return np.asarray(parts.reshape(*packed.shape[:-1], -1))


def dequantized_in_blocks(node: Node, array: Array, axis: int, block: int) -> Array:
    """Return the reals of constant integers with scales (and zero points) for blocks of an axis."""
    scales = node.stored(1, "its scales").astype(np.float32)
    zeros = node.stored(2, "its zero points").astype(np.float32) if node.has(2) else None
    reals = array.astype(np.float32)

    def spread(parameters: Array) -> Array:
        if block:
            parts = np.repeat(parameters, block, axis=axis)
            return np.take(parts, range(reals.shape[axis]), axis=axis)
        if parameters.ndim == 1 and parameters.size > 1:
            shape = [1] * reals.ndim
            shape[axis] = -1
            return parameters.reshape(shape)
        return parameters.reshape([1] * reals.ndim if parameters.size == 1 else parameters.shape)

    if zeros is not None:
        reals = reals - spread(zeros)
    return np.asarray(reals * spread(scales), np.float32).reshape(array.shape)


@handler("MatMulNBits", domain=MICROSOFT)
def matmul_nbits(node: Node) -> None:
    """X · Wᵀ of weights [N, K]; those of four bits stay so, others become reals here."""
    bits, n, k = node.integer("bits", 4), node.integer("N"), node.integer("K")
    block = node.integer("block_size")
    if bits not in _BITS or block < 1 or n < 1 or k < 1:
        raise node.invalid(f"weights of {bits} bits, [{n}, {k}], in blocks of {block}")
    if node.has(4):
        raise node.unsupported("it orders its groups by an index")
    blocks = -(-k // block)
    packed = node.stored(1, "its weights")
    if bits == 4 and _stays_packed(node, block) and packed.size == n * blocks * block // 2:
        _packed_product(node, packed, n, k, block)
        return
    weights = unpacked(packed, bits).reshape(n, blocks, -1)[..., :block]
    scales = node.stored(2, "its scales").astype(np.float32).reshape(n, blocks, 1)
    zeros: Array = np.float32(1 << (bits - 1)) * np.ones((1, 1, 1), np.float32)
    if node.has(3):
        given = node.stored(3, "its zero points")
        if given.dtype == np.uint8:
            given = unpacked(given.reshape(n, -1), bits)[:, :blocks]
        zeros = given.astype(np.float32).reshape(n, blocks, 1)
    real = ((weights.astype(np.float32) - zeros) * scales).reshape(n, -1)[:, :k]
    y = node.emit("MatMul", node.input(0), node.add_constant("weights", real.T.copy()))
    bias = node.optional(5)
    node.pass_on(y if bias is None else node.emit("Add", y, bias))


def _stays_packed(node: Node, block: int) -> bool:
    """Whether the product has a kernel: zero points are whole, and the activations float32."""
    zeros = node.stored(3, "its zero points") if node.has(3) else None
    whole = zeros is None or zeros.dtype == np.uint8
    real = node.scope.dtype(node.input_names[0]) == "float32"
    return whole and real and block >= 16 and block & (block - 1) == 0


def _packed_product(node: Node, packed: Array, n: int, k: int, block: int) -> None:
    blocks = -(-k // block)
    parameters: list[int | None] = [
        node.add_constant("weights", np.ascontiguousarray(packed).reshape(n, blocks, block // 2)),
        node.add_constant(
            "scales", node.stored(2, "its scales").astype(np.float32).reshape(n, blocks)
        ),
    ]
    if node.has(3):
        bytes_of = unpacked(node.stored(3, "its zero points").reshape(n, -1), 4)[:, :blocks]
        parameters.append(node.add_constant("zeros", np.ascontiguousarray(bytes_of)))
    else:
        parameters.append(None)
    weights, scales, zeros = parameters
    node.result(
        "MatMulIntegerToFloat",
        *(node.input(0), weights, None, scales, None, zeros, node.optional(5)),
        K=k,
        block_size=block,
        bytes=int(node.integer("accuracy_level", 0) == _BYTES),
    )


def deferred(node: Node, array: Array, axis: int, block: int) -> bool:
    """Leave a matrix of four bits to the products that take it; whether they can."""
    scales = node.stored(1, "its scales")
    fits = array.ndim == 2 and axis % 2 == 0 and block >= 16 and block & (block - 1) == 0
    if array.dtype.name not in ("int4", "uint4") or not fits or scales.dtype != np.float32:
        return False
    whole = np.int8 if array.dtype.name == "int4" else np.uint8
    zeros = np.zeros(scales.shape, whole)
    if node.has(2):
        zeros = node.stored(2, "its zero points").astype(whole)
    blocks = Blocks(array.astype(whole), zeros, scales, block)
    expected = [-(-array.shape[0] // block), array.shape[1]]
    if list(scales.shape) != expected or zeros.shape != scales.shape:
        return False

    def bind() -> None:
        node.result("Identity", node.add_constant("reals", blocks.reals(0)))

    node.scope.defer(node.outputs[0], bind, blocks)
    return True


def product_of_blocks(node: Node, blocks: Blocks) -> None:
    """X · W of weights [K, N] that stay four bits wide."""
    (k, n), block = blocks.numbers.shape, blocks.block
    middle = 8 if blocks.numbers.dtype == np.int8 else 0
    zeros = (blocks.zeros.T.astype(np.int16) + middle).astype(np.uint8)
    numbers = (blocks.numbers.T.astype(np.int16) + middle).astype(np.uint8)
    numbers = np.pad(numbers, ((0, 0), (0, zeros.shape[1] * block - k))).reshape(n, -1, block)
    node.result(
        "MatMulIntegerToFloat",
        node.input(0),
        node.add_constant("weights", numbers[..., ::2] | numbers[..., 1::2] << 4),
        None,
        node.add_constant("scales", np.ascontiguousarray(blocks.scales.T)),
        None,
        node.add_constant("zeros", np.ascontiguousarray(zeros)),
        K=k,
        block_size=block,
        bytes=0,
    )


@handler("GatherBlockQuantized", domain=MICROSOFT)
def gather_block_quantized(node: Node) -> None:
    """Rows of a table of a few bits with a scale for each block of a row."""
    data, scales = node.stored(0, "its table"), node.stored(2, "its scales")
    bits, block = node.integer("bits", 4), node.integer("block_size", 128)
    axis, along = node.integer("gather_axis"), node.integer("quantize_axis", 1)
    if bits not in _BITS or block < 1:
        raise node.invalid(f"{bits} bits in blocks of {block}")
    packed, whole = data.dtype == np.uint8, np.int8 if data.dtype.name == "int4" else np.uint8
    numbers = unpacked(data, bits) if packed else data.astype(whole)
    middle = 1 << (bits - 1) if packed else 0
    zeros = np.full(scales.shape, middle, numbers.dtype)
    if node.has(3):
        given = node.stored(3, "its zero points")
        given = unpacked(given, bits) if packed else given.astype(whole)
        zeros = np.moveaxis(np.moveaxis(given, along, -1)[..., : scales.shape[along]], -1, along)
    table = Blocks(numbers, zeros, scales.astype(np.float32), block)
    last = numbers.ndim - 1
    if axis == 0 and along % numbers.ndim == last > 0 and numbers.shape[last] % block == 0:
        y = _gathered(node, table, bits)
    else:
        value = node.add_constant("table", np.ascontiguousarray(table.reals(along)))
        y = node.emit("Gather", value, node.input(1), axis=axis)
    if scales.dtype != np.float32:
        y = node.emit("Cast", y, to=dtype_code(scales.dtype.name))
    node.pass_on(y)


def _gathered(node: Node, table: Blocks, bits: int) -> int:
    """Rows of bytes, each of which is then looked up as the numbers that it holds."""
    numbers, zeros, scales, block = table
    shifts, mask = np.arange(0, 8, bits, dtype=np.uint8), np.uint8((1 << bits) - 1)
    parts = (numbers.view(np.uint8) & mask).reshape(*numbers.shape[:-1], -1, shifts.size)
    rows = np.bitwise_or.reduce(parts << shifts, axis=-1)
    held = unpacked(np.arange(256, dtype=np.uint8)[:, None], bits).astype(np.float32)
    if numbers.dtype == np.int8:
        held -= (held >= 1 << (bits - 1)) * np.float32(1 << bits)

    def taken(name: str, array: Array, to: str) -> int:
        y = node.emit("Gather", node.add_constant(name, array), node.input(1), axis=0)
        return node.emit("Cast", y, to=dtype_code(to)) if array.dtype.name != to else y

    def shaped(value: int, last: int, end: int | None) -> int:
        lead = node.emit("Shape", scale, **({} if end is None else {"end": end}))
        size = node.add_constant(f"size{last}", np.array([last], np.int64))
        return node.emit("Reshape", value, node.emit("Concat", lead, size, axis=0))

    last = node.add_constant("last", np.array([-1], np.int64))
    at, scale = taken("table", rows, "int32"), taken("scales", scales, "float32")
    reals = node.emit("Gather", node.add_constant("held", held), at, axis=0)
    reals = shaped(reals, block, None)
    reals = node.emit("Sub", reals, node.emit("Unsqueeze", taken("zeros", zeros, "float32"), last))
    reals = node.emit("Mul", reals, node.emit("Unsqueeze", scale, last))
    return shaped(reals, numbers.shape[-1], -1)
