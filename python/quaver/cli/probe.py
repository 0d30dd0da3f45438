"""`quaver probe`."""

from __future__ import annotations

import argparse
from pathlib import Path

import quaver
from quaver import npz
from quaver.cli import options


def flags(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    options.add_model(parser)
    parser.add_argument(
        "--input", metavar="X.npz", help="arrays by input name; default: random ones"
    )
    options.add_shape(parser)
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="default: probe.npz beside the model"
    )


def run(arguments: argparse.Namespace) -> None:
    """Carry it out."""
    model = options.load(arguments)
    inputs = npz.read(arguments.input) if arguments.input else None
    probe = quaver.Probe.record(model, inputs, shapes=dict(arguments.shape))
    output = arguments.output or Path(arguments.model).with_name("probe.npz")
    probe.save(output)
    how = "to the bit" if probe.exact else "closely: its bits depend on the instruction set"
    print(f"{output}: a model that takes this probe must answer {how}")
