"""Tokens that requests must bear."""

from __future__ import annotations

import hmac
from pathlib import Path

from quaver.errors import FileError, InputError


class Tokens:
    """The tokens of a file, one a line. Without a file, everybody is welcome."""

    def __init__(self, path: Path | None) -> None:
        self.open = path is None
        self._tokens: list[bytes] = []
        if path is not None:
            try:
                lines = path.read_text().split()
            except OSError as error:
                raise FileError(f"cannot read '{path}': {error.strerror}") from error
            if not lines:
                raise InputError(f"token_file: '{path}' has no token; write one a line")
            self._tokens = [line.encode() for line in lines]

    def accept(self, header: str) -> bool:
        """Whether an Authorization header bears one of them. The time it takes tells nothing."""
        scheme, _, given = header.partition(" ")
        token = given.strip().encode("utf-8", "surrogateescape")
        known = [hmac.compare_digest(token, each) for each in self._tokens]
        return self.open or (scheme.lower() == "bearer" and any(known))
