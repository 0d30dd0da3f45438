"""What lies in the folder of models: NAME/VERSION/model.quaver, model.onnx or update.qdelta."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

#: In the order in which they are looked for.
FILES = ("model.quaver", "model.onnx", "update.qdelta")
PROBE = "probe.npz"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LARGEST = 2**32 - 1

Stamp = tuple[int, ...]


class Source(NamedTuple):
    """A version's files, and what tells that they have changed."""

    name: str
    version: int
    file: Path
    """One of `FILES`; the folder where there is something else in it."""
    probe: Path | None
    stamp: Stamp


def is_name(name: str) -> bool:
    """Whether a model may be called so: letters, digits, ``_``, ``-``, and ``.`` but first."""
    return _NAME.fullmatch(name) is not None


def scan(root: Path) -> dict[str, dict[int, Source]]:
    """All versions of all models. What begins with a dot, is no number, or is empty, is none.

    Raises
    ------
    OSError
        If the folder itself cannot be read.
    """
    return {
        entry.name: _versions(entry.name, Path(entry.path))
        for entry in sorted(os.scandir(root), key=lambda entry: entry.name)
        if is_name(entry.name) and entry.is_dir()
    }


def misplaced(root: Path, found: Mapping[str, Mapping[int, Source]]) -> set[str]:
    """Paths in a folder that was looked through which may be meant as models and are none.

    What begins with a dot is left alone, and so is what is empty: it may be on its way.

    Raises
    ------
    OSError
        If the folder itself cannot be read.
    """
    names = {
        entry.name
        for entry in os.scandir(root)
        if not found.get(entry.name) and _may_be_meant(entry)
    }
    for model, versions in found.items():
        names |= {
            f"{model}/{entry.name}"
            for entry in (_entries(root / model) if versions else ())
            if _number(entry.name) is None and entry.is_dir() and _may_be_meant(entry)
        }
    return names


def _may_be_meant(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith("."):
        return False
    if not entry.is_dir():
        return Path(entry).suffix in {Path(file).suffix for file in FILES}
    return _holds_something(Path(entry))


def _holds_something(folder: Path) -> bool:
    return any(not entry.name.startswith(".") for entry in _entries(folder))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:  # gone meanwhile, or not to be read
        return []


def _number(name: str) -> int | None:
    if not (name.isascii() and name.isdigit()) or name[0] == "0" or len(name) > len(str(_LARGEST)):
        return None
    return number if (number := int(name)) <= _LARGEST else None


def _versions(name: str, folder: Path) -> dict[int, Source]:
    found = {}
    for entry in _entries(folder):
        number = _number(entry.name)
        source = _source(name, number, Path(entry.path)) if number is not None else None
        if source is not None:
            found[source.version] = source
    return dict(sorted(found.items()))


def _source(name: str, version: int, folder: Path) -> Source | None:
    for file in FILES:
        stamp = stamp_of(folder / file)
        if stamp:
            probe = stamp_of(folder / PROBE)
            return Source(
                name, version, folder / file, folder / PROBE if probe else None, stamp + probe
            )
    return (
        Source(name, version, folder, None, stamp_of(folder)) if _holds_something(folder) else None
    )


def stamp_of(path: Path) -> Stamp:
    """What tells a file from another in its place; empty where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return ()
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns)
