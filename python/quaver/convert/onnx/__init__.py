"""Import ONNX models of opset 13 and later; earlier ones are brought to 13 first.

A handler a operator, registered by name, emits the nodes it becomes. The modules imported here
hold them, one for each family.
"""

from quaver.convert.onnx import (  # noqa: F401 -- imported for the handlers they register
    attention,
    axis,
    blocks,
    conv,
    einsum,
    elementwise,
    fourier,
    fused,
    grid,
    indexed,
    learned,
    linear,
    logic,
    norm,
    pool,
    qoperator,
    quantized,
    recurrent,
    reduce,
    resize,
    rotary,
    shape,
    space,
    svm,
    tensor,
    trees,
)
from quaver.convert.onnx.constants import bind_constants
from quaver.convert.onnx.importer import import_onnx
from quaver.convert.onnx.source import load_proto

__all__ = ["bind_constants", "import_onnx", "load_proto"]
