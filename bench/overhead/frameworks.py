"""Serving frameworks that add and subtract two int32 vectors, each as its own documentation says.

``python -m overhead.frameworks NAME PORT`` is one of them. Each has an environment of its own
(`environments`), where there is no Quaver.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


def mlserver(port: int) -> None:
    """Serve by MLServer, without its processes for parallel inference, which take longer."""
    import asyncio  # noqa: PLC0415 -- each loads what it needs

    import uvloop  # noqa: PLC0415
    from mlserver import MLServer, ModelSettings, Settings  # noqa: PLC0415

    from overhead.ml import Simple  # noqa: PLC0415

    settings = Settings(
        host="127.0.0.1",
        http_port=port,
        grpc_port=port + 1,
        metrics_endpoint=None,
        parallel_workers=0,
        debug=False,
        load_models_at_startup=False,
    )

    async def run() -> None:
        model = ModelSettings(name="simple", implementation=Simple)
        await MLServer(settings).start([model])

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(run())


def litserve(port: int) -> None:
    """Serve by LitServe."""
    import litserve as ls  # noqa: PLC0415

    from overhead.lit import Simple  # noqa: PLC0415

    server = ls.LitServer(Simple(), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="error")


def bentoml(port: int) -> None:
    """Serve by BentoML."""
    where = ["--host", "127.0.0.1", "--port", str(port), "--working-dir", "."]
    command = ["-m", "bentoml", "serve", "overhead.bento:Simple", *where]
    os.execv(sys.executable, [sys.executable, *command])


def ray(port: int) -> None:
    """Serve by Ray Serve."""
    import ray as r  # noqa: PLC0415
    from ray import serve  # noqa: PLC0415

    @serve.deployment
    class Simple:
        async def __call__(self, request: Any) -> dict[str, list[int]]:
            record = await request.json()
            return answer(record["a"], record["b"])

    r.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Simple.bind(), route_prefix="/predict")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    r.shutdown()


def answer(a: list[int], b: list[int]) -> dict[str, list[int]]:
    """Sum and difference; what NumPy would add to vectors this short is time."""
    pairs = list(zip(a, b, strict=True))
    return {"sum": [x + y for x, y in pairs], "difference": [x - y for x, y in pairs]}


NAMES = {"mlserver": mlserver, "litserve": litserve, "bentoml": bentoml, "ray": ray}

if __name__ == "__main__":
    NAMES[sys.argv[1]](int(sys.argv[2]))
