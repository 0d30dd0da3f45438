"""What the importer brings to the core's operators: bodies, branches, loops, dtypes, shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import quaver
from models import Case, float_model
from recorder import peer
from test_operators import normal

X = normal(2, 3)
rng = np.random.default_rng(20261130)


def port(name: str, array: np.ndarray, shape: object = "own") -> onnx.ValueInfoProto:
    elem_type = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, elem_type, array.shape if shape == "own" else shape)


def graph_model(nodes, inputs, outputs, constants=None, opset=21) -> onnx.ModelProto:
    tensors = [numpy_helper.from_array(a, n) for n, a in (constants or {}).items()]
    graph = helper.make_graph(nodes, "net", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def check(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> None:
    # The reference evaluator of onnx 1.23 joins what a Loop collects instead of stacking it, fails
    # on groups and on output_shape of ConvTranspose, and on maxima of integers.
    lost = ("Loop", "ConvTranspose", "MaxPool", "GlobalLpPool")
    wrong = any(node.op_type in lost for node in model.graph.node)
    wanted = peer(model, feeds) if wrong else ReferenceEvaluator(model).run(None, feeds)
    got = quaver.load(model, threads=1, fallback=None).run(feeds)
    for array, want in zip(got.values(), wanted, strict=True):
        assert array.dtype == want.dtype
        np.testing.assert_allclose(array, want, rtol=1e-3, atol=1e-5)


def volume(w: tuple[int, ...] = (6, 4, 3, 2, 2), *, bias: bool = True, **attrs: Any) -> Case:
    """A convolution over three axes."""
    x = normal(2, w[1] * attrs.get("group", 1), 6, 7, 5)
    constants = {"w": normal(*w, scale=0.3), "b": normal(w[0]) if bias else None}
    return Case(" ".join(["volume", *attrs]), "Conv", {"x": x}, constants, attrs)


def turned(w: tuple[int, ...] = (4, 6, 3, 2, 2), *, bias: bool = True, **attrs: Any) -> Case:
    """A transposed convolution over three axes."""
    x, columns = normal(2, w[0], 4, 5, 3), w[1] * attrs.get("group", 1)
    constants = {"w": normal(*w, scale=0.3), "b": normal(columns) if bias else None}
    return Case(" ".join(["turned", *attrs]), "ConvTranspose", {"x": x}, constants, attrs)


WHOLE = {"a": rng.integers(-9, 9, (2, 3, 4)), "b": rng.integers(-9, 9, (4, 5))}
SIGNED = rng.integers(-128, 128, (1, 2, 6, 7)).astype(np.int8)


def scales(kind: type) -> dict[str, np.ndarray]:
    return {"s": np.array(0.01, np.float32), "z": np.array(20, kind)}


CASES = [
    Case("cast like", "CastLike", {"x": X, "like": np.array([1])}),
    Case("constant of shape", "ConstantOfShape", {}, {"s": np.array([2, 3])}),
    Case("cumulative product", "CumProd", {"x": X}, {"axis": np.array(1)}, opset=26),
    Case("fourier", "DFT", {"x": normal(2, 6, 1)}, {"n": None, "axis": np.array(1)}),
    Case("fourier half", "DFT", {"x": normal(2, 6, 1)}, {}, {"onesided": 1}),
    Case(
        "short fourier",
        "STFT",
        {"x": normal(2, 40, 1)},
        {"step": np.array(6), "w": np.hanning(16).astype(np.float32)},
    ),
    Case(
        "short fourier of complex signals",
        "STFT",
        {"x": normal(2, 40, 2)},
        {"step": np.array(7), "w": None, "n": np.array(12)},
        {"onesided": 0},
    ),
    Case(
        "bands of pitch",
        "MelWeightMatrix",
        {},
        {
            "bands": np.array(8),
            "length": np.array(64),
            "rate": np.array(8192),
            "low": np.array(0, np.float32),
            "high": np.array(4096, np.float32),
        },
    ),
    Case(
        "smaller",
        "Resize",
        {"x": normal(1, 2, 9, 7)},
        {"roi": None, "scales": None, "sizes": np.array([1, 2, 4, 5])},
        {"mode": "linear", "antialias": 1},
    ),
    Case(
        "smaller and larger",
        "Resize",
        {"x": normal(2, 9, 3)},
        {"roi": None, "scales": np.array([0.4, 1.5], np.float32)},
        {"mode": "cubic", "antialias": 1, "axes": [1, 2], "exclude_outside": 1},
    ),
    Case(
        "smaller by corners",
        "Resize",
        {"x": normal(1, 1, 11, 8)},
        {"roi": None, "scales": np.array([1, 1, 0.3, 0.6], np.float32)},
        {
            "mode": "cubic",
            "antialias": 1,
            "cubic_coeff_a": -0.5,
            "coordinate_transformation_mode": "align_corners",
        },
    ),
    Case(
        "smaller, no larger than",
        "Resize",
        {"x": normal(1, 2, 9, 7)},
        {"roi": None, "scales": None, "sizes": np.array([5, 6])},
        {
            "mode": "linear",
            "antialias": 1,
            "axes": [2, 3],
            "keep_aspect_ratio_policy": "not_larger",
        },
    ),
    Case(
        "smaller part, and beyond",
        "Resize",
        {"x": normal(1, 1, 11, 8)},
        {
            "roi": np.array([0.1, -0.2, 0.8, 1.1], np.float32),
            "scales": None,
            "sizes": np.array([5, 6]),
        },
        {
            "mode": "linear",
            "antialias": 1,
            "axes": [2, 3],
            "coordinate_transformation_mode": "tf_crop_and_resize",
            "extrapolation_value": 7.0,
        },
    ),
    Case(
        "nearest of a part",
        "Resize",
        {"x": normal(1, 2, 7, 8)},
        {
            "roi": np.array([0.6, 0.1, 0.2, 0.9], np.float32),
            "scales": np.array([0.7, 1.6], np.float32),
        },
        {
            "mode": "nearest",
            "axes": [3, 2],
            "nearest_mode": "ceil",
            "coordinate_transformation_mode": "tf_crop_and_resize",
        },
    ),
    Case("p pool", "LpPool", {"x": normal(1, 2, 5, 5)}, {}, {"kernel_shape": [2, 2], "p": 3}),
    Case(
        "pool of volumes",
        "MaxPool",
        {"x": normal(1, 2, 5, 6, 7)},
        {},
        {"kernel_shape": [2, 3, 2], "strides": [2, 1, 2], "pads": [1, 0, 1, 0, 1, 0]},
    ),
    Case(
        "mean of volumes",
        "AveragePool",
        {"x": normal(1, 2, 5, 6, 7)},
        {},
        {"kernel_shape": [2, 3, 2], "strides": [2, 1, 2], "pads": [1, 0, 1, 0, 1, 0]},
    ),
    *(
        Case(
            f"places of maxima {len(size)}-d {order}",
            "MaxPool",
            {"x": np.round(normal(2, 3, *size), 1)},
            {},
            {
                "kernel_shape": [3, 2, 2][: len(size)],
                "strides": [2, 1, 2][: len(size)],
                "pads": [1, 0, 1][: len(size)] * 2,
                "storage_order": order,
            },
            outputs=2,
        )
        for size, order in ([(9,), 0], [(6, 7), 0], [(6, 7), 1], [(5, 6, 7), 0], [(5, 6, 7), 1])
    ),
    Case(
        "places of maxima of bytes",
        "MaxPool",
        {"x": rng.integers(0, 9, (1, 70, 6, 6)).astype(np.uint8)},
        {},
        {"kernel_shape": [3, 3], "dilations": [2, 1]},
        outputs=2,
    ),
    volume(pads=[1, 0, 1, 0, 1, 2], strides=[2, 1, 2]),
    volume(dilations=[2, 1, 2]),
    volume((8, 1, 3, 1, 2), group=4, bias=False),
    volume(auto_pad="SAME_LOWER", strides=[2, 2, 1]),
    volume(auto_pad="VALID"),
    turned(),
    turned(strides=[2, 2, 1], pads=[1, 0, 1, 0, 1, 0], output_padding=[1, 0, 0]),
    turned((4, 3, 2, 3, 2), strides=[3, 1, 2], bias=False),
    turned((4, 3, 3, 1, 2), strides=[2, 1, 2], dilations=[2, 1, 3], group=2),
    turned(strides=[2, 2, 2], auto_pad="SAME_UPPER"),
    turned(strides=[3, 1, 2], auto_pad="SAME_LOWER"),
    turned(strides=[3, 1, 2], output_shape=[12, 4, 5]),
    Case("diagonal", "Einsum", {"x": normal(2, 4, 4)}, {}, {"equation": "bii->bi"}),
    Case("trace", "Einsum", {"x": normal(4, 4)}, {}, {"equation": "ii"}),
    Case("padded by an input", "Pad", {"x": X}, {"p": np.array([1, 0, 0, 2])}),
    Case("slope of integers", "PRelu", {"x": np.array([[3, -5]]), "s": np.array([2])}),
    Case("product of integers", "MatMul", {n: WHOLE[n] for n in "ab"}),
    Case("vector of integers", "MatMul", {"a": WHOLE["a"][0, 0], "b": WHOLE["b"]}),
    Case("by a vector of integers", "MatMul", {"a": WHOLE["a"], "b": WHOLE["b"][:, 0]}),
    Case("gemm of integers", "Gemm", {"a": WHOLE["a"][0], "b": WHOLE["b"], "c": np.arange(5)}),
    Case("signed bytes", "MatMulInteger", {"a": SIGNED[0, 0], "b": SIGNED[0, 1].T.copy()}),
    Case(
        "signed bytes from a middle",
        "MatMulInteger",
        {"a": SIGNED[0, 0], "b": SIGNED[0, 1].T.copy(), "z": np.array(3, np.int8)},
    ),
    Case("maxima of signed bytes", "MaxPool", {"x": SIGNED}, {}, {"kernel_shape": [3, 2]}),
    Case(
        "signed bytes made larger",
        "Resize",
        {"x": SIGNED},
        {"r": None, "s": np.array([1, 1, 2, 2], np.float32)},
        {"mode": "nearest"},
    ),
    Case("global roots", "GlobalLpPool", {"x": normal(2, 3, 4, 5)}, {}, {"p": 3}),
    *(
        Case(
            f"volume made {size}",
            "Resize",
            {"x": normal(1, 2, 3, 4, 5)},
            {"r": None, "s": None, "n": np.array([1, 2, *sizes])},
            {"mode": mode, "coordinate_transformation_mode": rule},
        )
        for size, sizes, mode, rule in (
            ("larger", (6, 8, 10), "linear", "half_pixel"),
            ("smaller", (2, 3, 3), "nearest", "asymmetric"),
            ("deeper", (7, 4, 5), "linear", "align_corners"),
        )
    ),
    *(
        Case(f"quantized to {kind.__name__}", "QuantizeLinear", {"x": 100 * X}, scales(kind))
        for kind in (np.uint16, np.int16)
    ),
    *(
        Case(
            f"of {kind.__name__}",
            "DequantizeLinear",
            {"x": rng.integers(0, 999, (2, 3)).astype(kind)},
            {"s": np.array([0.5, 2], np.float32), "z": np.array([7, 9], kind)},
            {"axis": 0},
        )
        for kind in (np.uint16, np.int16)
    ),
    Case("half products", "MatMul", {"x": X.astype(np.float16)}, {"w": normal(3, 4, scale=0.1)}),
    Case("attention", "Attention", {n: normal(1, 2, 4, 8) for n in "qkv"}, opset=23),
]
CASES[-2].constants["w"] = CASES[-2].constants["w"].astype(np.float16)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_computes_what_onnx_says(case: Case) -> None:
    check(float_model(case), case.feeds)


BLOCKS = [
    ("DepthToSpace", (2, 8, 3, 5), {"mode": "DCR"}),
    ("DepthToSpace", (2, 8, 3, 5), {"mode": "CRD"}),
    ("SpaceToDepth", (2, 3, 4, 6), {}),
]


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.int32])
def test_integers_are_shrunk(kind: type) -> None:
    x = rng.integers(0, 100, (4, 5)).astype(kind)
    node = helper.make_node("Shrink", ["x"], ["y"], lambd=20.0, bias=3.0)
    check(graph_model([node], [port("x", x)], [onnx.ValueInfoProto(name="y")]), {"x": x})


def test_integers_are_interpolated() -> None:
    """Means are cut to integers; ONNX Runtime adds them in another order."""
    x = rng.integers(-1000, 1000, (1, 3, 8, 9)).astype(np.int32)
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear")
    scales = {"s": np.array([1, 1, 2, 1.5], np.float32)}
    model = graph_model([node], [port("x", x)], [onnx.ValueInfoProto(name="y")], scales)
    (want,) = peer(model, {"x": x})
    got = quaver.load(model, fallback=None)(x)
    assert got.dtype == np.int32
    assert np.abs(got - want).max() <= 1
    assert (got != want).mean() < 0.05


@pytest.mark.parametrize(("op", "shape", "attrs"), BLOCKS, ids=str)
@pytest.mark.parametrize("dims", [["N", None, "H", "W"], "own"], ids=["open", "known"])
def test_blocks_of_pixels_of_any_size(op: str, shape: Any, attrs: Any, dims: Any) -> None:
    x = normal(*shape)
    node = helper.make_node(op, ["x"], ["y"], blocksize=2, **attrs)
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    model = graph_model([node], [port("x", x, dims)], [y])
    loaded = quaver.load(model, fallback=None)
    for part in (x, x[:1]) if dims != "own" else (x,):
        (want,) = ReferenceEvaluator(model).run(None, {"x": part})
        np.testing.assert_array_equal(loaded(part), want)


def test_a_padding_value_from_a_run() -> None:
    x = rng.integers(0, 9, (2, 3))
    node = helper.make_node("Pad", ["x", "p", "v"], ["y"])
    ports = [port("x", x), port("v", x[0, :1], [])]
    y = helper.make_tensor_value_info("y", onnx.TensorProto.INT64, None)
    model = graph_model([node], ports, [y], {"p": np.array([1, 0, 0, 2])})
    check(model, {"x": x, "v": np.array(7)})


def test_a_slope_for_each_channel_as_old_opsets_had_it() -> None:
    x, slope = normal(2, 3, 4, 5), normal(3)
    node = helper.make_node("PRelu", ["x", "s"], ["y"])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    model = graph_model([node], [port("x", x)], [y], {"s": slope}, opset=6)
    want = np.where(x < 0, x * slope[:, None, None], x)
    np.testing.assert_array_equal(quaver.load(model, fallback=None)(x), want)


@pytest.mark.parametrize("op", ["Gemm", "Conv"])
def test_a_bias_from_a_run(op: str) -> None:
    shapes = {"Gemm": ((3, 4), (4, 5)), "Conv": ((1, 3, 6, 6), (5, 3, 3, 3))}[op]
    x, w = (normal(*shape) for shape in shapes)
    b = normal(5)
    nodes = [
        helper.make_node("Neg", ["b"], ["n"]),
        helper.make_node(op, ["x", "w", "n"], ["s"]),
        helper.make_node("Relu", ["s"], ["y"]),
    ]
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    check(graph_model(nodes, [port("x", x), port("b", b)], [y], {"w": w}), {"x": x, "b": b})


def test_normalization_in_half_precision() -> None:
    x = normal(2, 5, 8).astype(np.float16)
    node = helper.make_node("LayerNormalization", ["x", "g"], ["y"])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT16, None)
    model = graph_model([node], [port("x", x)], [y], {"g": normal(8).astype(np.float16)})
    (want,) = peer(model, {"x": x})
    np.testing.assert_allclose(quaver.load(model, fallback=None)(x), want, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(
    ("attrs", "message"),
    [
        ({"strides": [1, 2]}, "strides has 2 values, expected 3"),
        ({"dilations": [1, 1, 1, 1]}, "dilations has 4 values, expected 3"),
        ({"pads": [1, 1]}, "pads has 2 values, expected 6"),
        ({"strides": [1, 0, 1]}, "must be positive"),
        ({"auto_pad": "SAME"}, "auto_pad is 'SAME'"),
    ],
)
def test_a_broken_window_over_three_axes(attrs: dict[str, Any], message: str) -> None:
    case = volume(**attrs)
    with pytest.raises(quaver.ModelError, match=message):
        quaver.load(float_model(case), fallback=None)


@pytest.mark.parametrize("taken", [True, False])
def test_a_known_branch_is_taken(taken: bool) -> None:
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(op, ["x"], ["inner"])], name, [], [port("inner", X)]
        )
        for name, op in (("then", "Neg"), ("else", "Exp"))
    }
    node = helper.make_node("If", ["c"], ["y"], "choice", **branches)
    check(graph_model([node], [port("x", X)], [port("y", X)], {"c": np.array(taken)}), {"x": X})


def test_a_loop_of_known_length_is_unrolled() -> None:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["still"]),
            helper.make_node("Mul", ["state", "x"], ["next"]),
            helper.make_node("Neg", ["next"], ["row"]),
        ],
        "body",
        [port("i", np.array(0)), port("go", np.array(True)), port("state", X)],
        [port("still", np.array(True)), port("next", X), port("row", X)],
    )
    node = helper.make_node("Loop", ["n", "always", "x"], ["y", "rows"], "loop", body=body)
    outputs = [port("y", X), port("rows", X, [3, 2, 3])]
    constants = {"n": np.array(3), "always": np.array(True)}
    check(graph_model([node], [port("x", X)], outputs, constants), {"x": X})


def test_a_scan_walks_slices() -> None:
    body = helper.make_graph(
        [
            helper.make_node("Add", ["sum", "slice"], ["next"]),
            helper.make_node("Identity", ["next"], ["row"]),
        ],
        "body",
        [port("sum", X[0]), port("slice", X[0])],
        [port("next", X[0]), port("row", X[0])],
    )
    node = helper.make_node("Scan", ["s", "x"], ["y", "rows"], "scan", body=body, num_scan_inputs=1)
    outputs = [port("y", X[0]), port("rows", X)]
    check(graph_model([node], [port("x", X)], outputs, {"s": np.zeros(3, np.float32)}), {"x": X})


def test_shape_arithmetic_is_known_to_handlers() -> None:
    """Axes that a graph computes from a rank, as bodies of normalizations do."""
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Size", ["shape"], ["rank"]),
        helper.make_node("Sub", ["rank", "one"], ["last"]),
        helper.make_node("Unsqueeze", ["last", "zero"], ["axes"]),
        helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=0),
    ]
    constants = {"one": np.array(1), "zero": np.array([0])}
    check(graph_model(nodes, [port("x", X)], [port("y", X[:, 0])], constants), {"x": X})
