"""The inner loops of products and depthwise convolutions keep their accumulators in registers.

A compiler that spills one makes a product several times slower and no other test fails, so the
object code is read: the largest innermost loop with dot instructions must be the whole tile and
must leave the stack alone.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

BUILD = os.environ.get("QUAVER_BUILD_DIR")


def _objects(folder: str) -> dict[str, Path]:
    if not BUILD:
        return {}
    return {path.name: path for path in Path(BUILD).glob(f"**/csrc/{folder}/*.cc.o")}


OBJECTS = _objects("kernels/gemm")
DEPTHWISE = _objects("kernels/depthwise")

pytestmark = [
    pytest.mark.skipif(not BUILD, reason="QUAVER_BUILD_DIR names no build; `make test` does"),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="there is no objdump"),
]


@dataclass(frozen=True)
class Instruction:
    """One line of a disassembly."""

    address: int
    text: str

    @property
    def target(self) -> int | None:
        """Where a jump goes."""
        match = re.match(r"j\w+\s+([0-9a-f]+)\b", self.text)
        return int(match[1], 16) if match else None


@dataclass(frozen=True)
class Tile:
    """What the inner loop of a tile is made of."""

    source: str
    dot: str
    """Name of the instruction that multiplies."""
    count: int
    """How many of them one step along k takes: rows x vectors, twice for even and odd bytes."""
    most: int
    """Instructions of such a step that are not to be passed: loads, broadcasts and the loop."""
    largest: bool = True
    """Whether no loop of the file has more of them."""


TILES = [
    Tile("x86_avx2.cc.o", "vpmaddwd", 6 * 2 * 2, 84),
    Tile("x86_avx2.cc.o", "vfmadd", 6 * 2, 28, largest=False),
    Tile("x86_avx2.cc.o", "vfmadd", 5 * 2 * 2, 56),  # bf16, odd and even
    Tile("x86_avxvnni.cc.o", "vpdpbusd", 6 * 2, 28),
    Tile("x86_avx512vnni.cc.o", "vpdpbusd", 7 * 2, 32),
    Tile("x86_avx512vnni.cc.o", "vfmadd", 7 * 2, 32, largest=False),
    Tile("x86_avx512vnni.cc.o", "vfmadd", 7 * 3, 56, largest=False),  # half a vector beside two
    Tile("x86_avx512vnni.cc.o", "vfmadd", 7 * 3 * 2, 124),  # bf16, odd and even
    Tile("x86_avx512bf16.cc.o", "vdpbf16ps", 7 * 2, 32, largest=False),
    Tile("x86_avx512bf16.cc.o", "vdpbf16ps", 7 * 3, 58),
]


def _functions(listing: str) -> list[list[Instruction]]:
    functions: list[list[Instruction]] = []
    for line in listing.splitlines():
        if re.match(r"[0-9a-f]+ <.*>:$", line):
            functions.append([])
        elif match := re.match(r"\s*([0-9a-f]+):\s+(?:\{\w+\} )?(\S.*)", line):
            functions[-1].append(Instruction(int(match[1], 16), match[2]))
    return functions


def _innermost_loops(function: list[Instruction]) -> list[list[Instruction]]:
    jumps = [(i.target, i.address) for i in function if i.target and i.target <= i.address]
    inner = [
        (first, last)
        for first, last in jumps
        if not any((a, b) != (first, last) and first <= a and b <= last for a, b in jumps)
    ]
    return [[i for i in function if first <= i.address <= last] for first, last in inner]


def _disassembled(path: Path) -> list[list[Instruction]]:
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True
    ).stdout
    return _functions(listing)


def _loops(path: Path) -> list[list[Instruction]]:
    return [loop for function in _disassembled(path) for loop in _innermost_loops(function)]


def _dots(loop: list[Instruction], dot: str) -> int:
    return sum(i.text.startswith(dot) for i in loop)


def _on_stack(loop: list[Instruction]) -> list[str]:
    return [
        i.text for i in loop if re.search(r"%[xyz]mm", i.text) and re.search(r"%r[sb]p", i.text)
    ]


def _stored_on_stack(loop: list[Instruction]) -> list[str]:
    return [i.text for i in loop if re.search(r"%[xyz]mm\d+,[-\w]*\(%r[sb]p", i.text)]


@pytest.mark.parametrize(
    "tile", TILES, ids=lambda tile: f"{tile.source.split('.')[0]}-{tile.dot}-{tile.count}"
)
def test_tiles_stay_in_registers(tile: Tile) -> None:
    if not OBJECTS:
        pytest.fail(f"{BUILD} has no objects of csrc/kernels/gemm")
    if tile.source not in OBJECTS:
        pytest.skip("built for another architecture")
    # A loop that also makes bytes or reals of sums or calls is one around a tile, not along k; a
    # jump back without a condition comes from blocks that the compiler has laid behind their loop.
    around = ("vpackuswb", "vcvtdq2ps", "vminps", "call")
    loops = [
        loop
        for loop in _loops(OBJECTS[tile.source])
        if _dots(loop, tile.dot)
        and not any(_dots(loop, other) for other in around)
        and not loop[-1].text.startswith("jmp")
    ]
    counts = [_dots(loop, tile.dot) for loop in loops]
    assert tile.count in counts, "no loop multiplies a whole tile"
    assert max(counts) == tile.count or not tile.largest
    tight = [loop for loop in loops if len(loop) <= tile.most and not _on_stack(loop)]
    whole = [loop for loop in loops if _dots(loop, tile.dot) == tile.count]
    # Tiles of another shape may have as many where others have more.
    assert (
        all(loop in tight for loop in whole)
        if tile.largest
        else any(loop in tight for loop in whole)
    )
    # The last few rows of a matrix may cost one register.
    assert max(len(_on_stack(loop)) for loop in loops) <= 2


def test_held_weights_stay_in_registers() -> None:
    """Loops over rows for one or two vectors of columns, with and without a zero point.

    They make eight sums at a time; four, where two columns' weights leave no more registers.
    """
    source, most_quads = "x86_avx512vnni.cc.o", 12
    if source not in OBJECTS:
        pytest.skip("built for another architecture")
    in_registers = Counter(
        (_dots(loop, "vpackuswb"), _dots(loop, "vpdpbusd"))
        for loop in _loops(OBJECTS[source])
        if not _stored_on_stack(loop)
    )
    for quads in range(1, most_quads):
        assert in_registers[2, 8 * quads] >= 4, f"{quads} quads"
    assert in_registers[2, 8 * most_quads] >= 2
    assert in_registers[1, 4 * most_quads] >= 2


@pytest.mark.parametrize(("dot", "count"), [("vpmaddwd", 12), ("vpdpbusd", 24), ("vdpbf16ps", 12)])
def test_peak_is_measured_with_every_product(dot: str, count: int) -> None:
    """A compiler that multiplies once for all sums makes the yardstick too long."""
    objects = _objects("isa")
    if "x86_avx2.cc.o" not in OBJECTS:
        pytest.skip("built for another architecture")
    functions = _disassembled(objects["peak.cc.o"])
    assert sum(_dots(function, dot) for function in functions) == count


@pytest.mark.parametrize(("dot", "steps"), [("tdpbusd", 4 * 2), ("tdpbf16ps", 2)])
def test_amx_tiles_serve_twice(dot: str, steps: int) -> None:
    """A step along k loads two tiles of rows and two of weights for four products.

    In int8 there is one for each of four kinds of results, and one for what is left of k; in bf16
    one for rows on a grid and one for others.
    """
    source = "x86_amx.cc.o"
    if source not in OBJECTS:
        pytest.skip("built for another architecture")
    order = [
        i.text.split()[0]
        for function in _disassembled(OBJECTS[source])
        for i in function
        if i.text.startswith(("tileloadd", dot, "tilestored"))
    ]
    pair = f"tileloadd tileloadd {dot} tileloadd {dot} tileloadd {dot} {dot}"
    assert " ".join(order).count(pair) == steps


#: Four pixels of a 3x3 window over one vector of channels, where a column takes two instructions
#: of AVX2; with 512-bit dots seven over four, or four of any window over one. Loops for each step,
#: 1 and 2, and with 512 bits for whole strips, parts, halves and quarters, of which the last have
#: more masks and places to keep than there are registers.
WINDOWS = [
    ("x86_avx2.cc.o", "vpmaddwd", 4 * 3 * 2, 2, 0),
    ("x86_avxvnni.cc.o", "vpdpbusd", 4 * 3, 2, 0),
    ("x86_avx512vnni.cc.o", "vpdpbusd", 7 * 3 * 4, 8, 2),
    ("x86_avx512vbmi.cc.o", "vpdpbusd", 4, 2, 0),
]


@pytest.mark.parametrize(("source", "dot", "count", "least", "stores"), WINDOWS)
def test_depthwise_sums_stay_in_registers(
    source: str, dot: str, count: int, least: int, stores: int
) -> None:
    """Constants may come from the stack, as they do with AVX2's 16 registers; sums may not go."""
    if not DEPTHWISE:
        pytest.fail(f"{BUILD} has no objects of csrc/kernels/depthwise")
    if source not in DEPTHWISE:
        pytest.skip("built for another architecture")
    loops = [loop for loop in _loops(DEPTHWISE[source]) if _dots(loop, dot) == count]
    assert len(loops) >= least
    stored = [_stored_on_stack(loop) for loop in loops]
    assert stored.count([]) >= min(least, 4), stored
    assert max(map(len, stored)) <= stores


#: Four pixels of a 5x5 window: two dots of four rows each a column; AVX2 takes three pairs of rows;
#: with 512-bit dots seven pixels, five dots of columns and two along the last row.
#: With 16 registers AVX-VNNI has one constant more than places for it.
LARGE_WINDOWS = [
    ("x86_avx2.cc.o", "vpmaddwd", 4 * 5 * 3, 0),
    ("x86_avxvnni.cc.o", "vpdpbusd", 4 * 5 * 2, 1),
    ("x86_avx512vnni.cc.o", "vpdpbusd", 7 * 7 * 4, 3),
]


@pytest.mark.parametrize(("source", "dot", "count", "stores"), LARGE_WINDOWS)
def test_large_depthwise_windows(source: str, dot: str, count: int, stores: int) -> None:
    if source not in DEPTHWISE:
        pytest.skip("built for another architecture")
    loops = [loop for loop in _loops(DEPTHWISE[source]) if _dots(loop, dot) == count]
    assert loops
    assert max(len(_stored_on_stack(loop)) for loop in loops) <= stores


#: Attention's largest tile of q·k: six rows of scores; AVX-VNNI keeps two of its sums in memory.
SCORES = [("x86_avx512vnni.cc.o", 24, 0), ("x86_avxvnni.cc.o", 16, 4)]


@pytest.mark.parametrize(("source", "count", "most"), SCORES)
def test_scores_stay_in_registers(source: str, count: int, most: int) -> None:
    objects = _objects("kernels/attention")
    if source not in objects:
        pytest.skip("built for another architecture")
    loops = [loop for loop in _loops(objects[source]) if _dots(loop, "vpdpbusd")]
    assert max(_dots(loop, "vpdpbusd") for loop in loops) == count
    whole = [loop for loop in loops if _dots(loop, "vpdpbusd") == count]
    assert max(len(_on_stack(loop)) for loop in whole) <= most


#: Rows of bytes times weights of four bits: up to four rows, both halves of two vectors.
NIBBLES = ("x86_avx512vnni.cc.o", 16)


def test_weights_of_four_bits_stay_in_registers() -> None:
    objects = _objects("kernels/nibble")
    source, most = NIBBLES
    if source not in objects:
        pytest.skip("built for another architecture")
    loops = [loop for loop in _loops(objects[source]) if _dots(loop, "vpdpbusd")]
    assert max(_dots(loop, "vpdpbusd") for loop in loops) == most
    assert not any(_on_stack(loop) for loop in loops)


def test_every_kernel_with_dot_instructions_is_guarded() -> None:
    guarded = {("gemm", tile.source) for tile in TILES}
    guarded |= {("attention", source) for source, *_ in SCORES}
    guarded |= {("nibble", NIBBLES[0])}
    guarded |= {("depthwise", source) for source, *_ in (*WINDOWS, *LARGE_WINDOWS)}
    families = {path.parent.name for path in Path(BUILD or "").glob("**/csrc/kernels/*/*.cc.o")}
    found = {
        (family, name)
        for family in families
        for name, path in _objects(f"kernels/{family}").items()
        if any(_dots(loop, "vpdp") for loop in _loops(path))
    }
    assert found <= guarded


def test_a_spill_is_seen() -> None:
    listing = """
0000000000000000 <tile>:
   0:	vmovdqu (%rdi),%ymm0
   4:	vpmaddwd 0x20(%rsp),%ymm0,%ymm1
   8:	add    $0x40,%rdi
   c:	jne    4 <tile+0x4>
  10:	ret
"""
    (loop,) = [loop for function in _functions(listing) for loop in _innermost_loops(function)]
    assert _dots(loop, "vpmaddwd") == 1
    assert _on_stack(loop) == ["vpmaddwd 0x20(%rsp),%ymm0,%ymm1"]
    assert _stored_on_stack(loop) == []
    assert _stored_on_stack([Instruction(0, "vmovdqa %ymm7,-0x38(%rsp)")]) != []
