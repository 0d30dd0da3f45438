"""The protocol's trace and logging settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quaver.serve import logs
from quaver.serve.errors import bad_request, shown

_TRACE: dict[str, list[str]] = {
    "trace_level": ["OFF"],
    "trace_rate": ["1000"],
    "trace_count": ["-1"],
    "log_frequency": ["0"],
    "trace_file": [""],
    "trace_mode": ["quaver"],
}
_LEVELS = {"OFF", "TIMESTAMPS", "TENSORS"}
_FIXED = {"trace_file", "trace_mode"}
_NUMBERS = {"trace_rate", "trace_count", "log_frequency"}


class Tracing:
    """Trace settings: the server's, and those of models that have their own.

    A traced request is an event in the log, with the times of its stages.
    """

    def __init__(self) -> None:
        self._server = {key: list(value) for key, value in _TRACE.items()}
        self._models: dict[str, dict[str, list[str]]] = {}
        self._seen = 0
        self.active = False

    def get(self, model: str = "") -> dict[str, Any]:
        """The settings as the protocol has them: levels as a list, all else as a text."""
        own = self._models.get(model, {})
        merged = {**self._server, **own}
        return {k: v if k == "trace_level" else v[0] for k, v in merged.items()}

    def update(self, model: str, changes: Mapping[str, Any]) -> None:
        """Change settings; None or an empty list goes back to what was before.

        Raises
        ------
        ServeError
            400, if there is no such setting, or it has another kind of value.
        """
        checked = {key: _checked(key, value) for key, value in changes.items()}
        if model:
            target, fallback = self._models.setdefault(model, {}), None
        else:
            target, fallback = self._server, _TRACE
        for key, value in checked.items():
            if value is not None:
                target[key] = value
            elif fallback is not None:
                target[key] = list(fallback[key])
            else:
                target.pop(key, None)
        every = [self._server, *self._models.values()]
        self.active = any("TIMESTAMPS" in s.get("trace_level", ()) for s in every)

    def wants(self, model: str) -> bool:
        """Whether to trace the request that came just now."""
        settings = {**self._server, **self._models.get(model, {})}
        if "TIMESTAMPS" not in settings["trace_level"] or settings["trace_count"] == ["0"]:
            return False
        self._seen += 1
        if (self._seen - 1) % max(1, int(settings["trace_rate"][0])):
            return False
        left = int(settings["trace_count"][0])
        if left > 0:
            place = self._models[model] if "trace_count" in self._models.get(model, {}) else None
            (self._server if place is None else place)["trace_count"] = [str(left - 1)]
        return True


def _checked(key: str, value: Any) -> list[str] | None:
    if key not in _TRACE:
        raise bad_request(f"there is no trace setting {key!r}; there are {', '.join(_TRACE)}")
    if value is None or value == []:
        return None
    given = value if isinstance(value, list) else [value]
    values = [each if isinstance(each, str) else shown(each) for each in given]
    if key in _FIXED and values != _TRACE[key]:
        raise bad_request(f"trace setting {key!r} cannot be changed: traces go to the log")
    if key == "trace_level" and not set(values) <= _LEVELS:
        raise bad_request(f"trace_level: expected some of {', '.join(sorted(_LEVELS))}")
    if key in _NUMBERS and not (len(values) == 1 and _is_number(values[0])):
        raise bad_request(f"trace setting {key!r}: expected an integer, got {shown(value)}")
    return values


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) < 12


def log_settings() -> dict[str, Any]:
    """The logging settings as the protocol has them."""
    return {
        "log_file": "",
        "log_info": logs.enabled("info"),
        "log_warning": logs.enabled("warning"),
        "log_error": True,
        "log_verbose_level": int(logs.enabled("debug")),
        "log_format": "json",
    }


def update_log_settings(changes: Mapping[str, Any]) -> None:
    """Change what is logged.

    Raises
    ------
    ServeError
        400, if there is no such setting, it has another kind of value, or it cannot be changed.
    """
    now = log_settings()
    for key, value in changes.items():
        if key not in now:
            raise bad_request(f"there is no log setting {key!r}; there are {', '.join(now)}")
        if type(value) is not type(now[key]):
            raise bad_request(f"log setting {key!r}: expected as {now[key]!r}, got {shown(value)}")
        if key in ("log_file", "log_format", "log_error") and value != now[key]:
            raise bad_request(f"log setting {key!r} cannot be changed; it is {now[key]!r}")
    now |= changes
    if now["log_verbose_level"]:
        logs.set_level("debug")
    else:
        logs.set_level("info" if now["log_info"] else "warning" if now["log_warning"] else "error")
