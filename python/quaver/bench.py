"""Quaver and its peers on the same model, in turn: `quaver bench`.

Absolute times drift with the machine, so the contenders run in interleaved rounds and what counts
is the ratio within a round.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import quaver
from quaver import progress, table
from quaver.errors import InputError
from quaver.info import info
from quaver.samples import input_shapes, random_inputs

Run = Callable[[], object]
Inputs = Mapping[str, NDArray[Any]]


class Contender(NamedTuple):
    """A runtime with the model loaded and inputs bound."""

    runtime: str
    version: str
    threads: int
    floats: str
    """The precision of float products: fp32 or bf16."""
    run: Run


class Result(NamedTuple):
    """One contender's times over all rounds."""

    runtime: str
    version: str
    threads: int
    floats: str
    median_ms: float
    p10_ms: float
    ratio: float
    """Quaver's time over this one's, the median of the rounds' ratios: below 1 Quaver is faster."""


def made_inputs(path: str, shapes: Mapping[str, Sequence[int]]) -> dict[str, NDArray[Any]]:
    """Make the same random inputs for a model each time; indices are in bounds of their tables."""
    ports = quaver.load(path, threads=1, fallback=None).inputs
    arrays = random_inputs(ports, input_shapes(ports, shapes), _rows_chosen(path))
    return {port.name: array for port, array in zip(ports, arrays, strict=True)}


def _rows_chosen(path: str) -> dict[str, int]:
    if path.endswith(".quaver"):  # where an index out of bounds takes the nearest row
        return {}
    from quaver.convert.onnx.source import load_proto, modernized  # noqa: PLC0415 -- needs onnx
    from quaver.convert.onnx.tables import rows_chosen  # noqa: PLC0415
    from quaver.stages.extract import types_of  # noqa: PLC0415

    model = modernized(load_proto(path, mapped=True))
    return rows_chosen(model, types_of(model))


def ours(
    path: str,
    inputs: Inputs,
    threads: int,
    isa: str | None = None,
    float_precision: str = "fp32",
) -> Contender:
    """Load a model in Quaver."""
    model = quaver.load(
        path, threads=threads, isa=isa, fallback=None, float_precision=float_precision
    )
    arrays = [inputs[port.name] for port in model.inputs]
    return Contender("quaver", quaver.__version__, threads, float_precision, lambda: model(*arrays))


def _onnxruntime(path: str, inputs: Inputs, threads: int) -> Contender:
    import onnxruntime as ort  # noqa: PLC0415 -- an extra

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return Contender(
        "onnxruntime", ort.__version__, threads, "fp32", lambda: session.run(None, dict(inputs))
    )


def _openvino(path: str, inputs: Inputs, threads: int) -> Contender:
    import openvino as ov  # noqa: PLC0415 -- an extra

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    model = ov.Core().compile_model(path, "CPU", settings)
    request = model.create_infer_request()
    floats = model.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    return Contender(
        "openvino",
        metadata.version("openvino"),
        threads,
        "fp32" if floats == "f32" else floats,
        lambda: request.infer(dict(inputs), share_inputs=True),
    )


PEERS: dict[str, Callable[[str, Inputs, int], Contender]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}


def bench(
    path: str,
    *,
    against: Sequence[str] = (),
    threads: Sequence[int] = (1,),
    rounds: int = 7,
    seconds: float = 0.2,
    isa: str | None = None,
    float_precision: str = "fp32",
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> list[Result]:
    """Time a model in Quaver and in its peers.

    Parameters
    ----------
    path
        An ONNX model, or a compiled one where there is no peer.
    against
        Names from `PEERS`.
    threads
        Thread counts; each is a contest of its own.
    rounds, seconds
        How often each contender has its turn, and how long a turn lasts at least.
    isa
        The highest instruction set for Quaver. Peers choose their own.
    float_precision
        As for `quaver.load`.
    shapes
        The shapes of inputs that the model leaves open, by name.

    Returns
    -------
    list of Result
        In the order of `threads`, Quaver before its peers.
    """
    _check(path, against)
    inputs = made_inputs(path, shapes or {})
    contests = [
        [
            ours(path, inputs, count, isa, float_precision),
            *(PEERS[peer](path, inputs, count) for peer in against),
        ]
        for count in threads
    ]
    return [result for contest in _interleave(contests, rounds, seconds) for result in contest]


def as_json(path: str, results: Sequence[Result]) -> dict[str, Any]:
    """The results with the machine they were taken on, as plain values."""
    facts = info()
    return {
        "model": os.path.basename(path),
        "cpu": facts["cpu"],
        "isa": facts["isa"],
        "results": [result._asdict() for result in results],
    }


def render(results: Sequence[Result]) -> str:
    """Set the results as a table, and say where precisions differ."""
    header = ["runtime", "version", "threads", "floats", "median ms", "p10 ms", "quaver / this"]
    rows = [
        [
            result.runtime,
            result.version,
            str(result.threads),
            result.floats,
            f"{result.median_ms:.3f}",
            f"{result.p10_ms:.3f}",
            "" if result.runtime == "quaver" else f"{result.ratio:.2f}",
        ]
        for result in results
    ]
    text = table.render(header, rows, right=(2, 4, 5, 6))
    precision = {result.runtime: result.floats for result in results}
    notes = [
        f"{runtime} rounds the operands of float products to {floats}, Quaver computes them in "
        f"{precision['quaver']}; --float-precision {floats} has it do so too"
        for runtime, floats in precision.items()
        if floats == "bf16" != precision["quaver"]
    ]
    return "\n".join([text, *notes])


def _check(path: str, against: Sequence[str]) -> None:
    for peer in against:
        if peer not in PEERS:
            raise InputError(f"there is no peer {peer!r}; there are {', '.join(PEERS)}")
        try:
            metadata.version(peer)
        except metadata.PackageNotFoundError as error:
            raise InputError(f"{peer} is not installed: pip install {peer}") from error
    if against and path.endswith(".quaver"):
        raise InputError(
            f"'{path}' runs in Quaver alone; give the ONNX model to compare with peers"
        )


def _interleave(
    contests: Sequence[Sequence[Contender]], rounds: int, seconds: float
) -> list[list[Result]]:
    """Give every contender its turn in every round."""
    entries = [(i, c) for i, contest in enumerate(contests) for c in range(len(contest))]
    turns = [entry for turn in range(rounds) for entry in _rotated(entries, turn)]
    times: dict[tuple[int, int], list[list[float]]] = {entry: [] for entry in entries}
    for i, c in entries:
        contests[i][c].run()
    for i, c in progress.track(turns, len(turns), "bench"):
        times[i, c].append(_turn(contests[i][c].run, seconds))
    return [
        [_result(contender, times[i, c], times[i, 0]) for c, contender in enumerate(contest)]
        for i, contest in enumerate(contests)
    ]


def _rotated(entries: Sequence[tuple[int, int]], turn: int) -> list[tuple[int, int]]:
    start = turn % len(entries)
    return [*entries[start:], *entries[:start]]


def _turn(run: Run, seconds: float) -> list[float]:
    """Times of single runs, at least three, for at least so many seconds in all."""
    run()
    times: list[float] = []
    clock = time.perf_counter
    end = clock() + seconds
    while len(times) < 3 or clock() < end:
        start = clock()
        run()
        times.append(clock() - start)
    return times


def _result(
    contender: Contender, rounds: Sequence[Sequence[float]], ours: Sequence[Sequence[float]]
) -> Result:
    medians = [statistics.median(times) for times in rounds]
    ratios = [statistics.median(q) / p for q, p in zip(ours, medians, strict=True)]
    everything = [time for times in rounds for time in times]
    return Result(
        contender.runtime,
        contender.version,
        contender.threads,
        contender.floats,
        1e3 * statistics.median(medians),
        1e3 * float(np.percentile(everything, 10)),
        statistics.median(ratios),
    )
