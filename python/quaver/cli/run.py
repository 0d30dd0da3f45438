"""`quaver run`."""

from __future__ import annotations

import argparse

from quaver import npz
from quaver.cli import options


def flags(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    options.add_model(parser)
    parser.add_argument("--input", metavar="X.npz", required=True, help="arrays by input name")
    parser.add_argument("--output", metavar="Y.npz", required=True, help="arrays by output name")


def run(arguments: argparse.Namespace) -> None:
    """Carry it out."""
    inputs = npz.read(arguments.input)
    npz.write(arguments.output, options.load(arguments).run(inputs))
