"""Pictures in the bytes of a file."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from quaver.errors import UnsupportedError
from quaver.stages.host.node import HostNode, host


@host("ImageDecoder")
def image_decoder(node: HostNode, encoded: Any) -> Any:
    """The pixels, channels last."""
    try:
        from PIL import Image  # noqa: PLC0415 -- an extra
    except ImportError as error:
        raise UnsupportedError(
            f"{node.op} '{node.name}' needs the package pillow ({error}): pip install pillow"
        ) from error
    form = node.get("pixel_format", "RGB")
    try:
        with Image.open(io.BytesIO(np.asarray(encoded, np.uint8).tobytes())) as picture:
            pixels = np.array(picture.convert("L" if form == "Grayscale" else "RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise node.invalid(f"its input is no picture that can be read ({error})") from error
    if form == "Grayscale":
        return pixels[:, :, np.newaxis]
    return np.ascontiguousarray(pixels[:, :, ::-1]) if form == "BGR" else pixels
