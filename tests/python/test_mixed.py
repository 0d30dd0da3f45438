"""What costs a network most: it is found, gets another range, or returns to float."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import pytest
from onnx import helper

import quaver
from models import model_of
from quaver import inspect
from quaver.quantize import Result, cost
from quaver.quantize.answers import Answers
from quaver.quantize.calibrate import calibrate
from quaver.quantize.levels import Levels
from quaver.quantize.listening import Heard
from quaver.quantize.mixed import Mixer
from quaver.quantize.net import Net
from quaver.quantize.placement import Placement, place
from quaver.quantize.prepare import prepare

_LAYERS, _WIDTH = 36, 64


def _node(op: str, inputs: str, output: str) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], f"{op}_{output}")


def _chain(
    outlier: float,
    *,
    gated: bool = False,
    scaled: bool = False,
    layers: int = _LAYERS,
    width: int = _WIDTH,
) -> onnx.ModelProto:
    """Products and Relus; some channels of one are as much larger as the next makes them small.

    Gated, they meet another tensor before the next product; scaled, numbers of each channel.
    """
    rng = np.random.default_rng(0)
    nodes, constants, x = [], {}, "x"
    for i in range(layers):
        weight = rng.standard_normal((width, width)).astype(np.float32)
        constants[f"w{i}"] = weight / (0.75 * np.float32(width) ** 0.5)
        nodes += [_node("MatMul", f"{x} w{i}", f"p{i}"), _node("Relu", f"p{i}", f"r{i}")]
        x = f"r{i}"
        if gated and i == 5:
            nodes.append(_node("Mul", "r5 r4", x := "m5"))
        if scaled and i == 5:
            constants |= {"g": np.full(width, 0.5, "f"), "b": np.full(width, 0.25, "f")}
            nodes += [_node("Mul", "r5 g", "m5"), _node("Add", "m5 b", x := "a5")]
    constants["w5"][:, 7:10] *= outlier
    constants["w6"][7:10] /= outlier
    nodes.append(_node("MatMul", f"{x} w0", "y"))
    return model_of(nodes, {"x": np.zeros((1, width), np.float32)}, ["y"], constants)


def _inputs(count: int, seed: int = 0, width: int = _WIDTH) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, width)).astype(np.float32)


@cache
def _made(outlier: float, *, mixed: bool = True, smooth: bool = True) -> Result:
    options = {"mixed": mixed, "smooth": smooth}
    return quaver.quantize(_chain(outlier), _inputs(24), measure=False, **options)


def _noise(made: Result, outlier: float) -> float:
    exact, int8 = quaver.load(_chain(outlier)), quaver.load(made.model)
    pairs = [(exact(x[None]), int8(x[None])) for x in _inputs(24, seed=1)]
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return float(((a - b) ** 2).sum() / (a**2).sum())


def test_outliers_of_a_function_move_into_weights() -> None:
    """The function takes a product's sums in float; both products stay in int8."""
    made = _made(3000.0)
    first = made.report["mixed"][0]
    assert list(first["noise"]) == ["r5"]
    assert first["moved"] == ["Relu_r5"]
    floats = made.report["nodes"]["float"]
    assert set(floats) == {"Relu_r5", "r5/smooth"}
    assert "more than its time is worth" in floats["Relu_r5"]
    before = _made(3000.0, mixed=False)
    assert before.report["mixed"] is None
    assert before.report["nodes"]["float"] == {}
    assert _noise(made, 3000.0) < _noise(before, 3000.0) / 2
    onnx.checker.check_model(made.model, full_check=True)


def test_what_outliers_left_gets_a_range_anew() -> None:
    """Here the function's own constants take them out: the tensor keeps its name."""
    made, plain = (
        quaver.quantize(_chain(3000.0, scaled=True), _inputs(24), mixed=mixed, measure=False).report
        for mixed in (True, False)
    )
    assert made["mixed"][0]["moved"] == ["Add_a5"]
    assert made["tensors"]["a5"]["hi"] < plain["tensors"]["a5"]["hi"] / 10


def test_a_tensor_returns_to_float() -> None:
    """What makes and reads the outliers leaves int8, and no more."""
    made = quaver.quantize(_chain(3000.0, gated=True), _inputs(24), measure=False, smooth=False)
    tried = [item for found in made.report["mixed"] for item in found["returned"]]
    assert [item["part"] for item in tried if item["kept"]] == ["m5", "r5"]
    assert 0 < tried[0]["time"] < 0.2
    assert set(made.report["nodes"]["float"]) == {"Relu_r5", "Mul_m5", "MatMul_p6", "Relu_r6"}


def test_two_bytes_of_what_a_product_reads() -> None:
    """The product runs twice in int8, and its input is rounded to a 255th of a step.

    It is large enough for that to take less than float does.
    """
    chain, x = _chain(50.0, layers=24, width=256), _inputs(24, width=256)
    made, plain = (
        quaver.quantize(chain, x, mixed=mixed, smooth=False, measure=False)
        for mixed in (True, False)
    )
    assert not any(found["returned"] for found in made.report["mixed"])
    tried = [item for found in made.report["mixed"] for item in found["doubled"]]
    assert [(item["part"], item["nodes"]) for item in tried if item["kept"]] == [
        ("r5", ["MatMul_p6"])
    ]
    assert tried[0]["noise"] < made.report["mixed"][0]["total"] / 2
    answers = Answers(chain, [{"x": row[None]} for row in x], "quaver")
    assert answers.noise(made.model) < answers.noise(plain.model) / 2
    onnx.checker.check_model(made.model, full_check=True)
    plan = inspect.report(quaver.load(made.model))["nodes"]
    assert [n["int8"] for n in plan if n["node"] in ("MatMul_p6", "MatMul_p6/fine")] == [True] * 2


def test_two_bytes_of_what_makes_bytes() -> None:
    """A product of two bytes may give one; what it reads is all but exact."""
    nodes = [_node("Conv", "x w", "c"), _node("Sigmoid", "c", "y")]
    x = 100 * np.random.default_rng(0).standard_normal((1, 4, 6, 6)).astype(np.float32)
    w = np.random.default_rng(1).standard_normal((4, 4, 1, 1)).astype(np.float32) / 100
    net = prepare(model_of([*nodes, _node("Conv", "y w", "z")], {"x": x}, ["z"], {"w": w}))
    levels = Levels(net, engine="quaver", correct_bias=True, search_weights=True)
    placement = place(net, doubled={"Conv_c"})
    levels.observe(placement, calibrate(net, placement.tensors, [{"x": x}], total=1))
    levels.use(placement, "minmax")
    assert "c" in placement.tensors

    def error(doubled: frozenset[str]) -> float:
        stored = replace(placement, tensors=["x"], doubled=doubled)
        made = levels.write(stored, ())
        onnx.checker.check_model(made, full_check=True)
        return Answers(net.proto(), [{"x": x}], "quaver").noise(made)

    whole = levels.write(placement, placement.nodes)
    onnx.checker.check_model(whole, full_check=True)
    assert Answers(net.proto(), [{"x": x}], "quaver").noise(whole) < 1e-3
    assert error(placement.doubled) < error(frozenset()) / 1000


def _levelled(
    model: onnx.ModelProto, method: str
) -> tuple[Net, Placement, Levels, list[dict[str, np.ndarray]]]:
    """The network in int8, and what its ranges were chosen by."""
    net = prepare(model)
    feeds = [{"x": x[None]} for x in _inputs(8)]
    levels = Levels(net, engine="quaver", correct_bias=True, search_weights=True)
    placement = place(net)
    levels.observe(placement, calibrate(net, placement.tensors, feeds, total=len(feeds)))
    levels.use(placement, method)
    return net, placement, levels, feeds


def test_what_did_not_change_is_heard_once() -> None:
    """The same parts are found as by listening anew, with fewer measurements."""
    net, placement, levels, feeds = _levelled(_chain(30.0), "minmax")
    answers = _Counting(net.proto(), feeds, "quaver")

    def listen(before: list[Heard]) -> tuple[Mixer, int]:
        made, start = (
            Mixer(net, placement, levels, feeds, answers=answers, others=answers),
            answers.count,
        )
        made.listen(before)
        return made, answers.count - start

    first, _ = listen([])
    levels.take(placement, "r20", levels.choices(placement, "r20")[-1])
    again, few = listen(first.heard)
    anew, many = listen([])
    assert again.found == anew.found
    assert again.total == anew.total
    assert few < many


class _Counting(Answers):
    count = 0

    def noise(self, model: onnx.ModelProto) -> float:
        self.count += 1
        return super().noise(model)


def test_noise_spread_evenly_leaves_all_in_int8() -> None:
    assert _made(1.0).report["nodes"]["float"] == {}


def test_ranges_by_what_they_do_to_the_outputs() -> None:
    """Large values that nothing depends on are cut, as no error of the tensor itself tells."""
    model = _chain(1.0)
    weights = {t.name: t for t in model.graph.initializer}
    for name, change in (("w5", np.s_[:, :4]), ("w6", np.s_[:4])):
        array = onnx.numpy_helper.to_array(weights[name]).copy()
        array[change] *= 40 if name == "w5" else 0
        weights[name].CopyFrom(onnx.numpy_helper.from_array(array, name))
    net, placement, levels, feeds = _levelled(model, "auto")
    answers = Answers(net.proto(), feeds, "quaver")
    mixer = Mixer(net, placement, levels, feeds, answers=answers, others=answers)
    mixer.listen()
    before = levels.ranges["r5"].hi
    assert mixer.refit()
    noise = mixer.refitted["r5"]["noise"]
    assert noise[1] < noise[0]
    assert levels.ranges["r5"].hi < before
    forced = quaver.quantize(model, _inputs(24), method="minmax", smooth=False, measure=False)
    assert all(found["refitted"] == {} for found in forced.report["mixed"])


def test_a_product_leaves_its_sums_to_what_is_in_float() -> None:
    """In int8, its result not: what it makes is no more rounded than its weights are."""
    made = _made(1.0)
    facts = inspect.report(quaver.load(made.model))
    last = next(n for n in facts["nodes"] if n["node"] == "MatMul_y")
    assert last["int8"]
    assert last["outputs"][0]["dtype"] == "float32"
    assert "y" not in made.report["tensors"]


@pytest.mark.parametrize("op", ["Conv", "Gemm"])
def test_an_estimate_of_time(op: str) -> None:
    """Multiplications times a rate, and the border's elements; open sizes come from the inputs."""
    shapes = {"Conv": ((2, 3, 8, 8), (5, 3, 3, 3)), "Gemm": ((4, 16), (16, 5))}
    x, w = (np.ones(shape, np.float32) for shape in shapes[op])
    model = model_of([_node(op, "x w", "y")], {"x": x}, ["y"], {"w": w})
    for port in (*model.graph.input, *model.graph.output):
        port.type.tensor_type.shape.dim[0].dim_param = "N"
    net = prepare(model)
    elements = cost.sizes(net, {"x": x}, "quaver")
    made = {"Conv": 2 * 5 * 6 * 6, "Gemm": 4 * 5}[op]
    assert elements == {"x": x.size, "y": made}
    assert cost.macs(net, net.nodes[0], elements) == made * {"Conv": 27, "Gemm": 16}[op]
    in_float = cost.estimate(net, place(net, [f"{op}_y"]), elements)
    assert in_float > cost.estimate(net, place(net), elements) > 0
