"""Convolutions of generated shapes against ONNX's reference evaluator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.numpy_helper import to_array
from onnx.reference import ReferenceEvaluator

import quaver
from conftest import ISAS
from models import Case, float_model, quantized_model

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
