"""Who asks: one client, or several."""

from __future__ import annotations

_AWHILE = 100_000_000  # nanoseconds


class Callers:
    """Tells whether only one client asks for now."""

    def __init__(self) -> None:
        self.last: object = None
        """Who asked last; None for several."""
        self._since = 0

    def came(self, client: object, now: int) -> None:
        """Take note of a request.

        Parameters
        ----------
        client
            Whose it is; None for one that may ask more at the same time.
        now
            When it came, in nanoseconds.
        """
        if client != self.last:
            self.last = client
            self._since = now

    def only_one(self, now: int) -> bool:
        """Whether for a while nobody asked but one client, one request after another."""
        return self.last is not None and now - self._since > _AWHILE
