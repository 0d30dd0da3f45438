"""The ASGI application."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from quaver.serve.auth import Tokens
from quaver.serve.errors import ServeError, bad_request, refusal
from quaver.serve.http.bodies import Bodies
from quaver.serve.http.calls import Calls
from quaver.serve.http.infer import Infer, rest_error
from quaver.serve.http.long_bodies import LongBody
from quaver.serve.http.openapi import document
from quaver.serve.http.routes import ROWS, Row
from quaver.serve.protocol.rest import object_of
from quaver.serve.service import Service

if TYPE_CHECKING:
    from quaver.serve.metrics import Metrics

_INFER = re.compile(rb"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
_OPEN = ("/v2/health/live", "/v2/health/ready")
_MOST = 1 << 20  # bytes of a body for what runs no model

Scope = MutableMapping[str, Any]


class App:
    """Answers REST requests. What runs models goes its own short way; Starlette has the rest."""

    def __init__(self, service: Service, tokens: Tokens) -> None:
        self._service = service
        self._tokens = tokens
        most = service.settings.max_body
        self._bodies = Bodies(min(most, _MOST), service.room)
        self._infer = Infer(service, Bodies(most, service.room))
        self._calls = Calls(service)
        self._metrics: Metrics | None = None
        self._others = self._starlette()

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        long: LongBody | None = scope.get("long_body")
        if long is None:
            await self._answer(scope, receive, send)
            return
        try:
            await self._answer(scope, receive, send)
        finally:
            long.drop()

    async def _answer(self, scope: Scope, receive: Any, send: Any) -> None:
        if not self._tokens.open and scope["path"] not in _OPEN:
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not self._tokens.accept(given):
                self._service.stats.error("http", "401")
                refused = _error(ServeError(401, "a valid token is needed: Authorization: Bearer"))
                refused.headers["www-authenticate"] = "Bearer"
                await refused(scope, receive, send)
                return
        found = _INFER.fullmatch(scope["raw_path"]) if scope["method"] == "POST" else None
        if found is None:
            await self._others(scope, receive, send)
            return
        model, version = (_text(part) for part in found.groups(b""))
        await self._infer(scope, receive, send, model, version)

    def _starlette(self) -> Starlette:
        routes = []
        paths: dict[str, list[Row]] = {}
        for row in ROWS:
            paths.setdefault(row.path, []).append(row)
        for path, rows in paths.items():
            methods = {row.method: self._endpoint(row) for row in rows}
            routes.append(Route(path, _by_method(methods), methods=list(methods)))

        async def get_metrics(_: Request) -> Response:
            if self._metrics is None:
                from quaver.serve.metrics import Metrics  # noqa: PLC0415 -- not all are asked

                self._metrics = Metrics(self._service)
            return Response(self._metrics.render(), headers={"content-type": self._metrics.TYPE})

        async def get_openapi(_: Request) -> Response:
            return Response(orjson.dumps(document()), media_type="application/json")

        routes += [Route("/metrics", get_metrics), Route("/openapi.json", get_openapi)]
        return Starlette(routes=routes, exception_handlers={HTTPException: self._http_error})

    def _endpoint(self, row: Row) -> Callable[[Request], Awaitable[Response]]:
        call = getattr(self._calls, row.call, None)

        async def endpoint(request: Request) -> Response:
            try:
                assert call is not None  # running a model goes its own way
                status, record = await call(request.path_params, await self._body(request))
            except Exception as raised:
                error = refusal(raised, lambda: request.headers.get("x-request-id", ""))
                self._service.stats.error("http", str(error.status))
                return _error(error)
            return Response(orjson.dumps(record), status, media_type="application/json")

        return endpoint

    async def _http_error(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        self._service.stats.error("http", str(error.status_code))
        messages = {
            404: f"there is no path {request.url.path!r}",
            405: f"{request.url.path!r} does not know the method {request.method}",
        }
        body = rest_error(bad_request(messages.get(error.status_code, error.detail)))
        return Response(body, error.status_code, error.headers, "application/json")

    async def _body(self, request: Request) -> dict[str, Any]:
        if request.method != "POST":
            return {}
        headers = request.headers
        length = headers.get("content-length")
        body = await self._bodies.read(
            request.receive, length.encode() if length else None, request.scope.get("long_body")
        )
        self._bodies.release(len(body))
        if "content-encoding" in headers:
            body = await self._bodies.unpacked(body, headers["content-encoding"].encode())
            self._bodies.release(len(body))
        return object_of(body) if bytes(body).strip() else {}


def _by_method(
    methods: dict[str, Callable[[Request], Awaitable[Response]]],
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        return await methods[method](request)

    return endpoint


def _text(part: bytes) -> str:
    return urllib.parse.unquote(part.decode("latin-1"))


def _error(error: ServeError) -> Response:
    closing = {"connection": "close"} if error.status == 413 else None
    return Response(rest_error(error), error.status, closing, "application/json")
