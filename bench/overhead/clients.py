"""Closed loops of clients: each asks again when it is answered."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.append(str(Path(__file__).parents[2] / "tests" / "python"))


class Figures(NamedTuple):
    """What a loop measured."""

    rate: float
    """Answers a second."""
    p50: float
    """Seconds."""
    p99: float


def rest(port: int, clients: int, seconds: float) -> Figures:
    """Ask over REST, in binary."""
    from closed_loop import run  # noqa: PLC0415 -- of the tests

    result = run(port, clients, seconds)
    bad = {key: n for key, n in result["counts"].items() if key != "ok"}
    assert not bad, bad
    return Figures(result["counts"]["ok"] / seconds, result["p50"], result["p99"])


def rpc(port: int, clients: int, seconds: float) -> Figures:
    """Ask over gRPC."""
    return asyncio.run(_rpc(port, clients, seconds))


async def _rpc(port: int, clients: int, seconds: float) -> Figures:
    import grpc  # noqa: PLC0415 -- REST does without

    from quaver.serve.protocol.proto import messages  # noqa: PLC0415

    made = messages()
    request = made["ModelInferRequest"](model_name="simple")
    for name in ("INPUT0", "INPUT1"):
        request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        request.raw_input_contents.append(np.arange(16, dtype=np.int32).tobytes())
    times: list[float] = []

    async def ask(call: Any, end: float) -> None:
        while (start := time.perf_counter()) < end:
            await call(request)
            times.append(time.perf_counter() - start)

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            made["ModelInferRequest"].SerializeToString,
            made["ModelInferResponse"].FromString,
        )
        await call(request)
        end = time.perf_counter() + seconds
        await asyncio.gather(*(ask(call, end) for _ in range(clients)))
    times.sort()
    return Figures(len(times) / seconds, times[len(times) // 2], times[len(times) * 99 // 100])
