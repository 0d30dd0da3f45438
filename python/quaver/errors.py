"""Quaver's exceptions: one hierarchy, each a complete sentence for its reader."""

from __future__ import annotations

from typing import Any


class Error(Exception):
    """Any error Quaver raises on purpose."""


class ModelError(Error):
    """A model that breaks the rules of its format or of its operators."""


class UnsupportedError(ModelError):
    """A valid model that asks for what Quaver does not have."""


class FileError(Error):
    """A file that cannot be read or written."""


class CorruptFileError(FileError):
    """A file that is truncated, damaged, or of another format."""


class InputError(Error, ValueError):
    """An argument of a wrong name, dtype, shape or value."""


class BusyError(Error, TimeoutError):
    """What has no room until others end what they do, and did not get it in time."""


class IsaError(Error):
    """An instruction set that is unknown or that this CPU lacks."""


class AccuracyError(Error):
    """A promise of accuracy that no int8 model keeps; `report` has the frontier."""

    def __init__(self, message: str, report: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.report = report or {}
