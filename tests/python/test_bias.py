"""What rounding adds on average is taken out of biases, and where noise is heard."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import quaver
from quaver.quantize.channels import Channels
from quaver.quantize.ranges import affine

_CHANNELS = 32


def _model(op: str) -> onnx.ModelProto:
    """A function that is nearly constant on most of what it takes, and a product of its result."""
    generator = np.random.default_rng(0)
    weight = (0.5 + generator.random((_CHANNELS, 8))).astype(np.float32)
    constants = {
        "shift": np.full((1,), 0.3, np.float32),
        "w": weight.T[:, :, None, None].copy() if op == "Conv" else weight,
        "b": generator.normal(size=8).astype(np.float32),
        "v": generator.normal(size=(_CHANNELS,) * 2).astype(np.float32) / 6,
    }
    nodes = [
        helper.make_node("MatMul", ["x", "v"], ["m"]),
        helper.make_node("Relu", ["m"], ["r"]),
        helper.make_node("Add", ["r", "shift"], ["s"]),
    ]
    rows = [None, 4, 4, _CHANNELS] if op == "Conv" else [None, _CHANNELS]
    match op:
        case "Conv":
            nodes.append(helper.make_node("Transpose", ["s"], ["t"], perm=[0, 3, 1, 2]))
            nodes.append(helper.make_node("Conv", ["t", "w", "b"], ["y"]))
        case "Gemm":
            nodes.append(helper.make_node("Gemm", ["s", "w", "b"], ["y"]))
        case _:
            nodes.append(helper.make_node("MatMul", ["s", "w"], ["z"]))
            nodes.append(helper.make_node("Add", ["z", "b"], ["y"]))
    ports = [helper.make_tensor_value_info("x", TensorProto.FLOAT, rows)]
    made = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    stored = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "g", ports, made, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("op", ["Conv", "Gemm", "MatMul"])
def test_a_constant_that_steps_miss_is_made_up_for(op: str) -> None:
    """Most elements are 0.3 exactly, whose rounding the sums of a product would add up."""
    model = _model(op)
    generator = np.random.default_rng(1)
    shape = (64, 4, 4, _CHANNELS) if op == "Conv" else (256, _CHANNELS)
    x = (generator.normal(size=shape) - 3.0).astype(np.float32)
    x[:, ..., 0] += 40
    exact = quaver.load(model)(x)
    means = []
    for correct in (False, True):
        made = quaver.quantize(
            model, x, method="minmax", correct_bias=correct, mixed=False, measure=False
        )
        means.append(np.abs((quaver.load(made.model)(x) - exact).mean()))
        assert (made.report["repairs"]["correct_bias"] is not None) == correct
    assert means[1] < means[0] / 3


def test_the_error_of_channels() -> None:
    """Of the values themselves, however many runs they come in; what is cut adds nothing."""
    generator = np.random.default_rng(2)
    seen = Channels(3)
    level = np.array([0.26, 0.5, -1.0], np.float32)
    for _ in range(200):
        array = np.broadcast_to(level[:, None], (3, 40)).copy()
        array[1, generator.integers(40)] = 9.0
        seen.add(array[None], 1)
    error = seen.error(affine(-1.0, 254.0 / 255 * 1.0))
    step = float(affine(-1.0, 254.0 / 255 * 1.0).scale)
    assert error[0] == pytest.approx(np.rint(0.26 / step) * step - 0.26, abs=1e-6)
    assert abs(error[2]) <= step / 2
    assert abs(error[1]) <= step / 2
