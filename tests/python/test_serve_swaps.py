"""Versions exchanged under load: no request fails, none is of two versions."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import quaver
from closed_loop import request_of
from serving import START_SECONDS, Server, compiled, put, simple

LOOP = Path(__file__).parent / "closed_loop.py"


def load(port: int, clients: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, str(LOOP), str(port), str(clients), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    out, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, out
    return json.loads(out)


def heavy(step: int) -> onnx.ModelProto:
    """Build `simple` with a constant of 4 MB that all versions share."""
    model = simple(step)
    big = np.arange(1 << 20, dtype=np.float32)
    model.graph.initializer.append(numpy_helper.from_array(big, "ballast"))
    node = onnx.helper.make_node("ReduceMax", ["ballast"], ["most"], keepdims=0)
    model.graph.node.append(node)
    return model


class Publisher:
    """Lets versions appear: good ones whole and as deltas, and each kind of bad one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.number = 1
        self.good = [1]
        self.bad: dict[int, str] = {}
        self.model = quaver.load(simple(1), threads=1)
        put(root, "simple", 1, self.model._core.serialize())
        self.kinds: list[Callable[[int], None]] = [
            self.whole, self.corrupt, self.delta, self.shape, self.onnx, self.probe, self.cut,
            self.delta, self.base,
        ]  # fmt: skip

    def next(self) -> None:
        self.number += 1
        self.kinds[self.number % len(self.kinds)](self.number)
        for old in self.good[:-6]:
            shutil.rmtree(self.root / "simple" / str(old), ignore_errors=True)

    def whole(self, number: int) -> None:
        self.model = quaver.load(simple(number), threads=1)
        put(self.root, "simple", number, self.model._core.serialize())
        self.good.append(number)

    def onnx(self, number: int) -> None:
        self.model = quaver.load(simple(number), threads=1)
        put(self.root, "simple", number, simple(number).SerializeToString(), "model.onnx")
        self.good.append(number)

    def delta(self, number: int) -> None:
        new = quaver.load(simple(number), threads=1)
        put(self.root, "simple", number, quaver.delta(self.model, new), "update.qdelta")
        self.model = new
        self.good.append(number)

    def corrupt(self, number: int) -> None:
        data = bytearray(compiled(simple(number)))
        data[-20] ^= 1
        self.put_bad(number, bytes(data), "hash|damaged")

    def cut(self, number: int) -> None:
        self.put_bad(number, compiled(simple(number))[:-100], "truncated")

    def shape(self, number: int) -> None:
        self.put_bad(number, compiled(simple(number, "OTHER")), "INPUT0")

    def base(self, number: int) -> None:
        stranger = quaver.load(simple(-7), threads=1)
        new = quaver.load(simple(number), threads=1)
        self.put_bad(number, quaver.delta(stranger, new), "made for the model", "update.qdelta")

    def probe(self, number: int) -> None:
        zeros = np.zeros((1, 16), np.int32)
        expected = {"OUTPUT0": zeros + 12345}
        hidden = self.root / "simple" / f".{number}"
        hidden.mkdir()
        quaver.Probe({"INPUT0": zeros, "INPUT1": zeros}, expected).save(hidden / "probe.npz")
        self.put_bad(number, compiled(simple(number)), "answer to the probe")

    def put_bad(self, number: int, data: bytes, why: str, file: str = "model.quaver") -> None:
        put(self.root, "simple", number, data, file)
        self.bad[number] = why


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    return Publisher(tmp_path)


def dealt_with(server: Server, publisher: Publisher) -> bool:
    """Whether enough went through, good and bad: loading is in no hurry where others compute."""
    refused = {publisher.bad.get(event["version"]) for event in server.event("refused")}
    return len(refused) >= 3 and len(server.event("loaded")) >= 6


def check(result: dict[str, Any]) -> None:
    counts = result["counts"]
    assert counts["ok"] > 100, counts
    assert "failed" not in counts, counts
    assert "mixed" not in counts, counts
    assert "refused" not in counts, counts


def swap_under_load(publisher: Publisher, clients: int, seconds: float, quiet: float = 0) -> float:
    """Swap and check; give the 99th percentile as a multiple of that of some quiet seconds."""
    with Server(publisher.root, "--linger", "0", "--settle", "0.2") as server:
        steady = finish(load(server.http, clients, quiet), 200)["p99"] if quiet else 0
        process = load(server.http, clients, seconds + START_SECONDS)
        end = time.monotonic() + seconds
        while time.monotonic() < end or not dealt_with(server, publisher):
            assert time.monotonic() < end + START_SECONDS, server.events[-5:]
            publisher.next()
            time.sleep(0.2)
        process.terminate()
        result = finish(process, 200)
        check(result)
        assert len(result["versions"]) > 3, result
        assert not set(map(int, result["versions"])) & set(publisher.bad)
        newest = publisher.good[-1]
        server.wait_until(lambda: server.version() == newest)
        assert not server.event("bug")
        refused = {event["version"] for event in server.event("refused")}
        assert refused <= set(publisher.bad), server.event("refused")
    return result["p99"] / steady if steady else 0


def test_swaps_under_load(publisher: Publisher) -> None:
    swap_under_load(publisher, 16, 5)


@pytest.mark.slow
def test_swaps_under_load_for_a_minute(
    publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    ratio = swap_under_load(publisher, 64, 60, quiet=10)
    with (
        capsys.disabled()
    ):  # a time, so only told; `python -m overhead --swaps` in bench/ judges it
        print(f"\np99 under exchanges: {ratio:.2f} of the quiet one")


def test_each_bad_version_is_refused_for_its_reason(publisher: Publisher) -> None:
    with Server(publisher.root, "--linger", "0", "--settle", "0.2") as server:
        for _ in range(len(publisher.kinds)):
            publisher.next()
            key = f"simple/{publisher.number}"
            server.wait_until(lambda key=key: server.index().get(key, ("LOADING",))[0] != "LOADING")
        server.wait_until(lambda: server.version() == publisher.good[-1])
        index = server.index()
        for number, why in publisher.bad.items():
            state, reason = index[f"simple/{number}"]
            assert state == "UNAVAILABLE"
            assert any(word in reason for word in why.split("|")), (number, reason)
        assert server.get("/v2/health/ready")[0] == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_under_load(publisher: Publisher, number: int) -> None:
    with Server(publisher.root) as server:
        process = load(server.http, 16, 20)
        time.sleep(1.5)
        assert server.stop(number) == 0
        result = finish(process, 200)
        counts = result["counts"]
        assert counts["ok"] > 100
        # A client is told by a refusal, or by its last answer, where that was under way.
        assert counts.get("refused", 0) + counts.get("last", 0) == 16, counts
        assert "failed" not in counts, counts
        assert server.event("stopped")[0]["lost"] == 0


def test_memory_comes_back(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(heavy(1)))
    with Server(tmp_path, "--linger", "0") as server:
        server.wait_until(lambda: server.version() == 1)

        def reload(first: int, last: int) -> None:
            for number in range(first, last + 1):
                put(tmp_path, "simple", number, compiled(heavy(number)))
                shutil.rmtree(tmp_path / "simple" / str(number - 1))
                server.wait_until(lambda number=number: server.version() == number)

        reload(2, 10)
        before = server.rss
        reload(11, 60)
        assert server.rss <= before * 1.05 + 1, (before, server.rss)


def test_delta_shares_memory(tmp_path: Path) -> None:
    model = quaver.load(heavy(1), threads=1)
    put(tmp_path, "simple", 1, model._core.serialize())
    with Server(tmp_path, "--linger", "0", "--defaults.versions", "all") as server:
        server.wait_until(lambda: server.version() == 1)
        before = server.rss
        for number in range(2, 12):
            new = quaver.load(heavy(number), threads=1)
            delta = quaver.delta(model, new)
            assert len(delta) < 1 << 18
            put(tmp_path, "simple", number, delta, "update.qdelta")
            server.wait_until(lambda number=number: server.version() == number)
            model = new
        assert server.rss < before + 20, (before, server.rss)  # 40 MB were they not shared
    with Server(tmp_path, "--linger", "0") as server:  # the chain of deltas from the start
        assert server.version() == 11


def test_request_of_the_loop_is_a_request() -> None:
    assert request_of(np.zeros(16, np.int32), np.zeros(16, np.int32)).endswith(bytes(128))
