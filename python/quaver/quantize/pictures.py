"""Image files as inputs: decoded, brought to the input's size, scaled and laid out as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from quaver.errors import CorruptFileError, FileError, InputError
from quaver.model import Port

SUFFIXES = (".jpeg", ".jpg", ".png")


class Pictures(NamedTuple):
    """What becomes of an image: (value / 255 − mean) / std; bytes as they are for a u8 input."""

    mean: Sequence[float] = (0.0,)
    """Of each channel, or one for all; 0 to 1."""
    std: Sequence[float] = (1.0,)
    size: tuple[int, int] | None = None
    """Height and width, for an input that leaves them open."""


class _Layout(NamedTuple):
    channels: int
    last: bool
    height: int
    width: int


def read(path: Path, ports: Sequence[Port], how: Pictures) -> NDArray[Any]:
    """Read an image for a model with one input.

    It is turned as its EXIF data says, scaled (bicubic) until it covers height and width, and what
    is over on two sides is cut.

    Parameters
    ----------
    path
        Of a JPEG or PNG file.
    ports
        The model's inputs.
    how
        Scaling of values, and size.

    Returns
    -------
    NDArray [1, channels, height, width], or with the channels last
        In the input's dtype.

    Raises
    ------
    InputError
        If the model takes no images, or Pillow is missing.
    FileError
        If the file cannot be read; `CorruptFileError` if it is no image.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError  # noqa: PLC0415 -- an option
    except ImportError as error:
        raise InputError(f"reading images needs Pillow ({error}): pip install pillow") from error
    layout = _layout(path, ports, how)
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB" if layout.channels == 3 else "L")
    except (UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise CorruptFileError(f"'{path}' is no image: {error}") from error
    except OSError as error:
        if error.errno is None:  # Pillow's own, of a file that is cut off
            raise CorruptFileError(f"'{path}' is damaged: {error}") from error
        raise FileError(f"cannot read '{path}': {error.strerror}") from error
    fitted = ImageOps.fit(image, (layout.width, layout.height), Image.Resampling.BICUBIC)
    pixels = np.asarray(fitted).reshape(layout.height, layout.width, layout.channels)
    if ports[0].dtype == np.float32:
        mean, std = (_per_channel(v, layout.channels) for v in (how.mean, how.std))
        pixels = (pixels.astype(np.float32) / 255 - mean) / std
    return np.ascontiguousarray(pixels if layout.last else pixels.transpose(2, 0, 1))[np.newaxis]


def _layout(path: Path, ports: Sequence[Port], how: Pictures) -> _Layout:
    port = ports[0]
    rank = len(port.shape)
    fits = len(ports) == 1 and rank == 4 and port.dtype in (np.float32, np.uint8)
    axis = next((a for a in (1, 3) if fits and port.shape[a] in (1, 3)), None)
    if axis is None:
        shapes = ", ".join(f"{p.name!r} {list(p.shape)} {p.dtype}" for p in ports)
        raise InputError(
            f"'{path}': an image goes to one input of float32 or uint8 with 1 or 3 channels as the "
            f"second or last of 4 dimensions; the model has {shapes}. Give .npy or .npz instead"
        )
    sizes = port.shape[2:] if axis == 1 else port.shape[1:3]
    height, width = (known or (how.size[i] if how.size else None) for i, known in enumerate(sizes))
    if height is None or width is None:
        raise InputError(
            f"'{path}': the input {port.name!r} leaves height and width open; say which images are "
            "brought to: size=(height, width), --size HEIGHT,WIDTH"
        )
    return _Layout(int(port.shape[axis] or 0), axis == 3, height, width)


def _per_channel(values: Sequence[float], channels: int) -> NDArray[np.float32]:
    array = np.asarray(values, np.float32).reshape(-1)
    if array.size not in (1, channels):
        raise InputError(f"there are {array.size} means or deviations for {channels} channels")
    return array
