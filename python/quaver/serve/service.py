"""What can be asked of the server, whatever carries the question."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import quaver
from quaver.serve import describe
from quaver.serve.aside import Aside
from quaver.serve.batching.scheduler import Scheduler
from quaver.serve.callers import Callers
from quaver.serve.errors import ServeError, bad_request
from quaver.serve.inference import Inference
from quaver.serve.models.repository import Repository
from quaver.serve.options import Tracing
from quaver.serve.protocol.request import Parameters
from quaver.serve.room import Room
from quaver.serve.settings import Settings
from quaver.serve.shared_memory import Regions
from quaver.serve.stats import Stats

_now = time.perf_counter_ns

EXTENSIONS = (
    "binary_tensor_data", "classification", "logging", "model_configuration", "model_repository",
    "model_repository(unload_dependents)", "parameters", "schedule_policy", "statistics",
    "system_shared_memory", "trace",
)  # fmt: skip


class Service:
    """The server without a transport.

    Parameters
    ----------
    settings
        The server's.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stats = Stats()
        self.repository = Repository(settings, self.stats.swapped)
        self._workers = settings.workers or len(os.sched_getaffinity(0))
        self.scheduler = Scheduler(self._workers)
        self.regions = Regions(settings.max_body)
        self.tracing = Tracing()
        self.active = 0
        """Requests to run a model that are under way."""
        self.most = settings.max_requests
        """Of them."""
        self.room = Room(settings.max_buffered)
        self.callers = Callers()
        self.aside = Aside()
        self.draining = False
        self.inference = Inference(self)

    @property
    def ready(self) -> bool:
        """Whether every model can answer."""
        return self.repository.ready and not self.draining

    def metadata(self) -> dict[str, Any]:
        """The server's name, version and extensions."""
        return {"name": "quaver", "version": quaver.__version__, "extensions": list(EXTENSIONS)}

    def model_ready(self, name: str, version: str) -> bool:
        """Whether a model, or a version of it, can answer."""
        try:
            self.repository.get(name).track(version)
        except ServeError:
            return False
        return not self.draining

    def model_metadata(self, name: str, version: str) -> dict[str, Any]:
        """A model's versions, inputs and outputs."""
        model = self.repository.get(name)
        model.track(version)
        return describe.metadata(model)

    def model_config(self, name: str, version: str) -> dict[str, Any]:
        """A model's configuration."""
        model = self.repository.get(name)
        model.track(version)
        return describe.config(model, self._workers)

    def statistics(self, name: str, version: str) -> list[dict[str, Any]]:
        """What was counted of a version, of a model's, or of all."""
        models = [self.repository.get(name)] if name else list(self.repository.models.values())
        rows = []
        for model in sorted(models, key=lambda model: model.name):
            chosen = [model.fixed(version)] if version else list(model.versions.values())
            for fixed in chosen:
                stats = self.stats.of(model.name, fixed.number)
                rows.append(stats.record(model.name, fixed.number, fixed.memory))
        return rows

    def expect_control(self) -> None:
        """Raise ServeError where clients may not load and unload."""
        if not self.settings.control:
            raise ServeError(501, "loading and unloading by clients is turned off (--no-control)")

    async def load(self, name: str, parameters: Parameters) -> None:
        """Load a model or look for its new versions."""
        self.expect_control()
        if any(parameters.get(key) for key in parameters):
            raise bad_request(
                f"load parameters {', '.join(map(repr, parameters))} are not supported: models and "
                "their settings come from the server's folder and configuration"
            )
        await asyncio.wrap_future(self.repository.load(name))

    async def unload(self, name: str) -> None:
        """Unload a model."""
        self.expect_control()
        await asyncio.wrap_future(self.repository.unload(name))

    async def rollback(self, name: str) -> int:
        """Go back to the version before the current one."""
        self.expect_control()
        return await asyncio.wrap_future(self.repository.rollback(name))

    def expect_shared_memory(self) -> None:
        """Raise ServeError where clients may not use shared memory."""
        if not self.settings.shared_memory:
            raise ServeError(501, "shared memory is turned off (--no-shared-memory)")

    # What is under way.

    def enter(self) -> None:
        """Count a request in.

        Raises
        ------
        ServeError
            503, if the server is about to stop; 429, if there are too many.
        """
        if self.draining:
            raise ServeError(503, "the server is about to stop")
        if self.active >= self.most:
            raise ServeError(429, f"{self.active} requests are under way: try again later")
        self.active += 1

    def alone(self) -> bool:
        """Whether nobody asks but the client of the request that is looked at."""
        return self.active <= 1 and self.callers.only_one(_now())

    def leave(self) -> None:
        """Count a request out."""
        self.active -= 1
