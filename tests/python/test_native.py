"""Every native test, as a case of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

BUILD = os.environ.get("QUAVER_BUILD_DIR")
BINARY = Path(BUILD, "quaver_tests") if BUILD else None


def _names() -> list[str]:
    if BINARY is None:
        return []
    listing = subprocess.run([BINARY, "--list"], capture_output=True, text=True, check=True)
    return listing.stdout.split()


NAMES = _names()


@pytest.mark.skipif(BINARY is None, reason="QUAVER_BUILD_DIR names no build; `make test` does")
def test_there_are_native_tests() -> None:
    assert len(NAMES) > 50


@pytest.mark.parametrize("name", NAMES)
def test_native(name: str) -> None:
    done = subprocess.run(
        [BINARY, name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
