"""What takes long and is no run: long texts, many strings. Nobody else waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import threading
import time
import urllib.request
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from closed_loop import Client
from quaver.serve import aside
from quaver.serve.aside import LONG, Aside
from quaver.serve.errors import ServeError, bad_request
from quaver.serve.protocol.proto import messages
from serving import Server, compiled, one_input, put, simple

COUNT = 400_000
X = np.random.default_rng(0).standard_normal((200_000, 8), np.float32)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("models")
    put(root, "one", 1, compiled(one_input()))
    put(root, "simple", 1, compiled(simple(1)))
    put(root, "words", 1, words().SerializeToString(), "model.onnx")
    with Server(root, "--linger", "0") as server:
        yield server
        assert not server.event("bug"), server.event("bug")


def words() -> onnx.ModelProto:
    """Build y = x over strings [n]."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.STRING, ["n"]) for name in "xy")
    node = helper.make_node("StringNormalizer", ["x"], ["y"])
    graph = helper.make_graph([node], "words", [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def request(x: np.ndarray) -> dict[str, Any]:
    tensor = {"name": "x", "shape": list(x.shape), "datatype": "FP32", "data": x.ravel().tolist()}
    return {"inputs": [tensor]}


class OverRest:
    """Asks for -X, both as JSON."""

    expected: Any = -X.ravel()

    def __init__(self, server: Server) -> None:
        self.url = f"http://127.0.0.1:{server.http}/v2/models/one/infer"
        self.body = json.dumps(request(X)).encode()

    def ask(self) -> bytes:
        with urllib.request.urlopen(self.url, self.body, timeout=200) as answer:
            data: bytes = answer.read()
        return data

    def values(self, data: bytes) -> Any:
        return np.float32(json.loads(data)["outputs"][0]["data"])


class Strings(OverRest):
    """Asks for strings as JSON."""

    expected = ["a", "bc"] * (COUNT // 2)

    def __init__(self, server: Server) -> None:
        self.url = f"http://127.0.0.1:{server.http}/v2/models/words/infer"
        tensor = {"name": "x", "shape": [COUNT], "datatype": "BYTES", "data": self.expected}
        self.body = json.dumps({"inputs": [tensor]}).encode()

    def values(self, data: bytes) -> Any:
        return json.loads(data)["outputs"][0]["data"]


class OverGrpc:
    """Asks for -X, given in numbers."""

    expected: Any = -X.ravel()

    def __init__(self, server: Server) -> None:
        message = messages()["ModelInferRequest"](model_name="one")
        tensor = message.inputs.add(name="x", datatype="FP32", shape=X.shape)
        tensor.contents.fp32_contents.extend(X.ravel().tolist())
        self.body = message.SerializeToString()
        self.address = f"127.0.0.1:{server.grpc}"

    def ask(self) -> bytes:
        options = [("grpc.max_receive_message_length", -1)]
        with grpc.insecure_channel(self.address, options) as channel:
            call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
            data: bytes = call(self.body, timeout=200)
        return data

    def values(self, data: bytes) -> Any:
        answer = messages()["ModelInferResponse"].FromString(data)
        return np.frombuffer(answer.raw_output_contents[0], np.float32)


class StringsOverGrpc(OverGrpc):
    """Asks for strings in bytes."""

    expected = b"\1\0\0\0a\2\0\0\0bc" * (COUNT // 2)

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        message = messages()["ModelInferRequest"](model_name="words")
        message.inputs.add(name="x", datatype="BYTES", shape=[COUNT])
        message.raw_input_contents.append(self.expected)
        self.body = message.SerializeToString()

    def values(self, data: bytes) -> Any:
        return messages()["ModelInferResponse"].FromString(data).raw_output_contents[0]


@pytest.mark.parametrize("way", [OverRest, Strings, OverGrpc, StringsOverGrpc])
def test_others_are_answered_meanwhile(server: Server, way: type[OverRest | OverGrpc]) -> None:
    long = way(server)
    assert np.array_equal(long.values(long.ask()), long.expected)
    took: list[float] = []

    def ask() -> None:
        start = time.perf_counter()
        long.ask()
        took.append(time.perf_counter() - start)

    thread, other, waits = threading.Thread(target=ask), Client(server.http, 0), []
    thread.start()
    while thread.is_alive():
        start = time.perf_counter()
        other.send()
        answer = other.receive()
        waits.append(time.perf_counter() - start)
        assert answer is not None
        assert other.judge(*answer[1:])[0] == "ok"
    other.socket.close()
    assert max(waits) < took[0] / 4


def test_long_texts_that_are_wrong(server: Server) -> None:
    long = " " * LONG
    for body, why in (
        (b"{" + long.encode(), "no JSON"),
        (b'{"id": "%s", "inputs": [{"name": 7}]}' % long.encode(), "'name' must be a string"),
    ):
        status, answer = server.post("/v2/models/one/infer", body)
        assert (status, why in answer["error"]) == (400, True), answer


def test_a_long_text_before_bytes(server: Server) -> None:
    x = X[:3]
    tensor = request(x)["inputs"][0] | {"parameters": {"binary_data_size": x.nbytes}}
    del tensor["data"]
    head = json.dumps({"inputs": [tensor], "id": " " * LONG}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    status, answer = server.post("/v2/models/one/infer", head + x.tobytes(), **headers)
    assert status == 200
    assert answer["outputs"][0]["data"] == (-x).ravel().tolist()


def test_a_long_text_before_strings(server: Server) -> None:
    data = b"\1\0\0\0a\2\0\0\0bc"
    tensor = {"name": "x", "shape": [2], "datatype": "BYTES"}
    sized = tensor | {"parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [sized], "id": " " * LONG}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    status, answer = server.post("/v2/models/words/infer", head + data, **headers)
    assert (status, answer["outputs"][0]["data"]) == (200, ["a", "bc"])
    status, answer = server.post("/v2/models/words/infer", head + data[:-1] + b"\xff", **headers)
    assert (status, "no UTF-8" in answer["error"]) == (400, True), answer


def test_what_runs_no_model_takes_no_long_text(server: Server) -> None:
    for size, status in ((1000, 200), (2_000_000, 413)):
        answered, answer = server.post("/v2/logging", b"{" + b" " * size + b"}")
        assert answered == status, answer


def refuse(*_: object) -> None:
    raise bad_request("it is wrong")


def test_what_goes_wrong_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)

    async def main() -> None:
        work = Aside()
        first = await work.call(os.getpid)
        assert first != os.getpid()
        with pytest.raises(ServeError, match="it is wrong") as refused:
            await work.call(refuse)
        assert refused.value.status == 400
        assert await work.call(os.getpid) == first
        with pytest.raises(ServeError, match="memory") as ended:
            await work.call(os._exit, 1)
        assert ended.value.status == 503
        monkeypatch.setattr(aside, "_IDLE", 0.1)
        second = await work.call(os.getpid)
        assert second != first
        while Path(f"/proc/{second}").exists():  # until it had nothing to do for a time
            await asyncio.sleep(0.01)
        assert await work.call(os.getpid) not in (first, second)
        work.stop()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_nothing_is_kept_of_a_text_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)

    async def refused(work: Aside) -> weakref.ref[Any]:
        text = np.zeros(1000, np.uint8)
        with contextlib.suppress(ServeError):
            await work.call(refuse, text)
        return weakref.ref(text)

    async def main() -> None:
        work = Aside()
        kept, end = await refused(work), time.monotonic() + 5
        while kept() is not None:  # until the thread that waited is done
            assert time.monotonic() < end
            await asyncio.sleep(0.01)
        work.stop()

    gc.disable()
    try:
        asyncio.run(asyncio.wait_for(main(), 60))
    finally:
        gc.enable()
