"""Flags that several commands have, and what they read of text."""

from __future__ import annotations

import argparse

import quaver
from quaver import progress


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add a model, and how it is to run."""
    parser.add_argument("model", metavar="MODEL", help="an ONNX or a compiled model")
    parser.add_argument("--threads", type=count, metavar="N", help="default: all there are")
    parser.add_argument("--isa", metavar="NAME", help="the highest instruction set to use")
    add_precision(parser, "of float convolutions and products")
    parser.add_argument(
        "--fallback",
        default="auto",
        metavar="RUNTIME",
        help="what runs nodes that Quaver lacks: onnxruntime, onnxruntime:PROVIDER or none "
        "(default: onnxruntime where it is installed)",
    )


def add_precision(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the precision of floats."""
    parser.add_argument(
        "--float-precision",
        choices=["fp32", "bf16"],
        default="fp32",
        metavar="NAME",
        help=f"fp32 (default) or bf16: the precision {what}",
    )


def add_shape(parser: argparse.ArgumentParser) -> None:
    """Add the shapes of inputs."""
    parser.add_argument(
        "--shape",
        type=named_shape,
        action="append",
        default=[],
        metavar="NAME=N,N,...",
        help="the shape of an input that the model leaves open; once for each",
    )


def load(arguments: argparse.Namespace) -> quaver.Model:
    """Load the model as the flags say."""

    def load() -> quaver.Model:
        return quaver.load(
            arguments.model,
            threads=arguments.threads,
            isa=arguments.isa,
            fallback=None if arguments.fallback == "none" else arguments.fallback,
            float_precision=arguments.float_precision,
        )

    return progress.wait(load, "loading")


def words(text: str) -> list[str]:
    """Read words between commas."""
    return [word for word in text.split(",") if word]


def count(text: str) -> int:
    """Read a positive integer."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got {text!r}")
    return number


def counts(text: str) -> list[int]:
    """Read positive integers between commas."""
    return [count(word) for word in text.split(",")]


def named_shape(text: str) -> tuple[str, list[int]]:
    """Read NAME=N,N,..."""
    name, equals, dims = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=N,N,..., got {text!r}")
    return name, counts(dims)
