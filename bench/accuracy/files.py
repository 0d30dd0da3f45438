"""File types: the files of this Python installation, through magika's network."""

from __future__ import annotations

import sysconfig
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from accuracy.task import Answers, Feed, Figures, Task

_ENDS, _BLOCK, _PADDING = 1024, 4096, 256  # bytes of each end, of what is read, and no byte
_LEAST_BYTES = 8
_PER_SUFFIX = 60
_CALIBRATION = 128


def _model() -> Path:
    spec = find_spec("magika")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the model is in a package that is missing: pip install magika")
    return Path(spec.submodule_search_locations[0], "models", "standard_v3_3", "model.onnx")


def _files() -> list[Path]:
    """Every file, of a kind at most so many, in an order that mixes folders but is fixed."""
    root = Path(sysconfig.get_path("stdlib"))
    found = sorted(f for f in root.rglob("*") if f.is_file() and not f.is_symlink())
    found = [f for f in found if f.stat().st_size >= _LEAST_BYTES]
    np.random.default_rng(0).shuffle(found)  # type: ignore[arg-type]
    counts: dict[str, int] = {}
    kept = []
    for file in found:
        counts[file.suffix] = counts.get(file.suffix, 0) + 1
        if counts[file.suffix] <= _PER_SUFFIX:
            kept.append(file)
    return kept


def features(content: bytes) -> np.ndarray:
    """What the network takes: the first and the last 1024 bytes, without space at the ends."""
    first, last = content[:_BLOCK].lstrip()[:_ENDS], content[-_BLOCK:].rstrip()[-_ENDS:]
    row = np.full(2 * _ENDS, _PADDING, np.int32)
    row[: len(first)] = np.frombuffer(first, np.uint8)
    row[2 * _ENDS - len(last) :] = np.frombuffer(last, np.uint8)
    return row


def _feeds(files: list[Path]) -> list[Feed]:
    return [{"bytes": features(file.read_bytes())[np.newaxis]} for file in files]


def _judge(truth: Answers, answers: Answers) -> Figures:
    same = [a.argmax() == b.argmax() for a, b in zip(truth, answers, strict=True)]
    return {"labels_alike": float(np.mean(same)), "files": float(len(same))}


TASK = Task(
    data="files of a Python installation",
    model=_model,
    calibration=lambda: _feeds(_files()[:_CALIBRATION]),
    held_out=lambda: _feeds(_files()[_CALIBRATION:]),
    judge=_judge,
    required={"labels_alike": 0.997},
)
