"""Check that every source file in csrc/ includes only what its floor may see.

Run as a script: prints what breaks the rules; exit code 1 where something does.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: A folder of csrc/ sees itself and the folders of lower floors. Floors with several folders keep
#: them apart: graph/ and passes/ never see kernels/.
FLOORS: list[set[str]] = [
    {"base"},
    {"isa"},
    {"kernels", "graph"},
    {"passes", "partition"},
    {"ops"},
    {"plan"},
    {"model"},
    {"capi", "bindings"},
]
FLOOR_OF = {folder: floor for floor, folders in enumerate(FLOORS) for folder in folders}

#: Lower folders that a folder does not see all the same.
HIDDEN = {"passes": {"kernels"}, "partition": {"kernels"}}

#: Headers that are not written as a path from csrc/: the installed one, and the build's own.
SURFACE = {"capi": {"quaver.h"}}
GENERATED = {"model": {"quaver_generated.h"}}

#: What a kernel file may include of the outside world. Inline functions of any other header could
#: be compiled for a newer CPU here and be linked into code that runs on an older one.
KERNEL_SYSTEM = {"cstddef", "cstdint", "immintrin.h", "arm_neon.h"}

_INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)
_KERNEL_ISA = re.compile(r"^(x86|arm)_\w+\.cc$")


def includes(text: str) -> Iterator[tuple[str, bool]]:
    """Give each included name, and whether it is the system's."""
    for bracket, name in _INCLUDE.findall(text):
        yield name, bracket == "<"


def violations(csrc: Path) -> list[str]:
    """Give a sentence for every include that breaks the rules, by file."""
    found = []
    for path in sorted([*csrc.rglob("*.h"), *csrc.rglob("*.cc"), *csrc.rglob("*.def")]):
        file = path.relative_to(csrc)
        if file.parts[0] == "include":
            continue
        if file.parts[0] not in FLOOR_OF:
            found.append(f"{file}: the folder is on no floor")
            continue
        found += _floor_violations(csrc, file)
        if file.parts[0] == "kernels" and _KERNEL_ISA.match(file.name):
            found += _kernel_violations(csrc, file)
    return found


def _floor_violations(csrc: Path, file: Path) -> Iterator[str]:
    folder = file.parts[0]
    for name, system in includes((csrc / file).read_text()):
        if system or name in SURFACE.get(folder, ()) or name in GENERATED.get(folder, ()):
            continue
        other = name.split("/")[0]
        if other not in FLOOR_OF or not (csrc / name).exists():
            yield f"{file}: includes {name}: no such file in csrc/; write paths from there"
        elif other != folder and (
            FLOOR_OF[other] >= FLOOR_OF[folder] or other in HIDDEN.get(folder, ())
        ):
            yield f"{file}: includes {name}: {folder}/ does not see {other}/"


def _kernel_violations(csrc: Path, file: Path) -> Iterator[str]:
    """Follow a kernel file's includes to the end."""
    seen: set[str] = set()
    left = [str(file)]
    while left:
        here = left.pop()
        if here in seen or not (csrc / here).exists():
            continue
        seen.add(here)
        for name, system in includes((csrc / here).read_text()):
            if system and name not in KERNEL_SYSTEM:
                allowed = ", ".join(sorted(KERNEL_SYSTEM))
                yield f"{file}: {here} includes {name}: a kernel sees only {allowed}"
            elif not system and not name.startswith(("kernels/", "isa/")):
                yield f"{file}: {here} includes {name}: a kernel sees only kernels/ and isa/"
            elif not system:
                left.append(name)


def main() -> int:
    """Print all violations; give the exit code."""
    found = violations(ROOT / "csrc")
    print("\n".join(found) if found else "floors: clean")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
