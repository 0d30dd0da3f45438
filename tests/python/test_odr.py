"""Kernel objects leave nothing for the linker to pick.

A weak symbol (an inline function, a template) in an object compiled for AVX-512 may be the copy
that the linker keeps for the whole library, and then crashes an older CPU.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BUILD = os.environ.get("QUAVER_BUILD_DIR")
OBJECTS = sorted(Path(BUILD).glob("**/csrc/kernels/**/*_*.cc.o")) if BUILD else []
OBJECTS = [path for path in OBJECTS if path.name.startswith(("x86_", "arm_"))]


def _weak(path: Path) -> list[str]:
    listing = subprocess.run(
        ["nm", "--demangle", "--defined-only", path], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(maxsplit=2) for line in listing.splitlines()]
    return [name for _, kind, name in rows if kind in "WwVvu"]


@pytest.mark.skipif(not BUILD, reason="QUAVER_BUILD_DIR names no build; `make test` does")
def test_there_are_kernel_objects() -> None:
    assert OBJECTS


@pytest.mark.skipif(shutil.which("nm") is None, reason="there is no nm")
@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_no_weak_symbols(path: Path) -> None:
    assert _weak(path) == []


@pytest.mark.skipif(shutil.which("nm") is None, reason="there is no nm")
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
def test_a_weak_symbol_is_seen(tmp_path: Path) -> None:
    source = tmp_path / "x86_weak.cc"
    source.write_text(
        "template <class T> T twice(T x) { return x + x; }\ntemplate int twice(int);\n"
    )
    subprocess.run(["g++", "-c", source, "-o", tmp_path / "x86_weak.o"], check=True)
    assert _weak(tmp_path / "x86_weak.o")
