"""What the server does about its own bugs: the log has their place, the client does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import Server, compiled, grpc_ask, grpc_request, put, simple

BUG = """
from quaver.serve.models.served import ServedModel
from quaver.serve.service import Service

def broken(*_):
    raise KeyError("secret")

ServedModel.track = Service.metadata = broken
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server whose interpreter breaks two of its methods before it starts."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "sitecustomize.py").write_text(BUG)
    monkeypatch.setenv("PYTHONPATH", str(code))
    put(tmp_path / "models", "simple", 1, compiled(simple()))
    with Server(tmp_path / "models", "--linger", "0") as server:
        yield server


def test_a_bug_is_logged_with_its_place(server: Server) -> None:
    body = {"inputs": [{"name": n, "shape": [1, 16], "datatype": "INT32", "data": [0] * 16}
                       for n in ("INPUT0", "INPUT1")]}  # fmt: skip
    path = "/v2/models/simple/infer"
    answers = [
        server.post(path, body, **{"X-Request-Id": "one"}),
        server.call("/v2", **{"X-Request-Id": "two"}),
        server.post(path, body),
    ]
    message = grpc_request()
    message.id = "four"
    status, details = grpc_ask(server, message.SerializeToString())
    assert status == "INTERNAL"
    told = [details, *(answer["error"] for _, answer in answers)]
    assert [status for status, _ in answers] == [500] * 3
    server.wait_until(lambda: len(server.event("bug")) == 4)
    events = server.event("bug")
    assert [event["id"] for event in events if len(event["id"]) < 30] == ["one", "two", "four"]
    for event in events:
        assert "KeyError: 'secret'" in event["error"]
        assert "in broken" in event["traceback"]
        assert any(event["id"] in text for text in told)
    assert not any("secret" in text or "broken" in text for text in told)
