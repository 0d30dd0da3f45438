"""Real networks to test, benchmark and demonstrate Quaver with, built without PyTorch.

``zoo.path("efficientnet-lite0-int8")`` returns an ONNX file, building it on first use; the
modules hold the parts: one per architecture, `quantize` for the int8 versions, and `photos` for
something to look at.
"""

from zoo.cache import NAMES, path

__all__ = ["NAMES", "path"]
