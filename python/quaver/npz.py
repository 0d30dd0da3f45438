"""Files of arrays by name (.npz)."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quaver import files
from quaver.errors import CorruptFileError, FileError


def read(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Read all arrays.

    Raises
    ------
    FileError
        If the file cannot be read; `CorruptFileError` if it is none of arrays by name.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if isinstance(file, np.ndarray):
                raise CorruptFileError(f"'{path}': expected arrays by name (.npz), got one (.npy)")
            return dict(file)
    except OSError as error:
        raise FileError(f"cannot read '{path}': {error.strerror or error}") from error
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise CorruptFileError(f"'{path}': no .npz file: {error}") from error


def write(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write all arrays or no file. `numpy.savez` cannot: it takes no array named "file"."""
    with files.replacing(path) as unfinished, zipfile.ZipFile(unfinished, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
