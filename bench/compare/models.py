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
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from zoo import cache as zoo
from zoo import photos

Array = NDArray[Any]


class UnavailableError(Exception):
    """A file cannot be made here; the message says why."""


def onnx_file(name: str, batch: int) -> Path:
    """Give the zoo's model with so many pictures a run.

    Raises
    ------
    UnavailableError
        If the network fixes its batch.
    """
    one = zoo.path(name)
    if batch == 1:
        return one
    return _kept(one, f"b{batch}.onnx", lambda path: _with_batch(one, batch, path))


def compiled_file(name: str, batch: int, precision: str = "fp32") -> Path:
    """Give Quaver's compiled file, with its weights packed for this machine."""
    import quaver  # noqa: PLC0415 -- not needed where only peers run
    from quaver import _core  # noqa: PLC0415

    source = onnx_file(name, batch)
    version = _digest(Path(str(_core.__file__)))

    def build(path: Path) -> None:
        quaver.load(source, threads=1, float_precision=precision).save(path, packed=True)

    suffix = "" if precision == "fp32" else f".{precision}"
    return _kept(source, f"{version}{suffix}.quaver", build)


def tflite_file(name: str, batch: int) -> Path:
    """Give the int8 classifier as a TensorFlow Lite file; other networks have none."""
    if name not in zoo.NETWORKS:
        raise UnavailableError("only the classifiers are written as TensorFlow Lite files")
    from compare import tflite  # noqa: PLC0415 -- needs ai-edge-litert

    source = onnx_file(f"{name}-int8-s8", batch)
    code = _digest(Path(tflite.__file__))
    return _kept(source, f"{code}.tflite", lambda path: tflite.write(onnx.load(source), path))


def ncnn_file(name: str, batch: int) -> Path:
    """Give the float network as ncnn's parameter file, its weights beside it; for one picture."""
    del batch
    source = zoo.path(name)
    return _kept(source, "ncnn.param", lambda path: _run_pnnx(source, path))


def nncf_file(name: str, batch: int) -> Path:
    """Give the network quantized by NNCF, OpenVINO's own quantizer, as OpenVINO's file."""
    source = onnx_file(name, batch)
    return _kept(source, "nncf.xml", lambda path: _run_nncf(source, name, batch, path))


def sample(name: str, batch: int) -> Array:
    """Draw a run of pictures as the network takes them, float32 [batch, 3, height, width].

    Photographs; for what reads text a scanned page, moved a little for each picture.
    """
    network = zoo.ALL[name]
    size = getattr(network, "SIZE", (224, 224))
    if not name.startswith("ppocr"):
        return photos.random_crops(batch, network.NORMALIZATION, seed=7, size=size)
    page = photos.load("page")
    height, width = size
    side = min(page.height * width / height, page.width)
    moves = np.linspace(0, page.width - side, batch)
    pictures = [
        page.resize((width, height), box=(left, 0, left + side, side * height / width))
        for left in moves
    ]
    return np.stack([network.NORMALIZATION(picture) for picture in pictures])


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
    (port,) = onnx.load(source, load_external_data=False).graph.input
    shape = ",".join(str(dim.dim_value) for dim in port.type.tensor_type.shape.dim)
    with TemporaryDirectory() as folder:
        (model := Path(folder, "model.onnx")).symlink_to(source)
        command = [program, model, f"inputshape=[{shape}]", "fp16=0"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        param, weights = model.with_suffix(".ncnn.param"), model.with_suffix(".ncnn.bin")
        if done.returncode or not param.exists():
            raise UnavailableError(f"pnnx failed: {done.stderr.strip()[-200:]}")
        path.write_bytes(param.read_bytes())
        path.with_suffix(".bin").write_bytes(weights.read_bytes())


def _run_nncf(source: Path, name: str, batch: int, path: Path) -> None:
    if importlib.util.find_spec("nncf") is None:
        raise UnavailableError("nncf is not installed: pip install nncf")
    os.environ.setdefault("NNCF_LOG_LEVEL", "ERROR")
    import nncf  # noqa: PLC0415
    import openvino as ov  # noqa: PLC0415

    model = ov.Core().read_model(str(source))
    runs = np.split(sample(name, 16 * batch), 16)
    quantized = nncf.quantize(model, nncf.Dataset(runs), subset_size=len(runs))
    ov.save_model(quantized, str(path), compress_to_fp16=False)
