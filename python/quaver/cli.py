"""The command `quaver`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import quaver
from quaver import files, npz, progress, table
from quaver.errors import AccuracyError, Error

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
    if argv[:1] == ["serve"]:  # whose flags are made of its settings
        arguments = argparse.Namespace(command=_serve, arguments=list(argv[1:]))
    else:
        arguments = _parser().parse_args(argv)
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


def _compile(arguments: argparse.Namespace) -> None:
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


def _run(arguments: argparse.Namespace) -> None:
    inputs = npz.read(arguments.input)
    npz.write(arguments.output, _load(arguments).run(inputs))


def _inspect(arguments: argparse.Namespace) -> None:
    from quaver import inspect  # noqa: PLC0415 -- each command loads what it needs

    model = _load(arguments)
    runs = 20 if arguments.profile else 0
    facts = inspect.report(
        model, shapes=dict(arguments.shape), profile=runs, threads=arguments.threads or 1
    )
    print(json.dumps(facts, indent=2) if arguments.json else inspect.render(facts))


def _bench(arguments: argparse.Namespace) -> None:
    from quaver import bench  # noqa: PLC0415 -- each command loads what it needs

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


def _numbers(text: str) -> list[float]:
    return [float(part) for part in text.split(",")]


def _size(numbers: list[float] | None) -> tuple[int, int] | None:
    if numbers is None:
        return None
    if len(numbers) != 2 or any(not n.is_integer() or n < 1 for n in numbers):
        raise quaver.InputError(f"--size takes HEIGHT,WIDTH in pixels, not {numbers}")
    return int(numbers[0]), int(numbers[1])


def _quantize(arguments: argparse.Namespace) -> None:
    output = arguments.output or Path(arguments.model).with_suffix(".int8.onnx")
    start = time.monotonic()
    from quaver.quantize.metrics import read_labels  # noqa: PLC0415 -- each loads what it needs
    from quaver.quantize.result import save_report  # noqa: PLC0415

    labels = None if arguments.labels is None else read_labels(arguments.labels)
    try:
        result = quaver.quantize(
            arguments.model,
            arguments.data,
            method=arguments.method,
            smooth=not arguments.no_smooth,
            equalize=not arguments.no_equalize,
            correct_bias=not arguments.no_bias_correction,
            mixed=not arguments.no_mixed,
            gptq=not arguments.no_gptq,
            mean=arguments.mean,
            std=arguments.std,
            size=_size(arguments.size),
            keep_float=arguments.keep_float,
            engine=arguments.engine,
            measure=arguments.report is not None,
            metric=arguments.metric,
            labels=labels,
            max_drop=arguments.max_drop,
            never_slower=arguments.never_slower,
            seed=arguments.seed,
        )
    except AccuracyError as error:
        print(_frontier(error.report["promise"]))
        if arguments.report:
            save_report(error.report, arguments.report)
            print(f"{arguments.report}: the report")
        raise
    result.save(output)
    sizes = [table.size(os.path.getsize(path)) for path in (arguments.model, output)]
    print(
        f"{output}: {sizes[1]}, from {arguments.model}: {sizes[0]}, on "
        f"{result.report['samples']} samples in {time.monotonic() - start:.1f} s"
    )
    for node, why in result.report["nodes"]["float"].items():
        print(f"  in float: {node}: {why}")
    if result.report["promise"]:
        print(_frontier(result.report["promise"]))
    for node, (in_float, in_int8) in result.report.get("latency", {}).get("slower", {}).items():
        print(f"  slower in int8: {node}: {in_int8:.3f} ms, in float {in_float:.3f} ms")
    if arguments.report:
        result.save_report(arguments.report)
        print(f"{arguments.report}: the report")


def _frontier(promise: Mapping[str, Any]) -> str:
    """The models that were tried, one a line."""
    from quaver.quantize.frontier import points  # noqa: PLC0415 -- each loads what it needs

    return table.render(*points(promise), right=range(4))


def _delta(arguments: argparse.Namespace) -> None:
    def load(path: str) -> quaver.Model:
        return progress.wait(lambda: quaver.load(path, threads=1), f"loading {path}")

    old, new = load(arguments.old), load(arguments.new)
    data = quaver.delta(old, new)
    files.write(arguments.output, data)
    print(
        f"{arguments.output}: {table.size(len(data))}, makes {new.identity} of {old.identity}; "
        f"the new model whole: {table.size(len(new._core.serialize()))}"
    )


def _probe(arguments: argparse.Namespace) -> None:
    model = _load(arguments)
    inputs = npz.read(arguments.input) if arguments.input else None
    probe = quaver.Probe.record(model, inputs, shapes=dict(arguments.shape))
    output = arguments.output or Path(arguments.model).with_name("probe.npz")
    probe.save(output)
    how = "to the bit" if probe.exact else "closely: its bits depend on the instruction set"
    print(f"{output}: a model that takes this probe must answer {how}")


def _serve(arguments: argparse.Namespace) -> None:
    from quaver.serve import command  # noqa: PLC0415 -- each command loads what it needs

    command.main(arguments.arguments)


def _info(arguments: argparse.Namespace) -> None:
    from quaver import info  # noqa: PLC0415 -- each command loads what it needs

    print(json.dumps(info.info(), indent=2) if arguments.json else info.describe())


def _load(arguments: argparse.Namespace) -> quaver.Model:
    def load() -> quaver.Model:
        return quaver.load(
            arguments.model,
            threads=arguments.threads,
            isa=arguments.isa,
            fallback=None if arguments.fallback == "none" else arguments.fallback,
            float_precision=arguments.float_precision,
        )

    return progress.wait(load, "loading")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="quaver", description="Run quantized models on CPUs.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"quaver {quaver.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, function: Callable[[argparse.Namespace], None], text: str) -> Any:
        command = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        command.set_defaults(command=function)
        return command

    _add_compile(add)

    one = add("run", _run, "Run a model once on arrays from a file.")
    _add_model(one)
    one.add_argument("--input", metavar="X.npz", required=True, help="arrays by input name")
    one.add_argument("--output", metavar="Y.npz", required=True, help="arrays by output name")

    one = add("inspect", _inspect, "Show what a model becomes on this machine.")
    _add_model(one)
    _add_shape(one)
    one.add_argument(
        "--profile",
        action="store_true",
        help="time each step on random inputs, on one thread unless --threads says more",
    )
    one.add_argument("--json", action="store_true", help="print JSON")

    one = add("bench", _bench, "Time a model, in turn with other runtimes.")
    one.add_argument("model", metavar="MODEL", help="an ONNX or a compiled model")
    one.add_argument("--isa", metavar="NAME", help="the highest instruction set for Quaver")
    _add_precision(one, "of Quaver; peers choose their own")
    one.add_argument(
        "--against", type=_words, default=[], metavar="PEER,...", help="onnxruntime, openvino"
    )
    one.add_argument("--threads", type=_counts, default=[1], metavar="N,...", help="default: 1")
    one.add_argument("--rounds", type=_count, default=7, metavar="N", help="default: 7")
    _add_shape(one)
    one.add_argument("--json", action="store_true", help="print JSON")

    one = add("quantize", _quantize, "Bring a float model to int8, on samples of its inputs.")
    one.add_argument("model", metavar="MODEL", help="an ONNX model in float")
    one.add_argument(
        "--data",
        metavar="PATH",
        required=True,
        help="an .npz of arrays by input name, samples along the first axis; an .npy; or a folder "
        "of such or of images",
    )
    one.add_argument(
        "--mean",
        type=_numbers,
        default=[0.0],
        metavar="A,B,C",
        help="of images' channels, 0 to 1: (value / 255 - mean) / std; default: 0",
    )
    one.add_argument(
        "--std", type=_numbers, default=[1.0], metavar="A,B,C", help="of the same; default: 1"
    )
    one.add_argument(
        "--size",
        type=_numbers,
        metavar="HEIGHT,WIDTH",
        help="of images, where the model leaves it open",
    )
    one.add_argument("-o", "--output", metavar="FILE", help="default: MODEL.int8.onnx")
    one.add_argument(
        "--report", metavar="FILE", help="measure errors and time, and write a page (.html) or JSON"
    )
    one.add_argument(
        "--method",
        default="auto",
        metavar="NAME",
        help="of ranges: auto (default), minmax, percentile, mse, entropy",
    )
    one.add_argument("--no-mixed", action="store_true", help="do not look for what costs most")
    one.add_argument("--no-gptq", action="store_true", help="round every weight by itself")
    one.add_argument("--no-smooth", action="store_true", help="leave outlier channels as they are")
    one.add_argument("--no-equalize", action="store_true", help="leave channels as they are")
    one.add_argument("--no-bias-correction", action="store_true", help="leave biases as they are")
    one.add_argument(
        "--keep-float",
        action="append",
        default=[],
        metavar="NODE",
        help="a node that stays in float; once for each",
    )
    one.add_argument(
        "--engine", default="quaver", metavar="NAME", help="quaver (default) or onnxruntime"
    )
    one.add_argument(
        "--metric",
        metavar="NAME",
        help="of the promise: cosine (default), top1, f1; without --max-drop it is only measured",
    )
    one.add_argument(
        "--labels",
        metavar="FILE",
        help="the right classes, one a sample: .npy, .npz, or text; default: the float model's",
    )
    one.add_argument(
        "--max-drop",
        type=float,
        metavar="X",
        help="return layers to float until the metric falls by no more than this",
    )
    one.add_argument(
        "--never-slower", action="store_true", help="leave in float what is slower in int8 here"
    )
    one.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")

    _add_updates(add)

    one = add("info", _info, "Show this build, CPU, instruction sets and threads.")
    one.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _add_compile(add: Callable[..., Any]) -> None:
    one = add("compile", _compile, "Compile an ONNX model into a file that loads at once.")
    one.add_argument("model", metavar="MODEL", help="an ONNX model")
    one.add_argument("-o", "--output", metavar="FILE", help="default: MODEL with suffix .quaver")
    one.add_argument(
        "--packed",
        action="store_true",
        help="with the weights as this machine's kernels take them: twice as large, loads fastest",
    )
    _add_precision(one, "that --packed packs for")


def _add_updates(add: Callable[..., Any]) -> None:
    """Add what has to do with exchanging models and serving them."""
    one = add("delta", _delta, "Write what makes a new model out of an old one.")
    one.add_argument("old", metavar="OLD", help="an ONNX or a compiled model: the base")
    one.add_argument("new", metavar="NEW", help="an ONNX or a compiled model")
    one.add_argument("-o", "--output", metavar="FILE", required=True, help="update.qdelta")

    one = add("probe", _probe, "Record inputs and what the model makes of them, to check it by.")
    _add_model(one)
    one.add_argument("--input", metavar="X.npz", help="arrays by input name; default: random ones")
    _add_shape(one)
    one.add_argument("-o", "--output", metavar="FILE", help="default: probe.npz beside the model")

    one = add("serve", _serve, "Serve a folder of models over HTTP and gRPC.")
    one.add_argument("arguments", nargs=argparse.REMAINDER, metavar="...", help="see serve --help")


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="an ONNX or a compiled model")
    parser.add_argument("--threads", type=_count, metavar="N", help="default: all there are")
    parser.add_argument("--isa", metavar="NAME", help="the highest instruction set to use")
    _add_precision(parser, "of float convolutions and products")
    parser.add_argument(
        "--fallback",
        default="auto",
        metavar="RUNTIME",
        help="what runs nodes that Quaver lacks: onnxruntime, onnxruntime:PROVIDER or none "
        "(default: onnxruntime where it is installed)",
    )


def _add_precision(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--float-precision",
        choices=["fp32", "bf16"],
        default="fp32",
        metavar="NAME",
        help=f"fp32 (default) or bf16: the precision {what}",
    )


def _add_shape(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--shape",
        type=_named_shape,
        action="append",
        default=[],
        metavar="NAME=N,N,...",
        help="the shape of an input that the model leaves open; once for each",
    )


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _count(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a positive integer, got {text!r}")
    return number


def _counts(text: str) -> list[int]:
    return [_count(word) for word in text.split(",")]


def _named_shape(text: str) -> tuple[str, list[int]]:
    name, equals, dims = text.rpartition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"expected NAME=N,N,..., got {text!r}")
    return name, _counts(dims)
