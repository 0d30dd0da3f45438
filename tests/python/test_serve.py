"""The server as its users see it: settings, versions, gathering, limits, metrics, security."""

from __future__ import annotations

import concurrent.futures
import gzip
import http.client
import io
import json
import shutil
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import quaver
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

ONES = np.ones(16, int)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("models")
    put(root, "simple", 1, compiled(simple(1)))
    put(root, "raw", 1, compiled(one_input()))
    with Server(root, "--linger", "0") as server:
        yield server
        assert not server.event("bug"), server.event("bug")


def slow_request(seed: int = 0, **parameters: Any) -> dict[str, Any]:
    data = np.random.default_rng(seed).integers(0, 9, 8).tolist()
    tensor = {"name": "x", "shape": [1, 8], "datatype": "FP32", "data": data}
    return {"inputs": [tensor], "parameters": parameters}


def at_once(server: Server, requests: list[dict[str, Any]], model: str = "slow") -> list[Any]:
    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        path = f"/v2/models/{model}/infer"
        return list(pool.map(lambda request: server.post(path, request), requests))


def test_starts_small_and_soon(server: Server) -> None:
    assert server.rss <= 125
    assert server.get("/v2/health/live") == (200, {"live": True})
    assert server.get("/v2/health/ready") == (200, {"ready": True})


def test_answers_name_the_version(server: Server) -> None:
    status, answer = server.infer(3 * ONES, ONES)
    assert (status, answer["model_version"]) == (200, "1")
    assert [output["data"] for output in answer["outputs"]] == [[5] * 16, [2] * 16]
    assert server.infer(ONES, ONES, version="1")[0] == 200
    assert server.infer(ONES, ONES, version="2")[0] == 404


def test_raw_body(server: Server) -> None:
    x = np.arange(16, dtype=np.float32)
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http}/v2/models/raw/infer",
        x.tobytes(),
        {"Inference-Header-Content-Length": "0"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        length = int(answer.headers["Inference-Header-Content-Length"])
        body = answer.read()
    assert json.loads(body[:length])["outputs"][0]["shape"] == [2, 8]
    np.testing.assert_array_equal(np.frombuffer(body[length:], np.float32), -x)
    headers = {"Inference-Header-Content-Length": "0"}
    assert server.post("/v2/models/raw/infer", b"123", **headers)[0] == 400
    assert server.post("/v2/models/simple/infer", b"123", **headers)[0] == 400


@pytest.mark.parametrize("pad", range(3))
@pytest.mark.parametrize(
    "wanted", [(), ("OUTPUT0",), ("OUTPUT1",), ("OUTPUT1", "OUTPUT0"), ("OUTPUT1", "OUTPUT1")]
)
def test_requests_that_look_alike(server: Server, wanted: tuple[str, ...], pad: int) -> None:
    """What is found out of the first is used for the others; other bytes give other answers."""
    rng = np.random.default_rng(pad)
    answers = []
    for at in range(8):
        a, b = rng.integers(-100, 100, (2, 16), np.int32)
        body, headers = binary(a, b, *wanted, pad=pad)
        path = "/v2/models/simple" + ("/versions/1" if at % 2 else "")
        request = urllib.request.Request(
            f"http://127.0.0.1:{server.http}{path}/infer", body, headers
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            length = int(answer.headers["Inference-Header-Content-Length"])
            got = answer.read()
        answers.append(got[:length])
        expected = {"OUTPUT0": a + b + 1, "OUTPUT1": a - b}
        arrays = [expected[name] for name in wanted or ("OUTPUT0", "OUTPUT1")]
        assert got[length:] == b"".join(array.tobytes() for array in arrays)
    assert len(set(answers)) == 1
    names = [output["name"] for output in json.loads(answers[0])["outputs"]]
    assert names == list(wanted or ("OUTPUT0", "OUTPUT1"))


def test_unaligned_binary_is_read_where_it_lies(server: Server) -> None:
    a, b = np.arange(16, dtype=np.int32), np.full(16, 7, np.int32)
    for pad in range(5):
        body, headers = binary(a, b, pad=pad, binary_data_output=False)
        status, answer = server.post("/v2/models/simple/infer", body, **headers)
        assert status == 200
        assert answer["outputs"][0]["data"] == (a + b + 1).tolist()


def test_metrics_and_statistics(server: Server) -> None:
    before = server.get("/v2/models/simple/stats")[1]["model_stats"][0]
    for _ in range(5):
        server.infer(ONES, ONES)
    after = server.get("/v2/models/simple/versions/1/stats")[1]["model_stats"][0]
    assert after["inference_count"] - before["inference_count"] == 5
    text = server.get("/metrics")[1].decode()
    count = after["inference_stats"]["success"]["count"]
    assert f'quaver_requests_total{{model="simple",version="1"}} {count}.0' in text
    for name in (
        "request_seconds_bucket", "queue_seconds_sum", "batch_rows_count", "compute_seconds_count",
        "received_bytes_total", "sent_bytes_total", "current_version", "swaps_total",
        "active_requests", "waiting_requests", "errors_total",
    ):  # fmt: skip
        assert f"quaver_{name}" in text


def test_statistics_tell_stages_and_memory(server: Server) -> None:
    for _ in range(8):
        body, headers = binary(ONES, ONES)
        server.post("/v2/models/simple/infer", body, **headers)
    record = server.get("/v2/models/simple/stats")[1]["model_stats"][0]
    stats = record["inference_stats"]
    stages = ("queue", "compute_input", "compute_infer", "compute_output")
    assert all(stats[stage]["ns"] > 0 for stage in stages[1:])
    assert sum(stats[stage]["ns"] for stage in stages) == stats["success"]["ns"]
    assert {stats[stage]["count"] for stage in stages} == {stats["success"]["count"]}
    assert record["batch_stats"][0]["compute_input"]["ns"] > 0
    (memory,) = record["memory_usage"]
    assert memory["type"] == "CPU"
    assert 0 < memory["byte_size"] < 1 << 20


@pytest.mark.parametrize("rows", [1, 50, 4000])
@pytest.mark.parametrize(
    ("accepted", "used"),
    [
        ("gzip", "gzip"),
        ("deflate;q=0.5", "deflate"),
        ("br, gzip;q=0.8, deflate", "gzip"),
        ("gzip;q=0, deflate;q=0.000", None),
        ("br, *", None),
    ],
)
def test_answers_are_compressed_as_asked(
    server: Server, accepted: str, used: str | None, rows: int
) -> None:
    x = np.arange(8 * rows, dtype=np.float32)
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.http}/v2/models/raw/infer",
        x.tobytes(),
        {"Inference-Header-Content-Length": "0", "Accept-Encoding": accepted},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        body, encoding = answer.read(), answer.headers["Content-Encoding"]
    assert encoding == (used if rows > 1 else None)  # what is short is left as it is
    body = {"gzip": gzip.decompress, "deflate": zlib.decompress, None: bytes}[encoding](body)
    assert body.endswith((-x).tobytes())


def test_openapi_document(server: Server) -> None:
    document = server.get("/openapi.json")[1]
    assert document["openapi"].startswith("3.")
    assert "/v2/models/{model}/infer" in document["paths"]
    names = [o["operationId"] for path in document["paths"].values() for o in path.values()]
    assert len(names) == len(set(names))


def test_answers_without_a_body(server: Server) -> None:
    client = http.client.HTTPConnection("127.0.0.1", server.http, timeout=20)
    for path in ("/v2", "/v2/health/ready", "/metrics"):
        client.request("HEAD", path)
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (200, b"")
    client.close()


def test_request_ids_in_logs(server: Server) -> None:
    server.post("/v2/logging", {"log_verbose_level": 1})
    body = {"inputs": []}
    server.post("/v2/models/simple/infer", body, **{"X-Request-Id": "my-id"})
    message = grpc_request()
    for message.id, message.model_name in (("good", "simple"), ("bad", "none")):
        grpc_ask(server, message.SerializeToString())
    server.post("/v2/logging", {"log_verbose_level": 0})
    wanted = {("my-id", 400), ("good", "OK"), ("bad", "NOT_FOUND")}
    server.wait_until(
        lambda: wanted <= {(e.get("id"), e.get("status")) for e in server.event("request")}
    )


def test_logging_and_trace_settings_are_checked(server: Server) -> None:
    for path, body in (
        ("/v2/logging", {"log_file": "/etc/passwd"}),
        ("/v2/logging", {"log_info": "yes"}),
        ("/v2/logging", {"unknown": True}),
        ("/v2/trace/setting", {"trace_file": "/etc/passwd"}),
        ("/v2/trace/setting", {"trace_level": ["LOUD"]}),
        ("/v2/trace/setting", {"trace_rate": "often"}),
    ):
        assert server.post(path, body)[0] == 400, (path, body)
    assert server.post("/v2/models/none/trace/setting", {})[0] == 404


# Versions.


def test_policies_and_labels(tmp_path: Path) -> None:
    for number in range(1, 5):
        for model in ("newest", "two", "every", "named"):
            put(tmp_path, model, number, compiled(simple(number)))
    config = tmp_path / "config.yaml"
    config.write_text(
        "linger: 0\nmodels:\n  two: {versions: 'latest:2'}\n  every: {versions: all, labels: "
        "{stable: 2, canary: 4}}\n  named: {versions: '1,3'}\n"
    )
    with Server(tmp_path, "--config", str(config)) as server:
        ready = [key for key, (state, _) in server.index().items() if state == "READY"]
        assert sorted(ready) == [
            "every/1", "every/2", "every/3", "every/4", "named/1", "named/3", "newest/4", "two/3",
            "two/4",
        ]  # fmt: skip
        assert [server.version(model) for model in ("newest", "two", "every", "named")] == [
            4,
            4,
            4,
            3,
        ]
        for label, number in (("stable", 2), ("canary", 4)):
            status, answer = server.infer(ONES, ONES, "every", label)
            assert (status, answer["model_version"]) == (200, str(number))
            assert answer["outputs"][0]["data"] == [2 + number] * 16
        assert server.infer(ONES, ONES, "every", "beta")[0] == 404
        shutil.rmtree(tmp_path / "every" / "4")
        server.wait_until(lambda: server.version("every") == 3)
        assert server.infer(ONES, ONES, "every", "canary")[0] == 404
        shutil.rmtree(tmp_path / "named")
        server.wait_until(lambda: "named/1" not in server.index())


def test_models_may_compute_in_bf16(tmp_path: Path) -> None:
    model = one_input(1)
    x = np.random.default_rng(0).standard_normal((1, 8), np.float32)
    for name in ("fp32", "bf16"):
        put(tmp_path, name, 1, model.SerializeToString(), "model.onnx")
        new = one_input(1)
        new.graph.initializer[0].raw_data = np.full((8, 2048), 0.2, np.float32).tobytes()
        delta = quaver.delta(quaver.load(model, threads=1), quaver.load(new, threads=1))
        put(tmp_path, name, 2, delta, "update.qdelta")
    config = tmp_path / "config.yaml"
    config.write_text("defaults: {versions: all}\nmodels: {bf16: {float_precision: bf16}}\n")
    with Server(tmp_path, "--config", str(config), "--linger", "0") as server:
        answers = []
        for name in ("fp32", "bf16"):
            parameters = server.get(f"/v2/models/{name}/config")[1]["parameters"]
            assert parameters["float_precision"]["string_value"] == name
            for number, source in ((1, model), (2, new)):
                local = quaver.load(source, threads=1, float_precision=name)
                path = f"/v2/models/{name}/versions/{number}"
                server.wait_until(lambda ready=f"{path}/ready": server.get(ready)[0] == 200)
                headers = {"Inference-Header-Content-Length": "0"}
                status, body = server.post(f"{path}/infer", x.tobytes(), **headers)
                assert status == 200
                assert body.endswith(local(x).tobytes())
                answers.append(body[-32:])
        assert len(set(answers)) == 4


def test_rollback_and_back(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple(1)))
    with Server(tmp_path, "--linger", "0") as server:
        assert server.post("/v2/repository/models/simple/rollback")[0] == 400
        put(tmp_path, "simple", 2, compiled(simple(2)))
        server.wait_until(lambda: server.version() == 2)
        assert server.post("/v2/repository/models/simple/rollback") == (200, {"version": 1})
        assert server.version() == 1
        put(tmp_path, "other", 1, compiled(simple(1)))  # makes it look through the folder
        server.wait_until(lambda: "other/1" in server.index())
        assert server.version() == 1
        assert server.index()["simple/2"] == ("UNAVAILABLE", "rolled back")
        assert server.post("/v2/repository/models/simple/load")[0] == 200
        assert server.version() == 2


def test_a_start_compiles_what_is_wanted_and_rolls_back_to_files(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        put(tmp_path, "simple", number, simple(number).SerializeToString(), "model.onnx")
    put(tmp_path, "broken", 1, compiled(simple(1)))
    put(tmp_path, "broken", 2, compiled(simple(2)))
    (tmp_path / "broken" / "1" / "model.quaver").write_bytes(b"QUAVER no more")
    with Server(tmp_path, "--linger", "0") as server:
        loaded = [(e["model"], e["version"]) for e in server.event("loaded")]
        assert sorted(loaded) == [("broken", 2), ("simple", 3)]
        rollback = "/v2/repository/models/simple/rollback"
        assert server.post(rollback) == (200, {"version": 2})
        assert server.version() == 2
        assert server.index()["simple/3"] == ("UNAVAILABLE", "rolled back")
        assert server.post(rollback) == (200, {"version": 3})  # it was current before
        assert server.version() == 3
        status, answer = server.post("/v2/repository/models/broken/rollback")
        assert (status, "broken/1" in answer["error"]) == (400, True)
        assert server.version("broken") == 2


def test_file_replaced_in_place(tmp_path: Path) -> None:
    folder = put(tmp_path, "simple", 1, compiled(simple(1)))
    with Server(tmp_path, "--linger", "0", "--settle", "0.2") as server:
        (folder / "model.quaver").write_bytes(compiled(simple(5)))
        server.wait_until(lambda: server.infer(ONES, ONES)[1]["outputs"][0]["data"][0] == 7)
        (folder / "model.quaver").write_bytes(b"no model")
        server.wait_until(lambda: "refused" in server.index()["simple/1"][1])
        assert server.infer(ONES, ONES)[0] == 200


def test_answers_change_their_shape_with_the_file(tmp_path: Path) -> None:
    folder = put(tmp_path, "longer", 1, compiled(longer(2)))
    x = np.arange(5, dtype=np.float32)
    tensor = {"name": "x", "shape": [1, 5], "datatype": "FP32"}
    head = {
        "inputs": [{**tensor, "parameters": {"binary_data_size": 20}}],
        "parameters": {"binary_data_output": True},
    }
    text = json.dumps(head).encode()
    headers = {"Inference-Header-Content-Length": str(len(text))}
    with Server(tmp_path, "--linger", "0", "--settle", "0.2") as server:

        def size() -> int:
            status, got = server.post("/v2/models/longer/infer", text + x.tobytes(), **headers)
            assert status == 200
            data = got[got.index(b"}]}") + 3 :]
            assert json.loads(got[: -len(data)])["outputs"][0]["shape"] == [1, len(data) // 4]
            np.testing.assert_array_equal(np.frombuffer(data[:20], np.float32), x)
            assert not any(data[20:])
            return len(data) // 4

        assert {size() for _ in range(10)} == {7}
        (folder / "model.quaver").write_bytes(compiled(longer(9)))
        server.wait_until(lambda: size() == 14)
        assert {size() for _ in range(10)} == {14}


def test_half_written_file_is_not_loaded(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple(1)))
    data = compiled(simple(2))
    with Server(tmp_path, "--linger", "0", "--settle", "0.4") as server:
        folder = tmp_path / "simple" / "2"
        folder.mkdir()
        with (folder / "model.quaver").open("wb") as file:
            for at in range(0, len(data), len(data) // 8):
                file.write(data[at : at + len(data) // 8])
                file.flush()
                time.sleep(0.1)
        server.wait_until(lambda: server.version() == 2)
        assert not server.event("refused")


def bad_probes() -> Iterator[bytes]:
    zeros, file = np.zeros(10_000, np.int32), io.BytesIO()
    np.savez_compressed(file, **{"input:INPUT0": zeros, "exact": np.array(True)})
    yield b"no probe"
    yield file.getvalue()
    data = bytearray(file.getvalue())
    at = data.index(b"INPUT0.npy") + 30
    data[at : at + 8] = bytes([255] * 8)
    yield bytes(data)
    file = io.BytesIO()
    np.savez(file, exact=np.array([True, False]))
    yield file.getvalue()


def test_bad_probes_do_not_end_the_watching(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple(1)))
    with Server(tmp_path, "--linger", "0", "--settle", "0.1") as server:
        for number, probe in enumerate(bad_probes(), 2):
            hidden = tmp_path / "simple" / f".{number}"
            hidden.mkdir()
            (hidden / "probe.npz").write_bytes(probe)
            put(tmp_path, "simple", number, compiled(simple(number)))
            server.wait_until(lambda key=f"simple/{number}": key in server.index(), 20)
            server.wait_until(
                lambda key=f"simple/{number}": server.index()[key][0] == "UNAVAILABLE", 20
            )
        put(tmp_path, "simple", 9, compiled(simple(9)))
        server.wait_until(lambda: server.version() == 9, 20)
        assert not server.event("loader")


def test_what_lies_in_the_wrong_place_is_told(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple(1)))
    (tmp_path / "flat").mkdir()
    for path in ("flat/model.onnx", "lone.onnx", "readme.txt", ".hidden.onnx"):
        (tmp_path / path).write_bytes(b"model")
    (tmp_path / "empty").mkdir()
    put(tmp_path, "a name", 1, compiled(simple(1)))
    (tmp_path / "simple" / "notes").mkdir()
    (tmp_path / "simple" / "v3").mkdir()
    (tmp_path / "simple" / "v3" / "model.onnx").write_bytes(b"model")
    with Server(tmp_path, "--linger", "0") as server:
        put(tmp_path, "simple", 2, compiled(simple(2)))
        server.wait_until(lambda: server.version() == 2)
        told = [
            str(Path(event["path"]).relative_to(tmp_path)) for event in server.event("misplaced")
        ]
    assert told == ["a name", "flat", "lone.onnx", "simple/v3"]


def test_a_version_without_a_model_is_in_the_index_with_the_reason(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple(1)))
    put(tmp_path, "simple", 2, b"weights", file="model.pt")
    (tmp_path / "simple" / "3").mkdir()  # may be on its way
    with Server(tmp_path, "--linger", "0", "--settle", "0.1") as server:
        assert server.version() == 1
        assert set(server.index()) == {"simple/1", "simple/2"}
        state, reason = server.index()["simple/2"]
        assert state == "UNAVAILABLE"
        assert "no model in it: expected model.quaver or model.onnx or update.qdelta" in reason
        put(tmp_path, "simple", 4, b"weights", file="model.pt")
        server.wait_until(lambda: "simple/4" in server.index(), 20)
        (tmp_path / "simple" / "4" / "model.quaver").write_bytes(compiled(simple(4)))
        server.wait_until(lambda: server.version() == 4, 20)


def test_not_ready_while_a_model_cannot_answer(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, b"no model")
    with Server(tmp_path, "--linger", "0", ready=False) as server:
        assert server.get("/v2/health/ready") == (503, {"ready": False})
        assert server.get("/v2/health/live")[0] == 200
        assert server.get("/v2/models/simple/ready")[0] == 404
        state, reason = server.index()["simple/1"]
        assert (state, "not a compiled Quaver model" in reason or "ONNX" in reason) == (
            "UNAVAILABLE",
            True,
        )
        put(tmp_path, "simple", 1, compiled(simple(1)))
        server.wait_until(lambda: server.get("/v2/health/ready")[0] == 200)


# What runs when.


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("busy")
    put(root, "slow", 1, compiled(one_input(6)))
    put(root, "narrow", 1, compiled(one_input(6)))
    put(root, "simple", 1, compiled(simple(1)))
    config = root / "config.yaml"
    config.write_text(
        "linger: 0\nworkers: 1\n"
        "models: {slow: {max_batch: 8, queue: 40}, narrow: {max_batch: 1, queue: 1}}\n"
    )
    with Server(root, "--config", str(config)) as server:
        yield server
        assert not server.event("bug"), server.event("bug")


def test_requests_are_gathered_and_bits_stay(busy: Server) -> None:
    alone = [busy.post("/v2/models/slow/infer", slow_request(seed)) for seed in range(24)]
    before = busy.get("/v2/models/slow/stats")[1]["model_stats"][0]
    together = at_once(busy, [slow_request(seed) for seed in range(24)])
    after = busy.get("/v2/models/slow/stats")[1]["model_stats"][0]
    assert [answer for _, answer in together] == [answer for _, answer in alone]
    runs = after["execution_count"] - before["execution_count"]
    assert after["inference_count"] - before["inference_count"] == 24
    assert runs < 20
    assert {batch["batch_size"] for batch in after["batch_stats"]} <= {1, 2, 4, 8}


def test_a_client_alone_waits_for_no_worker(tmp_path: Path) -> None:
    put(tmp_path, "one", 1, compiled(one_input(1)))
    tensor = {"name": "x", "shape": [1, 8], "datatype": "FP32", "data": [0] * 8}
    body = json.dumps({"inputs": [tensor]})
    with Server(tmp_path, "--linger", "0") as server:
        clients = [http.client.HTTPConnection("127.0.0.1", server.http) for _ in range(2)]

        def waited(client: http.client.HTTPConnection) -> int:
            before = queued()
            client.request("POST", "/v2/models/one/infer", body)
            answer = client.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
            return queued() - before

        def queued() -> int:
            (row,) = server.get("/v2/models/one/stats")[1]["model_stats"]
            return int(row["inference_stats"]["queue"]["ns"])

        for client in (*clients, *clients):
            assert waited(client) > 0
        server.wait_until(lambda: waited(clients[0]) == 0)
        for client in (clients[1], *clients):
            assert waited(client) > 0
        for client in clients:
            client.close()


def test_late_requests_cost_nothing(busy: Server) -> None:
    before = busy.get("/v2/models/slow/stats")[1]["model_stats"][0]["inference_count"]
    answers = at_once(busy, [slow_request(seed, timeout=1) for seed in range(12)])
    late = [answer for status, answer in answers if status == 504]
    assert late
    assert "deadline" in late[0]["error"]
    after = busy.get("/v2/models/slow/stats")[1]["model_stats"][0]["inference_count"]
    assert after - before == 12 - len(late)


def test_full_queue_is_refused(busy: Server) -> None:
    requests = [slow_request(seed) for seed in range(90)]
    statuses = [status for status, _ in at_once(busy, requests, "narrow")]
    assert set(statuses) == {200, 429}


# Limits, security, settings.


def test_too_many_requests_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "slow", 1, compiled(one_input(6)))
    flags = ["--linger", "0", "--max-requests", "3", "--workers", "1"]
    with Server(tmp_path, *flags, "--defaults.max-batch", "1") as server:
        answers = at_once(server, [slow_request(seed) for seed in range(60)])
        assert {status for status, _ in answers} == {200, 429}
        refusal = next(answer for status, answer in answers if status == 429)
        assert "3 requests are under way" in refusal["error"]
        server.wait_until(lambda: b"quaver_active_requests 0.0" in server.get("/metrics")[1])
        assert server.post("/v2/models/slow/infer", slow_request())[0] == 200


def test_bodies_are_bounded_together(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple(1)))
    head = b"POST /v2/models/simple/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n"
    with Server(tmp_path, "--linger", "0", "--no-rpc", "--max-buffered", "150000") as server:

        def refused() -> bool:
            status, answer = server.post("/v2/models/simple/infer", bytes(70_000))
            assert (status, "no room" in answer["error"]) in {(400, False), (503, True)}
            return bool(status == 503)

        assert not refused()
        holding = []
        for _ in range(2):
            holding.append(socket.create_connection(("127.0.0.1", server.http)))
            holding[-1].sendall(head + bytes(70_000))
        server.wait_until(refused)
        for each in holding:
            each.close()
        server.wait_until(lambda: not refused())
        assert server.version() == 1


def test_token(tmp_path: Path) -> None:
    root = tmp_path / "models"
    put(root, "simple", 1, compiled(simple(1)))
    (tmp_path / "tokens").write_bytes("first-token\nsecond-token\ntökén\n".encode())
    with Server(root, "--linger", "0", "--token-file", str(tmp_path / "tokens")) as server:
        assert server.get("/v2/health/ready")[0] == 200
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "second-token"}):
            assert server.call("/v2/models/simple", **headers)[0] == 401
            assert server.call("/v2/models/simple/infer", b"{}", **headers)[0] == 401
        utf_8 = {"Authorization": "Bearer tökén".encode().decode("latin-1")}
        assert server.call("/v2/models/simple", **utf_8)[0] == 200
        good = {"Authorization": "Bearer second-token"}
        assert server.call("/v2/models/simple", **good)[0] == 200
        code = (
            "import sys, tritonclient.grpc as c; from tritonclient.utils import *\n"
            "client = c.InferenceServerClient(sys.argv[1])\n"
            "try: client.get_server_metadata()\n"
            "except InferenceServerException as error: assert 'UNAUTHENTICATED' in str(error)\n"
            "else: sys.exit('open to all')\n"
            "client.get_server_metadata(headers={'authorization': 'Bearer first-token'})\n"
        )
        command = [sys.executable, "-c", code, f"127.0.0.1:{server.grpc}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_tls(tmp_path: Path) -> None:
    root = tmp_path / "models"
    put(root, "simple", 1, compiled(simple(1)))
    put(root, "one", 1, compiled(one_input()))
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    certificate(key, cert)
    flags = ["--tls-cert", str(cert), "--tls-key", str(key), "--linger", "0"]
    with Server(root, *flags, ready=False) as server:
        context = ssl.create_default_context(cafile=str(cert))
        url = f"https://localhost:{server.http}/v2"
        with urllib.request.urlopen(url, context=context, timeout=60) as answer:
            assert json.loads(answer.read())["name"] == "quaver"
        x = np.arange(80_000, dtype=np.float32)  # read straight to where it stays
        at = f"https://localhost:{server.http}/v2/models/one/infer"
        request = urllib.request.Request(at, x.tobytes(), {"Inference-Header-Content-Length": "0"})
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            assert answer.read().endswith((-x).tobytes())
        code = (
            "import sys, tritonclient.grpc as c\n"
            "at, root = sys.argv[1:]\n"
            "client = c.InferenceServerClient(at, ssl=True, root_certificates=root)\n"
            "assert client.is_server_live()\n"
        )
        command = [sys.executable, "-c", code, f"localhost:{server.grpc}", str(cert)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def certificate(key: Path, cert: Path) -> None:
    """Make a key and a certificate of its own for localhost."""
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))


def refused(*arguments: str, **environment: str) -> str:
    import os

    done = subprocess.run(
        [sys.executable, "-m", "quaver", "serve", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env={**os.environ, **environment},
    )
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    return done.stderr


def test_settings_that_cannot_be_met(tmp_path: Path) -> None:
    assert "is no folder" in refused(str(tmp_path / "none"))
    assert "http" in refused(str(tmp_path), "--http", "70000")
    assert "http" in refused(str(tmp_path), QUAVER_SERVE_HTTP="many")
    assert "versions" in refused(str(tmp_path), "--defaults.versions", "newest")
    assert "both" in refused(str(tmp_path), "--tls-cert", "x")
    assert "cannot use 'x'" in refused(str(tmp_path), "--tls-cert", "x", "--tls-key", "x")
    assert "cannot read" in refused(str(tmp_path), "--token-file", str(tmp_path / "none"))
    config = tmp_path / "c.yaml"
    config.write_text("unknown_thing: 3\n")
    assert "unknown_thing" in refused(str(tmp_path), "--config", str(config))


def test_port_that_is_taken(server: Server, tmp_path: Path) -> None:
    text = refused(str(tmp_path), "--host", "127.0.0.1", "--http", str(server.http), "--no-rpc")
    assert "the port is taken" in text


def test_flags_before_environment_before_file(tmp_path: Path) -> None:
    from quaver.serve.settings import parse

    config = tmp_path / "c.yaml"
    config.write_text(
        "http: 1\ngrpc: 1\ndrain: 1\ndefaults: {max_batch: 7, weight: 2}\n"
        "models: {one: {weight: 3}}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("QUAVER_SERVE_GRPC", "2")
        patch.setenv("QUAVER_SERVE_HTTP", "2")
        settings = parse([str(tmp_path), "--http", "3", "--config", str(config)])
    assert (settings.http, settings.grpc, settings.drain) == (3, 2, 1)
    assert settings.of_model("any").max_batch == 7
    one = settings.of_model("one")
    assert (one.max_batch, one.weight, one.queue) == (7, 3, 1000)


def test_settings_are_documented() -> None:
    import settings_table

    text = settings_table.PAGE.read_text()
    assert settings_table.page(text) == text, "python tests/python/settings_table.py --write"


def test_schema_is_printed() -> None:
    command = [sys.executable, "-m", "quaver", "serve", "--schema"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "max_body" in json.loads(done.stdout)["properties"]


def test_control_can_be_turned_off(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple(1)))
    flags = ["--no-control", "--no-shared-memory", "--no-rpc", "--linger", "0"]
    with Server(tmp_path, *flags) as server:
        assert server.grpc is None
        assert server.post("/v2/repository/models/simple/unload")[0] == 501
        assert server.get("/v2/systemsharedmemory/status")[0] == 501
        assert server.version() == 1


def test_needs_its_packages() -> None:
    code = (
        "import sys; sys.modules['pydantic'] = None\n"
        "from quaver import cli; sys.exit(cli.run(['serve', 'models']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install quaver[serve]" in done.stderr


def test_no_serving_package_is_imported_without_need() -> None:
    code = (
        "import sys, quaver, quaver.cli\n"
        "bad = {'grpc', 'pydantic', 'uvicorn', 'starlette', 'orjson'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_quaver_loads_what_it_serves(tmp_path: Path) -> None:
    folder = put(tmp_path, "simple", 3, compiled(simple(3)))
    a = np.ones((1, 16), np.int32)
    sums, _ = quaver.load(folder / "model.quaver")(a, a)
    with Server(tmp_path, "--linger", "0") as server:
        data = server.infer(a, a)[1]["outputs"][0]["data"]
    np.testing.assert_array_equal(sums.ravel(), data)
