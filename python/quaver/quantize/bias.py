"""Bias correction: the mean that rounding the weights adds to a layer goes back into its bias.

E[Wq·x] − E[W·x] = (Wq − W)·E[x], with E[x] per input channel from calibration: M. Nagel et al.,
"Data-Free Quantization through Weight Equalization and Bias Correction", ICCV 2019, section 4.2.
At padded borders, where fewer inputs take part, the mean is taken to be the same.
"""

from __future__ import annotations

import numpy as np
import onnx

from quaver.quantize.net import Array, Net, attribute
from quaver.quantize.weights import Weight


def shift(net: Net, node: onnx.NodeProto, weight: Weight, mean: Array) -> Array | None:
    """What quantizing the weight adds to each output channel on average.

    Parameters
    ----------
    net
        The float model.
    node
        A Conv or Gemm in it; for other operators there is no answer.
    weight
        Its weight in int8.
    mean
        Of each channel of its input.

    Returns
    -------
    NDArray of float64 [output channels], or None
    """
    change = weight.reals() - net.weights[node.input[1]].astype(np.float64)
    if node.op_type == "Gemm":
        rows = change if attribute(node, "transB", 0) else change.T
        return np.asarray(rows @ mean)
    if node.op_type != "Conv":
        return None
    sums = change.reshape(*change.shape[:2], -1).sum(axis=2)  # [out, in / group]
    group = attribute(node, "group", 1)
    inputs = mean.reshape(group, -1)
    parts = sums.reshape(group, -1, sums.shape[1])
    return np.asarray(np.einsum("goi,gi->go", parts, inputs).reshape(-1))
