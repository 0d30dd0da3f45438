"""Contenders in turn, each in a process of its own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from compare import models, runtimes
from compare.models import UnavailableError
from compare.networks import NETWORKS, Feed

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
    transformers: bool = False
    """Whether it takes part with transformers alone."""
    options: Mapping[str, str] = {}
    """Of loading, beside the number of threads."""

    @property
    def key(self) -> str:
        """Its name in results."""
        return f"{self.runtime} {self.variant}"


def _onnx(suffix: str) -> Callable[[str, int], Path]:
    return partial(models.onnx_file, suffix=suffix)


def _compiled(suffix: str, precision: str = "fp32") -> Callable[[str, int], Path]:
    return partial(models.compiled_file, suffix=suffix, precision=precision)


CONTENDERS = [
    Contender("quaver", "int8", _compiled("-int8-quaver")),
    Contender("quaver", "int8, the peers' file", _compiled("-int8")),
    Contender("onnxruntime", "int8", _onnx("-int8")),
    Contender("openvino", "int8", _onnx("-int8")),
    Contender("openvino", "int8, NNCF", models.nncf_file),
    Contender("litert", "int8", models.tflite_file, channels_last=True),
    Contender("quaver", "dynamic", _compiled("-int8-dynamic"), transformers=True),
    Contender("onnxruntime", "dynamic", _onnx("-int8-dynamic"), transformers=True),
    Contender("openvino", "dynamic", _onnx("-int8-dynamic"), transformers=True),
    Contender("quaver", "float", _compiled("")),
    Contender("quaver", "float (bf16)", _compiled("", "bf16"), options={"float_precision": "bf16"}),
    Contender("onnxruntime", "float", _onnx("")),
    Contender("openvino", "float (bf16)", _onnx("")),
    Contender("ncnn", "float", models.ncnn_file),
]

#: By instruction set, the contenders that can be held to it.
HELD = {
    title: [
        contender._replace(environment=limits[contender.runtime])
        for contender in CONTENDERS
        if contender.runtime in limits and contender.variant.startswith("int8")
    ]
    for title, limits in {
        "AVX2": {
            "quaver": {"QUAVER_ISA": "avx2"},
            "openvino": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
        },
        "AVX-VNNI": {
            "quaver": {"QUAVER_ISA": "avxvnni"},
            "openvino": {"ONEDNN_MAX_CPU_ISA": "AVX2_VNNI"},
        },
    }.items()
}


class _Setting(NamedTuple):
    """What is the same for all contenders of a contest."""

    network: str
    inputs: Feed
    batch: int
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
        One of `NETWORKS`.
    contenders
        Those that cannot take part are listed with the reason.
    threads, batch
        Of each.
    rounds, seconds
        How often each has its turn, and how long that lasts at least.

    Returns
    -------
    dict
        results, by contender: median_ms, p10_ms, rounds_ms (the medians of the rounds), load_ms,
        import_ms, peak_mb, correlation (of its first output with the first contender's);
        and absent, the reasons by contender.
    """
    with TemporaryDirectory() as folder:
        inputs = NETWORKS[network].sample(batch)
        setting = _Setting(network, inputs, batch, threads, Path(folder))
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
                    **_summary(times[key]),
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
    transformer = NETWORKS[setting.network].transformer
    entries = {
        contender.key: _worker(contender, setting)
        for contender in contenders
        if transformer or not contender.transformers
    }
    workers = {key: entry for key, entry in entries.items() if isinstance(entry, Worker)}
    return workers, {key: entry for key, entry in entries.items() if isinstance(entry, str)}


def _worker(contender: Contender, setting: _Setting) -> Worker | str:
    """Start a contender, or say why it cannot take part."""
    if runtimes.version(contender.runtime) is None:
        package = runtimes.RUNTIMES[contender.runtime].package
        return f"{package} is not installed: pip install {package}"
    inputs = setting.folder / f"{contender.key.replace(' ', '-').replace('/', '-')}.npz"
    try:
        path = contender.file(setting.network, setting.batch)
        given = setting.inputs
        if contender.channels_last:
            given = {name: x.transpose(0, 2, 3, 1).copy() for name, x in given.items()}
        np.savez(inputs, **given)
        for part in path.parent.glob(f"{path.stem}.*"):
            part.read_bytes()  # into the page cache, where loading finds it
        return Worker(contender, path, inputs, setting.threads)
    except UnavailableError as reason:
        return str(reason)


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
        key: float(np.corrcoef(first, one)[0, 1])
        if one.shape == first.shape and one.size > 1
        else float("nan")
        for key, one in outputs.items()
    }


def _summary(rounds: Sequence[Sequence[float]]) -> dict[str, Any]:
    medians = [1e3 * statistics.median(times) for times in rounds]
    everything = [time for times in rounds for time in times]
    return {
        "median_ms": statistics.median(medians),
        "p10_ms": 1e3 * float(np.percentile(everything, 10)),
        "rounds_ms": medians,
    }
