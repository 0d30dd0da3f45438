"""From a float ONNX model to an int8 one in the standard QDQ form: `quaver.quantize`.

`api` is the whole way. Its steps, one a module: `prepare` the model, `data` to feed it, `equalize`
channels, decide the `placement`, `calibrate` with `histogram`s, choose `ranges`, round `weights`,
correct the `bias`, write `qdq`, `measure` the result and `report` it.
"""

from quaver.quantize.result import Result

__all__ = ["Result"]
