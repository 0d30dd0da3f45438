"""`quaver serve`, whose flags are made of its settings."""

from __future__ import annotations

import argparse

from quaver.serve import command


def run(arguments: argparse.Namespace) -> None:
    """Carry it out."""
    command.main(arguments.arguments)
