"""Noise in a network's answers, each heard in its own unit.

What a Concat puts together at the end is heard apart: boxes in pixels would drown the scores beside
them. Probabilities are heard in their square roots: half of the squared difference of these is
Hellinger's, a quarter of the Kullback-Leibler divergence where it is small. In the scores that a
softmax makes them of, noise that all classes share, or that is in classes far behind, is as loud as
what changes the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import onnx

from quaver.quantize.data import Feed
from quaver.quantize.engine import runner
from quaver.quantize.net import Array

_MOVES = frozenset(
    {
        "DequantizeLinear", "Expand", "Flatten", "Identity", "QuantizeLinear", "Reshape", "Squeeze",
        "Transpose", "Unsqueeze",
    }
)  # fmt: skip


class Answers:
    """What a model says to some samples, to compare others with that are made of it.

    Parameters
    ----------
    model
        In float.
    feeds
        The samples.
    engine
        What runs the model.
    """

    def __init__(self, model: onnx.ModelProto, feeds: Sequence[Feed], engine: str) -> None:
        self._feeds = feeds
        self._exact = list(_heard(model, feeds, engine))

    def noise(self, model: onnx.ModelProto) -> float:
        """The squared error of a model's answers over their power, the mean over their parts."""
        signal, noise = np.zeros(len(self._exact[0])), np.zeros(len(self._exact[0]))
        for one, other in zip(self._exact, _heard(model, self._feeds, "quaver"), strict=True):
            for i, (x, y) in enumerate(zip(one, other, strict=True)):
                signal[i] += (x * x).sum(dtype=np.float64)
                noise[i] += ((x - y) ** 2).sum(dtype=np.float64)
        loud = signal > 0
        return float((noise[loud] / signal[loud]).mean()) if loud.any() else 0.0


def parts(model: onnx.ModelProto) -> list[str]:
    """The tensors that a model's answers are put together of."""
    graph = _Graph(model)
    found = [name for port in model.graph.output for name in graph.parts(port.name)]
    return list(dict.fromkeys(found))


def _heard(model: onnx.ModelProto, feeds: Sequence[Feed], engine: str) -> Iterator[list[Array]]:
    """What is heard of each run."""
    graph, names = _Graph(model), parts(model)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    del changed.graph.output[:]
    known = {port.name: port for port in model.graph.output}
    for name in names:
        changed.graph.output.append(
            known.get(name)
            or onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        )
    run, powers = runner(changed, engine), [graph.power(name) for name in names]
    for feed in feeds:
        made = run(feed)
        yield [
            power(made[name])
            for name, power in zip(names, powers, strict=True)
            if made[name].dtype.kind == "f"
        ]


class _Graph:
    def __init__(self, model: onnx.ModelProto) -> None:
        self._makers = {name: node for node in model.graph.node for name in node.output}
        self._floats = {
            port.name
            for port in model.graph.output
            if port.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        }

    def parts(self, output: str) -> list[str]:
        """What a Concat at the end makes an output of; else the output."""
        node = self._maker(output)
        if node is None or node.op_type != "Concat" or output not in self._floats:
            return [output]
        return [name for name in node.input if name in self._makers] or [output]

    def power(self, name: str) -> Callable[[Array], Array]:
        """How a tensor is heard."""
        node = self._maker(name)
        if node is not None and node.op_type == "LogSoftmax":
            return lambda array: np.asarray(np.exp(array / 2))
        if node is not None and self._normalizes(node):
            return lambda array: np.asarray(np.sqrt(np.maximum(array, 0)))
        return lambda array: array

    def _normalizes(self, node: onnx.NodeProto) -> bool:
        """Whether a node is a softmax, or the last of those that spell it."""
        if node.op_type != "Div":
            return node.op_type == "Softmax"
        above, below = map(self._maker, node.input)
        return (
            above is not None
            and below is not None
            and (above.op_type, below.op_type) == ("Exp", "ReduceSum")
            and self._maker(below.input[0]) is above
        )

    def _maker(self, tensor: str) -> onnx.NodeProto | None:
        """What makes a tensor, before it is moved."""
        node = self._makers.get(tensor)
        while node is not None and node.op_type in _MOVES:
            node = self._makers.get(node.input[0])
        return node
