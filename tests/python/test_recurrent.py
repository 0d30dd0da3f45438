"""LSTM, GRU and RNN against ONNX Runtime, and to the bit between instruction sets and threads."""

from __future__ import annotations

import itertools

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import quaver
from quaver import _core
from recorder import peer
from test_operators import normal

STEPS, BATCH, FEATURES = 5, 3, 7
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def layer(
    op: str,
    hidden: int = 9,
    *,
    direction: str = "forward",
    lengths: bool = False,
    states: bool = False,
    constant: bool = True,
    **attrs,
) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A model of one layer, and what it takes."""
    directions = 2 if direction == "bidirectional" else 1
    rows = GATES[op] * hidden
    feeds = {"x": normal(STEPS, BATCH, FEATURES)}
    weights = {
        "w": normal(directions, rows, FEATURES, scale=0.5),
        "r": normal(directions, rows, hidden, scale=0.5),
        "b": normal(directions, 2 * rows, scale=0.5),
    }
    names = ["x", "w", "r", "b", "", "", ""]
    if lengths:
        feeds["n"] = np.array([5, 2, 3], np.int32)
        names[4] = "n"
    if states:
        feeds["h"] = normal(directions, BATCH, hidden)
        names[5] = "h"
        if op == "LSTM":
            feeds["c"] = normal(directions, BATCH, hidden)
            weights["p"] = normal(directions, 3 * hidden)
            names[6:] = ["c", "p"]
    while not names[-1]:
        names.pop()
    outputs = ["y", "y_h", "y_c"][: 3 if op == "LSTM" else 2]
    attrs |= {"hidden_size": hidden, "direction": direction}
    node = helper.make_node(op, names, outputs, "layer", **attrs)
    if not constant:
        feeds |= weights
    graph = helper.make_graph(
        [node],
        "net",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in feeds.items()
        ],
        [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in outputs],
        [] if not constant else [numpy_helper.from_array(a, n) for n, a in weights.items()],
    )
    opset = helper.make_opsetid("", 21)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10), feeds


def check(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> None:
    got = quaver.load(model, threads=2, fallback=None).run(feeds)
    for array, want in zip(got.values(), peer(model, feeds), strict=True):
        np.testing.assert_allclose(array, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op", GATES)
def test_directions(op: str, direction: str) -> None:
    check(*layer(op, direction=direction))


@pytest.mark.parametrize("op", GATES)
def test_lengths_states_and_weights_at_run_time(op: str) -> None:
    for lengths, states in itertools.product((False, True), repeat=2):
        model, feeds = layer(op, lengths=lengths, states=states, direction="bidirectional")
        check(model, feeds)
    check(*layer(op, hidden=33, states=True, constant=False))


def test_gru_variants() -> None:
    check(*layer("GRU", linear_before_reset=1, direction="bidirectional"))
    check(*layer("GRU", clip=0.3))


def test_activations() -> None:
    check(*layer("RNN", activations=["Affine"], activation_alpha=[0.5], activation_beta=[0.1]))
    check(*layer("RNN", activations=["LeakyRelu"], activation_alpha=[0.2]))
    check(*layer("LSTM", activations=["HardSigmoid", "Softsign", "Relu"]))
    check(*layer("GRU", activations=["Sigmoid", "Elu"], activation_alpha=[0.7]))
    model, _ = layer("RNN", activations=["Wave"])
    with pytest.raises(quaver.UnsupportedError, match="no activation 'Wave'"):
        quaver.load(model, fallback=None)


@pytest.mark.parametrize("op", GATES)
def test_bits_do_not_depend_on_the_machine(op: str) -> None:
    model, feeds = layer(op, hidden=37, lengths=True, states=True)
    answers = [
        quaver.load(model, isa=isa, threads=threads).run(feeds)
        for isa, threads in itertools.product(_core.info()["isas"], (1, 2))
    ]
    for answer in answers[1:]:
        for name, array in answer.items():
            np.testing.assert_array_equal(array, answers[0][name])


def test_wrong_shapes_are_named() -> None:
    model, _ = layer("LSTM")
    for tensor in model.graph.initializer:
        if tensor.name == "r":
            tensor.CopyFrom(numpy_helper.from_array(normal(1, 36, 8), "r"))
    with pytest.raises(quaver.ModelError, match="LSTM 'layer'"):
        quaver.load(model, fallback=None)
