"""`quaver inspect`."""

from __future__ import annotations

import argparse
import json

from quaver import inspect
from quaver.cli import options


def flags(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    options.add_model(parser)
    options.add_shape(parser)
    parser.add_argument(
        "--profile",
        action="store_true",
        help="time each step on random inputs, on one thread unless --threads says more",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Carry it out."""
    model = options.load(arguments)
    runs = 20 if arguments.profile else 0
    facts = inspect.report(
        model, shapes=dict(arguments.shape), profile=runs, threads=arguments.threads or 1
    )
    print(json.dumps(facts, indent=2) if arguments.json else inspect.render(facts))
