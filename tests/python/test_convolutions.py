"""Convolutions of generated shapes against ONNX's reference evaluator."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.numpy_helper import from_array, to_array
from onnx.reference import ReferenceEvaluator

import quaver
from conftest import ISAS
from models import Case, float_model, quantized_model
from quaver import inspect

SIZES = st.integers(1, 9)


@st.composite
def convolutions(draw: st.DrawFn) -> Case:
    """Any group, kernel, stride, dilation and padding for which at least one window fits."""
    group = draw(st.sampled_from([1, 1, 2, 3, 17]))
    depthwise = draw(st.booleans()) and group > 1
    depth = 1 if depthwise else draw(st.integers(1, 20))
    width = 1 if depthwise else draw(st.integers(1, 19))
    kernel = [draw(st.integers(1, 4)) for _ in range(2)]
    strides = [draw(st.integers(1, 3)) for _ in range(2)]
    dilations = [draw(st.integers(1, 2)) for _ in range(2)]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = [draw(st.integers(0, spans[i % 2] - 1)) for i in range(4)]
    size = [max(draw(SIZES), spans[i] - pads[i] - pads[i + 2]) for i in range(2)]
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = random.standard_normal((draw(st.integers(1, 2)), group * depth, *size)).astype(np.float32)
    w = random.standard_normal((group * width, depth, *kernel)).astype(np.float32)
    b = random.standard_normal(group * width).astype(np.float32) if draw(st.booleans()) else None
    attrs = {"strides": strides, "dilations": dilations, "pads": pads, "group": group}
    return Case("conv", "Conv", {"x": x}, {"w": w, "b": b}, attrs)


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=60)
@given(case=convolutions())
def test_float_convolution(isa: str, case: Case) -> None:
    model = float_model(case)
    want = ReferenceEvaluator(model).run(None, case.feeds)[0]
    got = quaver.load(model, threads=1, isa=isa)(case.feeds["x"])
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * max(1.0, np.abs(want).max()))


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=60)
@given(case=convolutions(), signed=st.booleans())
def test_int8_convolution(isa: str, case: Case, signed: bool) -> None:
    wanted = ReferenceEvaluator(float_model(case)).run(None, case.feeds)[0]
    model = quantized_model(case, wanted, signed=signed, weight="w", bias="b")
    want = ReferenceEvaluator(model).run(None, case.feeds)[0]
    scale = next(to_array(c) for c in model.graph.initializer if c.name == "y0_s")
    got = quaver.load(model, threads=1, isa=isa)(case.feeds["x"])
    assert (np.abs(got - want) / scale).max(initial=0) < 1.01


@pytest.mark.parametrize("isa", ISAS)
@settings(max_examples=60)
@given(case=convolutions())
def test_int8_convolution_that_leaves_its_sums(isa: str, case: Case) -> None:
    """What a function in float takes is rounded no more: its bytes and weights alone are."""
    wanted = ReferenceEvaluator(float_model(case)).run(None, case.feeds)[0]
    model = quantized_model(case, wanted, weight="w", bias="b", act=[("Sigmoid", {})])
    made = next(node for node in model.graph.node if node.op_type == "Sigmoid").output[0]
    del model.graph.node[-2:]
    model.graph.output[0].name = made
    want = ReferenceEvaluator(model).run(None, case.feeds)[0]
    loaded = quaver.load(model, threads=1, isa=isa)
    np.testing.assert_allclose(loaded(case.feeds["x"]), want, rtol=1e-4, atol=1e-5)
    convolution = next(n for n in inspect.report(loaded)["nodes"] if n["op"] == "Conv")
    assert convolution["int8"]


def _widened(model: onnx.ModelProto, channels: int) -> onnx.ModelProto:
    """The same quantized convolution of an input with more channels, whose weights are zero."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    wide.graph.input[0].type.tensor_type.shape.dim[1].dim_value = channels
    for constant in wide.graph.initializer:
        w = to_array(constant)
        if w.ndim == 4:
            more = np.zeros((len(w), channels - w.shape[1], *w.shape[2:]), w.dtype)
            constant.CopyFrom(from_array(np.concatenate([w, more], axis=1), constant.name))
    return wide


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("signed", [False, True], ids=["u8", "s8"])
@pytest.mark.parametrize("kernel", [(2, 2), (3, 3), (1, 5), (7, 7)])
@pytest.mark.parametrize("channels", [1, 3, 4, 7])
def test_few_channels(channels: int, kernel: tuple[int, int], signed: bool, isa: str) -> None:
    """Rows of a window read as one run give the same bits as tap by tap: borders on all sides."""
    random = np.random.default_rng(channels)
    for stride, pads, dilation in [
        (1, (0, 0, 0, 0), 1),
        (1, tuple(k - 1 for k in kernel * 2), 1),
        (2, (0, 0, kernel[0] - 1, kernel[1] - 1), 1),
        (2, (kernel[0] // 2, kernel[1] // 2) * 2, 2),
        (3, (kernel[0] // 2, kernel[1] - 1, 0, 0), 1),
    ]:
        for size in [(15, 16), (14, max(kernel[1], 2)), (23, 97)]:
            x = (random.standard_normal((2, channels, *size)) + 1).astype(np.float32)
            w = random.standard_normal((19, channels, *kernel)).astype(np.float32)
            b = random.standard_normal(19).astype(np.float32)
            attrs = {"strides": [stride] * 2, "pads": list(pads), "dilations": [dilation, 1]}
            case = Case("conv", "Conv", {"x": x}, {"w": w, "b": b}, attrs)
            wanted = ReferenceEvaluator(float_model(case)).run(None, case.feeds)[0]
            model = quantized_model(case, wanted, signed=signed, weight="w", bias="b")
            got = quaver.load(model, threads=1, isa=isa)(x)
            wide = np.concatenate([x, np.zeros_like(x, shape=(2, 8 - channels, *size))], axis=1)
            want = quaver.load(_widened(model, 8), threads=1, isa=isa)(wide)
            np.testing.assert_array_equal(got, want)
            scale = next(to_array(c) for c in model.graph.initializer if c.name == "y0_s")
            assert np.abs(got - wanted).max() < 4 * scale + 0.05 * np.abs(wanted).max()


@pytest.mark.parametrize("isa", [isa for isa in ISAS if isa != "scalar"])
@pytest.mark.parametrize("channels", [3, 12, 18, 32, 60, 64, 128])
@pytest.mark.parametrize("kernel", [(3, 3), (1, 5), (2, 2), (7, 7)])
def test_convolution_is_the_same_on_every_isa(
    kernel: tuple[int, int], channels: int, isa: str
) -> None:
    """Enough channels for kernels of large tiles, which read a copy of the windows' pixels."""
    random = np.random.default_rng(channels)
    for stride, pads, dilation, size in [
        (1, (kernel[0] // 2, kernel[1] // 2) * 2, 1, (9, 14)),
        (2, (0, kernel[1] - 1, kernel[0] - 1, 0), 1, (23, 16)),
        (2, tuple(k - 1 for k in kernel * 2), 2, (13, 17)),
        (3, (0, 0, 0, 0), 1, (7, 47)),
    ]:
        x = random.standard_normal((2, channels, *size)).astype(np.float32)
        w = random.standard_normal((72, channels, *kernel)).astype(np.float32)
        attrs = {"strides": [stride] * 2, "pads": list(pads), "dilations": [dilation] * 2}
        case = Case("conv", "Conv", {"x": x}, {"w": w, "b": None}, attrs)
        wanted = ReferenceEvaluator(float_model(case)).run(None, case.feeds)[0]
        model = quantized_model(case, wanted, weight="w", bias=None)
        want = quaver.load(model, threads=1, isa="scalar")(x)
        np.testing.assert_array_equal(quaver.load(model, threads=2, isa=isa)(x), want)
        scale = next(to_array(c) for c in model.graph.initializer if c.name == "y0_s")
        assert np.abs(want - wanted).max() < 4 * scale + 0.05 * np.abs(wanted).max()


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("dilation", [1, 3])
def test_int8_depthwise_convolution(isa: str, kernel: int, stride: int, dilation: int) -> None:
    """Rows longer than what a kernel does at once, and windows with code of their own."""
    random = np.random.default_rng(kernel * 10 + stride)
    x = random.standard_normal((2, 37, 9, 71)).astype(np.float32)
    w = random.standard_normal((37, 1, kernel, kernel)).astype(np.float32)
    pad = (kernel - 1) * dilation // 2
    attrs = {
        "strides": [stride] * 2,
        "dilations": [dilation] * 2,
        "pads": [pad, pad, pad + stride - 1, pad],
        "group": 37,
    }
    case = Case("conv", "Conv", {"x": x}, {"w": w, "b": None}, attrs)
    wanted = ReferenceEvaluator(float_model(case)).run(None, case.feeds)[0]
    model = quantized_model(case, wanted, signed=False, weight="w", bias="b")
    want = ReferenceEvaluator(model).run(None, case.feeds)[0]
    scale = next(to_array(c) for c in model.graph.initializer if c.name == "y0_s")
    got = quaver.load(model, threads=1, isa=isa)(x)
    assert (np.abs(got - want) / scale).max() < 1.01
    np.testing.assert_array_equal(got, quaver.load(model, threads=1, isa="scalar")(x))
