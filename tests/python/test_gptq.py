"""Rounding of weights with regard to what they are multiplied with."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import quaver
from quaver.quantize import gptq, weights
from quaver.quantize.net import Net
from quaver.quantize.products import Products
from quaver.quantize.ranges import affine

_CASES: dict[str, tuple[str, dict[str, Any], tuple[int, ...], tuple[int, ...]]] = {
    "1x1": ("Conv", {}, (8, 16, 1, 1), (1, 16, 9, 7)),
    "strides": ("Conv", {"strides": [2, 1], "pads": [1, 0, 1, 2]}, (8, 4, 3, 3), (2, 4, 9, 7)),
    "dilations": ("Conv", {"dilations": [2, 1]}, (8, 4, 3, 2), (1, 4, 9, 7)),
    "groups": ("Conv", {"group": 4, "pads": [1, 1, 1, 1]}, (8, 2, 3, 3), (1, 8, 9, 7)),
    "depthwise": ("Conv", {"group": 8, "pads": [1, 1, 1, 1]}, (8, 1, 3, 3), (1, 8, 9, 7)),
    "MatMul": ("MatMul", {}, (32, 8), (2, 20, 32)),
    "Gemm": ("Gemm", {}, (32, 8), (40, 32)),
    "transB": ("Gemm", {"transB": 1}, (8, 32), (40, 32)),
}


def _net(op: str, attributes: dict[str, Any], weight: np.ndarray, x: np.ndarray) -> Net:
    node = helper.make_node(op, ["x", "w"], ["y"], "product", **attributes)
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)]
    made = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph([node], "g", ports, made, [numpy_helper.from_array(weight, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Net(onnx.shape_inference.infer_shapes(model))


@pytest.mark.parametrize("case", _CASES)
def test_errors_make_up_for_each_other(case: str) -> None:
    """Of inputs that go together the outputs are nearer to the exact ones than by rounding each."""
    op, attributes, shape, x_shape = _CASES[case]
    generator = np.random.default_rng(3)
    weight = generator.normal(size=shape).astype(np.float32)
    x = generator.normal(size=x_shape).astype(np.float32)
    x = (0.1 * x + x.mean(axis=1, keepdims=True) + 1).astype(np.float32)
    net = _net(op, attributes, weight, x)
    numbers = affine(float(x.min()), float(x.max()))
    axis = weights.channel_axis(net, net.nodes[0])
    plain = weights.quantize_weight(weight, axis, search=False)
    found = gptq.hessians(net, net.nodes, [{"x": x}], {"x": numbers}, "quaver")["product"]
    made = gptq.round_weight(net.nodes[0], weight, plain, found)
    assert made.bytes.shape == weight.shape
    np.testing.assert_array_equal(made.scale, plain.scale)
    exact = quaver.load(net.proto())(x)
    errors = []
    for tried in (plain, made):
        net.weights["w"] = tried.reals().astype(np.float32)
        errors.append(float(((quaver.load(net.proto())(x) - exact) ** 2).sum()))
    assert errors[1] < 0.7 * errors[0]


def _rounded(weight: np.ndarray, x: np.ndarray, others: np.ndarray) -> list[gptq.Rounded]:
    net = _net("MatMul", {}, weight, x)
    plain = weights.quantize_weight(weight, 1, search=False)
    products = Products({"product": net.nodes[0]}, {"product": plain}, {})
    return list(gptq.rounded(net, products, [{"x": x}, {"x": others}], {}, "quaver"))


def test_others_judge() -> None:
    """Inputs that all samples have in common are worth it; chance in a few is not."""
    generator = np.random.default_rng(5)
    weight = generator.normal(size=(64, 256)).astype(np.float32)
    common = generator.normal(size=(4, 64))

    def alike() -> np.ndarray:
        return (generator.normal(size=(200, 4)) @ common).astype(np.float32)

    def unlike() -> np.ndarray:
        return (generator.normal(size=(200, 4)) @ generator.normal(size=(4, 64))).astype(np.float32)

    [found] = _rounded(weight, alike(), alike())
    assert found.after < 0.3 * found.before
    [found] = _rounded(weight, unlike(), unlike())
    assert found.after > found.before


def test_what_is_rare_is_not_sacrificed() -> None:
    """Few inputs fill most of what is seen, as padding does; others lose little by that."""
    generator = np.random.default_rng(0)
    mix = np.eye(128) + generator.normal(scale=0.1, size=(128, 128))

    def rare(count: int) -> np.ndarray:
        return np.asarray(generator.normal(size=(count, 128)) @ mix, np.float32)

    weight = generator.normal(size=(128, 64)).astype(np.float32)
    often = generator.normal(size=(8, 128))[generator.integers(8, size=2000)]
    often += generator.normal(scale=0.05, size=often.shape)
    seen, unseen = np.concatenate([often, rare(100)]).astype(np.float32), rare(4000)
    net = _net("MatMul", {}, weight, seen)
    plain = weights.quantize_weight(weight, 1, search=False)
    found = gptq.hessians(net, net.nodes, [{"x": seen}], {}, "quaver")["product"]
    made = gptq.round_weight(net.nodes[0], weight, plain, found)
    before, after = (np.square(unseen @ (w.reals() - weight)).sum() for w in (plain, made))
    assert after < 1.15 * before


def test_what_is_too_large_is_left_out() -> None:
    """The sums over pairs of inputs would not fit."""
    x = np.zeros((1, 4000), np.float32)
    assert not _rounded(np.zeros((4000, 2), np.float32), x, x)
