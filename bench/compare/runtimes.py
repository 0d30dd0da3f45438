"""How each runtime loads a model: functions from a file to something that runs.

A runtime is imported only in the process that is to run it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Loaded(NamedTuple):
    """A model that is ready to run."""

    run: Callable[[Mapping[str, Array]], list[Array]]
    """From inputs by name to the outputs."""


class Runtime(NamedTuple):
    """A way to run models."""

    title: str
    package: str
    """Its distribution on PyPI."""
    prepare: Callable[[], None]
    """Imports it."""
    load: Callable[..., Loaded]
    """From a file, a number of threads, and the runtime's own options by name."""


def _import_quaver() -> None:
    import quaver._core  # noqa: F401, PLC0415


def _load_quaver(path: Path, threads: int, float_precision: str = "fp32") -> Loaded:
    import quaver  # noqa: PLC0415

    model = quaver.load(path, threads=threads, fallback=None, float_precision=float_precision)
    names = [port.name for port in model.inputs]

    def run(inputs: Mapping[str, Array]) -> list[Array]:
        answer = model(*[inputs[name] for name in names])
        return list(answer) if isinstance(answer, tuple) else [answer]

    return Loaded(run)


def _import_onnxruntime() -> None:
    import onnxruntime  # noqa: F401, PLC0415


def _load_onnxruntime(path: Path, threads: int) -> Loaded:
    import onnxruntime as ort  # noqa: PLC0415

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return Loaded(lambda inputs: session.run(None, dict(inputs)))


def _import_openvino() -> None:
    import openvino  # noqa: F401, PLC0415


def _load_openvino(path: Path, threads: int) -> Loaded:
    import openvino as ov  # noqa: PLC0415

    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
    request = ov.Core().compile_model(str(path), "CPU", settings).create_infer_request()

    def run(inputs: Mapping[str, Array]) -> list[Array]:
        return list(request.infer(dict(inputs), share_inputs=True).values())

    return Loaded(run)


def _import_litert() -> None:
    from ai_edge_litert import interpreter  # noqa: F401, PLC0415


def _load_litert(path: Path, threads: int) -> Loaded:
    from ai_edge_litert.interpreter import Interpreter  # noqa: PLC0415

    interpreter = Interpreter(str(path), num_threads=threads)
    (port,) = interpreter.get_input_details()
    outputs = [output["index"] for output in interpreter.get_output_details()]
    shape = list(port["shape"])
    interpreter.allocate_tensors()

    def run(inputs: Mapping[str, Array]) -> list[Array]:
        nonlocal shape
        (array,) = inputs.values()
        if list(array.shape) != shape:
            shape = list(array.shape)
            interpreter.resize_tensor_input(port["index"], shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(port["index"], array)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in outputs]

    return Loaded(run)


def _import_ncnn() -> None:
    import ncnn  # noqa: F401, PLC0415


def _load_ncnn(path: Path, threads: int) -> Loaded:
    import ncnn  # noqa: PLC0415

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.load_param(str(path))
    net.load_model(str(path.with_suffix(".bin")))
    (input_name,), output_names = net.input_names(), net.output_names()

    def run(inputs: Mapping[str, Array]) -> list[Array]:
        """Run image by image: a network of ncnn has no batch dimension."""
        (batch,) = inputs.values()
        answers = []
        for image in batch:
            extractor = net.create_extractor()
            extractor.input(input_name, ncnn.Mat(image))
            answers.append([np.array(extractor.extract(name)[1]) for name in output_names])
        return [np.stack(output) for output in zip(*answers, strict=True)]

    return Loaded(run)


RUNTIMES = {
    "quaver": Runtime("Quaver", "quaver", _import_quaver, _load_quaver),
    "onnxruntime": Runtime("ONNX Runtime", "onnxruntime", _import_onnxruntime, _load_onnxruntime),
    "openvino": Runtime("OpenVINO", "openvino", _import_openvino, _load_openvino),
    "litert": Runtime("LiteRT", "ai-edge-litert", _import_litert, _load_litert),
    "ncnn": Runtime("ncnn", "ncnn", _import_ncnn, _load_ncnn),
}


def version(runtime: str) -> str | None:
    """Give the installed version, or None where the runtime is not installed."""
    try:
        return metadata.version(RUNTIMES[runtime].package)
    except metadata.PackageNotFoundError:
        return None


def installed_bytes(runtime: str) -> int:
    """Add up the files of the runtime's own distribution, its dependencies left out."""
    files = metadata.files(RUNTIMES[runtime].package) or []
    paths = {Path(str(file.locate())) for file in files if file.suffix != ".pyc"}
    return sum(path.stat().st_size for path in paths if path.is_file())
