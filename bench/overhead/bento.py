"""BentoML's service, in a module that its worker processes can import."""

from __future__ import annotations

import bentoml

from overhead.frameworks import answer


@bentoml.service(workers=1, metrics={"enabled": False}, logging={"access": {"enabled": False}})
class Simple:
    """Adds and subtracts."""

    @bentoml.api
    def predict(self, a: list[int], b: list[int]) -> dict[str, list[int]]:
        """Answer one request."""
        return answer(a, b)
