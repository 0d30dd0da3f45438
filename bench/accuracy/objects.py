"""Object detection: photographs of people pasted at many sizes into others, for YOLOv8n."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageEnhance

import zoo
from accuracy.task import Answers, Feed, Figures, Task
from accuracy.vectors import overlap
from zoo import photos
from zoo.graph import FloatArray

_SIZE = 320
_CALIBRATION, _HELD_OUT = 64, 512  # with 128 chance alone moves the figure by a point
_SURE, _SAME = 0.25, 0.45  # of a box; and the overlap from which two are one
_PEOPLE = ("astronaut", "camera")  # what the network has classes for


def _scenes(count: int, seed: int, names: Sequence[str]) -> list[Feed]:
    generator = np.random.default_rng(seed)
    images = [photos.load(name) for name in names]
    people = [photos.load(name) for name in _PEOPLE]
    return [{"images": _scene(generator, images, people)[np.newaxis]} for _ in range(count)]


def _scene(
    generator: np.random.Generator, images: Sequence[Image.Image], people: Sequence[Image.Image]
) -> FloatArray:
    """A crop of a photograph, on it one to three people."""
    scene = _crop(generator, images[int(generator.integers(len(images)))], 0.5, 1.0)
    scene = scene.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC)
    for _ in range(int(generator.integers(1, 4))):
        person = _crop(generator, people[int(generator.random() < 0.2)], 0.6, 1.0)
        size = int(generator.integers(80, 260))
        person = person.resize((size, size), Image.Resampling.BICUBIC)
        if generator.random() < 0.5:
            person = person.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        person = ImageEnhance.Brightness(person).enhance(generator.uniform(0.6, 1.3))
        x, y = generator.integers(0, _SIZE - size + 1, 2)
        scene.paste(person, (int(x), int(y)))
    return np.ascontiguousarray(np.asarray(scene, np.float32).transpose(2, 0, 1) / 255)


def _crop(
    generator: np.random.Generator, image: Image.Image, least: float, most: float
) -> Image.Image:
    side = generator.uniform(least, most) * min(image.size)
    left = generator.uniform(0, image.width - side)
    top = generator.uniform(0, (image.height - side) / 2)
    return image.crop(tuple(map(round, (left, top, left + side, top + side))))


def boxes(answer: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The boxes [n, 4] that stay after suppression of lesser ones of a class, and their classes."""
    rows = answer[0].T
    scores = rows[:, 4:]
    rows = rows[scores.max(axis=1) >= _SURE]
    order = np.argsort(-rows[:, 4:].max(axis=1), kind="stable")
    rows = rows[order]
    kind = rows[:, 4:].argmax(axis=1)
    middle, half = rows[:, :2], rows[:, 2:4] / 2
    corners = np.concatenate([middle - half, middle + half], axis=1)
    same = (overlap(corners, corners) > _SAME) & (kind[:, np.newaxis] == kind)
    kept: list[int] = []
    for i in range(len(rows)):
        if not same[i, kept].any():
            kept.append(i)
    return corners[kept], kind[kept]


def _judge(truth: Answers, answers: Answers) -> Figures:
    matched = total = extra = 0
    for exact, answer in zip(truth, answers, strict=True):
        (one, kinds), (other, others) = boxes(exact), boxes(answer)
        close = overlap(one, other) * (kinds[:, np.newaxis] == others)
        matched += int((close.max(axis=1, initial=0.0) >= 0.9).sum())
        extra += int((close.max(axis=0, initial=0.0) < 0.5).sum())
        total += len(one)
    return {"matched": matched / total, "invented": extra / total, "boxes": float(total)}


TASK = Task(
    data=f"{_HELD_OUT} composed scenes",
    model=lambda: zoo.path("yolov8n"),
    calibration=lambda: _scenes(_CALIBRATION, 1, photos.NAMES[::2]),
    held_out=lambda: _scenes(_HELD_OUT, 2, photos.NAMES),
    judge=_judge,
    required={"matched": 0.98},
)
