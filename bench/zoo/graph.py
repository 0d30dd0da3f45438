"""Write convolutional networks as ONNX graphs, layer by layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

FloatArray = npt.NDArray[np.float32]

#: Gives the parameter of a name and shape, for example ("conv1.weight", (64, 3, 7, 7)).
ParameterSource = Callable[[str, tuple[int, ...]], FloatArray]

IMAGE_SIZE = 224  # pixels, square, for every network in the zoo
CLASSES = 1000  # ImageNet-1k

_OPSET = 17
_IR_VERSION = 8  # the one that came with opset 17


class Feature(NamedTuple):
    """An activation of shape [N, channels, size, size]."""

    name: str
    channels: int
    size: int


class Graph:
    """An image classifier under construction.

    Every layer takes and returns a `Feature`.  Nodes and initializers carry the names the network
    has in PyTorch.

    Parameters
    ----------
    name
        Of the graph.
    parameters
        Where the weights come from.
    batch
        Images per run, or None for a symbolic dimension "N".
    fold_bn
        Merge each batch normalization into the convolution before it.
    bn_epsilon
        Added to variances in batch normalization.
    """

    def __init__(
        self,
        name: str,
        parameters: ParameterSource,
        *,
        batch: int | None,
        fold_bn: bool,
        bn_epsilon: float = 1e-5,
    ) -> None:
        self._name = name
        self._parameters = parameters
        self._batch = "N" if batch is None else batch
        self._fold_bn = fold_bn
        self._bn_epsilon = bn_epsilon
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[str, onnx.TensorProto] = {}
        self.input = Feature("input", 3, IMAGE_SIZE)

    def conv_bn(
        self,
        x: Feature,
        conv: str,
        bn: str,
        channels: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        depthwise: bool = False,
        same_padding: bool = False,
    ) -> Feature:
        """Convolve to `channels` without bias, then batch-normalize.

        The padding is kernel // 2 on each side as in torchvision, or with `same_padding`
        TensorFlow's: just enough for ceil(size / stride) outputs, the odd pixel at the end.
        """
        groups = channels if depthwise else 1
        shape = (channels, x.channels // groups, kernel, kernel)
        weight = self._parameters(f"{conv}.weight", shape)
        gamma, beta, mean, variance = (
            self._parameters(f"{bn}.{part}", (channels,))
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        before = after = kernel // 2
        if same_padding:
            total = max((-(-x.size // stride) - 1) * stride + kernel - x.size, 0)
            before, after = total // 2, total - total // 2
        y = Feature(conv, channels, (x.size + before + after - kernel) // stride + 1)
        attributes = {
            "kernel_shape": [kernel, kernel],
            "strides": [stride, stride],
            "pads": [before, before, after, after],
            "group": groups,
        }
        if self._fold_bn:
            scale = gamma / np.sqrt(variance + np.float32(self._bn_epsilon))
            folded = self._constant(f"{conv}.weight", weight * scale[:, None, None, None])
            bias = self._constant(f"{conv}.bias", beta - mean * scale)
            self._node("Conv", [x.name, folded, bias], y.name, **attributes)
            return y
        self._node("Conv", [x.name, self._constant(f"{conv}.weight", weight)], y.name, **attributes)
        statistics = [
            self._constant(f"{bn}.weight", gamma),
            self._constant(f"{bn}.bias", beta),
            self._constant(f"{bn}.running_mean", mean),
            self._constant(f"{bn}.running_var", variance),
        ]
        self._node("BatchNormalization", [y.name, *statistics], bn, epsilon=self._bn_epsilon)
        return y._replace(name=bn)

    def relu(self, x: Feature) -> Feature:
        """Clip below at 0."""
        return x._replace(name=self._node("Relu", [x.name], f"{x.name}.relu"))

    def relu6(self, x: Feature) -> Feature:
        """Clip to 0 to 6."""
        low = self._constant("relu6.min", np.array(0, np.float32))
        high = self._constant("relu6.max", np.array(6, np.float32))
        return x._replace(name=self._node("Clip", [x.name, low, high], f"{x.name}.relu6"))

    def add(self, x: Feature, y: Feature) -> Feature:
        """Add elementwise."""
        return x._replace(name=self._node("Add", [x.name, y.name], f"{x.name}.add"))

    def max_pool(self, x: Feature, name: str, *, kernel: int, stride: int) -> Feature:
        """Take the maximum of each window, with a padding of kernel // 2."""
        pad = kernel // 2
        self._node(
            "MaxPool",
            [x.name],
            name,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[pad] * 4,
        )
        return Feature(name, x.channels, (x.size + 2 * pad - kernel) // stride + 1)

    def classifier(self, x: Feature, name: str) -> onnx.ModelProto:
        """End the network: global average, then a linear layer to the output "logits"."""
        pooled = self._node("GlobalAveragePool", [x.name], "pool")
        features = self._node("Flatten", [pooled], "features", axis=1)
        weight = self._constant(
            f"{name}.weight", self._parameters(f"{name}.weight", (CLASSES, x.channels))
        )
        bias = self._constant(f"{name}.bias", self._parameters(f"{name}.bias", (CLASSES,)))
        self._node("Gemm", [features, weight, bias], "logits", transB=1)
        return self._model()

    def _constant(self, name: str, value: FloatArray) -> str:
        if name not in self._initializers:
            value = np.ascontiguousarray(value, np.float32)
            self._initializers[name] = numpy_helper.from_array(value, name)
        return name

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        node = helper.make_node(operator, inputs, [output], name=output, **attributes)
        self._nodes.append(node)
        return output

    def _model(self) -> onnx.ModelProto:
        image = [self._batch, 3, IMAGE_SIZE, IMAGE_SIZE]
        graph = helper.make_graph(
            self._nodes,
            self._name,
            [helper.make_tensor_value_info(self.input.name, TensorProto.FLOAT, image)],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [self._batch, CLASSES])],
            list(self._initializers.values()),
        )
        model = helper.make_model(
            graph,
            producer_name="quaver-zoo",
            ir_version=_IR_VERSION,
            opset_imports=[helper.make_opsetid("", _OPSET)],
        )
        onnx.checker.check_model(model, full_check=True)
        return model
