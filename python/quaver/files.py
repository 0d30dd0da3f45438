"""Writing files: wholly or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from quaver.errors import FileError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Give a file to write to, which takes the place of `path` when the block ends well.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    folder = os.path.dirname(os.fspath(path)) or "."
    try:
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".tmp", delete=False) as unfinished:
            try:
                yield cast(BinaryIO, unfinished)
                unfinished.flush()
                os.chmod(unfinished.name, 0o666 & ~_umask())
                os.replace(unfinished.name, path)
            except BaseException:
                os.unlink(unfinished.name)
                raise
    except OSError as error:
        raise FileError(f"cannot write '{os.fspath(path)}': {error.strerror or error}") from error


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write all of the bytes or no file."""
    with replacing(path) as file:
        file.write(data)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
