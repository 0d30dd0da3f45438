"""The command `quaver` as a module: ``python -m quaver``."""

from quaver.cli import main

main()
