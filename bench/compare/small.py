"""What a call costs beside the arithmetic: two layers of 16x16, from Python and back."""

from __future__ import annotations

import statistics
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from compare import runtimes
from compare.contest import Contender, Worker

_CALLS = 500
_RUNTIMES = ("quaver", "onnxruntime", "openvino")  # those that read ONNX


def network() -> onnx.ModelProto:
    """Build the network: float32 [1, 16] to [1, 16]."""
    random = np.random.default_rng(1)
    weights = [
        numpy_helper.from_array(random.standard_normal((16, 16)).astype(np.float32), name)
        for name in ("w1", "w2")
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "w2"], ["y"]),
    ]
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 16]) for n in ("x", "y")]
    graph = helper.make_graph(nodes, "small", ports[:1], ports[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def measure(rounds: int) -> dict[str, float]:
    """Time a call in each runtime that reads ONNX.

    Returns
    -------
    dict
        Microseconds by runtime, the median of the rounds.
    """
    with TemporaryDirectory() as folder:
        path, inputs = Path(folder, "small.onnx"), Path(folder, "x.npz")
        onnx.save(network(), path)
        np.savez(inputs, x=np.ones((1, 16), np.float32))
        names = [name for name in _RUNTIMES if runtimes.version(name) is not None]
        workers = {n: Worker(Contender(n, "float", _no_file), path, inputs, 1) for n in names}
        times: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(rounds):
            for name, worker in workers.items():
                answer = worker.ask(seconds=0.05, least=3, calls=_CALLS)
                times[name].append(1e6 * statistics.median(answer["times"]))
        for worker in workers.values():
            worker.close()
    return {name: statistics.median(taken) for name, taken in times.items()}


def _no_file(network: str, batch: int) -> Path:
    raise NotImplementedError((network, batch))
