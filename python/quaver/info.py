"""What `quaver info` tells."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np


def info() -> dict[str, Any]:
    """Describe this build and this machine.

    Returns
    -------
    dict
        version, cpu, isas (all that this CPU has), isa (the one in use), threads (that this
        process may use), compiler, build, python, numpy.
    """
    from quaver import _core  # noqa: PLC0415 -- conversion alone does without the extension

    return {
        **_core.info(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def describe() -> str:
    """`info` as lines for people."""
    facts = info()
    facts["isas"] = ", ".join(facts["isas"])
    labels = {
        "version": "Quaver",
        "cpu": "CPU",
        "isas": "instruction sets",
        "isa": "in use",
        "threads": "threads",
        "compiler": "compiler",
        "build": "build",
        "python": "Python",
        "numpy": "NumPy",
    }
    width = max(map(len, labels.values()))
    return "\n".join(f"{label:<{width}}  {facts[key]}" for key, label in labels.items())
