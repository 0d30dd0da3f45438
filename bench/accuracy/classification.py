"""Image classification: crops of photographs, half of them never seen, for EfficientNet-Lite0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import zoo
from accuracy.task import Answers, Feed, Figures, Task
from accuracy.vectors import cosines
from zoo import photos
from zoo.efficientnet_lite0 import NORMALIZATION
from zoo.graph import IMAGE_SIZE, FloatArray

#: Half of the photographs give crops for calibration, the others are never seen by a quantizer.
CALIBRATED = photos.NAMES[::2]
UNSEEN = photos.NAMES[1::2]
_CALIBRATION, _HELD_OUT = 64, 128


def crops(names: Sequence[str], count: int, seed: int) -> list[FloatArray]:
    """Draw squares from these photographs in turn, half of them mirrored."""
    from PIL import Image  # noqa: PLC0415 -- only here

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
    return drawn


def _feeds(images: Sequence[FloatArray]) -> list[Feed]:
    return [{"input": image[np.newaxis]} for image in images]


def _held_out() -> list[Feed]:
    seen = crops(CALIBRATED, _HELD_OUT - _HELD_OUT // 2, seed=2)
    return _feeds([*seen, *crops(UNSEEN, _HELD_OUT // 2, seed=3)])


def _judge(truth: Answers, answers: Answers) -> Figures:
    same = [a.argmax() == b.argmax() for a, b in zip(truth, answers, strict=True)]
    found = cosines(truth, answers)
    return {
        "top1": float(np.mean(same)),
        "cosine": float(found.mean()),
        "cosine_least": float(found.min()),
    }


TASK = Task(
    data=f"{_HELD_OUT} crops",
    model=lambda: zoo.path("efficientnet-lite0"),
    calibration=lambda: _feeds(crops(CALIBRATED, _CALIBRATION, seed=1)),
    held_out=_held_out,
    judge=_judge,
    required={"top1": 0.93, "cosine": 0.993},
)
