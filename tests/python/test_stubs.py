"""The stubs of quaver._core say what the extension has: names, parameters, defaults."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import quaver
from quaver import _core

STUBS = ast.parse((Path(quaver.__file__).parent / "_core.pyi").read_text())

Member = tuple[str, Any]


def _arguments(function: ast.FunctionDef) -> list[tuple[str, str | None]]:
    """Give each parameter but self, with its default as written."""
    arguments = function.args.posonlyargs + function.args.args
    defaults: list[ast.expr | None] = list(function.args.defaults)
    padded = [None] * (len(arguments) - len(defaults)) + defaults
    pairs = [(a.arg, d and ast.unparse(d)) for a, d in zip(arguments, padded, strict=True)]
    return [pair for pair in pairs if pair[0] != "self"]


def _stub_members(body: list[ast.stmt]) -> Iterator[Member]:
    for statement in body:
        if isinstance(statement, ast.AnnAssign):
            yield ast.unparse(statement.target), "value"
        elif isinstance(statement, ast.FunctionDef):
            decorators = {ast.unparse(decorator) for decorator in statement.decorator_list}
            kind = "property" if "property" in decorators else _arguments(statement)
            yield statement.name, kind


def _real_members(owner: Any) -> Iterator[Member]:
    for name, member in vars(owner).items():
        function = getattr(member, "__func__", member)
        if name.startswith("_") and name not in ("__init__", "__getattr__"):
            continue
        if isinstance(member, property):
            yield name, "property"
        elif callable(function) and not isinstance(function, type):
            doc = function.__doc__.splitlines()[0]
            if doc.startswith(f"{name}("):  # else object's own __init__: no constructor
                yield name, _arguments(ast.parse(f"def {doc}: ...").body[0])
        elif not isinstance(member, type):
            yield name, "value"


CLASSES = [statement for statement in STUBS.body if isinstance(statement, ast.ClassDef)]


def test_module() -> None:
    assert dict(_stub_members(STUBS.body)) == dict(_real_members(_core))
    real = {name for name, member in vars(_core).items() if isinstance(member, type)}
    assert {stub.name for stub in CLASSES} == real


@pytest.mark.parametrize("stub", CLASSES, ids=lambda stub: stub.name)
def test_class(stub: ast.ClassDef) -> None:
    real = dict(_real_members(getattr(_core, stub.name)))
    assert real
    assert dict(_stub_members(stub.body)) == real
