"""Tables and units for the terminal."""

from __future__ import annotations

from collections.abc import Sequence


def render(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Set rows in columns under a header; the columns in `right` are flush right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])


def size(count: int) -> str:
    """Bytes as people read them: 512 B, 12.3 kB, 4.56 MB."""
    return _scaled(count, "B")


def number(count: int) -> str:
    """A large count as people read it: 512, 12.3 k, 4.56 M."""
    return _scaled(count, "")


def _scaled(count: int, unit: str) -> str:
    value = float(count)
    for prefix in ("", "k", "M", "G"):
        if value < 1000 or prefix == "G":
            break
        value /= 1000
    text = str(count) if not prefix else f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return f"{text} {prefix}{unit}".rstrip()


def shape(dims: Sequence[int | None]) -> str:
    """A shape as 1x3x224x224, with ? for an open dimension."""
    return "x".join("?" if dim is None else str(dim) for dim in dims) or "scalar"
