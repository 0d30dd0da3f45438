"""Long bodies: received straight into the memory where they stay, neither in parts nor copied."""

from __future__ import annotations

import asyncio

import numpy as np

from quaver.serve.errors import ServeError
from quaver.serve.room import Room

#: Bytes; a shorter body comes in a part or two, as all else.
LEAST = 1 << 14


class LongBody:
    """A body of which only the length is there yet.

    Its memory counts as it comes: who promises much and sends little takes no room from others.

    Parameters
    ----------
    size
        Its length in bytes.
    room
        For bodies.
    """

    __slots__ = ("_at", "_counted", "_ended", "_refusal", "_room", "_size", "_view")

    def __init__(self, size: int, room: Room) -> None:
        self._size = size
        self._room = room
        self._at = self._counted = 0
        self._view: memoryview | None = np.empty(size, np.uint8).data
        self._refusal: ServeError | None = None
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def complete(self) -> bool:
        """Whether all of it came."""
        return self._at == self._size

    def place(self, spare: memoryview) -> memoryview:
        """Where its next bytes go: to `spare` if nobody wants them any more."""
        left = self._size - self._at
        return spare[:left] if self._view is None else self._view[self._at :]

    def put(self, part: bytes) -> None:
        """Take its next bytes from elsewhere."""
        if self._view is not None:
            self._view[self._at : self._at + len(part)] = part
        self.came(len(part))

    def came(self, count: int) -> None:
        """So many bytes more are where `place` said."""
        self._at += count
        if self._view is not None:
            try:
                self._room.take(count)
                self._counted += count
            except ServeError as error:  # the rest is read on: else the client saw no answer
                self._refusal = error
                self.drop()
        if self.complete:
            self._end()

    def lost(self) -> None:
        """Say that the rest will not come."""
        if not self.complete:
            self._refusal = ServeError(499, "the client is gone")
            self._end()

    def drop(self) -> None:
        """Say that nobody wants it, if nobody took it."""
        self._view = None
        self._room.give(self._counted)
        self._counted = 0

    async def take(self) -> memoryview:
        """The body when it is there; what it takes of the room is then the caller's to give back.

        Raises
        ------
        ServeError
            499, if the client is gone; 503, if there was no room.
        """
        await self._ended
        if self._refusal is not None or self._view is None:
            raise self._refusal or ServeError(499, "the client is gone")
        view, self._view, self._counted = self._view, None, 0
        return view

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)
