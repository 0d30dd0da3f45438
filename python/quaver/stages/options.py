"""How the parts of a model are loaded."""

from __future__ import annotations

import importlib.util
from typing import NamedTuple

from quaver.errors import InputError, UnsupportedError

_RUNTIME = "onnxruntime"
_PROVIDER = "CPUExecutionProvider"


class Options(NamedTuple):
    """Threads (0: all), instruction set, and the execution provider of the fallback, if any."""

    threads: int = 0
    isa: str | None = None
    provider: str | None = None

    @property
    def accelerated(self) -> bool:
        """Whether the fallback is another device than the CPU, to be given all it takes."""
        return self.provider not in (None, _PROVIDER)


def options_of(threads: int, isa: str | None, fallback: str | None) -> Options:
    """Read the arguments of `quaver.load`.

    Raises
    ------
    InputError
        If the fallback is no name of one.
    UnsupportedError
        If onnxruntime, or its provider, is not installed.
    """
    if fallback == "auto":
        installed = importlib.util.find_spec(_RUNTIME) is not None
        return Options(threads, isa, _PROVIDER if installed else None)
    if fallback is None:
        return Options(threads, isa, None)
    runtime, _, provider = str(fallback).partition(":")
    if runtime != _RUNTIME:
        raise InputError(
            f"fallback={fallback!r}: expected 'onnxruntime', 'onnxruntime:PROVIDER', 'auto' or None"
        )
    return Options(threads, isa, _available(provider or _PROVIDER))


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
