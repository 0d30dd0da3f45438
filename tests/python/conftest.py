"""What the tests share: import paths, small models, and the shape of a run."""

from __future__ import annotations

import sys
from pathlib import Path

import hypothesis
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]

from quaver import _core  # noqa: E402

#: The instruction sets that this CPU has, the scalar definition first.
ISAS: list[str] = _core.info()["isas"]

hypothesis.settings.register_profile(
    "quaver",
    deadline=None,  # machines differ
    print_blob=True,  # a failure can be repeated from its log alone
)
hypothesis.settings.load_profile("quaver")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave slow tests out unless they are asked for."""
    if config.option.markexpr or any("::" in argument for argument in config.args):
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    items[:] = [item for item in items if item not in slow]
    if slow:
        config.hook.pytest_deselected(items=slow)


def make_two_inputs() -> onnx.ModelProto:
    """Build sum = a + b and difference = a - b over float [2, 3]."""
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3])
        for name in ("left", "right", "sum", "difference")
    ]
    nodes = [
        helper.make_node("Add", ["left", "right"], ["sum"]),
        helper.make_node("Sub", ["left", "right"], ["difference"]),
    ]
    graph = helper.make_graph(nodes, "two_inputs", ports[:2], ports[2:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def make_convolution(batch: int | str = 1) -> onnx.ModelProto:
    """Build a 3x3 convolution of 3 to 8 channels with Relu, then a product to 5 classes."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.standard_normal((8, 3, 3, 3)),
        "b": rng.standard_normal(8),
        "classes": rng.standard_normal((8, 5)),
    }
    nodes = [
        helper.make_node("Conv", ["image", "w", "b"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flatten"),
        helper.make_node("MatMul", ["f", "classes"], ["scores"], name="classify"),
    ]
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 3, 16, 16])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, 5])],
        [numpy_helper.from_array(array.astype(np.float32), k) for k, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def two_inputs() -> onnx.ModelProto:
    return make_two_inputs()


@pytest.fixture(scope="session")
def convolution() -> onnx.ModelProto:
    return make_convolution()


@pytest.fixture(scope="session")
def convolution_path(
    convolution: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("models") / "convolution.onnx"
    onnx.save(convolution, path)
    return path


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((1, 3, 16, 16)).astype(np.float32)
