"""gRPC's messages that come slowly, without an end, or in great numbers: others are served."""

from __future__ import annotations

import contextlib
import itertools
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from serving import Server, compiled, grpc_ask, grpc_request, put, simple

PATH = "/inference.GRPCInferenceService/ModelInfer"
DATA, HEADERS, RESET, SETTINGS, PING, WINDOW = 0, 1, 3, 4, 6, 8
END_HEADERS, END_STREAM, ACK = 4, 1, 1
_FRAME = 1 << 14


class Unending:
    """Calls whose messages lack their last byte, over one connection: HTTP/2 by hand."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        self.frame(SETTINGS, 0, 0, b"")
        self.window, self.initial = 65535, 65535
        self.windows: Counter[int] = Counter()
        self.ended: set[int] = set()
        self.numbers = itertools.count(1, 2)

    def frame(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        head = struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream)
        self.socket.sendall(head + payload)

    def call(self) -> int:
        """Begin a call."""
        stream = next(self.numbers)
        headers = {":method": "POST", ":scheme": "http", ":path": PATH, ":authority": "x",
                   "te": "trailers", "content-type": "application/grpc"}  # fmt: skip
        block = b"".join(
            b"\0" + bytes([len(text := part.encode())]) + text if at == 0 else
            bytes([len(text := part.encode())]) + text
            for pair in headers.items() for at, part in enumerate(pair)
        )  # fmt: skip
        self.frame(HEADERS, END_HEADERS, stream, block)
        return stream

    def begin(self, size: int) -> int:
        """Begin a call and send its message of so many bytes, as far as the server takes it."""
        stream = self.call()
        left = memoryview(struct.pack(">BI", 0, size) + bytes(size - 1))
        while left and stream not in self.ended:
            room = min(self.window, self.initial + self.windows[stream], _FRAME, len(left))
            if room <= 0:
                self.read()
                continue
            self.frame(DATA, 0, stream, bytes(left[:room]))
            left = left[room:]
            self.window -= room
            self.windows[stream] -= room
        return stream

    def read(self) -> None:
        """Take a frame."""
        head = self._exactly(9)
        size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
        stream, payload = int.from_bytes(head[5:], "big"), self._exactly(size)
        if kind == WINDOW:
            more = int.from_bytes(payload, "big")
            if stream:
                self.windows[stream] += more
            else:
                self.window += more
        elif kind == SETTINGS and not flags & ACK:
            for key, value in struct.iter_unpack(">HI", payload):
                if key == 4:
                    self.initial = value
            self.frame(SETTINGS, ACK, 0, b"")
        elif kind == PING and not flags & ACK:
            self.frame(PING, ACK, 0, payload)
        elif kind == RESET or (kind == HEADERS and flags & END_STREAM):
            self.ended.add(stream)

    def _exactly(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            part = self.socket.recv(size - len(got))
            if not part:
                raise ConnectionError
            got += part
        return got

    def read_until_all_ended(self, streams: list[int]) -> None:
        while not self.ended.issuperset(streams):
            self.read()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    put(tmp_path, "simple", 1, compiled(simple()))
    flags = ["--max-body", "20000000", "--max-buffered", "100000000", "--body-time", "3",
             "--max-connections", "8", "--header-time", "2", "--max-requests", "200"]  # fmt: skip
    with Server(tmp_path, "--linger", "0", *flags) as server:
        yield server
        assert server.process.poll() is None
        assert not server.event("bug"), server.event("bug")


def test_unending_messages_take_bounded_memory(server: Server) -> None:
    good = grpc_request().SerializeToString()
    assert grpc_ask(server, good) == ("OK", "")
    before, most, others = server.rss, 0, Counter[str]()
    sent = threading.Event()

    def ask() -> None:
        nonlocal most
        while not sent.is_set():
            others[grpc_ask(server, good)[0]] += 1
            most = max(most, server.rss)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        clients = [Unending(server.grpc) for _ in range(4)]
        streams: list[list[int]] = [[] for _ in clients]
        for _ in range(15):  # 1.1 GB in all
            for client, begun in zip(clients, streams, strict=True):
                begun.append(client.begin(19_000_000))
        for client, begun in zip(clients, streams, strict=True):
            client.read_until_all_ended(begun)
    finally:
        sent.set()
        asker.join(60)
    assert most < before + 300, (before, most)
    assert others.keys() == {"OK"}
    server.wait_until(lambda: server.rss < before + 50, 20)


def test_a_message_that_does_not_come_is_not_waited_for(server: Server) -> None:
    hold = threading.Event()

    def nothing() -> Iterator[bytes]:
        hold.wait(60)
        yield from ()

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        start = time.monotonic()
        with pytest.raises(grpc.RpcError) as raised:
            channel.stream_unary(PATH)(nothing(), timeout=60)
        assert raised.value.code().name == "DEADLINE_EXCEEDED"
        assert "no message within 3 s" in raised.value.details()
        assert 2 < time.monotonic() - start < 10
        hold.set()


def test_one_connection_does_not_take_all_calls(server: Server) -> None:
    client = Unending(server.grpc)
    for _ in range(300):
        client.call()
    for _ in range(5):
        assert grpc_ask(server, grpc_request().SerializeToString()) == ("OK", "")


def test_a_stream_may_be_silent(server: Server) -> None:
    good = grpc_request().SerializeToString()

    def slowly() -> Iterator[bytes]:
        yield good
        time.sleep(5)
        yield good

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        call = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        assert len(list(call(slowly(), timeout=60))) == 2


def test_what_is_compressed_is_bounded(server: Server) -> None:
    before = server.rss
    with grpc.insecure_channel(
        f"127.0.0.1:{server.grpc}", options=[("grpc.max_send_message_length", -1)]
    ) as channel:
        call = channel.unary_unary(PATH)
        for _ in range(3):
            with pytest.raises(grpc.RpcError) as raised:
                call(bytes(200_000_000), timeout=60, compression=grpc.Compression.Gzip)
            assert raised.value.code().name == "RESOURCE_EXHAUSTED"
    peak = (Path("/proc") / str(server.process.pid) / "status").read_text()
    assert int(peak.split("VmHWM:")[1].split()[0]) // 1024 < before + 300


def test_connections_are_bounded(server: Server) -> None:
    good = grpc_request().SerializeToString()
    with contextlib.ExitStack() as stack:
        idle = [Unending(server.grpc) for _ in range(8)]
        for client in idle:
            stack.enter_context(client.socket)
            client.read()
        assert grpc_ask(server, good)[0] == "UNAVAILABLE"
    server.wait_until(lambda: grpc_ask(server, good) == ("OK", ""), 20)


def test_connections_that_say_nothing_are_closed(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.grpc), timeout=20) as silent:
        start = time.monotonic()
        while silent.recv(1 << 16):  # the server's settings
            pass
        assert time.monotonic() - start < 10
