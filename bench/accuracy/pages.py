"""Text detection: pages of rendered lines over paper and photographs."""

from __future__ import annotations

import numpy as np
from PIL import Image
from skimage import measure

import zoo
from accuracy import fonts, text
from accuracy.task import Answers, Feed, Figures, Task
from accuracy.vectors import cosines, overlap
from zoo import photos
from zoo.graph import FloatArray

_SIZE = 640
_CALIBRATION, _HELD_OUT = 24, 60
_SURE, _LEAST_PIXELS = 0.3, 12  # of a text's probability; and of an area that counts


def _pages(count: int, seed: int, part: int) -> list[Feed]:
    generator = np.random.default_rng(seed)
    names = photos.NAMES[part::2]
    return [{"x": _page(generator, part, names)[np.newaxis]} for _ in range(count)]


def _page(generator: np.random.Generator, part: int, names: tuple[str, ...]) -> FloatArray:
    if generator.random() < 0.5:
        image = Image.new("RGB", (_SIZE, _SIZE), (int(generator.integers(180, 256)),) * 3)
    else:
        photo = photos.load(names[int(generator.integers(len(names)))])
        image = photo.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC)
    y = int(generator.integers(5, 60))
    while True:
        size = int(generator.integers(14, 48))
        font = fonts.face(int(generator.integers(len(fonts.paths()))), size)
        line = text.line(generator, part, int(generator.integers(4, 900 // size)))
        paper = int(generator.integers(170, 256))
        strip = fonts.draw(line, font, int(generator.integers(0, 90)), paper, margin=4)
        if y + strip.height > _SIZE:
            break
        x = int(generator.integers(0, max(1, _SIZE - strip.width)))
        image.paste(strip.convert("RGB"), (x, y))
        y += strip.height + int(generator.integers(4, 60))
    image = fonts.noisy(image, generator, generator.uniform(0, 15))
    return photos.IMAGENET(image)


def _boxes(probabilities: FloatArray) -> FloatArray:
    """The boxes [n, 4] around areas that the map holds for text: left, top, right, bottom."""
    areas = measure.regionprops(measure.label(probabilities[0, 0] > _SURE))
    kept = [area.bbox for area in areas if area.num_pixels >= _LEAST_PIXELS]
    return np.array([(x0, y0, x1, y1) for y0, x0, y1, x1 in kept], np.float32).reshape(-1, 4)


def _judge(truth: Answers, answers: Answers) -> Figures:
    kept = total = 0
    for exact, answer in zip(truth, answers, strict=True):
        boxes = _boxes(exact)
        best = overlap(boxes, _boxes(answer)).max(axis=1, initial=0.0)
        kept, total = kept + int((best >= 0.7).sum()), total + len(boxes)
    found = cosines(truth, answers)
    return {"cosine": float(found.mean()), "cosine_least": float(found.min()), "kept": kept / total}


TASK = Task(
    data=f"{_HELD_OUT} rendered pages",
    model=lambda: zoo.path("ppocr-det"),
    calibration=lambda: _pages(_CALIBRATION, seed=1, part=0),
    held_out=lambda: _pages(_HELD_OUT, seed=2, part=1),
    judge=_judge,
    required={"cosine": 0.99, "kept": 0.98},
)
