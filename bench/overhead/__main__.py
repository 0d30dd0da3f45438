"""Overhead and throughput on loopback, next to what the frameworks alone can do."""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from overhead import clients
from quaver import table

FOLDER = Path(__file__).parents[1]
WAYS = {
    "quaver, REST": ("quaver", clients.rest),
    "Starlette alone": ("starlette", clients.rest),
    "quaver, gRPC": ("quaver", clients.rpc),
    "grpc.aio alone": ("grpc.aio", clients.rpc),
}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server, from when it listens."""
    process = subprocess.Popen(command, cwd=FOLDER, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise
                time.sleep(0.02)
        time.sleep(0.3)
        yield process
    finally:
        process.terminate()
        process.wait()


def command_of(server: str, root: Path, rest: int, rpc: int) -> list[str]:
    """What starts a server."""
    if server == "quaver":
        flags = ["--host", "127.0.0.1", "--http", str(rest), "--grpc", str(rpc), "--linger", "0"]
        return [sys.executable, "-m", "quaver", "serve", str(root), *flags]
    port = rpc if server == "grpc.aio" else rest
    return [sys.executable, "-m", "overhead.peers", server, str(port)]


def main() -> None:
    """Measure all ways in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--clients", default="1,16,64")
    arguments = parser.parse_args()
    from serving import compiled, put, simple  # noqa: PLC0415 -- of the tests

    rows = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        put(root, "simple", 1, compiled(simple(1)))
        for name, (server, load) in WAYS.items():
            rest, rpc = free_port(), free_port()
            port = rpc if load is clients.rpc else rest
            with running(command_of(server, root, rest, rpc), port):
                for count in map(int, arguments.clients.split(",")):
                    f = load(port, count, arguments.seconds)
                    cells = [f"{f.rate:.0f}", f"{f.p50 * 1e3:.3f}", f"{f.p99 * 1e3:.3f}"]
                    rows.append([name, str(count), *cells])
    headers = ["server", "clients", "answers/s", "p50 ms", "p99 ms"]
    print(table.render(headers, rows, right=range(1, 5)))


if __name__ == "__main__":
    main()
