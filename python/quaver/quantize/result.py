"""What `quaver.quantize` gives back."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quaver.errors import FileError

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Result:
    """An int8 model and how it came about."""

    model: onnx.ModelProto
    """Standard ONNX with QuantizeLinear and DequantizeLinear."""
    report: dict[str, Any]
    """Plain values, ready for JSON; docs/quantize.md names them."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model."""
        _write(path, self.model.SerializeToString())

    def save_report(self, path: str | os.PathLike[str]) -> None:
        """Write the report: as one page with plots where the name ends in .html, else as JSON."""
        save_report(self.report, path)


def save_report(report: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a report, that of an `AccuracyError`: a page if the name ends in .html, else JSON."""
    if os.fspath(path).endswith((".html", ".htm")):
        from quaver.quantize import page  # noqa: PLC0415 -- only needed here

        text = page.render(report)
    else:
        text = json.dumps(report, indent=2)
    _write(path, text.encode())


def _write(path: str | os.PathLike[str], content: bytes) -> None:
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise FileError(f"cannot write '{path}': {error.strerror or error}") from error
