"""The photographs that come with scikit-image, as input for ImageNet networks.

Only those inside the package itself, so nothing is downloaded; `skimage.data` documents where each
comes from.
"""

from __future__ import annotations

from importlib import resources
from typing import NamedTuple

import numpy as np
from PIL import Image

from zoo.graph import IMAGE_SIZE, FloatArray

_FILES = {
    "astronaut": "astronaut.png",
    "brick": "brick.png",
    "camera": "camera.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "coins": "coins.png",
    "grass": "grass.png",
    "gravel": "gravel.png",
    "moon": "moon.png",
    "motorcycle": "motorcycle_left.png",
    "page": "page.png",
    "rocket": "rocket.jpg",
}

#: Every photograph, in alphabetical order.
NAMES = tuple(_FILES)

# The share of the short side that evaluation crops keep: 224 of 256 pixels.
_CENTRE_FRACTION = 0.875


class Normalization(NamedTuple):
    """Per-channel (R, G, B) mean and standard deviation, in units of 0 to 255."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __call__(self, image: Image.Image) -> FloatArray:
        """Turn an RGB image into a float32 array [3, height, width]."""
        pixels = np.asarray(image, np.float32)
        normalized = (pixels - np.array(self.mean, np.float32)) / np.array(self.std, np.float32)
        return np.ascontiguousarray(normalized.transpose(2, 0, 1))


#: The statistics of ImageNet, as in torchvision.
IMAGENET = Normalization(
    mean=(0.485 * 255, 0.456 * 255, 0.406 * 255), std=(0.229 * 255, 0.224 * 255, 0.225 * 255)
)


def load(name: str) -> Image.Image:
    """Open a photograph of `NAMES` as RGB, gray ones included."""
    file = resources.files("skimage") / "data" / _FILES[name]
    with file.open("rb") as stream:
        return Image.open(stream).convert("RGB")


def centre_crop(image: Image.Image, size: int = IMAGE_SIZE) -> Image.Image:
    """Crop the central square that ImageNet evaluation keeps, resized to `size` pixels."""
    side = _CENTRE_FRACTION * min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return _resize(image, (left, top, left + side, top + side), (size, size))


def centre_crops(normalization: Normalization) -> FloatArray:
    """Prepare every photograph as network input, float32 [len(NAMES), 3, 224, 224]."""
    return np.stack([normalization(centre_crop(load(name))) for name in NAMES])


def random_crops(
    count: int,
    normalization: Normalization,
    *,
    seed: int,
    size: tuple[int, int] = (IMAGE_SIZE, IMAGE_SIZE),
) -> FloatArray:
    """Draw pieces from the photographs in turn, half of them mirrored.

    Parameters
    ----------
    count
        Number of crops.
    normalization
        Applied to each.
    seed
        Fixes the crops.
    size
        Their height and width in pixels, the height not above the width.

    Returns
    -------
    ndarray of float32 [count, 3, *size]
    """
    generator = np.random.default_rng(seed)
    images = [load(name) for name in NAMES]
    crops = []
    for index in range(count):
        image = images[index % len(images)]
        width = generator.uniform(0.5, 1.0) * min(image.size)
        height = width * size[0] / size[1]
        left = generator.uniform(0, image.width - width)
        top = generator.uniform(0, image.height - height)
        crop = _resize(image, (left, top, left + width, top + height), size)
        if generator.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        crops.append(normalization(crop))
    return np.stack(crops)


def _resize(
    image: Image.Image, box: tuple[float, float, float, float], size: tuple[int, int]
) -> Image.Image:
    return image.resize(size[::-1], Image.Resampling.BICUBIC, box)
