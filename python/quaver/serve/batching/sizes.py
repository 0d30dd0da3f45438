"""How many rows requests are gathered to.

Each number of rows needs a plan of its own, which takes time to make. So there are few: powers of
two and the limit, made ready before a version serves.
"""

from __future__ import annotations

from collections.abc import Sequence


def batch_sizes(limit: int) -> list[int]:
    """The numbers of rows up to a limit, in ascending order."""
    sizes = [1]
    while sizes[-1] * 2 <= limit:
        sizes.append(sizes[-1] * 2)
    return sizes if sizes[-1] == limit else [*sizes, limit]


def choices(rows: Sequence[int], sizes: Sequence[int]) -> list[tuple[int, int]]:
    """How many of the waiting requests, from the first, could run together, and their rows.

    The first alone, and as many as make up one of the sizes.

    Parameters
    ----------
    rows
        Of each waiting request, in order.
    sizes
        In ascending order.
    """
    found, total = [(1, rows[0])], rows[0]
    for count, more in enumerate(rows[1:], 2):
        total += more
        if total > sizes[-1]:
            break
        if total in sizes:
            found.append((count, total))
    return found
