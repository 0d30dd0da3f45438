"""Networks with operators that only the fallback has: Quaver with it, ONNX Runtime alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import quaver
from quaver import bench
from tables import record

ROUNDS, SECONDS = 9, 0.05
SLOWEST = 1.1  # of ONNX Runtime alone, noise included,
CALL_MS = 0.01  # or this much more, for what a call of ours is checked for in Python

Net = tuple[onnx.ModelProto, dict[str, np.ndarray]]


class Draft:
    """Nodes in a row, and their weights."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[onnx.TensorProto] = []
        self._rng = np.random.default_rng(0)

    def add(self, op: str, *inputs: str, domain: str = "", **attrs: object) -> str:
        """Add a node and give its output."""
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name, domain=domain, **attrs))
        return name

    def unfold(self, x: str, size: int) -> str:
        """What only the fallback has: a last axis of `size` becomes [1, size]."""
        return self.add("UnfoldTensor", x, domain="com.microsoft", dim=-1, size=size, step=size)

    def weights(self, *shape: int) -> str:
        """Add a constant."""
        array = self._rng.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))
        self.tensors.append(
            numpy_helper.from_array(array.astype(np.float32), f"w{len(self.tensors)}")
        )
        return self.tensors[-1].name

    def model(self, y: str, **inputs: tuple[int, ...]) -> Net:
        """The model that gives y, and its inputs."""
        kind = TensorProto.FLOAT
        ports = [helper.make_tensor_value_info(n, kind, shape) for n, shape in inputs.items()]
        result = helper.make_tensor_value_info(y, kind, None)
        graph = helper.make_graph(self.nodes, "net", ports, [result], self.tensors)
        imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        feeds = {n: self._rng.normal(size=s).astype(np.float32) for n, s in inputs.items()}
        return helper.make_model(graph, opset_imports=imports, ir_version=9), feeds


def layers(count: int, foreign_every: int, rows: int, width: int) -> Net:
    """Products and rectifiers, some of them followed by a foreign node."""
    net, y = Draft(), "x"
    for i in range(count):
        y = net.add("Relu", net.add("MatMul", y, net.weights(width, width)))
        if i % foreign_every == 0:
            y = net.add("ReduceMax", net.unfold(y, width), axes=[-2], keepdims=0)
    return net.model(y, x=(rows, width))


def aside(count: int, rows: int, width: int) -> Net:
    """Products and rectifiers, scaled by what foreign nodes make of another small input."""
    net, y = Draft(), "x"
    for i in range(count):
        y = net.add("Relu", net.add("MatMul", y, net.weights(width, width)))
        if i % 3 == 0:
            y = net.add("Mul", y, net.add("ReduceMean", net.unfold("e", 4), keepdims=0))
    return net.model(y, x=(rows, width), e=(4, 4))


def picture(channels: int, size: int) -> Net:
    """Convolutions with a foreign node in their middle and one at their end."""
    net = Draft()

    def block(x: str, inputs: int) -> str:
        weights = net.weights(channels, inputs, 3, 3)
        return net.add("Relu", net.add("Conv", x, weights, pads=[1, 1, 1, 1]))

    y = block(block("x", 3), channels)
    y = net.add("ReduceMean", net.unfold(y, size), axes=[-2], keepdims=0)
    y = net.unfold(net.add("GlobalAveragePool", block(block(y, channels), channels)), 1)
    return net.model(y, x=(1, 3, size, size))


NETS: dict[str, Callable[[], Net]] = {
    "12 layers of 512, 4 foreign": lambda: layers(12, 3, 64, 512),
    "12 layers of 512, 12 foreign": lambda: layers(12, 1, 64, 512),
    "12 layers of 512, 1 foreign": lambda: layers(12, 12, 64, 512),
    "12 layers of 32, 4 foreign": lambda: layers(12, 3, 1, 32),
    "12 layers of 32, 1 foreign": lambda: layers(12, 12, 1, 32),
    "12 layers of 512, 4 foreign aside": lambda: aside(12, 64, 512),
    "12 layers of 32, 4 foreign aside": lambda: aside(12, 1, 32),
    "4 convolutions of 32, 2 foreign": lambda: picture(32, 56),
    "4 convolutions of 16, 2 foreign": lambda: picture(16, 224),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", NETS)
def test_fallback(name: str, threads: int) -> None:
    model, feeds = NETS[name]()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    loaded = quaver.load(model, threads=threads)
    (got,) = loaded.run(feeds).values()
    (wanted,) = session.run(None, feeds)
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)
    stages = ", ".join(stage.runs.kind.partition(":")[0] for stage in loaded._core.stages)
    pair = [
        bench.Contender("quaver", quaver.__version__, threads, "fp32", lambda: loaded.run(feeds)),
        bench.Contender(
            *("onnxruntime", onnxruntime.__version__, threads, "fp32"),
            lambda: session.run(None, feeds),
        ),
    ]
    (results,) = bench._interleave([pair], ROUNDS, SECONDS)
    for one in results:
        ratio = "" if one.runtime == "quaver" else f"{one.ratio:.2f}"
        who = f"quaver: {stages}" if one.runtime == "quaver" else one.runtime
        cells = (f"{one.median_ms:.3f}", f"{one.p10_ms:.3f}", ratio)
        record("fallback", name, str(threads), who, *cells)
    ours, theirs = results
    small = ours.p10_ms - theirs.p10_ms <= CALL_MS
    assert small or theirs.ratio <= SLOWEST, f"{theirs.ratio:.2f} of ONNX Runtime's time: {stages}"
