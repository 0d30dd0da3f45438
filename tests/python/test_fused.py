"""Operators of com.microsoft that exporters emit, against ONNX Runtime's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import quaver
from conftest import ISAS
from quaver.inspect import report
from recorder import peer
from test_operators import normal

FLOAT, INT32 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT32
rng = np.random.default_rng(20261125)
X, SKIP, ROW = normal(2, 5, 16), normal(2, 5, 16), normal(16)
BYTES = rng.integers(0, 256, (2, 5, 16)).astype(np.uint8)
WEIGHTS = rng.integers(-128, 128, (16, 8)).astype(np.int8)


def packed(n: int, k: int, block: int) -> dict[str, np.ndarray]:
    blocks = -(-k // block)
    return {
        "w": rng.integers(0, 256, (n, blocks, block // 2)).astype(np.uint8),
        "s": np.abs(normal(n * blocks)) + 0.01,
    }


def zeros(n: int, k: int, block: int) -> dict[str, np.ndarray]:
    blocks = -(-k // block)
    return {"z": rng.integers(0, 256, n * -(-blocks // 2)).astype(np.uint8)}


NBITS = {"K": 48, "N": 10, "bits": 4, "block_size": 16}
CONV = {"w": normal(6, 3, 3, 3), "b": normal(6)}
IMAGE = normal(1, 3, 8, 8)
PADS = {"pads": [1, 1, 1, 1]}

#: Operator, what is fed, constants (in order; None for one left out), attributes, outputs.
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], int]] = {
    "gelu": ("BiasGelu", {"x": X}, {"b": ROW}, {}, 1),
    "fast gelu": ("FastGelu", {"x": X}, {"b": ROW}, {}, 1),
    "fast gelu alone": ("FastGelu", {"x": X}, {}, {}, 1),
    "distances": ("CDist", {"a": normal(5, 7), "b": normal(6, 7)}, {}, {"metric": "euclidean"}, 1),
    "squared distances": ("CDist", {"a": normal(5, 7)}, {"b": normal(6, 7)}, {}, 1),
    "skip norm": (
        "SkipLayerNormalization",
        {"x": X, "y": SKIP},
        {"g": ROW, "b": normal(16), "c": normal(16)},
        {"epsilon": 1e-5},
        4,
    ),
    "skip norm plain": ("SkipLayerNormalization", {"x": X, "y": SKIP}, {"g": ROW}, {}, 1),
    "skip simple norm": (
        "SkipSimplifiedLayerNormalization",
        {"x": X, "y": SKIP},
        {"g": ROW},
        {"epsilon": 1e-6},
        4,
    ),
    "conv": ("FusedConv", {"x": IMAGE}, CONV, {**PADS, "activation": "Relu"}, 1),
    "conv leaky": (
        "FusedConv",
        {"x": IMAGE},
        CONV,
        {**PADS, "activation": "LeakyRelu", "activation_params": [0.2]},
        1,
    ),
    "conv clipped": (
        "FusedConv",
        {"x": IMAGE},
        CONV,
        {**PADS, "activation": "Clip", "activation_params": [0.0, 6.0]},
        1,
    ),
    "conv and sum": (
        "FusedConv",
        {"x": IMAGE},
        {**CONV, "z": normal(1, 6, 8, 8)},
        {**PADS, "activation": "Relu"},
        1,
    ),
    "matmul": (
        "FusedMatMul",
        {"x": X, "y": normal(2, 8, 16)},
        {},
        {"transB": 1, "alpha": 0.25},
        1,
    ),
    "matmul of batches behind rows": (
        "FusedMatMul",
        {"x": normal(5, 2, 3, 16), "y": normal(2, 3, 16, 7)},
        {},
        {"transBatchA": 1},
        1,
    ),
    "matmul of all turned": (
        "FusedMatMul",
        {"x": normal(16, 2, 3, 5), "y": normal(7, 2, 3, 16)},
        {},
        {"transBatchA": 1, "transA": 1, "transBatchB": 1, "transB": 1, "alpha": 0.5},
        1,
    ),
    "int4": ("MatMulNBits", {"x": normal(2, 5, 48)}, packed(10, 48, 16), NBITS, 1),
    "int4 zeros": (
        "MatMulNBits",
        {"x": normal(5, 48)},
        {**packed(10, 48, 16), **zeros(10, 48, 16)},
        NBITS,
        1,
    ),
    "int4 part of a block": (
        "MatMulNBits",
        {"x": normal(5, 40)},
        packed(10, 40, 16),
        {**NBITS, "K": 40},
        1,
    ),
    "int4 biased": (
        "MatMulNBits",
        {"x": normal(9, 300)},
        {**packed(33, 300, 32), "z": None, "g": None, "b": normal(33)},
        {**NBITS, "K": 300, "N": 33, "block_size": 32},
        1,
    ),
    "int4 of many rows": (
        "MatMulNBits",
        {"x": normal(3, 10, 300)},
        {**packed(83, 300, 32), "z": None, "g": None, "b": normal(83)},
        {**NBITS, "K": 300, "N": 83, "block_size": 32},
        1,
    ),
    "int4 in wide blocks": (
        "MatMulNBits",
        {"x": normal(3, 520)},
        {**packed(7, 520, 256), **zeros(7, 520, 256)},
        {**NBITS, "K": 520, "N": 7, "block_size": 256},
        1,
    ),
    "int8 in blocks": (
        "MatMulNBits",
        {"x": normal(2, 48)},
        {
            "w": rng.integers(0, 256, (10, 3, 16)).astype(np.uint8),
            "s": np.abs(normal(30)) + 0.01,
        },
        {**NBITS, "bits": 8},
        1,
    ),
    "to float": (
        "MatMulIntegerToFloat",
        {"x": BYTES},
        {
            "w": WEIGHTS,
            "sx": np.array(0.02, np.float32),
            "sw": np.array(0.01, np.float32),
            "zx": np.array(120, np.uint8),
            "zw": np.array(3, np.int8),
            "b": normal(8),
        },
        {},
        1,
    ),
    "dynamic": (
        "DynamicQuantizeMatMul",
        {"x": X},
        {"w": WEIGHTS, "sw": np.array(0.01, np.float32), "zw": np.array(0, np.int8)},
        {},
        1,
    ),
}


MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
QKV = {"w": normal(16, 48), "b": normal(48)}
THREE = {"q": X, "k": normal(2, 7, 16), "v": normal(2, 7, 16)}
TABLES = {
    "words": normal(20, 16),
    "places": normal(9, 16),
    "kinds": normal(2, 16),
    "g": ROW,
    "beta": normal(16),
}
TOKENS = {
    "i": rng.integers(0, 20, (2, 5)).astype(np.int32),
    "s": rng.integers(0, 2, (2, 5)).astype(np.int32),
}

CASES |= {
    "attention": ("Attention", {"x": X}, QKV, {"num_heads": 4}, 1),
    "attention masked": ("Attention", {"x": X}, {**QKV, "m": MASK}, {"num_heads": 4}, 1),
    "attention of lengths": (
        "Attention",
        {"x": X},
        {**QKV, "m": np.array([3, 5], np.int32)},
        {"num_heads": 2},
        1,
    ),
    "attention by each token": (
        "Attention",
        {"x": X},
        {**QKV, "m": np.tril(np.ones((2, 5, 5), np.int32))},
        {"num_heads": 2, "scale": 0.3},
        1,
    ),
    "attention of widths": (
        "Attention",
        {"x": X},
        {"w": normal(16, 40), "b": normal(40)},
        {"num_heads": 2, "qkv_hidden_sizes": [16, 16, 8]},
        1,
    ),
    "attention backwards": (
        "Attention",
        {"x": X},
        QKV,
        {"num_heads": 4, "unidirectional": 1},
        1,
    ),
    "attention biased": (
        "Attention",
        {"x": X},
        {**QKV, "m": None, "p": None, "s": normal(2, 4, 5, 5)},
        {"num_heads": 4},
        1,
    ),
    "attention of fed weights": ("Attention", {"x": X, **QKV}, {}, {"num_heads": 4}, 1),
    "heads": ("MultiHeadAttention", THREE, {"b": normal(48)}, {"num_heads": 4}, 1),
    "heads masked": (
        "MultiHeadAttention",
        THREE,
        {"b": None, "m": np.array([[1] * 7, [1] * 4 + [0] * 3], np.int32)},
        {"num_heads": 2},
        1,
    ),
    "embeddings": ("EmbedLayerNormalization", TOKENS, {**TABLES, "m": MASK}, {"epsilon": 1e-6}, 2),
    "embeddings placed": (
        "EmbedLayerNormalization",
        TOKENS,
        {**TABLES, "m": MASK, "at": np.array([[4, 3, 2, 1, 0]] * 2, np.int32)},
        {},
        3,
    ),
}

PAST = {"pk": normal(2, 4, 3, 4), "pv": normal(2, 4, 3, 4)}
ANGLES = {"cos": normal(16, 4), "sin": normal(16, 4)}
WIDE_ANGLES = {"cos": normal(16, 8), "sin": normal(16, 8)}
GROUPED = {"num_heads": 4, "kv_num_heads": 2}
SCALE = np.array(0.01, np.float32)


def grouped(tokens: int, past: int, *, packed: bool = False, short: int = 0) -> dict[str, Any]:
    """Of two rows, the second `short` tokens shorter, padding behind it."""
    parts = {"q": normal(2, tokens, 64), "k": normal(2, tokens, 32), "v": normal(2, tokens, 32)}
    if packed:
        parts = {"q": np.concatenate([*parts.values()], axis=-1), "k": None, "v": None}
    counts = np.array([tokens + past - 1, tokens + past - 1 - short], np.int32)
    return {
        **parts,
        **{name: normal(2, 2, past, 16) for name in ("pk", "pv")},
        "n": counts,
        "most": np.array(tokens + past, np.int32),
    }


def linear(seed_rows: int, columns: int) -> dict[str, np.ndarray]:
    """Weights of a gate's bytes, for a recurrence in one direction."""
    return {
        "w": rng.integers(0, 256, (1, seed_rows, columns)).astype(np.uint8),
        "r": rng.integers(0, 256, (1, columns // 4, columns)).astype(np.uint8),
        "b": normal(1, 2 * columns),
    }


ONE, MIDDLE = np.array([0.01], np.float32), np.array([128], np.uint8)
CASES |= {
    "attention after a past": (
        "Attention",
        {"x": X},
        {**QKV, "m": None, "p": normal(2, 2, 4, 3, 4)},
        {"num_heads": 4, "unidirectional": 1},
        2,
    ),
    "attention to be a past": ("Attention", {"x": X}, QKV, {"num_heads": 4}, 2),
    "heads after a past": (
        "MultiHeadAttention",
        {"q": X, "k": SKIP, "v": X},
        {"b": None, "m": None, "s": None, **PAST},
        {"num_heads": 4, "unidirectional": 1},
        3,
    ),
    "heads of keys from elsewhere": (
        "MultiHeadAttention",
        {"q": X, "k": normal(2, 4, 7, 4), "v": normal(2, 4, 7, 4)},
        {},
        {"num_heads": 4},
        1,
    ),
    "embeddings without a mask": ("EmbedLayerNormalization", TOKENS, TABLES, {}, 2),
    "turned": (
        "RotaryEmbedding",
        {"x": normal(2, 5, 32), "p": np.array([[0, 1, 2, 3, 4], [7, 8, 9, 10, 11]])},
        ANGLES,
        {},
        1,
    ),
    "turned heads from a first position": (
        "RotaryEmbedding",
        {"x": normal(2, 4, 5, 8), "p": np.array([3])},
        ANGLES,
        {"interleaved": 1},
        1,
    ),
    "turned in part": (
        "RotaryEmbedding",
        {"x": normal(2, 5, 64), "p": np.array([[0, 1, 2, 3, 4]] * 2)},
        ANGLES,
        {"num_heads": 4, "rotary_embedding_dim": 8},
        1,
    ),
    "grouped, the first tokens": ("GroupQueryAttention", grouped(5, 0), {}, GROUPED, 3),
    "grouped, a next token": ("GroupQueryAttention", grouped(1, 6), {}, GROUPED, 3),
    "grouped, turned": (
        "GroupQueryAttention",
        grouped(1, 6),
        WIDE_ANGLES,
        {**GROUPED, "do_rotary": 1, "rotary_interleaved": 1},
        3,
    ),
    "grouped, turned, of one tensor": (
        "GroupQueryAttention",
        grouped(5, 0, packed=True),
        WIDE_ANGLES,
        {**GROUPED, "do_rotary": 1},
        3,
    ),
    "grouped, in a window": (
        "GroupQueryAttention",
        grouped(5, 0),
        {},
        {**GROUPED, "local_window_size": 2, "scale": 0.2},
        3,
    ),
    "grouped, without a past": (
        "GroupQueryAttention",
        grouped(5, 0) | {"pk": None, "pv": None},
        {},
        GROUPED,
        3,
    ),
    "grouped, capped": (
        "GroupQueryAttention",
        grouped(5, 0),
        WIDE_ANGLES,
        {**GROUPED, "do_rotary": 1, "softcap": 0.7},
        3,
    ),
    "grouped, smooth": (
        "GroupQueryAttention",
        grouped(1, 6),
        {},
        {**GROUPED, "smooth_softmax": 1},
        3,
    ),
    "grouped, with sinks": (
        "GroupQueryAttention",
        grouped(5, 0),
        {**dict.fromkeys(("cos", "sin", "at", "s")), "sink": normal(4)},
        {**GROUPED, "softcap": 1.5, "local_window_size": 2},
        3,
    ),
    "gemm": (
        "FusedGemm",
        {"x": normal(3, 16)},
        {"w": normal(16, 5), "b": normal(5)},
        {"activation": "LeakyRelu", "activation_alpha": 0.01},
        1,
    ),
    "gated and corrected, without scores": (
        "LinearAttention",
        {
            **{name: normal(2, 5, 16, scale=0.5) for name in ("q", "k", "v")},
            "past": normal(2, 2, 8, 8),
            "g": -np.abs(normal(2, 5, 16)),
            "b": np.full((2, 5, 2), 0.3, np.float32),
        },
        {},
        {"q_num_heads": 2, "kv_num_heads": 2, "update_rule": "gated_delta"},
        2,
    ),
    "convolved with what came before": (
        "CausalConvWithState",
        {"x": normal(2, 6, 9)},
        {"w": normal(6, 1, 4), "b": normal(6), "past": normal(2, 6, 3)},
        {"activation": "silu"},
        2,
    ),
    "counted": ("Range", {}, {"a": np.array(1, np.float32), "b": np.array(4.5, np.float32)}, {}, 1),
    "expanded": ("ExpandDims", {"x": X}, {"a": np.array(1, np.int32)}, {}, 1),
    "padded": (
        "Pad",
        {"x": X},
        {"p": np.array([0, 1, 0, 0, 0, 2]), "v": np.array([3], np.float32)},
        {"mode": "constant"},
        1,
    ),
    "gathered": ("GatherND", {"x": X}, {"i": np.array([[1, 2], [0, 4]])}, {}, 1),
    "bytes pooled, channels last": (
        "NhwcMaxPool",
        {"x": rng.integers(-128, 128, (1, 9, 8, 5)).astype(np.int8)},
        {},
        {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 0]},
        1,
    ),
    "turned product": ("TransposeMatMul", {"x": X, "y": normal(2, 8, 16)}, {}, {"transB": 1}, 1),
    "triangle": ("Trilu", {"x": X}, {}, {"upper": 0}, 1),
    "sampled": ("GridSample", {"x": IMAGE, "g": normal(1, 3, 4, 2)}, {}, {"mode": "bicubic"}, 1),
    "attention of bytes": (
        "QAttention",
        {"x": BYTES},
        {
            "w": rng.integers(-128, 128, (16, 48)).astype(np.int8),
            "b": normal(48),
            "sx": SCALE,
            "sw": np.abs(normal(48)) * SCALE,
            "m": np.array([3, 5], np.int32),
            "zx": np.array(120, np.uint8),
            "zw": np.zeros(48, np.int8),
        },
        {"num_heads": 4},
        1,
    ),
    "embeddings of bytes": (
        "QEmbedLayerNormalization",
        TOKENS,
        {
            **{
                name: rng.integers(0, 256, table.shape).astype(np.uint8)
                for name, table in TABLES.items()
            },
            "m": None,
            **{f"s{name}": SCALE for name in TABLES},
            **{f"z{name}": np.array(128, np.uint8) for name in TABLES},
        },
        {},
        2,
    ),
    "signed to float": (
        "MatMulIntegerToFloat",
        {"x": BYTES.view(np.int8)},
        {
            "w": WEIGHTS,
            "sx": SCALE,
            "sw": SCALE,
            "zx": np.array(3, np.int8),
            "zw": np.array(0, np.int8),
        },
        {},
        1,
    ),
}

OUTPUTS = {
    "Attention": ["out", "past"],
    "CausalConvWithState": ["out", "state"],
    "EmbedLayerNormalization": ["out", "lengths", "sum"],
    "GroupQueryAttention": ["out", "keys", "values"],
    "LinearAttention": ["out", "state"],
    "MultiHeadAttention": ["out", "keys", "values"],
    "QEmbedLayerNormalization": ["out", "lengths"],
}


def model_of(case: str) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    op, given, constants, attrs, count = CASES[case]
    names = ["" if a is None else n for n, a in (*given.items(), *constants.items())]
    feeds = {name: array for name, array in given.items() if array is not None}
    tensors = [numpy_helper.from_array(a, n) for n, a in constants.items() if a is not None]
    domain = "" if op == "SimplifiedLayerNormalization" else "com.microsoft"
    outputs = OUTPUTS.get(op, ["out", "", "", "sum"])[:count]
    node = helper.make_node(op, names, outputs, "n", domain=domain, **attrs)
    graph = helper.make_graph(
        [node],
        "net",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in feeds.items()
        ],
        [
            helper.make_tensor_value_info(n, INT32 if n == "lengths" else FLOAT, None)
            for n in outputs
            if n
        ],
        tensors,
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10), feeds


@pytest.mark.parametrize("case", CASES)
def test_fused(case: str) -> None:
    model, feeds = model_of(case)
    got = quaver.load(model, fallback=None).run(feeds)
    for array, want in zip(got.values(), peer(model, feeds), strict=True):
        assert array.shape == want.shape
        np.testing.assert_allclose(array, want, rtol=2e-4, atol=2e-4)


def test_embeddings_of_bytes_are_gathered_as_bytes() -> None:
    model, _ = model_of("embeddings of bytes")
    nodes = report(quaver.load(model, fallback=None))["nodes"]
    made = [node["outputs"][0]["dtype"] for node in nodes if node["op"] == "Gather"]
    assert made == ["uint8"] * len(made)
    assert len(made) >= 2


HALF = [case for case in CASES if "bytes" not in case and case != "triangle"]


@pytest.mark.parametrize("case", HALF)
def test_fused_in_half_precision(case: str) -> None:
    """Halves become floats around what is computed, whose types ONNX's inference does not know."""
    model, feeds = model_of(case)
    want = quaver.load(model, fallback=None).run(feeds)
    for tensor in model.graph.initializer:
        if tensor.data_type == FLOAT:
            half = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    for port in (*model.graph.input, *model.graph.output):
        if port.type.tensor_type.elem_type == FLOAT:
            port.type.tensor_type.elem_type = TensorProto.FLOAT16
    half = {n: a.astype(np.float16) if a.dtype == np.float32 else a for n, a in feeds.items()}
    for name, got in quaver.load(model, fallback=None).run(half).items():
        assert got.dtype == (want[name].dtype if name == "lengths" else np.float16)
        np.testing.assert_allclose(got, want[name], rtol=0, atol=1e-2 * np.abs(want[name]).max())


def test_rows_of_different_lengths_after_a_past() -> None:
    """The new token of a shorter row takes the place of its padding."""
    feeds = grouped(1, 6, short=2)
    CASES["short"] = ("GroupQueryAttention", feeds, WIDE_ANGLES, {**GROUPED, "do_rotary": 1}, 3)
    model, feeds = model_of("short")
    del CASES["short"]
    out, keys, values = peer(model, feeds)
    got = quaver.load(model, fallback=None).run(feeds)
    np.testing.assert_allclose(got["out"], out, rtol=2e-4, atol=2e-4)
    for name, want in (("keys", keys), ("values", values)):
        np.testing.assert_allclose(got[name][0], want[0], rtol=2e-4, atol=2e-4)
        np.testing.assert_allclose(got[name][1, :, :5], want[1, :, :5], rtol=2e-4, atol=2e-4)


def test_a_recurrence_of_bytes() -> None:
    """onnxruntime also brings what recurs to bytes; here it stays real."""
    weights = linear(8, 64)
    parameters = {"ws": ONE, "wz": MIDDLE, "rs": ONE, "rz": MIDDLE}
    CASES["bytes"] = (
        "DynamicQuantizeLSTM",
        {"x": normal(5, 2, 8)},
        {**weights, "n": None, "h": None, "c": None, "p": None, **parameters},
        {"hidden_size": 16},
        1,
    )
    model, feeds = model_of("bytes")
    del CASES["bytes"]
    (want,) = peer(model, feeds)
    np.testing.assert_allclose(quaver.load(model, fallback=None).run(feeds)["out"], want, atol=0.05)


def test_shapes_behind_fused_operators_are_known() -> None:
    """Heads need the width of what an operator gives that ONNX's inference does not know."""
    node = helper.make_node
    nodes = [
        node("SkipLayerNormalization", ["x", "y", "g"], ["n"], domain="com.microsoft"),
        node("FastGelu", ["n"], ["f"], domain="com.microsoft"),
        node("FusedMatMul", ["f", "w"], ["q"], domain="com.microsoft", transB=1),
        node("MultiHeadAttention", ["q", "f", "f"], ["h"], domain="com.microsoft", num_heads=4),
        node("LayerNormalization", ["h", "g"], ["out"]),
    ]
    ports = [helper.make_tensor_value_info(n, FLOAT, ["N", "T", 16]) for n in "xy"]
    graph = helper.make_graph(
        nodes,
        "net",
        ports,
        [helper.make_tensor_value_info("out", FLOAT, None)],
        [numpy_helper.from_array(ROW, "g"), numpy_helper.from_array(normal(16, 16), "w")],
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    loaded = quaver.load(model, fallback=None)
    feeds = {"x": X, "y": SKIP}
    (want,) = peer(model, feeds)
    np.testing.assert_allclose(loaded.run(feeds)["out"], want, rtol=2e-4, atol=2e-4)
    made = [step["op"] for step in report(loaded, shapes=dict.fromkeys("xy", X.shape))["nodes"]]
    assert made.count("Attention") == 1


@pytest.mark.parametrize("kind", ["INT4", "UINT4", "INT8"])
@pytest.mark.parametrize("shared", [False, True])
def test_weights_in_blocks(kind: str, *, shared: bool) -> None:
    """A scale for each block of the weights, as weight-only exporters write it."""
    elem_type = getattr(onnx.TensorProto, kind)
    low, high = {"INT4": (-8, 8), "UINT4": (0, 16), "INT8": (-128, 128)}[kind]
    weights = rng.integers(low, high, (32, 6))
    tensors = [
        helper.make_tensor("w", elem_type, weights.shape, weights.reshape(-1)),
        numpy_helper.from_array(np.abs(normal(2, 6)), "s"),
        helper.make_tensor("z", elem_type, (2, 6), rng.integers(0, 4, 12)),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["d"], axis=0, block_size=16),
        helper.make_node("MatMul", ["x", "d"], ["y"]),
    ]
    outputs = ["y"]
    if shared:  # by what takes reals
        nodes.append(helper.make_node("ReduceMax", ["d"], ["most"], keepdims=0))
        outputs.append("most")
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [3, 32])
    made = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "net", [x], made, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    feeds = {"x": normal(3, 32)}
    loaded = quaver.load(model, fallback=None)
    for got, want in zip(loaded.run(feeds).values(), peer(model, feeds), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
    kernels = [node["kernel"] for node in report(loaded)["nodes"] if node["op"] != "ReduceMax"]
    assert kernels[0].startswith("gemm" if kind == "INT8" else "nibble")


@pytest.mark.parametrize("kind", ["INT4", "UINT4", "UINT8", "bytes"])
@pytest.mark.parametrize("k", [64, 40])
@pytest.mark.parametrize("has_zeros", [False, True])
def test_rows_of_few_bits_are_gathered(kind: str, k: int, *, has_zeros: bool) -> None:
    """From a table that stays as it is where its rows are whole blocks."""
    rows, block = 700, 16
    blocks = -(-k // block)
    bits = 8 if kind == "bytes" else 4
    elem_type = {"INT4": TensorProto.INT4, "UINT4": TensorProto.UINT4}.get(kind, TensorProto.UINT8)

    def numbers(name: str, count: int) -> onnx.TensorProto:
        if kind == "UINT8":  # two in a byte
            count = -(-count // 2)
        low, high = {"INT4": (-8, 8), "UINT4": (0, 16)}.get(kind, (0, 256))
        return helper.make_tensor(
            name, elem_type, (rows, count), rng.integers(low, high, rows * count)
        )

    scales = np.abs(normal(rows, blocks)) + 0.01
    tensors = [numbers("w", k), numpy_helper.from_array(scales, "s")]
    if has_zeros:
        tensors.append(numbers("z", blocks))
    node = helper.make_node(
        "GatherBlockQuantized",
        ["w", "i", "s", *(["z"] if has_zeros else [])],
        ["y"],
        domain="com.microsoft",
        bits=bits,
        block_size=block,
        gather_axis=0,
        quantize_axis=1,
    )
    i = helper.make_tensor_value_info("i", TensorProto.INT64, ["n", 3])
    y = helper.make_tensor_value_info("y", FLOAT, None)
    graph = helper.make_graph([node], "net", [i], [y], tensors)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    loaded = quaver.load(model, fallback=None)
    feeds = {"i": rng.integers(0, rows, (2, 3))}
    np.testing.assert_allclose(loaded(feeds["i"]), peer(model, feeds)[0], rtol=1e-6, atol=1e-6)
    if k % block == 0:
        stored = rows * (k * bits // 8 + blocks * 5) + 256 * 4 * (8 // bits)
        assert report(loaded)["totals"]["weight_bytes"] <= stored + 256


def test_weights_of_four_bits_stay_so() -> None:
    model, feeds = model_of("int4 biased")
    answers = [quaver.load(model, isa=isa).run(feeds)["out"] for isa in ISAS]
    answers.append(quaver.load(model, threads=3).run(feeds)["out"])
    for answer in answers:
        np.testing.assert_array_equal(answer, answers[0])
    loaded = quaver.load(model)
    (node,) = report(loaded)["nodes"]
    assert node["kernel"].startswith("nibble")
    assert report(loaded)["totals"]["weight_bytes"] < 33 * 320  # reals would take four times that


def test_weights_of_four_bits_times_bytes() -> None:
    """Where a model asks for accuracy_level 4 rows become bytes, block by block."""
    n, k, block, rows = 83, 300, 32, 70
    blocks = -(-k // block)
    weights, scales = packed(n, k, block).values()
    node = helper.make_node(
        "MatMulNBits",
        ["x", "w", "s"],
        ["y"],
        domain="com.microsoft",
        **{**NBITS, "N": n, "K": k, "block_size": block, "accuracy_level": 4},
    )
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [rows, k])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, n])
    tensors = [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(scales, "s")]
    graph = helper.make_graph([node], "net", [x], [y], tensors)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    given = normal(rows, k)

    padded = np.pad(given, ((0, 0), (0, blocks * block - k))).reshape(rows, blocks, block)
    most = np.abs(padded).max(axis=2, keepdims=True)
    whole = np.rint(padded * (np.float32(127) / most)).astype(np.float64)
    nibbles = np.stack([weights & 15, weights >> 4], axis=-1).reshape(n, blocks, block) - 8.0
    sums = np.einsum("rbp,nbp->rnb", whole, nibbles)
    want = (sums * (most[..., 0] / 127)[:, None] * scales.reshape(1, n, blocks)).sum(axis=2)

    answers = [quaver.load(model, isa=isa, fallback=None)(given) for isa in ISAS]
    answers.append(quaver.load(model, threads=3, fallback=None)(given))
    for answer in answers:
        np.testing.assert_array_equal(answer, answers[0])
    np.testing.assert_allclose(answers[0], want, rtol=1e-5, atol=1e-4)
    (shown,) = report(quaver.load(model, fallback=None))["nodes"]
    assert shown["kernel"].startswith("nibble_panels")


def test_weights_of_four_bits_are_known_with_their_scales() -> None:
    """One tensor of weights, two of scales: what was packed for the one is not the other's."""
    parts = packed(10, 48, 16)
    weights, scales = parts.values()
    nodes = [
        helper.make_node("MatMulNBits", ["x", "w", s], [y], y, domain="com.microsoft", **NBITS)
        for s, y in (("s", "a"), ("t", "b"))
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 48])
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3, 10]) for n in "ab"]
    constants = {"w": weights, "s": scales, "t": 2 * scales}
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph(nodes, "net", [x], outputs, tensors)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    one, other = quaver.load(model, fallback=None)(normal(3, 48))
    assert one.any()
    np.testing.assert_array_equal(other, 2 * one)
