"""Existing clients, untouched: their whole surface, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving import Server, compiled, put, simple

CLIENTS = Path(__file__).parent / "clients"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("models")
    put(root, "simple", 1, compiled(simple()))
    with Server(root, "--linger", "0") as server:
        yield server


@pytest.mark.parametrize("client", sorted(path.stem for path in CLIENTS.glob("[!_]*.py")))
def test_client(server: Server, client: str) -> None:
    ports = [str(server.http), str(server.grpc)]
    done = subprocess.run(
        [sys.executable, str(CLIENTS / f"{client}.py"), *ports],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith("done")
    assert not server.event("bug"), server.events[-3:]
