"""System shared memory: tensors that a client on this machine leaves in memory of a given name.

It is read and written as a file, not mapped: a client that makes its memory smaller meanwhile gets
an error, where an access to a mapping would end the server.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import Any

from quaver.serve.errors import ServeError, bad_request, not_found
from quaver.serve.protocol.datatypes import Buffer
from quaver.serve.protocol.request import Parameters, count_of, text_of

_FOLDER = "/dev/shm"
_KEY = re.compile(r"/?[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
_MOST = 1024


@dataclass(slots=True)
class Region:
    """Registered memory."""

    name: str
    key: str
    offset: int
    byte_size: int
    handle: int

    def record(self) -> dict[str, Any]:
        """As the protocol has it."""
        return {
            "name": self.name,
            "key": self.key,
            "offset": self.offset,
            "byte_size": self.byte_size,
        }


class Regions:
    """All that is registered.

    Parameters
    ----------
    most
        Bytes that are read at a time: memory of a region may be promised and not be there.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._regions: dict[str, Region] = {}

    def register(self, name: str, key: str, offset: int, byte_size: int) -> None:
        """Open memory that a client made with ``shm_open``.

        Raises
        ------
        ServeError
            400, if the name is taken, or the memory is not there or smaller than said.
        """
        if name in self._regions:
            raise bad_request(f"shared memory region {name!r} is registered already")
        if len(self._regions) >= _MOST:
            raise bad_request(f"there are {_MOST} shared memory regions already")
        if not name or _KEY.fullmatch(key) is None:
            raise bad_request(f"shared memory key {key!r}: expected a name as of shm_open")
        if offset < 0 or byte_size <= 0:
            raise bad_request(f"shared memory region {name!r}: {byte_size} bytes at {offset}")
        handle = _open(name, key, offset + byte_size)
        self._regions[name] = Region(name, key, offset, byte_size, handle)

    def unregister(self, name: str) -> None:
        """Forget a region, or all where the name is empty; what is not there is no error."""
        for each in [name] if name else list(self._regions):
            region = self._regions.pop(each, None)
            if region is not None:
                os.close(region.handle)

    def status(self, name: str = "") -> list[dict[str, Any]]:
        """What is registered, or one region."""
        if name and name not in self._regions:
            raise not_found(f"shared memory region {name!r} is not registered")
        return [r.record() for r in self._regions.values() if not name or r.name == name]

    def read(self, parameters: Parameters) -> bytes:
        """The bytes that a tensor's parameters name.

        Raises
        ------
        ServeError
            400, if there are none, or they end after the region; 413, if they are too many.
        """
        region, start, size = self._place(parameters)
        if size > self._most:
            raise ServeError(
                413,
                f"shared memory region {region.name!r}: {size} bytes are more than {self._most}",
            )
        data = os.pread(region.handle, size, start)
        if len(data) != size:
            raise bad_request(f"shared memory region {region.name!r} was made smaller")
        return data

    def write(self, parameters: Parameters, data: Buffer) -> None:
        """Leave bytes where a tensor's parameters say.

        Raises
        ------
        ServeError
            400, if that is no place, or they are more than it has.
        """
        region, start, size = self._place(parameters)
        if len(data) > size:
            raise bad_request(
                f"shared memory region {region.name!r}: the output has {len(data)} bytes, "
                f"'shared_memory_byte_size' is {size}"
            )
        if os.fstat(region.handle).st_size < start + len(data):
            raise bad_request(f"shared memory region {region.name!r} was made smaller")
        os.pwrite(region.handle, data, start)

    def _place(self, parameters: Parameters) -> tuple[Region, int, int]:
        name = text_of(parameters, "shared_memory_region")
        size = count_of(parameters, "shared_memory_byte_size")
        offset = count_of(parameters, "shared_memory_offset")
        region = self._regions.get(name)
        if region is None:
            raise bad_request(f"shared memory region {name!r} is not registered")
        if offset + size > region.byte_size:
            raise bad_request(
                f"shared memory region {name!r} has {region.byte_size} bytes, asked for {size} "
                f"at {offset}"
            )
        return region, region.offset + offset, size


def _open(name: str, key: str, size: int) -> int:
    path = os.path.join(_FOLDER, key.lstrip("/"))
    try:
        handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise bad_request(f"shared memory key {key!r}: {error.strerror}") from error
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_size < size:
        os.close(handle)
        raise bad_request(
            f"shared memory region {name!r}: {key!r} has {status.st_size} bytes, not {size}"
        )
    return handle
