"""Bring models of other formats into Quaver's graph; needs no native extension."""

from quaver.convert.builder import Builder
from quaver.convert.onnx import import_onnx, load_proto

__all__ = ["Builder", "import_onnx", "load_proto"]
