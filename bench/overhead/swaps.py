"""What clients see of versions exchanged every 200 ms, bad ones among them, next to quiet times."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from quaver import table
from serving import Server
from test_serve_swaps import Publisher, finish, load

_HEADERS = ["64 clients", "answers/s", "p50 ms", "p99 ms", "versions", "failed", "mixed"]
_CLIENTS = 64
_EVERY = 0.2  # seconds
_SECONDS = 4.0  # of each measurement: versions take a while
_ROUNDS = 5
BOUND = 2.0  # of the 99th percentile, as a multiple of the quiet one


def measured() -> tuple[str, list[str]]:
    """A table of both, in turn, and the ratio of their 99th percentiles; then what is broken."""
    with tempfile.TemporaryDirectory() as folder:
        publisher = Publisher(Path(folder))
        with Server(publisher.root, "--linger", "0", "--settle", "0.2") as server:
            turns = [(_asked(server, None), _asked(server, publisher)) for _ in range(_ROUNDS)]
    rows = [_row(title, [turn[at] for turn in turns])
            for at, title in enumerate(("quiet", "exchanges"))]  # fmt: skip
    ratio = statistics.median(busy["p99"] / quiet["p99"] for quiet, busy in turns)
    broken = []
    if ratio > BOUND:
        broken.append(f"exchanges: the 99th percentile is {ratio:.2f} of the quiet one")
    if lost := [busy["counts"] for _, busy in turns if {"failed", "mixed"} & busy["counts"].keys()]:
        broken.append(f"exchanges: requests failed or were mixed: {lost}")
    text = table.render(_HEADERS, rows, right=range(1, 7))
    return f"{text}\np99 {ratio:.2f} of the quiet one; at most {BOUND:g}", broken


def _asked(server: Server, publisher: Publisher | None) -> dict[str, Any]:
    process = load(server.http, _CLIENTS, _SECONDS)
    end = time.monotonic() + _SECONDS
    while publisher is not None and time.monotonic() < end:
        publisher.next()
        time.sleep(_EVERY)
    return finish(process, _SECONDS + 60)


def _row(title: str, results: list[dict[str, Any]]) -> list[str]:
    times = [statistics.median(result[key] for result in results) for key in ("p50", "p99")]
    counts = {key: sum(r["counts"].get(key, 0) for r in results) for key in ("failed", "mixed")}
    rate = statistics.median(result["counts"]["ok"] for result in results) / _SECONDS
    versions = len(set().union(*(result["versions"] for result in results)))
    cells = [f"{time * 1e3:.2f}" for time in times]
    return [title, f"{rate:.0f}", *cells, str(versions), str(counts["failed"]),
            str(counts["mixed"])]  # fmt: skip
