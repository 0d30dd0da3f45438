"""The command `quaver`: a module for each of its commands, loaded when that is asked for."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module

import quaver
from quaver.errors import Error

COMMANDS = {
    "compile": "Compile an ONNX model into a file that loads at once.",
    "run": "Run a model once on arrays from a file.",
    "inspect": "Show what a model becomes on this machine.",
    "bench": "Time a model, in turn with other runtimes.",
    "quantize": "Bring a float model to int8, on samples of its inputs.",
    "delta": "Write what makes a new model out of an old one.",
    "probe": "Record inputs and what the model makes of them, to check it by.",
    "serve": "Serve a folder of models over HTTP and gRPC.",
    "info": "Show this build, CPU, instruction sets and threads.",
}
_INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main() -> None:
    """Run the command and leave with its exit code."""
    code = run(sys.argv[1:])
    sys.stdout.flush()
    if code == _INTERRUPTED and threading.active_count() > 1:
        os._exit(code)  # native code may still be at work in a thread that cannot be stopped
    sys.exit(code)


def run(argv: Sequence[str]) -> int:
    """Carry out a command line; give the exit code.

    Returns
    -------
    int
        0; 1 after an error, which is on stderr; 130 after Ctrl-C.
    """
    arguments = parse(argv)
    command: Callable[[argparse.Namespace], None] = arguments.command
    try:
        command(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("quaver: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (Error, OSError, MemoryError) as error:
        print(f"quaver: error: {error or type(error).__name__}", file=sys.stderr)
        return 1
    return 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read a command line; what carries it out is the attribute `command`."""
    parser = argparse.ArgumentParser(
        prog="quaver", description="Run quantized models on CPUs.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"quaver {quaver.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        one = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        if argv[:1] == [name]:
            module = import_module(f"quaver.cli.{name}")
            if name == "serve":  # argparse would take its flags for its own
                return argparse.Namespace(command=module.run, arguments=list(argv[1:]))
            module.flags(one)
            one.set_defaults(command=module.run)
    return parser.parse_args(argv)
