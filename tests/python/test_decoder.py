"""A language model as it is exported for generation: int4 weights, grouped attention, a past."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import quaver
from quaver.inspect import report
from recorder import peer

HEADS, SHARED, SIZE, HIDDEN, LAYERS, WORDS = 4, 2, 16, 64, 2, 96
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


class _Decoder:
    """The graph under construction."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(7)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, np.ndarray] = {}

    def node(self, op: str, inputs: list[str], *outputs: str, ours: bool = True, **attrs) -> str:
        domain = "com.microsoft" if ours else ""
        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **attrs))
        return outputs[0]

    def linear(self, x: str, n: int, k: int, name: str) -> str:
        packed = self.random.integers(0, 256, (n, k // 32, 16)).astype(np.uint8)
        self.tensors[f"{name}/w"] = packed
        scales = self.random.uniform(0.002, 0.02, n * k // 32)
        self.tensors[f"{name}/s"] = scales.astype(np.float32)
        inputs = [x, f"{name}/w", f"{name}/s"]
        return self.node("MatMulNBits", inputs, name, K=k, N=n, bits=4, block_size=32)

    def counts(self) -> None:
        """How many tokens there are, from the mask."""
        self.tensors |= {"one": np.array([1]), "first": np.array(1)}
        self.node("ReduceSum", ["attention_mask", "one"], "count", ours=False)
        self.node("Sub", ["count", "one"], "last", ours=False)
        self.node("Cast", ["last"], "lengths", ours=False, to=TensorProto.INT32)
        self.node("Shape", ["attention_mask"], "shape", ours=False)
        self.node("Gather", ["shape", "first"], "most", ours=False)
        self.node("Cast", ["most"], "total", ours=False, to=TensorProto.INT32)

    def layer(self, i: int, x: str, h: str) -> tuple[str, str]:
        q = self.linear(x, HEADS * SIZE, HIDDEN, f"q{i}")
        k, v = (self.linear(x, SHARED * SIZE, HIDDEN, f"{part}{i}") for part in "kv")
        inputs = [q, k, v, f"past.k{i}", f"past.v{i}", "lengths", "total", "cos", "sin"]
        outputs = (f"mixed{i}", f"present.k{i}", f"present.v{i}")
        counts = {"num_heads": HEADS, "kv_num_heads": SHARED}
        self.node("GroupQueryAttention", inputs, *outputs, do_rotary=1, **counts)
        out = self.linear(f"mixed{i}", HIDDEN, HEADS * SIZE, f"out{i}")
        norm = "SkipSimplifiedLayerNormalization"
        x = self.node(norm, [h, out, "g"], f"n{i}", "", "", f"h{i}")
        up = self.linear(x, 2 * HIDDEN, HIDDEN, f"up{i}")
        gate = self.node("Sigmoid", [up], f"gate{i}", ours=False)
        down = self.linear(
            self.node("Mul", [up, gate], f"inner{i}", ours=False), HIDDEN, 2 * HIDDEN, f"down{i}"
        )
        return self.node(norm, [f"h{i}", down, "g"], f"x{i}", "", "", f"sum{i}"), f"sum{i}"


def decoder() -> onnx.ModelProto:
    net = _Decoder()
    angles = np.outer(np.arange(32), 10000 ** -np.linspace(0, 1, SIZE // 2, endpoint=False))
    net.tensors |= {
        "words": net.random.normal(size=(WORDS, HIDDEN)).astype(np.float32),
        "g": net.random.uniform(0.5, 1.5, HIDDEN).astype(np.float32),
        "cos": np.cos(angles).astype(np.float32),
        "sin": np.sin(angles).astype(np.float32),
    }
    net.counts()
    h = net.node("Gather", ["words", "input_ids"], "h", ours=False)
    x = net.node("SimplifiedLayerNormalization", [h, "g"], "x", ours=False, axis=-1)
    for i in range(LAYERS):
        x, h = net.layer(i, x, h)
    net.linear(x, WORDS, HIDDEN, "logits")
    port = helper.make_tensor_value_info
    inputs = [port("input_ids", INT64, ["b", "new"]), port("attention_mask", INT64, ["b", "all"])]
    outputs = [port("logits", FLOAT, ["b", "new", WORDS])]
    for i in range(LAYERS):
        for part in "kv":
            inputs.append(port(f"past.{part}{i}", FLOAT, ["b", SHARED, "old", SIZE]))
            outputs.append(port(f"present.{part}{i}", FLOAT, ["b", SHARED, "all", SIZE]))
    tensors = [numpy_helper.from_array(array, name) for name, array in net.tensors.items()]
    graph = helper.make_graph(net.nodes, "decoder", inputs, outputs, tensors)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def test_tokens_one_after_another() -> None:
    model = decoder()
    loaded = quaver.load(model, fallback=None)
    names = [f"{part}{i}" for i in range(LAYERS) for part in "kv"]
    past = {f"past.{name}": np.zeros((1, SHARED, 0, SIZE), np.float32) for name in names}
    words = np.random.default_rng(1).integers(0, WORDS, (1, 7))
    for count in range(7, 12):
        feeds = {"input_ids": words, "attention_mask": np.ones((1, count), np.int64), **past}
        got = loaded.run(feeds)
        for want, (name, array) in zip(peer(model, feeds), got.items(), strict=True):
            np.testing.assert_allclose(array, want, rtol=1e-4, atol=1e-4, err_msg=name)
        words = got["logits"][:, -1:].argmax(axis=-1)
        past = {f"past.{name}": got[f"present.{name}"] for name in names}
    shapes = {name: array.shape for name, array in feeds.items()}
    steps = [step["op"] for step in report(loaded, shapes=shapes)["nodes"]]  # one native graph
    assert steps.count("Attention") == LAYERS
    assert steps.count("MatMulIntegerToFloat") == 6 * LAYERS + 1
