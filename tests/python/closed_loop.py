"""Clients that ask one request after another, and look closely at each answer.

A program of its own: ``closed_loop.py PORT CLIENTS SECONDS``; prints JSON, also when SIGTERM ends
it before. The model is `simple`, whose version v adds v: so each answer shows which version its
numbers are of, and must say so.
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

_INPUTS = [
    {"name": n, "shape": [1, 16], "datatype": "INT32", "parameters": {"binary_data_size": 64}}
    for n in ("INPUT0", "INPUT1")
]


def request_of(a: np.ndarray, b: np.ndarray, model: str = "simple") -> bytes:
    outputs = [{"name": n, "parameters": {"binary_data": True}} for n in ("OUTPUT0", "OUTPUT1")]
    head = json.dumps({"inputs": _INPUTS, "outputs": outputs}).encode()
    body = head + a.tobytes() + b.tobytes()
    return (
        f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: x\r\nInference-Header-Content-Length: "
        f"{len(head)}\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


class Client:
    """One connection; a new one where the server closed it after an answer."""

    def __init__(self, port: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.a, self.b = rng.integers(-1000, 1000, (2, 16), np.int32)
        self.request = request_of(self.a, self.b)
        self.port = port
        self.connect()

    def connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=200)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self) -> None:
        self.got = b""
        self.sent = time.perf_counter()
        self.socket.sendall(self.request)

    def receive(self) -> tuple[int, dict[bytes, bytes], bytes] | None:
        """Status, headers and body of an answer when it is there."""
        part = self.socket.recv(1 << 16)
        if not part:
            raise ConnectionError("closed in the middle of an answer")
        self.got += part
        head, end, body = self.got.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        headers = dict(line.lower().split(b": ", 1) for line in lines[1:])
        whole = self.whole(headers, body) if end else None
        return None if whole is None else (int(lines[0].split()[1]), headers, whole)

    def whole(self, headers: dict[bytes, bytes], body: bytes) -> bytes | None:
        """The body when all of it is there."""
        return body if len(body) >= int(headers[b"content-length"]) else None

    def judge(self, headers: dict[bytes, bytes], body: bytes) -> tuple[str, int]:
        """Whether an answer is right and of one version; and that."""
        length = int(headers[b"inference-header-content-length"])
        version = int(json.loads(body[:length])["model_version"])
        sums, differences = np.frombuffer(body[length:], np.int32).reshape(2, 16)
        right = np.array_equal(differences, self.a - self.b)
        if not right or not np.array_equal(sums, self.a + self.b + version):
            return "mixed", version
        return "ok", version


def run(
    port: int,
    clients: int,
    seconds: float,
    make: Callable[[int, int], Client] = Client,
    ended: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Let so many clients ask, until it has `ended`; `make` gives each, of a port and a seed."""
    counts: Counter[str] = Counter()
    versions: Counter[int] = Counter()
    times: list[float] = []
    selector = selectors.DefaultSelector()
    for seed in range(clients):
        client = make(port, seed)
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.send()
    end = time.perf_counter() + seconds
    while selector.get_map() and time.perf_counter() < end and not ended():
        for key, _ in selector.select(1):
            client = key.data
            try:
                answer = client.receive()
            except OSError as error:
                counts["failed"] += 1
                counts[f"failed: {error}"] += 1
                selector.unregister(client.socket)
                continue
            if answer is None:
                continue
            status, headers, body = answer
            if status == 200:
                times.append(time.perf_counter() - client.sent)
                verdict, version = client.judge(headers, body)
                counts[verdict] += 1
                versions[version] += 1
            else:
                counts["refused" if status == 503 else "failed"] += 1
                counts[f"{status}: {body.decode()[:80]}"] += 1
            closing = headers.get(b"connection") == b"close"
            if status == 200 and closing:
                counts["last"] += 1
            if status == 503 or closing:
                selector.unregister(client.socket)
                client.socket.close()
                continue
            client.send()
    times.sort()
    return {
        "counts": dict(counts),
        "versions": {str(v): n for v, n in sorted(versions.items())},
        "p50": times[len(times) // 2] if times else 0,
        "p99": times[len(times) * 99 // 100] if times else 0,
    }


if __name__ == "__main__":
    told: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: told.append(number))
    port, clients, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    print(json.dumps(run(port, clients, seconds, ended=lambda: bool(told))))
