"""REST's calls, but for running a model: each takes path parameters and a JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quaver.serve.errors import bad_request
from quaver.serve.options import log_settings, update_log_settings
from quaver.serve.protocol.request import count_of, flag_of, text_of
from quaver.serve.protocol.rest import parameters_of
from quaver.serve.service import Service

Names = Mapping[str, str]
Body = Mapping[str, Any]
Answer = tuple[int, Any]


class Calls:
    """What the rows of `http.routes` name."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def server(self, names: Names, body: Body) -> Answer:
        return 200, self._service.metadata()

    async def live(self, names: Names, body: Body) -> Answer:
        return 200, {"live": True}

    async def ready(self, names: Names, body: Body) -> Answer:
        ready = self._service.ready
        return 200 if ready else 503, {"ready": ready}

    async def model(self, names: Names, body: Body) -> Answer:
        return 200, self._service.model_metadata(names["model"], names.get("version", ""))

    async def model_ready(self, names: Names, body: Body) -> Answer:
        name, version = names["model"], names.get("version", "")
        if not self._service.draining:
            self._service.repository.get(name).track(version)
        ready = self._service.model_ready(name, version)
        return 200 if ready else 503, {"name": name, "ready": ready}

    async def config(self, names: Names, body: Body) -> Answer:
        return 200, self._service.model_config(names["model"], names.get("version", ""))

    async def stats(self, names: Names, body: Body) -> Answer:
        rows = self._service.statistics(names.get("model", ""), names.get("version", ""))
        return 200, {"model_stats": rows}

    async def index(self, names: Names, body: Body) -> Answer:
        rows = self._service.repository.index()
        only_ready = flag_of(body, "ready", False)
        return 200, [row for row in rows if row["state"] == "READY" or not only_ready]

    async def load(self, names: Names, body: Body) -> Answer:
        await self._service.load(names["model"], parameters_of(dict(body)))
        return 200, {}

    async def unload(self, names: Names, body: Body) -> Answer:
        parameters_of(dict(body))
        await self._service.unload(names["model"])
        return 200, {}

    async def rollback(self, names: Names, body: Body) -> Answer:
        return 200, {"version": await self._service.rollback(names["model"])}

    async def regions(self, names: Names, body: Body) -> Answer:
        self._service.expect_shared_memory()
        return 200, self._service.regions.status(names.get("region", ""))

    async def register(self, names: Names, body: Body) -> Answer:
        self._service.expect_shared_memory()
        for key in ("key", "byte_size"):
            if key not in body:
                raise bad_request(f"the request has no {key!r}")
        self._service.regions.register(
            names["region"],
            text_of(body, "key"),
            count_of(body, "offset"),
            count_of(body, "byte_size"),
        )
        return 200, {}

    async def unregister(self, names: Names, body: Body) -> Answer:
        self._service.expect_shared_memory()
        self._service.regions.unregister(names.get("region", ""))
        return 200, {}

    async def cuda_regions(self, names: Names, body: Body) -> Answer:
        return 200, []

    async def cuda(self, names: Names, body: Body) -> Answer:
        raise bad_request("there is no CUDA here; use system shared memory")

    async def cuda_none(self, names: Names, body: Body) -> Answer:
        return 200, {}

    async def trace(self, names: Names, body: Body) -> Answer:
        name = names.get("model", "")
        if name:
            self._service.repository.get(name)
        return 200, self._service.tracing.get(name)

    async def set_trace(self, names: Names, body: Body) -> Answer:
        name = names.get("model", "")
        if name:
            self._service.repository.get(name)
        self._service.tracing.update(name, body)
        return 200, self._service.tracing.get(name)

    async def logging(self, names: Names, body: Body) -> Answer:
        return 200, log_settings()

    async def set_logging(self, names: Names, body: Body) -> Answer:
        update_log_settings(body)
        return 200, log_settings()
