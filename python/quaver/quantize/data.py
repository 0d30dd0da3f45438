"""Samples to calibrate on: from memory, from files, or from any iterable."""

from __future__ import annotations

import itertools
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from quaver.errors import CorruptFileError, FileError, InputError
from quaver.model import Port
from quaver.quantize import pictures

Array = NDArray[Any]
Feed: TypeAlias = dict[str, Array]
Data: TypeAlias = "str | os.PathLike[str] | Array | Mapping[str, Array] | Iterable[Any]"

_AS_THEY_ARE = pictures.Pictures()
_KEPT_BYTES = 64 << 20
_KEPT = 64
_LEAST, _UNKNOWN = 6, 192  # samples for a promise; and how many of unknown number are taken
_APART, _APART_BYTES = 256, 256 << 20


class Samples:
    """What a model is calibrated on, one run at a time.

    Parameters
    ----------
    data
        An array or arrays by input name, samples along the first axis; a path of such an
        ``.npz``, or of a folder of ``.npy`` (one input), ``.npz`` and image files; or an iterable
        of runs, each an array (one input) or arrays by name.
    ports
        The model's inputs.
    how
        What becomes of images.
    """

    def __init__(
        self, data: Data, ports: Sequence[Port], how: pictures.Pictures = _AS_THEY_ARE
    ) -> None:
        if isinstance(data, (str, os.PathLike)) and not Path(data).is_dir():
            data = _read(Path(data))
        self._data = data
        self.ports = ports
        self._how = how

    def __len__(self) -> int:
        """How many entries there are, as far as that is known; else 0."""
        if isinstance(self._data, (str, os.PathLike)):
            return len(_files(Path(self._data)))
        if isinstance(self._data, (np.ndarray, Mapping)):
            named = self._named("the data", self._data)
            return next((len(named[p.name]) // (p.shape[0] or 1) for p in self.ports if p.shape), 1)
        return len(self._data) if isinstance(self._data, Sequence) else 0

    def __iter__(self) -> Iterator[Feed]:
        """Give runs that fit the model.

        Raises
        ------
        InputError
            If there is none, or one of a wrong name, dtype, shape, or with NaN or infinity.
        """
        count = 0
        for where, entry, stacked in self._entries():
            for feed in self._fitted(where, entry, stacked):
                count += 1
                yield feed
        if not count:
            raise InputError("there is no data to calibrate on; give at least one sample")

    def _entries(self) -> Iterator[tuple[str, Any, bool]]:
        data = self._data
        if isinstance(data, (str, os.PathLike)):
            for file in _files(Path(data)):
                image = file.suffix.lower() in pictures.SUFFIXES
                entry = pictures.read(file, self.ports, self._how) if image else _read(file)
                yield f"'{file}'", entry, False
        elif isinstance(data, (np.ndarray, Mapping)):
            yield "the data", data, True
        else:
            for i, entry in enumerate(data):
                yield f"sample {i}", entry, False

    def _fitted(self, where: str, entry: Any, stacked: bool) -> Iterator[Feed]:
        feed = self._named(where, entry)
        steps = {}
        for port in self.ports:
            array = _checked(f"{where}: input {port.name!r}", feed[port.name], port)
            if array.ndim:
                fixed = port.shape[0]
                steps[port.name] = fixed or (1 if stacked else max(1, len(array)))
        runs = {len(feed[name]) // step for name, step in steps.items()}
        if len(runs) > 1:
            counts = ", ".join(f"{len(feed[name])} of {name!r}" for name in steps)
            raise InputError(f"{where}: the inputs have different numbers of samples: {counts}")
        for i in range(runs.pop() if runs else 1):
            run = {
                name: array[i * steps[name] : (i + 1) * steps[name]] if name in steps else array
                for name, array in feed.items()
            }
            for name, array in run.items():
                if array.dtype.kind == "f" and not np.isfinite(array).all():
                    at = f", sample {i}" if stacked else ""
                    raise InputError(f"{where}{at}: input {name!r} has NaN or infinite values")
            yield run

    def _named(self, where: str, entry: Any) -> Feed:
        names = [port.name for port in self.ports]
        if not isinstance(entry, Mapping):
            if len(names) != 1:
                raise InputError(
                    f"{where}: the model has {len(names)} inputs; give a dictionary with "
                    f"{', '.join(map(repr, names))}"
                )
            entry = {names[0]: entry}
        if set(entry) != set(names):
            raise InputError(
                f"{where}: expected the inputs {', '.join(map(repr, names))}, got "
                f"{', '.join(map(repr, entry)) or 'none'}"
            )
        return {name: np.asarray(entry[name]) for name in names}


@dataclass(frozen=True)
class Apart:
    """Samples for a promise: to search with, and held out; the others to calibrate on."""

    searched: tuple[list[Feed], list[Any] | None]
    """With their labels."""
    held_out: tuple[list[Feed], list[Any] | None]
    others: Iterable[Feed]


def take_apart(samples: Samples, labels: Sequence[Any] | Array | None, seed: int) -> Apart:
    """Set samples aside for a promise.

    A third of them, at most 256 and 256 MiB, is held out: neither calibration nor the search sees
    it. As many others serve the search.

    Parameters
    ----------
    samples
        What was given. Of an iterable of unknown length the first 192 are taken, and no more.
    labels
        One a sample, or None.
    seed
        Chooses the samples.

    Raises
    ------
    InputError
        If there are fewer than 6 samples, or another number of labels.
    """
    if not len(samples):
        samples = Samples(list(itertools.islice(samples, _UNKNOWN)), samples.ports)
    sizes = [sum(array.nbytes for array in feed.values()) for feed in samples]
    count = len(sizes)
    if count < _LEAST:
        raise InputError(f"a promise needs at least {_LEAST} samples; there are {count}")
    if labels is not None and len(labels) != count:
        raise InputError(f"there are {len(labels)} labels for {count} samples")
    part = max(1, min(count // 3, _APART, _APART_BYTES // max(1, *sizes)))
    order = np.random.default_rng(seed).permutation(count)[: 2 * part].tolist()
    taken = [set(order[:part]), set(order[part:])]
    found: list[tuple[list[Feed], list[Any] | None]] = []
    for indices in taken:
        feeds = [feed for i, feed in enumerate(samples) if i in indices]
        found.append((feeds, None if labels is None else [labels[i] for i in sorted(indices)]))
    return Apart(found[1], found[0], _Without(samples, taken[0]))


class _Without:
    """Samples without some, to be read any number of times."""

    def __init__(self, samples: Samples, left_out: set[int]) -> None:
        self._samples, self._left_out = samples, left_out

    def __len__(self) -> int:
        return max(0, sum(1 for _ in self._samples) - len(self._left_out))

    def __iter__(self) -> Iterator[Feed]:
        return (feed for i, feed in enumerate(self._samples) if i not in self._left_out)


def keep(samples: Iterable[Feed] | Samples, seed: int) -> tuple[list[Feed], Iterator[Feed]]:
    """Keep a few samples in memory for what needs them more than once.

    Parameters
    ----------
    samples
        Where their number is known, they are read twice; else once, in order.
    seed
        Chooses which of a known number; of others the first are kept.

    Returns
    -------
    kept
        At most 64 samples and 64 MiB, at least one.
    rest
        All others, not read yet.
    """
    iterator = iter(samples)
    first = next(iterator)
    count = max(1, min(_KEPT, _KEPT_BYTES // max(1, sum(a.nbytes for a in first.values()))))
    known = len(samples) if isinstance(samples, Sized) else 0
    if known <= count:
        return [first, *itertools.islice(iterator, count - 1)], iterator
    chosen = set(np.random.default_rng(seed).permutation(known)[:count].tolist())
    kept = [feed for i, feed in enumerate(samples) if i in chosen]
    return kept, (feed for i, feed in enumerate(samples) if i not in chosen)


def _checked(where: str, array: Array, port: Port) -> Array:
    if array.dtype != port.dtype:
        raise InputError(
            f"{where} is {array.dtype}, the model takes {port.dtype}; "
            f"convert it as for inference: .astype('{port.dtype}') alone scales nothing"
        )
    if array.ndim == len(port.shape) and array.ndim and not len(array):
        raise InputError(f"{where} is empty: there is no data to calibrate on")
    shape = ", ".join("?" if d is None else str(d) for d in port.shape)
    fits = len(array.shape) == len(port.shape) and all(
        want in (None, have) for have, want in zip(array.shape[1:], port.shape[1:], strict=True)
    )
    if fits and array.ndim and port.shape[0]:
        fits = len(array) > 0 and len(array) % port.shape[0] == 0
    if not fits:
        hint = "; add the batch: x[None]" if array.ndim == len(port.shape) - 1 else ""
        raise InputError(f"{where} has the shape {list(array.shape)}, not [{shape}]{hint}")
    return array


def _files(path: Path) -> list[Path]:
    known = (".npy", ".npz", *pictures.SUFFIXES)
    files = sorted(f for f in path.iterdir() if f.suffix.lower() in known)
    if not files:
        raise InputError(f"'{path}' has no {', '.join(known[:-1])} or {known[-1]} files")
    return files


def _read(path: Path) -> Any:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return dict(loaded)
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise CorruptFileError(f"'{path}': no .npy or .npz file: {error}") from error
