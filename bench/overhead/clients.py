"""Closed loops of clients: each asks again when it is answered, and looks at what came."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, NamedTuple

import numpy as np

from closed_loop import Client, run  # of the tests

_START_SECONDS = 60


class Figures(NamedTuple):
    """What a loop measured."""

    rate: float
    """Answers a second."""
    p50: float
    """Seconds."""
    p99: float


def figures(port: int, clients: int, seconds: float, make: type[Client]) -> Figures:
    """Let clients of a kind ask; all answers must be right."""
    result = run(port, clients, seconds, make)
    bad = {key: n for key, n in result["counts"].items() if key != "ok"}
    assert not bad, bad
    assert result["counts"], "no answer"
    return Figures(result["counts"]["ok"] / seconds, result["p50"], result["p99"])


def rest(port: int, clients: int, seconds: float) -> Figures:
    """Ask over REST, tensors in binary."""
    return figures(port, clients, seconds, Client)


def rest_json(port: int, clients: int, seconds: float) -> Figures:
    """Ask over REST, tensors as JSON."""
    return figures(port, clients, seconds, _Json)


def plain_json(port: int, clients: int, seconds: float) -> Figures:
    """Ask for /predict with two lists, answered by two lists."""
    return figures(port, clients, seconds, _Plain)


class _Json(Client):
    path = "/v2/models/simple/infer"

    def __init__(self, port: int, seed: int) -> None:
        super().__init__(port, seed)
        body = json.dumps(self.record()).encode()
        self.request = (
            f"POST {self.path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def record(self) -> dict[str, Any]:
        """What is asked."""
        inputs = [
            {"name": name, "shape": [1, 16], "datatype": "INT32", "data": array.tolist()}
            for name, array in (("INPUT0", self.a), ("INPUT1", self.b))
        ]
        return {"inputs": inputs}

    def difference(self, answer: dict[str, Any]) -> list[int]:
        """What is looked at in an answer."""
        data: list[int] = answer["outputs"][1]["data"]
        return data

    def judge(self, _: dict[bytes, bytes], body: bytes) -> tuple[str, int]:
        right = self.difference(json.loads(body)) == (self.a - self.b).tolist()
        return "ok" if right else "wrong", 0


class _Plain(_Json):
    path = "/predict"

    def whole(self, headers: dict[bytes, bytes], body: bytes) -> bytes | None:
        if headers.get(b"transfer-encoding") != b"chunked":
            return super().whole(headers, body)
        if not body.endswith(b"\r\n0\r\n\r\n"):
            return None
        parts = body.split(b"\r\n")
        return b"".join(parts[1:-3:2])  # JSON has no line ends

    def record(self) -> dict[str, Any]:
        return {"a": self.a.tolist(), "b": self.b.tolist()}

    def difference(self, answer: dict[str, Any]) -> list[int]:
        data: list[int] = answer["difference"]
        return data


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
            answer = await call(request)
            times.append(time.perf_counter() - start)
            assert answer.raw_output_contents[1] == bytes(64)

    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            made["ModelInferRequest"].SerializeToString,
            made["ModelInferResponse"].FromString,
        )
        await call(request, wait_for_ready=True, timeout=_START_SECONDS)
        end = time.perf_counter() + seconds
        await asyncio.gather(*(ask(call, end) for _ in range(clients)))
    times.sort()
    return Figures(len(times) / seconds, times[len(times) // 2], times[len(times) * 99 // 100])
