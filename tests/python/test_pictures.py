"""Folders of images as samples."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from PIL import Image

import quaver
from models import model_of
from quaver.model import Port
from quaver.quantize.data import Samples
from quaver.quantize.pictures import Pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A red and a green half, side by side, 40 × 20; a gray one, upright; neither of model size."""
    halves = np.zeros((20, 40, 3), np.uint8)
    halves[:, :20, 0] = halves[:, 20:, 1] = 200
    (tmp_path / "images").mkdir()
    Image.fromarray(halves).save(tmp_path / "images" / "a.PNG")
    Image.new("L", (10, 30), 51).save(tmp_path / "images" / "b.jpg", quality=95)
    (tmp_path / "images" / "notes.txt").write_text("not an image")
    return tmp_path / "images"


def _port(*shape: int | None, dtype: type = np.float32) -> Port:
    return Port("x", np.dtype(dtype), shape)


def test_scaled_to_cover_and_cut(folder: Path) -> None:
    """The middle square of the halves, at the input's size, both halves in it."""
    halves, gray = (feed["x"] for feed in Samples(folder, [_port(1, 3, 10, 10)]))
    assert halves.shape == (1, 3, 10, 10)
    assert halves.dtype == np.float32
    np.testing.assert_allclose(halves[0, :, 5, 1], [200 / 255, 0, 0], atol=0.02)
    np.testing.assert_allclose(halves[0, :, 5, 8], [0, 200 / 255, 0], atol=0.02)
    np.testing.assert_allclose(gray, 0.2, atol=0.01)


def test_layouts_and_values(folder: Path) -> None:
    how = Pictures(mean=(0.5, 0.4, 0.3), std=(0.5, 0.25, 0.1))
    first, last = (
        list(Samples(folder, [_port(*shape)], how)) for shape in ((1, 3, 8, 8), (1, 8, 8, 3))
    )
    for one, other in zip(first, last, strict=True):
        np.testing.assert_array_equal(one["x"].transpose(0, 2, 3, 1), other["x"])
    np.testing.assert_allclose(first[1]["x"][0, :, 4, 4], [-0.6, -0.8, -1.0], atol=0.05)
    plain = list(
        Samples(folder, [_port(None, 1, None, None, dtype=np.uint8)], Pictures(size=(6, 4)))
    )
    assert plain[1]["x"].shape == (1, 1, 6, 4)
    assert np.abs(plain[1]["x"].astype(int) - 51).max() <= 1


def test_turned_as_the_camera_says(tmp_path: Path) -> None:
    dark = np.zeros((8, 8, 3), np.uint8)
    dark[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 3  # half a turn
    Image.fromarray(dark).save(tmp_path / "a.png", exif=exif)
    (feed,) = Samples(tmp_path, [_port(1, 3, 8, 8)])
    assert feed["x"][0, :, 0].max() == 0
    assert feed["x"][0, :, 7].min() == 1


@pytest.mark.parametrize(
    ("ports", "how", "words"),
    [
        ([_port(1, 3, None, 8)], Pictures(), "leaves height and width open"),
        ([_port(1, 10)], Pictures(), "1 or 3 channels"),
        ([_port(1, 3, 8, 8), _port(1)], Pictures(), "an image goes to one input"),
        ([_port(1, 3, 8, 8)], Pictures(mean=(0.1, 0.2)), "2 means or deviations for 3 channels"),
    ],
)
def test_refuses(folder: Path, ports: list[Port], how: Pictures, words: str) -> None:
    with pytest.raises(quaver.InputError, match=words):
        next(iter(Samples(folder, ports, how)))


@pytest.mark.parametrize("content", [b"", b"no image", "half"])
def test_damaged_file(folder: Path, content: bytes | str) -> None:
    whole = (folder / "b.jpg").read_bytes()
    (folder / "b.jpg").write_bytes(whole[: len(whole) // 2] if content == "half" else content)
    with pytest.raises(quaver.CorruptFileError, match=r"b\.jpg"):
        list(Samples(folder, [_port(1, 3, 8, 8)]))


def test_a_model_by_command(folder: Path) -> None:
    w = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], "conv")]
    model = model_of(nodes, {"x": np.zeros((1, 3, 16, 16), np.float32)}, ["y"], {"w": w})
    onnx.save(model, folder / "m.onnx")
    made = folder / "m.int8.onnx"
    command = [sys.executable, "-m", "quaver", "quantize", str(folder / "m.onnx")]
    command += ["--data", str(folder), "--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"]
    subprocess.run([*command, "-o", str(made)], check=True)
    kept = {p.key: p.value for p in onnx.load(made).metadata_props}
    assert kept["quaver.samples"] == "2"
    for size in ("16", "inf,1", "nan,1"):
        refused = subprocess.run(
            [*command, "--size", size], check=False, capture_output=True, text=True
        )
        assert refused.returncode == 1
        assert "HEIGHT,WIDTH" in refused.stderr
