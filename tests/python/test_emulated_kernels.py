"""The products' AVX-512 and AVX-VNNI kernels, on a CPU that has neither.

SIMDe spells each intrinsic in AVX2; the kernels' own native tests then run all of them. Where the
CPU has the sets, `quaver_tests` has run the real ones already.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAMILIES = ("gemm", "depthwise")
SIMDE = Path("/usr/include/simde/x86/avx512.h")
COMPILE = ["g++", "-std=c++20", "-O2", "-ffp-contract=off", "-DQUAVER_EMULATED", "-c"]
# The wide types pass through memory here, which the compiler notes (psabi).
WIDE = ["-isystem", ROOT / "tests/cpp/emulated", "-mavx2", "-mfma", "-mf16c", "-Wno-psabi"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SIMDE.exists(), reason="SIMDe is missing (Debian: libsimde-dev)"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++"),
]


def _sources() -> list[Path]:
    kernels = [
        path for family in FAMILIES for path in (ROOT / "csrc/kernels" / family).glob("*.cc")
    ]
    tests = [
        path for family in FAMILIES for path in (ROOT / "tests/cpp").glob(f"kernels_{family}*")
    ]
    shared = [ROOT / "csrc/isa/cpu.cc", ROOT / "csrc/kernels/prefer.cc", ROOT / "tests/cpp/main.cc"]
    # SIMDe lacks the dot product of bf16 and tiles.
    not_here = re.compile("arm_|x86_avx512bf16|x86_amx")
    return [path for path in kernels + tests if not not_here.match(path.name)] + shared


def _compile(source: Path, target: Path) -> Path:
    wide = WIDE if source.name.startswith("x86_") else []
    include = ["-I", ROOT / "csrc", "-I", ROOT / "tests"]
    subprocess.run([*COMPILE, *wide, *include, source, "-o", target], check=True)
    return target


def test_emulated_kernels_equal_the_definition(tmp_path: Path) -> None:
    if "avx2" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("the emulation needs AVX2")
    objects = [_compile(s, tmp_path / f"{i}_{s.stem}.o") for i, s in enumerate(_sources())]
    subprocess.run(["g++", *objects, "-o", tmp_path / "tests"], check=True)
    done = subprocess.run([tmp_path / "tests"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kernels = [f"{name}_{isa}" for name in FAMILIES for isa in ("avxvnni", "avx512vnni")]
    for kernel in [*kernels, "depthwise_avx512vbmi"]:
        pattern = rf"^{kernel.replace('_', '_u8_', 1)}\w*: \d+ shapes$"
        assert re.search(pattern, done.stdout, re.MULTILINE), kernel
