"""How noise in a network's answers is heard."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper

from models import model_of
from quaver.quantize.answers import Answers, parts


def _node(op: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, inputs.split(), [output], f"{op}_{output}", **attributes)


_SPELLINGS = {
    "scores": [_node("Identity", "s", "y")],
    "softmax": [_node("Softmax", "s", "y")],
    "moved": [_node("Softmax", "s", "t"), _node("Unsqueeze", "t axis", "y")],
    "logarithm": [_node("LogSoftmax", "s", "y")],
    "pieces": [
        _node("Exp", "s", "e"),
        _node("ReduceSum", "e axis", "n"),
        _node("Div", "e n", "y"),
    ],
}


def _classifier(spelling: str, error: np.ndarray) -> onnx.ModelProto:
    """Scores with an error, and what they become."""
    nodes = [_node("Add", "x b", "s"), *_SPELLINGS[spelling]]
    constants = {"b": error.astype(np.float32), "axis": np.array([1])}
    return model_of(nodes, {"x": np.zeros((1, 4), np.float32)}, ["y"], constants)


def _noise(spelling: str, error: np.ndarray) -> float:
    feeds = [{"x": np.array([[1, 2, 3, -9]], np.float32)}]
    exact = Answers(_classifier(spelling, np.zeros(4)), feeds, "quaver")
    return exact.noise(_classifier(spelling, error))


@pytest.mark.parametrize("spelling", list(_SPELLINGS)[1:])
def test_probabilities_are_heard_as_such(spelling: str) -> None:
    """What a softmax does not hear is no noise, and all spellings of it say the same."""
    assert _noise(spelling, np.full(4, 0.1)) < 1e-10
    assert _noise("scores", np.full(4, 0.1)) > 1e-4
    error = np.array([0.1, 0, 0, 0])
    assert _noise(spelling, error) == pytest.approx(_noise("softmax", error), rel=1e-3)
    assert _noise(spelling, error) > 10 * _noise(spelling, error[::-1])


def test_half_of_it_is_close_to_a_quarter_of_the_divergence() -> None:
    scores, error = np.array([1.0, 2, 3, -9]), np.array([0.02, -0.01, 0, 0])
    p, q = (np.exp(s) / np.exp(s).sum() for s in (scores, scores + error))
    divergence = float((p * np.log(p / q)).sum())
    assert _noise("softmax", error) / 2 == pytest.approx(divergence / 4, rel=0.05)


def test_each_part_of_an_answer_is_heard_by_itself() -> None:
    """Small numbers beside large ones, in units of their own."""

    def model(error: float) -> onnx.ModelProto:
        nodes = [
            _node("Mul", "x large", "l"),
            _node("Mul", "x small", "s"),
            _node("Concat", "l s", "c", axis=1),
            _node("Transpose", "c", "y", perm=[1, 0]),
        ]
        constants = {"large": np.float32(1000), "small": np.float32(0.1 * (1 + error))}
        return model_of(nodes, {"x": np.ones((1, 4), np.float32)}, ["y"], constants)

    assert parts(model(0)) == ["l", "s"]
    feeds = [{"x": np.ones((1, 4), np.float32)}]
    assert Answers(model(0), feeds, "quaver").noise(model(0.1)) == pytest.approx(0.1**2 / 2, 1e-3)
