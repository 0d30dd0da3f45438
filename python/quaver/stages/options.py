"""How the parts of a model are loaded."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

from quaver.errors import InputError, UnsupportedError

_RUNTIME = "onnxruntime"
_PROVIDER = "CPUExecutionProvider"


class Options(NamedTuple):
    """What of `quaver.load`'s arguments native stages need, and the fallback's provider, if any."""

    threads: int = 0
    isa: str | None = None
    provider: str | None = None
    float_precision: str = "fp32"

    @property
    def accelerated(self) -> bool:
        """Whether the fallback is another device than the CPU, to be given all it takes."""
        return self.provider not in (None, _PROVIDER)


def options_of(
    threads: int, isa: str | None, fallback: str | None, float_precision: str = "fp32"
) -> Options:
    """Read the arguments of `quaver.load`.

    Raises
    ------
    InputError
        If the fallback is no name of one.
    UnsupportedError
        If onnxruntime, or its provider, is not installed.
    """
    return Options(threads, isa, _provider(fallback), float_precision)


def _provider(fallback: str | None) -> str | None:
    if fallback is None:
        return None
    if fallback == "auto":
        return _PROVIDER if importlib.util.find_spec(_RUNTIME) is not None else None
    runtime, _, provider = str(fallback).partition(":")
    if runtime != _RUNTIME:
        raise InputError(
            f"fallback={fallback!r}: expected 'onnxruntime', 'onnxruntime:PROVIDER', 'auto' or None"
        )
    return _available(provider or _PROVIDER)


def _available(provider: str) -> str:
    try:
        import onnxruntime  # noqa: PLC0415 -- only a fallback needs it
    except ImportError as error:
        raise UnsupportedError(
            f"the fallback needs the package onnxruntime ({error}): pip install onnxruntime"
        ) from error
    known = onnxruntime.get_available_providers()
    if provider not in known:
        raise UnsupportedError(f"this onnxruntime has no {provider}; it has {', '.join(known)}")
    return provider
