"""LitServe's model, in a module that its worker processes can import."""

from __future__ import annotations

from typing import Any

import litserve as ls

from overhead.frameworks import answer


class Simple(ls.LitAPI):
    """Adds and subtracts."""

    def setup(self, device: str) -> None:
        """Do nothing: there is nothing to load."""

    def predict(self, record: Any) -> dict[str, list[int]]:
        """Answer one request."""
        return answer(record["a"], record["b"])
