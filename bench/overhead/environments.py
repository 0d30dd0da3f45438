"""Environments of serving frameworks: their dependencies agree neither with ours nor theirs."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "peers"
PACKAGES = {
    "mlserver": "mlserver>=1.7",
    "litserve": "litserve>=0.2.16",
    "bentoml": "bentoml>=1.4",
    "ray": "ray[serve]>=2.40",
}


def python_of(name: str) -> Path:
    """The interpreter of a framework's environment; made, from PyPI, when it is first asked for.

    Raises
    ------
    subprocess.CalledProcessError
        If it cannot be installed.
    """
    folder = FOLDER / name
    python, done = folder / "bin" / "python", folder / "installed"
    if not done.exists():
        print(f"installing {PACKAGES[name]} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        command = [python, "-m", "pip", "install", "--quiet", PACKAGES[name]]
        subprocess.run(command, check=True)
        done.touch()
    return python
