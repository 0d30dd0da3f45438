"""Compiled files: saved, loaded again and damaged, through the public surface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import quaver
from conftest import make_convolution


@pytest.fixture
def compiled(convolution: onnx.ModelProto, tmp_path: Path) -> Path:
    path = tmp_path / "convolution.quaver"
    quaver.load(convolution, threads=1).save(path)
    return path


def test_same_bits_from_onnx_file_and_bytes(
    convolution: onnx.ModelProto, compiled: Path, image: np.ndarray
) -> None:
    expected = quaver.load(convolution)(image)
    assert np.array_equal(quaver.load(compiled)(image), expected)
    assert np.array_equal(quaver.load(compiled.read_bytes())(image), expected)
    unaligned = memoryview(b"\0" + compiled.read_bytes())[1:]
    assert np.array_equal(quaver.load(unaligned)(image), expected)


def test_ports_survive(tmp_path: Path) -> None:
    model = quaver.load(make_convolution("n"))
    model.save(tmp_path / "m.quaver")
    again = quaver.load(tmp_path / "m.quaver")
    assert (again.inputs, again.outputs) == (model.inputs, model.outputs)
    assert again.inputs[0].shape == (None, 3, 16, 16)


def test_saving_is_reproducible(compiled: Path, tmp_path: Path) -> None:
    quaver.load(compiled).save(tmp_path / "again.quaver")
    assert (tmp_path / "again.quaver").read_bytes() == compiled.read_bytes()


def test_saving_over_the_mapped_file(compiled: Path, image: np.ndarray) -> None:
    model = quaver.load(compiled)
    expected = model(image)
    model.save(compiled)
    assert np.array_equal(model(image), expected)
    assert np.array_equal(quaver.load(compiled)(image), expected)
    assert [p.name for p in compiled.parent.iterdir()] == [compiled.name]


def test_loading_needs_no_onnx(compiled: Path) -> None:
    code = (
        "import sys; sys.modules['onnx'] = None; import quaver; "
        f"print(quaver.load({str(compiled)!r}).inputs[0].name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "image", done.stderr


@pytest.mark.parametrize("keep", [0, 5, 7, 40, 100, 4096, -1])
def test_truncated(compiled: Path, keep: int) -> None:
    compiled.write_bytes(compiled.read_bytes()[:keep])
    with pytest.raises(
        quaver.CorruptFileError, match=r"convolution\.quaver: (truncated|the file is empty)"
    ):
        quaver.load(compiled)


def test_damaged_anywhere(compiled: Path, image: np.ndarray) -> None:
    """Every flipped bit is refused, or lies in padding and changes nothing."""
    expected = quaver.load(compiled)(image)
    intact = compiled.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for at in rng.integers(0, len(intact), 200):
        damaged = bytearray(intact)
        damaged[at] ^= 1 << int(rng.integers(8))
        try:
            loaded = quaver.load(bytes(damaged))
        except quaver.Error:
            refused += 1
        else:
            assert np.array_equal(loaded(image), expected), at
    assert refused > 50


def test_damaged_weight_is_named(compiled: Path) -> None:
    data = bytearray(compiled.read_bytes())
    data[4096] ^= 1
    with pytest.raises(quaver.CorruptFileError, match=r"the contents of '.+' do not match"):
        quaver.load(bytes(data))


def test_no_model_under_a_models_name(tmp_path: Path) -> None:
    path = tmp_path / "x.quaver"
    path.write_bytes(b"\x08\x0a" * 100)
    with pytest.raises(quaver.CorruptFileError, match=r"x\.quaver: not a compiled Quaver model"):
        quaver.load(path)


def test_unwritable(convolution: onnx.ModelProto, tmp_path: Path) -> None:
    with pytest.raises(quaver.FileError, match="cannot write"):
        quaver.load(convolution).save(tmp_path / "missing" / "m.quaver")
