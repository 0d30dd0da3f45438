"""Memory for the bodies of requests, which is bounded for all of them together."""

from __future__ import annotations

from quaver.serve.errors import ServeError


class Room:
    """Bytes of all bodies that are held at a time.

    Parameters
    ----------
    most
        How many.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    @property
    def held(self) -> int:
        """Bytes that are held."""
        return self._held

    def take(self, size: int) -> None:
        """Hold so many more.

        Raises
        ------
        ServeError
            503, if there is no room for them.
        """
        if self._held + size > self._most:
            raise ServeError(503, "there is no room for the request's body: try again later")
        self._held += size

    def give(self, size: int) -> None:
        """Hold so many no longer."""
        self._held -= size
