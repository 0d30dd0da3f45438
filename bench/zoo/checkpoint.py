"""Read PyTorch checkpoints with nothing but NumPy, and without trusting them.

A checkpoint is a pickle, and a pickle may call any function it can name.  The reader therefore
resolves only the names that a plain dictionary of dense tensors needs, and checks every size the
file claims before it touches memory.
"""

from __future__ import annotations

import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001

# NumPy has no bfloat16, so torch.BFloat16Storage is left out and refused like any other name.
_STORAGE_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}


class CheckpointError(ValueError):
    """The file is not a plain dictionary of dense tensors."""


def load(path: str | Path) -> dict[str, Array]:
    """Read the tensors of a PyTorch checkpoint.

    Parameters
    ----------
    path
        A file written by ``torch.save(state_dict)``, in the zip format of PyTorch 1.6 and later
        or in the older stream format.

    Returns
    -------
    dict of str to ndarray
        The tensors by name, in file order, each C-contiguous in its own dtype and shape.

    Raises
    ------
    CheckpointError
        If the file is damaged, or holds anything but tensors by name.
    """
    path = Path(path)
    with path.open("rb") as file:
        is_zip = file.read(4) == b"PK\x03\x04"
        file.seek(0)
        try:
            state = _load_zip(file) if is_zip else _load_legacy(file, path.stat().st_size)
        except CheckpointError:
            raise
        # Damaged bytes can make pickle and zipfile raise nearly any exception.
        except Exception as error:
            raise CheckpointError(f"{path.name} is damaged: {error}") from error
    if not isinstance(state, dict):
        raise CheckpointError(f"{path.name}: expected a dictionary, found {type(state).__name__}")
    for name, tensor in state.items():
        if not (isinstance(name, str) and isinstance(tensor, np.ndarray)):
            raise CheckpointError(f"{path.name}: entry {name!r} is not a tensor")
    return {name: tensor.copy(order="C") for name, tensor in state.items()}


class _Unpickler(pickle.Unpickler):
    """Resolves only what a dictionary of dense tensors needs.

    Parameters
    ----------
    file
        Positioned at the start of a pickle.
    storage
        Gives the flat array of a storage from its key, dtype and length in elements.
    """

    def __init__(
        self, file: IO[bytes], storage: Callable[[str, np.dtype[Any], int], Array]
    ) -> None:
        super().__init__(file)
        self._storage = storage

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGE_DTYPES:
            # A string, unlike a dtype or a class, gives a hostile pickle nothing to call or alter.
            return _STORAGE_DTYPES[name]
        raise CheckpointError(f"refused to load {module}.{name} from a checkpoint")

    def persistent_load(self, reference: Any) -> Array:
        kind, dtype, key, _location, length, *view = reference
        if kind != "storage" or dtype not in _STORAGE_DTYPES.values() or any(view):
            raise CheckpointError(f"unsupported storage reference {reference!r}")
        if not isinstance(key, str) or not _is_size(length):
            raise CheckpointError(f"malformed storage reference {reference!r}")
        return self._storage(key, np.dtype(dtype), length)


def _rebuild_tensor(
    storage: Array,
    offset: int,
    shape: Sequence[int],
    strides: Sequence[int],
    *_: object,
) -> Array:
    """View `storage` as a tensor, in the signature of torch._utils._rebuild_tensor_v2.

    `offset` and `strides` count elements; what follows concerns gradients.
    """
    if not isinstance(storage, np.ndarray) or len(shape) != len(strides):
        raise CheckpointError("malformed tensor")
    if not all(map(_is_size, (offset, *shape, *strides))):
        raise CheckpointError("tensor with a negative or non-integer size, stride or offset")
    extent = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    # The second test refuses overlapping elements, which could claim any amount of memory.
    if 0 not in shape and (extent >= storage.size or math.prod(shape) > storage.size):
        raise CheckpointError(f"tensor of shape {tuple(shape)} reaches outside its storage")
    if 0 in shape:
        return np.empty(shape, storage.dtype)
    byte_strides = [stride * storage.itemsize for stride in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, byte_strides)


def _is_size(value: object) -> bool:
    return type(value) is int and value >= 0


def _load_zip(file: IO[bytes]) -> Any:
    archive = zipfile.ZipFile(file)
    names = archive.namelist()
    pickles = [name for name in names if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise CheckpointError("the archive is not a PyTorch checkpoint: no single data.pkl")
    root = pickles[0].removesuffix("data.pkl")
    if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
        raise CheckpointError("only little-endian checkpoints are supported")

    def storage(key: str, dtype: np.dtype[Any], length: int) -> Array:
        data = archive.read(f"{root}data/{key}")
        if len(data) != length * dtype.itemsize:
            raise CheckpointError(f"storage {key} is {len(data)} bytes, not {length} elements")
        return np.frombuffer(data, dtype)

    with archive.open(pickles[0]) as stream:
        return _Unpickler(stream, storage).load()


def _load_legacy(file: IO[bytes], file_size: int) -> Any:
    """Read the stream format: five pickles, then the storages, in the order of the fifth."""

    def no_storage(*_: object) -> NoReturn:
        raise CheckpointError("storage reference in a checkpoint's header")

    def read_header() -> Any:
        return _Unpickler(file, no_storage).load()

    if read_header() != _LEGACY_MAGIC or read_header() != _LEGACY_PROTOCOL:
        raise CheckpointError("not a PyTorch checkpoint")
    system = read_header()
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise CheckpointError("only little-endian checkpoints are supported")

    storages: dict[str, Array] = {}

    def storage(key: str, dtype: np.dtype[Any], length: int) -> Array:
        """Reserve the storage; its bytes come later in the file."""
        if key not in storages:
            if length * dtype.itemsize > file_size:
                raise CheckpointError(f"storage {key} of {length} elements exceeds the file")
            storages[key] = np.zeros(length, dtype)
        if storages[key].shape != (length,) or storages[key].dtype != dtype:
            raise CheckpointError(f"storage {key} is described in two ways")
        return storages[key]

    state = _Unpickler(file, storage).load()
    keys = read_header()
    if not isinstance(keys, list) or sorted(keys) != sorted(storages):
        raise CheckpointError("the storages do not match the tensors")
    for key in keys:
        length = int.from_bytes(file.read(8), "little", signed=True)
        destination = storages[key]
        data = file.read(destination.nbytes)
        if length != destination.size or len(data) != destination.nbytes:
            raise CheckpointError(f"storage {key} is truncated")
        destination[:] = np.frombuffer(data, destination.dtype)
    return state
