"""ONNX's backend interface, and its conformance suite through it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.backend.base import Backend, BackendRep

import backend_suite
import quaver
from quaver import backend

X = np.arange(6, dtype=np.float32).reshape(2, 3)


def tile_model() -> onnx.ModelProto:
    ports = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3]),
        helper.make_tensor_value_info("repeats", TensorProto.INT64, [2]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", "columns"]),
    ]
    nodes = [helper.make_node("Tile", ["x", "repeats"], ["y"])]
    graph = helper.make_graph(nodes, "tile", ports[:2], ports[2:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_it_is_a_backend() -> None:
    assert issubclass(backend.QuaverBackend, Backend)
    assert backend.supports_device("CPU")
    assert not backend.supports_device("CUDA")
    with pytest.raises(quaver.InputError, match="runs on the CPU"):
        backend.prepare(tile_model(), "CUDA")


def test_a_model_runs_with_its_inputs_open(two_inputs: onnx.ModelProto) -> None:
    prepared = backend.prepare(two_inputs)
    assert isinstance(prepared, BackendRep)
    total, difference = prepared.run([X, X + 1])
    np.testing.assert_array_equal(total, 2 * X + 1)
    np.testing.assert_array_equal(difference, -np.ones_like(X))
    assert prepared.bound == ()
    (named, _) = backend.run_model(two_inputs, {"left": X, "right": X})
    np.testing.assert_array_equal(named, 2 * X)
    with pytest.raises(quaver.InputError, match="missing input 'right'"):
        prepared.run([X])
    with pytest.raises(quaver.InputError, match="expected 2 inputs, got 3"):
        prepared.run([X, X, X])
    with pytest.raises(quaver.InputError, match="input 'left': expected the shape"):
        prepared.run([[X], X])


def test_what_decides_sizes_may_be_an_input() -> None:
    prepared = backend.prepare(tile_model())
    for repeats in ([2, 1], [1, 3]):
        (y,) = prepared.run([X, np.array(repeats)])
        np.testing.assert_array_equal(y, np.tile(X, repeats))
        assert prepared.bound == ()


def test_weights_that_are_inputs_are_bound_for_a_run() -> None:
    names = ["x", "scale", "bias", "mean", "variance"]
    x, ones = X.reshape(1, 2, 3), np.ones(2, np.float32)
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, 3] if name == "x" else [2])
        for name in names
    ]
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 3])
    node = helper.make_node("BatchNormalization", names, ["y"])
    graph = helper.make_graph([node], "norm", ports, [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    prepared = backend.prepare(model)
    (y,) = prepared.run([x, ones, 2 * ones, ones, ones])
    np.testing.assert_allclose(y, x + 1, rtol=1e-4)
    assert prepared.bound == tuple(names[1:])


def test_a_node_runs_alone() -> None:
    node = helper.make_node("Gemm", ["a", "b"], ["y"], transB=1)
    (y,) = backend.run_node(node, [X, X])
    np.testing.assert_allclose(y, X @ X.T)
    node = helper.make_node("Max", ["a", "b"], ["y"])
    (y,) = backend.run_node(node, [X, 3 - X], outputs_info=[(np.float32, (2, 3))])
    np.testing.assert_array_equal(y, np.maximum(X, 3 - X))


def test_what_cannot_run_says_why_it_cannot_with_open_inputs() -> None:
    domain = "ai.onnx.preview.training"
    node = helper.make_node("Gradient", ["x"], ["y"], domain=domain, xs=["x"], y="x")
    with pytest.raises(quaver.UnsupportedError, match="Gradient"):
        backend.run_node(node, [np.zeros(4, np.float32)], outputs_info=[(np.float32, (4,))])


def test_constants_take_the_place_of_inputs() -> None:
    model = quaver.load(tile_model(), constants={"repeats": np.array([1, 2])})
    assert [port.name for port in model.inputs] == ["x"]
    np.testing.assert_array_equal(model(X), np.tile(X, (1, 2)))


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"repeat": np.array([1, 2])}, "constant 'repeat': the model's inputs are 'x', 'repeats'"),
        ({"repeats": np.array([1.0, 2.0])}, "expected dtype int64, got float64"),
        ({"repeats": np.array([1])}, r"expected the shape \[2\], got \[1\]"),
    ],
)
def test_constants_must_fit(constants: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(quaver.InputError, match=message):
        quaver.load(tile_model(), constants=constants)


def test_a_compiled_model_takes_no_constants(two_inputs: onnx.ModelProto, tmp_path) -> None:
    quaver.load(two_inputs).save(tmp_path / "m.quaver")
    for source in (tmp_path / "m.quaver", (tmp_path / "m.quaver").read_bytes()):
        with pytest.raises(quaver.InputError, match="cannot be bound"):
            quaver.load(source, constants={"left": X})


@pytest.mark.slow
def test_the_suite_passes_as_the_page_says() -> None:
    outcomes = backend_suite.run_all()
    assert not [outcome.name for outcome in outcomes if outcome.reason == "ends the process"]
    assert backend_suite.TABLE.read_text() == backend_suite.report(outcomes)
