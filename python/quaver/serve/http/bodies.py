"""Bodies of requests and answers: read within limits, compressed and not."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from quaver.serve.errors import ServeError, bad_request
from quaver.serve.http.long_bodies import LongBody
from quaver.serve.protocol.datatypes import Buffer
from quaver.serve.room import Room

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

_WINDOW = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_INLINE = 1 << 16  # what is longer is packed by another thread
_WORTH = 256  # what is shorter is not packed
_LEVEL = 1
_PATIENCE = 0.2  # seconds for the next part of a body that is refused


class Bodies:
    """Reads bodies, all of them together in bounded memory.

    Parameters
    ----------
    most
        Bytes of one body, unpacked.
    room
        For all that are held at a time.
    """

    def __init__(self, most: int, room: Room) -> None:
        self._most = most
        self._room = room

    async def read(
        self, receive: Receive, length: bytes | None, long: LongBody | None = None
    ) -> Buffer:
        """A request's whole body. Call `release` with its length when it is no longer needed.

        Parameters
        ----------
        receive
            Gives it in parts.
        length
            What Content-Length says.
        long
            Gives it as a whole, where there is such a one.

        Raises
        ------
        ServeError
            413, if it is too long; 503, if all together are; 499, if the client is gone.
        """
        if length is not None and int(length) > self._most:
            raise await self._dropped(receive)
        if long is not None:
            return await long.take()
        message = await receive()
        body: bytes = message.get("body", b"")
        if message["type"] != "http.request":
            raise ServeError(499, "the client is gone")
        if not message.get("more_body"):
            self._hold(len(body))
            return body
        return await self._read_on(receive, body)

    async def _read_on(self, receive: Receive, first: bytes) -> bytes:
        parts, size, more = [first], len(first), True
        self._hold(size)
        try:
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    raise ServeError(499, "the client is gone")
                part = message.get("body", b"")
                more = message.get("more_body", False)
                if size + len(part) > self._most:
                    raise await self._dropped(receive, more)
                self._room.take(len(part))
                size += len(part)
                parts.append(part)
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

    def _hold(self, size: int) -> None:
        if size > self._most:
            raise self._too_long()
        self._room.take(size)

    def release(self, size: int) -> None:
        """Say that a body of this length is no longer held."""
        self._room.give(size)

    def _too_long(self) -> ServeError:
        return ServeError(413, f"the body is longer than {self._most} bytes")

    async def unpacked(self, body: Buffer, encoding: bytes) -> Buffer:
        """A body without its Content-Encoding. Call `release` with its length too.

        Raises
        ------
        ServeError
            415, if that is none of gzip and deflate; 400, if the body is none; 413, if it is
            too long.
        """
        name = encoding.decode("latin-1").strip().lower()
        if name not in ("", "identity", *_WINDOW):
            raise ServeError(415, f"Content-Encoding {name!r} is none of gzip, deflate")
        if name in _WINDOW:
            loop = asyncio.get_running_loop()
            body = await loop.run_in_executor(None, self._unpack, body, name)
        self._room.take(len(body))
        return body

    def _unpack(self, body: Buffer, name: str) -> bytes:
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


async def packed(body: bytes, accepted: bytes) -> tuple[bytes, bytes]:
    """An answer's body as the client accepts it, and its Content-Encoding (empty: none)."""
    name = next((name for name in _ENCODERS if name in _accepted(accepted)), b"")
    if not name or len(body) < _WORTH:
        return body, b""
    encode = _ENCODERS[name]
    if len(body) <= _INLINE:
        return encode(body), name
    return await asyncio.get_running_loop().run_in_executor(None, encode, body), name


_ENCODERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": lambda body: gzip.compress(body, _LEVEL, mtime=0),
    b"deflate": lambda body: zlib.compress(body, _LEVEL),
}


def _accepted(header: bytes) -> set[bytes]:
    """The encodings that Accept-Encoding names, but for those whose weight is 0."""
    items = [item.partition(b";q=") for item in header.lower().replace(b" ", b"").split(b",")]
    return {name for name, _, weight in items if not weight or weight.strip(b"0.")}
