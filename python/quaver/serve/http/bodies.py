"""Bodies of requests and answers: read within limits, compressed and not."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from quaver.serve.errors import ServeError, bad_request
from quaver.serve.protocol.datatypes import Buffer

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_INLINE = 1 << 16  # what is longer is unpacked by another thread
_WORTH = 256  # what is shorter is not packed
_LEVEL = 1
_PATIENCE = 0.2  # seconds for the next part of a body that is refused


class Bodies:
    """Reads bodies, all of them together in bounded memory.

    Parameters
    ----------
    most
        Bytes of one body, unpacked.
    all_most
        Bytes of all that are held at a time.
    """

    def __init__(self, most: int, all_most: int) -> None:
        self._most = most
        self._all_most = all_most
        self._held = 0

    async def read(self, receive: Receive, length: bytes | None) -> bytes:
        """A request's whole body. Call `release` with its length when it is no longer needed.

        Raises
        ------
        ServeError
            413, if it is too long; 503, if all together are; 499, if the client is gone.
        """
        if length is not None and int(length) > self._most:
            raise await self._dropped(receive)
        message = await receive()
        body: bytes = message.get("body", b"")
        if message["type"] != "http.request":
            raise ServeError(499, "the client is gone")
        if not message.get("more_body"):
            self._hold(len(body), len(body))
            return body
        return await self._read_on(receive, body)

    async def _read_on(self, receive: Receive, first: bytes) -> bytes:
        parts, size, more = [first], len(first), True
        self._hold(size, size)
        try:
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise ServeError(499, "the client is gone")
                part = message.get("body", b"")
                size += len(part)
                self._held += len(part)
                parts.append(part)
                more = message.get("more_body", False)
                if size > self._most:
                    raise await self._dropped(receive, more)
                self._check(size)
        except BaseException:
            self.release(size)
            raise
        return b"".join(parts)

    async def _dropped(self, receive: Receive, more: bool = True) -> ServeError:
        """Read on, as much again as a body may have: who still sends would not see the answer."""
        dropped = 0
        while more and dropped <= self._most:
            try:
                message = await asyncio.wait_for(receive(), _PATIENCE)
            except asyncio.TimeoutError:
                break
            if message["type"] != "http.request":
                break
            dropped += len(message.get("body", b""))
            more = message.get("more_body", False)
        return self._too_long()

    def _hold(self, more: int, size: int) -> None:
        self._held += more
        try:
            self._check(size)
        except ServeError:
            self._held -= more
            raise

    def _check(self, size: int) -> None:
        if size > self._most:
            raise self._too_long()
        if self._held > self._all_most:
            raise ServeError(503, "there is no room for the request's body: try again later")

    def release(self, size: int) -> None:
        """Say that a body of this length is no longer held."""
        self._held -= size

    def _too_long(self) -> ServeError:
        return ServeError(413, f"the body is longer than {self._most} bytes")

    async def unpacked(self, body: bytes, encoding: bytes) -> bytes:
        """A body without its Content-Encoding.

        Raises
        ------
        ServeError
            415, if that is none of gzip and deflate; 400, if the body is none; 413, if it is
            too long.
        """
        name = encoding.decode("latin-1").strip().lower()
        if name in ("", "identity"):
            return body
        if name not in _WINDOW:
            raise ServeError(415, f"Content-Encoding {name[:50]!r} is none of gzip, deflate")
        if len(body) <= _INLINE and self._most <= _INLINE:
            return self._unpack(body, name)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._unpack, body, name)

    def _unpack(self, body: bytes, name: str) -> bytes:
        stream = zlib.decompressobj(_WINDOW[name])
        try:
            data = stream.decompress(body, self._most + 1)
        except zlib.error as error:
            raise bad_request(f"the body is no {name}: {error}") from error
        if len(data) > self._most:
            raise self._too_long()
        if not stream.eof:
            raise bad_request(f"the body is no {name}: it is cut off")
        return data


def pack(parts: list[Buffer], accepted: bytes) -> tuple[list[Buffer], bytes]:
    """An answer's body as the client accepts it, and its Content-Encoding (empty: none)."""
    names = [item.split(b";")[0].strip() for item in accepted.lower().split(b",")]
    body = b"".join(parts)
    if len(body) >= _WORTH and b"gzip" in names:
        return [gzip.compress(body, _LEVEL, mtime=0)], b"gzip"
    if len(body) >= _WORTH and b"deflate" in names:
        return [zlib.compress(body, _LEVEL)], b"deflate"
    return parts, b""
