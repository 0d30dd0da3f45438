"""`quaver delta`."""

from __future__ import annotations

import argparse

import quaver
from quaver import files, progress, table


def flags(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.add_argument("old", metavar="OLD", help="an ONNX or a compiled model: the base")
    parser.add_argument("new", metavar="NEW", help="an ONNX or a compiled model")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="update.qdelta")


def run(arguments: argparse.Namespace) -> None:
    """Carry it out."""

    def load(path: str) -> quaver.Model:
        return progress.wait(lambda: quaver.load(path, threads=1), f"loading {path}")

    old, new = load(arguments.old), load(arguments.new)
    data = quaver.delta(old, new)
    files.write(arguments.output, data)
    print(
        f"{arguments.output}: {table.size(len(data))}, makes {new.identity} of {old.identity}; "
        f"the new model whole: {table.size(len(new._core.serialize()))}"
    )
