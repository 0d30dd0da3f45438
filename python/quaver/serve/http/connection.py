"""Connections: uvicorn's, with limits on how slowly and how many clients may speak."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from quaver.serve.http.long_bodies import LEAST, LongBody
from quaver.serve.room import Room
from quaver.serve.settings import Settings

_MOST_HEADERS = 1 << 16
_IDLE, _HEADERS, _BODY = range(3)
_HEAD, _CONTINUE = b"HTTP/1.1 ", b"HTTP/1.1 100"
_SPARE = memoryview(bytearray(1 << 14))
"""Where all connections read what is no long body: it is taken from there at once."""


class Reader(asyncio.BufferedProtocol):
    """Reads for a connection; a long body where it will stay, without a copy on the way.

    Parameters
    ----------
    connection
        Takes what is read.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._connection.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """Let answers wait: the client does not read."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """Let them go on."""
        self._connection.resume_writing()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- asyncio's
        """Where the next bytes go."""
        long = self._connection.long
        return _SPARE if long is None else long.place(_SPARE)

    def buffer_updated(self, nbytes: int) -> None:
        """Take so many of them."""
        connection = self._connection
        if connection.long is None:
            connection.data_received(_SPARE[:nbytes].tobytes())
        else:
            connection.long_received(nbytes)


class Joined:
    """A connection's way out, on which an answer's head waits for its body: one packet, not two.

    Parameters
    ----------
    transport
        The way out.
    """

    __slots__ = ("_head", "_transport", "is_closing")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._head = b""
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Write something; not the head of an answer before what follows it."""
        if self._head:
            head, self._head = self._head, b""
            if len(data) > LEAST:  # a copy would cost more than a packet
                self._transport.write(head)
            else:
                data = head + data
        elif data.startswith(_HEAD) and not data.startswith(_CONTINUE):
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Write what waits: an answer may have no body."""
        head, self._head = self._head, b""
        if head:
            self._transport.write(head)

    def close(self) -> None:
        """Write what waits, and end."""
        self.flush()
        self._transport.close()


class Connection(HttpToolsProtocol):
    """One client's connection.

    Parameters
    ----------
    settings
        The server's; its limits are kept.
    room
        For all bodies together.
    uvicorn
        What uvicorn's own class takes.
    """

    long: LongBody | None = None
    """The long body that is under way; an application finds it in its scope, as `long_body`."""
    _out: Joined
    _phase = _IDLE
    _header_bytes = 0
    _timer: asyncio.TimerHandle | None = None
    _unread = 0
    _reading: asyncio.TimerHandle | None = None

    def __init__(self, settings: Settings, room: Room, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._limits = settings
        self._room = room

    def connection_made(self, transport: Any) -> None:
        """Begin; a client that says nothing is not waited for."""
        super().connection_made(transport)
        self._out = Joined(transport)
        if len(self.connections) > self._limits.max_connections:
            self._refuse(503, "too many connections")
        else:
            self._arm(self._limits.header_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._disarm()
        self._stop_watching()
        if self.long is not None:
            self.long.lost()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Let answers wait: the client does not read. It is not waited for if it never does."""
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        """Let them go on."""
        self._stop_watching()
        super().resume_writing()

    def _watch_reading(self) -> None:
        self._unread = self.transport.get_write_buffer_size()
        self._reading = self.loop.call_later(self._limits.body_time, self._expect_less)

    def _expect_less(self) -> None:
        if self.transport.get_write_buffer_size() < self._unread:
            self._watch_reading()
        else:
            self.transport.abort()

    def _stop_watching(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        before = self._phase
        if before != _BODY:
            self._header_bytes += len(data)
        super().data_received(data)
        phase = self._phase
        if phase == _IDLE:
            if self._timer is not None:
                self._disarm()
        elif phase != before or self._timer is None:
            self._arm(self._limits.header_time if phase == _HEADERS else self._limits.body_time)
        if phase == _HEADERS and self._header_bytes > _MOST_HEADERS:
            self._refuse(431, f"the headers are longer than {_MOST_HEADERS} bytes")

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._phase = _HEADERS
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin its body."""
        self._phase = _BODY
        self._header_bytes = 0
        super().on_headers_complete()
        self.cycle.transport = self._out  # type: ignore[assignment]
        size = self._long_size()
        if size:
            self.long = self.scope["long_body"] = LongBody(size, self._room)  # type: ignore[typeddict-unknown-key]

    def _long_size(self) -> int:
        """The length of a body that is to be read as a whole; 0 for one that is not."""
        size = 0
        for name, value in self.headers:
            if name == b"content-length":
                size = int(value)
            elif name in (b"transfer-encoding", b"upgrade", b"expect"):
                return 0
        return size if LEAST <= size <= self._limits.max_body and not self.pipeline else 0

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body: as it is, where the last one was taken, without a copy."""
        cycle: Any = self.cycle
        if self.long is not None:
            self.long.put(body)
            return
        if cycle.response_complete:
            return
        if not cycle.body:
            cycle.body = body
        else:
            cycle.body = bytearray(cycle.body) if isinstance(cycle.body, bytes) else cycle.body
            cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def long_received(self, count: int) -> None:
        """Take bytes that are in the long body already, past the parser."""
        assert self.long is not None
        self.long.came(count)
        if self.long.complete:
            self.parser = httptools.HttpRequestParser(self)  # the old one waits for this body
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            self.on_message_complete()
            self._disarm()

    def on_message_complete(self) -> None:
        """End it."""
        self._phase = _IDLE
        self.long = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End an answer."""
        self._out.flush()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(400, msg)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self.loop.call_later(seconds, self._late)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self._phase == _BODY:
            self.transport.close()  # whoever waits for the body learns that the client is gone
        else:
            self._refuse(408, f"the headers did not come within {self._limits.header_time:g} s")

    def _refuse(self, status: int, message: str) -> None:
        if self.transport.is_closing():
            return
        body = json.dumps({"error": message}).encode()
        reason = {400: b"Bad Request", 408: b"Request Timeout", 503: b"Service Unavailable"}
        self.transport.write(
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%s"
            % (status, reason.get(status, b"Request Header Fields Too Large"), len(body), body)
        )
        self.transport.close()
