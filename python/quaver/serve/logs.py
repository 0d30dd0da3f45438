"""Logs: one JSON object a line, on standard error."""

from __future__ import annotations

import sys
import time
from typing import Any

import orjson

LEVELS = ("debug", "info", "warning", "error")
_threshold = 1


def set_level(level: str) -> None:
    """Leave out what is below a level."""
    global _threshold  # noqa: PLW0603 -- one server, one log
    _threshold = LEVELS.index(level)


def level() -> str:
    """The lowest level that is written."""
    return LEVELS[_threshold]


def enabled(name: str) -> bool:
    """Whether a level is written."""
    return LEVELS.index(name) >= _threshold


def event(level: str, event: str, **fields: Any) -> None:
    """Write an event."""
    if LEVELS.index(level) >= _threshold:
        record = {"time": time.time(), "level": level, "event": event, **fields}
        sys.stderr.write(orjson.dumps(record, default=str).decode() + "\n")
        sys.stderr.flush()
