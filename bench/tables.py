"""The tables a run of the benchmarks ends with."""

from __future__ import annotations

from quaver import table

_HEADERS = {
    "models": ["model", "threads", "runtime", "median ms", "p10 ms", "quaver / this"],
    "few bits": ["product", "threads", "runtime", "median ms", "p10 ms", "quaver / this"],
    "fallback": ["model", "threads", "runtime", "median ms", "p10 ms", "quaver / this"],
    "operators": ["operator", "quaver us", "onnxruntime us", "quaver / onnxruntime"],
    "slot": ["way", "threads", "both ns", "take", "give back", "slot / this"],
    "kernels": ["kernel", "shape", "median us", "GMAC/s", "of peak"],
}
_ROWS: dict[str, list[list[str]]] = {}


def record(title: str, *cells: str) -> None:
    """Add a row to one of the tables."""
    _ROWS.setdefault(title, []).append(list(cells))


def render() -> str:
    """Give all tables that have rows."""
    return "\n\n".join(
        f"{title}\n\n" + table.render(_HEADERS[title], rows, right=range(1, len(_HEADERS[title])))
        for title, rows in _ROWS.items()
    )
