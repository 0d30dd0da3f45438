"""The tables of docs/serve.md, made of the settings' schema; ``--write`` brings them up to date."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from pydantic import BaseModel

PAGE = Path(__file__).parents[2] / "docs" / "serve.md"
_TABLE = re.compile(r"(\| setting \| default \| what \|\n\| --- \| --- \| --- \|\n)(?:\|.*\n)*")


def rows(model: type[BaseModel]) -> str:
    lines = []
    for name, field in model.model_fields.items():
        if field.is_required():
            default = "required"
        elif isinstance(field.default, BaseModel) or field.default in (None, {}):
            default = "–"
        else:
            default = f"`{str(field.default).lower()}`"
        lines.append(f"| `{name}` | {default} | {field.description} |\n")
    return "".join(lines)


def page(text: str) -> str:
    from quaver.serve.settings import ModelSettings, Settings

    tables = iter((rows(Settings), rows(ModelSettings)))
    return _TABLE.sub(lambda found: found[1] + next(tables), text)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page(PAGE.read_text()))
