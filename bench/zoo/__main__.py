"""Print the paths of models, building those that are missing: ``python -m zoo NAME...``."""

from __future__ import annotations

import argparse

from zoo.cache import NAMES, path


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m zoo", description=__doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", choices=NAMES, help=", ".join(NAMES))
    parser.add_argument(
        "--batch",
        type=lambda text: None if text == "N" else int(text),
        default=1,
        help="images per run, or N for a symbolic dimension (default: 1)",
    )
    arguments = parser.parse_args()
    for name in arguments.names:
        print(path(name, arguments.batch))


if __name__ == "__main__":
    main()
