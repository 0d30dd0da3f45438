"""How soon a server answers, and how much memory it then has."""

from __future__ import annotations

import http.client
import statistics
import time
from pathlib import Path

from overhead import servers
from quaver import table

MOST_SECONDS = 0.6
MOST_MEGABYTES = 125
_ROUNDS = 5


def measured(root: Path) -> tuple[str, list[str]]:
    """A table of the medians; then what bounds are broken."""
    times, sizes = zip(*[_start(root) for _ in range(_ROUNDS)], strict=True)
    seconds, megabytes = statistics.median(times), statistics.median(sizes)
    broken = []
    if seconds > MOST_SECONDS or megabytes > MOST_MEGABYTES:
        broken.append(f"start: {seconds:.2f} s, {megabytes:.0f} MB")
    row = [f"{seconds:.2f}", f"{megabytes:.0f}"]
    return table.render(["ready after s", "MB"], [row], right=range(2)), broken


def _start(root: Path) -> tuple[float, float]:
    rest, rpc = servers.free_port(), servers.free_port()
    seconds: list[float] = []

    def ready(port: int, *_: float) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/v2/health/ready")
        if connection.getresponse().status != 200:
            raise ConnectionError("not ready")
        seconds.append(time.perf_counter() - start)

    start = time.perf_counter()
    with servers.running(servers.quaver(root, rest, rpc), rest, ready) as pid:
        text = Path(f"/proc/{pid}/status").read_text()
    return seconds[0], int(text.split("VmRSS:")[1].split()[0]) / 1000
