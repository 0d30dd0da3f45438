"""The service's calls, but for running a model: each takes a message and gives another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from quaver.serve.errors import ServeError, bad_request, not_found
from quaver.serve.options import log_settings, update_log_settings
from quaver.serve.protocol.grpc_tensors import parameters_of
from quaver.serve.protocol.proto import messages
from quaver.serve.service import Service


class Calls:
    """One method for each of `protocol.proto.METHODS` but ModelInfer."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._messages = messages()

    def _answer(self, name: str, record: dict[str, Any] | None = None) -> Any:
        from google.protobuf.json_format import ParseDict  # noqa: PLC0415 -- seldom needed

        return ParseDict(record or {}, self._messages[f"{name}Response"]())

    async def ServerLive(self, request: Any) -> Any:
        return self._answer("ServerLive", {"live": True})

    async def ServerReady(self, request: Any) -> Any:
        return self._answer("ServerReady", {"ready": self._service.ready})

    async def ModelReady(self, request: Any) -> Any:
        ready = self._service.model_ready(request.name, request.version)
        return self._answer("ModelReady", {"ready": ready})

    async def ServerMetadata(self, request: Any) -> Any:
        return self._answer("ServerMetadata", self._service.metadata())

    async def ModelMetadata(self, request: Any) -> Any:
        record = self._service.model_metadata(request.name, request.version)
        return self._answer("ModelMetadata", record)

    async def ModelConfig(self, request: Any) -> Any:
        record = self._service.model_config(request.name, request.version)
        return self._answer("ModelConfig", {"config": record})

    async def ModelStatistics(self, request: Any) -> Any:
        rows = self._service.statistics(request.name, request.version)
        return self._answer("ModelStatistics", {"model_stats": rows})

    async def RepositoryIndex(self, request: Any) -> Any:
        rows = self._service.repository.index()
        kept = [row for row in rows if row["state"] == "READY" or not request.ready]
        return self._answer("RepositoryIndex", {"models": kept})

    async def RepositoryModelLoad(self, request: Any) -> Any:
        await self._service.load(request.model_name, parameters_of(request.parameters))
        return self._answer("RepositoryModelLoad")

    async def RepositoryModelUnload(self, request: Any) -> Any:
        await self._service.unload(request.model_name)
        return self._answer("RepositoryModelUnload")

    async def SystemSharedMemoryStatus(self, request: Any) -> Any:
        self._service.expect_shared_memory()
        regions = {row["name"]: row for row in self._service.regions.status(request.name)}
        return self._answer("SystemSharedMemoryStatus", {"regions": regions})

    async def SystemSharedMemoryRegister(self, request: Any) -> Any:
        self._service.expect_shared_memory()
        self._service.regions.register(request.name, request.key, request.offset, request.byte_size)
        return self._answer("SystemSharedMemoryRegister")

    async def SystemSharedMemoryUnregister(self, request: Any) -> Any:
        self._service.expect_shared_memory()
        self._service.regions.unregister(request.name)
        return self._answer("SystemSharedMemoryUnregister")

    async def CudaSharedMemoryStatus(self, request: Any) -> Any:
        if request.name:
            raise _no_cuda()
        return self._answer("CudaSharedMemoryStatus")

    async def CudaSharedMemoryRegister(self, request: Any) -> Any:
        raise _no_cuda()

    async def CudaSharedMemoryUnregister(self, request: Any) -> Any:
        return self._answer("CudaSharedMemoryUnregister")

    async def TraceSetting(self, request: Any) -> Any:
        name = request.model_name
        if name and name not in self._service.repository.models:
            raise not_found(f"model {name!r} is not there")
        if request.settings:
            changes = {key: list(value.value) for key, value in request.settings.items()}
            self._service.tracing.update(name, changes)
        settings = {
            key: {"value": value if isinstance(value, list) else [value]}
            for key, value in self._service.tracing.get(name).items()
        }
        return self._answer("TraceSetting", {"settings": settings})

    async def LogSettings(self, request: Any) -> Any:
        update_log_settings(parameters_of(request.settings))
        settings = {key: {_kind(value): value} for key, value in log_settings().items()}
        return self._answer("LogSettings", {"settings": settings})


def _kind(value: object) -> str:
    kinds: Iterable[tuple[type, str]] = (
        (bool, "bool_param"),
        (int, "uint32_param"),
        (str, "string_param"),
    )
    return next(name for kind, name in kinds if isinstance(value, kind))


def _no_cuda() -> ServeError:
    return bad_request("there is no CUDA here; use system shared memory")
