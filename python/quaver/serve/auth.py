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
                self._tokens = path.read_bytes().split()
            except OSError as error:
                raise FileError(f"cannot read '{path}': {error.strerror}") from error
            if not self._tokens:
                raise InputError(f"token_file: '{path}' has no token; write one a line")

    def accept(self, header: bytes) -> bool:
        """Whether an Authorization header bears one of them. The time it takes tells nothing."""
        scheme, _, given = header.partition(b" ")
        known = [hmac.compare_digest(given.strip(), each) for each in self._tokens]
        return self.open or (scheme.lower() == b"bearer" and any(known))
