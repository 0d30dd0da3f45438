"""Requests made up from the OpenAPI document: no server error, no undocumented answer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from serving import Server, compiled, put, simple

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_schema_conformance", "unsupported_method",
)  # fmt: skip


def test_made_up_requests(tmp_path: Path) -> None:
    put(tmp_path, "simple", 1, compiled(simple()))
    with Server(tmp_path, "--linger", "0", "--no-rpc") as server:
        url = f"http://127.0.0.1:{server.http}/openapi.json"
        command = [
            sys.executable, "-m", "schemathesis.cli", "run", url, "--checks", ",".join(CHECKS),
            "--max-examples", "10", "--seed", "1", "--phases", "examples,coverage,fuzzing",
            "--warnings", "off", "--generation-database", "none",
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=400, cwd=tmp_path
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        assert "test cases" in done.stdout or "passed" in done.stdout, done.stdout[-2000:]
        assert server.process.poll() is None
        assert not server.event("bug"), server.event("bug")
        assert server.post("/v2/repository/models/simple/load")[0] == 200
        assert server.version() == 1
