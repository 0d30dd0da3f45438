"""What nodes and domains are called."""

from __future__ import annotations

from onnx import NodeProto

MICROSOFT = "com.microsoft"


def node_name(proto: NodeProto) -> str:
    """Return the node's name, or one made from its operator and first output."""
    return proto.name or "_".join([proto.op_type, *proto.output[:1]])
