"""`quaver info`."""

from __future__ import annotations

import argparse
import json

from quaver import info


def flags(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Carry it out."""
    print(json.dumps(info.info(), indent=2) if arguments.json else info.describe())
