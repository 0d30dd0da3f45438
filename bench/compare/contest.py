"""Contenders in turn, each in a process of its own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from compare import models, runtimes
from compare.models import UnavailableError
from zoo import cache as zoo

Array = NDArray[Any]
BENCH = Path(__file__).parents[1]


class Contender(NamedTuple):
    """A runtime with one version of a network."""

    runtime: str
    variant: str
    """What of it: "int8", "float", ..."""
    file: Callable[[str, int], Path]
    """From a network's name and a batch to the file to load."""
    environment: Mapping[str, str] = {}
    channels_last: bool = False
    options: Mapping[str, str] = {}
    """Of loading, beside the number of threads."""

    @property
    def key(self) -> str:
        """Its name in results."""
        return f"{self.runtime} {self.variant}"


def _zoo(suffix: str) -> Callable[[str, int], Path]:
    return lambda name, batch: models.onnx_file(name + suffix, batch)


def _compiled(suffix: str, precision: str = "fp32") -> Callable[[str, int], Path]:
    return lambda name, batch: models.compiled_file(name + suffix, batch, precision)


OURS = "quaver int8"

CONTENDERS = [
    Contender("quaver", "int8", _compiled("-int8-quaver")),
    Contender("quaver", "int8, the peers' file", _compiled("-int8")),
    Contender("onnxruntime", "int8", _zoo("-int8")),
    Contender("openvino", "int8", _zoo("-int8")),
    Contender("openvino", "int8, NNCF", models.nncf_file),
    Contender("litert", "int8", models.tflite_file, channels_last=True),
    Contender("quaver", "float", _compiled("")),
    Contender("quaver", "float (bf16)", _compiled("", "bf16"), options={"float_precision": "bf16"}),
    Contender("onnxruntime", "float", _zoo("")),
    Contender("openvino", "float (bf16)", _zoo("")),
    Contender("ncnn", "float", models.ncnn_file),
]

#: Held to AVX2, where a runtime can be.
AVX2 = [
    Contender("quaver", "int8", _compiled("-int8-quaver"), {"QUAVER_ISA": "avx2"}),
    Contender("openvino", "int8", _zoo("-int8"), {"ONEDNN_MAX_CPU_ISA": "AVX2"}),
]


class _Setting(NamedTuple):
    """What is the same for all contenders of a contest."""

    network: str
    image: Array
    threads: int
    folder: Path


class Worker:
    """A contender's process."""

    def __init__(self, contender: Contender, path: Path, inputs: Path, threads: int) -> None:
        job = {
            "runtime": contender.runtime,
            "path": str(path),
            "threads": threads,
            "inputs": str(inputs),
            "options": dict(contender.options),
        }
        environment = {**os.environ, "PYTHONPATH": str(BENCH), **contender.environment}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "compare.worker", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.facts = self._answer()

    def ask(self, **task: Any) -> dict[str, Any]:
        """Have a task done."""
        assert self._process.stdin is not None
        print(json.dumps(task), file=self._process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate()
            last = errors.strip().splitlines()[-1:] or ["no message"]
            raise UnavailableError(f"it does not run: {last[0][:200]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def hold(
    network: str,
    contenders: Sequence[Contender],
    *,
    threads: int,
    batch: int,
    rounds: int,
    seconds: float,
) -> dict[str, Any]:
    """Let all contenders run a network, in interleaved rounds.

    Parameters
    ----------
    network
        One of the zoo's.
    contenders
        Those that cannot take part are listed with the reason.
    threads, batch
        Of each.
    rounds, seconds
        How often each has its turn, and how long that lasts at least.

    Returns
    -------
    dict
        results, by contender: median_ms, p10_ms, ratio (of ours, see `OURS`, to it: the median of
        the rounds' ratios), load_ms, import_ms, peak_mb, correlation (of its first output with
        the first contender's); and absent, the reasons by contender.
    """
    with TemporaryDirectory() as folder:
        setting = _Setting(network, models.sample(network, batch), threads, Path(folder))
        workers, absent = _start(contenders, setting)
        try:
            times: dict[str, list[list[float]]] = {key: [] for key in workers}
            order = list(workers)
            for turn in range(rounds):
                start = turn % len(order)
                for key in [*order[start:], *order[:start]]:
                    answer = workers[key].ask(seconds=seconds, least=3 if batch == 1 else 1)
                    times[key].append(answer["times"])
            correlations = _correlations(workers, Path(folder))
            results = {
                key: {
                    **_summary(times[key], times[order[0]]),
                    **workers[key].facts,
                    "correlation": correlations[key],
                }
                for key in order
            }
        finally:
            for worker in workers.values():
                worker.close()
    return {"results": results, "absent": absent}


def _start(
    contenders: Sequence[Contender], setting: _Setting
) -> tuple[dict[str, Worker], dict[str, str]]:
    entries = {contender.key: _worker(contender, setting) for contender in contenders}
    workers = {key: entry for key, entry in entries.items() if isinstance(entry, Worker)}
    return workers, {key: entry for key, entry in entries.items() if isinstance(entry, str)}


def _worker(contender: Contender, setting: _Setting) -> Worker | str:
    """Start a contender, or say why it cannot take part."""
    if runtimes.version(contender.runtime) is None:
        package = runtimes.RUNTIMES[contender.runtime].package
        return f"{package} is not installed: pip install {package}"
    image = setting.image
    last = np.ascontiguousarray(image.transpose(0, 2, 3, 1)) if contender.channels_last else image
    inputs = setting.folder / f"{contender.key.replace(' ', '-').replace('/', '-')}.npz"
    np.savez(inputs, **{_input_name(setting.network): last})
    try:
        path = contender.file(setting.network, len(image))
        for part in path.parent.glob(f"{path.stem}.*"):
            part.read_bytes()  # into the page cache, where loading finds it
        return Worker(contender, path, inputs, setting.threads)
    except UnavailableError as reason:
        return str(reason)


def _input_name(network: str) -> str:
    import onnx  # noqa: PLC0415

    (port,) = onnx.load(zoo.path(network), load_external_data=False).graph.input
    return str(port.name)


def _correlations(workers: Mapping[str, Worker], folder: Path) -> dict[str, float]:
    """How the contenders' answers agree: a check that all run the same network."""
    outputs = {}
    for i, (key, worker) in enumerate(workers.items()):
        path = folder / f"answer-{i}.npz"
        worker.ask(save=str(path))
        with np.load(path) as file:
            outputs[key] = file["arr_0"].astype(np.float64).ravel()
    first = next(iter(outputs.values()))
    return {
        key: float(np.corrcoef(first, one)[0, 1]) if one.shape == first.shape else float("nan")
        for key, one in outputs.items()
    }


def _summary(
    rounds: Sequence[Sequence[float]], ours: Sequence[Sequence[float]]
) -> dict[str, float]:
    medians = [statistics.median(times) for times in rounds]
    everything = [time for times in rounds for time in times]
    ratios = [statistics.median(o) / m for o, m in zip(ours, medians, strict=True)]
    return {
        "median_ms": 1e3 * statistics.median(medians),
        "p10_ms": 1e3 * float(np.percentile(everything, 10)),
        "ratio": statistics.median(ratios),
    }
