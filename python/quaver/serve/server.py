"""The server's life: starting, being told to stop, and ending with nothing lost."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import signal
import ssl
import time
from typing import Any

from quaver.errors import FileError, InputError
from quaver.serve import logs
from quaver.serve.auth import Tokens
from quaver.serve.models.watch import watch
from quaver.serve.service import Service
from quaver.serve.settings import Settings

_BACKLOG = 4096
_GARBAGE = 10_000  # objects


class Server:
    """Serves until it is told to stop.

    Parameters
    ----------
    settings
        The server's.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.root.is_dir():
            raise FileError(f"'{settings.root}' is no folder: give one of models")
        if bool(settings.tls_cert) != bool(settings.tls_key):
            raise InputError("TLS needs both: --tls-cert and --tls-key")
        self._settings = settings
        self._tls = _tls_context(settings)
        self._tokens = Tokens(settings.token_file)
        self._service = Service(settings)
        self._http: asyncio.Server | None = None
        self._http_state: Any = None
        self._grpc: Any = None
        self.http_port = self.grpc_port = 0
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Serve; return when all is answered that was under way when SIGTERM or SIGINT came."""
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        self._service.repository.start()
        await self._listen()
        await self._wait_until_loaded()
        logs.event(
            "info",
            "serving",
            http=self.http_port or None,
            grpc=self.grpc_port or None,
            models=sorted(self._service.repository.models),
            ready=self._service.ready,
            seconds=round(time.perf_counter() - started, 3),
        )
        _spare_collector()
        watcher = None
        if self._settings.watch:
            watcher = asyncio.create_task(watch(self._service.repository, self._settings))
        await self._stopping.wait()
        if watcher is not None:
            watcher.cancel()
        await self._drain()

    async def _listen(self) -> None:
        settings = self._settings
        if settings.rest:
            await self._listen_http()
        if settings.rpc:
            from quaver.serve.grpc.server import GrpcServer  # noqa: PLC0415 -- not all need it

            self._grpc = GrpcServer(self._service, self._tokens)
            try:
                self.grpc_port = await self._grpc.start(f"{settings.host}:{settings.grpc}")
            except RuntimeError as error:
                raise FileError(
                    f"cannot listen on {settings.host}:{settings.grpc}: the port is taken; "
                    "choose another with --grpc"
                ) from error

    async def _listen_http(self) -> None:
        import uvicorn  # noqa: PLC0415 -- not all need it
        from uvicorn.server import ServerState  # noqa: PLC0415

        from quaver.serve.http.app import App  # noqa: PLC0415
        from quaver.serve.http.connection import Connection, Reader  # noqa: PLC0415

        settings = self._settings
        config = uvicorn.Config(
            App(self._service, self._tokens),
            lifespan="off",
            access_log=False,
            log_config=None,
            log_level="critical",
            proxy_headers=False,
            server_header=False,
            date_header=False,
            ws="none",
            interface="asgi3",
            timeout_keep_alive=settings.keep_alive,
        )
        config.load()
        state = self._http_state = ServerState()

        def connection() -> Reader:
            room = self._service.room
            return Reader(
                Connection(settings, room, config=config, server_state=state, app_state={})
            )

        try:
            self._http = await asyncio.get_running_loop().create_server(
                connection,
                settings.host,
                settings.http,
                backlog=_BACKLOG,
                ssl=self._tls,
                reuse_address=True,
            )
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            way_out = "; choose another with --http" if taken else ""
            raise FileError(
                f"cannot listen on {settings.host}:{settings.http}: "
                f"{'the port is taken' if taken else error.strerror}{way_out}"
            ) from error
        self.http_port = self._http.sockets[0].getsockname()[1]

    async def _wait_until_loaded(self) -> None:
        while not self._service.repository.loaded and not self._stopping.is_set():
            await asyncio.sleep(0.005)

    async def _drain(self) -> None:
        """Refuse what is new, answer what is under way, then end.

        Refusing goes on for a while: clients learn it by an answer, not by a broken connection.
        """
        settings, service = self._settings, self._service
        logs.event("info", "draining", active=service.active)
        start = time.monotonic()
        service.draining = True
        while time.monotonic() - start < settings.drain and (
            service.active or time.monotonic() - start < settings.linger
        ):
            await asyncio.sleep(0.02)
        lost = service.active
        await asyncio.gather(self._stop_http(), self._stop_grpc())
        service.repository.stop()
        service.scheduler.stop()
        service.aside.stop()
        logs.event("info", "stopped", lost=lost, seconds=round(time.monotonic() - start, 3))

    async def _stop_http(self) -> None:
        if self._http is None:
            return
        self._http.close()
        for connection in list(self._http_state.connections):
            connection.shutdown()
        for _ in range(50):
            if not self._http_state.connections:
                return
            await asyncio.sleep(0.02)

    async def _stop_grpc(self) -> None:
        if self._grpc is not None:
            await self._grpc.stop(1.0)


def _tls_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS for REST; where that works, gRPC will take the same files."""
    if not settings.tls_cert or not settings.tls_key:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise FileError(f"cannot use '{settings.tls_cert}' and its key: {error}") from error
    return context


def serve(settings: Settings) -> None:
    """Serve models until SIGTERM or SIGINT.

    Raises
    ------
    Error
        If the settings cannot be met: no such folder, a port that is taken.
    """
    logs.set_level(settings.log_level)
    _raise_file_limit()
    with contextlib.suppress(ImportError):
        import uvloop  # noqa: PLC0415 -- not on all platforms

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    await Server(settings).run()


def _spare_collector() -> None:
    """What was made up to now lives as long as the server: no search for garbage goes through it.

    Nor does one before, which would take longer than what little it finds is worth. And requests
    leave little garbage: Python's usual limit would have it searched for every few.
    """
    gc.freeze()
    gc.enable()
    gc.set_threshold(_GARBAGE, 10, 10)


def _raise_file_limit() -> None:
    """Each connection is a file."""
    import resource  # noqa: PLC0415

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard > soft else soft, hard))
