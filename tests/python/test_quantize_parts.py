"""The steps of the quantizer by themselves."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import onnx
import pytest
from hypothesis import given
from onnx import helper

import quaver
from models import model_of
from quaver.model import Port
from quaver.quantize import bias, data, equalize, ranges, weights
from quaver.quantize.calibrate import Statistics, calibrate
from quaver.quantize.engine import runner
from quaver.quantize.histogram import BINS, Histogram
from quaver.quantize.placement import place
from quaver.quantize.prepare import prepare
from quaver.quantize.ranges import METHODS, affine, choose, measured, through_bytes
from quaver.quantize.smooth import smooth, targets

FLOATS = st.floats(-1e6, 1e6, width=32)


def _histogram(*arrays: np.ndarray) -> Histogram:
    made = Histogram()
    for array in arrays:
        made.add(array)
    return made


def _same(a: Histogram, b: Histogram) -> bool:
    return (
        np.array_equal(a.counts, b.counts)
        and a.width == b.width
        and np.array_equal(a.centers(), b.centers())
        and (a.lo, a.hi, a.zeros) == (b.lo, b.hi, b.zeros)
    )


@given(st.lists(st.lists(FLOATS, min_size=1, max_size=20), min_size=1, max_size=6))
def test_histogram_of_a_stream_is_that_of_the_whole(parts: list[list[float]]) -> None:
    arrays = [np.array(part, np.float32) for part in parts]
    whole = _histogram(np.concatenate(arrays))
    assert _same(_histogram(*arrays), whole)
    assert _same(_histogram(*reversed(arrays)), whole)
    merged = Histogram()
    for array in arrays:
        merged.merge(_histogram(array))
    assert _same(merged, whole)


@given(st.lists(FLOATS, min_size=1, max_size=50))
def test_histogram_counts_each_value_in_its_bin(values: list[float]) -> None:
    made = _histogram(np.array(values, np.float32))
    other = [x for x in values if x != 0]
    assert made.zeros == len(values) - len(other)
    assert made.total == len(values)
    assert (made.lo, made.hi) == (min(values), max(values))
    counts = np.zeros(BINS, np.int64)
    for x in other:
        counts[int(np.argmin(np.abs(made.centers() - x)))] += 1
    distance = np.abs(np.subtract.outer(made.centers()[made.counts > 0], other))
    assert not other or distance.min(axis=1).max() <= made.width / 2
    assert made.counts.sum() == len(other)


def test_histogram_resolution() -> None:
    """The range takes more than half of the bins: no width was lost on the way."""
    rng = np.random.default_rng(0)
    made = _histogram(*(rng.normal(0, 10.0**k, 100) for k in range(-3, 4)))
    assert BINS / 2 < np.flatnonzero(made.counts)[-1] < BINS


@pytest.mark.parametrize("method", [*METHODS, "auto"])
@pytest.mark.parametrize(
    "values",
    [
        np.zeros(10),
        np.full(10, 3.5),
        np.full(10, -2.0),
        np.array([1e-40] * 5),
        np.array([3e38, -3e38]),
        np.arange(10.0),
    ],
    ids=["zeros", "constant", "negative", "denormal", "huge", "few"],
)
def test_ranges_are_safe(method: str, values: np.ndarray) -> None:
    chosen = choose(_histogram(values.astype(np.float32)), method)
    scale, zero = affine(chosen.lo, chosen.hi)
    assert chosen.lo <= 0 <= chosen.hi
    assert scale > 0
    assert np.isfinite(scale)
    assert 0 <= zero <= 255
    assert np.isfinite(chosen.error)


def test_ranges_of_an_outlier() -> None:
    """One value far out: minmax keeps it, the others cut it, auto takes the least error."""
    rng = np.random.default_rng(0)
    made = _histogram(np.append(rng.normal(0, 1, 1_000_000), 40.0).astype(np.float32))
    found = {method: choose(made, method) for method in (*METHODS, "auto")}
    assert found["minmax"].hi == 40.0
    assert found["minmax"].cut == 0.0
    for method in ("percentile", "mse", "entropy"):
        assert found[method].hi < 39
        assert found[method].cut > 0
    assert found["auto"].error == min(found[method].error for method in METHODS)
    assert found["mse"].error < 0.5 * found["minmax"].error


@pytest.mark.parametrize("hi", [1.0, 6.0, 20.0])
def test_measured_error(hi: float) -> None:
    """The error over the histogram is that of the values themselves."""
    x = np.random.default_rng(0).gamma(1.0, 2.0, 200_000).astype(np.float32)
    scale, zero = affine(0, hi)
    stored = np.clip(np.rint(x / scale) + zero, 0, 255)
    error = float((((stored - zero) * scale - x) ** 2).mean())
    assert measured(_histogram(x), 0, hi, "").error == pytest.approx(error, rel=0.05)


def test_zeros_cost_nothing() -> None:
    x = np.random.default_rng(0).gamma(1.0, 2.0, 1000).astype(np.float32)
    alone = measured(_histogram(x), 0, 5, "").error
    diluted = measured(_histogram(x, np.zeros(9000, np.float32)), 0, 5, "").error
    assert diluted == pytest.approx(alone / 10)


def test_weights() -> None:
    rng = np.random.default_rng(0)
    weight = rng.laplace(size=(6, 99, 3, 3)) * 10.0 ** np.arange(-3, 3)[:, None, None, None]
    weight[2] = 0
    weight = weight.astype(np.float32)
    plain = weights.quantize_weight(weight, 0, search=False)
    searched = weights.quantize_weight(weight, 0)
    assert plain.bytes.dtype == np.int8
    for made in (plain, searched):
        assert made.scale.shape == (6,)
        assert (made.scale > 0).all()
        assert not made.bytes[2].any()
        assert made.bytes.min() >= -127
    errors = [((made.reals() - weight) ** 2).sum(axis=(1, 2, 3)) for made in (plain, searched)]
    assert (errors[1] <= errors[0] * (1 + 1e-6)).all()
    assert (errors[1] < errors[0]).any()
    assert np.abs(plain.reals() - weight).max() <= plain.scale.max() / 2 * 1.001
    np.testing.assert_allclose(np.abs(plain.bytes).max(axis=(1, 2, 3))[[0, 1, 3, 4, 5]], 127)


def test_bias_fits() -> None:
    """A channel of zero weights with a large bias gets a scale that the bias fits."""
    weight, old = np.zeros((2, 3), np.float32), np.array([1e6, -1e-3], np.float32)
    made = weights.quantize_weight(weight, 0, least=weights.least_scale(old, 1e-3))
    stored, scale = weights.quantize_bias(old, np.float32(1e-3), made.scale)
    assert stored.dtype == np.int32
    np.testing.assert_allclose(stored * scale.astype(np.float64), old, rtol=1e-5)


def _net(*nodes: onnx.NodeProto, shape: tuple[int, ...] = (1, 4, 6, 6), **constants: np.ndarray):
    feed = {"x": np.zeros(shape, np.float32)}
    made = {k: np.asarray(v, np.float32) for k, v in constants.items()}
    return prepare(model_of(list(nodes), feed, [nodes[-1].output[0]], made))


def _node(op: str, inputs: str, output: str, **attrs: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], output, **attrs)


def _weight(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


NORM = {"g": np.array([1, -2, 3, 0.5]), "b": np.arange(4.0), "m": np.ones(4), "v": np.full(4, 2.0)}


@pytest.mark.parametrize(
    ("first", "w"),
    [
        (_node("Conv", "x w", "y", pads=[1, 1, 1, 1]), _weight(4, 4, 3, 3)),
        (_node("ConvTranspose", "x w", "y", strides=[2, 2]), _weight(4, 4, 2, 2)),
        (_node("Relu", "x", "y"), None),
    ],
    ids=["conv", "transposed", "alone"],
)
def test_batch_norm_is_folded(first: onnx.NodeProto, w: np.ndarray | None) -> None:
    nodes = [first, _node("BatchNormalization", "y g b m v", "z")]
    constants = {**NORM, **({} if w is None else {"w": w})}
    net = _net(*nodes, **constants)
    assert not any(node.op_type == "BatchNormalization" for node in net.nodes)
    x = _weight(1, 4, 6, 6, seed=1)
    feed = {"x": x}
    source = model_of(nodes, feed, ["z"], {k: np.float32(v) for k, v in constants.items()})
    np.testing.assert_allclose(quaver.load(net.proto())(x), quaver.load(source)(x), atol=1e-5)


def test_factors_of_gemm_are_folded() -> None:
    gemm = _node("Gemm", "x w c", "y", alpha=0.5, beta=2.0)
    constants = {"w": _weight(4, 3), "c": _weight(3)}
    net = _net(gemm, shape=(2, 4), **constants)
    x = _weight(2, 4, seed=1)
    expected = 0.5 * x @ constants["w"] + 2 * constants["c"]
    np.testing.assert_allclose(quaver.load(net.proto())(x), expected, atol=1e-5)
    assert not net.nodes[0].attribute


@pytest.mark.parametrize(
    ("first", "w", "shape"),
    [
        (_node("Conv", "x w", "y", pads=[1, 1, 1, 1]), _weight(4, 4, 3, 3), (4, 1, 1)),
        (_node("ConvTranspose", "x w", "y", strides=[2, 2]), _weight(4, 4, 2, 2), (1, 4, 1, 1)),
        (_node("Gemm", "x w", "y"), _weight(4, 4), (4,)),
    ],
    ids=["conv", "transposed", "gemm"],
)
def test_arithmetic_per_channel_is_folded(
    first: onnx.NodeProto, w: np.ndarray, shape: tuple[int, ...]
) -> None:
    nodes = [
        first,
        _node("Identity", "c", "same"),
        _node("Add", "same y", "a"),
        _node("Mul", "a two", "b"),
        _node("Sub", "two b", "d"),
        _node("Div", "d c", "e"),
    ]
    constants = {"w": w, "c": np.array([1, -2, 3, 0.5]).reshape(shape), "two": np.array(2.0)}
    x = _weight(*((2, 4) if w.ndim == 2 else (1, 4, 6, 6)), seed=1)
    net = _net(*nodes, shape=x.shape, **constants)
    assert [node.op_type for node in net.nodes] == [first.op_type]
    source = model_of(nodes, {"x": x}, ["e"], {k: np.float32(v) for k, v in constants.items()})
    np.testing.assert_allclose(quaver.load(net.proto())(x), quaver.load(source)(x), atol=1e-5)


def test_arithmetic_that_no_channel_holds_stays() -> None:
    nodes = [_node("Conv", "x w", "y"), _node("Add", "y c", "z")]
    net = _net(*nodes, w=_weight(4, 4, 1, 1), c=_weight(4, 6, 1))
    assert [node.op_type for node in net.nodes] == ["Conv", "Add"]


def test_placement_of_fused_activations() -> None:
    """A clip's input is not stored, nor what lies inside a function of one tensor."""
    net = _net(
        _node("Conv", "x w", "c"),
        _node("Relu", "c", "r"),
        _node("Conv", "r w2", "d"),
        _node("Sigmoid", "d", "s"),
        _node("Mul", "d s", "m"),
        _node("Conv", "m w2", "y"),
        w=_weight(4, 4, 1, 1),
        w2=_weight(4, 4, 1, 1),
    )
    assert place(net).tensors == ["x", "r", "d", "m"]
    assert place(net).sums == ["y"]


def test_placement_shares_scales() -> None:
    """Moves share; Concat shares with inputs that have no other use."""
    first, last = _node("Conv", "x v", "f"), _node("Conv", "y v", "z")
    net = _net(
        first,
        _node("Tanh", "f", "a"),
        _node("Sigmoid", "f", "b"),
        _node("Concat", "a b", "c", axis=1),
        _node("MaxPool", "c", "p", kernel_shape=[2, 2]),
        _node("Conv", "p w", "d"),
        _node("Add", "d d", "e"),
        _node("Mul", "b2 e", "y"),
        last,
        v=_weight(4, 4, 1, 1),
        w=_weight(4, 8, 1, 1),
        b2=np.full(1, -3.0),
    )
    group = place(net).group
    assert group["a"] == group["b"] == group["c"] == group["p"]
    assert len({group["f"], group["c"], group["d"], group["y"]}) == 4
    used_twice = _net(
        first,
        _node("Tanh", "f", "a"),
        _node("Sigmoid", "f", "b"),
        _node("Concat", "a b", "c", axis=1),
        _node("Conv", "c w", "d"),
        _node("Mul", "d a", "y"),
        last,
        v=_weight(4, 4, 1, 1),
        w=_weight(4, 8, 1, 1),
    )
    group = place(used_twice).group
    assert group["b"] == group["c"] != group["a"]


def test_placement_leaves_the_ends() -> None:
    """Before the first product and after the last nothing gains by bytes."""
    net = _net(
        _node("Tanh", "x", "t"),
        _node("Conv", "t w", "c"),
        _node("Relu", "c", "q"),
        _node("Sigmoid", "q", "r"),
        _node("Concat", "q r", "y", axis=1),
        w=_weight(4, 4, 1, 1),
    )
    placement = place(net)
    assert placement.nodes == {"c", "q"}
    assert placement.tensors == ["t", "q"]
    assert "no product comes before" in placement.floats["t"]
    assert {placement.floats[name] for name in "ry"} == {
        "no product follows that would gain by bytes"
    }
    assert place(net, ["c"]).floats["c"] == "asked for"
    with pytest.raises(quaver.InputError, match="no node 'nobody'"):
        place(net, ["nobody"])


def _centred(x: str) -> list[onnx.NodeProto]:
    """LayerNormalization of `x` with the constants g and b, as exporters spell it."""
    return [
        _node("ReduceMean", x, "mean", axes=[-1]),
        _node("Sub", f"{x} mean", "centred"),
        _node("Mul", "centred centred", "square"),
        _node("ReduceMean", "square", "variance", axes=[-1]),
        _node("Sqrt", "variance", "deviation"),
        _node("Div", "centred deviation", "unit"),
        _node("Mul", "unit g", "scaled"),
        _node("Add", "scaled b", "n"),
    ]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("op", ["LayerNormalization", "spelled"])
def test_smoothing_moves_outliers_into_weights(op: str, residual: bool) -> None:
    """The network computes the same, and the channels of what is stored are alike."""
    norm = [_node("LayerNormalization", "a g b", "n")]
    if op == "spelled":
        norm = _centred("a")
    rest = [_node("Transpose", "n", "t", perm=[0, 1, 2]), _node("MatMul", "t w2", "y")]
    if residual:
        rest += [_node("Add", "y n", "s"), _node("MatMul", "s w3", "z")]
    gain = _weight(4) + np.array([2, 100, 2, 2])
    net = _net(
        _node("MatMul", "x w", "a"),
        *norm,
        *rest,
        w=_weight(4, 4),
        w2=_weight(4, 4, seed=1),
        w3=_weight(4, 4, seed=2),
        g=gain,
        b=_weight(4),
        shape=(1, 6, 4),
    )
    feed = {"x": np.random.default_rng(0).standard_normal((1, 6, 4)).astype(np.float32)}
    before = runner(net.proto(), "quaver")(feed)
    found = targets(net)
    assert [target.tensor for target in found] == ["n"]
    report = smooth(net, found, calibrate(net, ["n"], [feed], total=1))
    assert report[0]["largest"] > 3
    after = runner(net.proto(), "quaver")(feed)
    for name, exact in before.items():
        np.testing.assert_allclose(after[name], exact, rtol=1e-3, atol=1e-3)
    placement = place(net)
    stored = next(name for name in placement.tensors if name not in ("x", "a"))
    values = runner(net.observed([stored]), "quaver")(feed)[stored]
    tops = np.abs(values).max(axis=(0, 1))
    assert tops.max() / tops.min() < 30
    assert {"a", "y"} <= placement.nodes


def test_smoothing_before_convolutions_of_single_channels() -> None:
    """Each has a scale of its own, so all of what one channel has more moves there."""
    net = _net(
        _node("Conv", "x w", "a"),
        _node("HardSwish", "a", "h"),
        _node("Conv", "h w2", "y", group=4),
        w=_weight(4, 4, 1, 1) * np.array([1, 20, 1, 1]).reshape(-1, 1, 1, 1),
        w2=_weight(4, 1, 3, 3, seed=1),
    )
    feed = {"x": np.random.default_rng(0).standard_normal((1, 4, 6, 6)).astype(np.float32)}
    before = runner(net.proto(), "quaver")(feed)["y"]
    found = targets(net, {"h"})
    assert [(target.tensor, target.axis) for target in found] == [("h", 1)]
    smooth(net, found, calibrate(net, ["h"], [feed], total=1))
    after = runner(net.observed(["y", "h/smoothed"]), "quaver")(feed)
    np.testing.assert_allclose(after["y"], before, rtol=1e-4, atol=1e-4)
    tops = np.abs(after["h/smoothed"]).max(axis=(0, 2, 3))
    np.testing.assert_allclose(tops, tops[0], rtol=1e-4)


def test_smoothing_balances_the_errors_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where few values are large more moves into weights, until results are exactest in bytes."""
    generator = np.random.default_rng(1)
    spread = np.geomspace(0.1, 30, 16)
    columns = generator.standard_normal((16, 16)) / np.sqrt(spread)
    constants = {"w": np.diag(spread)[..., None, None], "w2": columns[..., None, None]}
    feed = {"x": (generator.standard_normal((1, 16, 24, 24)) ** 5).astype(np.float32)}

    def error() -> float:
        nodes = (
            _node("Conv", "x w", "a"),
            _node("HardSwish", "a", "h"),
            _node("Conv", "h w2", "y"),
        )
        net = _net(*nodes, **constants, shape=(1, 16, 24, 24))
        exact = runner(net.proto(), "quaver")(feed)["y"]
        smooth(net, targets(net, {"h"}), calibrate(net, ["h"], [feed], total=1))
        read = runner(net.observed(["h/smoothed"]), "quaver")(feed)["h/smoothed"]
        stored = through_bytes(read, *affine(float(read.min()), float(read.max())))
        weight = weights.quantize_weight(net.weights["w2"], 0, search=False).reals()
        made = np.einsum("oi,nihw->nohw", weight[:, :, 0, 0], stored)
        return float(((made - exact) ** 2).sum())

    found = error()
    monkeypatch.setattr(import_module("quaver.quantize.smooth"), "_BALANCES", (0.5,))
    assert found < 0.85 * error()


@pytest.mark.parametrize("numbers", [1, 4])
def test_smoothing_takes_constants_of_channels(numbers: int) -> None:
    """With a scale and a shift a channel no node is added; one number for all stays that."""
    net = _net(
        _node("Conv", "x w", "a"),
        _node("HardSwish", "a", "h"),
        _node("Mul", "h g", "scaled"),
        _node("Add", "scaled b", "n"),
        _node("Conv", "n w2", "y"),
        w=_weight(4, 4, 1, 1) * np.array([1, 20, 1, 1]).reshape(-1, 1, 1, 1),
        g=np.full((numbers, 1, 1), 0.5, np.float32),
        b=np.full((numbers, 1, 1), 0.25, np.float32),
        w2=_weight(4, 4, 3, 3, seed=1),
    )
    feed = {"x": np.random.default_rng(0).standard_normal((1, 4, 6, 6)).astype(np.float32)}
    before, count = runner(net.proto(), "quaver")(feed)["y"], len(net.nodes)
    smooth(net, targets(net, {"n"}), calibrate(net, ["n"], [feed], total=1))
    assert len(net.nodes) == count + (numbers == 1)
    assert (len(np.unique(net.weights["g"])) > 1) == (numbers == 4)
    np.testing.assert_allclose(runner(net.proto(), "quaver")(feed)["y"], before, rtol=1e-4)


def test_subnormal_constants_become_zero() -> None:
    weight = _weight(4, 4)
    weight[1] = [1e-39, -1e-45, 1e-37, 0]
    net = _net(_node("MatMul", "x w", "y"), w=weight, shape=(1, 4))
    np.testing.assert_array_equal(net.weights["w"][1], np.float32([0, 0, 1e-37, 0]))
    np.testing.assert_array_equal(net.weights["w"][[0, 2, 3]], weight[[0, 2, 3]])


def test_range_before_a_function() -> None:
    """What a function flattens needs no steps."""

    def silu(x: np.ndarray) -> np.ndarray:
        return x / (1 + np.exp(-x))

    histogram = Histogram()
    histogram.add(np.linspace(-50, 10, 10_000).astype(np.float32))
    for cut in (True, False):
        found = ranges.choose_before(histogram, silu, cut=cut)
        assert -10 < found.lo < -2
        assert found.hi > 9
    assert found.hi == pytest.approx(10, abs=0.05)
    zeros = Histogram()
    zeros.add(np.zeros(3, np.float32))
    assert ranges.choose_before(zeros, silu, cut=True).lo == 0.0


@pytest.mark.parametrize("spelling", ["centred", "squares"])
def test_placement_of_normalizations(spelling: str) -> None:
    """However a LayerNorm is spelled, its inside is in float, and so is the sum it takes."""
    spelled = {
        "centred": _centred("s"),
        "squares": [
            _node("ReduceMean", "s", "mean", axes=[-1]),
            _node("Mul", "s s", "square"),
            _node("ReduceMean", "square", "squares", axes=[-1]),
            _node("Mul", "mean mean", "meant"),
            _node("Sub", "squares meant", "variance"),
            _node("Sqrt", "variance", "deviation"),
            _node("Sub", "s mean", "centred"),
            _node("Div", "centred deviation", "n"),
        ],
    }
    constants = {"w": _weight(4, 4), "g": _weight(4), "b": _weight(4)}
    nodes = [
        _node("MatMul", "x w", "a"),
        _node("MatMul", "x w", "c"),
        _node("Add", "a c", "s"),
        *spelled[spelling],
        _node("MatMul", "n w", "y"),
    ]
    net = _net(*nodes, **constants, shape=(1, 3, 4))
    placement = place(net)
    assert placement.nodes == {"a", "c", "y"}
    assert placement.tensors == ["x", "n"]
    assert placement.sums == ["a", "c", "y"]


def test_placement_takes_biases_along() -> None:
    net = _net(
        _node("MatMul", "x w", "m"),
        _node("Add", "b m", "n"),
        _node("Relu", "n", "r"),
        _node("MatMul", "r w", "y"),
        w=_weight(4, 4),
        b=_weight(4),
        shape=(1, 3, 4),
    )
    assert place(net).tensors == ["x", "r"]
    assert place(net).sums == ["y"]
    kept = place(net, ["m"])
    assert kept.nodes == {"y"}
    assert kept.tensors == ["r"]


def test_placement_of_a_head_that_weighs_nothing() -> None:
    """A product of no size that ends the network, as in detectors, stays in float with the end."""
    net = _net(
        _node("Conv", "x w", "c"),
        _node("Softmax", "c", "p", axis=1),
        _node("Conv", "p v", "y"),
        w=_weight(64, 64, 7, 7),
        v=_weight(1, 64, 1, 1),
        shape=(1, 64, 8, 8),
    )
    assert place(net).nodes == {"c"}


def _uneven(seed: int, *shape: int) -> np.ndarray:
    scale = 10.0 ** np.linspace(-2, 0, shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    return (_weight(*shape, seed=seed) * scale).astype(np.float32)


def test_equalization_changes_ranges_not_results() -> None:
    net = _net(
        _node("Conv", "x w1 b1", "a"),
        _node("Relu", "a", "r"),
        _node("Conv", "r w2", "d", group=8),
        _node("Clip", "d lo", "e"),
        _node("Conv", "e w3", "y"),
        w1=_uneven(0, 8, 4, 1, 1),
        b1=_uneven(1, 8),
        w2=_weight(8, 1, 3, 3),
        w3=_weight(4, 8, 1, 1),
        lo=np.array(0.0),
    )
    x = _weight(8, 1, 4, 6, 6, seed=3)
    feeds = [{"x": image} for image in x]
    before = quaver.load(net.proto())
    names = ["r", "e"]
    seen = calibrate(net, names, feeds, total=8)
    assert len(equalize.equalize(net, equalize.groups(net), seen)) == 2
    after = quaver.load(net.proto())
    for image in x:
        np.testing.assert_allclose(after(image), before(image), rtol=1e-4, atol=1e-5)
    tops = [s.channels["r"].hi for s in (seen, calibrate(net, names, feeds, total=8))]
    assert tops[1].max() / tops[1].min() < 0.2 * tops[0].max() / tops[0].min()


@pytest.mark.parametrize("op", ["Relu", "Sigmoid", "Clip"])
def test_equalization_leaves_what_it_must(op: str) -> None:
    """Only what lets every factor pass: neither a sigmoid nor a clip with an upper bound."""
    net = _net(
        _node("Conv", "x w", "a"),
        _node(op, "a lo hi" if op == "Clip" else "a", "s"),
        _node("Conv", "s w2", "y"),
        w=_weight(4, 4, 1, 1),
        w2=_weight(4, 4, 1, 1),
        lo=np.array(0.0),
        hi=np.array(6.0),
    )
    assert len(equalize.groups(net)) == (op == "Relu")


@pytest.mark.parametrize("group", [1, 2, 4])
def test_bias_shift(group: int) -> None:
    """It is the mean of what quantizing the weight adds."""
    w = _weight(4, 4 // group, 3, 3)
    net = _net(_node("Conv", "x w", "y", group=group), w=w)
    made = weights.quantize_weight(w, 0)
    mean = np.array([1.0, -2.0, 0.5, 3.0])
    x = np.broadcast_to(mean[None, :, None, None], (1, 4, 6, 6)).astype(np.float32)
    exact = quaver.load(net.proto())(x)
    net.weights["w"] = made.reals().astype(np.float32)
    change = (quaver.load(net.proto())(x) - exact)[0, :, 0, 0]
    net.weights["w"] = w
    np.testing.assert_allclose(
        bias.shift(net, net.nodes[0], made, mean, np.zeros_like(mean)), change, atol=1e-4
    )


def test_statistics_of_channels() -> None:
    x = _weight(2, 3, 4, 4)
    seen = Statistics()
    seen.add("x", x[:1], 1)
    seen.add("x", x[1:], 1)
    np.testing.assert_allclose(seen.channels["x"].mean, x.mean(axis=(0, 2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(seen.channels["x"].hi, x.max(axis=(0, 2, 3)))
    with pytest.raises(quaver.ModelError, match="NaN"):
        seen.add("x", np.full((1, 3, 1, 1), np.nan, np.float32), 1)


IMAGE = Port("x", np.dtype(np.float32), (1, 3, 2, 2))
OPEN = Port("x", np.dtype(np.float32), (None, 3, 2, 2))


def test_data_forms(tmp_path: Path) -> None:
    """Whatever the form, the same runs."""
    x = np.arange(60, dtype=np.float32).reshape(5, 3, 2, 2)
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    folder = tmp_path / "folder"
    folder.mkdir()
    for i, image in enumerate(x):
        np.save(folder / f"{i}.npy", image[None])
    forms = [x, {"x": x}, [x], list(x[:, None]), iter(x[:, None]), [{"x": i[None]} for i in x],
             tmp_path / "x.npy", str(tmp_path / "x.npz"), folder]  # fmt: skip
    for form in forms:
        runs = list(data.Samples(form, [IMAGE]))
        np.testing.assert_array_equal(np.concatenate([run["x"] for run in runs]), x)
        assert len(runs) == 5
    assert len(list(data.Samples(x, [OPEN]))) == 5
    assert len(list(data.Samples([x], [OPEN]))) == 1


GOOD = np.zeros((1, 3, 2, 2), np.float32)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([], "no data"),
        (GOOD[:0], "no data|shape"),
        ([GOOD.astype(np.float64)], r"sample 0: input 'x' is float64, the model takes float32"),
        ([GOOD, GOOD[0]], r"sample 1: .*shape \[3, 2, 2\], not \[1, 3, 2, 2\]; add the batch"),
        ([GOOD + np.nan], "sample 0: input 'x' has NaN"),
        ([{"y": GOOD}], "expected the inputs 'x', got 'y'"),
        ("absent.npz", "cannot read 'absent.npz'"),
        (__file__, "no .npy or .npz file"),
        (Path(__file__).parent, "has no .npy, .npz, .*.png files"),
    ],
)
def test_bad_data(bad: data.Data, words: str) -> None:
    with pytest.raises(quaver.Error, match=words):
        list(data.Samples(bad, [IMAGE]))


def test_kept_samples() -> None:
    """Those of a known number are chosen from all; of others the first."""
    x = np.arange(200, dtype=np.float32).reshape(-1, 1, 1, 1)
    port = Port("x", np.dtype(np.float32), (1, 1, 1, 1))
    for form, known in ((x, True), ([*x[:, None]], True), (iter(x[:, None]), False)):
        kept, rest = data.keep(data.Samples(form, [port]), seed=1)
        values = [int(feed["x"].item()) for feed in [*kept, *rest]]
        assert sorted(values) == list(range(200))
        assert len(kept) == 64
        assert (values[:64] == list(range(64))) != known
