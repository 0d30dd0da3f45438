"""Crops of photographs to calibrate on and to judge by, and what is judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from zoo import photos
from zoo.efficientnet_lite0 import NORMALIZATION
from zoo.graph import IMAGE_SIZE, FloatArray

#: Half of the photographs give crops for calibration, the others are never seen by a quantizer.
CALIBRATED = photos.NAMES[::2]
UNSEEN = photos.NAMES[1::2]

Run = Callable[[FloatArray], FloatArray]


def save_calibration(path: Path, count: int) -> None:
    """Write calibration crops, float32 [count, 3, 224, 224]."""
    np.save(path, crops(CALIBRATED, count, seed=1))


def held_out(count: int) -> FloatArray:
    """Other crops: half of photographs that were calibrated on, half of those that were not."""
    seen = crops(CALIBRATED, count - count // 2, seed=2)
    return np.concatenate([seen, crops(UNSEEN, count // 2, seed=3)])


def crops(names: Sequence[str], count: int, seed: int) -> FloatArray:
    """Draw squares from these photographs in turn, half of them mirrored."""
    generator = np.random.default_rng(seed)
    images = [photos.load(name) for name in names]
    drawn = []
    for index in range(count):
        image = images[index % len(images)]
        side = generator.uniform(0.5, 1.0) * min(image.size)
        left = generator.uniform(0, image.width - side)
        top = generator.uniform(0, image.height - side)
        box = (left, top, left + side, top + side)
        crop = image.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC, box)
        if generator.random() < 0.5:
            crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        drawn.append(NORMALIZATION(crop))
    return np.stack(drawn)


def answers(run: Run, images: FloatArray) -> FloatArray:
    """The logits of every image, run one at a time."""
    return np.concatenate([run(image[np.newaxis]) for image in images])


def agreement(truth: FloatArray, other: FloatArray) -> dict[str, float]:
    """How often the first class is the same, and the cosine of logits, on average and at worst."""
    lengths = np.linalg.norm(truth, axis=1) * np.linalg.norm(other, axis=1)
    cosines = (truth * other).sum(axis=1) / lengths
    return {
        "top1": float((truth.argmax(axis=1) == other.argmax(axis=1)).mean()),
        "cosine_mean": float(cosines.mean()),
        "cosine_least": float(cosines.min()),
    }
