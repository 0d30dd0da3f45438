"""Hostile clients: a clear refusal, bounded memory, no crash, and others served meanwhile."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closed_loop import request_of
from serving import (
    Server,
    binary,
    compiled,
    grpc_ask,
    grpc_request,
    longer,
    one_input,
    put,
    simple,
)

INPUT = {"name": "INPUT0", "shape": [1, 16], "datatype": "INT32", "data": [0] * 16}
OTHER = INPUT | {"name": "INPUT1"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("models")
    put(root, "simple", 1, compiled(simple()))
    put(root, "products", 1, compiled(one_input(1)))
    put(root, "long", 1, compiled(longer(4_000_000)))
    flags = ["--linger", "0", "--max-body", "1000000", "--header-time", "1", "--body-time", "1"]
    with Server(root, *flags) as server:
        yield server
        assert server.process.poll() is None
        assert server.version() == 1
        assert not server.event("bug"), server.event("bug")


def infer(server: Server, *inputs: Any, **more: Any) -> tuple[int, str]:
    status, answer = server.post("/v2/models/simple/infer", {"inputs": list(inputs), **more})
    return status, answer.get("error", "")


def raw(server: Server, data: bytes, seconds: float = 10) -> bytes:
    """Send bytes; give what comes until the server closes, or falls silent."""
    with socket.create_connection(("127.0.0.1", server.http), timeout=seconds) as connection:
        connection.sendall(data)
        got = b""
        try:
            while part := connection.recv(1 << 16):
                got += part
                if b"\r\n\r\n" in got and b"connection: close" not in got.lower():
                    break
        except (TimeoutError, ConnectionResetError):
            pass
        return got


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"shape": [1, 2**40, 2**40]}, "too many elements"),
        ({"shape": [2**62]}, "too many elements"),
        ({"shape": [0, 2**62], "data": []}, "too many elements"),
        ({"shape": [-1, 16]}, "0 or more"),
        ({"shape": [1, 16.0]}, "0 or more"),
        ({"shape": [True, 16]}, "0 or more"),
        ({"shape": "1,16"}, "list of integers"),
        ({"shape": [1] * 40}, "too many"),
        ({"shape": [2, 16]}, "32 elements, 'data' has 16"),
        ({"shape": [1, 17], "data": [0] * 17}, r"expected INT32[-1, 16]"),
        ({"shape": [16]}, r"expected INT32[-1, 16]"),
        ({"shape": None}, "list of integers"),
        ({"datatype": "INT31"}, "none of BOOL"),
        ({"datatype": ["INT32"]}, "none of BOOL"),
        ({"datatype": "FP32"}, "expected INT32"),
        ({"datatype": "BYTES"}, "not a string"),
        ({"data": [0.5] * 16}, "an integer"),
        ({"data": [2**31] * 16}, "an integer"),
        ({"data": [2**70] * 16}, "integer"),
        ({"data": ["x"] * 16}, "an integer"),
        ({"data": [0] * 15 + [True]}, "an integer"),
        ({"data": ["x" * 500_000] + [0] * 15}, "an integer"),
        ({"data": [None] * 16}, "an integer"),
        ({"data": [[0] * 8, [0] * 9]}, "no tensor"),
        ({"data": {}}, "must be a list"),
        ({"data": [{}] * 16}, "an integer"),
        ({"name": 7}, "'name' must be a string"),
        ({"name": "OTHER"}, "no input 'OTHER'"),
        ({"name": "INPUT1"}, "given twice"),
        ({"parameters": {"binary_data_size": 64}}, "both 'data' and"),
        ({"parameters": {"shared_memory_region": "none"}}, "not registered"),
        ({"parameters": []}, "must be an object"),
    ],
)
def test_bad_input(server: Server, change: dict[str, Any], why: str) -> None:
    status, error = infer(server, INPUT | change, OTHER)
    assert status == 400
    assert why in error


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"outputs": [{"name": "x"}]}, "no output 'x'"),
        ({"outputs": "OUTPUT0"}, "list of objects"),
        ({"id": 7}, "'id' must be a string"),
        ({"parameters": {"timeout": "soon"}}, "'timeout'"),
        ({"parameters": {"priority": -1}}, "'priority'"),
        ({"parameters": {"binary_data_output": 1}}, "true or false"),
        ({"outputs": [{"name": "OUTPUT0", "parameters": {"classification": -3}}]}, "0 or more"),
        ({"inputs": 3}, "list of objects"),
    ],
)
def test_bad_request(server: Server, more: dict[str, Any], why: str) -> None:
    status, error = infer(server, INPUT, OTHER, **more)
    assert status == 400
    assert why in error


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b'{"inputs": NaN}', b"[" * 100_000,
        b'{"inputs":' * 50_000, b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", b"{}",
    ],
)  # fmt: skip
def test_bad_json(server: Server, body: bytes) -> None:
    status, answer = server.post("/v2/models/simple/infer", body)
    assert status == 400
    assert answer["error"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("models/simple/infer", '{"inputs": [{"name": @}]}'),
        ("models/simple/infer", '{"inputs": [{"name": "INPUT0", "shape": @}]}'),
        ("models/simple/infer", '{"inputs": [{"name": "INPUT0", "shape": [@]}]}'),
        ("models/simple/infer", '{"inputs": [{"name": "x", "shape": [1], "datatype": @}]}'),
        (
            "models/simple/infer",
            '{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": @}]}',
        ),
        ("models/simple/infer", '{"inputs": [], "id": @}'),
        ("logging", '{"log_info": @}'),
        ("trace/setting", '{"trace_level": @}'),
        ("systemsharedmemory/region/r/register", '{"key": @, "byte_size": 1}'),
    ],
)
def test_deep_json_where_it_is_cited(server: Server, path: str, body: str) -> None:
    body = body.replace("@", "[" * 1010 + "]" * 1010)
    status, answer = server.post(f"/v2/{path}", body.encode())
    assert status == 400
    assert len(answer["error"]) < 1200


def test_long_names_are_cited_in_part(server: Server) -> None:
    status, error = infer(server, INPUT | {"name": "x" * 500_000})
    assert (status, len(error) < 1200) == (400, True)
    request = grpc_request()
    request.inputs[0].name = "x" * 500_000
    status, error = grpc_ask(server, request.SerializeToString())
    assert (status, error[:24]) == ("INVALID_ARGUMENT", "there is no input 'xxxxx")


def test_a_long_text_among_numbers(server: Server) -> None:
    """As an array of texts it would take 80 GB."""
    status, error = infer(
        server, INPUT | {"shape": [100_001], "data": ["x" * 200_000] + [0] * 100_000}
    )
    assert (status, "an integer" in error) == (400, True)


def test_no_rows_and_no_classes(server: Server) -> None:
    nothing = {"name": "x", "shape": [0, 8], "datatype": "FP32", "data": []}
    status, answer = server.post("/v2/models/products/infer", {"inputs": [nothing]})
    assert (status, answer["outputs"][0]["shape"]) == (200, [0, 8])
    best = [{"name": "y", "parameters": {"classification": 3}}]
    record = {"inputs": [nothing], "outputs": best}
    status, answer = server.post("/v2/models/products/infer", record)
    assert (status, answer["outputs"][0]["shape"]) == (200, [0, 3])


def test_more_shared_memory_than_a_body_may_have(server: Server) -> None:
    path = Path(f"/dev/shm/quaver_test_{os.getpid()}")
    try:
        with path.open("wb") as file:
            file.truncate(1 << 40)  # which takes no memory as long as nobody reads it
        body = {"key": path.name, "offset": 0, "byte_size": 1 << 40}
        assert server.post("/v2/systemsharedmemory/region/big/register", body)[0] == 200
        where = {"shared_memory_region": "big", "shared_memory_byte_size": 1 << 40}
        tensor = {"name": "x", "shape": [1 << 35, 8], "datatype": "FP32", "parameters": where}
        status, answer = server.post("/v2/models/products/infer", {"inputs": [tensor]})
        assert (status, "more than 1000000" in answer["error"]) == (413, True)
    finally:
        path.unlink()
        server.post("/v2/systemsharedmemory/unregister")


def ask_for_much(server: Server) -> socket.socket:
    """Ask for an answer of 16 MB, which no socket's buffers hold."""
    tensor = {"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [0]}
    record = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    body = json.dumps(record).encode()
    connection = socket.create_connection(("127.0.0.1", server.http), timeout=60)
    head = "POST /v2/models/long/infer HTTP/1.1\r\nHost: x\r\nContent-Length: "
    connection.sendall(f"{head}{len(body)}\r\n\r\n".encode() + body)
    return connection


def test_clients_that_do_not_read(server: Server) -> None:
    def sockets() -> set[str]:
        found = set()
        for file in Path(f"/proc/{server.process.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.add(os.readlink(file))
        return found

    before = sockets()
    connections = [ask_for_much(server) for _ in range(3)]
    server.wait_until(lambda: len(sockets() - before) == 3)
    theirs = sockets() - before
    server.wait_until(lambda: not theirs & sockets())
    for connection in connections:
        with connection:
            assert received(connection) < 16_000_000


def test_clients_that_read_slowly(server: Server) -> None:
    with ask_for_much(server) as connection:
        assert received(connection, pause=0.4, count=6) > 16_000_000


def received(connection: socket.socket, pause: float = 0, count: int = 0) -> int:
    """Bytes of an answer; a sixth of it is read after each of `count` pauses."""
    size = 0
    try:
        for _ in range(count):
            time.sleep(pause)
            size += len(connection.recv(16_000_000 // count, socket.MSG_WAITALL))
        while size < 16_000_000 and (part := connection.recv(1 << 20)):
            size += len(part)
    except ConnectionResetError:
        pass
    return size


@pytest.mark.parametrize("length", ["-1", "+5", "1e3", "99999999", "9" * 400, "", "abc", "0x10"])
def test_header_length_out_of_range(server: Server, length: str) -> None:
    headers = {"Inference-Header-Content-Length": length}
    status, answer = server.post("/v2/models/simple/infer", b"{}", **headers)
    assert status == 400
    assert "Inference-Header-Content-Length" in answer["error"]


def test_strings_that_the_model_does_not_take_are_not_read(server: Server) -> None:
    """Each of so many would be an object."""
    count = 200_000
    tensor = {"name": "INPUT0", "shape": [count], "datatype": "BYTES"}
    head = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": 4 * count}}, OTHER]})
    headers = {"Inference-Header-Content-Length": str(len(head))}
    bodies = [head.encode() + bytes(4 * count), head.encode() + b"\xff" * (4 * count)]
    for body in bodies:
        status, answer = server.post("/v2/models/simple/infer", body, **headers)
        assert (status, "expected INT32" in answer["error"]) == (400, True), answer
    request = grpc_request()
    request.inputs[0].datatype = "BYTES"
    request.raw_input_contents[0] = b"\xff" * 64
    status, details = grpc_ask(server, request.SerializeToString())
    assert (status, "expected INT32" in details) == ("INVALID_ARGUMENT", True), details


@pytest.mark.parametrize("change", [-1, 1, -128, 4096])
def test_truncated_or_longer_binary(server: Server, change: int) -> None:
    body, headers = binary(*_zeros())
    assert server.post("/v2/models/simple/infer", body, **headers)[0] == 200  # its head is known
    body = body[:change] if change < 0 else body + bytes(change)
    for _ in range(3):
        status, answer = server.post("/v2/models/simple/infer", body, **headers)
        assert status == 400
        assert "bytes" in answer["error"] or "body has" in answer["error"]


def _zeros() -> tuple[Any, Any]:
    import numpy as np

    return np.zeros(16, np.int32), np.zeros(16, np.int32)


def test_body_too_long(server: Server) -> None:
    status, answer = server.post("/v2/models/simple/infer", bytes(1_000_001))
    assert (status, "longer than 1000000" in answer["error"]) == (413, True)
    chunked = (
        b"POST /v2/models/simple/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    got = raw(server, chunked + (b"10000\r\n" + bytes(65536) + b"\r\n") * 20)
    assert got.startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("packed", [gzip.compress(bytes(50_000_000)), b"no gzip", b""])
def test_compression_bomb(server: Server, packed: bytes) -> None:
    before = server.rss
    for _ in range(5):
        status, answer = server.post(
            "/v2/models/simple/infer", packed, **{"Content-Encoding": "gzip"}
        )
        assert status == (413 if len(packed) > 100 else 400), answer
    assert server.rss < before + 20
    status, _ = server.post("/v2/models/simple/infer", b"x", **{"Content-Encoding": "br"})
    assert status == 415


@pytest.mark.parametrize(
    "name", ["..", "%2e%2e", "..%2f..%2fetc%2fpasswd", ".hidden", "a%00b", "%ff", "x" * 5000, "a b"]
)
def test_path_tricks(server: Server, name: str) -> None:
    name = name.replace(" ", "%20")
    paths = [f"/v2/models/{name}", f"/v2/models/{name}/ready", f"/v2/models/simple/versions/{name}"]
    for path in paths:
        assert server.get(path)[0] == 404
    assert server.post(f"/v2/models/{name}/infer", {"inputs": []})[0] == 404
    for action in ("load", "unload", "rollback"):
        assert server.post(f"/v2/repository/models/{name}/{action}")[0] == 404


@pytest.mark.parametrize("key", ["../etc/passwd", "/../etc/passwd", "a/b", "", ".", "/quaver_none"])
def test_shared_memory_tricks(server: Server, key: str) -> None:
    body = {"key": key, "offset": 0, "byte_size": 64}
    assert server.post("/v2/systemsharedmemory/region/r/register", body)[0] == 400


def test_methods_and_paths(server: Server) -> None:
    assert server.call("/v2/models/simple/infer", method="GET")[0] == 405
    assert server.call("/v2/models/simple", b"", method="DELETE")[0] == 405
    status, answer = server.get("/nothing")
    assert (status, "no path" in answer["error"]) == (404, True)
    text = server.get("/metrics")[1].decode()
    for status in (404, 405):
        assert f'quaver_errors_total{{protocol="http",status="{status}"}}' in text


def test_no_http(server: Server) -> None:
    assert raw(server, b"\x16\x03\x01\x02\x00garbage\r\n\r\n").startswith(b"HTTP/1.1 400")
    assert raw(server, b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 30_000).startswith(b"HTTP/1.1 431")
    assert raw(server, b"GET /" + b"a" * 200_000).startswith(b"HTTP/1.1 431")


def test_slow_headers_and_bodies(server: Server) -> None:
    assert raw(server, b"GET /v2 HTTP/1.1\r\nHost: x\r\n").startswith(b"HTTP/1.1 408")
    assert raw(server, b"").startswith(b"HTTP/1.1 408")
    slow = b"POST /v2/models/simple/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{"
    assert raw(server, slow) == b""  # nobody is there to be told
    server.wait_until(lambda: b"quaver_active_requests 0.0" in server.get("/metrics")[1])


@pytest.mark.parametrize("packet", [1 << 20, 500, 33])
def test_bodies_in_small_chunks(server: Server, packet: int) -> None:
    body = json.dumps({"inputs": [INPUT, OTHER | {"data": list(range(16))}]}).encode()
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
    data = (
        b"POST /v2/models/simple/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        + b"0\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.http), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(data), packet):
            connection.sendall(data[at : at + packet])
        got = b""
        while not got.endswith(b"]}]}"):
            part = connection.recv(1 << 16)
            assert part, got
            got += part
    answer = json.loads(got[got.index(b"\r\n\r\n") :])
    assert answer["outputs"][0]["data"] == list(range(16))


def test_pipelined(server: Server) -> None:
    a, b = _zeros()
    with socket.create_connection(("127.0.0.1", server.http), timeout=20) as connection:
        connection.sendall(request_of(a, b) * 20)
        got = b""
        while got.count(b"HTTP/1.1 200") < 20:
            got += connection.recv(1 << 16)


def test_clients_that_leave(server: Server) -> None:
    a, b = _zeros()
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", server.http)) as connection:
            connection.sendall(request_of(a, b))
    server.wait_until(lambda: b"quaver_active_requests 0.0" in server.get("/metrics")[1])


def test_thousands_of_idle_connections(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple()))
    count = 5000
    with Server(tmp_path, "--linger", "0", "--max-connections", str(count + 500)) as server:
        before = server.rss
        idle = []
        try:
            idle += [socket.create_connection(("127.0.0.1", server.http)) for _ in range(count)]
            assert server.version() == 1
            assert server.rss < before + 200
            more = [socket.create_connection(("127.0.0.1", server.http)) for _ in range(600)]
            idle += more
            assert more[-1].recv(1000).startswith(b"HTTP/1.1 503")
        finally:
            for each in idle:
                each.close()
        server.wait_until(lambda: server.version() == 1)


def test_many_kinds_of_json_headers(server: Server) -> None:
    """What is kept of headers that were seen is bounded."""
    before = server.rss
    for at in range(400):
        body, headers = binary(*_zeros(), **{f"mine{at}": at})
        status, _ = server.post("/v2/models/simple/infer", body, **headers)
        assert status == 200
    assert server.rss < before + 10


def test_runs_that_fail_keep_no_bodies(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple()))
    rows = {"INPUT0": 200_000, "INPUT1": 100_000}  # which do not go together
    inputs = [
        {"name": name, "shape": [n, 16], "datatype": "INT32"}
        | {"parameters": {"binary_data_size": n * 64}}
        for name, n in rows.items()
    ]
    head = json.dumps({"inputs": inputs}).encode()
    body = head + bytes(300_000 * 64)
    with Server(tmp_path, "--linger", "0") as server:
        before = server.rss
        for _ in range(10):
            status, answer = server.post(
                "/v2/models/simple/infer",
                body,
                **{"Inference-Header-Content-Length": str(len(head))},
            )
            assert (status, "do not broadcast" in answer["error"]) == (400, True)
        server.wait_until(lambda: server.rss < before + 50, 20)


# gRPC.


def test_refused_messages_are_not_kept(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple()))
    with Server(tmp_path, "--linger", "0", "--max-buffered", "50000000") as server:
        message = grpc_request()
        message.raw_input_contents[0] = bytes(20_000_000)
        before = server.rss
        for _ in range(10):
            status, told = grpc_ask(server, message.SerializeToString())
            assert (status, "takes 64 bytes" in told) == ("INVALID_ARGUMENT", True)
        server.wait_until(lambda: server.rss < before + 150, 20)
        message.raw_input_contents[0] = bytes(60_000_000)
        status, told = grpc_ask(server, message.SerializeToString())
        assert (status, "no room" in told) == ("UNAVAILABLE", True)


def test_messages_that_are_none(server: Server) -> None:
    good = grpc_request().SerializeToString()
    for _ in range(6):  # the same head is known then
        assert grpc_ask(server, good) == ("OK", "")
    end = good.index(bytes(64)) - 2
    lengths = bytes([0x3A, 60]) + bytes(60) + bytes([0x3A, 68]) + bytes(68)
    for data, why in (
        (b"\xff\xff\xff", "no ModelInferRequest"),
        (good[:-1], "no ModelInferRequest"),
        (good[:end], "16 elements"),
        (good[:end] + lengths, "takes 64 bytes, got 60"),
        (good + bytes([0x3A, 0]), "3 items"),
        (good[:end] + good[end:][:66], "too few"),
        (good[:1], "no ModelInferRequest"),
        (b"", ""),
    ):
        status, details = grpc_ask(server, data)
        assert status in ("INVALID_ARGUMENT", "NOT_FOUND"), data
        assert why in details, (data, details)
    # Other fields first, or again: the protocol lets them; what is known must not be mistaken.
    assert grpc_ask(server, good[end:] + good[:end]) == ("OK", "")
    other = b"\x0a\x05other"
    assert grpc_ask(server, good[:end] + other + good[end:])[0] == "NOT_FOUND"
    assert grpc_ask(server, other + good) == ("OK", "")


@pytest.mark.parametrize(
    ("shape", "why"),
    [([2**40, 2**40], "too many elements"), ([-1, 16], "0 or more"), ([1] * 40, "too many")],
)
def test_shapes_over_grpc(server: Server, shape: list[int], why: str) -> None:
    request = grpc_request()
    request.inputs[0].shape[:] = shape
    status, details = grpc_ask(server, request.SerializeToString())
    assert (status, why in details) == ("INVALID_ARGUMENT", True), details


def test_message_too_long(server: Server) -> None:
    request = grpc_request()
    request.raw_input_contents[0] = bytes(6_000_000)
    assert grpc_ask(server, request.SerializeToString())[0] == "RESOURCE_EXHAUSTED"
    assert grpc_ask(server, grpc_request().SerializeToString()) == ("OK", "")
