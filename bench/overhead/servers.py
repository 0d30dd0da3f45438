"""The servers that are measured, each a process of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from overhead import clients, environments
from overhead.clients import Figures

FOLDER = Path(__file__).parents[1]
_START_SECONDS = 120
core: int | None = None
"""The only core that servers may run on, where there is such a one."""

Load = Callable[[int, int, float], Figures]
Probe = Callable[[int, int, float], object]
"""Asks a server; fails where it does not answer yet."""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def quaver(root: Path, rest: int, rpc: int, *flags: str) -> list[str]:
    """The command of Quaver's server."""
    where = ["--host", "127.0.0.1", "--http", str(rest), "--grpc", str(rpc), "--linger", "0"]
    return [sys.executable, "-m", "quaver", "serve", str(root), *where, *flags]


def limit(name: str, port: int, *model: str) -> list[str]:
    """The command of what Quaver is built of, alone (`limits`)."""
    return [sys.executable, "-m", "overhead.limits", name, str(port), *model]


def framework(name: str, port: int) -> list[str]:
    """The command of a serving framework, in its own environment."""
    return [str(environments.python_of(name)), "-m", "overhead.frameworks", name, str(port)]


@contextmanager
def running(command: list[str], port: int, probe: Probe = clients.rest) -> Iterator[int]:
    """A server, from when it answers; give its process."""
    process = subprocess.Popen(
        command if core is None else ["taskset", "-c", str(core), *command],
        cwd=FOLDER,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(process, port, probe)
        yield process.pid
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):  # processes of its own that outlive it
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, probe: Probe) -> None:
    end = time.monotonic() + _START_SECONDS
    while not _answers(port, probe):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{process.args} gives no answer")
        time.sleep(0.01)


def _answers(port: int, probe: Probe) -> bool:
    try:
        probe(port, 1, 0.5)
    except (OSError, AssertionError, ValueError):
        return False
    return True
