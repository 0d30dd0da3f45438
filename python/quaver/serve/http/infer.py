"""The way of a request to run a model, from ASGI's messages to ASGI's messages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from typing import Any

import numpy as np
import orjson

from quaver.serve import logs
from quaver.serve.aside import LONG
from quaver.serve.batching.job import Outcome
from quaver.serve.errors import ServeError, refusal
from quaver.serve.http.bodies import Bodies, Receive, packed
from quaver.serve.models.served import ServedModel
from quaver.serve.protocol import rest
from quaver.serve.protocol.datatypes import Buffer
from quaver.serve.protocol.known import LONGEST, Known, remember
from quaver.serve.protocol.request import InferRequest
from quaver.serve.service import Service

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Scope = MutableMapping[str, Any]

_now = time.perf_counter_ns
_LENGTH = b"inference-header-content-length"
_WANTED = {b"content-length", b"content-encoding", b"accept-encoding", _LENGTH, b"x-request-id"}
_PATIENCE = 0.02  # seconds
_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")


class Infer:
    """Answers requests to run a model."""

    def __init__(self, service: Service, bodies: Bodies) -> None:
        self._service = service
        self._inference = service.inference
        self._bodies = bodies
        self._bytes_in = service.stats.bytes_in
        self._bytes_out = service.stats.bytes_out

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, model: str, version: str
    ) -> None:
        """Answer a request."""
        started = _now()
        self._service.callers.came(scope["client"], started)
        given = {name: value for name, value in scope["headers"] if name in _WANTED}
        held = 0
        entered = False
        try:
            self._service.enter()
            entered = True
            body = await self._bodies.read(
                receive, given.get(b"content-length"), scope.get("long_body")
            )
            held = len(body)
            self._bytes_in["http"] += held
            if b"content-encoding" in given:
                body = await self._bodies.unpacked(body, given[b"content-encoding"])
                held += len(body)
            parts, length = await self._answer(
                given, body, receive, name=model, version=version, started=started
            )
            status = 200
        except Exception as raised:
            error = refusal(raised, lambda: _id(given))
            status = error.status
            parts, length = [rest_error(error)], None
            self._service.stats.error("http", str(status))
        finally:
            self._bodies.release(held)
            if entered:
                self._service.leave()
        await _respond(
            send, status, parts, length=length, given=given, closing=self._closing(status)
        )
        self._bytes_out["http"] += sum(map(len, parts))
        if logs.enabled("debug") or status >= 500:
            _log(given, model, version, status, started)

    def _closing(self, status: int) -> bool:
        return status in (413, 499) or self._service.draining

    async def _answer(
        self,
        given: dict[bytes, bytes],
        body: Buffer,
        receive: Receive,
        *,
        name: str,
        version: str,
        started: int,
    ) -> tuple[list[Buffer], int | None]:
        length = rest.header_length(given.get(_LENGTH), body)
        model = self._service.repository.get(name)
        head = b""
        seen: dict[bytes, Known] = model.wire["http"]
        if length and length <= LONGEST:
            head = bytes(body[:length])
            known = seen.get(head)
            if known is not None and known.fits(body, length):
                return await self._answer_known(
                    known, model, version, body, length=length, receive=receive, started=started
                )
        if length == 0:
            request = rest.parse_raw(name, version, body, model.inputs)
        else:
            request = await self._parsed(name, version, body, length)
        response = await self._inference.infer(request, started, guard=_Guard(receive))
        if head:
            known = rest.known_of(request, model.inputs, model.outputs)
            if known is not None:
                remember(seen, head, known)
        if response.strings >= LONG:
            return await self._service.aside.in_turns(rest.render, response, request.parameters)
        if rest.text_size(response, request.parameters) >= LONG:
            return await self._service.aside.call(rest.render, response, request.parameters)
        return rest.render(response, request.parameters)

    async def _parsed(
        self, name: str, version: str, body: Buffer, length: int | None
    ) -> InferRequest:
        if (len(body) if length is None else length) < LONG:
            return rest.parse(name, version, body, length)
        # Views cannot be pickled but by PickleBuffer; garbage of that crashes Python.
        whole = np.frombuffer(body, np.uint8)
        return await self._service.aside.call(rest.parse, name, version, whole, length)

    async def _answer_known(
        self,
        known: Known,
        model: ServedModel,
        version: str,
        body: Buffer,
        *,
        length: int,
        receive: Receive,
        started: int,
    ) -> tuple[list[Buffer], int | None]:
        answered = self._inference.answer_now(
            model, known, body, length, version=version, started=started
        )
        if answered is not None:
            return [answered[0]], known.heads[answered[1]]
        arrays = known.arrays(body, length)
        outputs, number = await self._inference.run(
            model, version, arrays, known.parameters, started=started, guard=_Guard(receive)
        )
        answer, head_length = known.answer(number, outputs)
        return [answer], head_length


class _Guard:
    """Waits for a run, and ends the wait when the client is gone.

    Nobody looks whether it is before `_PATIENCE` is over, when most runs are.
    """

    __slots__ = ("_gone", "_receive", "_task")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone: asyncio.Future[None] | None = None
        self._task: asyncio.Task[Any] | None = None

    async def __call__(self, waiting: Coroutine[Any, Any, Outcome]) -> Outcome:
        self._task = asyncio.current_task()
        timer = asyncio.get_running_loop().call_later(_PATIENCE, self._look)
        try:
            return await waiting
        except asyncio.CancelledError:
            if self._gone is None or not self._gone.done():
                raise
            raise ServeError(499, "the client is gone") from None
        finally:
            timer.cancel()
            if self._gone is not None:
                self._gone.cancel()

    def _look(self) -> None:
        self._gone = asyncio.ensure_future(_gone(self._receive))
        self._gone.add_done_callback(self._end)

    def _end(self, gone: asyncio.Future[None]) -> None:
        if not gone.cancelled() and self._task is not None:
            self._task.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _respond(
    send: Send,
    status: int,
    parts: list[Buffer],
    *,
    length: int | None,
    given: dict[bytes, bytes],
    closing: bool,
) -> None:
    body, encoding = b"".join(parts), b""
    accepted = given.get(b"accept-encoding")
    if accepted is not None and status == 200:
        body, encoding = await packed(body, accepted)
    headers = [
        _JSON if length is None else _BINARY,
        (b"content-length", b"%d" % len(body)),
    ]
    if length is not None:
        headers.append((_LENGTH, b"%d" % length))
    if encoding:
        headers.append((b"content-encoding", encoding))
    if b"x-request-id" in given:
        headers.append((b"x-request-id", given[b"x-request-id"]))
    if closing:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def rest_error(error: ServeError) -> bytes:
    """An error's body."""
    return orjson.dumps({"error": str(error)})


def _id(given: dict[bytes, bytes]) -> str:
    return given.get(b"x-request-id", b"").decode("latin-1")


def _log(given: dict[bytes, bytes], model: str, version: str, status: int, started: int) -> None:
    logs.event(
        "debug" if status < 500 else "warning",
        "request",
        protocol="http",
        id=_id(given),
        model=model[:200],
        version=version[:50],
        status=status,
        ms=round((_now() - started) / 1e6, 3),
    )
