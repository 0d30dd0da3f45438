"""Rare operators by ONNX's own reference implementation, which is NumPy and comes with onnx.

They are for models to run at all. What the core or a fallback has of them goes there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

from quaver.stages.host.node import ML, HostNode, host

if TYPE_CHECKING:
    from onnx.reference import ReferenceEvaluator

#: How much slower than the core it is, roughly.
SLOWNESS = 1000.0


def _reference(node: HostNode, *inputs: Any) -> Any:
    if "evaluator" not in node.cache:
        node.cache["evaluator"] = _evaluator(node)
    names, evaluator = node.cache["evaluator"]
    given = [np.asarray(x) for x in inputs if x is not None]
    outputs = evaluator.run(None, dict(zip(names, given, strict=False)))
    return outputs[0] if node.outputs == 1 else tuple(outputs)


def _evaluator(node: HostNode) -> tuple[list[str], ReferenceEvaluator]:
    from onnx.reference import ReferenceEvaluator  # noqa: PLC0415 -- slow to load, and rare

    proto = NodeProto()
    proto.CopyFrom(node.proto)
    proto.input[:] = [name and f"x{i}" for i, name in enumerate(node.proto.input)]
    proto.output[:] = [name or f"unused{i}" for i, name in enumerate(node.proto.output)]
    names = [name for name in proto.input if name]
    undefined = TensorProto.UNDEFINED
    taken, made = (
        [helper.make_tensor_value_info(name, undefined, None) for name in side]
        for side in (names, proto.output)
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in node.opsets.items()]
    graph = helper.make_graph([proto], "node", taken, made)
    return names, ReferenceEvaluator(helper.make_model(graph, opset_imports=opsets))


host("ConvTranspose", "MaxPool", "MelWeightMatrix", "Resize", "STFT", slowness=SLOWNESS)(_reference)
host("SVMClassifier", "SVMRegressor", domain=ML, slowness=SLOWNESS)(_reference)
