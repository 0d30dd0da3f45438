"""Bodies that are received straight into the memory where they stay."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from quaver.serve.errors import ServeError
from quaver.serve.http.long_bodies import LEAST, LongBody
from quaver.serve.room import Room
from serving import Server, compiled, one_input, put

ROWS = 20_000
X = np.arange(ROWS * 8, dtype=np.float32).reshape(ROWS, 8)
RAW = {"Inference-Header-Content-Length": "0"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("models")
    put(root, "one", 1, compiled(one_input()))
    with Server(root, "--linger", "0", "--body-time", "2", "--max-buffered", "1000000") as server:
        yield server
        assert server.process.poll() is None
        assert not server.event("bug"), server.event("bug")


def request(x: np.ndarray = X, model: str = "one", more: str = "") -> bytes:
    """Give x as a raw body."""
    head = (
        f"POST /v2/models/{model}/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {x.nbytes}\r\n"
        f"Inference-Header-Content-Length: 0\r\n{more}\r\n"
    )
    return head.encode() + x.tobytes()


def connected(server: Server) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", server.http), timeout=20)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def answer(file: BinaryIO) -> tuple[int, bytes]:
    status, length = int(file.readline().split()[1]), 0
    while (line := file.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return status, file.read(length)


def expect(connection: socket.socket | BinaryIO, x: np.ndarray = X) -> None:
    """Read an answer; of a connection where no other comes after it."""
    file = connection.makefile("rb") if isinstance(connection, socket.socket) else connection
    status, body = answer(file)
    assert status == 200, body[:200]
    assert body.endswith((-x).tobytes())


@pytest.mark.parametrize("packet", [1 << 24, 100_000, 16_384, 5000])
def test_in_packets_of_any_size(server: Server, packet: int) -> None:
    data, short = request(), request(X[:4])
    with connected(server) as connection:
        for _ in range(3):
            for at in range(0, len(data), packet):
                connection.sendall(data[at : at + packet])
            expect(connection)
            connection.sendall(short)
            expect(connection, X[:4])


def test_of_lengths_around_the_least(server: Server) -> None:
    with connected(server) as connection:
        for rows in range(LEAST // 32 - 2, LEAST // 32 + 3):
            connection.sendall(request(X[:rows]))
            expect(connection, X[:rows])


def test_one_after_another_without_waiting(server: Server) -> None:
    with connected(server) as connection:
        connection.sendall((request(X[:700]) + request(X[:2])) * 5)
        file = connection.makefile("rb")
        for _ in range(5):
            expect(file, X[:700])
            expect(file, X[:2])


def test_compressed(server: Server) -> None:
    noise = np.random.default_rng(0).standard_normal((4000, 8), np.float32)
    packed = gzip.compress(noise.tobytes(), 1)
    assert len(packed) > LEAST
    headers = RAW | {"Content-Encoding": "gzip"}
    status, body = server.post("/v2/models/one/infer", packed, **headers)
    assert status == 200
    assert body.endswith((-noise).tobytes())


def test_what_is_unpacked_takes_room_too(server: Server) -> None:
    headers = RAW | {"Content-Encoding": "gzip"}
    for size, status in ((2_000_000, 503), (640_000, 200)) * 3:
        packed = gzip.compress(bytes(size))
        assert server.post("/v2/models/one/infer", packed, **headers)[0] == status


def test_the_client_may_ask_to_go_on(server: Server) -> None:
    head, _, body = request(more="Expect: 100-continue\r\n").partition(b"\r\n\r\n")
    with connected(server) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        expect(connection)


@pytest.mark.parametrize(("path", "status"), [("/v2/models/none/infer", 404), ("/v2", 405)])
def test_refused_before_it_is_there(server: Server, path: str, status: int) -> None:
    data = request().replace(b"/v2/models/one/infer", path.encode())
    with connected(server) as connection:
        for _ in range(3):
            connection.sendall(data)
            assert answer(connection.makefile("rb"))[0] == status
        connection.sendall(request())
        expect(connection)


def test_other_calls_take_long_ones_too(server: Server) -> None:
    body = b'{"ready": true}' + b" " * 100_000
    status, rows = server.post("/v2/repository/index", body)
    assert (status, [row["name"] for row in rows]) == (200, ["one"])


def test_room_is_bounded_and_given_back(server: Server) -> None:
    data = request()
    with connected(server) as slow, connected(server) as other:
        slow.sendall(data[:600_000])
        # It counts when it is there, not when it is promised.
        server.wait_until(lambda: _refused(other, data))
        slow.sendall(data[600_000:])
        expect(slow)
        other.sendall(data)
        expect(other)


def _refused(connection: socket.socket, data: bytes) -> bool:
    connection.sendall(data)
    status, body = answer(connection.makefile("rb"))
    assert status == 200 or b"no room" in body
    return status == 503


def test_clients_that_leave_or_fall_silent(server: Server) -> None:
    data = request()
    for _ in range(5):
        with connected(server) as connection:
            connection.sendall(data[:400_000])
    with connected(server) as connection:
        connection.sendall(data[:400_000])
        assert connection.recv(1000) == b""  # after the body's time
    server.wait_until(lambda: b"quaver_active_requests 0.0" in server.get("/metrics")[1])
    with connected(server) as connection:
        for _ in range(3):
            connection.sendall(data)
            expect(connection)


def test_parts_and_places() -> None:
    async def main() -> None:
        room, spare = Room(100), memoryview(bytearray(64))
        body = LongBody(90, room)
        body.put(bytes([1] * 30))
        place = body.place(spare)
        assert len(place) == 60
        place[:] = bytes([2] * 60)
        with pytest.raises(ServeError, match="no room"):
            room.take(71)
        body.came(60)
        assert bytes(await body.take()) == bytes([1] * 30 + [2] * 60)
        body.drop()  # who took it, gives it back
        with pytest.raises(ServeError, match="no room"):
            room.take(11)
        room.give(90)
        room.take(100)

    asyncio.run(main())


def test_what_finds_no_room_is_read_on_elsewhere() -> None:
    async def main() -> None:
        room, spare = Room(100), memoryview(bytearray(64))
        body = LongBody(150, room)
        body.came(90)
        body.came(20)
        assert len(body.place(spare)) == 40
        body.came(40)
        with pytest.raises(ServeError) as refusal:
            await body.take()
        assert refusal.value.status == 503
        room.take(100)
        lost = LongBody(10, room)
        lost.lost()
        with pytest.raises(ServeError) as refusal:
            await lost.take()
        assert refusal.value.status == 499

    asyncio.run(main())


def test_memory_comes_back(tmp_path: Path) -> None:
    put(tmp_path, "one", 1, compiled(one_input()))
    data = request(np.zeros((500_000, 8), np.float32))  # 16 MB
    with Server(tmp_path, "--linger", "0") as server, connected(server) as connection:
        for _ in range(2):
            connection.sendall(data)
            assert answer(connection.makefile("rb"))[0] == 200
        before = server.rss
        others = [connected(server) for _ in range(8)]
        for other in others:
            other.sendall(data)
            assert answer(other.makefile("rb"))[0] == 200
        assert server.rss < before + 80  # idle connections hold no bodies, which are 128 MB
        for other in others:
            other.close()
