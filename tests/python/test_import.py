"""The ONNX importer: what it emits computes what the model says, and errors say what is wrong."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import test_fused
import test_import_wider
import test_operators
from quaver.convert import import_onnx, load_proto
from quaver.convert.onnx.dtypes import dtype_code
from quaver.convert.onnx.node import handled
from quaver.errors import CorruptFileError, FileError, ModelError, UnsupportedError
from recorder import Recorder, peer

MICROSOFT = "com.microsoft"
SEED = 20240611


def floats(*shape: int) -> np.ndarray:
    rng = np.random.default_rng([SEED, *shape])
    return rng.uniform(-2, 2, shape).astype(np.float32)


def integers(dtype: type, *shape: int) -> np.ndarray:
    info, rng = np.iinfo(dtype), np.random.default_rng([SEED, *shape])
    return rng.integers(info.min, info.max + 1, shape).astype(dtype)


def ints(*items: int) -> np.ndarray:
    return np.array(items, np.int64)


def f32(item: float) -> np.ndarray:
    return np.array(item, np.float32)


def u8(item: int) -> np.ndarray:
    return np.array(item, np.uint8)


def info(name: str, array: np.ndarray, shape: object = "own") -> onnx.ValueInfoProto:
    elem_type = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, elem_type, array.shape if shape == "own" else shape)


def model_of(nodes, inputs, outputs, constants=None, opset=17, **fields) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(a, name) for name, a in (constants or {}).items()]
    graph = helper.make_graph(nodes, "net", inputs, outputs, initializers, **fields)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(graph, opset_imports=opsets)


def one_node(op, arrays, *, fed=1, outputs=1, opset=17, domain="", dtype=np.float32, **attrs):
    """A model of one node: the first `fed` arrays are its graph's inputs, the rest constants."""
    names = ["" if array is None else f"x{i}" for i, array in enumerate(arrays)]
    results = [f"y{i}" for i in range(outputs)]
    attrs = {name.removeprefix("of_"): value for name, value in attrs.items()}  # of_opset
    node = helper.make_node(op, names, results, "n", domain=domain, **attrs)
    named = [(name, array) for name, array in zip(names, arrays, strict=True) if name]
    result = [info(name, np.empty(0, dtype), None) for name in results]
    model = model_of(
        [node], [info(*item) for item in named[:fed]], result, dict(named[fed:]), opset
    )
    return model, dict(named[:fed])


def imported(model: onnx.ModelProto) -> Recorder:
    recorder = Recorder()
    import_onnx(model, recorder)
    return recorder


def node_import(op, arrays, **options) -> Recorder:
    return imported(one_node(op, arrays, **options)[0])


X = floats(2, 4, 9, 8)
VECTOR = floats(2, 4, 9)
CASES = {
    "conv": ("Conv", [X, floats(6, 4, 3, 2), floats(6)], {"strides": [2, 1], "pads": [1, 0, 2, 1]}),
    "conv, dilated": ("Conv", [X, floats(6, 4, 3, 2)], {"dilations": [2, 3]}),
    "conv, grouped": ("Conv", [X, floats(6, 2, 1, 1)], {"group": 2}),
    "conv, same": ("Conv", [X, floats(6, 4, 3, 3)], {"auto_pad": "SAME_UPPER", "strides": [2, 2]}),
    "conv, depthwise": ("Conv", [X, floats(4, 1, 3, 3), floats(4)], {"group": 4}),
    "conv of one axis": ("Conv", [VECTOR, floats(6, 4, 3)], {"strides": [2], "pads": [1, 0]}),
    "transposed": ("ConvTranspose", [X, floats(4, 5, 3, 2), floats(5)], {"strides": [2, 3]}),
    "transposed, grouped": (
        "ConvTranspose",
        [X, floats(4, 3, 3, 2), floats(6)],
        {"strides": [2, 2], "group": 2, "pads": [1, 0, 1, 1], "output_padding": [1, 0]},
    ),
    "transposed, of one axis": ("ConvTranspose", [VECTOR, floats(4, 5, 3)], {"strides": [2]}),
    "transposed, grouped, of one axis": (
        "ConvTranspose",
        [VECTOR, floats(4, 2, 3)],
        {"strides": [2], "group": 2, "output_padding": [1]},
    ),
    "max pool": ("MaxPool", [X], {"kernel_shape": [3, 2], "strides": [2, 2], "ceil_mode": 1}),
    "max pool of one axis": ("MaxPool", [VECTOR], {"kernel_shape": [3], "pads": [1, 1]}),
    "average pool": (
        "AveragePool",
        [X],
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
    ),
    "global average": ("GlobalAveragePool", [X], {}),
    "global average of one axis": ("GlobalAveragePool", [VECTOR], {}),
    "global max": ("GlobalMaxPool", [X], {}),
    "batch norm": (
        "BatchNormalization",
        [X, floats(4), floats(4) + 1, floats(4), np.abs(floats(4))],
        {"epsilon": 0.01},
    ),
    "batch norm of rank 2": (
        "BatchNormalization",
        [floats(3, 4), floats(4), floats(4), floats(4), np.abs(floats(4))],
        {},
    ),
    "batch norm of rank 3": (
        "BatchNormalization",
        [VECTOR, floats(4), floats(4), floats(4), np.abs(floats(4))],
        {},
    ),
    "matmul": ("MatMul", [floats(3, 4, 5), floats(5, 6)], {}),
    "gemm": ("Gemm", [floats(3, 5), floats(5, 6), floats(6)], {}),
    "gemm, transposed": (
        "Gemm",
        [floats(5, 3), floats(6, 5), floats(6)],
        {"transA": 1, "transB": 1},
    ),
    "gemm, row bias": ("Gemm", [floats(3, 5), floats(6, 5), floats(1, 6)], {"transB": 1}),
    "gemm, matrix bias": ("Gemm", [floats(3, 5), floats(5, 6), floats(3, 6)], {}),
    "gemm, column bias": ("Gemm", [floats(6, 5), floats(5, 6), floats(6, 1)], {}),
    "gemm, scalar bias": ("Gemm", [floats(3, 5), floats(5, 6), f32(2.5)], {}),
    "gemm, alpha and beta": (
        "Gemm",
        [floats(3, 5), floats(5, 6), floats(6)],
        {"alpha": 0.5, "beta": 2.0},
    ),
    "gemm, beta": ("Gemm", [floats(3, 5), floats(5, 6), floats(6)], {"beta": 3.0}),
    "gemm, alpha alone": ("Gemm", [floats(3, 5), floats(5, 6)], {"alpha": 0.5}),
    "gemm, beta 0": ("Gemm", [floats(3, 5), floats(5, 6), floats(6)], {"beta": 0.0}),
    "add": ("Add", [X, floats(4, 1, 1)], {}),
    "sub": ("Sub", [X, floats(8)], {}),
    "mul": ("Mul", [X, f32(2)], {}),
    "div": ("Div", [X, np.abs(floats(4, 1, 1)) + 1], {}),
    "prelu": ("PRelu", [X, floats(4, 1, 1)], {}),
    "relu": ("Relu", [X], {}),
    "clip": ("Clip", [X, f32(-0.5), f32(1)], {}),
    "clip from above": ("Clip", [X, None, f32(1)], {}),
    "clip without bounds": ("Clip", [X], {}),
    "sigmoid": ("Sigmoid", [X], {}),
    "tanh": ("Tanh", [X], {}),
    "exp": ("Exp", [X], {}),
    "sqrt": ("Sqrt", [np.abs(X)], {}),
    "abs": ("Abs", [X], {}),
    "neg": ("Neg", [X], {}),
    "erf": ("Erf", [X], {}),
    "hard swish": ("HardSwish", [X], {}),
    "hard sigmoid": ("HardSigmoid", [X], {"alpha": 0.3}),
    "leaky relu": ("LeakyRelu", [X], {}),
    "leaky relu, steep": ("LeakyRelu", [X], {"alpha": 0.4}),
    "softmax": ("Softmax", [X], {"axis": 1}),
    "softmax, last": ("Softmax", [X], {}),
    "mean, axes as attribute": ("ReduceMean", [X], {"axes": [2, -1], "keepdims": 0}),
    "max, axes as attribute": ("ReduceMax", [X], {"axes": [1]}),
    "sum, axes as input": ("ReduceSum", [X, ints(1, 3)], {"keepdims": 0}),
    "sum of all": ("ReduceSum", [X], {}),
    "sum of none": ("ReduceSum", [X], {"noop_with_empty_axes": 1}),
    "concat": ("Concat", [X, floats(2, 3, 9, 8)], {"axis": 1}),
    "slice": ("Slice", [X, ints(1, -1), ints(8, -9), ints(2, 3), ints(2, -2)], {}),
    "slice of leading axes": ("Slice", [X, ints(0, 1), ints(1, 3)], {}),
    "reshape": ("Reshape", [X, ints(0, -1, 6)], {}),
    "transpose": ("Transpose", [X], {"perm": [1, 3, 0, 2]}),
    "transpose, reversed": ("Transpose", [X], {}),
    "flatten": ("Flatten", [X], {}),
    "flatten at 3": ("Flatten", [X], {"axis": 3}),
    "squeeze": ("Squeeze", [floats(1, 3, 1), ints(0)], {}),
    "squeeze all": ("Squeeze", [floats(1, 3, 1)], {}),
    "unsqueeze": ("Unsqueeze", [X, ints(-1, 0)], {}),
    "pad": ("Pad", [X, ints(0, 0, 1, 2, 0, 0, 3, 0), f32(0.5)], {}),
    "pad, reflected": ("Pad", [X, ints(0, 0, 1, 2, 0, 0, 3, 0)], {"mode": "reflect"}),
    "gather": ("Gather", [X, ints(0, -1, 1)], {"axis": 2}),
    "cast": ("Cast", [X], {"to": TensorProto.INT32}),
    "identity": ("Identity", [X], {}),
    "dropout": ("Dropout", [X], {}),
    "shape": ("Shape", [X], {}),
    "shape, part": ("Shape", [X], {"start": 1, "end": -1}),
    "quantize": ("QuantizeLinear", [X, f32(0.02), u8(100)], {}),
    "quantize by channel": (
        "QuantizeLinear",
        [X, np.abs(floats(4)) / 50 + 0.01, integers(np.int8, 4)],
        {"axis": 1},
    ),
    "quantize without zero point": ("QuantizeLinear", [X, f32(0.02)], {}),
    "dequantize": (
        "DequantizeLinear",
        [integers(np.int8, 4, 3), np.abs(floats(3)), integers(np.int8, 3)],
        {"axis": -1},
    ),
    "matmul of integers": (
        "MatMulInteger",
        [integers(np.uint8, 3, 5), integers(np.int8, 5, 6), u8(7), np.array(-3, np.int8)],
        {},
    ),
    "conv of integers": (
        "ConvInteger",
        [integers(np.uint8, 1, 4, 6, 7), integers(np.uint8, 2, 4, 3, 3), u8(7)],
        {"pads": [1, 1, 0, 0]},
    ),
    "resize, scales": ("Resize", [X, None, np.array([1, 1, 2, 1.5], np.float32)], {}),
    "resize, sizes": (
        "Resize",
        [X, None, None, ints(2, 4, 5, 16)],
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    ),
    "resize, rank 3": ("Resize", [VECTOR, None, np.array([1, 1, 2], np.float32)], {}),
    "resize, no roi": ("Resize", [X, floats(0), np.array([1, 1, 2, 2], np.float32)], {}),
    "resize, cropped": (
        "Resize",
        [X, np.array([0, 0, 0.1, 0.2, 1, 1, 0.7, 0.9], np.float32), None, ints(2, 4, 5, 6)],
        {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"},
    ),
}
LATER = {
    "mean, axes as input": ("ReduceMean", [X, ints(2, 3)], {}, 18),
    "max, axes as input": ("ReduceMax", [X, ints(-1)], {"keepdims": 0}, 18),
    "pad of some axes": ("Pad", [X, ints(1, 2), None, ints(-1)], {}, 18),
    "resize of some axes": ("Resize", [X, None, None, ints(5, 16)], {"axes": [3, -2]}, 18),
    "average pool, dilated": (
        "AveragePool",
        [X],
        {"kernel_shape": [2, 2], "dilations": [2, 1]},
        19,
    ),
    "quantize to int8": (
        "QuantizeLinear",
        [X, f32(0.02)],
        {"output_dtype": TensorProto.INT8},
        21,
    ),
}


@pytest.mark.parametrize("case", [*CASES, *LATER])
def test_node_computes_what_onnx_says(case):
    op, arrays, attrs, *opset = {**CASES, **LATER}[case]
    model, feeds = one_node(op, arrays, opset=opset[0] if opset else 17, **attrs)
    (expected,) = peer(model, feeds)
    (result,) = imported(model).run(feeds)
    assert result.dtype == expected.dtype
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_every_handler_is_tested():
    plain = {op for op, *_ in [*CASES.values(), *LATER.values()]}
    elsewhere = {"Constant", "Split", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"}
    elsewhere |= {case.op for case in [*test_operators.FLOAT, *test_import_wider.CASES]}
    elsewhere |= {"If", "Loop", "Scan"}  # in test_import_wider.py
    elsewhere |= {"LSTM", "GRU", "RNN"}  # in test_recurrent.py
    elsewhere |= {"SimplifiedLayerNormalization"}  # in test_fused.py
    assert {op for domain, op in handled() if not domain} <= plain | elsewhere
    ours = {op for domain, op in handled() if domain == MICROSOFT}
    fused = {op for op, *_ in test_fused.CASES.values()} - {"SimplifiedLayerNormalization"}
    fused -= {"CausalConvWithState", "LinearAttention"}  # by ONNX's bodies
    assert ours == fused | {op for op, *_ in MICROSOFT_CASES.values()} | {
        "QuantizeLinear",
        "DequantizeLinear",
        *("Gelu", "QuickGelu"),
        *("DynamicQuantizeLSTM", "GatherBlockQuantized"),
    }


@pytest.mark.parametrize(
    ("opset", "sizes", "attrs"),
    [(13, ints(3, 1), {}), (13, None, {}), (18, None, {"num_outputs": 2})],
)
def test_split(opset, sizes, attrs):
    arrays = [X] if sizes is None else [X, sizes]
    model, feeds = one_node("Split", arrays, outputs=2, opset=opset, axis=1, **attrs)
    recorder = imported(model)
    assert len(recorder.only("Split").outputs) == 2
    for result, expected in zip(recorder.run(feeds), peer(model, feeds), strict=True):
        np.testing.assert_array_equal(result, expected)


def test_dynamic_quantize_linear():
    node = node_import("DynamicQuantizeLinear", [X], outputs=3).only("DynamicQuantizeLinear")
    assert len(node.outputs) == 3


def quantized_conv(bias: bool, scales: int) -> list[np.ndarray]:
    weight_scale = np.abs(floats(scales)) / 100 + 0.001
    return [
        integers(np.uint8, 1, 4, 6, 7),
        f32(0.02),
        u8(128),
        integers(np.int8, 6, 4, 3, 3) // 2,  # so that no peer saturates int16
        weight_scale if scales > 1 else f32(0.01),
        np.zeros(6, np.int8) if scales > 1 else np.int8(0).reshape(()),
        f32(0.5),
        u8(100),
        *([integers(np.int32, 6) // 2**18] if bias else []),
    ]


LAST_CONV = quantized_conv(True, 6)
LAST_CONV[0] = LAST_CONV[0].transpose(0, 2, 3, 1).copy()
A_U8 = [integers(np.uint8, 1, 4, 6, 8), f32(0.02), u8(120)]
B_U8 = [integers(np.uint8, 4, 1, 1), f32(0.03), u8(130)]
Y_U8 = [f32(0.04), u8(110)]
UNIT = [f32(1 / 256), u8(0)]
MATRIX = [integers(np.uint8, 3, 5), f32(0.02), u8(120)]
WEIGHTS = [integers(np.int8, 5, 6) // 2, np.abs(floats(6)) / 50 + 0.01, np.zeros(6, np.int8)]
POOL = {"kernel_shape": [3, 3], "strides": [2, 1]}
QOPERATOR_CASES = {
    "conv": ("QLinearConv", quantized_conv(False, 6), {"pads": [1, 1, 1, 1]}),
    "conv with bias": ("QLinearConv", quantized_conv(True, 6), {"strides": [2, 2]}),
    "conv with one scale": ("QLinearConv", quantized_conv(True, 1), {}),
    "matmul": ("QLinearMatMul", [*MATRIX, *WEIGHTS, f32(0.3), u8(128)], {}),
}
MICROSOFT_CASES = {
    "add": ("QLinearAdd", [*A_U8, *B_U8, *Y_U8], {}),
    "mul": ("QLinearMul", [*A_U8, *B_U8, *Y_U8], {}),
    "where": ("QLinearWhere", [np.arange(8) % 3 == 1, *A_U8, *B_U8, *Y_U8], {}),
    "sigmoid": ("QLinearSigmoid", [*A_U8, *UNIT], {}),
    "leaky relu": ("QLinearLeakyRelu", [*A_U8, *Y_U8], {"alpha": 0.2}),
    "softmax": ("QLinearSoftmax", [*A_U8, *UNIT], {"axis": 1, "of_opset": 13}),
    "softmax of old": ("QLinearSoftmax", [*A_U8, *UNIT], {"axis": 3, "of_opset": 11}),
    "global average": ("QLinearGlobalAveragePool", [*A_U8, *Y_U8], {}),
    "global average, last": ("QLinearGlobalAveragePool", [*A_U8, *Y_U8], {"channels_last": 1}),
    "conv, last": ("QLinearConv", LAST_CONV, {"pads": [1, 0, 1, 2], "channels_last": 1}),
    "average": ("QLinearAveragePool", [*A_U8, *Y_U8], POOL),
    "average, last": ("QLinearAveragePool", [*A_U8, *Y_U8], {**POOL, "channels_last": 1}),
    "concat": (
        "QLinearConcat",
        [*Y_U8, *A_U8, integers(np.uint8, 1, 2, 6, 8), f32(0.01), u8(3)],
        {"axis": 1},
    ),
    "gemm": ("QGemm", [*MATRIX, *WEIGHTS, integers(np.int32, 6) // 2**20, f32(0.3), u8(128)], {}),
    "gemm, transposed, alpha": (
        "QGemm",
        [
            *MATRIX,
            integers(np.int8, 6, 5) // 2,
            *WEIGHTS[1:],
            integers(np.int32, 6) // 2**20,
            f32(0.3),
            u8(128),
        ],
        {"transB": 1, "alpha": 0.5},
    ),
}


@pytest.mark.parametrize("case", [*QOPERATOR_CASES, *(f"ms {case}" for case in MICROSOFT_CASES)])
def test_qoperator_agrees_with_onnxruntime(case):
    ours = case.startswith("ms ")
    op, arrays, attrs = (MICROSOFT_CASES if ours else QOPERATOR_CASES)[case.removeprefix("ms ")]
    fed = 3 if op == "QLinearConcat" else 1
    model, feeds = one_node(
        op, arrays, fed=fed, domain=MICROSOFT if ours else "", dtype=np.uint8, **attrs
    )
    recorder = imported(model)
    (expected,), (result,) = peer(model, feeds), recorder.run(feeds)
    assert result.dtype == expected.dtype
    assert np.abs(result.astype(int) - expected.astype(int)).max() <= 1
    assert np.ptp(expected) > 10  # says something
    assert recorder.nodes[-1].op == "QuantizeLinear"


def test_qgemm_without_output_scale_is_float():
    arrays = [*MATRIX, *WEIGHTS, integers(np.int32, 6) // 2**20]
    recorder = node_import("QGemm", arrays, domain=MICROSOFT)
    assert recorder.ops == ["DequantizeLinear"] * 3 + ["MatMul"]


# Structure


def test_spatial_operators_are_wrapped_and_weights_transposed():
    recorder = node_import("Conv", [X, floats(6, 4, 3, 3), floats(6)], pads=[1, 1, 1, 1])
    assert recorder.ops == ["Transpose", "Transpose", "Conv", "Transpose"]
    x, w, conv, y = recorder.nodes
    assert x.attrs == w.attrs == {"perm": [0, 2, 3, 1]}
    assert conv.attrs == {"group": 1, "pads": [1, 1, 1, 1]}
    assert conv.inputs[:2] == [x.outputs[0], w.outputs[0]]
    assert y.attrs == {"perm": [0, 3, 1, 2]}
    assert {node.name for node in recorder.nodes} == {"n"}
    assert recorder.names[y.outputs[0]] == "y0"


def test_a_shared_input_is_transposed_once():
    nodes = [
        helper.make_node("MaxPool", ["x"], ["a"], kernel_shape=[2, 2]),
        helper.make_node("MaxPool", ["x"], ["b"], kernel_shape=[3, 3]),
    ]
    recorder = imported(model_of(nodes, [info("x", X)], [info("a", X, None), info("b", X, None)]))
    assert recorder.ops == ["Transpose", "MaxPool", "Transpose", "MaxPool", "Transpose"]


def test_relu6_through_dequantized_bounds():
    nodes = [
        helper.make_node("DequantizeLinear", ["q0", "s", "z"], ["low"]),
        helper.make_node("DequantizeLinear", ["q6", "s", "z"], ["high"]),
        helper.make_node("Clip", ["x", "low", "high"], ["y"]),
    ]
    constants = {"q0": u8(3), "q6": u8(15), "s": f32(0.5), "z": u8(3)}
    recorder = imported(model_of(nodes, [info("x", X)], [info("y", X)], constants))
    assert recorder.only("Clip").attrs == {"lo": 0.0, "hi": 6.0}


def test_nodes_without_a_name_are_named_after_their_output():
    node = helper.make_node("Relu", ["x"], ["out"])
    recorder = imported(model_of([node], [info("x", X)], [info("out", X)]))
    assert recorder.nodes[0].name == "Relu_out"


@pytest.mark.parametrize(
    ("attrs", "expected"),
    [
        ({"value": numpy_helper.from_array(floats(2, 3))}, floats(2, 3)),
        ({"value_float": 1.5}, f32(1.5)),
        ({"value_floats": [1.5, 2]}, np.array([1.5, 2], np.float32)),
        ({"value_int": 3}, np.array(3, np.int64)),
        ({"value_ints": [3, 4]}, ints(3, 4)),
    ],
)
def test_constant_of_every_kind(attrs, expected):
    recorder = node_import("Constant", [], **attrs)
    (array,) = recorder.constants.values()
    np.testing.assert_array_equal(array, expected)
    assert array.dtype == expected.dtype
    assert array.shape == expected.shape


def test_cast_speaks_the_cores_dtypes():
    assert node_import("Cast", [X], to=TensorProto.INT64).only("Cast").attrs == {"to": 4}
    codes = ["float32", "uint8", "int8", "int32", "int64", "bool", "float64", "float16"]
    assert [dtype_code(name) for name in codes] == list(range(8))


def test_inputs_outputs_and_name():
    node = helper.make_node("Add", ["x", "w"], ["y"])
    declared = [info("x", X, ["batch", 4, None, 8]), info("w", floats(8))]  # w: the old style
    model = model_of([node], declared, [info("y", X, ["batch", 4, 9, 8])], {"w": floats(8)})
    recorder = imported(model)
    assert recorder.name == "net"
    assert recorder.inputs == [(0, "float32", [None, 4, None, 8])]
    (output,) = recorder.outputs
    assert output == ("y", recorder.nodes[0].outputs[0], "float32", None)  # to be inferred


def test_an_output_may_be_an_input_or_an_initializer():
    outputs = [info("x", X), info("w", floats(3))]
    model = model_of([], [info("x", X)], outputs, {"w": floats(3)})
    recorder = imported(model)
    assert [name for name, *_ in recorder.outputs] == ["x", "w"]
    assert recorder.nodes == []


def test_unused_initializers_are_left_out():
    node = helper.make_node("Relu", ["x"], ["y"])
    model = model_of([node], [info("x", X)], [info("y", X)], {"lost": floats(5)})
    assert imported(model).constants == {}


def test_dropout_and_batch_norm_with_outputs_nobody_uses():
    nodes = [helper.make_node("Dropout", ["x"], ["y", "mask"])]
    assert imported(model_of(nodes, [info("x", X)], [info("y", X)])).ops == ["Identity"]


def test_resize_reorders_sizes_computed_at_run_time():
    model, feeds = one_node("Resize", [X, None, None, ints(2, 4, 5, 16)], fed=2)
    recorder = imported(model)
    assert recorder.ops == ["Gather", "Transpose", "Resize", "Transpose"]
    np.testing.assert_array_equal(recorder.run(feeds)[0], peer(model, feeds)[0])


def test_half_precision_weights_may_be_cast():
    nodes = [
        helper.make_node("Cast", ["w"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "f"], ["y"]),
    ]
    half = floats(8).astype(np.float16)
    recorder = imported(model_of(nodes, [info("x", X)], [info("y", X)], {"w": half}))
    assert recorder.ops == ["Cast", "Add"]
    (array,) = recorder.constants.values()
    assert array.dtype == np.float16


def test_older_opsets_are_brought_to_13():
    node = helper.make_node("Squeeze", ["x"], ["y"], axes=[0])
    model = model_of([node], [info("x", floats(1, 3))], [info("y", floats(3))], opset=11)
    model.opset_import.pop()
    recorder = imported(model)
    assert recorder.ops == ["Squeeze"]
    assert [array.tolist() for array in recorder.constants.values()] == [[0]]


def test_local_functions_are_inlined():
    body = [helper.make_node("Sigmoid", ["a"], ["s"]), helper.make_node("Mul", ["a", "s"], ["b"])]
    opset = [helper.make_opsetid("", 17)]
    function = helper.make_function("local", "Swish", ["a"], ["b"], body, opset)
    node = helper.make_node("Swish", ["x"], ["y"], domain="local")
    model = model_of([node], [info("x", X)], [info("y", X)])
    model.opset_import.append(helper.make_opsetid("local", 1))
    model.functions.append(function)
    assert imported(model).ops == ["Sigmoid", "Mul"]


# Errors


def test_all_missing_operators_are_listed():
    nodes = [helper.make_node("Unique", ["x"], [f"n{i}"], f"nz{i}") for i in range(7)]
    nodes.append(helper.make_node("Relu", ["x"], ["r"]))
    nodes.append(helper.make_node("LongformerAttention", ["x"], ["y"], domain=MICROSOFT))
    message = re.escape(
        "2 operators are not supported:\n"
        "  Unique: 'nz0', 'nz1', 'nz2', 'nz3', 'nz4' and 2 more\n"
        "  com.microsoft.LongformerAttention: 'LongformerAttention_y'"
    )
    with pytest.raises(UnsupportedError, match=f"^{message}$"):
        imported(model_of(nodes, [info("x", X)], [info("y", X)]))


def refused(error, message, op, arrays, **options):
    with pytest.raises(error) as caught:
        node_import(op, arrays, **options)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{op} 'n': ")


def test_unsupported_features_name_their_node():
    volume = floats(1, 2, 4, 4, 4)
    lacking = UnsupportedError
    refused(lacking, "4 spatial axes", "MaxPool", [volume], kernel_shape=[2, 2, 2, 2])
    refused(lacking, "axes must be constant", "ReduceSum", [X, ints(1)], fed=2)
    refused(lacking, "in training mode", "Dropout", [X, f32(0.5), np.array(True)])
    four = [floats(4), floats(4), floats(4), np.abs(floats(4))]
    refused(lacking, "training mode", "BatchNormalization", [X, *four], opset=9, outputs=3)
    refused(lacking, "holds a string", "Constant", [], value_string="text")
    refused(lacking, "in blocks", "QuantizeLinear", [X, floats(2, 2)], opset=21, block_size=2)
    wide = [X, f32(0.1), np.array(0, np.int32)]
    refused(lacking, "it quantizes to int32", "QuantizeLinear", wide, opset=21)
    refused(lacking, "holds complex64", "Cast", [X], to=TensorProto.COMPLEX64)


def test_invalid_nodes_name_themselves():
    refused(ModelError, "input 1 is missing", "Add", [X])
    refused(ModelError, "'kernel_shape' is missing", "MaxPool", [X])
    refused(ModelError, "'axis' is missing", "Concat", [X])
    refused(ModelError, "attribute 'axis' is not of the type int", "Softmax", [X], axis="one")
    refused(
        ModelError, "pads has 3 values, expected 4", "Conv", [X, floats(6, 4, 3, 3)], pads=[1] * 3
    )
    refused(ModelError, "it has no value", "Constant", [])
    refused(ModelError, "axes are missing", "Unsqueeze", [X])


def test_unknown_tensor_is_named():
    node = helper.make_node("Relu", ["ghost"], ["y"], "r")
    with pytest.raises(ModelError, match=r"Relu 'r': nothing before it makes its input 'ghost'"):
        imported(model_of([node], [info("x", X)], [info("y", X)]))
    with pytest.raises(ModelError, match=r"the graph: nothing before it makes its input 'y'"):
        imported(model_of([], [info("x", X)], [info("y", X)]))


def test_two_makers_of_a_tensor():
    nodes = [helper.make_node("Relu", ["x"], ["y"]) for _ in range(2)]
    with pytest.raises(ModelError, match="two nodes or inputs make the tensor 'y'"):
        imported(model_of(nodes, [info("x", X)], [info("y", X)]))


def test_inputs_that_are_no_tensors():
    node = helper.make_node("Identity", ["x"], ["y"])
    sequence = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None)
    with pytest.raises(UnsupportedError, match="'x' is of the type sequence; Quaver takes tensors"):
        imported(model_of([node], [sequence], [info("y", X)]))
    strings = helper.make_tensor_value_info("x", TensorProto.STRING, [3])
    with pytest.raises(UnsupportedError, match="'x' holds string; Quaver takes float32"):
        imported(model_of([node], [strings], [info("y", X)]))
    negative = info("x", X, [-1, 4])
    with pytest.raises(ModelError, match="'x' declares a dimension of -1"):
        imported(model_of([node], [negative], [info("y", X)]))


def test_a_condition_must_be_known():
    branch = helper.make_graph([helper.make_node("Relu", ["x"], ["b"])], "b", [], [info("b", X)])
    node = helper.make_node("If", ["c"], ["y"], "choice", then_branch=branch, else_branch=branch)
    flag = info("c", np.array(True))
    with pytest.raises(UnsupportedError, match=r"If 'choice': its condition must be constant"):
        imported(model_of([node], [info("x", X), flag], [info("y", X)]))


def test_broken_initializer():
    node = helper.make_node("Add", ["x", "w"], ["y"])
    model = model_of([node], [info("x", X)], [info("y", X)], {"w": floats(8)})
    model.graph.initializer[0].dims[0] = 9
    with pytest.raises(ModelError, match="initializer 'w' does not hold \\[9\\] elements"):
        imported(model)


@pytest.mark.parametrize("opset", [29, 99])
def test_newer_opsets(opset):
    with pytest.raises(UnsupportedError, match=f"opset {opset}, the newest known is 28"):
        node_import("Relu", [X], opset=opset)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_resize_of_old_keeps_its_rule(mode):
    scales = np.array([1, 1, 1.5, 2.5], np.float32)
    model, feeds = one_node("Resize", [X, scales], opset=10, mode=mode)
    (expected,), (result,) = peer(model, feeds), imported(model).run(feeds)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_older_opsets_that_cannot_be_converted():
    message = r"of opset 5 and onnx cannot bring it to 13 \(.*; export it with opset 13 or later"
    with pytest.raises(UnsupportedError, match=re.compile(message, re.DOTALL)):
        node_import("Cast", [X], opset=5, to="FLOAT")


# Files


def relu_model() -> onnx.ModelProto:
    return one_node("Add", [X, floats(8)])[0]


def test_load_proto_from_path_and_bytes(tmp_path):
    path = tmp_path / "model.onnx"
    onnx.save(relu_model(), path)
    assert load_proto(path) == load_proto(str(path)) == load_proto(path.read_bytes())


def test_load_proto_reads_tensors_beside_the_model(tmp_path):
    path = tmp_path / "model.onnx"
    external = {"save_as_external_data": True, "location": "weights.bin", "size_threshold": 0}
    onnx.save(relu_model(), path, **external)
    recorder = imported(load_proto(path))
    np.testing.assert_array_equal(next(iter(recorder.constants.values())), floats(8))
    with pytest.raises(ModelError, match=r"'x1' lies in a file of its own; load the model by"):
        imported(load_proto(path.read_bytes()))
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(
        FileError, match=r"model\.onnx': tensor '\w+' lies in .*, which cannot be read"
    ):
        load_proto(path)


def test_load_proto_of_what_is_no_model(tmp_path):
    with pytest.raises(FileError, match=r"cannot read '.*none\.onnx': No such file"):
        load_proto(tmp_path / "none.onnx")
    with pytest.raises(FileError, match="cannot read"):
        load_proto(tmp_path)
    content = relu_model().SerializeToString()
    for broken in (b"", b"\x00\x01", b"not a model at all" * 9, b"\x08\x08", content[:-9]):
        with pytest.raises(CorruptFileError, match=r"is empty|is no ONNX model"):
            load_proto(broken)
