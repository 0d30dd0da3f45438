"""gRPC under load: versions exchanged, deadlines, the end of the server."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from quaver.serve.protocol.proto import messages
from serving import Server, compiled, grpc_ask, grpc_request, one_input, put, simple

CALL = "/inference.GRPCInferenceService/ModelInfer"


class Asker(threading.Thread):
    """Asks one request after another, and looks closely at each answer, until it is refused."""

    def __init__(self, server: Server, seed: int) -> None:
        super().__init__(daemon=True)
        self.target = f"127.0.0.1:{server.grpc}"
        self.a, self.b = np.random.default_rng(seed).integers(-99, 99, (2, 16), np.int32)
        self.versions: Counter[int] = Counter()
        self.refusals: list[tuple[str, str]] = []
        self.mixed = 0
        self.enough = threading.Event()

    def run(self) -> None:
        request = grpc_request()
        request.raw_input_contents[:] = [self.a.tobytes(), self.b.tobytes()]
        data = request.SerializeToString()
        with grpc.insecure_channel(self.target) as channel:
            call = channel.unary_unary(CALL, None, messages()["ModelInferResponse"].FromString)
            try:
                while not self.enough.is_set():
                    self.judge(call(data, timeout=60))
            except grpc.RpcError as error:
                self.refusals.append((error.code().name, error.details()))

    def judge(self, answer: Any) -> None:
        version = int(answer.model_version)
        self.versions[version] += 1
        sums, differences = (np.frombuffer(raw, np.int32) for raw in answer.raw_output_contents)
        right = np.array_equal(sums, self.a + self.b + version)
        self.mixed += not (right and np.array_equal(differences, self.a - self.b))


def test_versions_are_exchanged_under_load(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple(1)))
    with Server(tmp_path, "--linger", "0") as server:
        askers = [Asker(server, seed) for seed in range(4)]
        for asker in askers:
            asker.start()
        for number in range(2, 12):
            put(tmp_path, "simple", number, compiled(simple(number)))
            server.wait_until(lambda number=number: server.version() == number)
        for asker in askers:
            asker.enough.set()
            asker.join(60)
            assert not asker.refusals, asker.refusals
            assert not asker.mixed
            assert sum(asker.versions.values()) > 10
        assert len(set().union(*(asker.versions for asker in askers))) > 3
        assert not server.event("bug")


def test_nothing_is_lost_at_the_end(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple(1)))
    with Server(tmp_path) as server:
        askers = [Asker(server, seed) for seed in range(4)]
        for asker in askers:
            asker.start()
        server.wait_until(lambda: all(asker.versions.total() > 10 for asker in askers))
        assert server.stop() == 0
        for asker in askers:
            asker.join(60)
            assert asker.refusals == [("UNAVAILABLE", "the server is about to stop")]
            assert not asker.mixed
        assert server.event("stopped")[0]["lost"] == 0


@pytest.fixture
def slow(tmp_path: Path) -> Any:
    put(tmp_path, "slow", 1, compiled(one_input(6)))
    flags = ["--linger", "0", "--workers", "1", "--defaults.max-batch", "1"]
    with Server(tmp_path, *flags) as server:
        yield server
        assert not server.event("bug"), server.event("bug")


def answered(server: Server) -> int:
    record = server.get("/v2/models/slow/stats")[1]["model_stats"][0]
    return int(record["inference_count"])


def test_what_comes_too_late_does_not_run(slow: Server) -> None:
    request = messages()["ModelInferRequest"](model_name="slow")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 8])
    request.raw_input_contents.append(bytes(32))
    data = request.SerializeToString()
    count = 200
    with grpc.insecure_channel(f"127.0.0.1:{slow.grpc}") as channel:
        call = channel.unary_unary(CALL)
        call(data, timeout=60)
        pending = [call.future(data, timeout=0.2) for _ in range(count)]
        codes = Counter(each.code().name for each in pending)
    assert set(codes) <= {"OK", "DEADLINE_EXCEEDED"}
    assert codes["DEADLINE_EXCEEDED"]
    slow.wait_until(lambda: b"quaver_active_requests 0.0" in slow.get("/metrics")[1])
    assert answered(slow) < 1 + count


def test_whoever_leaves_is_not_worked_for(slow: Server) -> None:
    tensor = {"name": "x", "shape": [1, 8], "datatype": "FP32", "data": [0] * 8}
    body = json.dumps({"inputs": [tensor]}).encode()
    data = (
        f"POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    count = 100
    connections = [socket.create_connection(("127.0.0.1", slow.http)) for _ in range(count)]
    for each in connections:
        each.sendall(data)
    slow.wait_until(lambda: b"quaver_active_requests 0.0" not in slow.get("/metrics")[1])
    for each in connections:
        each.close()
    slow.wait_until(lambda: b"quaver_active_requests 0.0" in slow.get("/metrics")[1])
    assert b'quaver_errors_total{protocol="http",status="499"}' in slow.get("/metrics")[1]
    assert answered(slow) < count
    assert slow.post("/v2/models/slow/infer", body)[0] == 200


def test_messages_of_one_length(tmp_path: Path) -> None:
    """What is found out of one is not taken for another's, however they take turns."""
    put(tmp_path, "simple", 1, compiled(simple(1)))
    put(tmp_path, "sample", 1, compiled(simple(5)))
    a, b = np.arange(32, dtype=np.int32).reshape(2, 16) ** 2
    messages_of = []
    for model, step in (("simple", 1), ("sample", 5)):
        for order in (1, -1):
            request = messages()["ModelInferRequest"](model_name=model)
            for name, array in (("INPUT0", a), ("INPUT1", b))[::order]:
                request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
                request.raw_input_contents.append(array.tobytes())
            messages_of.append((request.SerializeToString(), a + b + step))
    assert len({len(data) for data, _ in messages_of}) == 1
    with (
        Server(tmp_path, "--linger", "0") as server,
        grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel,
    ):
        call = channel.unary_unary(CALL, None, messages()["ModelInferResponse"].FromString)
        for _ in range(6):
            for data, total in messages_of:
                for _ in range(2):
                    assert call(data).raw_output_contents[0] == total.tobytes()


def test_what_is_known_of_requests_ends_with_the_model(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple(1)))
    data = grpc_request().SerializeToString()
    with Server(tmp_path, "--linger", "0") as server:
        for _ in range(6):
            assert grpc_ask(server, data) == ("OK", "")
        assert server.post("/v2/repository/models/simple/unload")[0] == 200
        assert grpc_ask(server, data)[0] == "NOT_FOUND"
        put(tmp_path, "simple", 2, compiled(simple(name="OTHER")))  # it takes other inputs
        assert server.post("/v2/repository/models/simple/load")[0] == 200
        status, told = grpc_ask(server, data)
        assert (status, "INPUT0" in told) == ("INVALID_ARGUMENT", True)
