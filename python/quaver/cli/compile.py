"""`quaver compile`."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import quaver
from quaver import progress, table
from quaver.cli import options


def flags(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.add_argument("model", metavar="MODEL", help="an ONNX model")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: MODEL with suffix .quaver")
    parser.add_argument(
        "--packed",
        action="store_true",
        help="with the weights as this machine's kernels take them: twice as large, loads fastest",
    )
    options.add_precision(parser, "that --packed packs for")


def run(arguments: argparse.Namespace) -> None:
    """Carry it out."""
    output = arguments.output or Path(arguments.model).with_suffix(".quaver")
    start = time.monotonic()

    def load() -> quaver.Model:
        return quaver.load(
            arguments.model, threads=1, fallback=None, float_precision=arguments.float_precision
        )

    model = progress.wait(load, "compiling")
    model.save(output, packed=arguments.packed)
    sizes = [table.size(os.path.getsize(path)) for path in (arguments.model, output)]
    seconds = time.monotonic() - start
    print(f"{output}: {sizes[1]}, from {arguments.model}: {sizes[0]}, in {seconds:.1f} s")
