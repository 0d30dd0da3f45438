"""Products in int8 whose sums become reals, go through functions and are bytes again, in one step.

What is a step's own and what is another's must not be seen in the bytes: a model that also gives
what lies in between, so that nothing can be one step there, gives the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from onnx import helper

import quaver
from conftest import ISAS
from models import model_of
from quaver.inspect import report

#: Operator, input, weight, attributes, the axis of the result's channels.
PRODUCTS = {
    "window": ("Conv", (2, 16, 13, 11), (24, 16, 3, 3), {"pads": [1, 1, 1, 1]}, 1),
    "wide window": ("Conv", (1, 32, 40, 40), (80, 32, 3, 3), {"strides": [2, 2]}, 1),
    "few channels": ("Conv", (1, 3, 31, 31), (16, 3, 3, 3), {"pads": [1, 1, 1, 1]}, 1),
    "pointwise": ("Conv", (2, 40, 9, 9), (320, 40, 1, 1), {}, 1),
    "pointwise, few": ("Conv", (1, 48, 15, 15), (8, 48, 1, 1), {}, 1),
    "groups": ("Conv", (1, 24, 12, 12), (48, 12, 3, 3), {"group": 2}, 1),
    "depthwise": ("Conv", (1, 32, 14, 14), (32, 1, 3, 3), {"group": 32}, 1),
    "depthwise, odd": (
        "Conv",
        (2, 75, 23, 37),
        (75, 1, 5, 5),
        {"group": 75, "pads": [2, 2, 2, 2]},
        1,
    ),
    "depthwise, steps": (
        "Conv",
        (1, 200, 17, 9),
        (200, 1, 3, 3),
        {"group": 200, "strides": [2, 2], "pads": [1, 1, 1, 1]},
        1,
    ),
    "depthwise, any window": (
        "Conv",
        (1, 20, 12, 12),
        (20, 1, 2, 4),
        {"group": 20, "dilations": [2, 1]},
        1,
    ),
    "transposed": ("ConvTranspose", (1, 16, 7, 7), (16, 20, 2, 2), {"strides": [2, 2]}, 1),
    "transposed, overlapping": (
        "ConvTranspose",
        (1, 16, 7, 7),
        (16, 20, 3, 3),
        {"strides": [2, 2], "pads": [1, 1, 1, 1]},
        1,
    ),
    "rows": ("MatMul", (3, 17, 96), (96, 100), {}, 2),
}
FUNCTIONS = {
    "none": [],
    "swish": [("Sigmoid", "x", None), ("Mul", "gate", None)],
    "hard swish, affine": [("HardSwish", "x", None), ("Mul", "x", 1.7), ("Add", "x", -0.3)],
    "affine": [("Add", "x", 0.25), ("Mul", "x", -1.5), ("Sub", "const", 0.75)],
}


@dataclass
class Sample:
    """A model, and the same with what lies between its product and its bytes as outputs."""

    plain: onnx.ModelProto
    open: onnx.ModelProto
    x: np.ndarray


def sample(
    product: str, function: str, factors: bool, stored: bool = False, floats: bool = False
) -> Sample:
    """`stored`: the product's result is brought to bytes before the functions, too.

    `floats`: what the product takes is not brought to bytes.
    """
    op, shape, weight_shape, attrs, axis = PRODUCTS[product]
    rng = np.random.default_rng(20261130)
    channels = weight_shape[1] if op == "ConvTranspose" else weight_shape[0 if axis == 1 else 1]
    constants = {
        "w": rng.integers(-127, 128, weight_shape).astype(np.int8),
        "ws": np.float32(0.011),
        "wz": np.int8(0),
        "xs": np.float32(0.02),
        "xz": np.uint8(131),
        "ys": np.float32(0.037),
        "yz": np.uint8(9),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "ws", "wz"], ["wd"]),
        helper.make_node(op, ["x" if floats else "xd", "wd"], ["p"], "product", **attrs),
    ][2 if floats else 0 :]
    last, between = "p", ["p"]
    if stored:
        constants |= {"ps": np.float32(0.05), "pz": np.uint8(120)}
        nodes.append(helper.make_node("QuantizeLinear", ["p", "ps", "pz"], ["pq"]))
        nodes.append(helper.make_node("DequantizeLinear", ["pq", "ps", "pz"], ["pd"]))
        last, between = "pd", ["pd"]
    for i, (kind, operand, number) in enumerate(FUNCTIONS[function]):
        made = f"f{i}"
        inputs = [last]
        if operand == "gate":
            inputs = [between[-2], last]
        elif number is not None:
            constants[f"c{i}"] = np.float32(number)
            inputs = [f"c{i}", last] if operand == "const" else [last, f"c{i}"]
        nodes.append(helper.make_node(kind, inputs, [made]))
        last = made
        between.append(made)
    if factors:
        spread = np.exp(rng.normal(size=channels)).astype(np.float32)
        constants["m"] = spread.reshape([-1] + [1] * (len(shape) - 1 - axis))
        nodes.append(helper.make_node("Mul", [last, "m"], ["s"], "factors"))
        last = "s"
    nodes.append(helper.make_node("QuantizeLinear", [last, "ys", "yz"], ["y"], "bytes"))
    x = rng.normal(size=shape).astype(np.float32)
    return Sample(
        model_of(nodes, {"x": x}, ["y"], constants),
        model_of(nodes, {"x": x}, ["y", *between], constants),
        x,
    )


def cases() -> Iterator[tuple[str, str, bool, bool]]:
    for product in PRODUCTS:
        for function in FUNCTIONS:
            for factors in (True,) if function == "none" else (False, True):
                for stored in (False, True) if product in ("depthwise", "rows") else (False,):
                    yield product, function, factors, stored


@pytest.mark.parametrize("isa", ISAS)
def test_bytes_are_those_of_single_steps(isa: str) -> None:
    for case in cases():
        made = sample(*case)
        for threads in (1, 2):
            want = quaver.load(made.open, threads=threads, isa=isa)(made.x)[0]
            got = quaver.load(made.plain, threads=threads, isa=isa)(made.x)
            assert len(np.unique(want)) > 30, case
            np.testing.assert_array_equal(got, want, str(case))


@pytest.mark.parametrize("function", ["swish", "hard swish, affine", "affine"])
@pytest.mark.parametrize("product", ["window", "depthwise", "depthwise, odd", "rows"])
def test_products_in_float_do_so_too(product: str, function: str) -> None:
    made = sample(product, function, True, floats=True)
    model = quaver.load(made.plain)
    np.testing.assert_array_equal(model(made.x), quaver.load(made.open)(made.x)[0])
    assert any("QuantizeLinear 'bytes'" in step["note"] for step in report(model)["nodes"])


@pytest.mark.parametrize("function", ["swish", "hard swish, affine", "affine"])
@pytest.mark.parametrize(
    "product",
    [
        "window",
        "few channels",
        "pointwise",
        "groups",
        "depthwise",
        "depthwise, odd",
        "depthwise, steps",
        "depthwise, any window",
        "rows",
    ],
)
def test_one_step_does_it_all(product: str, function: str) -> None:
    steps = report(quaver.load(sample(product, function, True).plain))["nodes"]
    made = next(step for step in steps if step["node"] == "product" and step["macs"])
    assert "QuantizeLinear 'bytes'" in made["note"]
    assert made["outputs"][0]["dtype"] == "uint8"


def test_a_stored_result_goes_through_reals_in_one_step() -> None:
    steps = report(quaver.load(sample("depthwise", "swish", True, stored=True).plain))["nodes"]
    made = next(step for step in steps if step["op"] == "DequantizeLinear")
    assert "QuantizeLinear 'bytes'" in made["note"]
    assert made["inputs"][0]["dtype"] == made["outputs"][0]["dtype"] == "uint8"


def test_factors_that_no_scale_takes_stay() -> None:
    made = sample("window", "none", True)
    for init in made.plain.graph.initializer:
        if init.name == "m":
            array = onnx.numpy_helper.to_array(init).copy()
            array[3] *= -1
            init.CopyFrom(onnx.numpy_helper.from_array(array, "m"))
    model = quaver.load(made.plain)
    assert any(step["op"] == "Mul" for step in report(model)["nodes"])
    assert len(np.unique(model(made.x))) > 30
