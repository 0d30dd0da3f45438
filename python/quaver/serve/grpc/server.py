"""The gRPC server: inference.GRPCInferenceService and grpc.health.v1.Health."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError
from grpc import aio

from quaver.serve import logs
from quaver.serve.auth import Tokens
from quaver.serve.errors import ServeError, bad_request, refusal
from quaver.serve.grpc.arrivals import Arrivals
from quaver.serve.grpc.calls import Calls
from quaver.serve.grpc.infer import Infer
from quaver.serve.protocol.grpc_tensors import framed
from quaver.serve.protocol.proto import METHODS, PACKAGE, messages
from quaver.serve.service import Service

SERVICE = f"{PACKAGE}.GRPCInferenceService"

_now = time.perf_counter_ns
_FRAME = 4 << 20  # what a message has beside its tensors
_WINDOW = 1 << 20
_STREAMS = 100  # calls that a connection may have at least at a time; more are its own to keep back
_HEALTH_SECONDS = 0.25
_INFER_RESPONSE = 2 << 3 | 2  # the field of a ModelStreamInferResponse
_FOREVER = 1e8  # seconds; gRPC gives such a number where a client sets no deadline


class GrpcServer:
    """Answers gRPC requests on the running loop.

    Parameters
    ----------
    service
        What answers.
    tokens
        That requests must bear one of.
    """

    def __init__(self, service: Service, tokens: Tokens) -> None:
        settings = service.settings
        self._service = service
        self._tokens = tokens
        self._calls = Calls(service)
        self._messages = messages()
        self._health: Any = None
        self._health_task: asyncio.Task[None] | None = None
        self._infer = Infer(service)
        self._stats = service.stats
        self._arrivals = Arrivals(settings, service.room, self._give_up)
        self._server = aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.max_body + _FRAME),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
                ("grpc.max_allowed_incoming_connections", settings.max_connections),
                ("grpc.max_concurrent_streams", max(_STREAMS, settings.max_requests // 4)),
                ("grpc.max_connection_idle_ms", settings.keep_alive * 1000),
                ("grpc.server_handshake_timeout_ms", int(settings.header_time * 1000)),
                ("grpc.http2.min_ping_interval_without_data_ms", 5000),
                # Its pings, one with each request, cost more than a window that is large at once.
                ("grpc.http2.bdp_probe", 0),
                ("grpc.http2.lookahead_bytes", _WINDOW),
            ],
            maximum_concurrent_rpcs=settings.max_requests,
        )
        self._server.add_generic_rpc_handlers((self._handlers(),))

    async def start(self, address: str) -> int:
        """Listen; give the port."""
        self._add_health()
        settings = self._service.settings
        if settings.tls_cert and settings.tls_key:
            pair = (settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())
            port: int = self._server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        else:
            port = self._server.add_insecure_port(address)
        await self._server.start()
        return port

    async def stop(self, grace: float) -> None:
        """End, after what is under way, or when the time is up."""
        if self._health_task is not None:
            self._health_task.cancel()
        await self._server.stop(grace)

    def _handlers(self) -> grpc.GenericRpcHandler:
        handlers = {name: self._unary(name, getattr(self._calls, name)) for name in METHODS
                    if name != "ModelInfer"}  # fmt: skip
        # These give bytes. All read by themselves: what is no stream would be read for them.
        handlers["ModelInfer"] = grpc.stream_unary_rpc_method_handler(self._model_infer)
        handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _unary(self, name: str, call: Callable[[Any], Awaitable[Any]]) -> grpc.RpcMethodHandler:
        read = self._messages[f"{name}Request"].FromString

        async def answer(_: Any, context: Any) -> Any:
            data = await self._arrivals.read(context)
            try:
                self._expect_token(context)
                return await call(_message(read, name, data or b""))
            except Exception as error:
                refused = self._refusal(error)
            del data
            return await _abort(context, refused)

        return grpc.stream_unary_rpc_method_handler(
            answer, response_serializer=self._messages[f"{name}Response"].SerializeToString
        )

    def _expect_token(self, context: Any) -> None:
        given = dict(context.invocation_metadata() or ()).get("authorization", "")
        if not self._tokens.accept(given.encode()):
            raise ServeError(401, "a valid token is needed: authorization: Bearer")

    def _refusal(self, error: Exception, data: bytes = b"") -> ServeError:
        refused = refusal(error, lambda: str(self._request(data).id))
        self._stats.error("grpc", refused.grpc_status)
        return refused

    async def _give_up(self, context: Any, error: ServeError) -> None:
        with contextlib.suppress(aio.AbortError):
            await _abort(context, self._refusal(error))

    async def _model_infer(self, _: Any, context: Any) -> bytes:
        data = await self._arrivals.read(context)
        if data is None:
            data = b""
        started = _now()
        try:
            if not self._tokens.open:
                self._expect_token(context)
            answer, seen = self._infer.now(data, started)
            if answer is None:
                left = context.time_remaining()
                bounded = left is not None and left < _FOREVER
                answer = await self._infer(data, seen, started, left if bounded else None)
        except Exception as error:
            refused = self._refusal(error, data)
            self._log(data, refused.grpc_status, started)
        else:
            if logs.enabled("debug"):
                self._log(data, "OK", started)
            return answer
        del data
        return await _abort(context, refused)

    async def _stream(self, _: Any, context: Any) -> AsyncIterator[bytes]:
        """Answer a stream of requests in their order; an error is an answer, and no end."""
        try:
            self._expect_token(context)
        except ServeError as error:
            await _abort(context, self._refusal(error))
        while (data := await self._arrivals.read(context, timed=False)) is not None:
            started = _now()
            try:
                answer, seen = self._infer.now(data, started)
                if answer is None:
                    answer = await self._infer(data, seen, started)
            except Exception as error:
                refused = self._refusal(error, data)
                self._log(data, refused.grpc_status, started)
                yield self._stream_error(data, refused)
            else:
                self._log(data, "OK", started)
                yield framed(_INFER_RESPONSE, len(answer)) + answer

    def _stream_error(self, data: bytes, error: ServeError) -> bytes:
        answer = self._messages["ModelStreamInferResponse"](error_message=str(error))
        answer.infer_response.id = self._request(data).id
        encoded: bytes = answer.SerializeToString()
        return encoded

    def _request(self, data: bytes) -> Any:
        message = self._messages["ModelInferRequest"]()
        with contextlib.suppress(DecodeError):
            message.ParseFromString(data)
        return message

    def _log(self, data: bytes, status: str, started: int) -> None:
        if logs.enabled("debug"):
            request = self._request(data)
            logs.event(
                "debug",
                "request",
                protocol="grpc",
                id=request.id,
                model=request.model_name[:200],
                version=request.model_version[:50],
                status=status,
                ms=round((_now() - started) / 1e6, 3),
            )

    def _add_health(self) -> None:
        from grpc_health.v1 import health, health_pb2_grpc  # noqa: PLC0415

        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, _Unregistered(self._server))
        self._health_task = asyncio.get_running_loop().create_task(self._tell_health())

    async def _tell_health(self) -> None:
        from grpc_health.v1 import health_pb2  # noqa: PLC0415

        states = health_pb2.HealthCheckResponse
        told: bool | None = None
        while True:
            ready = self._service.ready
            if ready is not told:
                state = states.SERVING if ready else states.NOT_SERVING
                await self._health.set("", state)
                await self._health.set(SERVICE, state)
                told = ready
            await asyncio.sleep(_HEALTH_SECONDS)


class _Unregistered:
    """A server that looks methods up by name.

    Registered ones each wait by themselves, and grpc.aio goes through all of them at every call.
    """

    def __init__(self, server: Any) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, service: str, handlers: Any) -> None:
        """Leave it at that."""


def _message(read: Callable[[bytes], Any], name: str, data: bytes) -> Any:
    try:
        return read(data)
    except DecodeError as error:
        raise bad_request(f"the message is no {name}Request: {error}") from error


async def _abort(context: Any, refused: ServeError) -> NoReturn:
    """End a call. What the caller's frame holds stays until garbage is searched for: no request."""
    await context.abort(getattr(grpc.StatusCode, refused.grpc_status), str(refused))
    raise AssertionError("an aborted call goes on")
