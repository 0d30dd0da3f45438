"""Classify photographs with EfficientNet-Lite0 in int8 by Quaver, next to onnxruntime.

Quantizes the float network, compiles it to a .quaver file, and compares labels, size and speed with
onnxruntime and what its quantizer makes of the same network.
Needs the `demo` extra; run with ``make demo``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image, ImageDraw, ImageFont

import quaver

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "bench"))

import zoo
from zoo import labels, photos
from zoo.efficientnet_lite0 import NORMALIZATION

FloatArray = npt.NDArray[np.float32]
Runner = Callable[[FloatArray], FloatArray]  # float32 [1, 3, 224, 224] to float32 [1, 1000]

TOP = 3
CALIBRATION = 64  # samples to quantize on
WARM_UP_ROUNDS = 5


class Guess(NamedTuple):
    """A class and its probability, from 0 to 1."""

    label: str
    probability: float


class Result(NamedTuple):
    """How one runtime did on the photographs."""

    runtime: str
    size: int  # bytes of the model file
    logits: FloatArray  # [photographs, 1000]
    latency: float  # median seconds per photograph, one thread


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(),
        help="directory for model.onnx, model.quaver and demo.png (default: the current one)",
    )
    parser.add_argument(
        "--rounds", type=int, default=60, help="latency measurements (default: %(default)s)"
    )
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)

    float_file = zoo.path("efficientnet-lite0")
    other_file = zoo.path("efficientnet-lite0-int8")
    int8_file = arguments.output / "model.onnx"
    progress(f"quantizing on {CALIBRATION} crops of photographs")
    crops = photos.random_crops(CALIBRATION, NORMALIZATION, seed=0)[:, np.newaxis]
    quaver.quantize(float_file, list(crops), measure=False).save(int8_file)
    compiled_file = arguments.output / "model.quaver"
    progress(f"compiling {compiled_file}")
    quaver.load(int8_file).save(compiled_file)

    files = {
        "onnxruntime float": float_file,
        "onnxruntime int8": other_file,
        "Quaver int8": compiled_file,
    }
    runners: dict[str, Runner] = {
        "onnxruntime float": onnxruntime_runner(float_file),
        "onnxruntime int8": onnxruntime_runner(other_file),
        "Quaver int8": quaver.load(compiled_file, threads=1),
    }
    images = photos.centre_crops(NORMALIZATION)[:, np.newaxis]
    progress(f"classifying {len(images)} photographs")
    logits = {
        runtime: np.concatenate([run(image) for image in images])
        for runtime, run in runners.items()
    }
    progress(f"measuring latency in {arguments.rounds} interleaved rounds, one thread")
    latencies = measure_latencies(runners, images[0], arguments.rounds)
    results = [
        Result(runtime, file.stat().st_size, logits[runtime], latencies[runtime])
        for runtime, file in files.items()
    ]

    reference, _, result = results
    guesses = {
        name: top_guesses(row) for name, row in zip(photos.NAMES, result.logits, strict=True)
    }
    float_labels = {
        name: labels.names()[index]
        for name, index in zip(photos.NAMES, top1(reference), strict=True)
    }
    print(guess_table(guesses, float_labels))
    print()
    print(result_table(results))
    sheet_file = arguments.output / "demo.png"
    contact_sheet(guesses, float_labels, summary(results)).save(sheet_file)
    print(f"\nPictures with their labels: {sheet_file}")
    print(f"Quantized model: {int8_file}, compiled: {compiled_file}")


def progress(message: str) -> None:
    """Tell what is going on, apart from the results."""
    print(f"demo: {message} ...", file=sys.stderr, flush=True)


def onnxruntime_runner(file: Path) -> Runner:
    """Load a model into onnxruntime with one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

    def run(image: FloatArray) -> FloatArray:
        (logits,) = session.run(None, {"input": image})
        return np.asarray(logits, np.float32)

    return run


def measure_latencies(
    runners: dict[str, Runner], image: FloatArray, rounds: int
) -> dict[str, float]:
    """Time the runners in turn, so that whatever slows the machine slows them alike.

    Returns
    -------
    dict of str to float
        The median of each, in seconds.
    """
    times: dict[str, list[float]] = {runtime: [] for runtime in runners}
    for round_index in range(WARM_UP_ROUNDS + rounds):
        for runtime, run in runners.items():
            start = time.perf_counter()
            run(image)
            elapsed = time.perf_counter() - start
            if round_index >= WARM_UP_ROUNDS:
                times[runtime].append(elapsed)
    return {runtime: statistics.median(samples) for runtime, samples in times.items()}


def top_guesses(logits: FloatArray) -> list[Guess]:
    """Return the most probable classes of one photograph, best first, from its logits [1000]."""
    exponentials = np.exp(logits - logits.max())
    probabilities = exponentials / exponentials.sum()
    best = np.argsort(-probabilities)[:TOP]
    return [Guess(labels.names()[index], float(probabilities[index])) for index in best]


def top1(result: Result) -> npt.NDArray[np.intp]:
    """Return the best class of each photograph."""
    return np.asarray(result.logits.argmax(axis=1))


def mean_cosine(result: Result, reference: Result) -> float:
    """Average over photographs the cosine between two runtimes' logits."""
    products = np.sum(result.logits * reference.logits, axis=1)
    norms = [np.linalg.norm(each.logits, axis=1) for each in (result, reference)]
    return float(np.mean(products / (norms[0] * norms[1])))


def agreement(result: Result, reference: Result) -> str:
    """Count the photographs on which two runtimes see the same class."""
    same = np.count_nonzero(top1(result) == top1(reference))
    return f"{same}/{len(result.logits)}"


def guess_table(guesses: dict[str, list[Guess]], float_labels: dict[str, str]) -> str:
    """Tabulate the guesses for each photograph."""
    header = ["photo", *(f"top-{rank} on Quaver int8" for rank in range(1, TOP + 1)), "as float"]
    rows = [
        [
            photo,
            *(f"{guess.label} {guess.probability:.0%}" for guess in best),
            "yes" if best[0].label == float_labels[photo] else f"no: {float_labels[photo]}",
        ]
        for photo, best in guesses.items()
    ]
    return table([header, *rows])


def result_table(results: list[Result]) -> str:
    """Tabulate size, fidelity to the float network and speed of each runtime."""
    reference = results[0]
    int8_latency = results[1].latency
    header = ["runtime", "model size", "top-1 as float", "logit cosine", "latency", "speed"]
    rows = [
        [
            result.runtime,
            f"{result.size / 1e6:.1f} MB",
            agreement(result, reference),
            f"{mean_cosine(result, reference):.4f}",
            f"{result.latency * 1e3:.2f} ms",
            f"{int8_latency / result.latency:.2f}x",
        ]
        for result in results
    ]
    return table([header, *rows]) + (
        "\n\nCosine: mean over photographs.  Latency: median of one image, one thread."
        "\nSpeed: relative to onnxruntime int8, whose default kernels may saturate 16-bit"
        "\nsums on x86 CPUs without VNNI."
    )


def table(rows: list[list[str]]) -> str:
    """Align rows into columns, the first row underlined."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    header, *body = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join([header, "  ".join("-" * width for width in widths), *body])


def summary(results: list[Result]) -> str:
    """Say the results in one line."""
    reference, other, result = results
    return "   ·   ".join(
        [
            f"{result.size / 1e6:.1f} MB instead of {reference.size / 1e6:.1f} MB",
            f"{agreement(result, reference)} labels as in float",
            f"{result.latency * 1e3:.1f} ms per photo on one thread",
            f"{other.latency / result.latency:.1f}x the speed of onnxruntime int8",
        ]
    )


# Layout of the contact sheet, in pixels.
COLUMNS = 4
PHOTO = 320
CARD_TEXT = 128
GAP = 28
CORNER = 10
HEADER = 128

BACKGROUND = "#f6f5f1"
CARD = "#ffffff"
INK = "#22262b"
FAINT_INK = "#7b828a"
BAR = "#dfe9e4"
BEST_BAR = "#a9d8c2"
DIFFERENT = "#c2572b"


def contact_sheet(
    guesses: dict[str, list[Guess]], float_labels: dict[str, str], subtitle: str
) -> Image.Image:
    """Draw every photograph, as the network sees it, above its labels."""
    rows = -(-len(guesses) // COLUMNS)
    width = GAP + COLUMNS * (PHOTO + GAP)
    height = HEADER + rows * (PHOTO + CARD_TEXT + GAP)
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 28), "Quaver", INK, font(44))
    title_end = GAP + draw.textlength("Quaver", font(44))
    draw.text((title_end + 16, 45), "EfficientNet-Lite0 in int8", FAINT_INK, font(26))
    draw.text((GAP, 86), subtitle, INK, font(20))
    corners = Image.new("L", (PHOTO, PHOTO))
    rounded = (0, 0, PHOTO - 1, PHOTO + CORNER)  # at the top; the text follows at the bottom
    ImageDraw.Draw(corners).rounded_rectangle(rounded, CORNER, 255)
    for index, (photo, best) in enumerate(guesses.items()):
        left = GAP + index % COLUMNS * (PHOTO + GAP)
        top = HEADER + index // COLUMNS * (PHOTO + CARD_TEXT + GAP)
        draw.rounded_rectangle((left, top, left + PHOTO, top + PHOTO + CARD_TEXT), CORNER, CARD)
        sheet.paste(photos.centre_crop(photos.load(photo), PHOTO), (left, top), corners)
        draw_guesses(draw, left + 12, top + PHOTO + 12, best)
        if best[0].label != float_labels[photo]:
            draw_tag(draw, left + PHOTO - 10, top + 10, f"in float: {float_labels[photo]}")
    return sheet


def draw_guesses(draw: ImageDraw.ImageDraw, left: int, top: int, best: list[Guess]) -> None:
    """Draw one line per guess over a bar as long as its probability."""
    width, line = PHOTO - 24, 36
    for rank, guess in enumerate(best):
        y = top + rank * line
        bar, ink = (BEST_BAR, INK) if rank == 0 else (BAR, FAINT_INK)
        draw.rounded_rectangle((left, y, left + width * guess.probability, y + line - 6), 4, bar)
        middle = y + (line - 6) / 2
        draw.text((left + 8, middle), guess.label, ink, font(18), anchor="lm")
        share = f"{guess.probability:.0%}"
        draw.text((left + width - 4, middle), share, ink, font(18), anchor="rm")


def draw_tag(draw: ImageDraw.ImageDraw, right: int, top: int, text: str) -> None:
    """Draw a tag with its upper right corner at the point."""
    left = right - draw.textlength(text, font(16)) - 20
    draw.rounded_rectangle((left, top, right, top + 28), 14, CARD)
    draw.text((right - 10, top + 14), text, DIFFERENT, font(16), anchor="rm")


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font in `size` pixels."""
    return ImageFont.load_default(size)


if __name__ == "__main__":
    main()
