"""What the sections of the report page share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int]) -> str:
    """An HTML table; the columns in `right` are numbers."""

    def row(cells: Sequence[str], tag: str) -> str:
        return "".join(
            f"<{tag}{' class=n' if i in right else ''}>{escape(cell)}</{tag}>"
            for i, cell in enumerate(cells)
        )

    body = "".join(f"<tr>{row(cells, 'td')}</tr>" for cells in rows)
    return f"<table><tr>{row(header, 'th')}</tr>{body}</table>"


def milliseconds(value: float) -> str:
    """To microseconds, or to three digits below a tenth."""
    return f"{value:.3f}" if value >= 0.1 else f"{value:.3g}"
