"""Write transformer encoders as ONNX graphs, in the operators that PyTorch's exporter leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from zoo.graph import FloatArray, ParameterSource

_OPSET = 14  # the exporter's default for years: layer normalization comes in pieces
_IR_VERSION = 8
_MASKED = np.finfo(np.float32).min


class Seeded:
    """Parameters drawn from a seed, at the scale that training starts from.

    Parameters
    ----------
    hidden
        Width of a token.
    """

    def __init__(self, hidden: int) -> None:
        self._hidden = hidden
        self._random = np.random.default_rng(0)

    def __call__(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """Draw one parameter."""
        if "norm" in name.lower() and name.endswith(".weight"):
            return self._random.uniform(0.7, 1.3, shape).astype(np.float32)
        fan_in = int(np.prod(shape[1:])) or 1
        table = "embeddings" in name or len(shape) == 1 or shape[0] == 1
        spread = 0.05 if table else fan_in**-0.5
        return self._random.normal(0, spread, shape).astype(np.float32)


class Encoder:
    """A transformer under construction; what is added is named by its output.

    Parameters
    ----------
    name
        Of the graph.
    parameters
        Where the weights come from.
    hidden, heads
        Width of a token, and into how many heads attention parts it.
    epsilon
        Added to variances in layer normalization.
    """

    def __init__(
        self, name: str, parameters: ParameterSource, *, hidden: int, heads: int, epsilon: float
    ) -> None:
        self._name, self._parameters = name, parameters
        self.hidden, self._heads, self._epsilon = hidden, heads, epsilon
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}

    def node(self, operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node of one output."""
        self._nodes.append(
            helper.make_node(operator, list(inputs), [output], name=output, **attributes)
        )
        return output

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        """Add a constant, once."""
        if name not in self._initializers:
            array = np.ascontiguousarray(np.asarray(value, dtype))
            self._initializers[name] = numpy_helper.from_array(array.reshape(np.shape(value)), name)
        return name

    def parameter(self, name: str, *shape: int) -> str:
        """Add a weight of the network."""
        return self.constant(name, self._parameters(name, shape))

    def linear(self, x: str, name: str, inner: int, outer: int) -> str:
        """Multiply by a weight [outer, inner], and add a bias."""
        weight = self._parameters(f"{name}.weight", (outer, inner)).T
        product = self.node("MatMul", [x, self.constant(f"{name}.weight.T", weight)], f"{name}/mul")
        return self.node("Add", [self.parameter(f"{name}.bias", outer), product], name)

    def layer_norm(self, x: str, name: str) -> str:
        """Normalize each token."""
        mean = self.node("ReduceMean", [x], f"{name}/mean", axes=[-1])
        centred = self.node("Sub", [x, mean], f"{name}/centred")
        squared = self.node("Pow", [centred, self.constant("two", 2.0)], f"{name}/squared")
        variance = self.node("ReduceMean", [squared], f"{name}/variance", axes=[-1])
        epsilon = self.constant("epsilon", self._epsilon)
        shifted = self.node("Add", [variance, epsilon], f"{name}/shifted")
        root = self.node("Sqrt", [shifted], f"{name}/root")
        unit = self.node("Div", [centred, root], f"{name}/unit")
        scaled = self.node(
            "Mul", [unit, self.parameter(f"{name}.weight", self.hidden)], f"{name}/scaled"
        )
        return self.node("Add", [scaled, self.parameter(f"{name}.bias", self.hidden)], name)

    def gelu(self, x: str) -> str:
        """Apply x · Φ(x), by erf."""
        root = self.constant("root_two", np.sqrt(2.0))
        erf = self.node("Erf", [self.node("Div", [x, root], f"{x}/over_root")], f"{x}/erf")
        shifted = self.node("Add", [erf, self.constant("one", 1.0)], f"{x}/shifted")
        product = self.node("Mul", [x, shifted], f"{x}/product")
        return self.node("Mul", [product, self.constant("half", 0.5)], f"{x}/gelu")

    def attention(self, qkv: Sequence[str], shape: str, mask: str | None, name: str) -> str:
        """Let tokens attend to each other; queries, keys and values are [batch, tokens, hidden].

        `shape` names a tensor of [batch, tokens]; `mask` is added to the scores.
        """
        size = self.hidden // self._heads
        apart = self.constant("heads", [self._heads, size], np.int64)
        together = self.constant("hidden", [self.hidden], np.int64)
        split = self.node("Concat", [shape, apart], f"{name}/split", axis=0)
        heads = []
        for part, perm in zip(qkv, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True):
            view = self.node("Reshape", [part, split], f"{part}/view")
            heads.append(self.node("Transpose", [view], f"{part}/heads", perm=perm))
        scores = self.node("MatMul", heads[:2], f"{name}/scores")
        scores = self.node(
            "Div", [scores, self.constant("root_size", np.sqrt(size))], f"{name}/scaled"
        )
        if mask:
            scores = self.node("Add", [scores, mask], f"{name}/masked")
        weights = self.node("Softmax", [scores], f"{name}/weights", axis=-1)
        mixed = self.node("MatMul", [weights, heads[2]], f"{name}/mixed")
        tokens = self.node("Transpose", [mixed], f"{name}/tokens", perm=[0, 2, 1, 3])
        joined = self.node("Concat", [shape, together], f"{name}/join", axis=0)
        return self.node("Reshape", [tokens, joined], f"{name}/context")

    def token_shape(self, x: str) -> str:
        """The first two dimensions of a tensor."""
        shape = self.node("Shape", [x], f"{x}/shape")
        bounds = [self.constant(f"ints_{i}", [i], np.int64) for i in (0, 2)]
        return self.node("Slice", [shape, *bounds], f"{x}/tokens")

    def mask(self, attention_mask: str) -> str:
        """From 1 and 0 for each token to what is added to scores."""
        axes = self.constant("mask_axes", [1, 2], np.int64)
        spread = self.node("Unsqueeze", [attention_mask, axes], "mask/spread")
        real = self.node("Cast", [spread], "mask/real", to=TensorProto.FLOAT)
        hidden = self.node("Sub", [self.constant("one", 1.0), real], "mask/hidden")
        return self.node("Mul", [hidden, self.constant("masked", _MASKED)], "mask")

    def model(
        self, inputs: Sequence[tuple[str, int, Sequence[Any]]], outputs: Sequence[str]
    ) -> onnx.ModelProto:
        """End the network; `inputs` are names, element types and shapes."""
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [helper.make_tensor_value_info(*given) for given in inputs],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            list(self._initializers.values()),
        )
        model = helper.make_model(
            graph,
            producer_name="quaver-zoo",
            ir_version=_IR_VERSION,
            opset_imports=[helper.make_opsetid("", _OPSET)],
        )
        model = onnx.shape_inference.infer_shapes(model, data_prop=True)
        onnx.checker.check_model(model, full_check=True)
        return model
