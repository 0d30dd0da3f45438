"""Versions compiled aside: made once, kept for all who ask, forgotten when told."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import quaver
from quaver.serve.models.compiler import Compiler
from quaver.serve.models.folder import Source, scan
from serving import compiled, put, simple


def made(root: Path, data: bytes) -> tuple[Compiler, Source]:
    put(root, "simple", 1, data, "model.onnx")
    source = scan(root)["simple"][1]
    done = threading.Event()
    compiler = Compiler(done.set)
    assert compiler.get(source) is None
    assert done.wait(120)
    return compiler, source


def test_every_delta_may_ask_for_the_same_base(tmp_path: Path) -> None:
    compiler, source = made(tmp_path, simple(1).SerializeToString())
    assert compiler.get(source) == compiled(simple(1))
    assert compiler.get(source) == compiled(simple(1))
    compiler.keep({source})
    assert compiler.get(source) is not None
    compiler.keep(set())
    assert compiler.get(source) is None


def test_what_cannot_be_compiled_says_why(tmp_path: Path) -> None:
    compiler, source = made(tmp_path, b"no model")
    with pytest.raises(quaver.Error) as refused:
        compiler.get(source)
    assert str(refused.value).count(str(source.file)) == 1
