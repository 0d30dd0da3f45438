"""What a row of the accuracy table is: a model, its data, and how an answer is judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray

Feed: TypeAlias = dict[str, NDArray[Any]]
Answers: TypeAlias = Sequence[NDArray[Any]]
Figures: TypeAlias = dict[str, float]


@dataclass(frozen=True)
class Task:
    """A model with data to calibrate on and other data to judge by."""

    data: str
    """What is judged by, in words."""
    model: Callable[[], Path]
    """Where the float model is."""
    calibration: Callable[[], list[Feed]]
    """What every quantizer gets, one run each."""
    held_out: Callable[[], list[Feed]]
    """What no quantizer sees."""
    judge: Callable[[Answers, Answers], Figures]
    """Figures from the float model's answers to the held-out runs and another's."""
    required: Figures = field(default_factory=dict)
    """The least that figures of ours must be."""
    most: Figures = field(default_factory=dict)
    """The most that figures of ours may be."""
    kept: Callable[[NDArray[Any]], NDArray[Any]] = lambda answer: answer
    """What of an answer is judged."""
