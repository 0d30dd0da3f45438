"""Transformers: what becomes one node, that it computes the same, and that every ISA agrees."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import quaver
from conftest import ISAS
from quaver.inspect import report
from zoo.transformer import Encoder

HIDDEN, HEADS, LAYERS = 48, 3, 2
rng = np.random.default_rng(20261125)


def _parameters(name: str, shape: tuple[int, ...]) -> np.ndarray:
    random = np.random.default_rng(sum(name.encode()))
    scale, mean = (0.2, 1.0) if "norm" in name and name.endswith("weight") else (0.25, 0.0)
    return random.normal(mean, scale, shape).astype(np.float32)


@cache
def encoder(tokens: int | None = None) -> onnx.ModelProto:
    """Layers of attention, GELU and normalization, as PyTorch's exporter writes them."""
    net = Encoder("small", _parameters, hidden=HIDDEN, heads=HEADS, epsilon=1e-5)
    shape, mask = net.token_shape("x"), net.mask("attention_mask")
    x = "x"
    for i in range(LAYERS):
        own = [net.linear(x, f"{i}.{part}", HIDDEN, HIDDEN) for part in "qkv"]
        context = net.attention(own, shape, mask, f"{i}.attention")
        mixed = net.linear(context, f"{i}.out", HIDDEN, HIDDEN)
        x = net.layer_norm(net.node("Add", [mixed, x], f"{i}.added"), f"{i}.norm")
        inner = net.gelu(net.linear(x, f"{i}.up", HIDDEN, 4 * HIDDEN))
        outer = net.linear(inner, f"{i}.down", 4 * HIDDEN, HIDDEN)
        x = net.layer_norm(net.node("Add", [outer, x], f"{i}.sum"), f"{i}.last_norm")
    net.node("Identity", [x], "y")
    dims = ["N", "tokens"] if tokens is None else [2, tokens]
    inputs = [
        ("x", TensorProto.FLOAT, [*dims, HIDDEN]),
        ("attention_mask", TensorProto.INT64, dims),
    ]
    return net.model(inputs, ["y"])


def feed(batch: int, tokens: int, seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    mask = np.ones((batch, tokens), np.int64)
    mask[0, tokens // 2 + 1 :] = 0
    return {
        "x": random.normal(size=(batch, tokens, HIDDEN)).astype(np.float32),
        "attention_mask": mask,
    }


def peer(model: onnx.ModelProto, inputs: dict[str, np.ndarray]) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, inputs)[0]


def operators(model: quaver.Model, **shapes: tuple[int, ...]) -> list[str]:
    return [node["op"] for node in report(model, shapes=shapes)["nodes"]]


def close(got: np.ndarray, want: np.ndarray) -> None:
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


def test_any_number_of_tokens_without_reloading() -> None:
    loaded = quaver.load(encoder())
    for batch, tokens in ((1, 1), (2, 7), (1, 16), (3, 33), (2, 7)):
        inputs = feed(batch, tokens)
        close(loaded.run(inputs)["y"], peer(encoder(), inputs))


@pytest.mark.parametrize("tokens", [None, 9], ids=["open", "fixed"])
def test_a_layer_is_few_nodes(tokens: int | None) -> None:
    loaded = quaver.load(encoder(tokens))
    nodes = report(loaded, shapes={"x": (2, 9, HIDDEN), "attention_mask": (2, 9)})["nodes"]
    made = [node["op"] for node in nodes]
    assert sum("with Gelu" in node["note"] for node in nodes) == LAYERS
    assert made.count("Attention") == LAYERS
    assert made.count("LayerNormalization") == 2 * LAYERS
    assert not {"Softmax", "Transpose", "Erf", "ReduceMean", "Pow", "Gelu"} & set(made)
    assert made.count("MatMul") == 6 * LAYERS
    # With open sizes a sum of the input itself is not known to keep its shape.
    assert made.count("Add") <= (LAYERS if tokens is None else 0)


@cache
def quantized() -> onnx.ModelProto:
    samples = [feed(1, 12, seed) for seed in range(8)]
    return quaver.quantize(encoder(), samples, measure=False).model


def test_int8_is_the_same_on_every_isa() -> None:
    inputs = feed(2, 21, seed=3)
    answers = [quaver.load(quantized(), isa=isa).run(inputs)["y"] for isa in ISAS]
    threaded = quaver.load(quantized(), threads=3).run(inputs)["y"]
    for answer in [*answers, threaded]:
        np.testing.assert_array_equal(answer, answers[0])


def test_float_is_the_same_on_every_isa() -> None:
    inputs = feed(2, 21, seed=3)
    answers = [quaver.load(encoder(), isa=isa).run(inputs)["y"] for isa in ISAS]
    for answer in answers:
        np.testing.assert_array_equal(answer, answers[0])


def test_int8_is_near_the_float_model() -> None:
    inputs = feed(2, 21, seed=3)
    got, want = quaver.load(quantized()).run(inputs)["y"], peer(encoder(), inputs)
    assert (got * want).sum() / np.sqrt((got**2).sum() * (want**2).sum()) > 0.99


def attention(q: tuple[int, ...], scale: float, extra: str) -> tuple[onnx.ModelProto, list[str]]:
    """Scores, weights and their product, spelled in ways of several exporters."""
    batch, heads, tokens, depth = q
    constants = {
        "scale": np.array(scale, np.float32),
        "root": np.array(np.sqrt(scale), np.float32),
        "zero": np.array(0, np.float32),
        "bmm": np.array([batch * heads, tokens, depth]),
        "back": np.array([batch, heads, depth, tokens]),
    }
    node = helper.make_node
    nodes = {
        "turned late": [
            node("Mul", ["q", "scale"], ["qs"]),
            node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
            node("MatMul", ["qs", "kt"], ["scores"]),
        ],
        "both scaled, by way of bmm": [
            node("Reshape", ["k", "bmm"], ["k3"]),
            node("Transpose", ["k3"], ["kt3"], perm=[0, 2, 1]),
            node("Reshape", ["kt3", "back"], ["kt"]),
            node("Mul", ["q", "root"], ["qs"]),
            node("Mul", ["kt", "root"], ["ks"]),
            node("MatMul", ["qs", "ks"], ["scores"]),
        ],
    }[extra]
    nodes += [
        node("Add", ["mask", "scores"], ["masked"]),
        node("Softmax", ["masked"], ["p"], axis=-1),
        node("IsNaN", ["p"], ["lost"]),
        node("Where", ["lost", "zero", "p"], ["kept"]),
        node("MatMul", ["kept", "v"], ["y"]),
    ]
    float32 = TensorProto.FLOAT
    infos = [helper.make_tensor_value_info(name, float32, q) for name in "qkv"]
    infos.append(helper.make_tensor_value_info("mask", float32, [batch, 1, tokens, tokens]))
    graph = helper.make_graph(
        nodes,
        "attention",
        infos,
        [helper.make_tensor_value_info("y", float32, q)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("spelled", ["turned late", "both scaled, by way of bmm"])
def test_attention_of_other_exporters(spelled: str) -> None:
    shape = (2, 3, 19, 20)
    model = attention(shape, 0.17, spelled)
    inputs = {name: rng.normal(size=shape).astype(np.float32) for name in "qkv"}
    inputs["mask"] = np.where(rng.random((2, 1, 19, 19)) < 0.3, -np.inf, 0).astype(np.float32)
    inputs["mask"][0, 0, 4] = -np.inf  # a row that sees nothing gives 0
    loaded = quaver.load(model)
    assert operators(loaded).count("Attention") == 1
    assert "Softmax" not in operators(loaded)
    got = loaded.run(inputs)["y"]
    close(got, peer(model, inputs))
    assert not got[0, :, 4].any()


def test_weights_that_are_also_an_output_stay() -> None:
    model = attention((1, 2, 5, 4), 0.5, "turned late")
    model.graph.output.append(helper.make_tensor_value_info("p", TensorProto.FLOAT, [1, 2, 5, 5]))
    loaded = quaver.load(model)
    assert "Attention" not in operators(loaded)
    inputs = {name: rng.normal(size=(1, 2, 5, 4)).astype(np.float32) for name in "qkv"}
    inputs["mask"] = np.zeros((1, 1, 5, 5), np.float32)
    np.testing.assert_allclose(loaded.run(inputs)["p"].sum(axis=-1), 1, rtol=1e-5)


def test_a_normalization_of_another_mean_stays_in_pieces() -> None:
    node, float32 = helper.make_node, TensorProto.FLOAT
    nodes = [
        node("ReduceMean", ["x"], ["m"], axes=[-1]),
        node("ReduceMean", ["z"], ["other"], axes=[-1]),
        node("Sub", ["x", "m"], ["c"]),
        node("Sub", ["x", "other"], ["d"]),
        node("Mul", ["d", "d"], ["s"]),
        node("ReduceMean", ["s"], ["v"], axes=[-1]),
        node("Add", ["v", "e"], ["ve"]),
        node("Sqrt", ["ve"], ["r"]),
        node("Div", ["c", "r"], ["y"]),
    ]
    infos = [helper.make_tensor_value_info(name, float32, [4, 8]) for name in "xz"]
    graph = helper.make_graph(
        nodes,
        "g",
        infos,
        [helper.make_tensor_value_info("y", float32, [4, 8])],
        [numpy_helper.from_array(np.array(1e-5, np.float32), "e")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    inputs = {name: rng.normal(size=(4, 8)).astype(np.float32) for name in "xz"}
    loaded = quaver.load(model)
    assert "LayerNormalization" not in operators(loaded)
    close(loaded.run(inputs)["y"], peer(model, inputs))


MASKS = {
    "none": None,
    "rows": np.where(rng.random((5, 7)) < 0.4, -np.inf, 0).astype(np.float32),
    "heads": rng.normal(size=(2, 6, 5, 7)).astype(np.float32),
    "truth": rng.random((2, 1, 5, 7)) < 0.6,
}
MASKS["rows"][2] = -np.inf  # it sees nothing: its result is 0
MASKS["truth"][1, 0, 0] = False


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("flat", [False, True], ids=["apart", "flat"])
@pytest.mark.parametrize("heads", [6, 2], ids=["", "grouped"])
@pytest.mark.parametrize("attrs", [{}, {"is_causal": 1}, {"scale": 0.3}], ids=str)
def test_onnx_attention_is_one_step(
    mask: str, heads: int, attrs: dict[str, float], *, flat: bool
) -> None:
    """As ONNX's own function body spells it; q's six heads share those of k and v."""
    shapes = {"q": (2, 6, 5, 8), "k": (2, heads, 7, 8), "v": (2, heads, 7, 4)}
    feeds = {n: rng.normal(size=shape).astype(np.float32) for n, shape in shapes.items()}
    if flat:
        attrs = {**attrs, "q_num_heads": 6, "kv_num_heads": heads}
        feeds = {
            n: x.transpose(0, 2, 1, 3).reshape(2, x.shape[2], -1).copy() for n, x in feeds.items()
        }
    if MASKS[mask] is not None:
        feeds["mask"] = MASKS[mask]
    node = helper.make_node("Attention", [*feeds], ["y"], **attrs)
    ports = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for n, x in feeds.items()
    ]
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph([node], "net", ports, [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=10)
    loaded = quaver.load(model, fallback=None)
    (want,) = ReferenceEvaluator(model).run(None, feeds)
    np.testing.assert_allclose(loaded.run(feeds)["y"], want, rtol=1e-4, atol=2e-5)
    made = operators(loaded, **{n: x.shape for n, x in feeds.items()})
    assert made.count("Attention") == 1
    assert not {"Softmax", "MatMul", "Transpose", "Expand"} & set(made)


@pytest.mark.parametrize("spelled", ["pow", "products", "scaled inside"])
def test_gelu_by_tanh_is_one_step(spelled: str) -> None:
    """As PyTorch, JAX and Hugging Face spell x + 0.044715 x³, times the root of 2 / π."""
    constants = {"c": 0.044715, "root": np.sqrt(2 / np.pi), "half": 0.5, "one": 1.0, "three": 3.0}
    node = helper.make_node
    nodes = {
        "pow": [
            node("Pow", ["x", "three"], ["cube"]),
            node("Mul", ["cube", "c"], ["small"]),
            node("Add", ["x", "small"], ["sum"]),
            node("Mul", ["sum", "root"], ["inner"]),
        ],
        "products": [
            node("Mul", ["c", "x"], ["cx"]),
            node("Mul", ["x", "cx"], ["cxx"]),
            node("Mul", ["x", "cxx"], ["small"]),
            node("Add", ["x", "small"], ["sum"]),
            node("Mul", ["root", "sum"], ["inner"]),
        ],
        "scaled inside": [
            node("Mul", ["x", "root"], ["rx"]),
            node("Mul", ["x", "c"], ["cx"]),
            node("Mul", ["cx", "x"], ["cxx"]),
            node("Add", ["cxx", "one"], ["factor"]),
            node("Mul", ["rx", "factor"], ["inner"]),
        ],
    }[spelled]
    nodes += [
        node("Tanh", ["inner"], ["t"]),
        node("Add", ["one", "t"], ["gate"]),
        node("Mul", ["half", "gate"], ["g"]),
        node("Mul", ["x", "g"], ["y"]),
    ]
    float32 = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "gelu",
        [helper.make_tensor_value_info("x", float32, ["N", 12])],
        [helper.make_tensor_value_info("y", float32, ["N", 12])],
        [numpy_helper.from_array(np.array(c, np.float32), name) for name, c in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    inputs = {"x": rng.normal(size=(5, 12)).astype(np.float32)}
    loaded = quaver.load(model)
    assert operators(loaded, x=(5, 12)) == ["Gelu"]
    close(loaded.run(inputs)["y"], peer(model, inputs))


@pytest.mark.parametrize("spelled", ["OneHot", "Equal"])
def test_a_product_with_one_hot_rows_picks_rows(spelled: str) -> None:
    """Zeros where an index is none of the table's; the activation is computed for the table."""
    classes, width = 6, 4
    constants = {
        "w": rng.normal(size=(classes, width)).astype(np.float32),
        "b": rng.normal(size=(width,)).astype(np.float32),
        "depth": np.array(classes),
        "values": np.array([0, 1], np.float32),
        "last": np.array([-1]),
        "classes": np.arange(classes).reshape(1, 1, classes),
    }
    node = helper.make_node
    nodes = {
        "OneHot": [node("OneHot", ["x", "depth", "values"], ["hot"])],
        "Equal": [
            node("Unsqueeze", ["x", "last"], ["column"]),
            node("Equal", ["column", "classes"], ["equal"]),
            node("Cast", ["equal"], ["hot"], to=TensorProto.FLOAT),
        ],
    }[spelled]
    nodes += [
        node("MatMul", ["hot", "w"], ["product"]),
        node("Add", ["product", "b"], ["sum"]),
        node("Tanh", ["sum"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "one-hot",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["N", 9])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 9, width])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    loaded = quaver.load(model)
    made = operators(loaded, x=(2, 9))
    assert "Gather" in made
    assert not {"MatMul", "Equal", "Tanh"} & set(made)
    for x in ([[*range(6), 6, 7, 100]], [[-1, -2, -6, -7, -100, 0, 5, 3, 3], [0] * 9]):
        inputs = {"x": np.array(x, np.int64)}
        close(loaded.run(inputs)["y"], peer(model, inputs))
