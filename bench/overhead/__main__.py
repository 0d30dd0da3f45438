"""Overhead and throughput on loopback, next to frameworks alone and to other servers."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from overhead import clients, environments, network, servers, start, swaps
from overhead.clients import Figures
from overhead.servers import Load
from quaver import table
from serving import compiled, put, simple  # of the tests


class Rival(NamedTuple):
    """A server that ours is measured in turn with."""

    title: str
    name: str
    ours: Load
    theirs: Load
    least: Mapping[int, float] = MappingProxyType({})
    """By clients, what our answers must be of theirs."""


# A limit is met within what the same server differs by when it is started again.
RIVALS = (
    Rival("Starlette alone", "starlette", clients.rest, clients.rest),
    Rival("grpc.aio alone", "grpc.aio", clients.rpc, clients.rpc, dict.fromkeys((1, 16, 64), 0.95)),
    Rival(
        "grpc.aio, plain", "grpc.aio-plain", clients.rpc, clients.rpc, dict.fromkeys((1, 16, 64), 1)
    ),
    Rival("MLServer", "mlserver", clients.rest, clients.rest_json, {16: 3.5, 64: 3.5}),
    Rival("LitServe", "litserve", clients.rest, clients.plain_json),
    Rival("BentoML", "bentoml", clients.rest, clients.plain_json),
    Rival("Ray Serve", "ray", clients.rest, clients.plain_json),
)
_MOST_ALONE = 0.25e-3  # seconds at the median of one client, over REST
_HEADERS = ["server", "clients", "answers/s", "p50 ms", "p99 ms", "ours / theirs", "95 %"]


def main() -> None:
    """Measure and print tables; fail where a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=15, help="in which servers take turns")
    parser.add_argument("--clients", default="1,16,64")
    names = [rival.name for rival in RIVALS]
    parser.add_argument(
        "--rivals", default=",".join(names), help=f"some of {', '.join(names)}; empty for none"
    )
    parser.add_argument(
        "--apart", action="store_true", help="servers on one core, clients on another: less noise"
    )
    parser.add_argument(
        "--network",
        nargs="*",
        metavar="ISA",
        help="EfficientNet-Lite0, served and not; then all of it held to each of these",
    )
    parser.add_argument("--swaps", action="store_true", help="versions exchanged under load")
    parser.add_argument("--start", action="store_true", help="time and memory of a start")
    arguments = parser.parse_args()
    counts = [int(count) for count in arguments.clients.split(",")]
    chosen = [rival for rival in RIVALS if rival.name in arguments.rivals.split(",")]
    rows: list[list[str]] = []
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        put(root, "simple", 1, compiled(simple(1)))
        if arguments.apart:
            servers.core, *_, own = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {own})
        for rival in chosen:
            turns = (arguments.rounds, arguments.seconds)
            rows += _contest(root, rival, counts, turns, broken)
        if rows:
            print(table.render(_HEADERS, rows, right=range(1, 7)))
        if arguments.start:
            _show(start.measured(root), broken)
    if arguments.network is not None:
        for isa in ("", *arguments.network):
            _show(network.measured(arguments.rounds, arguments.seconds, isa), broken)
    if arguments.swaps:
        _show(swaps.measured(), broken)
    if broken:
        sys.exit("bounds that were not kept:\n  " + "\n  ".join(broken))
    print("all bounds were kept")


def _show(measured: tuple[str, list[str]], broken: list[str]) -> None:
    text, more = measured
    print(text)
    broken += more


def _contest(
    root: Path, rival: Rival, counts: list[int], turns: tuple[int, float], broken: list[str]
) -> list[list[str]]:
    """The rows of ours and a rival, both running, asked in turn; adds to what is broken.

    A bound of a ratio is broken where all of the median's interval of confidence lies below it.
    """
    rounds, seconds = turns
    rest, rpc, port = (servers.free_port() for _ in range(3))
    ours = rpc if rival.ours is clients.rpc else rest
    known = rival.name in environments.PACKAGES
    command = (servers.framework if known else servers.limit)(rival.name, port)
    title = f"Quaver, {'gRPC' if rival.ours is clients.rpc else 'REST'}"
    rows = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(servers.running(servers.quaver(root, rest, rpc), ours, rival.ours))
        stack.enter_context(servers.running(command, port, rival.theirs))
        for count in counts:
            pairs = []
            for turn in range(rounds):
                asked = {}
                for us in (turn % 2 == 0, turn % 2 == 1):  # who is asked first changes
                    load, at = (rival.ours, ours) if us else (rival.theirs, port)
                    asked[us] = load(at, count, seconds)
                pairs.append((asked[True], asked[False]))
            ratios = sorted(mine.rate / its.rate for mine, its in pairs)
            ratio, (low, high) = statistics.median(ratios), _interval(ratios)
            if high < rival.least.get(count, 0):
                broken.append(f"{rival.title}, {count} clients: {ratio:.2f} of its answers")
            alone = statistics.median(mine.p50 for mine, _ in pairs)
            if ours == rest and count == 1 and alone > _MOST_ALONE:
                broken.append(f"REST, 1 client: {alone * 1e3:.3f} ms at the median")
            rows += [
                [
                    *(title, str(count), *_cells([mine for mine, _ in pairs])),
                    *(f"{ratio:.2f}", f"{low:.2f}-{high:.2f}"),
                ],
                [rival.title, str(count), *_cells([its for _, its in pairs]), "", ""],
            ]
    return rows


def _interval(ordered: list[float]) -> tuple[float, float]:
    """Where the median of all such numbers lies, at 95 %, whatever their distribution."""
    count = len(ordered)
    at = max(0, math.floor(count / 2 - 0.98 * math.sqrt(count)))
    return ordered[at], ordered[-1 - at]


def _cells(figures: list[Figures]) -> list[str]:
    """The medians of rounds."""
    rate, p50, p99 = (statistics.median(column) for column in zip(*figures, strict=True))
    return [f"{rate:.0f}", f"{p50 * 1e3:.3f}", f"{p99 * 1e3:.3f}"]


if __name__ == "__main__":
    main()
