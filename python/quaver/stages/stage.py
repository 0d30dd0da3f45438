"""One stage of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from onnx import ModelProto


class Runs(Protocol):
    """What a stage does: give its outputs for its inputs, both in order."""

    kind: str

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Run once."""


class Stage(NamedTuple):
    """One stage of a model, and where it takes its inputs from and leaves its outputs."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    runs: Runs
    model: ModelProto
    reasons: Mapping[str, str]
    """Why its nodes are not native, by their names."""
    note: str = ""
    """Why native nodes are in it all the same."""


def stage_of(
    model: ModelProto, runs: Runs, reasons: Mapping[str, str] | None = None, note: str = ""
) -> Stage:
    """Make the stage that runs a model: all of its inputs that are not weights, all its outputs."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(info.name for info in model.graph.input if info.name not in weights)
    outputs = tuple(info.name for info in model.graph.output)
    return Stage(inputs, outputs, runs, model, reasons or {}, note)
