"""Progress on stderr for what takes more than two seconds; silent where nobody watches."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

_PATIENCE = 2.0  # seconds before anything is shown
_WIDTH = 30


def track(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Yield the items, drawing a bar that says how far they are and how long is left."""
    line = _Line()
    try:
        for done, item in enumerate(items):
            if done:
                filled = _WIDTH * done // total
                left = line.elapsed() * (total - done) / done
                bar = "#" * filled + "." * (_WIDTH - filled)
                line.draw(f"{label} [{bar}] {done}/{total}, {left:.0f} s left")
            yield item
    finally:
        line.clear()


def wait(function: Callable[[], T], label: str) -> T:
    """Call the function, showing the time it takes; Ctrl-C ends the wait at once.

    The function runs in a thread of its own, so that the native code in it does not keep
    Python from seeing the interrupt.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def call() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=call, daemon=True)
    line = _Line()
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.1)
            line.draw(f"{label} ... {line.elapsed():.0f} s")
    finally:
        line.clear()
    if errors:
        raise errors[0]
    return results[0]


class _Line:
    """The line being redrawn."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._drawn = 0
        self._shown = sys.stderr.isatty()

    def elapsed(self) -> float:
        return time.monotonic() - self._start

    def draw(self, text: str) -> None:
        if self._shown and self.elapsed() > _PATIENCE:
            sys.stderr.write("\r" + text.ljust(self._drawn))
            sys.stderr.flush()
            self._drawn = len(text)

    def clear(self) -> None:
        if self._drawn:
            sys.stderr.write("\r" + " " * self._drawn + "\r")
            sys.stderr.flush()
            self._drawn = 0
