"""Typefaces that come in packages on PyPI, and drawing with them."""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_PACKAGES = ("font_caladea", "font_roboto", "font_source_sans_pro", "font_source_serif_pro")


@cache
def paths() -> tuple[str, ...]:
    """Every face that is not too thin to read when small, in a fixed order."""
    files = [
        str(file)
        for package in _PACKAGES
        for file in (resources.files(package) / "files").iterdir()
        if file.name.endswith(".ttf") and "Thin" not in file.name and "ExtraLight" not in file.name
    ]
    return tuple(sorted(files))


@cache
def face(index: int, size: int) -> ImageFont.FreeTypeFont:
    """Open a face of `paths` at a size in pixels."""
    return ImageFont.truetype(paths()[index], size)


def draw(text: str, font: ImageFont.FreeTypeFont, ink: int, paper: int, margin: int) -> Image.Image:
    """One line of gray text on gray paper, with a margin around it in pixels."""
    left, top, right, bottom = font.getbbox(text)
    size = (int(right - left) + 2 * margin, int(bottom - top) + 2 * margin)
    image = Image.new("L", size, paper)
    ImageDraw.Draw(image).text((margin - left, margin - top), text, font=font, fill=ink)
    return image


def noisy(image: Image.Image, generator: np.random.Generator, strength: float) -> Image.Image:
    """Add normal noise of this standard deviation, in gray levels."""
    pixels = np.asarray(image, np.float32)
    pixels = pixels + generator.normal(0, strength, pixels.shape[:2]).reshape(
        *pixels.shape[:2], *[1] * (pixels.ndim - 2)
    )
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
