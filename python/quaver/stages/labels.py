"""Classifiers whose labels are strings: natively they give numbers, which a table then names."""

from __future__ import annotations

from onnx import ModelProto, NodeProto, helper

from quaver.stages.host.node import ML

_NUMBERED = {
    "TreeEnsembleClassifier": "classlabels_int64s",
    "LinearClassifier": "classlabels_ints",
    "SVMClassifier": "classlabels_ints",
}


def with_numbered_labels(model: ModelProto) -> ModelProto:
    """Give a model in which each such classifier is one of numbers, with a LabelEncoder behind."""
    named = [i for i, node in enumerate(model.graph.node) if _labels(node)]
    if not named:
        return model
    result = ModelProto()
    result.CopyFrom(model)
    del result.graph.node[:]
    for i, node in enumerate(model.graph.node):
        if i in named:
            result.graph.node.extend(_numbered(node))
        else:
            result.graph.node.append(node)
    return result


def _labels(node: NodeProto) -> list[str]:
    if node.domain != ML or node.op_type not in _NUMBERED:
        return []
    found = [a for a in node.attribute if a.name == "classlabels_strings"]
    return [label.decode() for label in found[0].strings] if found else []


def _numbered(node: NodeProto) -> list[NodeProto]:
    labels = _labels(node)
    classifier = NodeProto()
    classifier.CopyFrom(node)
    kept = [a for a in node.attribute if a.name != "classlabels_strings"]
    del classifier.attribute[:]
    classifier.attribute.extend(kept)
    numbers = helper.make_attribute(_NUMBERED[node.op_type], list(range(len(labels))))
    classifier.attribute.append(numbers)
    if not node.output[0]:
        return [classifier]
    classifier.output[0] = f"{node.output[0]}/number"
    table = helper.make_node(
        "LabelEncoder",
        [classifier.output[0]],
        [node.output[0]],
        f"{node.name or node.output[0]}/names",
        domain=ML,
        keys_int64s=list(range(len(labels))),
        values_strings=labels,
    )
    return [classifier, table]
