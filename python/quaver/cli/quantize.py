"""`quaver quantize`."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import quaver
from quaver import table
from quaver.errors import AccuracyError
from quaver.quantize.frontier import points
from quaver.quantize.metrics import read_labels
from quaver.quantize.result import save_report


def flags(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.add_argument("model", metavar="MODEL", help="an ONNX model in float")
    parser.add_argument(
        "--data",
        metavar="PATH",
        required=True,
        help="an .npz of arrays by input name, samples along the first axis; an .npy; or a folder "
        "of such or of images",
    )
    parser.add_argument(
        "--mean",
        type=_numbers,
        default=[0.0],
        metavar="A,B,C",
        help="of images' channels, 0 to 1: (value / 255 - mean) / std; default: 0",
    )
    parser.add_argument(
        "--std", type=_numbers, default=[1.0], metavar="A,B,C", help="of the same; default: 1"
    )
    parser.add_argument(
        "--size",
        type=_numbers,
        metavar="HEIGHT,WIDTH",
        help="of images, where the model leaves it open",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="default: MODEL.int8.onnx")
    parser.add_argument(
        "--report", metavar="FILE", help="measure errors and time, and write a page (.html) or JSON"
    )
    parser.add_argument(
        "--method",
        default="auto",
        metavar="NAME",
        help="of ranges: auto (default), minmax, percentile, mse, entropy",
    )
    parser.add_argument("--no-mixed", action="store_true", help="do not look for what costs most")
    parser.add_argument("--no-gptq", action="store_true", help="round every weight by itself")
    parser.add_argument(
        "--no-smooth", action="store_true", help="leave outlier channels as they are"
    )
    parser.add_argument("--no-equalize", action="store_true", help="leave channels as they are")
    parser.add_argument(
        "--no-bias-correction", action="store_true", help="leave biases as they are"
    )
    parser.add_argument(
        "--keep-float",
        action="append",
        default=[],
        metavar="NODE",
        help="a node that stays in float; once for each",
    )
    parser.add_argument(
        "--engine", default="quaver", metavar="NAME", help="quaver (default) or onnxruntime"
    )
    parser.add_argument(
        "--metric",
        metavar="NAME",
        help="of the promise: cosine (default), top1, f1; without --max-drop it is only measured",
    )
    parser.add_argument(
        "--labels",
        metavar="FILE",
        help="the right classes, one a sample: .npy, .npz, or text; default: the float model's",
    )
    parser.add_argument(
        "--max-drop",
        type=float,
        metavar="X",
        help="return layers to float until the metric falls by no more than this",
    )
    parser.add_argument(
        "--never-slower", action="store_true", help="leave in float what is slower in int8 here"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")


def run(arguments: argparse.Namespace) -> None:
    """Carry it out."""
    output = arguments.output or Path(arguments.model).with_suffix(".int8.onnx")
    start = time.monotonic()

    labels = None if arguments.labels is None else read_labels(arguments.labels)
    try:
        result = quaver.quantize(
            arguments.model,
            arguments.data,
            method=arguments.method,
            smooth=not arguments.no_smooth,
            equalize=not arguments.no_equalize,
            correct_bias=not arguments.no_bias_correction,
            mixed=not arguments.no_mixed,
            gptq=not arguments.no_gptq,
            mean=arguments.mean,
            std=arguments.std,
            size=_size(arguments.size),
            keep_float=arguments.keep_float,
            engine=arguments.engine,
            measure=arguments.report is not None,
            metric=arguments.metric,
            labels=labels,
            max_drop=arguments.max_drop,
            never_slower=arguments.never_slower,
            seed=arguments.seed,
        )
    except AccuracyError as error:
        print(_frontier(error.report["promise"]))
        if arguments.report:
            save_report(error.report, arguments.report)
            print(f"{arguments.report}: the report")
        raise
    result.save(output)
    sizes = [table.size(os.path.getsize(path)) for path in (arguments.model, output)]
    print(
        f"{output}: {sizes[1]}, from {arguments.model}: {sizes[0]}, on "
        f"{result.report['samples']} samples in {time.monotonic() - start:.1f} s"
    )
    for node, why in result.report["nodes"]["float"].items():
        print(f"  in float: {node}: {why}")
    if result.report["promise"]:
        print(_frontier(result.report["promise"]))
    for node, (in_float, in_int8) in result.report.get("latency", {}).get("slower", {}).items():
        print(f"  slower in int8: {node}: {in_int8:.3f} ms, in float {in_float:.3f} ms")
    if arguments.report:
        result.save_report(arguments.report)
        print(f"{arguments.report}: the report")


def _frontier(promise: Mapping[str, Any]) -> str:
    """The models that were tried, one a line."""
    return table.render(*points(promise), right=range(4))


def _size(numbers: list[float] | None) -> tuple[int, int] | None:
    if numbers is None:
        return None
    if len(numbers) != 2 or any(not n.is_integer() or n < 1 for n in numbers):
        raise quaver.InputError(f"--size takes HEIGHT,WIDTH in pixels, not {numbers}")
    return int(numbers[0]), int(numbers[1])


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]
