"""Print requirements that pyproject.toml lists: those to build with, or an extra's.

An extra's come with the package's own, so that they can be installed before it is built.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def build_requirements(pyproject: dict[str, Any]) -> list[str]:
    """What builds the package."""
    return list(pyproject["build-system"]["requires"])


def extra_requirements(pyproject: dict[str, Any], extra: str) -> list[str]:
    """What an extra asks for, extras within it resolved, after the package's own."""
    project = pyproject["project"]
    requirements: list[str] = list(project["dependencies"])
    for requirement in project["optional-dependencies"][extra]:
        if requirement.startswith("quaver["):
            requirements += extra_requirements(pyproject, requirement[len("quaver[") : -1])
        else:
            requirements.append(requirement)
    return list(dict.fromkeys(requirements))


def main() -> None:
    """Print the requirements, one a line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", help="build-system, or the name of an extra")
    what = parser.parse_args().what
    pyproject = tomllib.loads(PYPROJECT.read_text())
    if what == "build-system":
        print("\n".join(build_requirements(pyproject)))
    else:
        print("\n".join(extra_requirements(pyproject, what)))


if __name__ == "__main__":
    main()
