"""Where noise in a network's answers is heard."""

from __future__ import annotations

import onnx

_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_PASSED = frozenset(
    {
        "Add", "DequantizeLinear", "Flatten", "Identity", "QuantizeLinear", "Reshape", "Squeeze",
        "Transpose", "Unsqueeze",
    }
)  # fmt: skip


def audible(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give a model what a softmax at its end takes, in place of what that makes.

    Sure answers are all but 0 and 1, whatever the noise in what they are made of.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = _Graph(model)
    for port in changed.graph.output:
        scores = graph.scores(port.name)
        if scores is not None:
            port.name = scores
            port.type.tensor_type.ClearField("shape")
    return changed


class _Graph:
    def __init__(self, model: onnx.ModelProto) -> None:
        self._made = {name: node for node in model.graph.node for name in node.output}
        self._users: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node)

    def scores(self, output: str) -> str | None:
        """What a softmax, in one or in several operators, makes this output of; None if none."""
        products: dict[str, onnx.NodeProto] = {}
        kinds: set[str] = set()
        waiting, seen = [output], set()
        while waiting:
            node = self._made.get(name := waiting.pop())
            if node is None or name in seen:
                continue
            seen.add(name)
            if node.op_type in _PRODUCTS:
                products[name] = node
                continue
            kinds.add(node.op_type)
            waiting += node.input
        normalized = kinds & {"Softmax", "LogSoftmax"} or {"Exp", "ReduceSum"} <= kinds
        return self._after(next(iter(products))) if normalized and len(products) == 1 else None

    def _after(self, tensor: str) -> str:
        """The last form of a product's result before anything else is made of it."""
        while len(users := self._users.get(tensor, [])) == 1 and users[0].op_type in _PASSED:
            tensor = users[0].output[0]
        return tensor
