"""EfficientNet-Lite0, served to clients on the same machine and run without a server, in turn."""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import quaver
from closed_loop import Client
from overhead import clients, servers
from overhead.clients import Figures
from quaver import table
from serving import put
from zoo import cache as zoo

LEAST_RATE = 0.92  # of the runtime's
MOST_MORE = 0.6e-3  # seconds
_HEADERS = ["answers/s", "p50 ms", "p99 ms", "of the runtime's rate", "p50 more"]


class _Image(Client):
    """Asks for the classes of one image; the answer must be the runtime's, to the bit."""

    answer = b""

    def __init__(self, port: int, seed: int) -> None:
        super().__init__(port, seed)
        shape = [1, 3, 224, 224]
        tensor = {"name": "input", "shape": shape, "datatype": "FP32"}
        size = {"binary_data_size": image().nbytes}
        record = {
            "inputs": [{**tensor, "parameters": size}],
            "parameters": {"binary_data_output": True},
        }
        head = json.dumps(record).encode()
        body = head + image().tobytes()
        self.request = (
            f"POST /v2/models/network/infer HTTP/1.1\r\nHost: x\r\n"
            f"Inference-Header-Content-Length: {len(head)}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def judge(self, headers: dict[bytes, bytes], body: bytes) -> tuple[str, int]:
        length = int(headers[b"inference-header-content-length"])
        return "ok" if body[length:] == self.answer else "wrong", 0


class _Unread(_Image):
    """Asks as an image, of who runs nothing."""

    def judge(self, _: dict[bytes, bytes], body: bytes) -> tuple[str, int]:
        return "ok" if body == bytes(4000) else "wrong", 0


def image() -> Any:
    """Noise of an image's shape: what is in it changes no time."""
    rng = np.random.default_rng(0)
    return rng.standard_normal((1, 3, 224, 224), np.float32)


def measured(rounds: int, seconds: float, isa: str = "") -> tuple[str, list[str]]:
    """A table of rates and times, of one worker on one thread; then what bounds are broken.

    Clients and what answers them take their part of the cores too: what threads at plain sockets
    reach tells how much of a loss is the server's. All are held to an instruction set where one is
    named.
    """
    title = f"EfficientNet-Lite0, int8{isa and ', '}{isa}"
    with mock.patch.dict(os.environ, {"QUAVER_ISA": isa} if isa else {}):
        turns = _turns(rounds, seconds)
    titles = ("the runtime alone", "served, 1 client", "served, 4 clients", "sockets, 4 clients")
    rows = [_row(turns, at, who) for at, who in enumerate(titles)]
    rows.append([*_row(turns, 4, "uvicorn alone, 1 client, nothing run")[:4], "", ""])
    rate, possible = (
        statistics.median(turn[at].rate / turn[0].rate for turn in turns) for at in (2, 3)
    )
    more = statistics.median(turn[1].p50 - turn[0].p50 for turn in turns)
    broken = []
    if rate < LEAST_RATE:
        broken.append(f"{title}: {rate:.1%} of the runtime's rate (sockets: {possible:.1%})")
    if more > MOST_MORE:
        broken.append(f"{title}: p50 is {more * 1e3:.2f} ms more than the run takes")
    return table.render([title, *_HEADERS], rows, right=range(1, 6)), broken


def _turns(rounds: int, seconds: float) -> list[tuple[Figures, ...]]:
    """What each of them measured, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        model = quaver.load(zoo.path("efficientnet-lite0-int8", None), threads=1)
        put(root, "network", 1, model._core.serialize())
        _Image.answer = np.asarray(model(image())).tobytes()
        rest, rpc = servers.free_port(), servers.free_port()
        command = servers.quaver(root, rest, rpc, "--workers", "1")

        def served(port: int, count: int, seconds: float) -> Figures:
            return clients.figures(port, count, seconds, _Image)

        def read(port: int, count: int, seconds: float) -> Figures:
            return clients.figures(port, count, seconds, _Unread)

        reader, sockets = servers.free_port(), servers.free_port()
        file = str(root / "network" / "1" / "model.quaver")
        with (
            servers.running(command, rest, served),
            servers.running(servers.limit("reader", reader), reader, read),
            servers.running(servers.limit("sockets", sockets, file), sockets, served),
        ):
            return [
                (
                    _bare(model, seconds),
                    served(rest, 1, seconds),
                    served(rest, 4, seconds),
                    served(sockets, 4, seconds),
                    read(reader, 1, seconds),
                )
                for _ in range(rounds)
            ]


def _bare(model: quaver.Model, seconds: float) -> Figures:
    x, times = image(), []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        model(x)
        times.append(time.perf_counter() - start)
    times.sort()
    return Figures(len(times) / seconds, times[len(times) // 2], times[len(times) * 99 // 100])


def _row(turns: list[tuple[Figures, ...]], at: int, title: str) -> list[str]:
    rate, p50, p99 = (statistics.median(turn[at][part] for turn in turns) for part in range(3))
    of = statistics.median(turn[at].rate / turn[0].rate for turn in turns)
    more = statistics.median(turn[at].p50 - turn[0].p50 for turn in turns)
    return [
        title,
        f"{rate:.1f}",
        f"{p50 * 1e3:.2f}",
        f"{p99 * 1e3:.2f}",
        f"{of:.1%}",
        f"{more * 1e3:.2f}",
    ]
