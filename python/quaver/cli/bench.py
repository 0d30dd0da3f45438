"""`quaver bench`."""

from __future__ import annotations

import argparse
import json

from quaver import bench
from quaver.cli import options


def flags(parser: argparse.ArgumentParser) -> None:
    """Add what it takes."""
    parser.add_argument("model", metavar="MODEL", help="an ONNX or a compiled model")
    parser.add_argument("--isa", metavar="NAME", help="the highest instruction set for Quaver")
    options.add_precision(parser, "of Quaver; peers choose their own")
    parser.add_argument(
        "--against",
        type=options.words,
        default=[],
        metavar="PEER,...",
        help="onnxruntime, openvino",
    )
    parser.add_argument(
        "--threads", type=options.counts, default=[1], metavar="N,...", help="default: 1"
    )
    parser.add_argument("--rounds", type=options.count, default=7, metavar="N", help="default: 7")
    options.add_shape(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Carry it out."""
    results = bench.bench(
        arguments.model,
        against=arguments.against,
        threads=arguments.threads,
        rounds=arguments.rounds,
        isa=arguments.isa,
        float_precision=arguments.float_precision,
        shapes=dict(arguments.shape),
    )
    if arguments.json:
        print(json.dumps(bench.as_json(arguments.model, results), indent=2))
    else:
        print(bench.render(results))
