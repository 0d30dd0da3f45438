"""What serving costs: `python -m overhead` in bench/."""

import sys
from pathlib import Path

# The clients and models of the server's tests.
sys.path.append(str(Path(__file__).parents[2] / "tests" / "python"))
