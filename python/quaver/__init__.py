"""Quaver: an int8-first inference runtime for CPUs.

>>> model = quaver.load("model.onnx")
>>> y = model(x)
"""

from quaver.errors import (
    AccuracyError,
    BusyError,
    CorruptFileError,
    Error,
    FileError,
    InputError,
    IsaError,
    ModelError,
    UnsupportedError,
)
from quaver.model import Model, Port, delta, load
from quaver.probe import Probe
from quaver.quantize.api import quantize
from quaver.slot import Answer, Slot

__all__ = [
    "AccuracyError",
    "Answer",
    "BusyError",
    "CorruptFileError",
    "Error",
    "FileError",
    "InputError",
    "IsaError",
    "Model",
    "ModelError",
    "Port",
    "Probe",
    "Slot",
    "UnsupportedError",
    "__version__",
    "delta",
    "load",
    "quantize",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 -- slow to import, seldom asked

        return version("quaver")
    raise AttributeError(f"module 'quaver' has no attribute {name!r}")
