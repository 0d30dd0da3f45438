"""What the tests of the server share: models that tell versions apart, and a server to ask."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import quaver

START_SECONDS = 200


def simple(step: int = 0, name: str = "INPUT0") -> onnx.ModelProto:
    """Build OUTPUT0 = INPUT0 + INPUT1 + step, OUTPUT1 = INPUT0 - INPUT1 over int32 [n, 16]."""
    ports = [
        helper.make_tensor_value_info(port, TensorProto.INT32, ["n", 16])
        for port in (name, "INPUT1", "OUTPUT0", "OUTPUT1")
    ]
    nodes = [
        helper.make_node("Add", [name, "INPUT1"], ["sum"]),
        helper.make_node("Add", ["sum", "step"], ["OUTPUT0"]),
        helper.make_node("Sub", [name, "INPUT1"], ["OUTPUT1"]),
    ]
    constant = numpy_helper.from_array(np.array([step], np.int32), "step")
    graph = helper.make_graph(nodes, "simple", ports[:2], ports[2:], [constant])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def one_input(work: int = 0) -> onnx.ModelProto:
    """Build y = -x over float32 [n, 8]; `work` products of matrices make it slow."""
    ports = [helper.make_tensor_value_info(p, TensorProto.FLOAT, ["n", 8]) for p in ("x", "y")]
    nodes, last, constants = [], "x", []
    if work:
        wide = np.full((8, 2048), 1 / 8, np.float32)
        square = np.full((2048, 2048), 1 / 2048, np.float32)
        back = np.full((2048, 8), 1 / 2048, np.float32)
        matrices = [wide, *[square] * work, back]
        constants = [numpy_helper.from_array(m, f"m{at}") for at, m in enumerate(matrices)]
        for at in range(len(matrices)):
            nodes.append(helper.make_node("MatMul", [last, f"m{at}"], [f"h{at}"]))
            last = f"h{at}"
    nodes.append(helper.make_node("Neg", [last], ["y"]))
    graph = helper.make_graph(nodes, "one", ports[:1], ports[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def longer(width: int) -> onnx.ModelProto:
    """Build y = x and `width` zeros behind it, over float32 [1, m]."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "m"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, "k"])
    zeros = numpy_helper.from_array(np.zeros((1, width), np.float32), "zeros")
    node = helper.make_node("Concat", ["x", "zeros"], ["y"], axis=1)
    graph = helper.make_graph([node], "longer", [x], [y], [zeros])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def put(root: Path, name: str, version: int, data: bytes, file: str = "model.quaver") -> Path:
    """Let a version appear, at once."""
    folder = root / name / str(version)
    hidden = root / name / f".{version}"
    hidden.mkdir(parents=True, exist_ok=True)
    (hidden / file).write_bytes(data)
    os.utime(hidden / file, (time.time() - 10, time.time() - 10))
    if folder.exists():
        shutil.rmtree(folder)
    hidden.rename(folder)
    return folder


def compiled(model: onnx.ModelProto) -> bytes:
    return quaver.load(model, threads=1)._core.serialize()


def binary(
    a: Any, b: Any, *wanted: str, pad: int = 0, **parameters: Any
) -> tuple[bytes, dict[str, str]]:
    """Give body and headers of a request to `simple` in binary, for outputs in binary."""
    size = {"binary_data_size": 64}
    record = {
        "inputs": [
            {"name": name, "shape": [1, 16], "datatype": "INT32", "parameters": size}
            for name in ("INPUT0", "INPUT1")
        ],
        "parameters": {"binary_data_output": True} | parameters,
    }
    if wanted:
        record["outputs"] = [{"name": n, "parameters": {"binary_data": True}} for n in wanted]
    head = json.dumps(record).encode() + b" " * pad
    tensors = [np.asarray(each, np.int32).tobytes() for each in (a, b)]
    return head + b"".join(tensors), {"Inference-Header-Content-Length": str(len(head))}


class Server:
    """`quaver serve` as a process of its own."""

    def __init__(self, root: Path, *flags: str, ready: bool = True) -> None:
        command = [sys.executable, "-m", "quaver", "serve", str(root), "--host", "127.0.0.1"]
        self.process = subprocess.Popen(
            [*command, "--http", "0", "--grpc", "0", *flags], stderr=subprocess.PIPE, text=True
        )
        self.events: list[dict[str, Any]] = []
        self.other: list[str] = []
        self._serving = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._serving.wait(START_SECONDS) or self.process.poll() is not None:
            self.process.kill()
            raise AssertionError(f"the server did not start: {self.other} {self.events}")
        if ready:
            self.wait_until(lambda: self.get("/v2/health/ready")[0] == 200)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                event = json.loads(line)
            except json.JSONDecodeError:
                self.other.append(line)
                continue
            self.events.append(event)
            if event["event"] == "serving":
                self.http, self.grpc = event["http"], event["grpc"]
                self._serving.set()
        self._serving.set()

    def event(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == name]

    def wait_until(self, condition: Any, seconds: float = 200) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.events[-5:]
            assert self.process.poll() is None, self.other
            time.sleep(0.02)

    def call(
        self, path: str, body: Any = None, method: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data, headers)
        request.method = method or ("GET" if data is None else "POST")
        try:
            with urllib.request.urlopen(request, timeout=200) as answer:
                status, text, kind = answer.status, answer.read(), answer.headers["Content-Type"]
        except urllib.error.HTTPError as error:
            status, text, kind = error.code, error.read(), error.headers["Content-Type"]
        return status, json.loads(text) if kind == "application/json" else text

    def get(self, path: str) -> tuple[int, Any]:
        return self.call(path)

    def post(self, path: str, body: Any = b"", **headers: str) -> tuple[int, Any]:
        return self.call(path, body, **headers)

    def infer(self, a: Any, b: Any, model: str = "simple", version: str = "") -> tuple[int, Any]:
        a, b = np.atleast_2d(a), np.atleast_2d(b)
        inputs = [
            {"name": n, "shape": list(x.shape), "datatype": "INT32", "data": x.ravel().tolist()}
            for n, x in (("INPUT0", a), ("INPUT1", b))
        ]
        at = f"/versions/{version}" if version else ""
        return self.post(f"/v2/models/{model}{at}/infer", {"inputs": inputs})

    def version(self, model: str = "simple") -> int:
        status, answer = self.infer(np.zeros(16, int), np.zeros(16, int), model)
        return int(answer["model_version"]) if status == 200 else 0

    def index(self) -> dict[str, tuple[str, str]]:
        rows = self.post("/v2/repository/index")[1]
        return {f"{row['name']}/{row['version']}": (row["state"], row["reason"]) for row in rows}

    @property
    def rss(self) -> int:
        """Megabytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(text.split("VmRSS:")[1].split()[0]) // 1024

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(200)
        finally:
            self.process.kill()
            self._reader.join(5)

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def grpc_request() -> Any:
    """Give a request to `simple`; everything in it is 0."""
    from quaver.serve.protocol.proto import messages

    request = messages()["ModelInferRequest"](model_name="simple")
    for name in ("INPUT0", "INPUT1"):
        request.inputs.add(name=name, datatype="INT32", shape=[1, 16])
        request.raw_input_contents.append(bytes(64))
    return request


def grpc_ask(server: Server, data: bytes) -> tuple[str, str]:
    """Send a message's bytes; give the status and its reason."""
    import grpc

    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        try:
            call(data, timeout=60)
        except grpc.RpcError as error:
            return error.code().name, error.details()
    return "OK", ""
