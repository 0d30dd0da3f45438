"""Messages on their way: gRPC collects each out of sight, and their memory must be bounded too.

How much of a message is there cannot be asked. So while some take long, what the process has grown
by is held against the bound; where it is more, the calls that wait longest for a message end.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from grpc import aio

from quaver import _core
from quaver.serve.errors import ServeError
from quaver.serve.room import Room
from quaver.serve.settings import Settings

_STEP = 0.1  # seconds
_TIDY = 10  # steps after a call's end: the memory of its message is free by then
_MEMORY = Path("/proc/self/statm")
_PAGE = os.sysconf("SC_PAGE_SIZE")

Refuse = Callable[[Any, ServeError], Awaitable[None]]
"""Ends a call."""


class Arrivals:
    """Reads calls' messages.

    Parameters
    ----------
    settings
        The server's: how much memory all messages may take, and one how long.
    room
        For messages that are there.
    refuse
        Ends a call.
    """

    def __init__(self, settings: Settings, room: Room, refuse: Refuse) -> None:
        self._most = settings.max_buffered
        self._patience = settings.body_time
        self._room = room
        self._refuse = refuse
        self._waiting: dict[Any, tuple[int, bool]] = {}
        """Calls that wait for a message, the longest first: since which step, and if in time."""
        self._step = 0
        self._timer: asyncio.TimerHandle | None = None
        self._before: int | None = None
        """The process's memory, but for messages, when the first began that takes long."""
        self._ends: set[asyncio.Future[None]] = set()
        self._last_end: int | None = None
        """In which step a call was ended whose memory has not been given back."""

    async def read(self, context: Any, timed: bool = True) -> bytes | None:
        """A call's next message; None after the last.

        Parameters
        ----------
        context
            The call.
        timed
            Whether the message must come in time; that of a stream may come any time.
        """
        self._waiting[context] = self._step, timed
        if self._timer is None:
            self._wait()
        try:
            message = await context.read()
        finally:
            del self._waiting[context]
        return None if message is aio.EOF else message

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_STEP, self._look)

    def _look(self) -> None:
        """End the calls that take too long, or too much memory."""
        self._timer = None
        self._step += 1
        slow = [
            call
            for call, (since, _) in self._waiting.items()
            if since < self._step - 1 and not call.done()
        ]
        if not slow:
            self._before = None
        elif self._too_much():
            for call in slow[: len(slow) // 2 + 1]:
                self._end(
                    call, ServeError(503, "there is no room for the message: try again later")
                )
        else:
            first = self._step - self._patience / _STEP
            for call in slow:
                since, timed = self._waiting[call]
                if timed and since < first:
                    self._end(call, ServeError(408, f"no message within {self._patience:g} s"))
        if self._last_end is not None and self._step - self._last_end >= _TIDY:
            _core.return_free_memory()
            self._last_end = None
        if self._waiting or self._last_end is not None:
            self._wait()

    def _too_much(self) -> bool:
        if self._before is None:
            self._before = _resident() - self._room.held
        if _resident() - self._before <= self._most:
            return False
        _core.return_free_memory()  # of calls that have ended
        return _resident() - self._before > self._most

    def _end(self, call: Any, error: ServeError) -> None:
        end = asyncio.ensure_future(self._refuse(call, error))
        self._ends.add(end)
        self._last_end = self._step
        end.add_done_callback(self._ends.discard)


def _resident() -> int:
    """Bytes of the process in memory; 0 where the system does not tell."""
    try:
        return int(_MEMORY.read_text().split()[1]) * _PAGE
    except OSError:
        return 0
