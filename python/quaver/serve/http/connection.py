"""Connections: uvicorn's, with limits on how slowly and how many clients may speak."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_MOST_HEADERS = 1 << 16
_IDLE, _HEADERS, _BODY = range(3)


class Connection(HttpToolsProtocol):
    """One client's connection."""

    header_time = 10.0
    body_time = 60.0
    max_connections = 16384

    _phase = _IDLE
    _header_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin; a client that says nothing is not waited for."""
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(503, "too many connections")
        else:
            self._arm(self.header_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._disarm()
        super().connection_lost(exc)

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
            self._arm(self.header_time if phase == _HEADERS else self.body_time)
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

    def on_body(self, body: bytes) -> None:
        """Keep a part of the body: as it is, where the last one was taken, without a copy."""
        cycle: Any = self.cycle
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

    def on_message_complete(self) -> None:
        """End it."""
        self._phase = _IDLE
        super().on_message_complete()

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
            self._refuse(408, f"the headers did not come within {self.header_time:g} s")

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
