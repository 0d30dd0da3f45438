"""Foreign stages: what Quaver lacks, on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from onnx import ModelProto

from quaver.errors import InputError, UnsupportedError
from quaver.stages.options import Options

_ERRORS_ONLY = 3


class Foreign:
    """A model that ONNX Runtime runs, on one of its execution providers.

    Raises
    ------
    UnsupportedError
        If ONNX Runtime refuses it.
    """

    def __init__(self, model: ModelProto, options: Options) -> None:
        import onnxruntime  # noqa: PLC0415 -- only a fallback needs it

        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = _ERRORS_ONLY
        settings.intra_op_num_threads = options.threads
        self.kind = f"onnxruntime:{options.provider}"
        self._inputs = [info.name for info in model.graph.input]
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
