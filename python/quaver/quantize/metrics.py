"""What an accuracy promise is judged by: a name, or any function of outputs and labels."""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from quaver.errors import CorruptFileError, FileError, InputError
from quaver.quantize.net import Array

Outputs: TypeAlias = "list[dict[str, Array]]"
Labels: TypeAlias = "Sequence[Any] | Array"
Metric: TypeAlias = "str | Callable[[Outputs, Any], float]"

NAMES = ("cosine", "f1", "top1")


class Judge:
    """Scores the outputs of a model on fixed samples; more is better.

    Parameters
    ----------
    metric
        A name of `NAMES`, or a function of the outputs (for each run a dictionary of arrays) and
        the labels of these runs.
    labels
        One entry a run, or None: then the float model's answers are taken for right.
    exact
        The float model's outputs on the samples.
    """

    def __init__(self, metric: Metric, labels: Sequence[Any] | None, exact: Outputs) -> None:
        if isinstance(metric, str) and metric not in NAMES:
            raise InputError(f"there is no metric {metric!r}; there are {', '.join(NAMES)}")
        if not isinstance(metric, str) and not callable(metric):
            raise InputError(f"a metric is a name or a function, not a {type(metric).__name__}")
        self._metric, self._labels, self._exact = metric, labels, exact
        if metric in ("top1", "f1"):
            self._truth = self._classes(exact) if labels is None else _integers(labels, exact)
        self.exact = self.score(exact)

    def score(self, outputs: Outputs) -> float:
        """The metric's value.

        Raises
        ------
        InputError
            If the metric raises, or gives no finite number.
        """
        try:
            value = float(self._value(outputs))
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"the metric {_name(self._metric)} raised {type(error).__name__}: {error}"
            ) from error
        if not math.isfinite(value):
            raise InputError(f"the metric {_name(self._metric)} gave {value}, not a finite number")
        return value

    def drop(self, outputs: Outputs) -> float:
        """How much less the score is than the float model's."""
        return self.exact - self.score(outputs)

    def _value(self, outputs: Outputs) -> float:
        if callable(self._metric):
            return self._metric(outputs, self._labels)
        if self._metric == "cosine":
            return _cosine(self._exact, outputs)
        found = self._classes(outputs)
        if self._metric == "top1":
            return float((found == self._truth).mean())
        return _f1(self._truth, found)

    def _classes(self, outputs: Outputs) -> Array:
        """The class of the greatest value along the last axis of the first output."""
        first = [next(iter(run.values())) for run in outputs]
        return np.concatenate([array.argmax(axis=-1).reshape(-1) for array in first])


def read_labels(path: str | os.PathLike[str]) -> Array:
    """Labels from an .npy, an .npz of one array, or a text file with one integer a line.

    Raises
    ------
    FileError
        If the file cannot be read; `CorruptFileError` if it holds no labels.
    """
    file = Path(path)
    try:
        if file.suffix == ".npy":
            return np.asarray(np.load(file, allow_pickle=False))
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as arrays:
                if len(arrays.files) != 1:
                    raise CorruptFileError(f"'{path}' has {len(arrays.files)} arrays, not one")
                return np.asarray(arrays[arrays.files[0]])
        return np.array([int(line) for line in file.read_text().split()], np.int64)
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CorruptFileError(
            f"'{path}' holds no labels ({error}); expected an .npy, an .npz of one array, or a "
            "text file with one integer a line"
        ) from error


def _integers(labels: Sequence[Any], exact: Outputs) -> Array:
    found = np.concatenate([np.asarray(label).reshape(-1) for label in labels])
    answers = sum(
        math.prod(array.shape[:-1]) for array in (next(iter(run.values())) for run in exact)
    )
    if found.dtype.kind not in "iu":
        raise InputError(f"labels are {found.dtype}; top1 and f1 take the numbers of classes")
    if len(found) != answers:
        raise InputError(f"there are {len(found)} labels for {answers} answers of the model")
    return found


def _cosine(exact: Outputs, outputs: Outputs) -> float:
    """The mean over runs and outputs; outputs that are not float must be the same."""
    found = []
    for one, other in zip(exact, outputs, strict=True):
        for name, a in one.items():
            x, y = (v.astype(np.float64).reshape(-1) for v in (a, other[name]))
            lengths = math.sqrt(float(x @ x) * float(y @ y))
            found.append(float(x @ y) / lengths if lengths else float(not (x - y).any()))
    return float(np.mean(found))


def _f1(truth: Array, found: Array) -> float:
    """The mean over classes that occur of the harmonic mean of precision and recall."""
    scores = []
    for label in np.union1d(truth, found):
        hits = int(((truth == label) & (found == label)).sum())
        scores.append(2 * hits / int((truth == label).sum() + (found == label).sum()))
    return float(np.mean(scores))


def _name(metric: Metric) -> str:
    return metric if isinstance(metric, str) else getattr(metric, "__name__", repr(metric))
