"""The files that runtimes load: the zoo's networks in each runtime's format, at any batch.

Built once and kept beside the zoo's own files.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
from onnx import version_converter

from compare.networks import NETWORKS, Network
from fetched import fetched
from zoo import cache as zoo

_OPSET = 17  # weights have a scale per channel from 13 on


class UnavailableError(Exception):
    """A file cannot be made here; the message says why."""


def onnx_file(network: str, batch: int, suffix: str = "") -> Path:
    """Give the network, or with a suffix of the zoo's what a quantizer made of it.

    Raises
    ------
    UnavailableError
        If the network fixes its batch, or its quantizer fails.
    """
    name = NETWORKS[network].model
    if name in zoo.ALL:
        one = zoo.path(name + suffix)
        if batch == 1:
            return one
        return _kept(one, f"b{batch}.onnx", lambda path: _with_batch(one, batch, path))
    source = fetched(name)
    if not suffix:
        return source
    kept = f"b{batch}{suffix}.{zoo.version(name, suffix)}.onnx"
    return _kept(source, kept, lambda path: _quantize(source, NETWORKS[network], suffix, path))


def _quantize(source: Path, network: Network, suffix: str, path: Path) -> None:
    model = onnx.load(source)
    if model.opset_import[0].version < _OPSET:
        model = version_converter.convert_version(model, _OPSET)
    try:
        onnx.save(zoo.quantized(model, network.calibration(1), suffix), path)
    except Exception as error:  # whatever a quantizer stumbles over
        raise UnavailableError(f"its quantizer fails: {error}") from error


def compiled_file(network: str, batch: int, suffix: str = "", precision: str = "fp32") -> Path:
    """Give Quaver's compiled file, with its weights packed for this machine."""
    import quaver  # noqa: PLC0415 -- not needed where only peers run
    from quaver import _core  # noqa: PLC0415

    source = onnx_file(network, batch, suffix)
    version = _digest(Path(str(_core.__file__)))

    def build(path: Path) -> None:
        model = quaver.load(source, threads=1, float_precision=precision)
        model.run(NETWORKS[network].sample(batch))  # where shapes are open, this packs
        model.save(path, packed=True)

    rest = "" if precision == "fp32" else f".{precision}"
    try:
        return _kept(source, f"{version}{rest}.quaver", build)
    except quaver.UnsupportedError:  # it runs in stages, which no compiled file holds
        return source


def tflite_file(name: str, batch: int) -> Path:
    """Give the int8 classifier as a TensorFlow Lite file; other networks have none."""
    if name not in zoo.NETWORKS:
        raise UnavailableError("only the classifiers are written as TensorFlow Lite files")
    from compare import tflite  # noqa: PLC0415 -- needs ai-edge-litert

    source = onnx_file(name, batch, "-int8-s8")
    code = _digest(Path(tflite.__file__))
    return _kept(source, f"{code}.tflite", lambda path: tflite.write(onnx.load(source), path))


def ncnn_file(name: str, batch: int) -> Path:
    """Give the float network as ncnn's parameter file, its weights beside it; for one picture."""
    del batch
    source = onnx_file(name, 1)
    return _kept(source, "ncnn.param", lambda path: _run_pnnx(source, path))


def nncf_file(name: str, batch: int) -> Path:
    """Give the network quantized by NNCF, OpenVINO's own quantizer, as OpenVINO's file."""
    source = onnx_file(name, batch)
    return _kept(source, "nncf.xml", lambda path: _run_nncf(source, NETWORKS[name], batch, path))


def _kept(source: Path, suffix: str, build: Callable[[Path], None]) -> Path:
    """Build a file next to the one it is made from, once for each version of that."""
    path = source.with_name(f"{source.stem}.{suffix}")
    if not path.exists():
        print(f"compare: building {path.name}", file=sys.stderr, flush=True)
        with TemporaryDirectory(dir=path.parent) as folder:
            build(Path(folder, path.name))
            for file in sorted(Path(folder).iterdir(), key=lambda file: file.suffix == path.suffix):
                file.replace(path.with_name(file.name))
    return path


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def _with_batch(source: Path, batch: int, path: Path) -> None:
    model = onnx.load(source)
    del model.graph.value_info[:]
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = batch
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    try:
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        outputs = [value.type.tensor_type.shape.dim[0].dim_value for value in model.graph.output]
    except (onnx.shape_inference.InferenceError, IndexError):
        outputs = []
    if outputs != [batch] * len(model.graph.output):
        raise UnavailableError("the network's shapes fix its batch at one picture")
    onnx.save(model, path)


def _run_pnnx(source: Path, path: Path) -> None:
    """Convert with pnnx, of which only the program is needed, not its Python (that needs torch)."""
    spec = importlib.util.find_spec("pnnx")
    if spec is None or not spec.submodule_search_locations:
        raise UnavailableError("pnnx is not installed: pip install --no-deps pnnx")
    program = Path(spec.submodule_search_locations[0], "pnnx")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    ports = onnx.load(source, load_external_data=False).graph.input
    dims = ports[0].type.tensor_type.shape.dim
    if len(ports) > 1 or not all(dim.dim_value for dim in dims):
        raise UnavailableError("only networks with one input of a fixed size are converted for it")
    shape = ",".join(str(dim.dim_value) for dim in dims)
    with TemporaryDirectory() as folder:
        (model := Path(folder, "model.onnx")).symlink_to(source)
        command = [program, model, f"inputshape=[{shape}]", "fp16=0"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        param, weights = model.with_suffix(".ncnn.param"), model.with_suffix(".ncnn.bin")
        if done.returncode or not param.exists():
            raise UnavailableError(f"pnnx failed: {done.stderr.strip()[-200:]}")
        path.write_bytes(param.read_bytes())
        path.with_suffix(".bin").write_bytes(weights.read_bytes())


def _run_nncf(source: Path, network: Network, batch: int, path: Path) -> None:
    if importlib.util.find_spec("nncf") is None:
        raise UnavailableError("nncf is not installed: pip install nncf")
    os.environ.setdefault("NNCF_LOG_LEVEL", "ERROR")
    import nncf  # noqa: PLC0415
    import openvino as ov  # noqa: PLC0415

    try:
        model = ov.Core().read_model(str(source))
    except RuntimeError as error:
        raise UnavailableError(f"it does not read it: {error}") from error
    runs = network.calibration(batch)
    quantized = nncf.quantize(
        model,
        nncf.Dataset(runs),
        subset_size=len(runs),
        model_type=nncf.ModelType.TRANSFORMER if network.transformer else None,
    )
    ov.save_model(quantized, str(path), compress_to_fp16=False)
