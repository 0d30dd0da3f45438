"""The gRPC server: inference.GRPCInferenceService and grpc.health.v1.Health."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
from grpc import aio

from quaver.serve import logs
from quaver.serve.auth import Tokens
from quaver.serve.errors import ServeError
from quaver.serve.grpc.calls import Calls
from quaver.serve.protocol import grpc_tensors
from quaver.serve.protocol.proto import METHODS, PACKAGE, messages
from quaver.serve.service import Service

SERVICE = f"{PACKAGE}.GRPCInferenceService"

_now = time.perf_counter_ns
_FRAME = 4 << 20  # what a message has beside its tensors
_HEALTH_SECONDS = 0.25
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
        self._stats = service.stats
        self._server = aio.server(
            options=[
                ("grpc.max_receive_message_length", settings.max_body + _FRAME),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
                ("grpc.http2.min_ping_interval_without_data_ms", 5000),
            ],
            maximum_concurrent_rpcs=settings.max_requests,
        )
        self._server.add_generic_rpc_handlers((self._handlers(),))

    async def start(self, address: str) -> int:
        """Listen; give the port."""
        self._add_health()
        settings = self._service.settings
        if settings.tls_cert and settings.tls_key:
            pair = (_bytes(settings.tls_key), _bytes(settings.tls_cert))
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
        handlers["ModelInfer"] = self._unary("ModelInfer", self._model_infer, plain=False)
        handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
            self._stream,
            self._messages["ModelInferRequest"].FromString,
            self._messages["ModelStreamInferResponse"].SerializeToString,
        )
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _unary(
        self, name: str, call: Callable[..., Awaitable[Any]], plain: bool = True
    ) -> grpc.RpcMethodHandler:
        async def answer(request: Any, context: Any) -> Any:
            try:
                self._expect_token(context)
                return await (call(request) if plain else call(request, context))
            except ServeError as error:
                self._stats.error("grpc", error.grpc_status)
                code = getattr(grpc.StatusCode, error.grpc_status)
                await context.abort(code, str(error))

        return grpc.unary_unary_rpc_method_handler(
            answer,
            self._messages[f"{name}Request"].FromString,
            self._messages[f"{name}Response"].SerializeToString,
        )

    def _expect_token(self, context: Any) -> None:
        if not self._tokens.open:
            given = dict(context.invocation_metadata() or ()).get("authorization", "")
            if not self._tokens.accept(given):
                raise ServeError(401, "a valid token is needed: authorization: Bearer")

    async def _model_infer(self, message: Any, context: Any) -> Any:
        started = _now()
        left = context.time_remaining()
        deadline = None
        if left is not None and left < _FOREVER:
            deadline = asyncio.get_running_loop().time() + left
        return await self._infer(message, started, deadline)

    async def _infer(self, message: Any, started: int, deadline: float | None) -> Any:
        service = self._service
        self._stats.bytes_in["grpc"] += sum(map(len, message.raw_input_contents))
        service.enter()
        try:
            request = grpc_tensors.parse(message)
            response = await service.infer(request, started, deadline)
            answer = grpc_tensors.render(response)
        finally:
            service.leave()
        self._stats.bytes_out["grpc"] += sum(map(len, answer.raw_output_contents))
        if logs.enabled("debug"):
            _log(request, started)
        return answer

    async def _stream(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        """Answer a stream of requests in their order; an error is an answer, and no end."""
        response = self._messages["ModelStreamInferResponse"]
        try:
            self._expect_token(context)
        except ServeError as error:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
        async for message in requests:
            try:
                answer = response(infer_response=await self._infer(message, _now(), None))
            except ServeError as error:
                self._stats.error("grpc", error.grpc_status)
                answer = response(error_message=str(error))
                answer.infer_response.id = message.id
            yield answer

    def _add_health(self) -> None:
        from grpc_health.v1 import health, health_pb2_grpc  # noqa: PLC0415

        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
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


def _bytes(path: Path) -> bytes:
    return path.read_bytes()


def _log(request: Any, started: int) -> None:
    logs.event(
        "debug",
        "request",
        protocol="grpc",
        id=request.id,
        model=request.model,
        version=request.version,
        status="OK",
        ms=round((_now() - started) / 1e6, 3),
    )
