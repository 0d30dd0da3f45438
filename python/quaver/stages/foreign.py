"""Foreign stages: what Quaver lacks, on ONNX Runtime."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from onnx import ModelProto, TensorProto, TypeProto, ValueInfoProto, helper

from quaver.convert.onnx.light import without_weights
from quaver.errors import InputError, UnsupportedError
from quaver.stages.options import Options

_ERRORS_ONLY = 3
_TENSOR = re.compile(r"tensor\((\w+)\)$")


class Foreign:
    """A model that ONNX Runtime runs, on one of its execution providers.

    Parameters
    ----------
    model
        Whole, or a part.
    alone
        Whether no other stage runs in turn with it: its threads then wait for work where they
        are, which takes a processor from whoever comes next.

    Raises
    ------
    UnsupportedError
        If ONNX Runtime refuses it.
    """

    def __init__(self, model: ModelProto, options: Options, *, alone: bool) -> None:
        import onnxruntime  # noqa: PLC0415 -- only a fallback needs it

        settings = _settings()
        settings.intra_op_num_threads = options.threads
        if not alone:
            settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.kind = f"onnxruntime:{options.provider}"
        weights = {tensor.name for tensor in model.graph.initializer}
        self._inputs = [info.name for info in model.graph.input if info.name not in weights]
        operators = ", ".join(sorted({node.op_type for node in model.graph.node}))
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), settings, providers=[options.provider]
            )
        except Exception as error:  # onnxruntime has a class for each of its codes
            raise UnsupportedError(
                f"onnxruntime, the fallback, refuses {operators}: {error}"
            ) from error

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Run on all inputs in order."""
        feeds = {
            name: array
            for name, array in zip(self._inputs, arrays, strict=True)
            if array is not None
        }
        try:
            return list(self._session.run(None, feeds))
        except Exception as error:  # as above
            raise InputError(f"onnxruntime, the fallback, cannot run: {error}") from error


def _settings() -> Any:
    import onnxruntime  # noqa: PLC0415 -- as above

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = _ERRORS_ONLY
    return settings


def inferred_types(model: ModelProto, names: Iterable[str]) -> dict[str, TypeProto]:
    """Return types of a model's tensors as ONNX Runtime infers them, which knows more operators."""
    import onnxruntime  # noqa: PLC0415 -- as above

    light = without_weights(model)
    light.graph.output.extend(ValueInfoProto(name=name) for name in names)
    settings = _settings()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(light.SerializeToString(), settings)
    except Exception:  # what is not known is left open
        return {}
    types = {}
    for port in session.get_outputs():
        if kind := _TENSOR.match(port.type):
            elem_type = TensorProto.DataType.Value(kind[1].upper())
            types[port.name] = helper.make_tensor_type_proto(elem_type, port.shape)
    return types
