"""The slot's protocol, in Spin and under stress, and mutants of it that must not pass."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "tests/spin/slot.pml"
WORD = Path("csrc/base/slot_word.h")
TABLE = Path("csrc/base/hot_swap.cc")

needs_spin = pytest.mark.skipif(
    not (shutil.which("spin") and shutil.which("cc")), reason="there is no spin (Debian: spin)"
)
needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")


def _spin(model: str, folder: Path, *options: str) -> str:
    """Check a model in all its interleavings; give the verifier's report."""
    (folder / "slot.pml").write_text(model)
    for command in (
        ["spin", *options, "-a", "slot.pml"],
        ["cc", "-O0", "-w", "-DSAFETY", "-o", "pan", "pan.c"],
    ):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    return subprocess.run(
        [folder / "pan", "-m100000"], cwd=folder, capture_output=True, text=True, check=True
    ).stdout


def _mutant(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


@needs_spin
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-DKEEP=0"],
        pytest.param(["-DREADERS=3", "-DPINS=1"], marks=pytest.mark.slow),
        pytest.param(["-DSWAPS=3"], marks=pytest.mark.slow),
        pytest.param(["-DKEEP=0", "-DSWAPS=4"], marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_model(tmp_path: Path, options: list[str]) -> None:
    report = _spin(MODEL.read_text(), tmp_path, *options)
    assert "errors: 0" in report, report
    assert "Search not completed" not in report


SPIN_MUTANTS = {
    "the harvest is lost": ("handed = word_count - CURRENT;", "handed = -CURRENT;"),
    "the balance sinks before the end of the use": (
        "    inside[slot]++;\n    assert(occupied[slot]);\n    inside[slot]--;\n    release(slot)",
        "    release(slot);\n    inside[slot]++;\n    assert(occupied[slot]);\n    inside[slot]--",
    ),
    "the exchange is two steps": (
        "    handed = word_count - CURRENT;\n    word_slot = next;\n    word_count = 0\n  }",
        "    handed = word_count - CURRENT\n  }\n"
        "  atomic {\n    word_slot = next;\n    word_count = 0\n  }",
    ),
    "the pin is two steps": (
        "  atomic { /* fetch_add */\n    slot = word_slot;\n    word_count++\n  }",
        "  slot = word_slot;\n  word_count++",
    ),
    "the release is two steps": (
        "  atomic { /* fetch_sub */\n"
        "    before = balance[slot];\n    balance[slot] = before - 1\n  }",
        "  before = balance[slot];\n  balance[slot] = before - 1",
    ),
    "the current version has no bias": ("#define CURRENT 64", "#define CURRENT 0"),
    "a swap always ends the old version": (":: before == -handed -> retire", ":: true -> retire"),
    "the kept version has no pin": (":: KEEP -> acquire(kept)", ":: KEEP -> kept = word_slot"),
}


@needs_spin
@pytest.mark.slow
@pytest.mark.parametrize("name", SPIN_MUTANTS)
def test_model_finds(tmp_path: Path, name: str) -> None:
    report = _spin(_mutant(MODEL.read_text(), *SPIN_MUTANTS[name]), tmp_path)
    assert "errors: 1" in report, report


CODE_MUTANTS = {
    "the harvest is lost": (WORD, "count_of(ended) - kCurrent", "-kCurrent"),
    "the harvest is one too many": (
        WORD,
        "count_of(ended) - kCurrent",
        "count_of(ended) + 1 - kCurrent",
    ),
    "the exchange is two steps": (
        WORD,
        "word_.exchange(word_of(next), std::memory_order_acq_rel)",
        "word_.load(); word_.store(word_of(next))",
    ),
    "the pin is two steps": (
        WORD,
        "return slot_of(word_.fetch_add(1, std::memory_order_acquire));",
        "const auto word = word_.load(); word_.fetch_add(1); return slot_of(word);",
    ),
    "the release is two steps": (
        WORD,
        "return balances_[slot].value.fetch_sub(1, std::memory_order_acq_rel) == 1;",
        "const auto was = balances_[slot].value.load(); balances_[slot].value.store(was - 1);"
        " return was == 1;",
    ),
    "the current version has no bias": (WORD, "std::int64_t{1} << 62", "0"),
    "a release ends the version a pin early": (
        WORD,
        "fetch_sub(1, std::memory_order_acq_rel) == 1",
        "fetch_sub(1, std::memory_order_acq_rel) == 2",
    ),
    "a swap always ends the old version": (
        TABLE,
        "if (word_.swap(next)) retire(ended);",
        "word_.swap(next); retire(ended);",
    ),
    "the kept version has no pin": (TABLE, "? word_.acquire()", "? word_.current()"),
}


def _stress(base: Path, *options: str, seconds: float = 60) -> int:
    """Run the native tests of the protocol on a copy of csrc/base; give the exit code."""
    program = base / "tests"
    tests = [ROOT / "tests/cpp/base_slot_test.cc", ROOT / "tests/cpp/main.cc"]
    sources = [*(base / "csrc/base").glob("*.cc"), *tests]
    include = ["-I", base / "csrc", "-I", ROOT / "tests"]
    subprocess.run(
        ["g++", "-std=c++20", "-O1", "-pthread", *options, *include, *sources, "-o", program],
        check=True,
    )
    try:
        return subprocess.run(
            [program], capture_output=True, timeout=seconds, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        return -1  # readers or writers wait for what never comes


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "csrc/base", tmp_path / "csrc/base")
    return tmp_path


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("options", [["-O2"], ["-fsanitize=thread", "-g"]], ids=" ".join)
def test_stress(copy: Path, options: list[str]) -> None:
    assert _stress(copy, *options, seconds=600) == 0


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("name", CODE_MUTANTS)
def test_stress_finds(copy: Path, name: str) -> None:
    file, old, new = CODE_MUTANTS[name]
    (copy / file).write_text(_mutant((copy / file).read_text(), old, new))
    assert _stress(copy) != 0
