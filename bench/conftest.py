"""What the benchmarks share: import paths, and the tables at the end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tables


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the ratios to peers and the parts of the measured peak."""
    terminalreporter.write_line("\n" + tables.render())
